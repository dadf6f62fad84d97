"""By which factor promotions, events and prices move demand, measured once for a plan and kept with its forecast.

Measuring takes seconds: the model forecasts every series with and without each event. A plan holds as long as its data
does, so what was measured for one question about it answers all others.
"""

from __future__ import annotations

import io
import logging
from typing import Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import StorageError
from shelfwise.services import predictions
from shelfwise.services.planning import Plan
from shelfwise.storage import archive

_log = logging.getLogger(__name__)

LIFTS: Final = 2
"""Number in a run's archive of the lifts measured for it, beside its forecasts."""


def lifts(app: App, plan: Plan) -> pl.DataFrame:
    """Return LIFTS as `predictions.lifts` measures them; kept where the plan was saved, and read where they are kept.

    Parameters
    ----------
    plan
        The plan that holds: what is kept with it is about its very data.
    """
    if plan.run_id is None:
        return predictions.lifts(app)
    with app.database.read() as connection:
        there = LIFTS in archive.chunk_numbers(connection, plan.run_id)
        kept = archive.load_chunk(connection, plan.run_id, LIFTS) if there else None
    if kept is not None:
        return pl.read_ipc(io.BytesIO(kept))
    measured = predictions.lifts(app)
    packed = io.BytesIO()
    measured.write_ipc(packed)
    try:
        with app.database.write() as connection:
            archive.save_chunk(connection, plan.run_id, LIFTS, packed.getvalue())
    except StorageError as error:  # a full disk must not keep the answer from the one who asked
        _log.warning("the lifts measured for plan %d were not kept: %s", plan.run_id, error)
    return measured
