"""Backtests: the runs that were asked for, and the scores of each model at each cutoff."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "backtest_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_runs")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_backtest_runs_fingerprint")),
    )
    op.create_table(
        "backtest_parts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("cutoff", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.LargeBinary(length=4294967295), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_parts")),
        sa.UniqueConstraint("fingerprint", "cutoff", name=op.f("uq_backtest_parts_fingerprint_cutoff")),
    )


def downgrade() -> None:
    """Drop the tables; backtests are run again when they are asked for."""
    op.drop_table("backtest_parts")
    op.drop_table("backtest_runs")
