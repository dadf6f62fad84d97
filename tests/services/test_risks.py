"""What will run out: read off the plan's own paths, corrected by the shop's past, in dates and money."""

from __future__ import annotations

import builtins
import datetime as dt
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.services.worlds import MONDAY, count, sales

from shelfwise.app import App, open_app
from shelfwise.domain.errors import NotFound, ParameterError
from shelfwise.services import planning, risks, supply
from shelfwise.storage import plans


@pytest.fixture(scope="module")
def told(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[risks.Risks, Path]:
    """The risks of the made-up shop by its paths alone, and its database."""
    path = tmp_path_factory.mktemp("risks") / "demo.db"
    shutil.copy(demo_file, path)
    with open_app(path, folder=path.parent) as app:
        return risks.assess(app, correct=False), path


@pytest.fixture(scope="module")
def corrected(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[risks.Risks, risks.Risks]:
    """The risks of the made-up shop, whose model is the quick one: learnt, and asked for again."""
    pytest.importorskip("xgboost", reason="needs the extra 'classic'")
    path = tmp_path_factory.mktemp("corrected") / "demo.db"
    shutil.copy(demo_file, path)
    with open_app(path, folder=path.parent, model="base_level") as app:
        return risks.assess(app), risks.assess(app)


def test_a_plan_that_holds_is_read_and_not_made_again(told) -> None:
    found, path = told
    with open_app(path, folder=path.parent) as app, app.database.read() as connection:
        assert plans.latest_run(connection).id == 1
    assert found.as_of == MONDAY
    assert found.days == 28


def test_chances_and_losses_are_those_of_the_plan(told) -> None:
    """Stock on hand and due are walked down the same paths: the day of the stockout is the plan's."""
    found, path = told
    with open_app(path, folder=path.parent) as app:
        lines = planning.latest(app).lines.select("unique_id", plans_day="stockout_on", known="stock_known")
    both = found.table.join(lines, on="unique_id")
    assert both.height == lines.height == found.table.height
    assert_frame_equal(both.select("stockout_on"), both.select(stockout_on="plans_day"))


def test_the_most_money_at_stake_stands_first(told) -> None:
    table = told[0].table
    stake = table.filter(pl.col("at_stake").is_not_null())["at_stake"]
    assert stake.is_sorted(descending=True)
    np.testing.assert_allclose(stake, (table["lost_margin"] * table["chance"]).drop_nulls())
    assert (np.diff(told[0].by_day, axis=1) >= 0).all()
    assert told[0].by_day.shape[0] == table.height


def test_the_last_day_to_order_is_one_on_which_the_supplier_takes_orders(told) -> None:
    found, path = told
    with open_app(path, folder=path.parent) as app:
        calendars = supply.load(app).calendars
    ahead = found.table.filter(pl.col("last_order_on") >= pl.col("next_order_on"))
    assert ahead.height > 10
    for supplier, day in ahead.select("supplier", "last_order_on").iter_rows():
        assert calendars[supplier].takes_orders(day)


def test_what_is_on_its_way_makes_no_order_more_urgent_where_the_stock_surely_runs_out(told) -> None:
    """Elsewhere it may: what is left of the risk is then what comes before the goods do."""
    surely = pl.Series(told[0].by_day[:, -1] == 1)
    table = told[0].table.filter(surely & (pl.col("due") > 0)).drop_nulls("last_order_on_without_due")
    assert table.height > 10
    assert (table["last_order_on"] > table["last_order_on_without_due"]).any()
    assert (table["last_order_on"] >= table["last_order_on_without_due"]).all()


def test_the_risks_of_one_product_are_those_of_the_list(told) -> None:
    found, path = told
    product = found.table["product"][0]
    with open_app(path, folder=path.parent) as app:
        one = risks.assess(app, products=[product], correct=False)
        with pytest.raises(NotFound, match="there is no product 'nonesuch'"):
            risks.assess(app, products=["nonesuch"], correct=False)
        with pytest.raises(ParameterError, match=r"days must be from 1 to the \d+ that the plan forecasts, got 4000"):
            risks.assess(app, days=4000, correct=False)
    assert_frame_equal(one.table, found.table.filter(pl.col("product") == product))


def test_the_shop_s_past_gives_a_second_chance_where_it_beats_the_paths_and_none_where_not(corrected) -> None:
    first, _ = corrected
    assert re.search(r"learnt from [\d,]+ rows, [1-9][\d,]* of them recorded by the shop", first.corrector)
    known = first.table.filter(pl.col("stock_known"))
    if first.corrected:
        assert first.corrector.startswith("it is better than the paths alone: Brier score")
        assert known["chance_corrected"].null_count() == 0
        assert known["chance"].equals(known["chance_corrected"], check_names=False)
        assert known["disagree"].equals((known["chance_corrected"] - known["chance_paths"]).abs() >= 0.2)
    else:
        assert first.corrector.startswith("not used: it is no better than the paths: Brier score")
        assert known["chance_corrected"].null_count() == known.height
        assert known["chance"].equals(known["chance_paths"], check_names=False)
        assert not known["disagree"].any()


def test_what_was_learnt_is_kept_and_gives_the_same_again(corrected) -> None:
    first, again = corrected
    assert_frame_equal(first.table, again.table)
    assert first.corrector == again.corrector


def test_without_xgboost_the_paths_stand_and_the_extra_is_named(demo: App, monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "xgboost":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with open_app(demo.settings.database, model="base_level") as app:
        found = risks.assess(app)
    assert not found.corrected
    assert "needs the extra 'classic'" in found.corrector
    assert found.table["chance"].equals(found.table["chance_paths"])


def test_a_short_history_and_uncounted_stock_are_said(fill, quick: App) -> None:
    first = dt.date(2024, 9, 16)
    fill(
        movements=[
            *sales("BEANS", first, [4.0] * 63),
            *sales("TEA", first, [2.0] * 63),
            count("BEANS", dt.datetime.combine(dt.date(2024, 11, 17), dt.time(20)), 10),
        ],
        products=[{"product": "BEANS", "name": "Beans", "unit_cost": 2.0, "price": 5.0}],
    )
    found = risks.assess(quick)
    assert found.corrector == "only 63 days of history, at least 155 are needed"
    assert found.notes == ("1 line has no stock count, so no risk can be told: count them",)
    beans, tea = found.table.iter_rows(named=True)
    assert (tea["unique_id"], tea["chance"], tea["severity"]) == ("TEA@main", None, "none")
    assert risks.sentence(tea, found, "EUR") == "Its stock was never counted, so its risk is not known."
    assert beans["chance"] > 0.95
    assert beans["stockout_on"] in {dt.date(2024, 11, 19), dt.date(2024, 11, 20), dt.date(2024, 11, 21)}
    assert found.shown["unique_id"].to_list() == ["BEANS@main"]
    text = risks.sentence(beans, found, "EUR")
    assert "chance to run out within 28 days, in half of all cases by" in text
    # 14 days to delivery are assumed, so the shelf is empty before anything can come
    assert "Any order comes late: placed on Mon 18 Nov it arrives about Mon 2 Dec and still saves" in text
    assert found.pressing(found.as_of).height == 1


def test_both_chances_are_said_where_they_disagree(told) -> None:
    row = told[0].table.row(0, named=True) | {
        "chance_paths": 0.3,
        "chance_corrected": 0.8,
        "chance": 0.8,
        "disagree": True,
    }
    text = risks.sentence(row, told[0], "EUR")
    assert text.startswith("80 % chance to run out within 28 days (the demand paths say 30 %, past stockouts 80 %")
