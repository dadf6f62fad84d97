"""Stock of every product and warehouse at the end of shop days."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "stock_snapshots",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("product", sa.String(length=255), nullable=False),
        sa.Column("warehouse", sa.String(length=255), nullable=False),
        sa.Column("on_hand", sa.Double(), nullable=True),
        sa.Column("on_order", sa.Double(), nullable=True),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "product", "warehouse", name=op.f("pk_stock_snapshots")),
    )


def downgrade() -> None:
    """Drop the tables; what was on hand can be worked out again, what was on order on past days in part."""
    op.drop_table("stock_snapshots")
