"""The README says what is so: its Python runs, its sums add up, and nothing on it waits to be filled in."""

from __future__ import annotations

import ast
import math
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.docs.pages import PAGES, ROOT, text_of

README = text_of(ROOT / "README.md")


def history() -> pl.DataFrame:
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(160)]
    sold = {"beans": 5.0, "filters": 2.0}
    rows = [(name, day, units + (day.weekday() == 5)) for name, units in sold.items() for day in days]
    return pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row")


def test_the_python_of_the_readme_runs_and_gives_what_its_remarks_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert found is not None
    items = pl.DataFrame({"unique_id": ["beans", "filters"], "on_hand": [20, 9], "lead_time_periods": [5, 5]})
    scope: dict[str, Any] = {"history": history(), "items": items.with_columns(price=9.0, unit_cost=5.0)}
    shown = []
    for statement in ast.parse(found[1]).body:
        text = ast.unparse(statement)
        if isinstance(statement, ast.Expr):
            shown.append(eval(text, scope))
        else:
            exec(text, scope)
    table, total, whole, summary, made_of, lifts, orders, prices, replayed = shown
    remark = re.search(r"to_frame\(.*?# (.*)", found[1])
    assert remark is not None
    assert table.columns == remark[1].split(", ")
    assert total.shape == (2, 200)
    assert whole.ids.to_list() == ["total"]
    assert whole.total(7)[0] == pytest.approx(total.sum(axis=0))
    assert "seasonal_naive" in summary["model"]
    assert {"level", "trend", "weekday"} <= set(made_of["kind"])
    assert made_of["units"].sum() == pytest.approx(table["mean"].sum())
    assert {"lift", "low", "high", "forecast_lift"} <= set(lifts.columns)
    assert 0 < orders["spend"].sum() <= 200
    assert prices["used"][0] == pytest.approx(orders["spend"].sum())
    assert replayed["policy"].to_list() == ["moving_average", "base_stock", "optimise"]
    scope["shop"].close()


def test_the_sums_shown_in_the_readme_add_up() -> None:
    sums = re.findall(
        r"(\d+) demand \+ (\d+) safety - (\d+) on hand - (\d+) due = (\d+) -> packs of (\d+) -> (\d+)", README
    )
    assert sums
    for line in sums:
        demand, safety, on_hand, due, net, pack, order = map(int, line)
        assert demand + safety - on_hand - due == net
        assert math.ceil(net / pack) * pack == order


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_waits_to_be_filled_in(page: Path) -> None:
    waiting = r"^[A-Z]+(?:_[A-Z]+)*$|\b(?:TODO|TBD|FIXME|XXX)\b|[Ll]orem ipsum"
    assert not re.findall(waiting, text_of(page), re.MULTILINE)
