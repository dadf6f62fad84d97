"""Who may use the service, what they did, and the answers kept for repeated requests."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shelfwise.storage.tables.schema import CODE_LENGTH, Moment, metadata

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
