"""Order policies on the past of your own frames: replayed, and tuned; nothing here needs a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shelfwise.forecasting.contract import check_horizon, whole_number
from shelfwise.inventory.order_inputs import Tuning
from shelfwise.inventory.replay_scores import Replay
from shelfwise.library.forecasts import panel_of
from shelfwise.services import order_tuning, replaying
from shelfwise.services.order_tuning import TunedOrders


def replay(
    policies: replaying.Policies,
    history: Any,
    *,
    freq: str = "1w",
    lead_time_periods: int = 2,
    review_periods: int = 1,
    holding_cost: float = 0.2,
    shortage_cost: float = 1.0,
    order_cost: float = 0.0,
    rounds: int = 8,
    items: Any = None,
    opening: Any = None,
    horizon: int | None = None,
    model: str = "auto",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    n_paths: int = 200,
    seed: int = 0,
    tuning: Tuning | None = None,
    tune: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Replay:
    """Score order policies on the last periods of a history, each deciding with only what was known then.

    Parameters
    ----------
    policies
        Names (``today``, ``moving_average``, ``min_max``, ``s_q``, ``base_stock_normal``, ``base_stock``,
        ``optimise``), functions from what is known to units to order, or a mapping of names to either. The first is
        the one the others are compared with.
    history, freq, known_future, past_only, static
        As in `forecast`.
    lead_time_periods, review_periods
        Periods from an order to the shelf, and between orders.
    holding_cost, shortage_cost, order_cost
        Money per unit left at the end of a period, per unit asked for in vain, and per order line.
    rounds
        Decisions; the periods they reach are the last ones of the history.
    items
        Frame with ``unique_id`` and what differs by series: ``lead_time_periods, holding_cost, shortage_cost, price,
        unit_cost, order_cost, pack, moq``.
    opening
        Frame ``unique_id, on_hand`` before the first decision; None opens with what the textbook base stock would have
        left, the same for every policy.
    horizon
        Periods forecast in each round; None takes lead and review time and five more.
    model, n_paths, seed
        As in `forecast`; one forecast a round serves all policies, and none is made where no policy asks for it.
    tuning
        What the shop's own past chose for ``optimise``; see `tune_orders`.
    tune
        Add the policy ``tuned``: ours, its tuning chosen anew in every round from what each candidate has cost by then,
        over 8 rounds before the replay and those of it that are over. It needs so much more history.
    progress
        Called with what is being done, rounds done and rounds in all.

    Returns
    -------
    Replay
        ``.summary()``, a row a policy with cost, holding, shortage, fill rate, stock and the difference to the first
        with its range; ``.rows``, every policy, series and period; ``.chart()``, an SVG; ``.notes``.

    >>> from datetime import date, timedelta
    >>> weeks = [date(2025, 1, 6) + timedelta(days=7 * n) for n in range(60)]
    >>> history = {"unique_id": ["beans"] * 60, "ds": weeks, "y": [float(6 + n % 3) for n in range(60)]}
    >>> done = replay(["moving_average", "base_stock_normal"], history, rounds=4)
    >>> done.summary().select("policy", "fill_rate").rows()
    [('moving_average', 1.0), ('base_stock_normal', 1.0)]
    """
    panel = panel_of(history, freq, known_future, past_only, static)
    given = {
        "rounds": whole_number("rounds", rounds),
        "review_periods": whole_number("review_periods", review_periods, "of periods"),
        "items": items,
        "opening": opening,
        "horizon": None if horizon is None else check_horizon(horizon),
        "forecaster": replaying.forecaster(model, whole_number("n_paths", n_paths), whole_number("seed", seed)),
        "lead_time_periods": lead_time_periods,
        "holding_cost": holding_cost,
        "shortage_cost": shortage_cost,
        "order_cost": order_cost,
    }
    rules = replaying.named(policies, tuning=tuning)
    laid = replaying.world(panel, **given)
    if not tune:
        return laid.run(rules, seed=seed, progress=progress)
    return order_tuning.run_tuned(panel, laid, rules, seed=seed, progress=progress, **given)


def tune_orders(
    history: Any,
    *,
    freq: str = "1w",
    lead_time_periods: int = 2,
    review_periods: int = 1,
    holding_cost: float = 0.2,
    shortage_cost: float = 1.0,
    order_cost: float = 0.0,
    windows: int = 2,
    rounds: int = 4,
    candidates: Sequence[Tuning] = order_tuning.CANDIDATES,
    items: Any = None,
    horizon: int | None = None,
    model: str = "auto",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    n_paths: int = 200,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> TunedOrders:
    """Choose how orders are decided (critical ratio, widening, follow-on rule) on the shop's own past.

    Parameters
    ----------
    windows, rounds
        Windows of the past to choose on, and decisions in each; one window more, the last, is held out.
    candidates
        What is tried; the first, the defaults, has to be beaten by more than chance.
    history, freq, known_future, past_only, static, model, n_paths, seed
        As in `forecast`.
    lead_time_periods, review_periods, holding_cost, shortage_cost, order_cost, items, horizon, progress
        As in `replay`.

    Returns
    -------
    TunedOrders
        ``.tuning``, for `optimise` and `replay`; ``.candidates``, what each would have cost; ``.held_out``, the
        defaults beside the choice on the window that chose nothing.

    >>> from datetime import date, timedelta
    >>> weeks = [date(2025, 1, 6) + timedelta(days=7 * n) for n in range(60)]
    >>> history = {"unique_id": ["beans"] * 60, "ds": weeks, "y": [float(6 + n % 3) for n in range(60)]}
    >>> chosen = tune_orders(history, windows=1, rounds=2, candidates=[Tuning()], model="base_level")
    >>> chosen.tuning == Tuning(), chosen.held_out.summary()["policy"].to_list()
    (True, ['default', 'tuned'])
    """
    panel = panel_of(history, freq, known_future, past_only, static)
    return order_tuning.tune_orders(
        panel,
        windows=whole_number("windows", windows),
        rounds=whole_number("rounds", rounds),
        candidates=candidates,
        forecaster=replaying.forecaster(model, whole_number("n_paths", n_paths), whole_number("seed", seed)),
        seed=seed,
        progress=progress,
        review_periods=whole_number("review_periods", review_periods, "of periods"),
        items=items,
        horizon=None if horizon is None else check_horizon(horizon),
        lead_time_periods=lead_time_periods,
        holding_cost=holding_cost,
        shortage_cost=shortage_cost,
        order_cost=order_cost,
    )
