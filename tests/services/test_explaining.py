"""Why: every number of an explanation is the plan's own."""

import datetime as dt

import polars as pl
import pytest
from tests.services.worlds import sales

from shelfwise.app import App
from shelfwise.domain.errors import NotFound
from shelfwise.services import explaining, planning


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
