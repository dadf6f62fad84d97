"""Why: every number of an explanation is the plan's own."""

import datetime as dt

import polars as pl
import pytest
from tests.services.worlds import sales

from shelfwise.app import App
from shelfwise.domain.errors import NotFound
from shelfwise.services import explaining, planning, predictions


def test_a_product_in_two_warehouses_has_two_explanations_and_one_place_has_one(demo: App) -> None:
    lines = planning.make_plan(demo).lines
    product = lines.filter(pl.len().over("product") == 2)["product"][0]
    assert [e.warehouse for e in explaining.explain(demo, product)] == ["SHOP", "WEB"]
    assert [e.warehouse for e in explaining.explain(demo, f"{product.lower()}@web")] == ["WEB"]


def test_the_explanation_carries_the_plans_line_and_tells_its_order(demo: App) -> None:
    line = planning.make_plan(demo).open_lines.row(0, named=True)
    (found,) = explaining.explain(demo, line["unique_id"])
    assert found.line == line
    text = " ".join(found.sentences)
    assert f"{line['on_hand']} on hand" in text
    assert "80 % range" in text
    assert "Order " in text
    assert found.weeks.height == 8
    assert found.weeks["run_out"].is_sorted()
    assert found.recent["sold"].sum() >= 0


def test_a_product_that_is_not_planned_is_told_why(shop: App, book) -> None:
    start = dt.date(2024, 3, 4)
    book(
        products=[
            {"product": "never"},
            {"product": "ended", "discontinued_on": start + dt.timedelta(days=250)},
            {"product": "old"},
        ],
        movements=[*sales("live", start, [2] * 260), *sales("ended", start, [1] * 200), *sales("old", start, [1] * 9)],
    )
    reasons = {name: explaining.explain(shop, name)[0].sentences[0] for name in ("never", "ended", "old")}
    assert "never sold" in reasons["never"]
    assert "discontinued on" in reasons["ended"]
    assert "last sold on 2024-03-12" in reasons["old"]


def test_an_unknown_product_is_answered_with_the_nearest(demo: App) -> None:
    with pytest.raises(NotFound, match="nearest"):
        explaining.explain(demo, "CF-107")


def of_day(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by("ds", maintain_order=True).agg(pl.col("units").sum())


def test_the_parts_of_the_weeks_add_up_to_their_demand(demo: App) -> None:
    lines = planning.make_plan(demo).lines.filter(pl.col("category") == "Cups")
    for name in lines["unique_id"][:3]:
        (found,) = explaining.explain(demo, name)
        weeks = found.made_of.group_by("week_to", maintain_order=True).agg(pl.col("units").sum())
        assert weeks["week_to"].to_list() == found.weeks["week_to"].to_list()
        assert weeks["units"].to_list() == pytest.approx(found.weeks["demand"].to_list(), rel=1e-6, abs=1e-9)
        days = of_day(found.contributions)
        assert days.height == 56
        assert days["units"].sum() == pytest.approx(found.weeks["demand"].sum(), rel=1e-6)
        assert {"level", "trend"} <= set(found.made_of["kind"])


def test_a_promotion_ahead_is_named_with_its_days_its_units_and_how_often_it_was_seen(demo: App) -> None:
    lines = planning.make_plan(demo).lines.filter(pl.col("category") == "Cups").sort("demand_per_day")
    (found,) = explaining.explain(demo, lines["unique_id"][-1])
    ((row),) = found.events.filter(pl.col("kind") == "promotion").to_dicts()
    assert (row["name"], row["from"], row["to"]) == ("Gift weeks", dt.date(2024, 11, 22), dt.date(2024, 12, 5))
    assert row["units"] > 0
    assert row["seen_days"] > 0
    text = next(s for s in found.sentences if s.startswith("The promotion Gift weeks (Fri 22 Nov to Thu 5 Dec) adds"))
    assert f"(+{100 * (row['lift'] - 1):.0f} %); it had promotions on {row['seen_days']} days before." in text
    assert not any("promotions add" in s.lower() for s in found.sentences)


def test_a_kind_of_event_that_was_never_seen_is_told_and_changes_nothing(shop: App, book) -> None:
    start = dt.date(2024, 3, 4)
    last = start + dt.timedelta(days=259)
    first = {
        "kind": "promotion", "name": "Opening weeks", "starts_on": last + dt.timedelta(days=5),
        "ends_on": last + dt.timedelta(days=9), "scope_kind": "shop",
    }  # fmt: skip
    book(products=[{"product": "tea"}], movements=sales("tea", start, [3, 4, 5] * 86 + [4, 4]), calendar_events=[first])
    (found,) = explaining.explain(shop, "tea")
    assert found.events["units"].to_list() == pytest.approx([0.0])
    assert (
        "The promotion Opening weeks (Sat 23 Nov to Wed 27 Nov): no promotion was seen before, so what it does is not "
        "known and nothing is assumed." in found.sentences
    )


def test_an_unplanned_product_has_no_parts(shop: App, book) -> None:
    book(products=[{"product": "never"}, {"product": "live"}], movements=sales("live", dt.date(2024, 3, 4), [2] * 260))
    (found,) = explaining.explain(shop, "never")
    assert (found.made_of.height, found.events.height, found.contributions.height) == (0, 0, 0)


def test_the_lifts_of_the_shops_events_are_told_for_all_and_by_category(demo: App) -> None:
    found = predictions.lifts(demo, horizon=14)
    whole = {row["name"]: row for row in found.filter(pl.col("category").is_null()).iter_rows(named=True)}
    assert set(whole) == {"promotion", "holiday", "price down", "price up"}
    assert 1.2 < whole["promotion"]["lift"] < 2.5
    assert whole["promotion"]["low"] < whole["promotion"]["lift"] < whole["promotion"]["high"]
    assert whole["promotion"]["forecast_lift"] > 1.1
    by_category = found.filter(pl.col("name") == "promotion").drop_nulls("category")
    assert by_category.height > 3
    never = by_category.filter(pl.col("periods") == 0)
    assert (never["lift"] == whole["promotion"]["lift"]).all()
