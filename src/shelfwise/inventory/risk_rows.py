"""Rows to learn stockouts from: at past moments, what the paths said of a stock, and whether it ran out.

One forecast for each moment serves many replayed stocks. What the shop itself recorded makes rows too: its stock at the
moment, and what was open then on the day it came.

Letters: N product-warehouses of the history, n of one forecast, T past periods, S paths, H periods ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.domain.errors import ParameterError
from shelfwise.inventory.lead_time_demand import LeadTime
from shelfwise.inventory.risk_features import StockSituation, forecast_errors, risk_features
from shelfwise.inventory.stockout_corrector import RiskRows
from shelfwise.inventory.stockout_labels import Replenishment, replay_stock, window_labels
from shelfwise.inventory.stockout_risk import stockout_risk

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WORLDS: Final = 2
"""Replayed stocks of each product at each moment."""
ERRORS_KEPT: Final = 4
"""Earlier windows of which the forecast's error is looked at."""


@dataclass(frozen=True, eq=False)
class PastForecast:
    """A forecast made for a past moment.

    moment
        Position of its first period in the history.
    positions
        [n] rows of the history that it is of.
    paths
        [n, S, H] units.
    """

    moment: int
    positions: Integers
    paths: NDArray[Any]


@dataclass(eq=False)
class WindowErrors:
    """What earlier forecasts said of their windows' demand, to be held against what came.

    demand
        [N, T] units, nan where not known.
    window
        Periods K.

    >>> said = WindowErrors(np.array([[4.0, 4.0, 8.0, 8.0]]), window=2)
    >>> said.add(2, np.array([0]), np.array([8.0]))
    >>> bias, size = said.before(4, np.array([0]))
    >>> bias.round(2).tolist(), size.round(2).tolist()
    ([0.66], [0.94])
    """

    demand: Floats
    window: int
    _expected: dict[int, Floats] = field(default_factory=dict)

    def add(self, moment: int, positions: Integers, expected: Floats) -> None:
        """Keep the expected units [n] of the window from ``moment`` on."""
        kept = np.full(len(self.demand), np.nan)
        kept[positions] = expected
        self._expected[moment] = kept

    def before(self, moment: int, positions: Integers) -> tuple[Floats, Floats]:
        """Return bias and size [n] of the errors of windows that were over by ``moment``; nan where there are none."""
        over = sorted(past for past in self._expected if past + self.window <= moment)[-ERRORS_KEPT:]
        if not over:
            unknown = np.full(len(positions), np.nan)
            return unknown, unknown.copy()
        came = np.stack([self.demand[positions, past : past + self.window].sum(axis=1) for past in over], axis=1)
        return forecast_errors(came, np.stack([self._expected[past][positions] for past in over], axis=1))


def late_share(lead_time: LeadTime, unique_ids: Sequence[str], draws: int = 200) -> Floats:
    """Return the share [N] of deliveries that take longer than the mean lead time, rounded up.

    >>> late_share(LeadTime([2.0], [0.0]), ["a"]).tolist()
    [0.0]
    """
    drawn = lead_time.draw(unique_ids, draws)  # [N, draws] periods
    return np.asarray((drawn > np.ceil(lead_time.mean - 1e-9)[:, None]).mean(axis=1), dtype=np.float64)


def situation(
    history: Floats,
    paths: NDArray[Any],
    on_hand: Floats,
    inbound: Floats,
    window: int,
    memory: int,
) -> StockSituation:
    """Return what the paths say of a stock in the next ``window`` periods.

    Parameters
    ----------
    history
        [n, T] units until now, nan where not known.
    paths
        [n, S, H] units of the periods ahead.
    on_hand, inbound
        [n] and [n, H] units.
    """
    if not 1 <= window <= paths.shape[2]:
        raise ParameterError(f"window must be from 1 to the horizon {paths.shape[2]}, got {window}")
    ahead = paths[:, :, :window]
    total = ahead.sum(axis=2, dtype=np.float64)  # [n, S]
    due = inbound[:, :window]
    return StockSituation(
        history=history,
        probability=stockout_risk(on_hand, due, ahead).probability[:, -1],
        expected=total.mean(axis=1),
        spread=total.std(axis=1),
        on_hand=on_hand,
        due=due.sum(axis=1),
        window=window,
        memory=memory,
    )


def replayed_rows(
    demand: Floats,
    unique_ids: Sequence[str],
    lead_time: LeadTime,
    forecasts: Iterable[PastForecast],
    moments: Sequence[int],
    errors: WindowErrors,
    *,
    memory: int = 13,
    rules: Replenishment | None = None,
    worlds: int = WORLDS,
) -> RiskRows:
    """Return the rows of stocks replayed over ``demand`` [N, T], with labels from the demand that came.

    Parameters
    ----------
    forecasts
        One for each of ``moments``, in their order of time; taken one at a time, so that memory stays flat.
    errors
        Filled with the forecasts on the way.
    memory
        Periods meant by "of late" in the features.
    rules
        Policies of the first world; each further world has the next seed.
    """
    if worlds < 1:
        raise ParameterError(f"worlds must be at least 1, got {worlds}")
    rules = rules or Replenishment(memory=memory)
    reach = errors.window
    states = [
        {
            state.period: state
            for state in replay_stock(
                demand, unique_ids, lead_time, moments, reach, rules=replace(rules, seed=rules.seed + world)
            )
        }
        for world in range(worlds)
    ]
    variation = np.asarray(lead_time.sd_periods, dtype=np.float64) / np.maximum(lead_time.mean, 1e-9)
    late = late_share(lead_time, unique_ids)
    parts = []
    for made in forecasts:
        rows, moment = made.positions, made.moment
        bias, size = errors.before(moment, rows)
        after = demand[rows, moment : moment + reach]
        after = np.pad(after, ((0, 0), (0, reach - after.shape[1])), constant_values=np.nan)
        for world in states:
            stock = world[moment]
            now = situation(demand[rows, :moment], made.paths, stock.on_hand[rows], stock.inbound[rows], reach, memory)
            now = replace(
                now,
                ran_out=stock.ran_out[rows].astype(np.float64),
                error_bias=bias,
                error_size=size,
                lead_time=lead_time.mean[rows],
                lead_time_variation=variation[rows],
                late_share=late[rows],
            )
            labels = window_labels(stock.on_hand[rows], stock.came[rows], after)[:, -1]
            moments_of_rows = np.full(len(rows), moment, dtype=np.int64)
            parts.append(RiskRows(risk_features(now), now.probability, moments_of_rows, labels))
        errors.add(moment, rows, now.expected)
    return RiskRows.joined(parts)


def recorded_labels(closing: Floats, expected: Floats) -> Floats:
    """Return [n] 1 where a recorded shelf closed empty on any period of the window, 0 where on none; nan: not known.

    Parameters
    ----------
    closing
        [n, K] units on hand at the end of each period of the window, nan where no stock was recorded.
    expected
        [n] units expected in the window: an empty shelf that nobody asks anything of is no stockout.

    >>> recorded_labels(np.array([[3.0, 0.0], [3.0, 1.0], [np.nan, 1.0]]), np.array([4.0, 4.0, 4.0])).tolist()
    [1.0, 0.0, nan]
    """
    known = ~np.isnan(closing).any(axis=1)
    empty = (np.nan_to_num(closing, nan=1.0) <= 0).any(axis=1) & (expected > 0)
    return np.where(known, empty.astype(np.float64), np.nan)
