"""What happened, and what is to be done about it: the outbox, jobs and those who work on them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, Integer, String, Table, Text

from shelfwise.storage.tables.schema import CODE_LENGTH, Instant, Moment, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("happened_at", Moment, nullable=False),
    Column("name", String(64), nullable=False),
    Column("payload", Text, nullable=False),
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
