"""Bundles: products that are sold together as one, and what they are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "bundle_components",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bundle_id", sa.Integer(), nullable=False),
        sa.Column("component_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["products.id"], name=op.f("fk_bundle_components_bundle_id")),
        sa.ForeignKeyConstraint(["component_id"], ["products.id"], name=op.f("fk_bundle_components_component_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle_components")),
        sa.UniqueConstraint("bundle_id", "component_id", name=op.f("uq_bundle_components_bundle_id_component_id")),
    )


def downgrade() -> None:
    """Drop the table; what bundles are made of is imported again."""
    op.drop_table("bundle_components")
