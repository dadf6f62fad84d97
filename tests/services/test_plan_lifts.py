"""Lifts are measured once for a plan, kept with it, and read from there."""

from __future__ import annotations

import io

import polars as pl
from polars.testing import assert_frame_equal

from shelfwise.app import App
from shelfwise.services import plan_lifts, planning, predictions
from shelfwise.storage import archive


def test_what_was_measured_for_a_plan_is_kept_with_it_and_read_the_next_time(demo: App) -> None:
    plan = planning.make_plan(demo)
    measured = plan_lifts.lifts(demo, plan)
    assert_frame_equal(measured, predictions.lifts(demo))
    doubled = io.BytesIO()
    measured.with_columns(pl.col("forecast_lift") * 2).write_ipc(doubled)
    with demo.database.write() as connection:
        archive.save_chunk(connection, plan.run_id or 0, plan_lifts.LIFTS, doubled.getvalue())
    again = plan_lifts.lifts(demo, plan)
    assert_frame_equal(again.with_columns(pl.col("forecast_lift") / 2), measured)
    assert planning.published_forecast(demo, plan.run_id or 0).horizon == plan.horizon


def test_a_plan_that_is_not_kept_keeps_no_lifts(demo: App) -> None:
    kept = planning.make_plan(demo)
    tried = planning.make_plan(demo, service_level=0.91, save=False)
    assert tried.run_id is None
    assert_frame_equal(plan_lifts.lifts(demo, tried), predictions.lifts(demo))
    with demo.database.read() as connection:
        assert plan_lifts.LIFTS not in archive.chunk_numbers(connection, kept.run_id or 0)
