"""What was forecast and proposed, and what people made of it."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shelfwise.storage.tables.schema import CODE_LENGTH, Day, Moment, metadata

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
