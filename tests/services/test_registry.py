"""The registry: what is trained can be named, deployed and taken back; what was changed is not loaded."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from tests.services.worlds import MONDAY, sales

from shelfwise.app import App
from shelfwise.domain.errors import ConflictError, NotFound, ParameterError
from shelfwise.services import demand, model_performance, registry, training
from shelfwise.services.training import Training
from shelfwise.storage import registry as kept

FIRST = MONDAY - dt.timedelta(days=100)
WEEKS = [4.0, 3.0, 5.0, 4.0, 6.0, 9.0, 0.0]


@pytest.fixture
def filled(quick: App, fill) -> App:
    fill(movements=sales("TEA", FIRST, WEEKS * 13) + sales("MUG", FIRST, [1.0, 0.0, 2.0] * 30))
    return quick


def folder_of(app: App) -> Path:
    path = app.settings.address().path
    assert path is not None
    return path.with_suffix(".models")


def files(app: App) -> set[str]:
    return {path.stem for path in folder_of(app).iterdir()}


def test_a_trained_version_forecasts_as_the_fitted_model_does(filled: App):
    version = training.train(filled, Training("theta", made_by="Ada"))
    panel = demand.load(filled).panel
    loaded = registry.load(filled, version)
    from shelfwise.forecasting.catalog import estimator

    fresh = estimator("theta").fit(panel).predict(panel, 14, seed=3)
    np.testing.assert_array_equal(loaded.predictor.predict(panel, 14, seed=3).paths, fresh.paths)
    assert (version.label, version.scope, version.made_by) == ("theta@1", "shop", "Ada")
    assert files(filled) == {version.sha256}
    assert version.size == next(folder_of(filled).iterdir()).stat().st_size


def test_its_metrics_are_those_of_a_backtest_worked_out_by_hand(filled: App):
    metrics = training.train(filled, Training("seasonal_naive")).metrics
    panel = demand.load(filled).panel
    from shelfwise.forecasting.backtest import windows
    from shelfwise.forecasting.catalog import estimator

    squared, share, cells, sold = 0.0, 0.0, 0, 0
    for window in windows(panel, 28, 2):
        mean = estimator("seasonal_naive").fit(window.past).predict(window.past, 28, n_paths=100, seed=0).mean()
        for y, said, keep in zip(window.actual.flat, mean.flat, window.scored.flat, strict=True):
            if keep:
                squared, cells = squared + (y - said) ** 2, cells + 1
                share, sold = (share + abs(y - said) / y, sold + 1) if y > 0 else (share, sold)
    assert metrics["rmse"] == pytest.approx((squared / cells) ** 0.5)
    assert metrics["mape"] == pytest.approx(share / sold)
    assert (metrics["cells"], len(metrics["cutoffs"]), metrics["reason"]) == (cells, 2, None)


def test_a_history_too_short_to_be_tried_has_no_metrics_and_says_why(quick: App, fill):
    fill(movements=sales("TEA", FIRST, [3.0] * 20))
    metrics = training.train(quick, Training("theta")).metrics
    assert (metrics["rmse"], metrics["mape"], metrics["cells"]) == (None, None, 0)
    assert "20 periods of history are too few" in metrics["reason"]


def test_the_first_is_champion_and_the_next_its_challenger(filled: App):
    first, second = (training.train(filled, Training(model)) for model in ("theta", "seasonal_naive"))
    aliases = {one.version.id: one.aliases for one in registry.listed(filled)}
    assert aliases == {first.id: ("champion",), second.id: ("challenger",)}
    third = training.train(filled, Training("theta", then="champion"))
    assert (third.label, registry.champion(filled, "shop")) == ("theta@2", third)


def test_rolling_back_goes_back_one_further_each_time(filled: App):
    made = [
        training.train(filled, Training(model, then="champion")) for model in ("theta", "seasonal_naive", "base_level")
    ]
    for expected in (made[1], made[0]):
        registry.rollback(filled, reason="worse", made_by="Ada")
        assert registry.champion(filled, "shop") == expected
    with pytest.raises(ConflictError, match="no version was champion of shop before"):
        registry.rollback(filled, made_by="Ada")
    registry.deploy(filled, made[2].label, made_by="Ada")
    registry.rollback(filled, made_by="Ada")
    assert registry.champion(filled, "shop") == made[0]
    assert [one.action for one, _, _ in registry.history(filled, "shop")].count("rollback") == 3


@pytest.mark.parametrize("damage", [b"", b"\x80\x04K\x01.", None])
def test_a_file_that_was_changed_or_lost_is_neither_loaded_nor_deployed(filled: App, damage: bytes | None):
    kept_one, broken = (training.train(filled, Training(model)) for model in ("theta", "seasonal_naive"))
    registry.load(filled, broken)  # what is in memory already is refused too
    path = folder_of(filled) / f"{broken.sha256}.npz"
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(ConflictError, match="is gone|not what was saved"):
        registry.load(filled, broken)
    with pytest.raises(ConflictError):
        registry.deploy(filled, broken.label, made_by="Ada")
    assert registry.champion(filled, "shop") == kept_one
    registry.load(filled, kept_one)


def test_killed_between_file_and_row_nothing_is_half_there(filled: App, monkeypatch: pytest.MonkeyPatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kept, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            training.train(filled, Training("theta"))
    assert registry.listed(filled) == []
    assert len(files(filled)) == 1  # the file alone, which harms nobody
    again = training.train(filled, Training("theta"))
    assert (again.label, files(filled)) == ("theta@1", {again.sha256})


def test_old_versions_are_archived_but_never_one_that_is_needed(filled: App, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "KEPT", 2)
    first = training.train(filled, Training("theta"))
    second = training.train(filled, Training("base_level", then="champion"))
    others = []
    for seed in range(3):  # the same file for all: their fits are alike, and none is lost while one needs it
        others.append(training.train(filled, Training("seasonal_naive", then="nothing")))
        assert registry.find(filled, "theta@1").version.state == "ready", seed
    states = {one.version.label: one.version.state for one in registry.listed(filled)}
    assert states == {
        "theta@1": "ready", "base_level@1": "ready", "seasonal_naive@1": "archived", "seasonal_naive@2": "ready",
        "seasonal_naive@3": "ready",
    }  # fmt: skip
    assert files(filled) == {first.sha256, second.sha256, others[-1].sha256}
    with pytest.raises(ConflictError, match="was removed"):
        registry.deploy(filled, "seasonal_naive@1", made_by="Ada")


def test_names_that_are_paths_never_reach_the_store(filled: App):
    for name in ("../x", "theta@../1", "theta@1/..", "", "0", "-1", "Theta@1", "theta@", "1e3", "theta@1\n"):
        with pytest.raises(ParameterError, match="a model is named by its id"):
            registry.find(filled, name)
    with pytest.raises(NotFound):
        registry.find(filled, "7")


def test_a_model_of_one_product_needs_a_week_of_it(filled: App, fill):
    version = training.train(filled, Training("theta", "product:tea"))
    assert version.scope == "product:TEA"
    fill(movements=sales("NEW", MONDAY - dt.timedelta(days=12), [2.0, 1.0, 2.0]))
    with pytest.raises(ParameterError, match=r"NEW has \d days of history, and a model of its own needs 7"):
        training.train(filled, Training("theta", "product:NEW"))


def test_weeks_that_came_after_a_training_are_scored_once_each(filled: App, fill):
    version = training.train(filled, Training("theta"))
    assert model_performance.performance(filled)[0].scores == ()
    fill(movements=sales("TEA", version.data_until + dt.timedelta(days=1), WEEKS * 2 + [4.0]))
    scores = model_performance.performance(filled)[0].scores
    assert [score.cutoff for score in scores] == [version.data_until + dt.timedelta(days=7 * n) for n in range(2)]
    assert all(score.metrics["cells"] > 0 and score.metrics["rmse"] >= 0 for score in scores)
    assert json.dumps([score.metrics for score in model_performance.performance(filled)[0].scores]) == json.dumps(
        [score.metrics for score in scores]
    )
    assert model_performance.score_here(filled, "shop") == 0


def test_a_job_that_runs_twice_trains_once(filled: App):
    payload = {"model": "theta", "scope": "shop", "then": "champion", "made_by": "Ada"}
    asked = {**payload, "asked_at": filled.now().isoformat()}
    first = training.run_job(filled, asked, lambda *_: None)
    assert training.run_job(filled, asked, lambda *_: None) == first
    assert len(registry.listed(filled)) == 1
