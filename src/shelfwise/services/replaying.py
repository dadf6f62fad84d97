"""Replays: order policies scored on past periods, of a panel or the store, with one forecast a round for all of them.

Letters: N series, T periods replayed, K rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.domain.tables import to_polars
from shelfwise.forecasting.catalog import estimator
from shelfwise.inventory.order_inputs import Tuning
from shelfwise.inventory.proposal import ProposalRules
from shelfwise.inventory.replay import OrderRule, ReplayTerms, Round, Situation, Stock, checked_orders, replay_ledger
from shelfwise.inventory.replay_rules import RULES, WINDOW, Optimised, ServiceLevelRule, normal_base_stock
from shelfwise.inventory.replay_scores import Replay as Replay
from shelfwise.services import demand, supply

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
Forecaster = Callable[[Panel, int], Forecast]
Policies = Sequence[str | OrderRule] | Mapping[str, str | OrderRule]

BEYOND_PROTECTION: Final = 5
"""Periods forecast beyond lead and review time, so that a policy can see what becomes of what is left."""
WARM_UP: Final = 13
"""Periods for which the opening policy has run the shop before a replay opens, lead time not counted."""
TERMS: Final = (
    "lead_time_periods", "holding_cost", "shortage_cost", "order_cost", "unit_value", "pack", "moq",
)  # fmt: skip


def named(
    policies: Policies, known: Mapping[str, OrderRule] | None = None, *, tuning: Tuning | None = None
) -> dict[str, OrderRule]:
    """Return the policies by name: names are looked up, functions keep theirs.

    Parameters
    ----------
    policies
        Names, functions, or a mapping of names to either.
    known
        Further names, or other meanings of those there are.
    tuning
        What ``optimise`` uses.

    >>> list(named(["moving_average", "base_stock"]))
    ['moving_average', 'base_stock']
    """
    rules: dict[str, OrderRule] = {**RULES, "optimise": Optimised(tuning), **(known or {})}
    if isinstance(policies, str):
        raise ParameterError(f"policies takes a list of names, got {policies!r}; write [{policies!r}]")
    pairs: list[tuple[str, str | OrderRule]] = []
    if isinstance(policies, Mapping):
        pairs += [(name, policies[name]) for name in policies]
    else:
        pairs += [(_name(policy), policy) for policy in policies]
    found: dict[str, OrderRule] = {}
    for name, policy in pairs:
        if name in found:
            raise ParameterError(f"policy {name!r} is there twice; give a mapping of names to policies")
        if not isinstance(policy, str):
            found[name] = policy
        elif policy in rules:
            found[name] = rules[policy]
        else:
            raise ParameterError(f"policy {policy!r} is not known; policies are {', '.join(rules)}, or a function")
    if not found:
        raise ParameterError(f"no policy was given; policies are {', '.join(rules)}, or a function")
    return found


def _name(policy: str | OrderRule) -> str:
    if isinstance(policy, str):
        return policy
    return str(getattr(policy, "__name__", type(policy).__name__))


def forecaster(model: str, n_paths: int, seed: int) -> Forecaster:
    """Return what forecasts a history: the model fitted on it anew, as `shelfwise.forecast` does."""
    wanted = estimator(model)
    return lambda history, horizon: wanted.fit(history).predict(history, horizon, n_paths=n_paths, seed=seed)


@dataclass(frozen=True, eq=False)
class ReplayWorld:
    """A past to decide in: what came, what was known in each round, and the stock it opened with.

    Parameters
    ----------
    panel
        The N series replayed, the periods replayed included.
    rounds
        K rounds.
    demand, known
        [N, T] what was asked for (sold, where that is not known), and where it is known.
    opening
        Stock before the first decision, the same for every policy.
    terms
        Lead times and costs.
    first
        Ordinal of the first period replayed.
    notes
        What a reader must know.
    """

    panel: Panel
    rounds: tuple[Round, ...]
    demand: Floats
    known: NDArray[np.bool_]
    opening: Stock
    terms: ReplayTerms
    first: int
    notes: tuple[str, ...] = ()

    def run(self, policies: Mapping[str, OrderRule], *, seed: int = 0, progress: Progress | None = None) -> Replay:
        """Let every policy decide in this world."""
        ledgers, work = {}, len(policies) * len(self.rounds)
        for number, (name, rule) in enumerate(policies.items()):

            def told(now: Situation, name: str = name, rule: OrderRule = rule, before: int = number) -> ArrayLike:
                if progress is not None:
                    progress(f"replaying {name}", before * len(self.rounds) + now.round.number, work)
                return rule(now)

            ledgers[name] = replay_ledger(told, self.rounds, self.demand, self.known, self.opening, self.terms)
        if progress is not None:
            progress("replaying", work, work)
        moments = self.panel.freq.moments(self.first + np.arange(self.demand.shape[1]))
        return Replay(ledgers, self.panel.ids, moments, self.panel.freq, self.notes, seed)


def world(
    panel: Panel,
    *,
    rounds: int = 8,
    review_periods: int = 1,
    items: Any = None,
    opening: Any = None,
    horizon: int | None = None,
    forecaster: Forecaster,
    back: int = 0,
    **terms: ArrayLike,
) -> ReplayWorld:
    """Lay the last periods of a panel out as rounds of decisions.

    Parameters
    ----------
    rounds
        Decisions K, R periods apart.
    review_periods
        Periods R between them.
    items
        Frame with ``unique_id`` and any of `TERMS`, ``price`` and ``unit_cost``; what is null takes the number given
        for all.
    opening
        Stock before the first decision: a `Stock`, a frame with ``unique_id, on_hand``, or a policy that needs no
        forecast and has run the shop for `WARM_UP` periods; None takes the textbook base stock for that.
    horizon
        Periods each round forecasts.
    forecaster
        Forecasts a history.
    back
        Periods to leave off the end of the panel first.
    terms
        Numbers of `ReplayTerms` for all series.

    Raises
    ------
    DataError
        The history is too short, or no series has any at the first decision.
    """
    if rounds < 1:
        raise ParameterError(f"rounds must be at least 1, got {rounds}")
    _refuse_unknown(items, panel.ids)
    notes: list[str] = []
    longest = _longest_lead(items, terms.get("lead_time_periods", 2))
    length = rounds * review_periods + longest
    end = int(panel.ends.max(initial=0)) - back
    first = end - length
    members = np.flatnonzero((panel.starts < first) & (panel.ends >= end) & (panel.lengths > 0))
    if not len(members):
        raise DataError(
            f"no series has a history before the {length} periods that {rounds} rounds with a lead time of {longest} "
            "take; give a longer history or fewer rounds"
        )
    if len(members) < panel.n_series:
        notes.append(
            f"{panel.n_series - len(members):,} of {panel.n_series:,} series are left out: they began after the first "
            "decision or ended before the last period"
        )
        panel = panel.select(members)
    panel = panel.until(end)
    _refuse_negative(panel)
    own = _terms(panel, items, review_periods, terms)
    horizon = int(own.protection_periods.max()) + BEYOND_PROTECTION if horizon is None else horizon
    if horizon < own.protection_periods.max():
        raise ParameterError(
            f"horizon {horizon} is shorter than lead and review time; give at least {own.protection_periods.max()}"
        )
    values = np.asarray(panel.window(length), dtype=np.float64)
    known = panel.available_window(length)
    steps = np.arange(length)
    lead = own.lead_time_periods[:, None]
    counted = (steps >= lead) & (steps < lead + rounds * review_periods)
    unknown = int((counted & ~known).sum())
    if unknown:
        notes.append(
            f"{unknown:,} of {int(counted.sum()):,} periods are left out of the costs: demand is not known where a "
            "stockout may have hidden it or nothing was recorded, as on closed days"
        )
    made = tuple(
        Round(number, panel.until(first + number * review_periods), horizon, forecaster) for number in range(rounds)
    )
    stock = _opening(panel.until(first), own, opening, notes)
    return ReplayWorld(panel, made, np.nan_to_num(values), known, stock, own, first, tuple(notes))


def _refuse_unknown(items: Any, ids: pl.Series) -> None:
    """Raise where items name a series that the history lacks: a misspelt one would keep the terms of all."""
    if items is None:
        return
    frame = to_polars(items, "items")
    if "unique_id" not in frame.columns:
        raise DataError("items has no column unique_id; give one row for each series")
    given = frame.select(pl.col("unique_id").cast(pl.String))
    lost = given.join(pl.DataFrame({"unique_id": ids}), on="unique_id", how="anti", maintain_order="left")["unique_id"]
    if len(lost):
        more = f" (and {len(lost) - 1:,} more)" if len(lost) > 1 else ""
        raise DataError(
            f"items has unique_id {lost[0]!r}{more}, which the history lacks; correct it or leave the row out"
        )


def _refuse_negative(panel: Panel) -> None:
    """Raise where a series has sold less than nothing: no stock can be walked down by that."""
    values = np.asarray(panel.window(int(panel.lengths.max(initial=1))), dtype=np.float64)
    rows, columns = np.nonzero(values < 0)
    if len(rows):
        moment = panel.freq.moments(int(panel.ends.max()) - values.shape[1] + columns[:1])[0]
        raise DataError(
            f"series {panel.ids[int(rows[0])]!r} has a demand of {values[rows[0], columns[0]]:g} at "
            f"{str(moment)[:10]}, and {words.count(len(rows), 'period')} in all below zero; book returns apart from "
            "sales, or set them to zero"
        )


def _longest_lead(items: Any, everywhere: ArrayLike) -> int:
    longest_of_all = float(np.max(np.asarray(everywhere, dtype=np.float64), initial=0.0))
    if not np.isfinite(longest_of_all):
        raise ParameterError(f"lead time must be whole periods, zero or more, got {longest_of_all}")
    longest = int(longest_of_all)
    if items is not None:
        frame = to_polars(items, "items")
        if "lead_time_periods" in frame.columns:
            given = frame["lead_time_periods"].cast(pl.Float64).fill_nan(None).fill_null(float(longest))
            longest = int(given.to_numpy().max()) if frame.height else longest
    return longest


def _terms(panel: Panel, items: Any, review_periods: int, given: Mapping[str, ArrayLike]) -> ReplayTerms:
    """Return the terms of each series: its own where the frame has them, else what was given for all."""
    numbers = dict(given)
    if items is not None:
        frame = to_polars(items, "items").with_columns(pl.col("unique_id").cast(pl.String))
        if frame["unique_id"].is_duplicated().any():
            raise DataError("items has a unique_id twice; give one row for each series")
        own = pl.DataFrame({"unique_id": panel.ids}).join(frame, on="unique_id", how="left", maintain_order="left")
        if "unit_cost" in own.columns and "unit_value" not in own.columns:
            own = own.with_columns(unit_value="unit_cost")
        if {"price", "unit_cost"} <= set(own.columns):
            margin = pl.col("price") - pl.col("unit_cost")
            stated = pl.col("shortage_cost") if "shortage_cost" in own.columns else pl.lit(None, dtype=pl.Float64)
            own = own.with_columns(shortage_cost=pl.coalesce(stated, pl.when(margin > 0).then(margin)))
        defaults = {"lead_time_periods": 2.0, "holding_cost": 0.2, "shortage_cost": 1.0, "unit_value": 1.0, "pack": 1.0}
        for name in TERMS:
            if name in own.columns:
                fallback = np.broadcast_to(np.asarray(numbers.get(name, defaults.get(name, 0.0)), float), len(own))
                column = own[name].cast(pl.Float64).to_numpy()
                numbers[name] = np.where(np.isnan(column), fallback, column)
    return ReplayTerms.of(panel.n_series, review_periods=review_periods, **numbers)


def _opening(past: Panel, terms: ReplayTerms, opening: Any, notes: list[str]) -> Stock:
    """Return the stock before the first decision."""
    if isinstance(opening, Stock):
        return opening
    if callable(opening):
        return _warmed_up(past, terms, opening)
    pipeline = np.zeros((past.n_series, terms.longest_lead + 1))
    if opening is not None:
        frame = to_polars(opening, "opening")
        lost = [name for name in ("unique_id", "on_hand") if name not in frame.columns]
        if lost:
            raise DataError(f"opening has no column {lost[0]}; give unique_id and on_hand")
        frame = frame.with_columns(pl.col("unique_id").cast(pl.String))
        if frame["unique_id"].is_duplicated().any():
            raise DataError("opening has a unique_id twice; give one row for each series")
        own = pl.DataFrame({"unique_id": past.ids}).join(
            frame.select("unique_id", pl.col("on_hand").cast(pl.Float64)), on="unique_id", how="left",
            maintain_order="left",
        )  # fmt: skip
        missing = own.filter(pl.col("on_hand").is_null())["unique_id"]
        if len(missing):
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise DataError(f"opening has no on_hand for {missing[0]}{more}; give every series")
        return Stock(np.maximum(own["on_hand"].to_numpy(), 0.0), pipeline)
    notes.append(
        f"the stock at the beginning is what the textbook base stock (normal demand, mean and deviation of the last "
        f"{2 * WINDOW} periods) would have left after {WARM_UP} periods, the same for every policy"
    )
    return _warmed_up(past, terms, normal_base_stock)


def _warmed_up(past: Panel, terms: ReplayTerms, rule: OrderRule) -> Stock:
    """Let a policy that needs no forecast run the shop before the replay, from a shelf filled up to its level on."""
    longest = int(past.lengths.max(initial=1))
    periods = min(WARM_UP + terms.longest_lead, longest - 1) // terms.review_periods * terms.review_periods
    ends = past.ends.max(initial=0)

    def none(history: Panel, horizon: int) -> Forecast:
        raise ParameterError(
            "the policy that runs the shop before a replay must need no forecast; moving_average, min_max, s_q and "
            "base_stock_normal need none"
        )

    empty = Stock(np.zeros(past.n_series), np.zeros((past.n_series, terms.longest_lead + 1)))
    if periods < 1:
        return empty
    before = [
        Round(number, past.until(int(ends) - periods + number * terms.review_periods), 1, none)
        for number in range(periods // terms.review_periods)
    ]
    span = terms.periods(len(before))
    demand = np.zeros((past.n_series, span))
    demand[:, :periods] = np.nan_to_num(np.asarray(past.window(periods), dtype=np.float64))
    ledger = replay_ledger(
        rule, before, demand, np.ones(demand.shape, dtype=np.bool_), _filled(rule, before[0], empty, terms), terms
    )
    pipeline = np.zeros((past.n_series, terms.longest_lead + 1))
    for period in range(max(0, periods - terms.longest_lead), periods):
        due = period + terms.lead_time_periods - periods  # [N] column of the opening pipeline, below 0 if arrived
        rows = np.flatnonzero(due >= 0)
        pipeline[rows, due[rows]] += ledger.ordered[rows, period]
    return Stock(ledger.left[:, periods - 1], pipeline)


def _filled(rule: OrderRule, first: Round, empty: Stock, terms: ReplayTerms) -> Stock:
    """Return a shelf that holds what the policy would order for an empty one, and nothing on its way."""
    level = checked_orders(rule(Situation(first, empty, terms)), terms.n_series)
    return Stock(np.ceil(level - 1e-9), empty.pipeline)


# ---------------------------------------------------------------------- the shop's own store


ASSUMED_COST_SHARE: Final = 0.6
"""Unit cost over price, where only one of them is known."""
HOLDING_SHARE: Final = 0.25
"""Holding cost a year over unit cost."""
BY_DEFAULT: Final = ("today", "min_max", "base_stock", "optimise")
"""What the command line compares: the rule of the order proposal, two textbook rules, and ours."""


@dataclass(frozen=True, eq=False)
class ShopPast:
    """The store's past as a replay takes it: the panel, what `world` is told, today's rule and what was assumed."""

    panel: Panel
    given: Mapping[str, Any]
    today: OrderRule
    notes: tuple[str, ...]
    longest_lead: int

    def before(self, rounds: int) -> Panel:
        """Return the panel as it was before a replay of so many rounds begins."""
        length = rounds * int(self.given["review_periods"]) + self.longest_lead
        return self.panel.until(int(self.panel.ends.max(initial=0)) - length)


def shop_past(app: App, *, model: str | None = None, products: Sequence[str] | None = None) -> ShopPast:
    """Read the store's past, in its own money, with a decision every review time of the settings.

    The lead time of a line is its supplier's mean in whole days. A unit short costs its margin, price less cost, a
    unit on the shelf a quarter of its cost a year. Where only one of price and cost is known the cost is taken as 0.6
    of the price; where neither is, the cost as 1.

    Parameters
    ----------
    model
        Forecasting model; None takes the setting.
    products
        Codes or names; None takes all live ones.

    Raises
    ------
    DataError
        The store has no sales.
    """
    settings = app.settings
    known = demand.load(app)
    shown = known.live(settings.live_days) if products is None else known.only(products)
    rules = ProposalRules(
        service_level=settings.service_level,
        service_kind=settings.service_kind,
        lead_time_days=settings.default_lead_time_days,
        review_days=settings.review_days,
    )
    stated = supply.planning_items(shown.panel.series, supply.load(app), shown.planning_day, rules)
    items, notes = _in_money(stated, rules)
    review = max(1, math.ceil(settings.review_days - 1e-9))
    longest = math.ceil(float(items["lead_time_periods"].fill_null(0.0).to_numpy().max(initial=0.0)))
    given = {
        "review_periods": review, "items": items, "horizon": longest + review + max(BEYOND_PROTECTION, 2 * review),
        "forecaster": forecaster(settings.model if model is None else model, settings.n_paths, settings.seed),
    }  # fmt: skip
    today = ServiceLevelRule(rules.service_level, rules.service_kind)
    return ShopPast(shown.panel, given, today, tuple(notes), longest)


def of_shop(
    app: App,
    *,
    policies: Sequence[str] = BY_DEFAULT,
    rounds: int = 8,
    model: str | None = None,
    products: Sequence[str] | None = None,
    tuning: Tuning | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Replay policies on the store's own past; see `shop_past` for its terms.

    Parameters
    ----------
    policies
        Names; the first is the one the others are compared with.
    rounds
        Decisions.
    model, products
        As in `shop_past`.
    tuning
        Adds the policy ``tuned``: ours with this choice.

    Raises
    ------
    DataError
        The store has no sales, or too short a history.
    """
    past = shop_past(app, model=model, products=products)
    laid = world(past.panel, rounds=rounds, **past.given)
    laid = replace(laid, notes=(*laid.notes, *past.notes))
    known: dict[str, OrderRule] = {"today": past.today}
    names = list(policies)
    if tuning is not None:
        known["tuned"] = Optimised(tuning)
        names.append("tuned")
    return laid.run(named(names, known), seed=app.settings.seed, progress=progress)


def _in_money(stated: pl.DataFrame, rules: ProposalRules) -> tuple[pl.DataFrame, list[str]]:
    """Return the items of a replay, and what was assumed about them."""
    price, cost = pl.col("price"), pl.col("unit_cost")
    counts = stated.select(
        no_cost=(cost.is_null() & price.is_not_null()).sum(),
        nothing=(cost.is_null() & price.is_null()).sum(),
        no_lead=pl.col("lead_time_periods").is_null().sum(),
        no_margin=(price <= cost).fill_null(value=False).sum(),
    ).row(0, named=True)
    filled = stated.with_columns(unit_cost=pl.coalesce(cost, price * ASSUMED_COST_SHARE, pl.lit(1.0)))
    margin = pl.coalesce(price, cost / ASSUMED_COST_SHARE) - cost
    usual = cost * (1 / ASSUMED_COST_SHARE - 1)
    items = filled.with_columns(shortage_cost=pl.when(margin > 0).then(margin).otherwise(usual)).select(
        "unique_id",
        lead_time_periods=pl.col("lead_time_periods").fill_null(rules.lead_time_days).ceil(),
        holding_cost=cost * HOLDING_SHARE / 365.25,
        shortage_cost=pl.max_horizontal("shortage_cost", pl.lit(1e-9)),
        unit_value=cost,
        pack=pl.col("pack_size").fill_null(1.0),
        moq=pl.col("minimum_order_quantity").fill_null(0.0),
    )
    said = {
        "no_cost": f"lines have no cost: assumed {ASSUMED_COST_SHARE:g} of the price",
        "nothing": "lines have neither price nor cost: assumed a cost of 1",
        "no_lead": f"lines have no lead time: assumed {rules.lead_time_days:g} days",
        "no_margin": "lines are sold at or below cost: a unit short counts as two thirds of its cost",
    }
    return items, [f"{counts[key]:,} {text}" for key, text in said.items() if counts[key]]
