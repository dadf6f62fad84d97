"""Champions are trained anew by a stated rule, compared on days that neither saw, and replaced only where not worse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.services.worlds import MONDAY, sales

from shelfwise.app import App
from shelfwise.services import job_kinds, jobs, registry, retraining, training
from shelfwise.services.background import Background
from shelfwise.services.job_kinds import KINDS, Kind
from shelfwise.services.training import Training
from shelfwise.storage import registry as kept

PRODUCTS = [f"P{n:02}" for n in range(12)]
FIRST = MONDAY - dt.timedelta(days=140)
WEEK = [2.0, 2.0, 2.0, 3.0, 4.0, 8.0, 1.0]
HERE = {name: Kind(name, KINDS[name].run) for name in (job_kinds.TRAIN, job_kinds.RETRAIN)}
Fill = Callable[..., None]


def days(first: int, last: int, times: float = 1.0) -> list[dict[str, Any]]:
    """Sales of twelve products on days ``first`` to ``last`` of the history."""
    began = FIRST + dt.timedelta(days=first)
    wanted = [times * (WEEK[day % 7] + day * 37 % 11 % 3) for day in range(first, last)]
    return [row for n, code in enumerate(PRODUCTS) for row in sales(code, began, [units + n % 3 for units in wanted])]


def at(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    now = dt.datetime.combine(FIRST + dt.timedelta(days=day), dt.time(2))
    monkeypatch.setattr(App, "now", lambda _: now)
    monkeypatch.setattr(App, "today", lambda _: now.date())


def night(app: App) -> dict[str, Any]:
    """What the job of the night says, and the trainings that it queued done."""
    asked = jobs.ask(app, job_kinds.RETRAIN)
    Background(app, kinds=HERE, schedule=()).drain()
    done = jobs.look(app, asked.id)
    assert done.state == "done", done.error
    queued: dict[str, Any] = done.result["queued"]
    return queued


@pytest.fixture
def trained(quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> App:
    """A shop of 70 days whose champion is the seasonal naive model."""
    fill(movements=days(0, 70))
    at(monkeypatch, 70)
    training.train(quick, Training("seasonal_naive", made_by="Ada"))
    return quick


def test_nothing_is_trained_where_nobody_trained_or_nothing_is_new(
    quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=days(0, 70))
    at(monkeypatch, 70)
    assert night(quick) == {}
    training.train(quick, Training("seasonal_naive", made_by="Ada"))
    at(monkeypatch, 170)
    assert night(quick) == {}, "it is old, but there is nothing new to learn"


def test_an_old_champion_is_trained_anew_and_replaced_where_it_is_not_worse(
    trained: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=days(70, 80))
    at(monkeypatch, 80)
    assert night(trained) == {}, "10 days are under the interval, and no quarter of 70"
    fill(movements=days(80, 84))
    at(monkeypatch, 101)
    queued = night(trained)
    assert queued["shop"]["why"] == "seasonal_naive@1 is 31 days old, the interval is 30"
    job = jobs.look(trained, queued["shop"]["job"])
    assert (job.kind, job.result["model"]) == ("train_model", "seasonal_naive@2")
    deployed, version, before = registry.history(trained, "shop")[0]
    assert (version.label, before and before.label) == ("seasonal_naive@2", "seasonal_naive@1")
    assert (deployed.alias, deployed.made_by) == ("champion", "schedule")
    assert "beside" in deployed.reason
    assert deployed.reason.endswith("2 x 7 days it had not seen, 12 series: not worse beyond chance")
    assert registry.rollback(trained, made_by="Ada").version_id != version.id


def test_a_challenger_that_is_worse_beyond_chance_stays_one(
    trained: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=days(70, 98))
    at(monkeypatch, 98)
    made = training.train(trained, Training("tsb", then="not_worse", made_by="Ada"))
    deployed, version, _ = registry.history(trained, "shop")[0]
    assert (version, deployed.alias) == (made, "challenger")
    assert deployed.reason.endswith("2 x 14 days it had not seen, 12 series: worse by more than chance")
    assert registry.find(trained, "seasonal_naive@1").aliases == ("champion",)
    at(monkeypatch, 127)
    assert night(trained) == {}, "the attempt knows all the days there are"
    registry.deploy(trained, made.label, made_by="Ada")
    fill(movements=days(98, 126))
    better = training.train(trained, Training("seasonal_naive", then="not_worse", made_by="Ada"))
    deployed, version, _ = registry.history(trained, "shop")[0]
    assert (version, deployed.alias) == (better, "champion")
    assert deployed.reason.endswith("better by more than chance")


def test_with_too_few_series_to_tell_chance_only_what_is_no_worse_takes_over(
    quick: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=[row for row in days(0, 70) if row["product"] == "P00"])
    at(monkeypatch, 70)
    training.train(quick, Training("seasonal_naive", made_by="Ada"))
    with_few = Training("tsb", then="not_worse", made_by="Ada")
    training.train(quick, with_few)
    assert registry.history(quick, "shop")[0][0].reason == (
        "0 days after seasonal_naive@1 was trained are too few to compare on"
    )
    fill(movements=[row for row in days(70, 84) if row["product"] == "P00"])
    at(monkeypatch, 84)
    training.train(quick, with_few)
    deployed = registry.history(quick, "shop")[0][0]
    assert (deployed.alias, deployed.reason.rpartition(": ")[2]) == (
        "challenger", "worse, and whether by chance cannot be said",
    )  # fmt: skip
    training.train(quick, Training("seasonal_naive", then="not_worse", made_by="Ada"))
    assert registry.history(quick, "shop")[0][0].alias == "champion"


def test_a_young_shop_and_an_error_that_grew_are_reasons_too(
    trained: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=days(70, 88))
    at(monkeypatch, 88)
    [due] = retraining.due(trained, lambda *_: None)
    assert due.why == "18 days have come to the 70 that seasonal_naive@1 was trained on"
    monkeypatch.setattr(retraining, "GROWN", 9.0)
    assert retraining.due(trained, lambda *_: None) == []
    fill(movements=days(88, 98, times=4.0))
    at(monkeypatch, 98)
    with trained.database.write() as connection:
        champion = kept.holder(connection, "shop", "champion")
        assert champion is not None
        for score in kept.scores(connection, champion.id):
            kept.save_score(connection, replace(score, metrics={**score.metrics, "wape": 0.9}))
    [due] = retraining.due(trained, lambda *_: None)
    assert due.why.startswith("seasonal_naive@1 was off by ")


def test_no_second_training_is_queued_while_one_waits(
    trained: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=days(70, 84))
    at(monkeypatch, 101)
    waiting = training.put(trained, Training("seasonal_naive", then="champion", made_by="Ada"))
    assert retraining.queue(trained, lambda *_: None) == {"queued": {}}
    assert jobs.look(trained, waiting.id).payload["then"] == "champion"


def test_the_time_for_a_training_is_that_of_the_setting(trained: App) -> None:
    settings = trained.settings.model_copy(update={"training_timeout_seconds": 7.0})
    assert KINDS[job_kinds.TRAIN].seconds(settings) == 7.0
    assert KINDS[job_kinds.PLAN].seconds(settings) == 3600.0


def test_an_interval_of_zero_trains_nothing_by_itself(
    trained: App, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(movements=days(70, 98))
    at(monkeypatch, 130)
    assert len(retraining.due(trained, lambda *_: None)) == 1
    never = trained.settings.model_copy(update={"model_retrain_interval_days": 0})
    assert retraining.due(replace(trained, settings=never), lambda *_: None) == []
