"""Stock movements as a till, a shop or a warehouse reports them, one by one: each is booked once, under its id.

Many are booked in one transaction (`shelfwise.services.group_commit`), with the change of stock, the event and, where
the request named a key, its answer. Tables of movements are booked by `shelfwise.services.bulk_recording`.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ConflictError, ParameterError, ShelfwiseError
from shelfwise.domain.events import MovementsRecorded, named
from shelfwise.services import auditing, idempotent, names
from shelfwise.services.group_commit import GroupCommit
from shelfwise.services.idempotent import Keyed
from shelfwise.storage import catalogue, outbox, recording
from shelfwise.storage.audit import Entry
from shelfwise.storage.corrections import Content

SOURCE: Final = "api"
FIRST_WAREHOUSE: Final = "main"
"""What imports call the warehouse of lines that name none."""
IN: Final = "/in"
MOST_OF_A_CODE: Final = 255
MOST_OF_AN_ID: Final = MOST_OF_A_CODE - len(IN)
MOST_UNITS: Final = 1e9
CLOCK_SECONDS: Final = 60
"""So far the clock of whoever reports may be ahead of this machine's."""
EARLIEST: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (shop time)

Kind = Literal["sale", "return", "receipt", "adjustment", "transfer", "count"]
Reaction = Literal["queued", "done", "late", "none"]


@dataclass(frozen=True)
class Movement:
    """A movement as it is reported.

    Parameters
    ----------
    product
        Code.
    kind
        What happened.
    quantity
        Units; of a sale its size counts and not its sign, of an adjustment both.
    occurred_at
        With a zone, or shop time; None is now.
    warehouse
        Code or name; None is the only one there is. A transfer goes from here to ``to_warehouse``.
    id
        Its own id, under which it is booked once; None gives it a new one.
    unit_price
        At which it was sold, in the shop's currency.

    Raises
    ------
    ParameterError
        A value breaks its rule.
    """

    product: str
    kind: Kind
    quantity: float
    occurred_at: dt.datetime | None = None
    warehouse: str | None = None
    to_warehouse: str | None = None
    id: str | None = None
    unit_price: float | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the store."""
        for name, code, most in (
            ("productId", self.product, MOST_OF_A_CODE),
            ("warehouseId", self.warehouse, MOST_OF_A_CODE),
            ("toWarehouseId", self.to_warehouse, MOST_OF_A_CODE),
            ("id", self.id, MOST_OF_AN_ID),
        ):
            if code is not None:
                _check_code(name, code, most)
        if not (math.isfinite(self.quantity) and abs(self.quantity) <= MOST_UNITS):
            raise ParameterError(f"quantity must be a number up to {MOST_UNITS:,.0f} units, got {self.quantity:g}")
        if self.kind == "sale" and self.quantity < 0:
            object.__setattr__(self, "quantity", -self.quantity)
        self._check_sign()
        if (self.to_warehouse is None) == (self.kind == "transfer"):
            raise ParameterError(
                "a TRANSFER needs toWarehouseId, where the goods go; warehouseId is where they come from"
                if self.kind == "transfer"
                else f"toWarehouseId is of a TRANSFER, this is a {self.kind.upper()}; leave it out"
            )
        if self.unit_price is not None and not (math.isfinite(self.unit_price) and self.unit_price >= 0):
            raise ParameterError(f"unitPrice must be zero or more, got {self.unit_price:g}")

    def _check_sign(self) -> None:
        if self.quantity == 0 and self.kind != "count":
            raise ParameterError(f"a {self.kind.upper()} is of some units, got 0; leave it out, or send a COUNT of 0")
        if self.quantity < 0 and self.kind != "adjustment":
            raise ParameterError(
                f"the quantity of a {self.kind.upper()} must be zero or more, got {self.quantity:g}; "
                "what is lost is an ADJUSTMENT below zero"
            )


@dataclass(frozen=True)
class Recorded:
    """A movement that is booked.

    Parameters
    ----------
    id, product, kind, quantity, occurred_at, warehouse, to_warehouse
        As it is booked; ``occurred_at`` in shop time.
    on_hand
        Units in ``warehouse`` once all that was committed with it is counted; None where nothing was ever counted.
    duplicate
        The very same was booked before under this id: nothing was done now, and that is a success.
    replayed
        It is the answer that the same request got before under its key.
    felt
        Done once forecast, risk and orders follow; None where there is nothing to follow.
    """

    id: str
    product: str
    kind: Kind
    quantity: float
    occurred_at: dt.datetime
    warehouse: str
    to_warehouse: str | None
    on_hand: float | None
    duplicate: bool
    replayed: bool = field(default=False, compare=False)
    felt: Future[bool] | None = field(default=None, compare=False, repr=False)

    @property
    def fresh(self) -> bool:
        """Whether it was booked now."""
        return not (self.duplicate or self.replayed)

    def to_json(self) -> bytes:
        """Return what is kept of it under a key."""
        values = {name: value for name, value in self.__dict__.items() if name not in ("replayed", "felt")}
        return json.dumps(values | {"occurred_at": self.occurred_at.isoformat()}).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Recorded:
        """Return what `to_json` gave."""
        values = json.loads(raw)
        return cls(**values | {"occurred_at": dt.datetime.fromisoformat(values["occurred_at"])}, replayed=True)


@dataclass(frozen=True)
class Request:
    """A movement to be booked, the key it came under, and what the audit log says of it once it is booked."""

    movement: Movement
    key: Keyed | None = None
    entry: Entry | None = None


class Recorder:
    """Books movements for many who report at the same time; made once for a running service.

    Parameters
    ----------
    felt
        Called with the products of fresh movements after their commit; the future it returns, if any, is done once
        forecast, risk and orders follow.
    counted
        Told after each commit how many requests shared it.
    """

    def __init__(
        self,
        app: App,
        felt: Callable[[Iterable[str]], Future[bool] | None],
        counted: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._felt = felt
        self._in_flight: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._group: GroupCommit[Request, Recorded, Recorded] = GroupCommit(
            app.database, lambda connection, part: record(app, connection, part), self._committed, counted
        )

    def submit(self, movement: Movement, key: Keyed | None = None, entry: Entry | None = None) -> Future[Recorded]:
        """Ask for a movement to be booked; the future is done once it is on disk, with its entry in the audit log.

        Raises
        ------
        ConflictError
            The request of this key is still being answered.
        StorageError
            The service is ending, or too many wait.
        """
        if key is None:
            return self._group.submit(Request(movement, entry=entry))
        mine = (key.owner, key.key)
        with self._lock:
            if mine in self._in_flight:
                raise idempotent.in_flight(key)
            self._in_flight.add(mine)
        try:
            future = self._group.submit(Request(movement, key, entry))
        except BaseException:
            self._free(mine)
            raise
        future.add_done_callback(lambda _: self._free(mine))
        return future

    async def record(self, movement: Movement, key: Keyed | None = None, entry: Entry | None = None) -> Recorded:
        """Book a movement, and return once it is on disk, with its audit entry; no thread waits meanwhile.

        Raises
        ------
        ParameterError, NotFound, ConflictError
            As for `record`.
        StorageError
            The database cannot do it now; nothing is booked, or, where the connection was lost at the very commit, it
            is not known: the same id again tells.
        """
        return await self._group.answer(self.submit(movement, key, entry))

    def close(self) -> None:
        """Book what waits, and end."""
        self._group.close()

    def _free(self, mine: tuple[str, str]) -> None:
        with self._lock:
            self._in_flight.discard(mine)

    def _committed(self, made: Sequence[Recorded]) -> Sequence[Recorded]:
        fresh = dict.fromkeys(one.product for one in made if one.fresh)
        felt = self._felt(fresh) if fresh else None
        return [replace(one, felt=felt) if one.fresh else one for one in made]


def record(
    app: App, connection: Any, asked: Sequence[Request], source: str = SOURCE
) -> list[Recorded | ShelfwiseError]:  # fmt: skip
    """Book movements in the caller's transaction, with their event; return for each what is booked, or why nothing is.

    Ids are told apart by ``source``: one id of two sources is two movements. The values that are errors are not raised,
    since each belongs to one request:

    NotFound
        There is no such product, or no such warehouse; the nearest are named.
    ParameterError
        The moment has not come yet; there are several warehouses and none was named; another request came under the
        key.
    ConflictError
        Something else is booked under this id, or the request of this key is still being answered.
    """
    keys = [one.key for one in asked if one.key is not None]
    before = idempotent.replayed(connection, *keys) if keys else {}
    todo = [n for n, one in enumerate(asked) if one.key not in before]
    group = _Group(app, connection, [asked[n].movement for n in todo], source)
    made: dict[int, Recorded | ShelfwiseError] = dict(zip(todo, group.book(), strict=True))
    fresh = {
        one.key: idempotent.Answer(200 if done.duplicate else 201, "application/json", done.to_json())
        for n, one in enumerate(asked)
        if one.key is not None and isinstance(done := made.get(n), Recorded)
    }
    if fresh:
        idempotent.keep(app, connection, fresh)
    booked = ((one.entry, made.get(n)) for n, one in enumerate(asked))
    auditing.append(connection, [
        replace(entry, subject=f"{done.kind} {done.id} of {done.product}", status=200 if done.duplicate else 201)
        for entry, done in booked
        if entry is not None and isinstance(done, Recorded)
    ])  # fmt: skip
    return [made[n] if one.key is None or n in made else _replay(before[one.key]) for n, one in enumerate(asked)]


def _replay(found: idempotent.Answer | ShelfwiseError) -> Recorded | ShelfwiseError:
    return found if isinstance(found, ShelfwiseError) else Recorded.from_json(found.body)


class _Group:
    """Movements that are booked together."""

    def __init__(self, app: App, connection: Any, movements: Sequence[Movement], source: str) -> None:
        self._app, self._connection, self._movements, self._source = app, connection, movements, source
        self._now = app.now()
        self._ids = [one.id or uuid.uuid4().hex for one in movements]
        given = [one.id for one in movements if one.id is not None]
        wanted = [line_id for key in given for line_id in (key, key + IN)]
        self._booked = recording.booked_lines(connection, source, wanted) if wanted else {}
        self._products = recording.known_products(connection, {one.product for one in movements}) if movements else ()
        self._warehouses = recording.warehouse_codes(connection) if movements else []
        self._lines: dict[str, Content] = {}

    def book(self) -> list[Recorded | ShelfwiseError]:
        """Book all of them that can be booked."""
        made: list[Recorded | ShelfwiseError] = []
        for key, movement in zip(self._ids, self._movements, strict=True):
            try:
                made.append(self._one(key, movement))
            except ShelfwiseError as error:
                made.append(error)
        if self._lines:
            lines = [recording.Line(line_id, says) for line_id, says in self._lines.items()]
            recording.append_lines(self._connection, self._source, lines)
            products = named(says.product for says in self._lines.values())
            outbox.append(self._connection, self._now, MovementsRecorded(self._source, len(lines), products))
        pairs = {(one.product, one.warehouse) for one in made if isinstance(one, Recorded)}
        levels = recording.on_hand(self._connection, pairs)
        return [
            replace(one, on_hand=levels.get((one.product, one.warehouse))) if isinstance(one, Recorded) else one
            for one in made
        ]

    def _one(self, key: str, movement: Movement) -> Recorded:
        said = self._said(key)
        if said is not None:
            return self._repeated(key, movement, *said)
        lines = self._lines_of(key, movement)
        taken = next((line_id for line_id in lines if self._said(line_id) is not None), None)
        if taken is not None:
            raise _other(taken)
        self._lines |= lines
        return _recorded(key, lines[key], lines.get(key + IN), duplicate=False)

    def _said(self, line_id: str) -> list[Content] | None:
        if line_id in self._lines:
            return [self._lines[line_id]]
        return self._booked.get(line_id)

    def _repeated(self, key: str, movement: Movement, *said: Content) -> Recorded:
        """Return what is booked under the id; raise where the movement says something else."""
        leg = self._said(key + IN) if said[0].kind == "transfer" else None
        arrived = leg[0] if leg else None
        if not any(self._same(movement, one, arrived) for one in said):
            raise _other(key)
        return _recorded(key, said[0], arrived, duplicate=True)

    def _same(self, movement: Movement, said: Content, arrived: Content | None) -> bool:
        sign = -1 if movement.kind == "transfer" else 1
        if (movement.kind, movement.product, sign * movement.quantity) != (said.kind, said.product, said.quantity):
            return False
        # What was left to the service the first time is left to it again, whatever the time or the warehouses now.
        moment = said.occurred_at if movement.occurred_at is None else self._moment(movement.occurred_at)
        place = said.warehouse if movement.warehouse is None else self._place(movement.warehouse, "warehouseId")
        price = said.unit_price if movement.unit_price is None else movement.unit_price
        goal = None if movement.to_warehouse is None else self._place(movement.to_warehouse, "toWarehouseId")
        return (moment, place, price, goal) == (
            said.occurred_at, said.warehouse, said.unit_price, arrived and arrived.warehouse,
        )  # fmt: skip

    def _lines_of(self, key: str, movement: Movement) -> dict[str, Content]:
        if movement.product not in self._products and not self._app.settings.create_unknown_products:
            table = catalogue.products(self._connection)
            raise names.not_found("product", movement.product, table["product"].to_list(), table["name"].to_list())
        moment = self._now if movement.occurred_at is None else self._moment(movement.occurred_at)
        place = self._place(movement.warehouse, "warehouseId")
        if movement.to_warehouse is None:
            return {
                key: Content(movement.kind, movement.product, place, moment, movement.quantity, movement.unit_price)
            }
        goal = self._place(movement.to_warehouse, "toWarehouseId")
        if goal == place:
            raise ParameterError(f"{movement.product} cannot be moved from {place} to itself; name two warehouses")
        legs = ((key, place, -movement.quantity), (key + IN, goal, movement.quantity))
        return {line_id: Content("transfer", movement.product, where, moment, units) for line_id, where, units in legs}

    def _place(self, wanted: str | None, named: str) -> str:
        return place_of(self._connection, self._warehouses, wanted, named)

    def _moment(self, given: dt.datetime) -> dt.datetime:
        """Return a moment in shop time; raise for one that has not come yet."""
        return shop_moment(self._app, given, self._now)


def place_of(connection: Any, known: list[str], wanted: str | None, named: str) -> str:
    """Return the code of a warehouse; the first movement of an empty shop makes it, as an import does.

    Parameters
    ----------
    known
        Codes of all warehouses.
    named
        The field that says which one.

    Raises
    ------
    NotFound
        There is no such warehouse.
    ParameterError
        There are several, and none was named.
    """
    if wanted in known:
        return str(wanted)
    if not known:
        return wanted or FIRST_WAREHOUSE
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        raise ParameterError(f"the shop has {len(known)} warehouses; {named} must name one: {words.listed(known)}")
    return names.warehouse_code(catalogue.warehouses(connection), wanted)


def shop_moment(app: App, given: dt.datetime, now: dt.datetime) -> dt.datetime:
    """Return a moment in shop time; one without a zone is so already.

    Raises
    ------
    ParameterError
        It has not come yet, beyond what two clocks may differ, or is before 1970.
    """
    try:
        moment = app.calendar.shop_time(given)
    except OverflowError:
        moment = EARLIEST - dt.timedelta.resolution
    if moment < EARLIEST:
        raise ParameterError(f"createdAt {given.isoformat()} is before 1970; give the moment at which it happened")
    if moment > now + dt.timedelta(seconds=CLOCK_SECONDS):
        raise ParameterError(
            f"createdAt {given.isoformat()} has not come yet; it is {now:%Y-%m-%d %H:%M:%S} in the shop "
            f"({app.settings.timezone}); set the clock, or say the zone of the moment"
        )
    return moment


def _recorded(key: str, says: Content, arrived: Content | None, *, duplicate: bool) -> Recorded:
    kind: Any = says.kind
    units = -says.quantity if kind == "transfer" else says.quantity
    goal = None if arrived is None else arrived.warehouse
    return Recorded(key, says.product, kind, units, says.occurred_at, says.warehouse, goal, None, duplicate)


def _other(line_id: str) -> ConflictError:
    return ConflictError(
        f"something else is booked under the id {line_id!r}; give this movement its own id, or correct what is booked: "
        f"`shelfwise history PRODUCT` shows it"
    )


def _check_code(name: str, code: str, most: int) -> None:
    if not 0 < len(code) <= most or code != code.strip():
        raise ParameterError(
            f"{name} is 1 to {most} characters without blanks around them, got {len(code)}: {code[:40]!r}"
        )
    if "\0" in code or any("\ud800" <= letter <= "\udfff" for letter in code):
        raise ParameterError(f"{name} {code[:40]!r} holds a character that no text may hold; take it out")
