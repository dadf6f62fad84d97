"""What a store's own past teaches about its stockouts: the corrector of the paths' chances, fitted once and kept.

At a Monday a week the store's model, fitted on what was known before the first of them, forecasts the weeks ahead. Over
the same demand stock is replayed under policies of mixed generosity, and where the store has recorded its stock, its
own stockouts count too, with the orders that were open at the time on the day they came. It is kept under a fingerprint
of the past it was learnt from, so it is learnt anew once a week, or when that past changes.

Letters: N series, T past days, S paths, K days of the window.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from hashlib import blake2b, sha256
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.app import App
from shelfwise.domain.errors import ModelError, StorageError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.risk_features import FEATURES, risk_features
from shelfwise.inventory.risk_rows import (
    PastForecast,
    WindowErrors,
    late_share,
    recorded_labels,
    replayed_rows,
    situation,
)
from shelfwise.inventory.stockout_corrector import RiskRows, StockoutCorrector, check_installed, fit_corrector
from shelfwise.inventory.stockout_labels import Replenishment
from shelfwise.services.fitting import described, panel_fingerprint
from shelfwise.storage import models, purchasing, stock

_log: Final = logging.getLogger(__name__)

Floats = NDArray[np.float64]

STEP: Final = 7
"""Days between moments learnt from."""
MONDAY: Final = 4
"""Ordinal of the first Monday: ordinal 0 is 1 January 1970, a Thursday."""
MOMENTS: Final = 26
FEWEST_DAYS: Final = 120
"""Days of history before the first moment."""
MEMORY: Final = 91
"""Days meant by "of late": a quarter of a year."""
REPLAY_MEMORY: Final = 56
ENOUGH_ROWS: Final = 20_000
FEWEST_WORLDS: Final = 2
MOST_WORLDS: Final = 6
"""Stocks replayed over each demand: more of them where a shop has few products."""
MOST_SERIES: Final = 1000
"""Series learnt from: those whose hashed ids come first."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """A corrector, and how the forecasts of the last windows erred.

    error_bias, error_size
        By unique_id; see `forecast_errors`.
    """

    corrector: StockoutCorrector
    error_bias: dict[str, float] = field(default_factory=dict)
    error_size: dict[str, float] = field(default_factory=dict)

    def errors(self, ids: Sequence[str]) -> tuple[Floats, Floats]:
        """Return bias and size [N]; nan where a series was not learnt from."""
        return (
            np.array([self.error_bias.get(name, np.nan) for name in ids], dtype=np.float64),
            np.array([self.error_size.get(name, np.nan) for name in ids], dtype=np.float64),
        )


def demand_grid(panel: Panel, periods: int) -> Floats:
    """Return the last ``periods`` days of demand [N, T]: closed days are 0, censored and unborn ones nan."""
    values = panel.window(periods).astype(np.float64)
    first = panel.ends.max() - periods
    begun = np.arange(periods) + first >= panel.starts[:, None]
    known = panel.available_window(periods)
    values[begun & np.isnan(values)] = 0.0
    values[~(begun & known)] = np.nan
    return values


def ran_out_grid(panel: Panel, periods: int) -> Floats:
    """Return [N, T] 1 on days on which a stockout may have hidden demand, 0 on others, nan before a series begins."""
    first = panel.ends.max() - periods
    begun = np.arange(periods) + first >= panel.starts[:, None]
    return np.where(begun, (~panel.available_window(periods)).astype(np.float64), np.nan)


def learn(app: App, live: Panel, lead_time: LeadTime, review_days: float, window: int, model: str) -> Learnt:
    """Return the store's corrector for the next ``window`` days: the kept one where its past is the same, else a new.

    Parameters
    ----------
    live
        Panel of the N live series, all ending on the same day.
    lead_time
        Of the same series, in days.

    Raises
    ------
    ModelError
        XGBoost is not installed.
    """
    check_installed()
    chosen = _sample(live)
    panel, leads = live.select(chosen), _leads(lead_time, chosen)
    same_end = panel.ends == panel.ends.max()
    panel, leads = panel.select(same_end), _leads(leads, np.flatnonzero(same_end))
    end, start = int(panel.ends.max()), int(panel.starts.min())
    newest = (end - window - MONDAY) // STEP * STEP + MONDAY
    moments = [at for at in range(newest - (MOMENTS - 1) * STEP, newest + 1, STEP) if at - start >= FEWEST_DAYS]
    if not moments:
        return Learnt(
            StockoutCorrector(
                window, f"only {end - start} days of history, at least {FEWEST_DAYS + window + STEP} are needed"
            )
        )
    panel = panel.until(np.full(panel.n_series, newest + window))
    mark = _mark(panel, leads, review_days, window, model, app.settings.seed)
    kept = _kept(app, mark)
    if kept is not None:
        return kept
    begins = panel.starts <= moments[0]
    if not begins.any():
        return Learnt(StockoutCorrector(window, f"no product has sold for {FEWEST_DAYS + MOMENTS * STEP} days"))
    made = _fitted(app, panel, leads, review_days, window, model, [at - start for at in moments])
    _keep(app, mark, made)
    return made


def _sample(panel: Panel) -> NDArray[np.int64]:
    keys = [blake2b(name.encode(), digest_size=8).digest() for name in panel.ids.cast(pl.String)]
    return np.array(sorted(sorted(range(len(keys)), key=keys.__getitem__)[:MOST_SERIES]), dtype=np.int64)


def _leads(lead_time: LeadTime, rows: NDArray[np.int64]) -> LeadTime:
    return LeadTime(lead_time.mean[rows], np.asarray(lead_time.sd_periods, dtype=np.float64)[rows])


def _fitted(
    app: App, panel: Panel, leads: LeadTime, review_days: float, window: int, model: str, moments: list[int]
) -> Learnt:
    """Forecast at each moment, replay stock, add what was recorded, and fit."""
    start, length = int(panel.starts.min()), int(panel.ends.max() - panel.starts.min())
    demand = demand_grid(panel, length)
    ids = panel.ids.to_list()
    errors = WindowErrors(demand, window)
    recorded = _Recorded(app, panel, leads, length)
    parts: list[RiskRows] = []

    def forecasts() -> Iterator[PastForecast]:
        known = panel.select(panel.starts < start + moments[0])
        predictor = estimator(model).fit(known.until(np.full(known.n_series, start + moments[0])))
        for moment in moments:
            sold = np.nan_to_num(demand[:, max(moment - MEMORY, 0) : moment]).sum(axis=1) > 0
            rows = np.flatnonzero(sold & (panel.starts <= start + moment - REPLAY_MEMORY))
            past = panel.select(rows).until(np.full(len(rows), start + moment))
            made = predictor.predict(past, window, n_paths=app.settings.n_paths, seed=app.settings.seed)
            forecast = PastForecast(moment, rows, made.paths)
            own = recorded.rows(forecast, demand, errors)
            if own is not None:
                parts.append(own)
            yield forecast

    rules = Replenishment(review_periods=max(1, round(review_days)), memory=REPLAY_MEMORY, seed=app.settings.seed)
    worlds = min(max(-(-ENOUGH_ROWS // (len(ids) * len(moments))), FEWEST_WORLDS), MOST_WORLDS)
    replayed = replayed_rows(
        demand, ids, leads, forecasts(), moments, errors, memory=MEMORY, rules=rules, worlds=worlds
    )
    rows = RiskRows.joined([replayed, *parts])
    corrector = fit_corrector(rows, window, seed=app.settings.seed)
    own = sum(len(part) for part in parts)
    told = f"{corrector.reason}; learnt from {len(rows):,} rows, {own:,} of them recorded by the shop"
    bias, size = errors.before(length, np.arange(len(ids)))
    return Learnt(
        replace(corrector, reason=told),
        dict(zip(ids, bias.tolist(), strict=True)),
        dict(zip(ids, size.tolist(), strict=True)),
    )


class _Recorded:
    """The stock that the shop recorded, and the deliveries that came, laid out by series and day."""

    def __init__(self, app: App, panel: Panel, leads: LeadTime, length: int) -> None:
        with app.database.read() as connection:
            levels = stock.daily_on_hand(connection)
            receipts = purchasing.receipts(connection)
        self.leads = leads
        self.late = late_share(leads, panel.ids.to_list())
        first = int(panel.ends.max()) - length
        place = panel.series.select("product", "warehouse", row=pl.int_range(pl.len()))
        day = pl.col("day").to_physical().cast(pl.Int64) - first
        known = levels.join(place, on=["product", "warehouse"]).with_columns(at=day)
        known = known.filter((pl.col("at") >= 0) & (pl.col("at") < length))
        self.closing = np.full((panel.n_series, length), np.nan)  # [N, T]
        self.closing[known["row"].to_numpy(), known["at"].to_numpy()] = known["on_hand"].to_numpy()
        self.came = (
            receipts.join(place, on=["product", "warehouse"])
            .with_columns(
                at=pl.col("received_on").to_physical().cast(pl.Int64) - first,
                ordered=(pl.col("ordered_on").to_physical().cast(pl.Int64) - first).fill_null(-1),
            )
            .select("row", "at", "ordered", "quantity")
        )
        self.ran_out = ran_out_grid(panel, length)

    def rows(self, made: PastForecast, demand: Floats, errors: WindowErrors) -> RiskRows | None:
        """Return the rows of one moment: series of known stock to which nothing came that was ordered later."""
        window, moment = errors.window, made.moment
        rows = made.positions
        before = self.closing[rows, moment - 1]
        after = self.closing[rows, moment : moment + window]
        if np.isnan(before).all() or after.shape[1] < window:
            return None
        inside = self.came.filter((pl.col("at") >= moment) & (pl.col("at") < moment + window))
        due = np.zeros((len(demand), window))
        open_then = inside.filter(pl.col("ordered") <= moment)
        np.add.at(
            due, (open_then["row"].to_numpy(), open_then["at"].to_numpy() - moment), open_then["quantity"].to_numpy()
        )
        later = np.isin(rows, inside.filter(pl.col("ordered") > moment)["row"].to_numpy())
        usable = ~np.isnan(before) & (before >= 0) & ~later
        if not usable.any():
            return None
        keep, rows = usable, rows[usable]
        bias, size = errors.before(moment, rows)
        now = situation(demand[rows, :moment], made.paths[keep], before[keep], due[rows], window, MEMORY)
        mean = self.leads.mean[rows]
        now = replace(
            now,
            ran_out=self.ran_out[rows, :moment],
            error_bias=bias,
            error_size=size,
            lead_time=mean,
            lead_time_variation=np.asarray(self.leads.sd_periods, dtype=np.float64)[rows] / np.maximum(mean, 1e-9),
            late_share=self.late[rows],
        )
        labels = recorded_labels(after[keep], now.expected)
        return RiskRows(risk_features(now), now.probability, np.full(len(rows), moment, dtype=np.int64), labels)


# ---------------------------------------------------------------------- keeping


def _mark(panel: Panel, leads: LeadTime, review_days: float, window: int, model: str, seed: int) -> str:
    digest = sha256(f"stockout corrector {version('shelfwise')} {described(estimator(model))}".encode())
    digest.update(json.dumps([review_days, window, seed, STEP, MOMENTS, list(FEATURES)]).encode())
    digest.update(leads.mean.tobytes() + np.asarray(leads.sd_periods, dtype=np.float64).tobytes())
    digest.update(panel_fingerprint(panel).encode())
    return digest.hexdigest()


def _kept(app: App, mark: str) -> Learnt | None:
    with app.database.read() as connection:
        payload = models.load(connection, mark)
    if payload is None:
        return None
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        told = json.loads(arrays.pop("errors").tobytes())
        return Learnt(StockoutCorrector.from_arrays(arrays), *({k: _known(v) for k, v in one.items()} for one in told))
    except (ModelError, ValueError, OSError, KeyError) as error:  # what is stored can always be made again
        _log.warning("the stored stockout corrector is not used: %s", error)
        return None


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _keep(app: App, mark: str, made: Learnt) -> None:
    told = [{k: None if np.isnan(v) else v for k, v in one.items()} for one in (made.error_bias, made.error_size)]
    buffer = io.BytesIO()
    arrays: dict[str, NDArray[Any]] = {
        **made.corrector.to_arrays(),
        "errors": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
    }
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    try:
        with app.database.write() as connection:
            models.save(
                connection,
                mark,
                model="stockout_corrector",
                version="1",
                payload=buffer.getvalue(),
                created_at=app.now(),
            )
    except StorageError as error:  # a full disk must not keep the risks from the one who asked
        _log.warning("the stockout corrector was not kept: %s", error)


def day_of(as_of: date, periods: float) -> date | None:
    """Return the day so many days from ``as_of``; None for nan."""
    return None if np.isnan(periods) else as_of + timedelta(days=int(periods))
