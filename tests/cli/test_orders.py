"""The order command: data on stdout, talk on stderr, decisions kept and respected."""

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from openpyxl import load_workbook

from shelfwise.domain.frames import PROPOSAL_LINES


def test_something_to_order_today_exits_4(shop) -> None:
    said = shop("order", "--json")
    assert said.code == 4
    assert said.data["action_needed"] is True
    assert any(order["order_by"] == said.data["as_of"] for order in said.data["orders"])


def test_json_is_one_document_with_every_number_of_a_line(shop) -> None:
    document = shop("order", "--json").data
    assert set(PROPOSAL_LINES.columns) <= set(document["lines"][0])
    for line in document["lines"]:
        assert line["demand"] + line["safety"] - line["on_hand"] - line["due"] == line["net"]
        assert line["quantity"] == line["rounded"] + line["top_up"] - (line["cut"] or 0)
        assert line["quantity"] % line["pack_size"] == 0


def test_the_orders_are_the_sums_of_their_lines(shop) -> None:
    document = shop("order", "--json").data
    for order in document["orders"]:
        own = [line for line in document["lines"] if line["supplier"] == order["supplier"]]
        assert len(own) == order["lines"]
        assert sum(line["cost"] for line in own) == pytest.approx(order["value"])


def test_csv_has_a_row_for_each_line_and_nothing_else(shop) -> None:
    said = shop("order", "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["unique_id"] for row in rows] == [line["unique_id"] for line in shop("order", "--json").data["lines"]]


def test_the_text_shows_every_sum_uncut_at_80_columns(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = shop("order").out
    for line in shop("order", "--json").data["lines"]:
        assert line["arithmetic"] in out
    assert "!" not in out
    assert "confidence" not in out


def test_names_give_way_at_80_columns(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [row for row in shop("order").out.splitlines() if row.startswith("  ") and not row.startswith("      ")]
    lines = [row for row in rows if "@" in row]
    assert lines
    assert max(len(row) for row in lines) <= 80


def test_a_plan_that_holds_is_shown_again(shop) -> None:
    assert shop("order", "--json").data["plan"] == shop("order", "--json").data["plan"] == 1


def test_another_service_level_is_another_plan_and_never_orders_less(shop) -> None:
    usual = {line["unique_id"]: line["quantity"] for line in shop("order", "--json").data["lines"]}
    lean = {x["unique_id"]: x["quantity"] for x in shop("order", "--service", "80%", "--json").data["lines"]}
    assert sum(lean.values()) < sum(usual.values())
    assert all(units <= usual.get(name, 0) for name, units in lean.items())


def test_a_trial_keeps_no_plan(shop) -> None:
    assert shop("order", "--dry-run", "--service", "0.9", "--json").data["plan"] is None
    assert shop("order", "--json").data["plan"] == 1


def test_an_approved_supplier_becomes_a_draft_and_is_not_proposed_again(shop) -> None:
    before = shop("order", "--json").data
    code = before["orders"][0]["supplier"]
    own = [line for line in before["lines"] if line["supplier"] == code]
    said = shop("order", "--approve", code, "--json")
    assert said.code == 0
    assert "PO-" in said.err
    drafts = shop("purchase-orders", "--status", "draft", "--json").data
    assert [(d["supplier"], d["lines"], d["units"]) for d in drafts] == [
        (code, len(own), sum(x["quantity"] for x in own))
    ]
    again = shop("order", "--json").data
    assert [line for line in again["lines"] if line["supplier"] == code] == []


def test_an_approval_can_be_undone_and_takes_its_draft_with_it(shop) -> None:
    before = shop("order", "--json").data
    code = before["orders"][0]["supplier"]
    shop("order", "--approve", code)
    assert shop("order", "--undo", code).code == 0
    assert shop("purchase-orders", "--status", "draft", "--json").data == []
    after = shop("order", "--json").data
    assert [x["unique_id"] for x in after["lines"]] == [x["unique_id"] for x in before["lines"]]


def test_an_edit_needs_a_reason_and_changes_the_order(shop) -> None:
    line = shop("order", "--json").data["lines"][0]
    name = line["unique_id"]
    refused = shop("order", "--edit", f"{name}=7")
    assert refused.code == 2
    assert "reason" in refused.err
    assert shop("order", "--edit", f"{name}=7", "--reason", "shelf is small").code == 0
    edited = next(x for x in shop("order", "--json").data["lines"] if x["unique_id"] == name)
    assert (edited["quantity"], edited["proposed"], edited["status"]) == (7, line["quantity"], "edited")
    shop("order", "--approve", name)
    number = shop("purchase-orders", "--status", "draft", "--json").data[0]["purchase_order"]
    assert shop("purchase-orders", number, "--json").data[0]["quantity"] == 7


def test_rejected_and_snoozed_lines_stay_away_when_the_plan_is_made_anew(shop) -> None:
    lines = shop("order", "--json").data["lines"]
    rejected, snoozed, other = (line["unique_id"] for line in lines[:3])
    assert shop("order", "--reject", rejected, "--reason", "going out of range").code == 0
    assert shop("order", "--snooze", f"{snoozed}=2024-12-01").code == 0
    shop("suppliers", "edit", lines[2]["supplier"], "--lead-time-sd", "2.5")  # something changes
    again = shop("order", "--json").data
    assert again["plan"] == 2
    shown = {line["unique_id"] for line in again["lines"]}
    assert rejected not in shown
    assert snoozed not in shown
    assert other in shown
    assert "1 rejected" in shop("order").err


def test_undo_brings_a_line_back(shop) -> None:
    name = shop("order", "--json").data["lines"][0]["unique_id"]
    shop("order", "--reject", name, "--reason", "no")
    assert name not in {x["unique_id"] for x in shop("order", "--json").data["lines"]}
    assert shop("order", "--undo", name).code == 0
    assert name in {x["unique_id"] for x in shop("order", "--json").data["lines"]}


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--edit", "CF-1007"], 2, "LINE=QTY"),
        (["--edit", "CF-1007=many"], 2, "number of units"),
        (["--edit", "CF-1007=12", "--reason", "r"], 2, "CF-1007@SHOP"),
        (["--snooze", "CF-1007=soon"], 2, "2026-12-01"),
        (["--snooze", "CF-1007@SHOP=2024-11-01"], 2, "later day"),
        (["--approve", "S-BRIM"], 3, "there is no line"),
        (["--approve", "all", "--dry-run"], 2, "--dry-run"),
        (["--supplier", "Okkerdale"], 3, "S-OKKE"),
        (["--service", "ninety"], 2, "ninety"),
        (["--lead-time", "-1"], 2, "--lead-time"),
        (["--undo", "all"], 1, "nothing was decided"),
    ],
)
def test_a_refusal_says_value_rule_and_way_out(shop, arguments: list[str], code: int, part: str) -> None:
    said = shop("order", *arguments)
    assert said.code == code, said.err
    assert part in said.err
    assert "Traceback" not in said.err


def test_one_suppliers_lines_alone_are_shown_by_code_or_name(shop) -> None:
    by_code = shop("order", "--supplier", "s-okke", "--json").data
    by_name = shop("order", "--supplier", "Okkerdal Paper & Clay", "--json").data
    assert {line["supplier"] for line in by_code["lines"]} == {"S-OKKE"}
    assert by_name["lines"] == by_code["lines"]


def test_the_export_is_a_workbook_and_a_csv_for_each_supplier(shop, tmp_path: Path) -> None:
    said = shop("order", "--export", "out", "--json")
    orders = said.data["orders"]
    book = load_workbook(tmp_path / "out" / "orders-2024-11-18.xlsx")
    assert sorted(book.sheetnames) == sorted(order["supplier"] for order in orders)
    assert len(list((tmp_path / "out").glob("*.csv"))) == len(orders)
    assert "saved out/orders-2024-11-18.xlsx" in said.err.replace("\\", "/")


def test_a_delivery_raises_the_stock_and_closes_the_order(shop) -> None:
    lines = shop("order", "--json").data["lines"]
    line = lines[0]
    shop("order", "--approve", line["unique_id"])
    number = shop("purchase-orders", "--status", "draft", "--json").data[0]["purchase_order"]
    draft = shop("receive", number)
    assert draft.code == 1
    assert f"--send {number}" in draft.err
    assert "is sent" in shop("purchase-orders", "--send", number, "--on", "2024-11-18").err
    before = _on_hand(shop, line["product"])
    half = int(line["quantity"] // 2)
    part = shop("receive", number, "--lines", f"{line['product']}={half}")
    assert "part received" in part.err
    assert _on_hand(shop, line["product"]) == before + half
    rest = shop("receive", number, "--json")
    assert rest.data[0]["quantity"] == line["quantity"] - half
    assert _on_hand(shop, line["product"]) == before + line["quantity"]
    refused = shop("receive", number)
    assert refused.code == 1
    assert "received" in refused.err


def _on_hand(shop, product: str) -> float:
    return next(row["on_hand"] for row in shop("products", "--json").data if row["product"] == product)


def test_an_unknown_order_is_answered_with_the_nearest(shop) -> None:
    said = shop("receive", "PO-99999")
    assert said.code == 3
    assert "PO-" in said.err.partition("nearest")[2]


def test_the_days_of_a_plan_rise_from_the_day_after_the_data(shop) -> None:
    document = shop("order", "--json").data
    as_of = dt.date.fromisoformat(document["as_of"])
    assert dt.date.fromisoformat(document["data_until"]) == as_of - dt.timedelta(days=1)
    for order in document["orders"]:
        assert as_of <= dt.date.fromisoformat(order["order_by"]) < dt.date.fromisoformat(order["arrives_on"])


def test_approving_and_exporting_at_once_writes_the_orders_that_were_drafted(shop, tmp_path: Path) -> None:
    lines = shop("order", "--json").data["lines"]
    said = shop("order", "--approve", "all", "--export", "out", "--json")
    rows = [
        row
        for path in (tmp_path / "out").glob("*.csv")
        for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    ]
    assert {row["Product"]: 0 for row in rows} == {line["product"]: 0 for line in lines}
    assert sum(float(row["Quantity"]) for row in rows) == sum(line["quantity"] for line in lines)
    assert all(row["Purchase order"] in said.err for row in rows)


def test_exporting_when_no_line_is_open_writes_nothing_and_says_where_the_orders_are(shop, tmp_path: Path) -> None:
    shop("order", "--approve", "all")
    said = shop("order", "--export", "out")
    assert not (tmp_path / "out").exists()
    assert "purchase-orders --export out" in said.err


def test_an_order_is_neither_placed_nor_received_on_a_day_to_come(shop) -> None:
    name = shop("order", "--json").data["lines"][0]["unique_id"]
    shop("order", "--approve", name)
    number = shop("purchase-orders", "--status", "draft", "--json").data[0]["purchase_order"]
    ahead = shop("purchase-orders", "--send", number, "--on", "2924-11-18")
    assert ahead.code == 2
    assert "2924-11-18; today is" in ahead.err
    shop("purchase-orders", "--send", number, "--on", "2024-11-18")
    assert "2924-11-20; today is" in shop("receive", number, "--on", "2924-11-20").err
    before = shop("receive", number, "--on", "2024-11-17")
    assert before.code == 2
    assert "placed on 2024-11-18" in before.err
    assert shop("receive", number, "--on", "2024-11-20").code == 0


def test_a_plan_from_old_data_says_since_when_orders_are_due_and_exits_4(shop) -> None:
    later = "S-QANL"  # its order day is after the day of the plan
    said = shop("order", "--supplier", later)
    assert shop("order", "--supplier", later, "--json").data["action_needed"] is True
    assert said.code == 4
    assert "The first order was due on" in said.err
    assert "import newer sales first" in said.err
    assert "today" not in said.err


def test_a_budget_is_kept_and_said_in_words(shop) -> None:
    whole = sum(line["cost"] for line in shop("order", "--json").data["lines"])
    said = shop("order", "--budget", f"{whole / 3:.0f}")
    assert f"of EUR {whole / 3:,.0f} spent; one EUR more would save about EUR" in said.err
    assert "for the budget ->" in said.out
    document = shop("order", "--budget", f"{whole / 3:.0f}", "--json").data
    assert sum(line["cost"] for line in document["lines"]) <= whole / 3
    assert document["budget"]["asked"] == pytest.approx(whole)


def test_a_budget_that_buys_nothing_is_not_said_to_be_enough(shop) -> None:
    said = shop("order", "--budget", "0")
    assert "within the budget" in said.err
    assert "Nothing to order" not in said.err


def test_what_is_changed_by_hand_is_paid_for_first(shop) -> None:
    line = shop("order", "--json").data["lines"][0]
    shop("override", "order", line["unique_id"], f"{line['quantity'] * 10:.0f}", "--reason", "a big event")
    said = shop("order", "--budget", f"{line['cost']:.0f}")
    spent = sum(one["cost"] for one in shop("order", "--budget", f"{line['cost']:.0f}", "--json").data["lines"])
    assert f"Budget: EUR {spent:,.0f} of EUR {line['cost']:,.0f} spent" in said.err
    assert f"what people decided on takes {spent:,.0f} already" in said.err


def test_what_a_budget_leaves_out_is_not_said_to_be_at_no_risk(shop) -> None:
    whole = sum(line["cost"] for line in shop("order", "--json").data["lines"])
    assert "of margin at risk until the orders after these could come, if nothing is ordered" in shop("order").err
    assert "of margin at risk in these lines until the orders" in shop("order", "--budget", f"{whole / 3:.0f}").err


@pytest.mark.parametrize("wrong", ["much", "S-BRIN=", "=5", "S-BRIN=much"])
def test_a_budget_that_is_no_amount_is_a_usage_error(shop, wrong: str) -> None:
    said = shop("order", "--budget", wrong)
    assert said.code == 2
    assert "S-BRIN=2000" in said.err


def test_explain_shows_levels_and_demand_of_every_line(shop) -> None:
    document = shop("order", "--explain", "--json").data
    assert [row["unique_id"] for row in document["details"]] == [line["unique_id"] for line in document["lines"]]
    out = shop("order", "--explain").out
    assert out.count("by cost alone: reorder at") == len(document["lines"])
    assert out.count("stock that runs out before the next order comes") == len(document["lines"])


def test_explain_needs_a_plan_that_is_kept(shop) -> None:
    assert shop("order", "--explain", "--dry-run").code == 2
