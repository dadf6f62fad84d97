"""Other services: connectors that pull from them, webhooks that tell them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
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

from shelfwise.storage.tables.schema import CODE_LENGTH, Instant, Moment, metadata

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
