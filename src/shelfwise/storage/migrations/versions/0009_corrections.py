"""Corrections of booked movements, and who booked movements by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CODE_LENGTH = 255


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "movement_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.String(CODE_LENGTH), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movement_notes")),
        sa.UniqueConstraint("source_id", "line_id", name=op.f("uq_movement_notes_source_id_line_id")),
    )
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.Integer()),
        sa.Column("reverts_id", sa.Integer()),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f("fk_corrections_import_id")),
        sa.ForeignKeyConstraint(["reverts_id"], ["corrections.id"], name=op.f("fk_corrections_reverts_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("reverts_id", name=op.f("uq_corrections_reverts_id")),
    )
    op.create_table(
        "correction_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("correction_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.String(CODE_LENGTH), nullable=False),
        sa.Column("was_kind", sa.String(16), nullable=False),
        sa.Column("was_product_id", sa.Integer(), nullable=False),
        sa.Column("was_warehouse_id", sa.Integer(), nullable=False),
        sa.Column("was_occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("was_quantity", sa.Double(), nullable=False),
        sa.Column("was_unit_price", sa.Double()),
        sa.Column("kind", sa.String(16)),
        sa.Column("product_id", sa.Integer()),
        sa.Column("warehouse_id", sa.Integer()),
        sa.Column("occurred_at", sa.BigInteger()),
        sa.Column("day", sa.Integer()),
        sa.Column("quantity", sa.Double()),
        sa.Column("unit_price", sa.Double()),
        sa.ForeignKeyConstraint(["correction_id"], ["corrections.id"], name=op.f("fk_correction_lines_correction_id")),
        sa.ForeignKeyConstraint(["was_product_id"], ["products.id"], name=op.f("fk_correction_lines_was_product_id")),
        sa.ForeignKeyConstraint(
            ["was_warehouse_id"], ["warehouses.id"], name=op.f("fk_correction_lines_was_warehouse_id")
        ),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_correction_lines_product_id")),
        sa.ForeignKeyConstraint(["warehouse_id"], ["warehouses.id"], name=op.f("fk_correction_lines_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_lines")),
        sa.UniqueConstraint(
            "source_id", "line_id", "correction_id", name=op.f("uq_correction_lines_source_id_line_id_correction_id")
        ),
    )


def downgrade() -> None:
    """Drop the tables: what was corrected says again what was booked first."""
    op.drop_table("correction_lines")
    op.drop_table("corrections")
    op.drop_table("movement_notes")
