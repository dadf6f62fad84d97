"""The worker: events and the clock become jobs, jobs are done, and what goes wrong is tried again or parked."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update
from tests.services.worlds import MONDAY, sales

from shelfwise import logs
from shelfwise.app import App, open_app
from shelfwise.domain.errors import DataError, ModelError, StorageError
from shelfwise.domain.events import (
    EVENTS,
    ImportFinished,
    MovementsCorrected,
    MovementsRecorded,
    OverrideChanged,
    PlanPublished,
    PurchaseOrderChanged,
)
from shelfwise.services import background, job_kinds, jobs, reactions
from shelfwise.services.background import Background, JobLost, queue_scheduled, relay
from shelfwise.services.job_kinds import Kind
from shelfwise.services.jobs import Job, Wanted
from shelfwise.storage import jobs as stored
from shelfwise.storage import outbox, tables, workers

done: list[tuple[str, Any]] = []
"""What the handlers below did, in this process."""


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


def good(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> dict[str, int]:
    done.append(("good", payload))
    return {"products": len(payload.get("products", ()))}


def broken(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> None:
    done.append(("broken", payload))
    raise ModelError("it cannot be fitted")


def picky(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> int:
    done.append(("picky", payload))
    if "bad" in payload["products"]:
        raise RuntimeError("bad is bad")
    return 1


def useless(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> None:
    raise DataError("there is nothing to do it with")


def unkept(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> None:
    raise StorageError("the disk is full")


def unspeakable(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> object:
    return object()


def endless(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> None:
    while True:
        progress("waiting", 0, 0)
        time.sleep(0.02)


def stubborn(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> None:
    progress("sleeping", 1, 2)
    time.sleep(600)


def where(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> dict[str, Any]:
    import os

    progress("looking", 1, 1)
    return {"pid": os.getpid(), "today": str(app.today()), "model": app.settings.model}


KINDS = {
    kind.name: kind
    for kind in (
        Kind("good", good, together=10),
        Kind("broken", broken, most_attempts=2),
        Kind("picky", picky, together=10, most_attempts=2),
        Kind("useless", useless),
        Kind("unkept", unkept, most_attempts=1),
        Kind("unspeakable", unspeakable, most_attempts=1),
        Kind("endless", endless, timeout_seconds=0.3, most_attempts=1),
        Kind("stubborn", stubborn, apart=True, timeout_seconds=600, most_attempts=1),
        Kind("late", stubborn, apart=True, timeout_seconds=2, most_attempts=1),
        Kind("where", where, apart=True, timeout_seconds=60),
    )
}


@pytest.fixture
def ask(quick: App) -> Callable[..., int]:
    def put(kind: str, subject: str = "", **payload: Any) -> int:
        with quick.database.write() as connection:
            wanted = Wanted(kind, subject, payload, most_attempts=KINDS[kind].most_attempts)
            return stored.enqueue(connection, [wanted])[0]

    return put


def drain(app: App) -> int:
    return Background(app, kinds=KINDS, schedule=()).drain()


@pytest.fixture
def worker(quick: App) -> Iterator[Background]:
    with Background(quick, kinds=KINDS, schedule=(), poll_seconds=0.05, lease_seconds=1.0) as started:
        yield started


def until(app: App, number: int, good: Callable[[Job], bool], seconds: float = 30.0) -> Job:
    end = time.monotonic() + seconds
    while not good(found := jobs.look(app, number)):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


# --- events


def say(app: App, *events: Any) -> None:
    with app.database.write() as connection:
        outbox.append(connection, app.now(), *events)


def queued(app: App) -> set[tuple[str, str]]:
    return {(job.kind, job.subject) for job in jobs.listed(app).jobs if job.state == "queued"}


def test_every_event_has_its_row_in_the_table() -> None:
    assert set(reactions.REACTIONS) == set(EVENTS.values())


def test_a_sale_refreshes_its_products_and_a_large_booking_publishes_all_anew(quick: App) -> None:
    say(quick, MovementsRecorded("till", 2, ("tea", "mug")), MovementsRecorded("till", 1, ("tea",)), PlanPublished(1))
    assert relay(quick) == 3
    assert queued(quick) == {("refresh_series", "tea"), ("refresh_series", "mug")}
    say(quick, ImportFinished(1, ("a.csv",)), MovementsRecorded("csv", 5000))
    assert relay(quick) == 2
    assert relay(quick) == 0
    assert queued(quick) == {("refresh_series", "tea"), ("refresh_series", "mug"), ("publish_forecasts", "")}


def test_an_override_an_order_and_a_correction_refresh_what_they_are_about(
    quick: App, fill: Callable[..., None]
) -> None:
    fill(
        movements=sales("tea", MONDAY - dt.timedelta(days=3), [1, 2, 3]) + sales("mug", MONDAY, [1]),
        purchase_order_lines=[
            {"purchase_order": "PO-1", "supplier": "acme", "product": "mug", "warehouse": "main", "quantity": 5.0}
        ],
    )
    relay(quick)
    with quick.database.write() as connection:
        connection.execute(tables.jobs.delete())
        scopes = [("product", "tea"), ("line", "mug@main"), ("category", "drinks")]
        for kind, scope in scopes:
            row = {"setting": "forecast", "value": {}, "scope_kind": kind, "scope": scope, "reason": "fair"}
            connection.execute(tables.overrides.insert().values(**row, created_by="anna", created_at=quick.now()))
    for number, (_, scope) in enumerate(scopes, 1):
        say(quick, OverrideChanged(number, "set"))
        relay(quick)
        wanted = ("publish_forecasts", "") if number == 3 else ("refresh_series", scope.partition("@")[0])
        assert wanted in queued(quick)
    with quick.database.write() as connection:
        connection.execute(tables.jobs.delete())
    say(quick, PurchaseOrderChanged("PO-1", "sent"))
    relay(quick)
    assert queued(quick) == {("refresh_series", "mug")}
    from shelfwise.services import stock_corrections

    with quick.database.read() as connection:
        line = connection.scalar(tables.stock_movements.select().with_only_columns(tables.stock_movements.c.id))
    assert line is not None
    stock_corrections.correct(quick, line, quantity=7.0, reason="miscounted")
    relay(quick)
    assert queued(quick) == {("refresh_series", "mug"), ("refresh_series", "tea")}
    say(quick, MovementsCorrected(99, "made"))
    relay(quick)
    assert ("publish_forecasts", "") in queued(quick)


# --- the clock


def test_what_is_due_by_the_clock_is_queued_once_and_not_at_the_first_look(quick: App) -> None:
    assert queue_scheduled(quick) == 0
    with quick.database.read() as connection:
        planned = workers.next_times(connection)
        moment = stored.now(connection)
    assert {one.name for one in reactions.SCHEDULE if reactions.rule_of(quick, one)} == set(planned)
    assert all(moment < due.next_at <= moment + dt.timedelta(days=1) for due in planned.values())
    assert queue_scheduled(quick) == 0
    with quick.database.write() as connection:
        connection.execute(update(tables.schedule).values(next_at=moment - dt.timedelta(days=3)))
    assert queue_scheduled(quick) == 5, "three missed nights are one job of each kind"
    assert queue_scheduled(quick) == 0
    nightly = {"publish_forecasts", "snapshot_stock", "plan", "retrain_models", "tidy"}
    assert queued(quick) == {(kind, "") for kind in nightly}


def test_another_time_in_the_settings_is_planned_anew(quick: App, tmp_path: Any) -> None:
    queue_scheduled(quick)
    with open_app(tmp_path / "quick.db", folder=tmp_path, nightly_at="03:30", timezone="Europe/Berlin") as changed:
        assert queue_scheduled(changed) == 0
        with changed.database.read() as connection:
            due = workers.next_times(connection)["nightly plan"]
    assert due.rule == "every day at 03:30 Europe/Berlin"
    assert changed.calendar.shop_time(due.next_at).time() == dt.time(3, 30)


def test_the_night_comes_once_when_the_clocks_change(tmp_path: Any) -> None:
    cases = [
        ("2026-03-28T23:00", "2026-03-29T01:30"),  # 02:30 is skipped: 03:30 summer time
        ("2026-10-24T23:00", "2026-10-25T00:30"),  # 02:30 comes twice: the first one
        ("2026-10-25T00:30", "2026-10-26T01:30"),
        ("2026-06-01T12:00", "2026-06-02T00:30"),
    ]
    with open_app(tmp_path / "shop.db", folder=tmp_path, nightly_at="02:30", timezone="Europe/Berlin") as app:
        for after, expected in cases:
            found = reactions.next_time(app, reactions.SCHEDULE[0], dt.datetime.fromisoformat(f"{after}+00:00"))
            assert found == dt.datetime.fromisoformat(f"{expected}+00:00")


# --- jobs


def test_jobs_of_one_kind_are_done_together(quick: App, ask: Callable[..., int]) -> None:
    numbers = [ask("good", code, products=[code]) for code in ("tea", "mug", "cup")]
    assert drain(quick) == 3
    assert done == [("good", {"products": ["tea", "mug", "cup"]})]
    assert [jobs.look(quick, n).state for n in numbers] == ["done"] * 3
    assert jobs.look(quick, numbers[0]).result == {"products": 3}
    assert jobs.alive(quick) == [], "a worker that has ended says so"


def test_of_several_the_bad_one_is_parked_and_the_others_are_done(quick: App, ask: Callable[..., int]) -> None:
    numbers = [ask("picky", code, products=[code]) for code in ("tea", "bad", "mug")]
    drain(quick)
    assert done[0] == ("picky", {"products": ["tea", "bad", "mug"]})
    assert [jobs.look(quick, n).state for n in numbers] == ["done", "parked", "done"]
    assert jobs.look(quick, numbers[1]).error == "RuntimeError: bad is bad"


def test_a_failure_is_tried_again_later_and_parked_at_last(
    quick: App, ask: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    number = ask("broken")
    assert drain(quick) == 1
    waiting = jobs.look(quick, number)
    assert (waiting.state, waiting.error, waiting.attempts) == ("queued", "it cannot be fitted", 1)
    assert waiting.run_after > waiting.created_at + dt.timedelta(seconds=1)
    assert drain(quick) == 0
    with quick.database.write() as connection:
        connection.execute(update(tables.jobs).values(run_after=stored.now(connection)))
    with caplog.at_level(logging.ERROR):
        assert drain(quick) == 1
    parked = jobs.look(quick, number)
    assert (parked.state, parked.attempts, len(done)) == ("parked", 2, 2)
    assert f"shelfwise jobs show {number}" in caplog.text
    jobs.retry(quick, number)
    assert drain(quick) == 1
    jobs.cancel(quick, number)
    assert drain(quick) == 0


def test_what_cannot_be_done_is_not_tried_again(quick: App, ask: Callable[..., int]) -> None:
    number = ask("useless")
    drain(quick)
    found = jobs.look(quick, number)
    assert (found.state, found.attempts, found.error) == ("parked", 1, "there is nothing to do it with")
    assert jobs.drop(quick, number).state == "cancelled"


def test_a_full_disk_counts_as_no_try_for_a_day(quick: App, ask: Callable[..., int]) -> None:
    number = ask("unkept")
    for _ in range(3):
        assert drain(quick) == 1
        waiting = jobs.look(quick, number)
        assert (waiting.state, waiting.error, waiting.attempts) == ("queued", "the disk is full", 0)
        with quick.database.write() as connection:
            connection.execute(update(tables.jobs).values(run_after=stored.now(connection)))
    with quick.database.write() as connection:
        connection.execute(update(tables.jobs).values(created_at=stored.now(connection) - dt.timedelta(days=2)))
    assert drain(quick) == 1
    assert jobs.look(quick, number).state == "parked"


def test_an_answer_that_cannot_be_kept_is_the_handlers_fault(quick: App, ask: Callable[..., int]) -> None:
    number = ask("unspeakable")
    drain(quick)
    found = jobs.look(quick, number)
    assert found.state == "parked"
    assert "not JSON serializable" in str(found.error)


def test_a_job_in_the_thread_ends_at_its_deadline(quick: App, ask: Callable[..., int]) -> None:
    number = ask("endless")
    drain(quick)
    found = jobs.look(quick, number)
    assert (found.state, found.step) == ("parked", "waiting")
    assert "longer than it may" in str(found.error)


def test_a_long_job_runs_in_a_process_that_opens_the_shop_itself(quick: App, ask: Callable[..., int]) -> None:
    import os

    number = ask("where")
    drain(quick)
    found = jobs.look(quick, number)
    assert found.state == "done", found.error
    assert found.result["pid"] != os.getpid()
    assert found.result["model"] == "base_level"
    assert (found.step, found.done, found.total) == ("looking", 1, 1)


def test_a_process_is_killed_at_its_deadline(quick: App, ask: Callable[..., int]) -> None:
    number = ask("late")
    drain(quick)
    found = jobs.look(quick, number)
    assert found.state == "parked"
    assert "no answer within 2 s" in str(found.error)


def test_a_job_belongs_to_the_request_that_asked_for_it_and_so_do_those_that_it_asks_for(quick: App) -> None:
    seen = []

    def ask_for_another(app: App, payload: Mapping[str, Any], progress: job_kinds.Progress) -> int:
        seen.append(logs.current_fact("request_id"))
        return jobs.ask(app, job_kinds.TIDY).id

    with logs.following(request_id="till-7"):
        first = jobs.ask(quick, job_kinds.PLAN)
    other = jobs.ask(quick, job_kinds.STOCK)
    Background(quick, kinds={job_kinds.PLAN: Kind(job_kinds.PLAN, ask_for_another)}, schedule=()).drain()
    assert (first.request_id, other.request_id, seen) == ("till-7", None, ["till-7"])
    assert jobs.look(quick, jobs.look(quick, first.id).result).request_id == "till-7"
    assert logs.current_fact("request_id") is None


# --- a started worker


def test_a_commit_of_this_process_wakes_the_worker(quick: App) -> None:
    with Background(quick, kinds=KINDS, schedule=(), poll_seconds=60.0) as worker:
        assert worker.is_alive
        time.sleep(0.5)
        with quick.database.write() as connection:
            [number] = stored.enqueue(connection, [Wanted("good")])
        until(quick, number, lambda job: job.state == "done", seconds=10)
        assert [one.name for one in jobs.alive(quick)] == [worker.name]
    assert not worker.is_alive


def test_a_cancelled_job_is_stopped_and_its_process_killed(
    quick: App, worker: Background, ask: Callable[..., int]
) -> None:
    number = ask("stubborn")
    until(quick, number, lambda job: job.step == "sleeping")
    assert jobs.cancel(quick, number).state == "cancelled"
    again = ask("where")
    assert until(quick, again, lambda job: job.over, seconds=20).state == "done", "the process slept for 600 s"
    assert jobs.look(quick, number).state == "cancelled"


def test_a_worker_that_ends_gives_back_what_it_did_not_finish(quick: App, ask: Callable[..., int]) -> None:
    number = ask("stubborn")
    with Background(quick, kinds=KINDS, schedule=(), poll_seconds=0.05):
        until(quick, number, lambda job: job.step == "sleeping")
    found = jobs.look(quick, number)
    assert (found.state, found.attempts, found.holder) == ("queued", 0, None)


def test_an_ending_worker_stops_its_thread_at_the_next_word(quick: App, ask: Callable[..., int]) -> None:
    kinds = {"endless": Kind("endless", endless, timeout_seconds=600)}
    number = ask("endless")
    with Background(quick, kinds=kinds, schedule=(), poll_seconds=0.05):
        until(quick, number, lambda job: job.step == "waiting")
    assert jobs.look(quick, number).state == "queued"


def test_a_holder_that_lost_its_job_hears_so_at_its_next_word(quick: App, ask: Callable[..., int]) -> None:
    number = ask("good")
    told = background.Told(quick.database, [number], "anna", time.monotonic() + 60)
    with pytest.raises(JobLost, match="cancelled, or another worker has it"):
        told("half", 1, 2)


def test_trouble_with_the_database_does_not_end_the_worker(
    quick: App, worker: Background, ask: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    failed = threading.Event()

    def broken_relay(app: App) -> int:
        failed.set()
        raise DataError("the disk is on fire")

    with monkeypatch.context() as patched:
        patched.setattr(background, "relay", broken_relay)
        assert failed.wait(10)
    number = ask("good")
    until(quick, number, lambda job: job.state == "done")
    assert caplog.text.count("the disk is on fire") == 1, "the same trouble is told once"


# --- the real kinds

HERE = {name: replace(kind, apart=False) for name, kind in job_kinds.KINDS.items()}
"""Without a process for each, which takes seconds to start."""


def test_a_night_in_a_small_shop(quick: App, fill: Callable[..., None]) -> None:
    """Publication, plan and tidying, each as the schedule queues them, and again without harm."""
    today = quick.today()
    fill(movements=sales("tea", today - dt.timedelta(days=40), [3.0] * 40))
    for _ in range(2):
        numbers = [jobs.ask(quick, kind).id for kind in (job_kinds.PUBLISH, job_kinds.PLAN, job_kinds.TIDY)]
        Background(quick, kinds=HERE, schedule=()).drain()
        published, planned, tidied = (jobs.look(quick, number) for number in numbers)
        assert (published.state, planned.state, tidied.state) == ("done",) * 3, (published, planned, tidied)
    assert planned.result["lines"] == 1
    refresh = jobs.ask(quick, job_kinds.REFRESH, {"products": ["tea"]}, "tea")
    score = jobs.ask(quick, job_kinds.BACKTEST, {"models": ["base_level"], "horizon": 7, "cutoffs": 1})
    Background(quick, kinds=HERE, schedule=()).drain()
    assert jobs.look(quick, refresh.id).result == {"changed": 0}
    assert jobs.look(quick, score.id).result == {"backtest": 1}


def test_a_shop_without_sales_has_no_nights_to_park(quick: App) -> None:
    number = jobs.ask(quick, job_kinds.PLAN).id
    Background(quick, kinds=HERE, schedule=()).drain()
    found = jobs.look(quick, number)
    assert found.state == "done"
    assert "no sales" in found.result["skipped"]


def test_old_plans_go_but_for_the_latest_and_those_that_somebody_decided(quick: App, fill: Callable[..., None]) -> None:
    fill(movements=sales("tea", quick.today() - dt.timedelta(days=40), [3.0] * 40))
    from shelfwise.storage import plans

    old = quick.now() - dt.timedelta(days=31)
    with quick.database.write() as connection:
        made = [
            plans.save_run(connection, created_at=old, data_until=old.date(), horizon=7, model="m") for _ in range(4)
        ]
        fresh = plans.save_run(connection, created_at=quick.now(), data_until=old.date(), horizon=7, model="m")
        for run in (made[1], made[2]):
            product = connection.scalar(tables.products.select().with_only_columns(tables.products.c.id))
            place = connection.scalar(tables.warehouses.select().with_only_columns(tables.warehouses.c.id))
            row = {
                "product_id": product,
                "warehouse_id": place,
                "quantity": 1.0,
                "arithmetic": {},
                "status": "proposed",
            }
            connection.execute(tables.recommendations.insert().values(run_id=run, **row))
        line = plans.recommendations(connection, run_id=made[1])["recommendation"][0]
        plans.decide(connection, line, "approve", decided_by="anna", decided_at=old)
    number = jobs.ask(quick, job_kinds.TIDY).id
    Background(quick, kinds=HERE, schedule=()).drain()
    assert jobs.look(quick, number).result["plans"] == 3
    with quick.database.read() as connection:
        assert [run.id for run in plans.all_runs(connection)] == [made[1], fresh]
