"""The registry of models."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from shelfwise.storage.tables.schema import CODE_LENGTH, Day, Moment, metadata

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
