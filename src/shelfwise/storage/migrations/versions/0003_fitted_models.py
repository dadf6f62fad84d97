"""Fitted models, so that a model is not fitted again on the same data."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "fitted_models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.LargeBinary(length=4294967295), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fitted_models")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_fitted_models_fingerprint")),
    )


def downgrade() -> None:
    """Drop the table; its models are fitted again when they are needed."""
    op.drop_table("fitted_models")
