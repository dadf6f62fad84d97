"""The registry of models: versions, which of them answer, how that came about, and how they have done since.

A version's arrays are a file (`shelfwise.storage.artefacts`); here is what is known of it. Rows are never changed but
for ``state`` and the two aliases of a scope, which move in the transaction that also writes down that they did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, func, select, update

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage.database import insert_one
from shelfwise.storage.tables import model_aliases, model_deployments, model_scores, model_versions

Alias = Literal["champion", "challenger"]
Action = Literal["deploy", "rollback"]
CHAMPION: Final[Alias] = "champion"
CHALLENGER: Final[Alias] = "challenger"


@dataclass(frozen=True)
class Version:
    """A fitted model.

    Parameters
    ----------
    id
        Its number in the store.
    name, number
        Name of the model in the catalog, and which fit of it this is, counted over all scopes.
    scope
        ``shop``, or ``product:CODE``.
    created_at
        When it was registered, shop time.
    state
        ``ready``, or ``archived``: its file is gone, what is known of it stays.
    parameters
        Of the fit.
    metrics
        Of the backtest at the time it was trained; ``{"reason": ...}`` where there was none.
    data_until, data_fingerprint
        Last day of the data it was fitted on, and the hash of that data.
    sha256, size
        Hash and bytes of its file.
    made_by
        Who asked for it.
    """

    id: int
    name: str
    number: int
    scope: str
    created_at: datetime
    state: str
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    data_until: date
    data_fingerprint: str
    sha256: str
    size: int
    made_by: str

    @property
    def label(self) -> str:
        """Name and number, like ``coherent@3``."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True)
class Deployment:
    """A version that took an alias over, and the one that had it before."""

    id: int
    scope: str
    alias: str
    action: str
    version_id: int
    previous_id: int | None
    reason: str
    made_by: str
    made_at: datetime


@dataclass(frozen=True)
class Score:
    """How a version did on the ``periods`` days after ``cutoff``, of which it knew nothing when it was trained."""

    version_id: int
    cutoff: date
    periods: int
    metrics: dict[str, Any]
    measured_at: datetime


def add(connection: Connection, values: Mapping[str, Any]) -> Version:
    """Register a version: the columns of `Version` but for ``id`` and ``number``, which is the next of its name."""
    t = model_versions
    # A write is alone on all databases, so nobody takes the same number.
    last = connection.scalar(select(func.max(t.c.number)).where(t.c.name == values["name"]))
    return version(connection, insert_one(connection, t, {**values, "number": int(last or 0) + 1}))


def version(connection: Connection, number: int) -> Version:
    """Return the version of that id.

    Raises
    ------
    NotFound
        There is none.
    """
    found = _first(connection, model_versions.c.id == number)
    if found is None:
        raise NotFound(f"there is no model {number}; {_there_are(connection)}")
    return found


def version_named(connection: Connection, name: str, number: int) -> Version:
    """Return the version ``name@number``; `NotFound` where there is none."""
    found = _first(connection, model_versions.c.name == name, model_versions.c.number == number)
    if found is None:
        raise NotFound(f"there is no model {name}@{number}; {_there_are(connection)}")
    return found


def versions(
    connection: Connection, *, scope: str | None = None, name: str | None = None, before: int | None = None,
    limit: int | None = None,
) -> list[Version]:  # fmt: skip
    """Return versions, the newest first.

    Parameters
    ----------
    scope, name
        Of these alone; None for all.
    before
        Those with a smaller id.
    limit
        At most so many.
    """
    t = model_versions
    query = select(t).order_by(t.c.id.desc())
    for column, wanted in ((t.c.scope, scope), (t.c.name, name)):
        query = query if wanted is None else query.where(column == wanted)
    query = query if before is None else query.where(t.c.id < before)
    query = query if limit is None else query.limit(limit)
    return [_version(row) for row in connection.execute(query)]


def archive(connection: Connection, numbers: Sequence[int]) -> None:
    """Mark versions as archived: nobody can be asked any more."""
    connection.execute(update(model_versions).where(model_versions.c.id.in_(list(numbers))).values(state="archived"))


def hashes(connection: Connection) -> set[str]:
    """Return the hashes of the files that versions need."""
    t = model_versions
    return set(connection.scalars(select(t.c.sha256).where(t.c.state == "ready")))


def holder(connection: Connection, scope: str, alias: Alias) -> Version | None:
    """Return the version that has an alias of a scope; None where none has."""
    t = model_aliases
    number = connection.scalar(select(t.c.version_id).where(t.c.scope == scope, t.c.alias == alias))
    return None if number is None else version(connection, int(number))


def champions(connection: Connection) -> list[Version]:
    """Return the version that answers for each scope, in the order of their names."""
    t = model_aliases
    query = select(model_versions).join(t, t.c.version_id == model_versions.c.id).where(t.c.alias == CHAMPION)
    return [_version(row) for row in connection.execute(query.order_by(t.c.scope))]


def aliases(connection: Connection) -> dict[int, list[str]]:
    """Return the aliases that each version has, by its id."""
    t = model_aliases
    found: dict[int, list[str]] = {}
    for number, alias in connection.execute(select(t.c.version_id, t.c.alias).order_by(t.c.alias)):
        found.setdefault(int(number), []).append(str(alias))
    return found


def deploy(
    connection: Connection, scope: str, alias: Alias, wanted: Version, *, action: Action, reason: str, made_by: str,
    made_at: datetime,
) -> Deployment:  # fmt: skip
    """Give an alias of a scope to a version, and write down that it was.

    Raises
    ------
    ConflictError
        The version is of another scope, is archived, or has the alias already.
    """
    if wanted.scope != scope:
        raise ConflictError(f"{wanted.label} was trained for {wanted.scope} and cannot answer for {scope}")
    if wanted.state != "ready":
        raise ConflictError(f"the file of {wanted.label} was removed; train a new version")
    before = holder(connection, scope, alias)
    if before is not None and before.id == wanted.id:
        raise ConflictError(f"{wanted.label} is the {alias} of {scope} already")
    t = model_aliases
    connection.execute(delete(t).where(t.c.scope == scope, t.c.alias == alias))
    insert_one(connection, t, {"scope": scope, "alias": alias, "version_id": wanted.id, "since": made_at})
    if alias == CHAMPION:  # nobody is challenged by himself
        connection.execute(delete(t).where(t.c.alias == CHALLENGER, t.c.version_id == wanted.id))
    values: dict[str, Any] = {
        "scope": scope, "alias": alias, "action": action, "version_id": wanted.id,
        "previous_id": None if before is None else before.id, "reason": reason, "made_by": made_by, "made_at": made_at,
    }  # fmt: skip
    return Deployment(insert_one(connection, model_deployments, values), **values)


def deployments(connection: Connection, *, scope: str | None = None, alias: Alias | None = None) -> list[Deployment]:
    """Return what was deployed, the latest first."""
    t = model_deployments
    query = select(t).order_by(t.c.id.desc())
    query = query if scope is None else query.where(t.c.scope == scope)
    query = query if alias is None else query.where(t.c.alias == alias)
    return [
        Deployment(
            row.id, row.scope, row.alias, row.action, row.version_id, row.previous_id, row.reason, row.made_by,
            row.made_at,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def save_score(connection: Connection, score: Score) -> None:
    """Keep a score in place of an earlier one of the same version and days."""
    t = model_scores
    connection.execute(
        delete(t).where(t.c.version_id == score.version_id, t.c.cutoff == score.cutoff, t.c.periods == score.periods)
    )
    insert_one(connection, t, vars(score))


def scores(connection: Connection, version_id: int) -> list[Score]:
    """Return the scores of a version, the oldest first."""
    t = model_scores
    query = select(t).where(t.c.version_id == version_id).order_by(t.c.cutoff, t.c.periods)
    return [
        Score(row.version_id, row.cutoff, row.periods, row.metrics, row.measured_at)
        for row in connection.execute(query)
    ]


def _there_are(connection: Connection) -> str:
    shown = [one.label for one in versions(connection, limit=5)]
    return f"the newest are {', '.join(shown)}" if shown else "none has been trained yet: `shelfwise models train`"


def _first(connection: Connection, *conditions: Any) -> Version | None:
    row = connection.execute(select(model_versions).where(*conditions)).first()
    return None if row is None else _version(row)


def _version(row: Row[Any]) -> Version:
    return Version(
        row.id, row.name, row.number, row.scope, row.created_at, row.state, row.parameters, row.metrics, row.data_until,
        row.data_fingerprint, row.sha256, row.size, row.made_by,
    )  # fmt: skip
