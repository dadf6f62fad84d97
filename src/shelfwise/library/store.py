"""`Store`: the database of a shop, from a notebook.

Above 400 lines because every service has its method here, each of a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from shelfwise.app import App, open_app
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.backtest import Backtest
from shelfwise.services import (
    backtests,
    catalogue,
    classing,
    decisions,
    demand,
    explaining,
    health,
    import_history,
    import_profiles,
    importing,
    new_products,
    ordering,
    override_scores,
    overrides,
    planning,
    predictions,
    risks,
    scenarios,
    stock_corrections,
    stock_movements,
    what_if,
)
from shelfwise.services import excess as excess_stock
from shelfwise.services.adjusting import Change
from shelfwise.services.demand import Demand
from shelfwise.services.explaining import Explanation
from shelfwise.services.importing import Imported
from shelfwise.services.override_scores import OverrideScores
from shelfwise.services.planning import Plan
from shelfwise.services.risks import Risks
from shelfwise.services.scenarios import Comparison, Promoted
from shelfwise.services.stock_corrections import Corrected
from shelfwise.services.stock_movements import Booked
from shelfwise.services.what_if import Answer
from shelfwise.services.what_if_questions import LeadTimeChange, Price, Promotion, Question
from shelfwise.storage.imports import Undone
from shelfwise.storage.overrides import Override


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
        correct: bool = False,
    ) -> Imported:
        """Import files; see `shelfwise.services.importing.import_files`. A second time changes nothing.

        ``columns`` says which column is which, like ``{"sku": "Artikel"}``, of which ``table`` (``sales``, ``stock``,
        ...); ``save_as`` remembers it for the next file with these headers. ``correct`` takes over what the files say
        of lines that are booked already.
        """
        said = None if columns is None and table is None else importing.SaidMapping(columns or {}, table)
        return importing.import_files(
            self.app,
            paths,
            date_order=date_order,
            warehouse=warehouse,
            said=said,
            save_as=save_as,
            correct=correct,
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

    def profiles(self) -> pl.DataFrame:
        """Return the saved import profiles, the latest first: what was said of files with the same headers."""
        return import_profiles.listed(self.app)

    def forget_profile(self, name: str) -> None:
        """Forget an import profile; what was imported by it stays."""
        import_profiles.forget(self.app, name)

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

    # ------------------------------------------------------------------ stock

    def stock(self, product: str | None = None, warehouse: str | None = None) -> pl.DataFrame:
        """Return what is on hand, of everything or of one product or warehouse."""
        return stock_movements.levels(self.app, product, warehouse)

    def count(
        self,
        product: str,
        quantity: float,
        *,
        warehouse: str | None = None,
        at: date | datetime | None = None,
        reason: str | None = None,
        new_warehouse: bool = False,
        id: str | None = None,
    ) -> Booked:
        """Book what was counted on the shelf, now unless ``at`` says when; a day alone is its opening stock.

        The same ``id`` is booked once. ``.lines`` is what was booked, ``.notes`` what to know of it; see
        `shelfwise.services.stock_movements.count`.
        """
        return stock_movements.count(
            self.app, product, quantity,
            warehouse=warehouse, at=at, reason=reason, new_warehouse=new_warehouse, id=id,
        )  # fmt: skip

    def adjust(
        self,
        product: str,
        change: float,
        *,
        reason: str,
        warehouse: str | None = None,
        at: date | datetime | None = None,
        id: str | None = None,
    ) -> Booked:
        """Book units found (above zero) or lost (below) since the last count."""
        return stock_movements.adjust(self.app, product, change, reason=reason, warehouse=warehouse, at=at, id=id)

    def transfer(
        self,
        product: str,
        quantity: float,
        *,
        origin: str,
        destination: str,
        at: date | datetime | None = None,
        reason: str | None = None,
        id: str | None = None,
    ) -> Booked:
        """Book units moved from one warehouse to another: both sides, or none."""
        return stock_movements.transfer(
            self.app, product, quantity, origin=origin, destination=destination, at=at, reason=reason, id=id
        )

    def history(self, product: str, warehouse: str | None = None, *, limit: int = 30) -> pl.DataFrame:
        """Return a product's newest lines with their numbers and corrections, who made them and why."""
        return stock_movements.history(self.app, product, warehouse, limit)

    def correct(
        self,
        line: int,
        *,
        reason: str,
        quantity: float | None = None,
        product: str | None = None,
        warehouse: str | None = None,
        at: date | datetime | None = None,
        unit_price: float | None = None,
        counts: bool = True,
    ) -> Corrected:
        """Correct a booked line, by its number in `history`; ``counts=False``: it is to count no more.

        The line stays as it is booked, and a record beside it says what holds; `revert` takes that back by ``.number``.
        """
        return stock_corrections.correct(
            self.app, line,
            reason=reason, quantity=quantity, product=product, warehouse=warehouse, at=at, unit_price=unit_price,
            counts=counts,
        )  # fmt: skip

    def revert(self, correction: int, *, reason: str) -> Corrected:
        """Take a correction back; what held before holds again, and both stay in the history."""
        return stock_corrections.revert(self.app, correction, reason=reason)

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
