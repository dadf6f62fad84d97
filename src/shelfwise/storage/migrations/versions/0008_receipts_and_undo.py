"""What undo and redo of an import need, and mappings of files that a person explained once."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; imports of before keep their receipts and can be undone as far as their movements go."""
    op.add_column("imports", sa.Column("new_lines", sa.Integer(), nullable=True))
    op.add_column("imports", sa.Column("known_lines", sa.Integer(), nullable=True))
    op.create_table(
        "import_parts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.LargeBinary(length=4294967295), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name=op.f("fk_import_parts_import_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_parts")),
        sa.UniqueConstraint(
            "import_id", "kind", "name", "chunk", name=op.f("uq_import_parts_import_id_kind_name_chunk")
        ),
    )
    op.create_table(
        "import_mappings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("headers_hash", sa.String(length=64), nullable=False),
        sa.Column("table_name", sa.String(length=64), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("date_order", sa.String(length=3), nullable=True),
        sa.Column("warehouse", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_mappings")),
        sa.UniqueConstraint("name", name=op.f("uq_import_mappings_name")),
    )
    op.create_index(op.f("ix_import_mappings_headers_hash"), "import_mappings", ["headers_hash"], unique=False)


def downgrade() -> None:
    """Drop them: what is undone stays undone, and mappings are explained again."""
    op.drop_index(op.f("ix_import_mappings_headers_hash"), table_name="import_mappings")
    op.drop_table("import_mappings")
    op.drop_table("import_parts")
    with op.batch_alter_table("imports") as table:
        table.drop_column("known_lines")
        table.drop_column("new_lines")
