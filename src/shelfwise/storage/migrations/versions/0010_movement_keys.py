"""The key of booked movements as an index, which a bulk load into an empty table can make after its rows."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "stock_movements"
NAME = "uq_stock_movements_source_id_line_id"
COLUMNS = ["source_id", "line_id"]


def upgrade() -> None:
    """Turn the constraint into an index."""
    if not _is_constraint_apart():
        return
    with op.batch_alter_table(TABLE) as table:
        table.drop_constraint(NAME, type_="unique")
    op.create_index(NAME, TABLE, COLUMNS, unique=True)


def downgrade() -> None:
    """Turn the index into a constraint."""
    if not _is_constraint_apart():
        return
    op.drop_index(NAME, TABLE)
    with op.batch_alter_table(TABLE) as table:
        table.create_unique_constraint(NAME, COLUMNS)


def _is_constraint_apart() -> bool:
    """Whether the database tells the two apart; MySQL keeps every unique constraint as an index of its name."""
    return op.get_context().dialect.name not in ("mysql", "mariadb")
