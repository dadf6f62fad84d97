"""Pulling stock and sales from an inventory service, and lead times and shipments from a logistics service.

A connector reads its feeds page by page. The rows of a page, the refusals among them and the feed's place are written
in one transaction, and every row is booked once however often it comes, so whatever is killed, cut off or sent twice
loses and doubles nothing. What the rows are is in docs/connectors.md, how they are booked in
`shelfwise.services.connector_rows`.

A service that fails is not asked on and on: after `FAILURES` failed requests in a row its breaker opens, and after a
pause that doubles up to an hour one request is the probe on which it closes or opens again. A failed run is no failed
job: what it met is kept with the connector, and the next run is planned already.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.exchange.connectors.endpoint import Endpoint, Patience
from shelfwise.exchange.connectors.pages import Page, Unanswered
from shelfwise.services import job_kinds, jobs
from shelfwise.services.jobs import Job
from shelfwise.storage import connectors
from shelfwise.storage import jobs as stored_jobs
from shelfwise.storage.connectors import Overtaken, Place, Refusal, Run, Standing

if TYPE_CHECKING:
    from shelfwise.exchange.connectors.client import Client
    from shelfwise.exchange.connectors.rows import Row

ROWS_AT_ONCE: Final = 500
FAILURES: Final = 5
FIRST_PAUSE_SECONDS: Final = 60.0
LONGEST_PAUSE_SECONDS: Final = 3600.0
ALL_REFUSED_FROM: Final = 20
"""A page of so many rows of which none can be booked is a fault of the service, and the place stays before it."""
RUN_SECONDS: Final = 1200.0
"""A run of a job ends after so long, and another job goes on where it ended."""
RUNS_SHOWN: Final = 10
REFUSALS_SHOWN: Final = 20
_LONGEST_CONTENT: Final = 8_000
_RETRIED: Final = ("movements", "stock-levels")
"""Feeds whose refused rows are tried again: of the others, a newer row of the same id may have come since."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Connector:
    """A service that is asked, the settings that name it (``..._url``, ``..._token``), and its feeds in their order."""

    name: str
    setting: Literal["inventory_sync", "logistics_engine"]
    feeds: tuple[str, ...]


CONNECTORS: Final = (
    # Movements first: a count of the same page of time then finds what it has seen already booked.
    Connector("inventory", "inventory_sync", ("movements", "stock-levels")),
    Connector("logistics", "logistics_engine", ("lead-times", "shipments")),
)


@dataclass(frozen=True)
class Shown:
    """A connector as people see it.

    Parameters
    ----------
    url
        None where it is not configured.
    places, runs, refusals
        How far its feeds are read, what the last runs met, and the newest rows that were refused.
    refused
        How many rows are refused and not booked since.
    """

    name: str
    url: str | None
    standing: Standing
    places: Sequence[Place]
    runs: Sequence[Run]
    refusals: Sequence[Refusal]
    refused: int

    @property
    def degraded(self) -> bool:
        """Whether its last run did not go well."""
        return self.url is not None and self.standing.ails


@dataclass(frozen=True)
class Synced:
    """What a run met, and whether it ended for its time alone, so that another one should go on."""

    run: Run
    unfinished: bool = False


def shown(app: App) -> list[Shown]:
    """Return all connectors."""
    with app.database.read() as connection:
        return [
            Shown(
                one.name, url_of(app, one), connectors.standing(connection, one.name),
                connectors.places(connection, one.name), connectors.runs(connection, one.name, RUNS_SHOWN),
                connectors.refusals(connection, one.name, REFUSALS_SHOWN),
                connectors.count_refusals(connection, one.name),
            )
            for one in CONNECTORS
        ]  # fmt: skip


def url_of(app: App, connector: Connector) -> str | None:
    """Return where a connector's service is; None where it is not configured."""
    url: str | None = getattr(app.settings, f"{connector.setting}_url")
    return url


def configured(app: App) -> list[Connector]:
    """Return the connectors that have a service to ask."""
    return [one for one in CONNECTORS if url_of(app, one) is not None]


def degraded(app: App) -> list[str]:
    """Return the names of configured connectors whose last run did not go well."""
    with app.database.read() as connection:
        return [one.name for one in configured(app) if connectors.standing(connection, one.name).ails]


def ask(app: App, name: str, *, request_id: str | None = None) -> Job:
    """Queue a run and return its job; one that somebody asks for tries even where the breaker is open.

    Raises
    ------
    NotFound, ConflictError
        There is no such connector; it is not configured.
    """
    connector = _connector(name)
    _endpoint(app, connector)
    return jobs.ask(app, job_kinds.SYNC, {"connector": name, "asked": True}, name, request_id=request_id)


def sync(
    app: App,
    name: str,
    *,
    asked: bool = False,
    progress: Progress | None = None,
    most_seconds: float | None = None,
    patience: Patience | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> Synced:
    """Read a connector's feeds to their ends and book what they hold; keep what the run met, and return it.

    Parameters
    ----------
    asked
        Whether a person asked: then it is tried even while the breaker is open.
    most_seconds
        No page is begun after so long.
    patience, wait
        How often a request is tried, and how seconds are waited for.

    Raises
    ------
    NotFound, ConflictError
        There is no such connector; it is not configured.
    StorageError
        The database cannot do it now; pages that were booked stay booked.
    """
    connector = _connector(name)
    run = _Running(app, connector, _endpoint(app, connector), progress or _silent, most_seconds)
    return run.go(patience or Patience(), wait, asked=asked)


def _connector(name: str) -> Connector:
    found = [one for one in CONNECTORS if one.name == name]
    if not found:
        raise NotFound(f"there is no connector {name!r}; there are {' and '.join(one.name for one in CONNECTORS)}")
    return found[0]


def _endpoint(app: App, connector: Connector) -> Endpoint:
    url = url_of(app, connector)
    if url is None:
        raise ConflictError(
            f"the connector {connector.name} is not configured; say where its service is in "
            f"SHELFWISE_{connector.setting.upper()}_URL"
        )
    return Endpoint(url, app.settings.service_token(connector.setting), app.settings.sync_timeout_seconds)


class _Running:
    """One run."""

    def __init__(
        self, app: App, connector: Connector, endpoint: Endpoint, progress: Progress, most_seconds: float | None
    ) -> None:
        self._app, self._connector, self._endpoint, self._progress = app, connector, endpoint, progress
        self._until = None if most_seconds is None else time.monotonic() + most_seconds
        self._unfinished = False
        self._pages = self._booked = self._duplicates = self._refused = 0
        with app.database.read() as connection:
            self._before = connectors.standing(connection, connector.name)
        self._failures = self._before.failures
        self._probing = self._before.breaker != "closed"
        self._errors: list[str] = []

    def go(self, patience: Patience, wait: Callable[[float], object], *, asked: bool) -> Synced:
        """Read all feeds."""
        from shelfwise.exchange.connectors.client import Client  # a tenth of a second that only who asks pays

        if self._before.breaker == "open" and not asked:
            said = f"paused after {self._failures} failed requests in a row; the last: {self._before.error}"
            return self._kept("paused", 0, said)
        outcome = "done"
        with Client(self._endpoint, patience=patience, failed=self._attempt_failed, wait=wait) as client:
            for feed in self._connector.feeds:
                try:
                    self._read(client, feed)
                    self._try_refused_again(feed)
                except Overtaken as error:
                    outcome = "overtaken"
                    self._errors.append(str(error))
                    break
                except Unanswered as error:
                    outcome = "failed"
                    self._errors.append(str(error))
                    self._keep_failure(error, patience)
                    if not error.alone or self._is_open:
                        break
        return self._kept(outcome, client.requests, "; ".join(self._errors) or None)

    # --- the breaker

    @property
    def _is_open(self) -> bool:
        return self._probing or self._failures >= FAILURES

    def _attempt_failed(self, error: Unanswered) -> bool:
        """Count a failed request; return whether another one may follow."""
        self._failures += 1
        return not self._is_open

    def _keep_failure(self, error: Unanswered, patience: Patience) -> None:
        pause = 0.0
        if self._failures and self._is_open:
            pause = min(max(2 * self._before.pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        if (error.after_seconds or 0.0) > patience.longest_asked_seconds:
            pause = max(pause, error.after_seconds or 0.0)
        with self._app.database.write() as connection:
            connectors.failed(connection, self._connector.name, self._failures, str(error), pause)

    # --- reading and booking

    def _read(self, client: Client, feed: str) -> None:
        """Read a feed from its place to its end."""
        origin = hashlib.sha256(f"{self._endpoint.url.rstrip('/')}/{feed}".encode()).hexdigest()
        with self._app.database.read() as connection:
            place = connectors.place(connection, self._connector.name, feed)
        cursor = place.read_until if place is not None and place.origin == origin else None
        seen = {cursor}
        rows = 0
        while True:
            self._progress(f"{self._connector.name}: {feed}, {rows:,} rows", 0, 0)
            if self._until is not None and time.monotonic() > self._until:
                self._unfinished = True
                return
            page = client.page(feed, cursor, ROWS_AT_ONCE)
            until = cursor if page.cursor is None else page.cursor
            if page.more and until in seen:
                self._failures += 1
                raise Unanswered(
                    f"{self._endpoint.url.rstrip('/')}/{feed}: there is more behind the cursor {str(until)[:80]!r}, "
                    "which was asked for already; a cursor must move with its page", alone=True,
                )  # fmt: skip
            self._book(feed, page, origin, cursor, until)
            rows += len(page.items)
            cursor = until
            seen.add(cursor)
            if not page.more:
                return

    def _book(self, feed: str, page: Page, origin: str, before: str | None, until: str | None) -> None:
        """Book a page and move the feed's place, both or neither."""
        from shelfwise.services import connector_rows

        name = self._connector.name
        good, refused = _sorted_out(feed, page.items)
        with self._app.database.write() as connection:
            made = connector_rows.book(self._app, connection, feed, [row for row, _ in good])
            refused += [
                (item, str(why)) for (_, item), why in zip(good, made, strict=True) if not isinstance(why, bool)
            ]
            fresh, known = made.count(True), made.count(False)
            if len(refused) == len(page.items) >= ALL_REFUSED_FROM:
                self._failures += 1
                raise Unanswered(
                    f"{self._endpoint.url.rstrip('/')}/{feed}: none of the {len(refused)} rows of a page can be "
                    f"booked, so the place stays before it; the first: {refused[0][1]}", alone=True,
                )  # fmt: skip
            connectors.move(
                connection, name, feed, origin, before, until, booked=fresh, duplicates=known, refused=len(refused)
            )
            connectors.refuse(connection, name, feed, [(_content(item), why) for item, why in refused])
            if self._failures or self._probing or not self._pages:
                connectors.answered(connection, name)
        self._failures, self._probing = 0, False
        self._pages += 1
        self._booked += fresh
        self._duplicates += known
        self._refused += len(refused)

    def _try_refused_again(self, feed: str) -> None:
        """Book rows that were refused before and can be booked now: their moment has come, or their product."""
        from shelfwise.services import connector_rows

        if feed not in _RETRIED:
            return
        name = self._connector.name
        with self._app.database.read() as connection:
            kept = connectors.refusals(connection, name, connectors.REFUSALS_KEPT, feed)
            place = connectors.place(connection, name, feed)
        rows = [(row, one) for one in reversed(kept) if not isinstance(row := _read_again(feed, one.content), str)]
        if not rows or place is None:
            return
        with self._app.database.write() as connection:
            made = connector_rows.book(self._app, connection, feed, [row for row, _ in rows])
            settled = [one.id for (_, one), done in zip(rows, made, strict=True) if isinstance(done, bool)]
            connectors.settle(connection, settled)
            fresh = made.count(True)
            connectors.move(
                connection, name, feed, place.origin, place.read_until, place.read_until, booked=fresh,
                duplicates=len(settled) - fresh,
            )  # fmt: skip
        self._booked += fresh
        self._duplicates += len(settled) - fresh

    def _kept(self, outcome: str, requests: int, error: str | None) -> Synced:
        name = self._connector.name
        with self._app.database.write() as connection:
            run = Run(
                self._before.asked_at, stored_jobs.now(connection), outcome, requests, self._pages, self._booked,
                self._duplicates, self._refused, error,
            )  # fmt: skip
            connectors.keep_run(connection, name, run)
            if outcome == "done":
                connectors.succeeded(connection, name)
        return Synced(run, self._unfinished)


def _sorted_out(feed: str, items: Sequence[Any]) -> tuple[list[tuple[Row, Any]], list[tuple[Any, str]]]:
    """Return the rows with what they were read from, and the others with the reason."""
    from shelfwise.exchange.connectors.rows import FEEDS, read_row  # types that only who asks pays for

    good: list[tuple[Row, Any]] = []
    refused: list[tuple[Any, str]] = []
    for item in items:
        row = read_row(FEEDS[feed], item)
        if isinstance(row, str):
            refused.append((item, row))
        else:
            good.append((row, item))
    return good, refused


def _content(item: Any) -> str:
    """Return a row as it is kept: JSON, cut where it is too long to be a row."""
    text = json.dumps(item, ensure_ascii=False, sort_keys=True)[:_LONGEST_CONTENT]
    return text.encode("utf-8", "replace").decode("utf-8")


def _read_again(feed: str, content: str) -> Row | str:
    from shelfwise.exchange.connectors.rows import FEEDS, read_row

    try:
        return read_row(FEEDS[feed], json.loads(content))
    except ValueError:
        return "it was cut"


def _silent(step: str, done: int = 0, total: int = 0) -> None:
    pass
