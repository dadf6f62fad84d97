"""What the rows of connectors' feeds do to the store, each once however often it comes.

=============== =======================================================================================
movements       stock movements under the service's own ids, as ``POST /inventory`` books them
stock-levels    counts, under an id made of product, warehouse and moment
lead-times      what a supplier states; deliveries that were measured still weigh in
shipments       purchase orders on their way, their receipts, their cancellation
=============== =======================================================================================
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import DataError, ParameterError, ShelfwiseError
from shelfwise.domain.events import PurchaseOrderChanged
from shelfwise.domain.frames import SUPPLIERS
from shelfwise.exchange.connectors.rows import LeadTimeRow, MovementRow, ShipmentRow, StockLevelRow
from shelfwise.services import job_kinds, names, recording
from shelfwise.services.jobs import wanted
from shelfwise.services.recording import Movement, Recorded, Request
from shelfwise.storage import catalogue, jobs, outbox, purchasing
from shelfwise.storage import recording as stored
from shelfwise.storage.movement_notes import Note
from shelfwise.storage.savepoints import each_alone

MOVEMENT_SOURCE: Final = "inventory service"
MADE_BY: Final = "logistics service"

Outcome = bool | ShelfwiseError
"""Whether something was booked now; False: it was known already; an error: why it cannot be booked."""


def book(app: App, connection: Any, feed: str, rows: Sequence[Any]) -> list[Outcome]:
    """Book rows of a feed in the caller's transaction; return for each what came of it."""
    return _BOOK[feed](app, connection, rows) if rows else []


def _movements(app: App, connection: Any, rows: Sequence[MovementRow]) -> list[Outcome]:
    return _recorded(app, connection, [partial(_movement, row) for row in rows])


def _movement(row: MovementRow) -> Movement:
    kind: Any = row.transactionType.lower()
    return Movement(
        row.productId, kind, row.quantity, row.createdAt, row.warehouseId, row.toWarehouseId, row.id, row.unitPrice
    )


def _stock_levels(app: App, connection: Any, rows: Sequence[StockLevelRow]) -> list[Outcome]:
    return _recorded(app, connection, [partial(_count, app, row) for row in rows])


def _count(app: App, row: StockLevelRow) -> Movement:
    moment = app.calendar.shop_time(row.countedAt)
    said = "\0".join((row.productId, row.warehouseId or "", moment.isoformat()))
    key = f"level {hashlib.sha256(said.encode()).hexdigest()}"
    return Movement(row.productId, "count", row.quantity, row.countedAt, row.warehouseId, None, key)


def _recorded(app: App, connection: Any, make: Sequence[Callable[[], Movement]]) -> list[Outcome]:
    """Book movements; what makes one may say why there is none."""
    outcomes: dict[int, Outcome] = {}
    asked: list[tuple[int, Request]] = []
    for n, one in enumerate(make):
        try:
            asked.append((n, Request(one())))
        except ParameterError as error:
            outcomes[n] = error
        except OverflowError:
            outcomes[n] = ParameterError("its moment is out of range; give the moment at which it happened")

    def act(part: Sequence[tuple[int, Request]]) -> Sequence[Recorded | ShelfwiseError]:
        return recording.record(app, connection, [request for _, request in part], MOVEMENT_SOURCE)

    for (n, _), done in zip(asked, each_alone(connection, asked, act), strict=True):
        outcomes[n] = not done.duplicate if isinstance(done, Recorded) else done
    return [outcomes[n] for n in range(len(make))]


def _lead_times(app: App, connection: Any, rows: Sequence[LeadTimeRow]) -> list[Outcome]:
    columns = ("lead_time_days", "lead_time_sd_days", "name")
    known = {
        row["supplier"]: {name: row[name] for name in columns}
        for row in catalogue.suppliers(connection).iter_rows(named=True)
    }
    changed: dict[str, dict[str, Any]] = {}
    outcomes: list[Outcome] = []
    for row in rows:
        before = known.get(row.supplierId, {})
        says = dict(zip(columns, (row.leadTimeDays, row.leadTimeSdDays, row.name), strict=True))
        said = {name: value for name, value in says.items() if value is not None}
        fresh = any(before.get(name) != value for name, value in said.items())
        outcomes.append(fresh)
        if fresh:
            known[row.supplierId] = changed[row.supplierId] = {**before, **said}
    if changed:
        frame = pl.DataFrame(
            [{"supplier": code, **values} for code, values in changed.items()],
            schema={"supplier": pl.String, **{name: SUPPLIERS.columns[name].dtype for name in columns}},
        )
        catalogue.upsert_suppliers(connection, SUPPLIERS.check(frame))
        jobs.enqueue(connection, [wanted(job_kinds.PUBLISH)])  # how long it takes decides when and how much to order
    return outcomes


def _shipments(app: App, connection: Any, rows: Sequence[ShipmentRow]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for row in rows:  # one by one: the newest row of a shipment holds, and what it finds is what the last one left
        outcomes += each_alone(connection, [row], lambda part: [_Shipment(app, connection, one).book() for one in part])
    return outcomes


class _Shipment:
    """A shipment is of the order it names, where the shop has that one, and otherwise an order by itself.

    Of its own order it decides lines and cancellation; of an order that was made here it says when the goods come and
    that they have come, and quantities stay as they were ordered.
    """

    def __init__(self, app: App, connection: Any, row: ShipmentRow) -> None:
        self._app, self._connection, self._row = app, connection, row
        self._today = app.today()
        self._number, self._own = row.id, True
        self._lines = purchasing.order_lines(connection, row.id)
        if row.purchaseOrder is not None and (self._lines.is_empty() or row.purchaseOrder == row.id):
            named = purchasing.order_lines(connection, row.purchaseOrder)
            if not named.is_empty():
                self._number, self._own, self._lines = row.purchaseOrder, False, named

    def book(self) -> bool:
        """Bring the store up to what the row says; return whether anything changed."""
        status = None if self._lines.is_empty() else self._lines["status"][0]
        if self._row.status == "cancelled":
            return self._cancel(status)
        supplier = self._row.supplierId if status is None else self._lines["supplier"][0]
        if supplier != self._row.supplierId:
            raise DataError(
                f"supplierId: {self._number} is an order at {supplier}, not at {self._row.supplierId}; correct either"
            )
        if status == "cancelled" or (self._own and status == "received"):
            return False  # decided here, and older than that
        if self._row.status == "in_transit":
            return status != "received" and self._on_its_way(status)
        return self._delivered(status)

    def _cancel(self, status: str | None) -> bool:
        if not self._own or status not in purchasing.OPEN:
            return False
        purchasing.cancel(self._connection, self._number)
        self._say("cancelled")
        return True

    def _on_its_way(self, status: str | None) -> bool:
        if status is None:
            self._make()
            return True
        sent = self._sent(status)
        if self._told(self._wanted()) or sent:
            self._say("sent" if sent else status)
            return True
        return False

    def _delivered(self, status: str | None) -> bool:
        moment = recording.shop_moment(self._app, self._moment(), self._app.now())
        placed_on = self._row.orderedOn if status is None else self._lines["ordered_on"][0]
        if placed_on is not None and moment.date() < placed_on:
            raise ParameterError(f"deliveredAt: {self._number} was placed on {placed_on}, so it came later than that")
        if status is None:
            self._make()
        else:
            self._sent(status)
            if self._own:
                self._told(self._wanted())
        placed = self._placed()
        lines = pl.DataFrame([{"product": li.productId, "warehouse": w, "quantity": li.quantity} for li, w in placed])
        done = purchasing.receive(
            self._connection, self._number, lines, received_on=moment, delivery=self._row.id,
            note=Note(MADE_BY, self._app.now(), f"shipment {self._row.id}"), moves_stock=moves_stock(self._app),
        )  # fmt: skip
        if not done.repeated:
            self._say(done.status)
        return not done.repeated

    def _make(self) -> None:
        """Make the shipment's own order, as sent; where no day of the order is told, it has none."""
        ordered_on = self._row.orderedOn
        if ordered_on is not None and ordered_on > self._today:
            raise ParameterError(f"orderedOn: {ordered_on} has not come yet; today is {self._today}")
        rows = self._wanted().with_columns(
            purchase_order=pl.lit(self._number), supplier=pl.lit(self._row.supplierId), quantity_received=pl.lit(0.0),
            ordered_on=pl.lit(ordered_on, dtype=pl.Date), status=pl.lit("sent"),
        )  # fmt: skip
        purchasing.load_order_lines(self._connection, rows)
        if self._row.status == "in_transit":
            self._say("sent")

    def _sent(self, status: str) -> bool:
        """Mark a draft as sent, since its goods are on their way."""
        if status != "draft":
            return False
        purchasing.send(self._connection, self._number, self._row.orderedOn or self._today)
        return True

    def _told(self, lines: pl.DataFrame) -> bool:
        """Change the order's lines to what the shipment says of them; return whether any changed."""
        columns = ["product", "warehouse", "quantity", "unit_cost", "expected_on"]
        known = self._lines.select(columns)
        after = lines.select(columns)
        changed = after.join(known, on=columns, how="anti", nulls_equal=True)
        if changed.is_empty():
            return False
        head = self._lines.select("purchase_order", "supplier", "ordered_on").head(1)
        rows = changed.join(head, how="cross").with_columns(status=pl.lit(None, dtype=pl.String))
        purchasing.load_order_lines(self._connection, rows.with_columns(quantity_received=pl.lit(0.0)))
        return True

    def _wanted(self) -> pl.DataFrame:
        """Return the lines as they are to be; what the shipment leaves unsaid stays as it is."""
        said = pl.DataFrame(
            [
                {"product": line.productId, "warehouse": place, "said": line.quantity, "said_cost": line.unitCost}
                for line, place in self._placed()
            ],
            schema={"product": pl.String, "warehouse": pl.String, "said": pl.Float64, "said_cost": pl.Float64},
        )  # fmt: skip
        expected = pl.lit(self._row.expectedOn, dtype=pl.Date)
        key = ["product", "warehouse"]
        if self._lines.is_empty():
            return said.select(*key, quantity="said", unit_cost="said_cost", expected_on=expected)
        how: Any = "full" if self._own else "left"
        both = self._lines.join(said, on=key, how=how, coalesce=True, maintain_order="left_right")
        is_said = pl.col("said").is_not_null()
        # Of its own order, a line that the shipment no longer has is no longer due.
        rest = pl.col("quantity_received").fill_null(0.0) if self._own else pl.col("quantity")
        return both.select(
            *key,
            quantity=pl.when(is_said & self._own).then("said").otherwise(rest),
            unit_cost=pl.coalesce("said_cost", "unit_cost") if self._own else pl.col("unit_cost"),
            expected_on=pl.when(is_said).then(pl.coalesce(expected, "expected_on")).otherwise("expected_on"),
        )

    def _placed(self) -> list[tuple[Any, str]]:
        """Return the lines with the codes of their warehouses."""
        known = stored.warehouse_codes(self._connection)
        if not self._app.settings.create_unknown_products:
            found = stored.known_products(self._connection, {line.productId for line in self._row.lines})
            missing = [line.productId for line in self._row.lines if line.productId not in found]
            if missing:
                table = catalogue.products(self._connection)
                raise names.not_found("product", missing[0], table["product"].to_list(), table["name"].to_list())
        return [
            (line, recording.place_of(self._connection, known, line.warehouseId, "warehouseId"))
            for line in self._row.lines
        ]

    def _moment(self) -> dt.datetime:
        if self._row.deliveredAt is None:  # the row was checked for it
            raise ParameterError("deliveredAt is missing")
        return self._row.deliveredAt

    def _say(self, status: str) -> None:
        outbox.append(self._connection, self._app.now(), PurchaseOrderChanged(self._number, status))


def moves_stock(app: App) -> bool:
    """Return whether a delivered shipment goes into stock; not where an inventory service reports the same goods."""
    chosen = app.settings.shipments_change_stock
    return chosen == "always" or (chosen == "auto" and app.settings.inventory_sync_url is None)


_BOOK: Final[Mapping[str, Callable[[App, Any, Sequence[Any]], list[Outcome]]]] = {
    "movements": _movements,
    "stock-levels": _stock_levels,
    "lead-times": _lead_times,
    "shipments": _shipments,
}
