"""Every table, declared once; the migrations build the same schema and a test compares the two.

Three choices hold for all of them:

* **Moments and days are integers** (`Moment`: microseconds, `Day`: days, both since 1970-01-01 in shop time, without a
  zone). Each database stores and compares them alike, they take 2 to 8 bytes where SQLite's text takes 26, and a column
  of a million of them is read without parsing.
* **Units and money are double precision**, like the arrays and frames they come from and go to. The store keeps unit
  prices and quantities, it is no ledger: nothing here is summed to the cent.
* **Codes are text of at most 255 characters**, so that each may be a key in PostgreSQL and MySQL too. Rows refer to
  each other by integer keys, which never leave this package.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

CODE_LENGTH: Final = 255
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (shop time has no zone)
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1)
_DAY_ZERO: Final = _EPOCH_DAY.toordinal()


class Moment(TypeDecorator[datetime]):
    """A naive shop time, kept as microseconds since 1970.

    >>> Moment().process_bind_param(datetime(1970, 1, 2), None)
    86400000000
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect | None) -> int | None:
        """Turn a naive datetime into microseconds."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> datetime | None:
        """Turn microseconds into a naive datetime."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """A point in time, kept as microseconds since 1970 in UTC: for what must not jump when the clocks change.

    >>> Instant().process_bind_param(datetime(1970, 1, 2, tzinfo=UTC), None)
    86400000000
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect | None) -> int | None:
        """Turn a moment with a zone into microseconds."""
        return None if value is None else (value - _EPOCH_UTC) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> datetime | None:
        """Turn microseconds into a moment in UTC."""
        return None if value is None else _EPOCH_UTC + timedelta(microseconds=value)


class Day(TypeDecorator[date]):
    """A shop day, kept as days since 1970.

    >>> Day().process_bind_param(date(1970, 2, 1), None)
    31
    """

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect | None) -> int | None:
        """Turn a date into days."""
        return None if value is None else value.toordinal() - _DAY_ZERO

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> date | None:
        """Turn days into a date."""
        return None if value is None else date.fromordinal(value + _DAY_ZERO)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

products = Table(
    "products",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(CODE_LENGTH), nullable=False, unique=True),
    Column("name", Text),
    Column("category", Text),
    Column("brand", Text),
    Column("supplier_id", ForeignKey("suppliers.id")),
    Column("unit_cost", Double),
    Column("price", Double),
    Column("pack_size", Double),
    Column("minimum_order_quantity", Double),
    Column("launched_on", Day),
    Column("discontinued_on", Day),
    # A code and no key: the product it replaces may never have been imported.
    Column("replaces", String(CODE_LENGTH)),
)

warehouses = Table(
    "warehouses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(CODE_LENGTH), nullable=False, unique=True),
    Column("name", Text),
)

# What a product that is sold as one is made of; see `shelfwise.inventory.bundles`.
bundle_components = Table(
    "bundle_components",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bundle_id", ForeignKey("products.id"), nullable=False),
    Column("component_id", ForeignKey("products.id"), nullable=False),
    Column("quantity", Double, nullable=False),
    UniqueConstraint("bundle_id", "component_id"),
)

suppliers = Table(
    "suppliers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(CODE_LENGTH), nullable=False, unique=True),
    Column("name", Text),
    Column("lead_time_days", Double),
    Column("lead_time_sd_days", Double),
    Column("review_days", Double),
    Column("order_weekdays", Text),
    Column("minimum_order_value", Double),
    Column("currency", Text),
)

# Where movements come from. A number instead of the name in a million rows and in their key: a quarter less to write.
sources = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(CODE_LENGTH), nullable=False, unique=True),
)

imports = Table(
    "imports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("content_hash", String(64), nullable=False, index=True),
    Column("profile", String(CODE_LENGTH), nullable=False),
    Column("receipt", JSON, nullable=False),
    Column("imported_at", Moment, nullable=False),
    Column("undone_at", Moment),
    # Movements booked and movements that were there already; null for imports of before this was kept, whose parts
    # (below) were not kept either.
    Column("new_lines", Integer),
    Column("known_lines", Integer),
)

# What undo and redo need of an import, as compressed frames: see `shelfwise.storage.import_changes` and
# `shelfwise.storage.import_movements`.
import_parts = Table(
    "import_parts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("import_id", ForeignKey("imports.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("payload", LargeBinary(2**32 - 1), nullable=False),
    UniqueConstraint("import_id", "kind", "name", "chunk"),
)

# How files with these headers are read, as a person said it once.
import_mappings = Table(
    "import_mappings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(CODE_LENGTH), nullable=False, unique=True),
    # Of the file's headers; the latest mapping for the same headers is the one used.
    Column("headers_hash", String(64), nullable=False, index=True),
    Column("table_name", String(64), nullable=False),
    Column("mapping", JSON, nullable=False),
    Column("date_order", String(3)),
    Column("warehouse", String(CODE_LENGTH)),
    Column("created_at", Moment, nullable=False),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("id", Integer, primary_key=True),
    # `sources.id`, and `imports.id` below, without a foreign key: both are looked up in the transaction that writes
    # them and never deleted, and checking one a million times was measured to take a twentieth of a bulk load.
    Column("source_id", Integer, nullable=False),
    Column("line_id", String(CODE_LENGTH), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("product_id", ForeignKey("products.id"), nullable=False),
    Column("warehouse_id", ForeignKey("warehouses.id"), nullable=False),
    Column("occurred_at", Moment, nullable=False),
    # The day of `occurred_at`, stored because every reader groups by it.
    Column("day", Day, nullable=False),
    Column("quantity", Double, nullable=False),
    # What the movement does to stock: minus a sale, plus a receipt; 0 for a count, which sets a level instead.
    Column("stock_change", Double, nullable=False),
    Column("unit_price", Double),
    Column("import_id", Integer),
    # An index and no constraint, so that a bulk load into an empty table can make it after its rows.
    Index("uq_stock_movements_source_id_line_id", "source_id", "line_id", unique=True),
    # The one index beside the key. Sales come in order of time, so it costs little to keep (an index that begins with
    # the product was measured to halve the speed of a bulk load) and it serves recounts and recent windows.
    Index(None, "day"),
)

# Who booked a movement by hand, when and why. Lines of an import have its receipt instead.
movement_notes = Table(
    "movement_notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, nullable=False),
    Column("line_id", String(CODE_LENGTH), nullable=False),
    Column("reason", Text),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    UniqueConstraint("source_id", "line_id"),
)

# Append only: taking a correction back is one more row, whose `reverts_id` names it. See `shelfwise.storage.corrected`.
corrections = Table(
    "corrections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    # The import whose files brought it: undone with it.
    Column("import_id", ForeignKey("imports.id")),
    Column("reverts_id", ForeignKey("corrections.id"), unique=True),
)

# What a line said when it was corrected (`was_...`), and what it is to say; all null where it is to count no more.
correction_lines = Table(
    "correction_lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("correction_id", ForeignKey("corrections.id"), nullable=False),
    # The line by its own key and not by `stock_movements.id`, which a line loses when its import is undone.
    Column("source_id", Integer, nullable=False),
    Column("line_id", String(CODE_LENGTH), nullable=False),
    Column("was_kind", String(16), nullable=False),
    Column("was_product_id", ForeignKey("products.id"), nullable=False),
    Column("was_warehouse_id", ForeignKey("warehouses.id"), nullable=False),
    Column("was_occurred_at", Moment, nullable=False),
    Column("was_quantity", Double, nullable=False),
    Column("was_unit_price", Double),
    Column("kind", String(16)),
    Column("product_id", ForeignKey("products.id")),
    Column("warehouse_id", ForeignKey("warehouses.id")),
    Column("occurred_at", Moment),
    Column("day", Day),
    Column("quantity", Double),
    Column("unit_price", Double),
    UniqueConstraint("source_id", "line_id", "correction_id"),
)

# A row exists only where stock is known: after a first count. See `shelfwise.storage.stock`.
stock_levels = Table(
    "stock_levels",
    metadata,
    Column("product_id", ForeignKey("products.id"), primary_key=True),
    Column("warehouse_id", ForeignKey("warehouses.id"), primary_key=True),
    Column("on_hand", Double, nullable=False),
    Column("as_of", Moment, nullable=False),
    Column("counted_at", Moment, nullable=False),
)

# Stock at the end of a shop day, written once; codes without a foreign key, because an undone import may take the
# product away. See `shelfwise.storage.stock_snapshots`.
stock_snapshots = Table(
    "stock_snapshots",
    metadata,
    Column("day", Day, primary_key=True, autoincrement=False),
    Column("product", String(CODE_LENGTH), primary_key=True),
    Column("warehouse", String(CODE_LENGTH), primary_key=True),
    # Null: never counted.
    Column("on_hand", Double),
    # Null: the orders did not tell any more when the day was made up for.
    Column("on_order", Double),
    Column("taken_at", Moment, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("product_id", ForeignKey("products.id"), nullable=False),
    Column("warehouse_id", ForeignKey("warehouses.id")),
    # `warehouse_id`, or 0 for everywhere: a null never equals a null, so it cannot be part of a key.
    Column("warehouse_key", Integer, nullable=False),
    Column("starts_on", Day, nullable=False),
    Column("price", Double, nullable=False),
    UniqueConstraint("product_id", "warehouse_key", "starts_on"),
)

calendar_events = Table(
    "calendar_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(CODE_LENGTH), nullable=False),
    Column("starts_on", Day, nullable=False),
    Column("ends_on", Day, nullable=False),
    Column("scope_kind", String(16), nullable=False),
    # Empty for the whole shop, for the same reason as `prices.warehouse_key`.
    Column("scope", String(CODE_LENGTH), nullable=False),
    UniqueConstraint("kind", "name", "starts_on", "scope_kind", "scope"),
)

purchase_orders = Table(
    "purchase_orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", String(CODE_LENGTH), nullable=False, unique=True),
    Column("supplier_id", ForeignKey("suppliers.id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Moment),
    Column("ordered_on", Day),
    Column("note", Text),
    CheckConstraint("status IN ('draft', 'sent', 'part_received', 'received', 'cancelled')", name="status"),
)

purchase_order_lines = Table(
    "purchase_order_lines",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("purchase_order_id", ForeignKey("purchase_orders.id"), nullable=False),
    Column("product_id", ForeignKey("products.id"), nullable=False),
    Column("warehouse_id", ForeignKey("warehouses.id"), nullable=False),
    Column("quantity", Double, nullable=False),
    # Kept beside the receipts, because an imported order may say how much came and not when.
    Column("quantity_received", Double, nullable=False),
    Column("unit_cost", Double),
    Column("expected_on", Day),
    # The name by the rule is longer than PostgreSQL and MySQL take.
    UniqueConstraint(
        "purchase_order_id", "product_id", "warehouse_id", name="uq_purchase_order_lines_order_product_warehouse"
    ),
)

purchase_order_receipts = Table(
    "purchase_order_receipts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("line_id", ForeignKey("purchase_order_lines.id"), nullable=False),
    # Which delivery of the line this is: the same delivery is booked once.
    Column("delivery", String(CODE_LENGTH), nullable=False),
    Column("quantity", Double, nullable=False),
    Column("received_on", Day, nullable=False),
    UniqueConstraint("line_id", "delivery"),
)

plan_runs = Table(
    "plan_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("data_until", Day, nullable=False),
    Column("horizon", Integer, nullable=False),
    Column("model", String(CODE_LENGTH), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("parameters", JSON, nullable=False),
)

forecast_archive = Table(
    "forecast_archive",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("plan_runs.id"), nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    # The length makes MySQL choose a column that holds 4 GiB; its plain BLOB ends at 64 KiB.
    Column("payload", LargeBinary(2**32 - 1), nullable=False),
    UniqueConstraint("run_id", "chunk"),
)

fitted_models = Table(
    "fitted_models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("model", String(CODE_LENGTH), nullable=False),
    Column("version", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("payload", LargeBinary(2**32 - 1), nullable=False),
)

backtest_runs = Table(
    "backtest_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("parameters", JSON, nullable=False),
    # What came of it; null until it is finished.
    Column("summary", JSON(none_as_null=True)),
)

backtest_parts = Table(
    "backtest_parts",
    metadata,
    Column("id", Integer, primary_key=True),
    # Of data, window and model, and of no run: runs that ask the same share their parts.
    Column("fingerprint", String(64), nullable=False),
    Column("cutoff", String(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("payload", LargeBinary(2**32 - 1), nullable=False),
    UniqueConstraint("fingerprint", "cutoff"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("happened_at", Moment, nullable=False),
    Column("name", String(64), nullable=False),
    Column("payload", Text, nullable=False),
)

recommendations = Table(
    "recommendations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("plan_runs.id"), nullable=False, index=True),
    Column("product_id", ForeignKey("products.id"), nullable=False),
    Column("warehouse_id", ForeignKey("warehouses.id"), nullable=False),
    Column("supplier_id", ForeignKey("suppliers.id")),
    Column("quantity", Double, nullable=False),
    Column("order_by", Day),
    Column("stockout_on", Day),
    Column("stockout_probability", Double),
    Column("unit_cost", Double),
    Column("cost", Double),
    Column("arithmetic", JSON, nullable=False),
    Column("reason", Text),
    Column("status", String(16), nullable=False),
    UniqueConstraint("run_id", "product_id", "warehouse_id"),
    CheckConstraint("status IN ('proposed', 'edited', 'approved', 'snoozed', 'rejected')", name="status"),
)

# Append only: an undo is one more row, never a deleted one.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recommendation_id", ForeignKey("recommendations.id"), nullable=False, index=True),
    Column("action", String(16), nullable=False),
    Column("quantity", Double),
    Column("reason", Text),
    Column("snoozed_until", Day),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Moment, nullable=False),
    CheckConstraint("action IN ('approve', 'edit', 'snooze', 'reject', 'undo')", name="action"),
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("setting", String(64), nullable=False),
    Column("value", JSON, nullable=False),
    Column("scope_kind", String(16), nullable=False),
    Column("scope", String(CODE_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("starts_on", Day),
    Column("expires_on", Day),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("reverted_by", Text),
    Column("reverted_at", Moment),
)

scenarios = Table(
    "scenarios",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(CODE_LENGTH), nullable=False, unique=True),
    # The plan whose forecast it was asked of.
    Column("run_id", ForeignKey("plan_runs.id"), nullable=False),
    Column("edits", JSON, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# What was answered to a request that named a key, so that the same request again gets the same answer. See
# `shelfwise.services.idempotent`.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("key", String(CODE_LENGTH), nullable=False),
    # Of method, path and body: another request under the same key is an error of its sender.
    Column("fingerprint", String(64), nullable=False),
    # Null while it is being answered.
    Column("status", Integer),
    Column("media_type", String(CODE_LENGTH)),
    Column("answer", LargeBinary(2**32 - 1)),
    # Seconds since 1970 in UTC and no `Moment`: shop time goes back an hour once a year, and a claim must not.
    Column("expires_at", BigInteger, nullable=False, index=True),
    UniqueConstraint("owner", "key"),
)

# Who may do what. Moments of these tables are UTC, not shop time: an hour the clock repeats must lengthen no session.
users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text),
    Column("password_is_weak", Boolean, nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    CheckConstraint("role IN ('viewer', 'planner', 'admin', 'service')", name="role"),
)

# Of what a stranger could use as it stands, only the SHA-256 is kept.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", String(64), nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("refresh_hash", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("expires_at", Moment, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kid", String(64), nullable=False, unique=True),
    Column("algorithm", String(16), nullable=False),
    Column("private_key", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# Append only, and without keys into other tables: it must outlive what it tells of.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("happened_at", Moment, nullable=False),
    Column("who", String(CODE_LENGTH), nullable=False),
    Column("via", String(160), nullable=False),
    Column("action", String(CODE_LENGTH), nullable=False),
    Column("subject", Text, nullable=False),
    Column("status", Integer),
    Column("request_id", String(64), nullable=False),
    Column("address", String(64), nullable=False),
)

# Work to be done after the transaction that asked for it; see `shelfwise.storage.jobs`.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(64), nullable=False),
    # Queued jobs of one kind and subject are merged into one.
    Column("subject", String(CODE_LENGTH), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    # The lower ones run first.
    Column("priority", Integer, nullable=False),
    Column("run_after", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("most_attempts", Integer, nullable=False),
    # Until when the holder may be silent before another worker takes the job; null while nobody holds it.
    Column("lease_until", Instant),
    Column("holder", String(64)),
    Column("step", String(CODE_LENGTH)),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    # Of the request that asked for it.
    Column("request_id", String(64)),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    CheckConstraint("state IN ('queued', 'running', 'done', 'parked', 'cancelled')", name="state"),
    Index("ix_jobs_due", "state", "priority", "run_after"),
    Index("ix_jobs_subject", "state", "kind", "subject"),
    Index("ix_jobs_finished_at", "finished_at"),
)

# When what happens by the clock is due next.
schedule = Table(
    "schedule",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    # As it was when `next_at` was worked out of it.
    Column("rule", String(CODE_LENGTH), nullable=False),
    Column("next_at", Instant, nullable=False),
)

# Who reads the outbox, and up to which event.
outbox_readers = Table(
    "outbox_readers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("last_event", Integer, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("host", String(CODE_LENGTH), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
)

# What one process at a time does, and until when it is this holder's.
leases = Table(
    "leases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("holder", String(64), nullable=False),
    Column("until", Instant, nullable=False),
)

# What all processes together did over the event bus, by the word it is counted under: how often, when last, and of what
# was refused why.
event_bus_counts = Table(
    "event_bus_counts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("total", BigInteger, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("last_reason", Text),
)

# How the services that connectors ask have behaved, one row for each that was ever asked. See
# `shelfwise.storage.connectors`.
connectors = Table(
    "connectors",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(32), nullable=False, unique=True),
    # Requests that failed since the last one that was answered.
    Column("failures", Integer, nullable=False),
    # While its breaker is open: when it may be tried again, and how long that pause is.
    Column("retry_at", Instant),
    Column("pause_seconds", Double, nullable=False),
    Column("tried_at", Instant),
    Column("succeeded_at", Instant),
    Column("error", Text),
)

# How far each feed of a connector is read, which moves in the transaction that books the rows.
connector_feeds = Table(
    "connector_feeds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connector", String(32), nullable=False),
    Column("feed", String(32), nullable=False),
    # Fingerprint of the address: another address is another service, whose cursors mean something else.
    Column("origin", String(64), nullable=False),
    # The service's cursor; null before its first page.
    Column("read_until", Text),
    Column("read_at", Instant, nullable=False),
    Column("booked", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    UniqueConstraint("connector", "feed"),
)

connector_runs = Table(
    "connector_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connector", String(32), nullable=False, index=True),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("requests", Integer, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("booked", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("error", Text),
    CheckConstraint("outcome IN ('done', 'failed', 'paused', 'overtaken')", name="outcome"),
)

# Rows that could not be booked, each once however often it came.
connector_refusals = Table(
    "connector_refusals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connector", String(32), nullable=False),
    Column("feed", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("seen_at", Instant, nullable=False),
    UniqueConstraint("connector", "feed", "sha256"),
)

# Addresses that hear of events. See `shelfwise.storage.webhooks`.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(CODE_LENGTH), nullable=False),
    Column("url", Text, nullable=False),
    Column("format", String(16), nullable=False),
    Column("events", JSON, nullable=False),
    # Null where messages are not signed; sealed where the shop has a key. The one before signs, too, until it expires.
    Column("secret", Text),
    Column("previous_secret", Text),
    Column("previous_until", Instant),
    Column("enabled", Boolean, nullable=False),
    # Why it was switched off by the program; null where a person did that, or it is on.
    Column("off_reason", Text),
    # It hears of events with a higher number in the outbox.
    Column("since_event", Integer, nullable=False),
    # Tries in a row that failed, since when, and until when no other is made.
    Column("failures", Integer, nullable=False),
    Column("failing_since", Instant),
    Column("paused_until", Instant),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("format IN ('standard', 'slack')", name="format"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id"), nullable=False),
    # What a receiver tells a message by that comes twice: the same in every try.
    Column("message_id", String(64), nullable=False, unique=True),
    Column("type", String(64), nullable=False),
    Column("body", LargeBinary(2**32 - 1), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("tried_at", Instant),
    Column("delivered_at", Instant),
    # Of the last try.
    Column("status", Integer),
    Column("error", Text),
    Column("answer", Text),
    Column("seconds", Double),
    CheckConstraint("state IN ('waiting', 'delivered', 'failed', 'dropped')", name="state"),
    Index("ix_webhook_deliveries_due", "webhook_id", "state", "next_at"),
    Index("ix_webhook_deliveries_state", "state", "created_at"),
)

# The grade of stockout risk that was told last of a series, until it is over. See `shelfwise.services.stockout_alerts`.
stockout_alerts = Table(
    "stockout_alerts",
    metadata,
    Column("product", String(CODE_LENGTH), primary_key=True),
    Column("warehouse", String(CODE_LENGTH), primary_key=True),
    Column("severity", String(16), nullable=False),
    Column("since", Moment, nullable=False),
)

# Fitted models that a person can name, compare and put to work; the arrays themselves are files under `sha256`. See
# `shelfwise.storage.artefacts`.
model_versions = Table(
    "model_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    # The model's name in the catalog, so that name and number can stand in an address.
    Column("name", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    # `shop`, or `product:` and a code: what it was trained on and answers for.
    Column("scope", String(CODE_LENGTH + 8), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("data_until", Day, nullable=False),
    Column("data_fingerprint", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    UniqueConstraint("name", "number"),
    CheckConstraint("state IN ('ready', 'archived')", name="state"),
)

# Which version answers (champion) and which is looked at beside it (challenger): one row for each scope and alias.
model_aliases = Table(
    "model_aliases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scope", String(CODE_LENGTH + 8), nullable=False),
    Column("alias", String(16), nullable=False),
    Column("version_id", ForeignKey("model_versions.id"), nullable=False),
    Column("since", Moment, nullable=False),
    UniqueConstraint("scope", "alias"),
    CheckConstraint("alias IN ('champion', 'challenger')", name="alias"),
)

# Append only: going back is one more row.
model_deployments = Table(
    "model_deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("scope", String(CODE_LENGTH + 8), nullable=False, index=True),
    Column("alias", String(16), nullable=False),
    Column("action", String(16), nullable=False),
    Column("version_id", ForeignKey("model_versions.id"), nullable=False),
    Column("previous_id", ForeignKey("model_versions.id")),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    CheckConstraint("action IN ('deploy', 'rollback')", name="action"),
)

# How a version did in periods that came after it was trained.
model_scores = Table(
    "model_scores",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version_id", ForeignKey("model_versions.id"), nullable=False),
    # The last day that the forecast knew, and how many days after it were scored.
    Column("cutoff", Day, nullable=False),
    Column("periods", Integer, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("measured_at", Moment, nullable=False),
    UniqueConstraint("version_id", "cutoff", "periods"),
)

# The newest forecast, order and risk of each series, by the codes of product and warehouse and without a foreign key:
# they are made from what the store knows, and must not keep a product alive that an undone import takes away. See
# `shelfwise.storage.live_forecasts`.
live_forecasts = Table(
    "live_forecasts",
    metadata,
    Column("product", String(CODE_LENGTH), primary_key=True),
    Column("warehouse", String(CODE_LENGTH), primary_key=True),
    # Rises with every change of any row, so that a reader can ask for what changed since.
    Column("version", Integer, nullable=False, index=True),
    # The newest event in the outbox that the row has felt: an older state never takes the place of a newer one.
    Column("watermark", Integer, nullable=False),
    Column("model", String(CODE_LENGTH), nullable=False),
    Column("model_version", String(CODE_LENGTH), nullable=False),
    Column("data_until", Day, nullable=False),
    Column("horizon", Integer, nullable=False),
    Column("computed_at", Moment, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("payload", LargeBinary(2**32 - 1), nullable=False),
)

# One row: under which fitted model, and from which data, all of them were made last.
live_publications = Table(
    "live_publications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("watermark", Integer, nullable=False),
    Column("model", String(CODE_LENGTH), nullable=False),
    Column("model_version", String(CODE_LENGTH), nullable=False),
    # `fitted_models.fingerprint`, without a foreign key: old ones go, and the model can be fitted again.
    Column("fitted_model", String(64), nullable=False),
    Column("first_day", Day, nullable=False),
    Column("data_until", Day, nullable=False),
    Column("horizon", Integer, nullable=False),
    Column("published_at", Moment, nullable=False),
)
