"""The commands that show and correct what is known: products, suppliers, settings, health, the database."""

import csv
import io
import re
import sqlite3
from pathlib import Path

import pytest

from shelfwise import logs


def test_products_are_listed_with_their_stock(shop) -> None:
    rows = shop("products", "--json").data
    assert len(rows) == 60
    assert {"product", "name", "supplier", "on_hand", "unit_cost"} <= set(rows[0])
    assert len(list(csv.DictReader(io.StringIO(shop("products", "--csv").out)))) == 60
    assert len(shop("products").out.splitlines()) == 61


def test_editing_a_product_changes_what_is_given_and_nothing_else(shop) -> None:
    before = shop("products", "--json").data[0]
    assert shop("products", "edit", before["name"], "--pack", "5", "--cost", "2.5").code == 0
    after = shop("products", "--json").data[0]
    assert (after["pack_size"], after["unit_cost"]) == (5, 2.5)
    assert {k: v for k, v in after.items() if k not in ("pack_size", "unit_cost")} == {
        k: v for k, v in before.items() if k not in ("pack_size", "unit_cost")
    }


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["products", "edit", "CF-1007"], 2, "nothing to change"),
        (["products", "edit", "CF-1007", "--pack", "0"], 3, "above zero"),
        (["products", "edit", "CF-10077", "--cost", "1"], 3, "nearest"),
        (["suppliers", "edit", "S-OKK", "--lead-time", "3"], 3, "S-OKKE"),
        (["suppliers", "edit", "S-OKKE", "--order-days", "someday"], 2, "mon,thu"),
        (["why", "no such thing"], 3, "there is no product"),
        (["forecast", "--product", "no such thing"], 3, "there is no product"),
        (["forecast", "--model", "oracle"], 2, "seasonal_naive"),
        (["forecast", "--horizon", "0"], 2, "horizon"),
        (["backtest", "--cutoffs", "400"], 2, "history"),
        (["receive", "PO-00001", "--lines", "CF-1007"], 2, "PRODUCT=QTY"),
        (["purchase-orders", "--status", "lost"], 2, "draft"),
    ],
)
def test_a_refusal_says_value_rule_and_way_out(shop, arguments: list[str], code: int, part: str) -> None:
    said = shop(*arguments)
    assert said.code == code, said.err
    assert part in said.err
    assert said.out == ""


def test_a_supplier_can_be_added_and_corrected(shop) -> None:
    assert shop("suppliers", "edit", "S-NEW", "--new", "--name", "Northbean", "--lead-time", "6").code == 0
    assert shop("suppliers", "edit", "northbean", "--order-days", "mon,thu").code == 0
    row = next(row for row in shop("suppliers", "--json").data if row["supplier"] == "S-NEW")
    assert (row["lead_time_days"], row["order_weekdays"], row["used_days"]) == (6, "mon,thu", 6)


def test_a_forecast_has_a_row_for_each_line_or_each_day(shop) -> None:
    totals = shop("forecast", "--json", "--horizon", "14", "--product", "CF-1007").data
    assert {row["warehouse"] for row in totals} == {"SHOP", "WEB"}
    assert all(row["low"] <= row["median"] <= row["high"] for row in totals)
    daily = shop("forecast", "--json", "--daily", "--horizon", "14", "--product", "CF-1007").data
    assert len(daily) == 28
    assert sum(row["mean"] for row in daily) == pytest.approx(sum(row["mean"] for row in totals))


def test_a_price_is_planned_and_read_back_in_words(shop) -> None:
    said = shop("products", "price", "CF-1007", "4.5", "--from", "2024-12-02", "--until", "2024-12-08")
    assert (said.code, said.out) == (0, "")
    assert re.search(r"CF-1007: 4\.50 from .*2 Dec.* to .*8 Dec", said.err)
    assert shop("products", "price", "CF-1007", "4.5").code == 2
    wrong = shop("products", "price", "CF-1007", "4.5", "--from", "2024-12-02", "--until", "2024-12-01")
    assert (wrong.code, "before the first day" in wrong.err) == (2, True)


def test_a_forecast_is_explained_by_cause_in_a_table_or_as_data(shop) -> None:
    asked = ("--horizon", "14", "--product", "CF-1007", "--model", "base_level")
    total = {row["unique_id"]: row["mean"] for row in shop("forecast", "--json", *asked).data}
    rows = shop("forecast", "--json", "--explain", *asked).data
    for unique_id, mean in total.items():
        assert sum(row["units"] for row in rows if row["unique_id"] == unique_id) == pytest.approx(mean)
    lines = shop("forecast", "--explain", "--csv", *asked).out.splitlines()
    assert lines[0] == "unique_id,product,warehouse,name,kind,part,units"
    assert len(lines) == len(rows) + 1
    said = shop("forecast", "--explain", *asked)
    table = said.out.splitlines()
    assert table[0].split()[:4] == ["product", "warehouse", "name", "usual"]
    assert table[0].split()[-1] == "sells"
    assert len(table) == 1 + len(total)
    assert "of late: recent sales" in said.err
    assert len(shop("forecast", "--explain", "--daily", *asked).out.splitlines()) == 1 + 14 * len(total)


def test_a_backtest_compares_with_the_naive_method_and_says_its_calibration(shop) -> None:
    said = shop("backtest", "--cutoffs", "2", "--horizon", "14")
    assert said.code == 0
    assert "seasonal_naive" in said.out
    assert re.search(r"\d+ % of the days came within the 80 % range of auto", said.err)


def test_why_explains_in_text_and_json(shop) -> None:
    line = shop("order", "--json").data["lines"][0]
    said = shop("why", line["unique_id"])
    assert said.code == 0
    assert line["arithmetic"] in said.out
    (document,) = shop("why", line["unique_id"], "--json").data
    assert document["line"]["arithmetic"] == line["arithmetic"]
    assert len(document["weeks"]) == 8
    first = [row["units"] for row in document["made_of"] if row["week_to"] == document["weeks"][0]["week_to"]]
    assert sum(first) == pytest.approx(document["weeks"][0]["demand"])


def test_the_rows_of_the_table_of_causes_add_up_as_they_are_printed(shop) -> None:
    for line in shop("order", "--json").data["lines"][:4]:
        out = shop("why", line["unique_id"]).out
        table = out.split("rows add up\n")[1].split("\n\n")[0].splitlines()
        assert table[0].split()[-1] == "sells"
        assert len(table) == 9
        for row in table[1:]:
            numbers = [float(cell.replace(",", "")) for cell in re.split(r"\s{2,}", row.strip())[1:]]
            assert sum(numbers[:-1]) == pytest.approx(numbers[-1])


def test_the_table_of_causes_fits_80_columns(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for line in shop("order", "--json").data["lines"][:4]:
        table = shop("why", line["unique_id"]).out.split("rows add up\n")[1].split("\n\n")[0].splitlines()
        assert max(map(len, table)) <= 80


def test_settings_are_shown_with_where_they_come_from(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelfwise.toml").write_text('timezone = "Europe/Berlin"\n')
    monkeypatch.setenv("SHELFWISE_SEED", "7")
    rows = {row["setting"]: row for row in cli("config", "show", "--json", "--database", "x.db").data}
    assert (rows["timezone"]["value"], rows["timezone"]["from"]) == ("Europe/Berlin", "shelfwise.toml")
    assert (rows["seed"]["value"], rows["seed"]["from"]) == ("7", "env")
    assert (rows["database"]["value"], rows["database"]["from"]) == ("x.db", "flag")
    assert rows["horizon"]["from"] == "default"


def test_migrating_a_current_database_changes_nothing(shop) -> None:
    said = shop("db", "migrate")
    assert said.code == 0
    assert "already" in said.err
    assert len(shop("products", "--json").data) == 60


def test_a_file_of_another_program_is_left_alone(cli, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shelfwise.db") as other:
        other.execute("CREATE TABLE notes (text TEXT)")
    other.close()
    before = (tmp_path / "shelfwise.db").read_bytes()
    said = cli("order")
    assert said.code == 1
    assert "another program" in said.err
    assert (tmp_path / "shelfwise.db").read_bytes() == before


def test_health_is_0_or_3(shop) -> None:
    said = shop("check", "--json")
    problems = [row for row in said.data if row["severity"] == "problem"]
    assert said.code == (3 if problems else 0)
    assert any("days ago" in row["what"] for row in problems)  # the made-up shop of this test is of 2024


def test_the_log_is_on_stderr_at_the_level_asked_for(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "plan 2" not in shop("order", "--service", "0.9", "--json").err
    monkeypatch.setenv("SHELFWISE_LOG_LEVEL", "info")
    try:
        said = shop("order", "--service", "0.91", "--json")
    finally:
        logs.unconfigure()
    assert "plan 3 for 2024-11-18" in said.err
    assert said.data["plan"] == 3


def test_classes_and_excess_are_listed_for_people_and_for_programs(shop) -> None:
    said = shop("abc")
    assert said.code == 0
    assert said.out.splitlines()[0].split()[:3] == ["class", "lines", "share"]
    document = shop("abc", "--json").data
    assert sum(row["lines"] for row in document["classes"]) == len(document["lines"])
    assert shop("abc", "--lines").out.count("@") == len(document["lines"])
    excess = shop("excess", "--json").data
    text = shop("excess")
    assert text.out.count(" too many: ") == len(excess) > 0
    assert "lines have more than demand will use" in text.err
    assert all(row["advice"] in text.out for row in excess)
