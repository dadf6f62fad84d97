"""What a shop has and what happens to it: products, suppliers, movements of stock, imports, purchase orders."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shelfwise.storage.tables.schema import CODE_LENGTH, Day, Moment, metadata

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
