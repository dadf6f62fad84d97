"""Backtests of the store: saved score by score, never worked out twice, and compared with what should be beaten."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shelfwise.domain.errors import DataError, ExportError, ModelError, NotFound, ParameterError, StorageError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import catalog
from shelfwise.forecasting.models.naive import SeasonalNaive
from shelfwise.services import backtests
from shelfwise.storage import backtests as stored


def panel(last: float = 3.0) -> Panel:
    values = np.random.default_rng(0).poisson(5.0, (12, 90)).astype(float)
    values[0, -1] = last
    return Panel.from_wide(values, start="2026-01-01")


@pytest.fixture
def fits(monkeypatch):
    """The last known day of every panel that seasonal naive is fitted on."""
    seen = []
    real = SeasonalNaive.fit

    def counted(self, panel):
        seen.append(str(panel.data_until.date()))
        return real(self, panel)

    monkeypatch.setattr(SeasonalNaive, "fit", counted)
    return seen


def run(shop, models=("seasonal_naive",), *, of=None, **given):
    return backtests.run_on(
        shop, panel() if of is None else of, models, **{"horizon": 7, "cutoffs": 2, "n_paths": 50, **given}
    )


def test_the_same_backtest_again_works_out_nothing_and_says_the_same(shop, fits):
    first, again = run(shop), run(shop)
    assert len(fits) == 2
    assert (first.reused, again.reused) == (0, 2)
    assert again.number == first.number
    assert again.result.rows.equals(first.result.rows), "the very same scores, their time included"


@pytest.mark.parametrize(
    "other",
    [{"of": panel(4.0)}, {"horizon": 6}, {"step": 3}, {"cutoffs": 3}, {"seed": 1}, {"n_paths": 60}, {"only": ["3"]}],
)
def test_another_question_is_worked_out_by_itself(shop, fits, other):
    first, second = run(shop), run(shop, **other)
    assert second.number != first.number
    assert second.reused == 0
    assert run(shop).reused == 2, "and the first is still there"


def test_one_more_model_costs_that_model_alone(shop, fits):
    run(shop)
    both = run(shop, ("base_level", "seasonal_naive"))
    assert len(fits) == 2
    assert both.reused == 2
    assert both.number == 2


def test_a_model_under_another_name_is_the_same_model(shop, fits, monkeypatch):
    monkeypatch.setattr(catalog, "AUTOMATIC", "seasonal_naive")
    run(shop)
    renamed = run(shop, ("auto",))
    assert len(fits) == 2
    assert renamed.result.scores["model"].to_list() == ["auto", "auto"]


def test_fresh_works_everything_out_anew(shop, fits):
    first = run(shop)
    again = run(shop, fresh=True)
    assert len(fits) == 4
    assert again.reused == 0
    assert again.result.rows.drop("seconds").equals(first.result.rows.drop("seconds"))


def test_a_backtest_that_was_interrupted_goes_on_where_it_was(shop, fits):
    def stop(_step, done, _total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(shop, progress=stop)
    (row,) = backtests.listed(shop).rows(named=True)
    assert (row["finished"], row["scores"], row["of"], row["best"]) == (False, 1, 2, None)
    part = backtests.show(shop, row["backtest"])
    assert not part.finished
    assert part.result.cutoffs == ["2026-03-17"]
    steps = []
    done = run(shop, progress=lambda *step: steps.append(step))
    assert fits == ["2026-03-17", "2026-03-24"], "no window was fitted twice"
    assert (done.reused, done.finished, done.number) == (1, True, row["backtest"])
    assert done.result.rows.drop("seconds").equals(run(shop, fresh=True).result.rows.drop("seconds"))


def test_a_saved_backtest_is_shown_as_it_was(shop):
    made = run(shop, ("base_level", "seasonal_naive"), products=["a"])
    shown = backtests.show(shop, made.number)
    assert shown.result.rows.equals(made.result.rows)
    assert shown.result.comparison().equals(made.result.comparison())
    assert shown.result.chart() == made.result.chart()
    for name in ("models", "cutoffs", "step", "series", "data_until", "products", "created_at", "finished"):
        assert getattr(shown, name) == getattr(made, name)
    (row,) = backtests.listed(shop).rows(named=True)
    assert (row["best"], row["wql"]) == made.result.comparison().select("model", "wql").row(0)


class Broken:
    name = "broken"

    def fit(self, panel):
        raise ModelError("it is broken; mend it")

    def __repr__(self) -> str:
        return "Broken()"


def test_a_failure_is_kept_with_the_run_and_tried_again_when_it_is_asked_again(shop, monkeypatch):
    monkeypatch.setitem(catalog.MODELS, "broken", Broken)
    made = run(shop, ("broken", "seasonal_naive"))
    assert made.finished
    shown = backtests.show(shop, made.number).result
    assert [(f.model, f.reason) for f in shown.failures] == [("broken", "it is broken; mend it")] * 2
    assert shown.comparison()["model"].to_list() == ["seasonal_naive"]
    monkeypatch.setattr(Broken, "fit", lambda self, panel: SeasonalNaive().fit(panel))
    mended = run(shop, ("broken", "seasonal_naive"))
    assert (mended.reused, mended.result.failures) == (2, ())


def test_a_backtest_without_any_score_leaves_nothing_behind(shop, monkeypatch):
    monkeypatch.setitem(catalog.MODELS, "broken", Broken)
    with pytest.raises(ModelError, match="it is broken"):
        run(shop, ("broken",))
    with pytest.raises(ParameterError, match="needs 1,401 periods|need 1401 periods"):
        run(shop, cutoffs=200)
    with pytest.raises(ParameterError, match="at least 1 model"):
        run(shop, ())
    with pytest.raises(ParameterError, match="'crystal_ball' is not known"):
        run(shop, ("crystal_ball",))
    assert backtests.listed(shop).height == 0


def test_spoilt_scores_are_worked_out_again(shop, fits):
    first = run(shop)
    with shop.database.write() as connection:
        (fingerprint,) = stored.run(connection, first.number).parameters["parts"].values()
        stored.save_part(connection, fingerprint, "2026-03-17", payload=b"spoilt", created_at=shop.now())
    again = run(shop)
    assert again.reused == 1
    assert fits == ["2026-03-17", "2026-03-24", "2026-03-17"]
    assert again.result.rows.drop("seconds").equals(first.result.rows.drop("seconds"))


def test_a_full_disk_keeps_no_score_from_the_one_who_asked(shop, monkeypatch, caplog):
    def full(*_args, **_given):
        raise StorageError("the disk is full")

    monkeypatch.setattr(stored, "save_part", full)
    assert run(shop).result.scores.height == 2
    assert "a score was not saved: the disk is full" in caplog.text


def test_a_deleted_backtest_is_gone_and_one_that_is_not_there_is_named(shop):
    made = run(shop)
    backtests.delete(shop, made.number)
    assert backtests.listed(shop).height == 0
    for step in (backtests.show, backtests.delete):
        with pytest.raises(NotFound, match="no backtest 1"):
            step(shop, made.number)


def test_a_run_cut_off_before_its_first_score_has_nothing_to_show(shop):
    def stop(*_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(shop, progress=stop)
    with pytest.raises(NotFound, match="before its first score; run it again"):
        backtests.show(shop, 1)


def test_the_store_is_scored_on_its_live_series_or_on_the_products_asked_for(demo):
    whole = backtests.run(demo, models=["base_level"], horizon=14, cutoffs=2)
    series = whole.result.parts[0].ids
    product = demo_product(series[0])
    one = backtests.run(demo, models=["base_level"], horizon=14, cutoffs=2, products=[product])
    ids = one.result.parts[0].ids
    assert {demo_product(each) for each in ids} == {product}
    assert one.products == (product,)
    # The model is fitted on every series either way, as for a forecast.
    at = [series.index(each) for each in ids]
    np.testing.assert_allclose(one.result.parts[0].losses, whole.result.parts[0].losses[at])
    with pytest.raises(NotFound):
        backtests.run(demo, products=["no such thing"])


def demo_product(series: str) -> str:
    return series.partition("@")[0]


def test_an_empty_store_has_nothing_to_score(shop):
    with pytest.raises(DataError):
        backtests.run(shop)


def test_what_is_compared_names_no_model_twice():
    names = backtests.compared_by_default()
    assert names[0] == "auto"
    assert names[-1] == "seasonal_naive"
    every = backtests.every_model()
    assert every[: len(names)] == names
    described = [repr(catalog.estimator(name)) for name in every]
    assert len(set(described)) == len(described)
    assert set(described) == {repr(catalog.estimator(name)) for name in catalog.MODELS}
    assert backtests.compared_by_default("tsb")[:2] == ["tsb", "auto"]


@dataclass(frozen=True)
class PutTogether:
    """A model of models."""

    members: tuple[Any, ...] = ()
    name: str = "put_together"


@dataclass(frozen=True)
class Wrapped:
    """A model around a model."""

    inner: Any
    name: str = "wrapped"


def test_what_a_model_is_put_together_from_is_compared_with_it(monkeypatch):
    members = (catalog.estimator("trees"), catalog.estimator("seasonal_naive"), catalog.estimator("base_level"))
    monkeypatch.setitem(catalog.MODELS, "wrapped", lambda: Wrapped(PutTogether(members)))
    monkeypatch.setattr(catalog, "AUTOMATIC", "wrapped")
    assert backtests.compared_by_default() == ["auto", "trees", "base_level", "seasonal_naive"]


def test_a_chart_is_written_where_it_can_be_and_refused_before_the_work_where_it_cannot(shop, tmp_path: Path):
    done = run(shop).result
    path = backtests.write_chart(done, tmp_path / "scores.svg")
    assert path.read_text(encoding="utf-8") == done.chart()
    with pytest.raises(ParameterError, match=r"got .*scores.png'; give a name that ends in .svg"):
        backtests.check_chart_file(tmp_path / "scores.png")
    with pytest.raises(ExportError, match="there is no folder"):
        backtests.check_chart_file(tmp_path / "nowhere" / "scores.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(ExportError, match="cannot be written"):
        backtests.write_chart(done, tmp_path / "folder.svg")
