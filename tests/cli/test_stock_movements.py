"""Stock by hand and corrections from the command line: what is said, what is refused, and what it changes."""

from __future__ import annotations

import pytest

SALES = """order,line_id,date,product,quantity,price,warehouse
1,L1,2026-11-01 10:00,tea,5,2.50,main
2,L2,2026-11-02 11:00,tea,30,2.50,main
3,L3,2026-11-03 12:00,milk,7,1.20,north
"""


@pytest.fixture
def till(cli, tmp_path):
    """The command line in a shop of two warehouses, 40 of tea counted in main before the first sale."""
    (tmp_path / "sales.csv").write_text(SALES)
    assert cli("import", "sales.csv").code == 0
    assert cli("stock", "count", "tea", "40", "-w", "main", "--at", "2026-11-01").code == 0
    return cli


def on_hand(cli):
    return {(row["product"], row["warehouse"]): row["on_hand"] for row in cli("stock", "--json").data}


def lines(cli, product):
    """Number, kind and quantity of the lines that count."""
    return [
        (row["line"], row["kind"], row["quantity"])
        for row in cli("history", product, "--json").data
        if row["holds"] and row["kind"]
    ]


def test_counts_adjustments_and_transfers_change_stock_and_are_told(till):
    assert "book had 5" in till("stock", "count", "tea", "4", "-w", "main").err
    said = till("stock", "adjust", "tea", "-3", "-w", "main", "--reason", "broken")
    assert "tea in main: 1 on hand" in said.err
    till("stock", "count", "tea", "0", "-w", "north")
    said = till("stock", "transfer", "tea", "--from", "main", "--to", "north", "-q", "2")
    assert "tea in main is at -1: more left than was there" in said.err
    assert on_hand(till) == {("tea", "main"): -1, ("tea", "north"): 2}
    newest = till("history", "tea", "--json").data[0]
    assert (newest["kind"], newest["warehouse"], newest["quantity"]) == ("transfer", "north", 2)
    assert newest["by"]


def test_a_correction_is_added_and_a_revert_too_and_the_line_stays(till):
    [wrong] = [number for number, kind, quantity in lines(till, "tea") if (kind, quantity) == ("sale", 30)]
    said = till("stock", "correct", str(wrong), "--quantity", "3", "--reason", "typed a zero")
    assert said.code == 0
    assert f"line {wrong}: sale of 30 tea in main" in said.err
    assert on_hand(till) == {("tea", "main"): 32}
    told = till("history", "tea").out
    assert "typed a zero" in told
    assert till("stock", "correct", str(wrong), "--quantity", "3", "--reason", "again").code == 1
    assert till("stock", "revert", "1", "--reason", "it was 30").code == 0
    assert on_hand(till) == {("tea", "main"): 5}
    records = [row["record"] for row in till("history", "tea", "--json").data if row["line"] == wrong]
    assert records == ["booked", "corrected", "reverted"]
    assert till("stock", "revert", "1", "--reason", "again").code == 1


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["count", "tee", "4", "-w", "main"], 3, "there is no product 'tee'; the nearest is tea"),
        (["count", "tea", "4", "-w", "man"], 3, "there is no warehouse 'man'; the nearest is main"),
        (["count", "tea", "4"], 2, "the shop has 2 warehouses; name one with --warehouse: main, north"),
        (["count", "tea", "-4", "-w", "main"], 2, "zero or more units, got -4"),
        (["count", "tea", "4", "-w", "main", "--at", "2099-01-01"], 2, "has not come yet"),
        (["count", "tea", "4", "-w", "main", "--at", "1.2."], 2, "give a day like 2026-11-21"),
        (["adjust", "tea", "0", "-w", "main", "--reason", "x"], 2, "an adjustment is of some units"),
        (["adjust", "tea", "1", "-w", "main", "--reason", " "], 2, "give a reason"),
        (["transfer", "tea", "--from", "main", "--to", "main", "-q", "1"], 2, "from main to itself"),
        (["transfer", "tea", "--from", "main", "--to", "north", "-q", "0"], 2, "more than zero units"),
        (["correct", "999", "--remove", "--reason", "x"], 3, "line 999 is not booked"),
        (["correct", "1", "--reason", "x"], 2, "say what the line should say"),
        (["correct", "1", "--quantity", "-2", "--reason", "x"], 2, "a sale has zero or more units, got -2"),
        (["correct", "1", "--remove", "--quantity", "2", "--reason", "x"], 2, "counts no more has no other quantity"),
        (["revert", "7", "--reason", "x"], 3, "there is no correction 7"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(till, words, code, answer):
    before = on_hand(till), lines(till, "tea")
    said = till("stock", *words)
    assert (said.code, answer in said.err) == (code, True), said.err
    assert (on_hand(till), lines(till, "tea")) == before


def test_the_same_transfer_sent_twice_is_booked_once_and_another_under_its_id_is_refused(till):
    move = ["stock", "transfer", "tea", "--from", "main", "--to", "north", "--id", "T1", "-q"]
    assert till(*move, "2").code == 0
    again = till(*move, "2")
    assert (again.code, "booked before" in again.err) == (0, True)
    other = till(*move, "3")
    assert (other.code, "something else is booked as transfer 'T1'" in other.err) == (1, True)
    assert on_hand(till)["tea", "main"] == 3


def test_a_line_of_an_undone_import_can_be_corrected_no_more(till):
    [wrong] = [number for number, _, quantity in lines(till, "tea") if quantity == 30]
    assert till("imports", "undo", "1").code == 0
    said = till("stock", "correct", str(wrong), "--remove", "--reason", "x")
    assert (said.code, "an undone import takes its lines with it" in said.err) == (3, True)


def test_a_file_that_says_something_else_of_booked_lines_is_told_and_corrects_them_when_asked(till, tmp_path):
    (tmp_path / "again.csv").write_text(SALES.replace(",30,", ",3,") + "4,L4,2026-11-04 12:00,milk,1,1.20,north\n")
    told = till("import", "again.csv")
    assert "1 line had been booked before with something else, which still counts" in told.err
    assert "line L2: quantity 30 -> 3" in told.err
    assert on_hand(till) == {("tea", "main"): 5}
    asked = till("import", "again.csv", "--correct", "--json").data
    assert (asked["differing_lines"], asked["corrected_lines"]) == (1, 1)
    assert on_hand(till) == {("tea", "main"): 32}
    assert "nothing to do" in till("import", "again.csv", "--correct").err
    till("imports", "undo", str(asked["import_id"]))
    assert on_hand(till) == {("tea", "main"): 5}


def test_a_delivery_is_booked_once_by_its_number(shop):
    assert shop("order", "--approve", "all").code == 0
    number = shop("purchase-orders", "--status", "draft", "--json").data[0]["purchase_order"]
    shop("purchase-orders", "--send", number)
    line = shop("purchase-orders", number, "--json").data[0]
    part = f"{line['product']}@{line['warehouse']}=1"
    assert shop("receive", number, "--lines", part, "--delivery", "N-1").code == 0
    again = shop("receive", number, "--lines", part, "--delivery", "N-1")
    assert (again.code, "booked before: nothing to do" in again.err) == (0, True)
    assert shop("purchase-orders", number, "--json").data[0]["quantity_received"] == 1
