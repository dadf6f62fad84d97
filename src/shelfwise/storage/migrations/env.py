"""Read by Alembic: run the steps on the connection, and in the transaction, that it was handed."""

from alembic import context

from shelfwise.storage.migrations import TABLE
from shelfwise.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=TABLE,
    # SQLite changes a table by building it anew.
    render_as_batch=True,
)
context.run_migrations()
