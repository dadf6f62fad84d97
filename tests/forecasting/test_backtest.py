"""Backtests: every model sees only what was known, and is scored only on demand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shelfwise.domain.errors import DataError, ModelError, ParameterError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import catalog
from shelfwise.forecasting.backtest import METRICS, Backtest, Part, backtest, score, windows
from shelfwise.forecasting.models.naive import SeasonalNaive


def counts(n=6, periods=90):
    return np.random.default_rng(0).poisson(6.0, (n, periods)).astype(float)


def panel_of(values, **given):
    return Panel.from_wide(values, start="2026-01-01", **given)


def test_windows_roll_from_the_oldest_cutoff_to_the_end_of_the_data():
    values = counts()
    found = list(windows(panel_of(values), 7, 3))
    assert [window.cutoff for window in found] == ["2026-03-10", "2026-03-17", "2026-03-24"]
    for back, window in zip((14, 7, 0), found, strict=True):
        end = 90 - back
        np.testing.assert_array_equal(window.actual, values[:, end - 7 : end])
        np.testing.assert_array_equal(window.past.window(end - 7), values[:, : end - 7])
        assert window.scored.all()


def test_a_step_shorter_than_the_horizon_lets_windows_overlap():
    assert [w.cutoff for w in windows(panel_of(counts()), 7, 3, step=1)] == ["2026-03-22", "2026-03-23", "2026-03-24"]


def test_poison_after_the_cutoff_reaches_nothing_a_model_is_given():
    values = counts()
    covariate = np.arange(6 * 90.0).reshape(6, 90)
    flags = np.arange(values.size).reshape(values.shape) % 11 > 0
    clean = panel_of(values, past_only={"visits": covariate}, available=flags)
    for index, window in enumerate(windows(clean, 7, 3)):
        cut = 90 - 7 * (3 - index)
        poisoned, visits, sold_out = values.copy(), covariate.copy(), flags.copy()
        poisoned[:, cut:], visits[:, cut:], sold_out[:, cut:] = 1e12, 1e12, np.arange(90 - cut) % 2 == 0
        dirty = panel_of(poisoned, past_only={"visits": visits}, available=sold_out)
        past = list(windows(dirty, 7, 3))[index].past
        for found, known in (
            (past.values, window.past.values),
            (past.available, window.past.available),
            (past.offsets, window.past.offsets),
            (past.past_only["visits"].values, window.past.past_only["visits"].values),
        ):
            np.testing.assert_array_equal(found, known)
        assert past.values.max() < 1e12
        assert past.past_only["visits"].values.max() < 1e12
        assert past.data_until == window.past.data_until


def test_forecasts_of_a_window_do_not_change_with_what_came():
    values = counts()
    poisoned = values.copy()
    poisoned[:, 83:] = 1e12
    clean, dirty = (backtest(panel_of(v), horizon=7, n_cutoffs=2).scores for v in (values, poisoned))
    earlier = pl.col("cutoff") == "2026-03-17"
    assert clean.filter(earlier).drop("seconds").equals(dirty.filter(earlier).drop("seconds"))
    assert not clean.filter(~earlier).drop("seconds").equals(dirty.filter(~earlier).drop("seconds"))


def test_censored_and_unrecorded_periods_are_not_scored():
    values = counts()
    flags = np.ones(values.shape, dtype=bool)
    flags[0, -3:] = False
    values[1, -2] = np.nan
    values[2, :] = np.nan
    (window,) = windows(panel_of(values, available=flags), 7, 1)
    assert window.past.ids.to_list() == ["0", "1", "3", "4", "5"]
    assert int(window.scored.sum()) == 5 * 7 - 3 - 1
    spoilt = values.copy()
    spoilt[0, -3:] = 1e9
    one, other = (
        backtest(panel_of(v, available=flags), horizon=7, n_cutoffs=1).scores.drop("seconds") for v in (values, spoilt)
    )
    assert one.equals(other)


def test_a_series_with_nothing_to_score_is_known_to_the_models_all_the_same():
    values = counts()
    flags = np.ones(values.shape, dtype=bool)
    flags[2, -7:] = False
    (window,) = windows(panel_of(values, available=flags), 7, 1)
    assert len(window.past) == 6
    scores = backtest(panel_of(values, available=flags), horizon=7, n_cutoffs=1).scores
    assert scores["series"].to_list() == [5, 5]
    assert scores["cells"].to_list() == [35, 35]


def test_a_series_that_had_not_begun_is_left_out_of_early_windows():
    values = counts()
    values[3, :80] = np.nan
    assert [len(window.past) for window in windows(panel_of(values), 7, 3)] == [5, 5, 6]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"horizon": 0, "n_cutoffs": 1}, "must be at least 1, got 0, 1, 0"),
        ({"horizon": 7, "n_cutoffs": 0}, "must be at least 1, got 7, 0, 7"),
        ({"horizon": 7, "n_cutoffs": 1, "step": 0}, "must be at least 1, got 7, 1, 0"),
        ({"horizon": 60, "n_cutoffs": 2}, "need 121 periods of history, the longest series has 90; use fewer cutoffs"),
    ],
)
def test_impossible_windows_are_refused(given, words):
    with pytest.raises(ParameterError, match=words):
        list(windows(panel_of(counts()), **given))


def test_the_shortest_history_that_suffices_is_accepted():
    assert len(list(windows(panel_of(counts(2, 15)), 7, 2))) == 2
    with pytest.raises(ParameterError, match="need 15 periods"):
        list(windows(panel_of(counts(2, 14)), 7, 2))


def test_a_backtest_scores_every_model_at_every_cutoff():
    said = []
    found = backtest(
        panel_of(counts()), horizon=7, n_cutoffs=2, n_paths=50, progress=lambda what, done, of: said.append((done, of))
    )
    assert found.scores.height == 4
    assert set(METRICS) <= set(found.scores.columns)
    assert found.scores.select(METRICS).null_count().sum_horizontal().item() == 0
    assert found.summary().columns == [
        "model", "cutoffs", *METRICS, "mape_left_out", "mape_left_out_share", "seconds"
    ]  # fmt: skip
    assert found.summary()["wql"].is_sorted()
    assert said == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_same_seed_gives_the_same_scores():
    one, other = (
        backtest(panel_of(counts()), ("base_level",), horizon=7, n_cutoffs=2, seed=3).scores.drop("seconds")
        for _ in range(2)
    )
    assert one.equals(other)


def test_an_unknown_model_is_refused_before_anything_is_fitted():
    with pytest.raises(ParameterError, match="'crystal_ball' is not known"):
        backtest(panel_of(counts()), ("base_level", "crystal_ball"), horizon=7)


def test_a_backtest_without_models_or_without_anything_to_score_is_refused():
    with pytest.raises(ParameterError, match="at least 1 model, got none"):
        backtest(panel_of(counts()), (), horizon=7)
    closed = panel_of(counts(), available=np.zeros((6, 90), dtype=bool))
    with pytest.raises(DataError, match="no period of the 2 windows of 7 periods was recorded.*check y and available"):
        backtest(closed, horizon=7, n_cutoffs=2)


def test_a_forecast_that_knows_the_truth_scores_perfectly():
    week = np.tile(np.arange(1.0, 8.0), (3, 10))
    (window,) = windows(panel_of(week), 7, 1)
    found = score(window, SeasonalNaive().fit(window.past).predict(window.past, 7), 7)
    for name in ("wql", "wape", "bias", "crps", "pinball"):
        assert found[name] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found["mase"])  # a history that repeats itself has no error to scale by


class Broken:
    """A model that cannot do what it was asked, from the second cutoff on or always."""

    name = "broken"

    def __init__(self, works_until: int = 0, error: Exception | None = None) -> None:
        self.works_until, self.error = works_until, error or ModelError("it is broken; mend it")

    def fit(self, panel):
        if panel.lengths.max() > self.works_until:
            raise self.error
        return SeasonalNaive().fit(panel)


@pytest.fixture
def broken(monkeypatch):
    """Put a model that fails into the catalog."""

    def put(**given):
        monkeypatch.setitem(catalog.MODELS, "broken", lambda: Broken(**given))

    return put


def test_the_classes_of_the_horizon_are_scored_on_their_own_periods_alone():
    values = counts()
    found = backtest(panel_of(values), ("seasonal_naive",), horizon=8, n_cutoffs=1)
    assert found.rows.select("horizon_class", "first_period", "last_period").rows() == [
        ("all", 1, 8), ("short", 1, 2), ("medium", 3, 4), ("long", 5, 8),
    ]  # fmt: skip
    far = values.copy()
    far[:, -4:] += 50.0
    other = backtest(panel_of(far), ("seasonal_naive",), horizon=8, n_cutoffs=1)
    near = pl.col("horizon_class").is_in(["short", "medium"])
    assert other.rows.filter(near).drop("seconds").equals(found.rows.filter(near).drop("seconds"))
    for name in ("all", "long"):
        worse, better = (f.rows.filter(pl.col("horizon_class") == name)["wape"].item() for f in (other, found))
        assert worse > better


def test_a_class_has_the_score_that_the_whole_metric_gives_on_its_columns():
    (window,) = windows(panel_of(counts()), 8, 1)
    forecast = SeasonalNaive().fit(window.past).predict(window.past, 8, n_paths=50)
    rows = backtest(panel_of(counts()), ("seasonal_naive",), horizon=8, n_cutoffs=1, n_paths=50).rows
    long = rows.filter(pl.col("horizon_class") == "long").row(0, named=True)
    masked = window.scored.copy()
    masked[:, :4] = False
    alone = score(type(window)(window.cutoff, window.past, window.actual, masked), forecast, 7)
    for name in METRICS:
        assert long[name] == pytest.approx(alone[name]), name


def test_periods_without_a_sale_are_left_out_of_mape_and_counted():
    values = counts()
    values[:3, -7:] = 0.0
    found = backtest(panel_of(values), ("seasonal_naive",), horizon=7, n_cutoffs=2).scores
    first, last = found.rows(named=True)
    assert (first["mape_left_out"], last["mape_left_out"]) == (int((values[:, -14:-7] == 0).sum()), 21)
    assert last["mape_left_out_share"] == 0.5
    (summary,) = backtest(panel_of(values), ("seasonal_naive",), horizon=7, n_cutoffs=2).summary().rows(named=True)
    assert summary["mape_left_out"] == first["mape_left_out"] + 21
    assert summary["mape_left_out_share"] == summary["mape_left_out"] / 84


def test_mape_says_nothing_where_nothing_sold():
    values = counts()
    values[:, -7:] = 0.0
    (row,) = backtest(panel_of(values), ("seasonal_naive",), horizon=7, n_cutoffs=1).scores.rows(named=True)
    assert row["mape"] is None
    assert row["mape_left_out_share"] == 1.0


def test_the_summary_by_class_lists_the_whole_horizon_first_and_the_best_model_first_in_each():
    by_class = backtest(panel_of(counts()), horizon=8, n_cutoffs=2).summary(by_class=True)
    assert by_class["horizon_class"].unique(maintain_order=True).to_list() == ["all", "short", "medium", "long"]
    for _, block in by_class.group_by("horizon_class"):
        assert block["wql"].is_sorted()


def test_a_model_that_fails_is_reported_and_the_scores_of_the_others_stand(broken):
    alone = backtest(panel_of(counts()), ("seasonal_naive",), horizon=7, n_cutoffs=2)
    broken()
    found = backtest(panel_of(counts()), ("broken", "seasonal_naive"), horizon=7, n_cutoffs=2)
    assert found.scores.drop("seconds").equals(alone.scores.drop("seconds"))
    assert [(f.model, f.cutoff, f.reason) for f in found.failures] == [
        ("broken", cutoff, "it is broken; mend it") for cutoff in alone.cutoffs
    ]
    assert found.comparison()["model"].to_list() == ["seasonal_naive"]


def test_a_fault_of_a_library_is_named_with_its_kind(broken):
    broken(error=ZeroDivisionError("by nothing"))
    found = backtest(panel_of(counts()), ("broken", "seasonal_naive"), horizon=7, n_cutoffs=1)
    assert found.failures[0].reason == "ZeroDivisionError: by nothing"


def test_a_model_that_fails_at_one_cutoff_keeps_the_others_but_cannot_come_first(broken):
    broken(works_until=76)
    found = backtest(panel_of(counts()), ("broken", "base_level"), horizon=7, n_cutoffs=2)
    assert found.scores["model"].to_list() == ["broken", "base_level", "base_level"]
    assert found.summary()["model"].to_list() == ["base_level", "broken"]
    assert found.comparison()["model"].to_list() == ["base_level"]


def test_where_every_model_fails_the_first_reason_is_the_error(broken):
    broken()
    with pytest.raises(ModelError, match="no model could be scored; broken: it is broken; mend it"):
        backtest(panel_of(counts()), ("broken",), horizon=7, n_cutoffs=2)


def test_an_interruption_is_no_failure_of_a_model_and_what_was_finished_has_been_handed_out():
    parts = []

    def stop(_what, done, _of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backtest(panel_of(counts()), horizon=7, n_cutoffs=2, progress=stop, on_part=parts.append)
    assert [(part.model, part.cutoff) for part in parts] == [
        ("auto", "2026-03-17"), ("seasonal_naive", "2026-03-17"), ("auto", "2026-03-24"),
    ]  # fmt: skip


def test_kept_parts_survive_as_bytes_and_are_not_worked_out_again(broken):
    whole = backtest(panel_of(counts()), ("seasonal_naive",), horizon=7, n_cutoffs=2)
    broken()  # would fail if it were asked
    kept = {("broken", part.cutoff): Part.from_bytes(part.to_bytes()) for part in whole.parts}
    handed = []
    found = backtest(panel_of(counts()), ("broken",), horizon=7, n_cutoffs=2, kept=kept, on_part=handed.append)
    assert handed == []
    assert found.scores.drop("model").equals(whole.scores.drop("model"))
    assert found.comparison().drop("model").equals(whole.comparison().drop("model"))


def test_where_a_run_was_cut_off_only_the_cutoffs_that_every_model_has_are_compared():
    whole = backtest(panel_of(counts()), horizon=7, n_cutoffs=2)
    cut_off = Backtest(whole.parts[:3], 7)
    first = Backtest(whole.parts[:2], 7)
    assert cut_off.comparison().equals(first.comparison())
    assert cut_off.scores.height == 3


@pytest.mark.parametrize("cut", [b"", b"no part", None])
def test_bytes_that_are_no_part_are_refused(cut):
    (part,) = backtest(panel_of(counts()), ("seasonal_naive",), horizon=7, n_cutoffs=1).parts
    payload = part.to_bytes()[:-40] if cut is None else cut
    with pytest.raises(DataError, match="stored scores cannot be read"):
        Part.from_bytes(payload)


def test_some_series_may_be_scored_while_the_models_learn_from_all():
    values = counts()
    panel = panel_of(values)
    two = backtest(panel, ("base_level",), horizon=7, n_cutoffs=2, only=["1", "4"])
    assert two.scores["series"].to_list() == [2, 2]
    assert two.parts[0].ids == ("1", "4")
    whole = {part.cutoff: part for part in backtest(panel, ("base_level",), horizon=7, n_cutoffs=2).parts}
    for part in two.parts:
        np.testing.assert_allclose(part.losses, whole[part.cutoff].losses[[1, 4]], rtol=1e-12)
    with pytest.raises(DataError, match="nothing to score"):
        backtest(panel, ("base_level",), horizon=7, n_cutoffs=2, only=["nobody"])


def test_an_unknown_horizon_class_or_metric_is_refused_with_those_there_are():
    found = backtest(panel_of(counts()), ("seasonal_naive",), horizon=8, n_cutoffs=1)
    with pytest.raises(ParameterError, match="'middling' is not one of all, short, medium, long"):
        found.comparison("middling")
    with pytest.raises(ParameterError, match="metrics are wql, wape"):
        found.chart("beauty")
