"""Purchase orders walk from draft to received, and their receipts tell lead times."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.storage.worlds import moment

from shelfwise.domain.errors import ConflictError, DataError, NotFound, ParameterError
from shelfwise.domain.frames import PURCHASE_ORDER_LINES, RECEIPTS
from shelfwise.storage import purchasing
from shelfwise.storage.database import Database
from shelfwise.storage.stock import daily_on_hand, set_stock_levels, stock_levels

NOW = moment("2026-01-05 09:00")
TWO_LINES = pl.DataFrame(
    {
        "product": ["tea", "milk"],
        "warehouse": ["main", "back"],
        "quantity": [24.0, 6.0],
        "unit_cost": [1.5, None],
        "expected_on": [date(2026, 1, 20), None],
    }
)


@pytest.fixture
def number(database: Database) -> str:
    with database.write() as connection:
        return purchasing.create_purchase_order(
            connection, "north", TWO_LINES, created_at=NOW, expected_on=date(2026, 1, 21), note="ring first"
        )


def walk(database: Database, number: str, state: str) -> None:
    """Bring a draft into a state."""
    with database.write() as connection:
        if state == "cancelled":
            purchasing.cancel(connection, number)
        elif state != "draft":
            purchasing.send(connection, number, date(2026, 1, 6))
        if state == "part_received":
            lines = pl.DataFrame({"product": ["tea"], "quantity": [1.0]})
            purchasing.receive(connection, number, lines, received_on=date(2026, 1, 9))
        elif state == "received":
            purchasing.receive(connection, number, received_on=date(2026, 1, 9))


def status(database: Database, number: str) -> str:
    with database.read() as connection:
        orders = purchasing.purchase_orders(connection).filter(pl.col("purchase_order") == number)
    return str(orders["status"].unique().item())


def test_a_draft_comes_back_as_it_was_written(database: Database, number: str) -> None:
    expected = TWO_LINES.with_columns(
        purchase_order=pl.lit("PO-000001"),
        supplier=pl.lit("north"),
        status=pl.lit("draft"),
        quantity_received=0.0,
        expected_on=pl.Series([date(2026, 1, 20), date(2026, 1, 21)]),
    )
    with database.read() as connection:
        read = purchasing.purchase_orders(connection, "draft")
        assert purchasing.purchase_orders(connection, "sent").is_empty()
    assert number == "PO-000001"
    assert_frame_equal(read, PURCHASE_ORDER_LINES.check(expected))


STEPS = {
    "send": lambda connection, number: purchasing.send(connection, number, date(2026, 1, 6)),
    "receive": lambda connection, number: purchasing.receive(connection, number, received_on=date(2026, 1, 9)),
    "cancel": purchasing.cancel,
}
ALLOWED = {
    ("draft", "send"): "sent",
    ("draft", "cancel"): "cancelled",
    ("sent", "receive"): "received",
    ("sent", "cancel"): "cancelled",
    ("part_received", "receive"): "received",
    ("part_received", "cancel"): "cancelled",
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", ["draft", "sent", "part_received", "received", "cancelled"])
def test_only_the_drawn_steps_are_taken(database: Database, number: str, state: str, step: str) -> None:
    walk(database, number, state)
    if (state, step) in ALLOWED:
        with database.write() as connection:
            STEPS[step](connection, number)
        assert status(database, number) == ALLOWED[state, step]
        return
    words = f"cannot {step} .*: it is {state.replace('_', ' ')}; "
    with database.write() as connection, pytest.raises(ConflictError, match=words):
        STEPS[step](connection, number)
    assert status(database, number) == state


@pytest.mark.parametrize(
    ("state", "due"),
    [("draft", 30.0), ("sent", 30.0), ("part_received", 29.0), ("received", 0.0), ("cancelled", 0.0)],
)
def test_what_is_open_counts_as_incoming_from_the_draft_on(
    database: Database, number: str, state: str, due: float
) -> None:
    walk(database, number, state)
    with database.read() as connection:
        lines = purchasing.open_order_lines(connection)
        earlier = purchasing.open_order_lines(connection, as_of=date(2026, 1, 5))
    assert (lines["quantity"] - lines["quantity_received"]).sum() == due
    assert earlier.height == (2 if state == "draft" else 0)


def days_taken(receipts: pl.DataFrame) -> list[int | None]:
    return receipts.select((pl.col("received_on") - pl.col("ordered_on")).dt.total_days()).to_series().to_list()


def test_a_delivery_moves_stock_once_and_books_receipts(database: Database, number: str) -> None:
    walk(database, number, "sent")
    levels = {"product": ["tea", "milk"], "warehouse": ["main", "back"], "on_hand": [10.0, 0.0], "as_of": NOW}
    with database.write() as connection:
        set_stock_levels(connection, pl.DataFrame(levels))
        lines = pl.DataFrame({"product": ["tea"], "warehouse": ["main"], "quantity": [20.0]})
        first = purchasing.receive(connection, number, lines, received_on=moment("2026-01-18 15:00"))
        second = purchasing.receive(connection, number, received_on=date(2026, 1, 20))
        on_hand = dict(stock_levels(connection).select("product", "on_hand").iter_rows())
        history = daily_on_hand(connection).filter(pl.col("product") == "tea", pl.col("day") == date(2026, 1, 18))
        receipts = purchasing.receipts(connection)
    assert (first.status, second.status) == ("part_received", "received")
    assert on_hand == {"tea": 34.0, "milk": 6.0}
    assert history["on_hand"].to_list() == [30.0]
    assert first.over.is_empty()
    assert second.over.is_empty()
    expected = {
        "purchase_order": [number] * 3,
        "supplier": ["north"] * 3,
        "product": ["tea", "tea", "milk"],
        "warehouse": ["main", "main", "back"],
        "quantity": [20.0, 4.0, 6.0],
        "ordered_on": [date(2026, 1, 6)] * 3,
        "received_on": [date(2026, 1, 18), date(2026, 1, 20), date(2026, 1, 20)],
    }
    assert_frame_equal(receipts, RECEIPTS.check(pl.DataFrame(expected)))
    assert_frame_equal(pl.concat([first.booked, second.booked]), receipts)
    assert days_taken(receipts) == [12, 14, 14]


def test_more_than_was_ordered_is_booked_and_reported(database: Database, number: str) -> None:
    walk(database, number, "sent")
    with database.write() as connection:
        lines = pl.DataFrame({"product": ["tea", "tea", "milk"], "quantity": [20.0, 10.0, 6.0]})
        done = purchasing.receive(connection, number, lines, received_on=date(2026, 1, 18))
        assert purchasing.receipts(connection)["quantity"].sum() == 36.0
    assert done.status == "received"
    assert done.over.rows() == [("tea", "main", 24.0, 30.0, 6.0)]


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        ({"product": ["coffee"], "quantity": [1.0]}, NotFound, "'coffee' is not on .*; on it are milk, tea"),
        ({"product": ["tea"], "warehouse": ["back"], "quantity": [1.0]}, NotFound, "'tea' for 'back' is not on"),
        ({"product": ["tea"], "quantity": [0.0]}, DataError, "give a quantity above 0"),
        ({"product": ["tea"], "quantity": [float("nan")]}, DataError, "give a quantity above 0"),
        ({"product": [], "quantity": []}, DataError, "give at least one line"),
    ],
)
def test_a_delivery_that_does_not_fit_the_order_books_nothing(
    database: Database, number: str, lines: dict[str, list[object]], error: type[Exception], words: str
) -> None:
    walk(database, number, "sent")
    with pytest.raises(error, match=words), database.write() as connection:
        purchasing.receive(connection, number, pl.DataFrame(lines), received_on=date(2026, 1, 18))
    with database.read() as connection:
        assert purchasing.receipts(connection).is_empty()
    assert status(database, number) == "sent"


def test_a_product_ordered_for_two_warehouses_must_say_which_one_came(database: Database) -> None:
    two = pl.DataFrame({"product": ["tea", "tea"], "warehouse": ["main", "back"], "quantity": [1.0, 2.0]})
    with database.write() as connection:
        number = purchasing.create_purchase_order(connection, "north", two, created_at=NOW, number="A/7")
        purchasing.send(connection, number, date(2026, 1, 6))
        one = pl.DataFrame({"product": ["tea"], "quantity": [1.0]})
        with pytest.raises(DataError, match="for main, back; name the warehouse"):
            purchasing.receive(connection, number, one, received_on=date(2026, 1, 7))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (TWO_LINES.clear(), "has no lines"),
        (TWO_LINES.with_columns(quantity=0.0), "orders 0 units of 'tea'"),
        (pl.concat([TWO_LINES, TWO_LINES]), "more than once"),
    ],
)
def test_an_order_of_nothing_or_of_a_line_twice_is_refused(database: Database, lines: pl.DataFrame, words: str) -> None:
    with database.write() as connection, pytest.raises(DataError, match=words):
        purchasing.create_purchase_order(connection, "north", lines, created_at=NOW)


def test_numbers_are_given_once(database: Database, number: str) -> None:
    with database.write() as connection:
        with pytest.raises(ConflictError, match="there is a purchase order 'PO-000001' already"):
            purchasing.create_purchase_order(connection, "north", TWO_LINES, created_at=NOW, number=number)
        taken = purchasing.create_purchase_order(connection, "n", TWO_LINES, created_at=NOW, number="PO-000003")
        following = purchasing.create_purchase_order(connection, "north", TWO_LINES, created_at=NOW)
    assert len({number, taken, following}) == 3


def test_an_unknown_order_or_state_is_answered_with_near_names(database: Database, number: str) -> None:
    with database.write() as connection:
        with pytest.raises(NotFound, match="near it: PO-000001"):
            purchasing.cancel(connection, "PO-00001")
        with pytest.raises(ParameterError, match="the states are draft, sent"):
            purchasing.purchase_orders(connection, "open")


IMPORTED = PURCHASE_ORDER_LINES.check(
    pl.DataFrame(
        {
            "purchase_order": ["4711", "4711", "4712"],
            "supplier": ["north", "north", "south"],
            "product": ["milk", "tea", "tea"],
            "warehouse": ["main"] * 3,
            "quantity": [6.0, 24.0, 12.0],
            "quantity_received": [0.0, 10.0, 0.0],
            "unit_cost": [None, 1.5, 1.4],
            "ordered_on": [date(2026, 1, 2), date(2026, 1, 2), None],
            "expected_on": [None, date(2026, 1, 9), None],
            "status": ["part_received", "part_received", "draft"],
        }
    )
)


def test_imported_orders_come_back_and_can_be_imported_again(database: Database) -> None:
    with database.write() as connection:
        for _ in range(2):
            assert purchasing.load_order_lines(connection, IMPORTED) == 3
            assert_frame_equal(purchasing.purchase_orders(connection), IMPORTED, check_row_order=False)
        assert stock_levels(connection).is_empty()
        assert purchasing.open_order_lines(connection).height == 3


def test_an_imported_order_without_a_state_is_sent_and_later_keeps_its_own(database: Database) -> None:
    bare = IMPORTED.filter(pl.col("purchase_order") == "4712").with_columns(status=pl.lit(None, dtype=pl.String))
    with database.write() as connection:
        purchasing.load_order_lines(connection, bare)
        assert purchasing.purchase_orders(connection)["status"].to_list() == ["sent"]
        purchasing.cancel(connection, "4712")
        purchasing.load_order_lines(connection, bare)
        assert purchasing.purchase_orders(connection)["status"].to_list() == ["cancelled"]


def test_past_receipts_tell_lead_times_once_and_leave_stock_alone(database: Database) -> None:
    past = RECEIPTS.check(
        pl.DataFrame(
            {
                "purchase_order": ["4711", "4711", "4711", "0815"],
                "supplier": ["north", "north", "north", "south"],
                "product": ["tea", "tea", "tea", "tea"],
                "warehouse": ["main"] * 4,
                "quantity": [6.0, 6.0, 3.0, 48.0],
                "ordered_on": [date(2026, 1, 2)] * 3 + [None],
                "received_on": [date(2026, 1, 9), date(2026, 1, 9), date(2026, 1, 12), date(2025, 6, 1)],
            }
        )
    )
    with database.write() as connection:
        purchasing.load_order_lines(connection, IMPORTED)
        assert purchasing.load_receipts(connection, past) == 3
        assert purchasing.load_receipts(connection, past) == 0
        tea = purchasing.purchase_orders(connection).filter(product="tea")
        assert dict(tea.select("purchase_order", "quantity_received").iter_rows()) == {
            "4711": 15,
            "4712": 0,
            "0815": 48,
        }
        assert tea.filter(purchase_order="0815").select("quantity", "status").row(0) == (48.0, "received")
        assert days_taken(purchasing.receipts(connection)) == [None, 7, 10]
        assert stock_levels(connection).is_empty()
