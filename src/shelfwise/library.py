"""The Python door: forecasts and backtests of your own frames, and the store from a notebook.

Frames go in and frames come out; nothing here needs a database, except `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.app import App, open_app
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.backtest import Backtest
from shelfwise.forecasting.backtest import backtest as run_backtest
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import check_horizon, whole_number
from shelfwise.forecasting.explain import Contributions
from shelfwise.forecasting.explain import explain as explain_forecast
from shelfwise.forecasting.lifts import lifts as measure_lifts
from shelfwise.forecasting.lifts import unseen
from shelfwise.inventory.optimise import OrderDecision as OrderDecision
from shelfwise.inventory.optimise import optimise as optimise
from shelfwise.inventory.order_inputs import Tuning as Tuning
from shelfwise.inventory.plan_orders import OrderPlan as OrderPlan
from shelfwise.inventory.plan_orders import plan_orders as plan_orders
from shelfwise.inventory.replay_scores import Replay as Replay
from shelfwise.services import (
    backtests,
    catalogue,
    classing,
    decisions,
    demand,
    explaining,
    health,
    import_history,
    importing,
    new_products,
    order_tuning,
    ordering,
    override_scores,
    overrides,
    planning,
    predictions,
    replaying,
    risks,
    scenarios,
    what_if,
)
from shelfwise.services import excess as excess_stock
from shelfwise.services.adjusting import Change
from shelfwise.services.demand import Demand
from shelfwise.services.explaining import Explanation
from shelfwise.services.importing import Imported
from shelfwise.services.order_tuning import TunedOrders as TunedOrders
from shelfwise.services.override_scores import OverrideScores
from shelfwise.services.planning import Plan
from shelfwise.services.risks import Risks
from shelfwise.services.scenarios import Comparison, Promoted
from shelfwise.services.what_if import Answer
from shelfwise.services.what_if_questions import LeadTimeChange as LeadTimeChange
from shelfwise.services.what_if_questions import Price as Price
from shelfwise.services.what_if_questions import Promotion as Promotion
from shelfwise.services.what_if_questions import Question
from shelfwise.storage.imports import Undone
from shelfwise.storage.overrides import Override

MOSTLY: Final = 0.5  # a column of words that is empty more often than this names events


def forecast(
    history: Any,
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    model: str = "auto",
    n_paths: int = 200,
    seed: int = 0,
) -> Forecast:
    """Forecast the next ``horizon`` periods of every series.

    Parameters
    ----------
    history
        pandas or polars frame with ``unique_id, ds, y``, optionally ``available`` (False where a stockout may have
        hidden demand) and covariates; or a `Panel`.
    horizon
        Periods H to forecast, at least 1.
    freq
        Period of the frame: ``5min`` .. ``1mo``; pandas and polars aliases are read. A `Panel` has its own.
    known_future
        Frame with ``ds`` and what is known of the coming periods, such as promotions; with ``unique_id`` unless it
        holds for all series.
    past_only
        Names of the history's columns that are not known ahead; None takes every further column.
    static
        Frame with ``unique_id`` and attributes such as ``category``, one row for each series.
    model
        ``auto``, or the name of a model.
    n_paths
        Joint sample paths S.
    seed
        Same data, same seed, same forecast.

    Returns
    -------
    Forecast
        ``.quantiles(levels)`` [N, H, Q], ``.mean()`` [N, H], ``.total(periods)`` [N, S], ``.paths`` [N, S, H] and
        ``.to_frame(levels)``.

    Raises
    ------
    ParameterError
        Covariates are given beside a `Panel`, or a parameter breaks its rule.
    PanelError
        The frame does not form histories.

    >>> import shelfwise as sw
    >>> from datetime import date, timedelta
    >>> days = [date(2026, 1, 1) + timedelta(days=n) for n in range(84)]
    >>> history = pl.DataFrame(
    ...     {"unique_id": ["beans"] * 84, "ds": days, "y": [9.0 if d.weekday() == 5 else 4.0 for d in days]}
    ... )
    >>> ahead = sw.forecast(history, horizon=7)
    >>> ahead.to_frame([0.1, 0.9]).columns
    ['unique_id', 'ds', 'mean', 'q0.1', 'q0.9']
    >>> ahead.total(7).shape  # units of the whole week on each of the paths
    (1, 200)
    """
    horizon = check_horizon(horizon)
    n_paths, seed = whole_number("n_paths", n_paths), whole_number("seed", seed)
    wanted = estimator(model)
    panel = _panel(history, freq, known_future, past_only, static)
    made = wanted.fit(panel).predict(panel, horizon, n_paths=n_paths, seed=seed)
    notes = (*made.provenance.notes, *_ended_before_others(panel), *_gaps_in_covariates(panel, horizon))
    return replace(made, provenance=replace(made.provenance, notes=notes))


def _ended_before_others(panel: Panel) -> list[str]:
    """Say which series end more than a season before the last of the others: their forecasts begin in the past."""
    begun = panel.lengths > 0
    if not begun.any():
        return []
    early = np.flatnonzero(begun & (panel.ends[begun].max() - panel.ends > panel.freq.season))
    if not len(early):
        return []
    named = ", ".join(panel.ids.gather(early[:5]).to_list()) + (", ..." if len(early) > 5 else "")
    return [
        f"{len(early):,} series end more than {panel.freq.season} periods before others and are forecast from their "
        f"own last period on: {named}"
    ]


def _gaps_in_covariates(panel: Panel, horizon: int) -> list[str]:
    """Say where a known-ahead covariate is not known ahead, or has no past to learn its effect from."""
    notes: list[str] = []
    if not panel.n_series:
        return notes
    some = panel.select(np.arange(min(panel.n_series, 1000)))  # enough to see whether there is a past at all
    length = int(max(1, some.lengths.max()))
    for name, covariate in panel.known_future.items():
        ahead = np.isnan(covariate.at(panel.ends, horizon))
        if covariate.categories and len(covariate.values) and np.isnan(covariate.values).mean() > MOSTLY:
            ahead[:] = False  # of a word that names events, none is a day without an event
        if ahead.all():
            notes.append(f"known_future {name!r} is given for none of the {horizon} coming periods")
        elif ahead.any():
            notes.append(f"known_future {name!r} is missing in {ahead.mean():.0%} of the coming periods")
        if np.isnan(some.known_future[name].at(some.ends - length, length)).all():
            notes.append(f"known_future {name!r} has no past, so its effect cannot be learnt; add it to the history")
        else:
            notes += unseen(panel, horizon, name)
    return notes


def backtest(
    history: Any,
    models: Sequence[str] = ("auto", "seasonal_naive"),
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    n_cutoffs: int = 4,
    step: int | None = None,
    n_paths: int = 200,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    resume: str | Path | None = None,
) -> Backtest:
    """Score models on the past: at each cutoff they see only what was known then.

    Parameters
    ----------
    history, freq, known_future, past_only, static, n_paths, seed
        As in `forecast`.
    models
        Names of models.
    horizon
        Periods after each cutoff.
    n_cutoffs, step
        Number of cutoffs, and periods between them; None puts one horizon between.
    progress
        Called with what is being done, scores done and scores in all.
    resume
        A database file, made where there is none, that keeps every score as soon as it is there: the same call after
        an interruption goes on where it was, with one more model works out only that one.

    Returns
    -------
    Backtest
        ``.summary()``, a row for each model (``by_class=True``: for each part of the horizon too); ``.comparison()``,
        who is best and whether that is more than chance; ``.rows``, every model, cutoff and horizon class;
        ``.scores``, the same over the whole horizon; ``.failures``; and ``.chart()``, an SVG.

    >>> from datetime import date, timedelta
    >>> days = [date(2026, 1, 1) + timedelta(days=n) for n in range(120)]
    >>> history = {"unique_id": ["beans"] * 120, "ds": days, "y": [float(4 + (d.weekday() == 5)) for d in days]}
    >>> done = backtest(history, horizon=7, n_cutoffs=2)
    >>> sorted(done.summary()["model"])
    ['auto', 'seasonal_naive']
    """
    if isinstance(models, str):
        raise ParameterError(f"models takes a list of names, got {models!r}; write [{models!r}]")
    horizon, n_cutoffs = check_horizon(horizon), whole_number("n_cutoffs", n_cutoffs)
    step = None if step is None else whole_number("step", step, "of periods")
    n_paths, seed = whole_number("n_paths", n_paths), whole_number("seed", seed)
    panel = _panel(history, freq, known_future, past_only, static)
    if resume is not None:
        with open_app(resume) as app:
            return backtests.run_on(
                app,
                panel,
                list(models),
                horizon=horizon,
                cutoffs=n_cutoffs,
                step=step,
                n_paths=n_paths,
                seed=seed,
                progress=progress,
            ).result
    return run_backtest(
        panel,
        list(models),
        horizon=horizon,
        n_cutoffs=n_cutoffs,
        step=step,
        n_paths=n_paths,
        seed=seed,
        progress=progress,
    )


def explain(
    history: Any,
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    model: str = "auto",
) -> Contributions:
    """Say what each forecast is made of: signed units per period for level, trend, season, promotion, price, ...

    Parameters
    ----------
    history, horizon, freq, known_future, past_only, static, model
        As in `forecast`.

    Returns
    -------
    Contributions
        ``.to_frame()`` has one row for each series, period and part; over the parts of a period ``units`` add up to
        the mean of `forecast`.

    >>> from datetime import date, timedelta
    >>> days = [date(2026, 1, 1) + timedelta(days=n) for n in range(84)]
    >>> history = {"unique_id": ["beans"] * 84, "ds": days, "y": [9.0 if d.weekday() == 5 else 4.0 for d in days]}
    >>> made_of = explain(history, horizon=7, model="base_level")
    >>> [part.name for part in made_of.parts]
    ['level', 'trend', 'weekday']
    >>> made = forecast(history, horizon=7, model="base_level")
    >>> bool(np.allclose(made_of.units.sum(axis=2), made.mean()))
    True
    """
    panel = _panel(history, freq, known_future, past_only, static)
    return explain_forecast(estimator(model).fit(panel), panel, horizon)


def lifts(
    history: Any,
    horizon: int = 28,
    freq: str = "1d",
    known_future: Any = None,
    past_only: Sequence[str] | None = None,
    static: Any = None,
    model: str = "auto",
) -> pl.DataFrame:
    """Return by which factor promotions, events and price changes move demand, in the past and in the forecast.

    Parameters
    ----------
    history, horizon, freq, known_future, past_only, static, model
        As in `forecast`.

    Returns
    -------
    DataFrame
        One row for each event, and for each event and category: ``lift`` with its 80 % range ``low`` to ``high``, on
        how many ``periods``, ``dates`` and ``series`` it was seen, and ``forecast_lift``, what the model makes of it.
    """
    panel = _panel(history, freq, known_future, past_only, static)
    return measure_lifts(estimator(model).fit(panel), panel, horizon)


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
    panel = _panel(history, freq, known_future, past_only, static)
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
    panel = _panel(history, freq, known_future, past_only, static)
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


def _panel(history: Any, freq: str, known_future: Any, past_only: Sequence[str] | None, static: Any) -> Panel:
    """Return the panel of a frame; a panel is taken as it is and has to bring its own covariates."""
    if not isinstance(history, Panel):
        return Panel.from_long(history, freq=freq, known_future=known_future, past_only=past_only, static=static)
    beside = {"known_future": known_future, "past_only": past_only, "static": static}
    for name, given in beside.items():
        if given is not None:
            raise ParameterError(
                f"{name} was given beside a Panel, which brings its own; give it to Panel.from_long or Panel.from_wide"
            )
    return history


class Store:
    """A shop's database, opened from Python; what the command line does, with frames instead of tables.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Store.open(f"{folder.name}/shop.db") as store:
    ...     store.products().height
    0
    >>> folder.cleanup()
    """

    def __init__(self, app: App) -> None:
        """Wrap an open app; `Store.open` makes both."""
        self.app = app

    @classmethod
    def open(cls, path: str | Path | None = None, **settings: Any) -> Store:
        """Open the database ``path``, made where there is none.

        Parameters
        ----------
        path
            A file, or a server's database such as ``postgresql://user@host:5432/name``; None takes the setting.
        settings
            Settings by name, such as ``service_level=0.9``; they win over the environment.
        """
        return cls(open_app(path, **settings))

    def close(self) -> None:
        """Close the database."""
        self.app.close()

    def __enter__(self) -> Store:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Name the file."""
        return f"Store({str(self.app.settings.database)!r})"

    # ------------------------------------------------------------------ data

    def import_files(
        self,
        *paths: str | Path,
        date_order: str | None = None,
        warehouse: str | None = None,
        columns: Mapping[str, str] | None = None,
        table: str | None = None,
        save_as: str | None = None,
    ) -> Imported:
        """Import files; see `shelfwise.services.importing.import_files`. A second time changes nothing.

        ``columns`` says which column is which, like ``{"sku": "Artikel"}``, of which ``table`` (``sales``, ``stock``,
        ...); ``save_as`` remembers it for the next file with these headers.
        """
        said = None if columns is None and table is None else importing.SaidMapping(columns or {}, table)
        return importing.import_files(
            self.app, paths, date_order=date_order, warehouse=warehouse, said=said, save_as=save_as
        )

    def imports(self) -> pl.DataFrame:
        """Return the imports, the latest first: number, when, files, format, rows, lines booked, undone when."""
        return import_history.listed(self.app)

    def undo_import(self, number: int, *, dry_run: bool = False) -> Undone:
        """Take an import back; ``.lines`` movements went, ``.changes`` says what became of everything else."""
        return import_history.undo(self.app, number, dry_run=dry_run)

    def redo_import(self, number: int) -> Undone:
        """Put an undone import back, without its files."""
        return import_history.redo(self.app, number)

    def demand(self) -> Demand:
        """Return the panel of the store with what was decided in making it."""
        return demand.load(self.app)

    def panel(self) -> Panel:
        """Return the daily demand of the live series."""
        return demand.load(self.app).live(self.app.settings.live_days).panel

    def products(self) -> pl.DataFrame:
        """Return the products, with stock on hand where it is known."""
        return catalogue.products(self.app)

    def suppliers(self) -> pl.DataFrame:
        """Return the suppliers, with stated and measured lead times."""
        return catalogue.suppliers(self.app)

    def check(self) -> pl.DataFrame:
        """Return what is missing or odd in the data, the most costly first."""
        return health.check(self.app).to_frame()

    # ------------------------------------------------------------------ forecasts

    def forecast(
        self, horizon: int | None = None, *, products: Sequence[str] | None = None, model: str | None = None
    ) -> Forecast:
        """Forecast the live series, or the named products."""
        return predictions.forecast(self.app, horizon=horizon, products=products, model=model).forecast

    def lifts(self) -> pl.DataFrame:
        """Return by which factor promotions and holidays move demand, for all products and by category."""
        return predictions.lifts(self.app)

    def backtest(
        self,
        models: Sequence[str] | None = None,
        *,
        horizon: int | None = None,
        n_cutoffs: int = 4,
        step: int | None = None,
        products: Sequence[str] | None = None,
        fresh: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Backtest:
        """Score models on the store's own past; scores that are saved are not worked out again unless ``fresh``."""
        return backtests.run(
            self.app,
            models=models,
            horizon=horizon,
            cutoffs=n_cutoffs,
            step=step,
            products=products,
            fresh=fresh,
            progress=progress,
        ).result

    def backtests(self) -> pl.DataFrame:
        """Return the saved backtests, the newest first."""
        return backtests.listed(self.app)

    # ------------------------------------------------------------------ orders

    def plan(self, *, service_level: float | None = None, save: bool = True) -> Plan:
        """Return the order proposal: ``.orders`` by supplier, ``.lines`` with their arithmetic."""
        return planning.make_plan(self.app, service_level=service_level, save=save)

    def classes(self) -> pl.DataFrame:
        """Return what each line matters and how steadily it sells: ABC-XYZ, demand class, service level."""
        return classing.classify(self.app).lines

    def excess(self, *, cover_days: int = excess_stock.COVER_DAYS) -> pl.DataFrame:
        """Return dead and excess stock, the money in it and what to do about it, the most money first."""
        return excess_stock.find(self.app, cover_days=cover_days).lines

    def orders(self) -> pl.DataFrame:
        """Return the proposed lines that wait for a decision, the most urgent first."""
        return self.plan().open_lines

    def why(self, product: str) -> list[Explanation]:
        """Explain a product's lines, one for each warehouse."""
        return explaining.explain(self.app, product)

    def approve(self, *what: str) -> list[str]:
        """Approve lines, suppliers or ``"all"``; return the numbers of the drafted purchase orders."""
        return [made.number for made in decisions.approve(self.app, self.plan(), what)]

    def edit(self, quantities: Mapping[str, float], *, reason: str) -> int:
        """Order other quantities, by line; return how many lines changed."""
        return decisions.edit(self.app, self.plan(), quantities, reason)

    def override_forecast(
        self, what: str, change: str, *, until: date, reason: str, since: date | None = None
    ) -> Override:
        """Change the forecast of ``what`` by hand until a day; ``change`` is like ``+20%``, ``x1.5`` or ``12/day``.

        ``what`` is a product, ``product@warehouse``, like ``category:Tea``, or ``shop``.
        """
        return overrides.set_forecast(self.app, what, Change.parse(change), until=until, reason=reason, since=since)

    def override_order(
        self, line: str, quantity: float, *, reason: str, rule: str = "exactly", until: date | None = None
    ) -> Override:
        """Say what a line orders on every plan until a day: ``exactly``, ``at least`` or ``at most`` so many units."""
        plan = self.plan()
        return overrides.set_order(self.app, plan, line, quantity, reason=reason, rule=rule, until=until)[0]

    def overrides(self, *, every: bool = False) -> pl.DataFrame:
        """Return the overrides that hold or are to come, the newest first; ``every`` with those that are over."""
        return overrides.listed(self.app, every=every)

    def products_like(
        self,
        new: str,
        old: str,
        *,
        times: float = 1.0,
        until: date | None = None,
        launch: date | None = None,
        create: bool = False,
    ) -> Override:
        """Let a new product copy a similar one's sales, times a multiplier that fades as its own sales come."""
        return new_products.set_like(self.app, new, old, times=times, until=until, launch=launch, create=create)

    def bundle(self, bundle: str, components: Mapping[str, float]) -> str:
        """Say what a product that is sold as one is made of, units by component; return its code."""
        return new_products.set_bundle(self.app, bundle, components)

    def revert_override(self, number: int) -> Override:
        """End an override; it stays in the list."""
        return overrides.revert(self.app, number)

    def override_scores(self) -> OverrideScores:
        """Return what overrides and edits were worth against what came true, by person and reason, and in detail."""
        return override_scores.score(self.app)

    def risks(self, *, products: Sequence[str] | None = None, days: int | None = None, correct: bool = True) -> Risks:
        """Return what will run out if nothing more is ordered: ``.shown``, the most money first; ``.table``, all lines.

        ``correct=False`` leaves out what past stockouts teach; see `shelfwise.services.risks.assess`.
        """
        return risks.assess(self.app, products=products, days=days, correct=correct)

    def what_if(
        self,
        *,
        demand: float | Mapping[str, float] | None = None,
        lead_time: float | Mapping[str, float | LeadTimeChange] | None = None,
        closed: Mapping[str, date] | None = None,
        budget: float | Mapping[str, float] | None = None,
        service_level: float | None = None,
        promotions: Sequence[Promotion] = (),
        prices: Sequence[Price] = (),
        elasticity: float | None = None,
        save: str | None = None,
    ) -> Answer:
        """Return what a change would do to the plan: ``.totals``, ``.lines``, ``.changed``.

        ``demand`` is a factor, or factors by product, line or scope like ``category:Tea``; ``lead_time`` days more, of
        all suppliers or by supplier; ``closed`` the last closed day by supplier; ``budget`` money, in all or by
        supplier. ``save`` keeps the answer under a name, for `scenario`, `compare_scenarios` and `promote_scenario`.
        """
        question = Question(
            demand=_by_name(demand),
            lead_time={
                name: change if isinstance(change, LeadTimeChange) else LeadTimeChange(name, change)
                for name, change in _by_name(lead_time).items()
            },
            closed=closed or {},
            budget=_by_name(budget),
            service_level=service_level,
            promotions=tuple(promotions),
            prices=tuple(prices),
            elasticity=elasticity,
        )
        answer = what_if.ask(self.app, question)
        if save is not None:
            scenarios.save(self.app, save, answer)
        return answer

    def scenarios(self) -> pl.DataFrame:
        """Return the saved what-if answers, the newest first."""
        return scenarios.listed(self.app)

    def scenario(self, name: str) -> Answer:
        """Return a saved what-if answer."""
        return scenarios.shown(self.app, name)

    def compare_scenarios(self, first: str, second: str) -> Comparison:
        """Return two scenarios side by side."""
        return scenarios.compare(self.app, first, second)

    def promote_scenario(self, name: str) -> Promoted:
        """Make a scenario's quantities those of the plan, as edits that can be undone."""
        return scenarios.promote(self.app, name)

    def purchase_orders(self, status: str | None = None) -> pl.DataFrame:
        """Return purchase order lines, of all orders or of those in one state."""
        return ordering.purchase_orders(self.app, status=status)

    def send(self, number: str, sent_on: date | None = None) -> str:
        """Mark a drafted purchase order as placed, today unless another day is given; return its number."""
        return ordering.send(self.app, number, sent_on)

    def receive(
        self, number: str, quantities: Mapping[str, float] | None = None, *, received_on: date | None = None
    ) -> pl.DataFrame:
        """Book a delivery of a purchase order, in full unless quantities are given; return the receipts."""
        return ordering.receive(self.app, number, quantities, received_on).booked


def _by_name(given: Any) -> Mapping[str, Any]:
    """Return values by name; one alone is about everything."""
    return {} if given is None else given if isinstance(given, Mapping) else {"all": given}
