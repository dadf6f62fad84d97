"""The health of the data: what is missing or odd, ranked by the orders of the last plan it touches, then by sales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.services import demand, product_health, sales_health, supply, supply_health
from shelfwise.services.demand import Demand
from shelfwise.services.findings import KINDS, RECENT_DAYS, Effects, Finding, ranked
from shelfwise.storage import catalogue, imports, lines, plans, sales

Progress = Callable[[str, int, int], None]

LOOKED_BACK_DAYS: Final = 731
"""Sales are looked at line by line for so many days before the end of the data: two years."""


@dataclass(frozen=True)
class Health:
    """All findings, problems first, the most costly first.

    Parameters
    ----------
    planned
        Whether there is a plan, so that effects on orders are known.
    """

    findings: tuple[Finding, ...]
    planned: bool = False

    @property
    def problems(self) -> int:
        """Number of findings that should be corrected."""
        return sum(finding.severity == "problem" for finding in self.findings)

    def of_kind(self, kind: str) -> tuple[Finding, ...]:
        """Return the findings of one kind; none if it was not found.

        Raises
        ------
        ParameterError
            There is no such kind.
        """
        if kind not in KINDS:
            raise ParameterError(f"there is no kind of finding {kind!r}; there are {', '.join(KINDS)}")
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def summary(self) -> str:
        """Say in one sentence how it stands."""
        if not self.findings:
            return "nothing found: the data is complete"
        notes = len(self.findings) - self.problems
        unplanned = (
            "" if self.planned else "; `shelfwise order` makes a plan, and then this says which orders they touch"
        )
        return f"{self.problems} to correct, {notes} worth knowing{unplanned}"

    def to_frame(self) -> pl.DataFrame:
        """Return one row per finding."""
        return pl.DataFrame(
            [
                {
                    "kind": f.kind, "severity": f.severity, "what": f.what, "lines": f.lines, "orders": f.orders,
                    "sales_28_days": f.sales, "examples": ", ".join(f.examples), "way_out": f.way_out,
                }
                for f in self.findings
            ],
            schema={
                "kind": pl.String, "severity": pl.String, "what": pl.String, "lines": pl.Int64, "orders": pl.Float64,
                "sales_28_days": pl.Float64, "examples": pl.String, "way_out": pl.String,
            },
        )  # fmt: skip


def check(
    app: App,
    *,
    known: Demand | None = None,
    side: supply.Supply | None = None,
    progress: Progress | None = None,
) -> Health:
    """Look at what the plan of a shop depends on.

    Parameters
    ----------
    known, side
        Demand and supply of the store, where they have been read already.

    Raises
    ------
    DataError
        The store has no sales.
    """
    tell = progress or _silent
    tell("reading the data", 0, 3)
    known = demand.load(app) if known is None else known
    side = supply.load(app) if side is None else side
    with app.database.read() as connection:
        recommended = plans.recommendations(connection)
        prices = catalogue.prices(connection)
        made = imports.all_imports(connection)
        counted = lines.counted(connection)
        span = sales.sales_span(connection)
        codes = lines.codes(connection)
        booked = lines.sale_lines(connection, since=known.data_until - timedelta(days=LOOKED_BACK_DAYS))
    assumed = app.settings.default_lead_time_days
    planned = supply_health.planned_lines(known, side)
    recent = booked.filter(
        pl.col("occurred_at").dt.date().is_between(known.data_until - timedelta(days=RECENT_DAYS - 1), known.data_until)
    )
    effects = Effects(_effects(known, side, recommended, sales_health.coded(recent, codes)))
    tell("looking at products and stock", 1, 3)
    found = [
        *supply_health.lacking(effects, planned, side, prices, assumed),
        *supply_health.stock_findings(effects, known, planned, side, counted),
        *supply_health.bundle_findings(effects, known, planned, side),
        *supply_health.sold_out(effects, known),
        *supply_health.late_orders(effects, known, side, assumed),
        *supply_health.slow_suppliers(effects, planned, side),
        *supply_health.stale_sales(known, (app.today() - known.data_until).days),
        *product_health.code_findings(effects, known, side),
        *product_health.successor_findings(effects, known),
    ]
    tell("looking at the sales line by line", 2, 3)
    files = {one.id: one.file_name for one in made}
    found += sales_health.line_findings(effects, booked, codes, files, known.data_until)
    days = booked.filter(pl.col("quantity") > 0).select("warehouse", day=pl.col("occurred_at").dt.date()).unique()
    closures = side.events.filter((pl.col("kind") == "closure") & pl.col("scope_kind").is_in(["shop", "warehouse"]))
    if span is not None:
        found += sales_health.day_findings(
            effects, known, sales_health.coded(days, codes), span[1], closures, app.calendar
        )
    found += [Finding("calendar", "note", note) for note in known.notes if "cut short" not in note]
    found += _rejected(made)
    return Health(ranked(found), planned=not recommended.is_empty())


def _effects(known: Demand, side: supply.Supply, recommended: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """Return what every product in every warehouse costs in the last plan, and sold in the last 28 days."""
    key = ["product", "warehouse"]
    every = pl.concat([frame.select(key) for frame in (known.panel.series, side.stock, recommended)]).unique()
    price = known.products.select("product", "price")
    units = pl.coalesce("decided_quantity", "quantity")
    ordered = recommended.join(price, on="product", how="left").select(
        *key, orders=units * pl.coalesce("unit_cost", "price").fill_null(0.0)
    )
    sold = (
        recent.filter(pl.col("quantity") > 0).group_by(key).agg(sales=(pl.col("quantity") * pl.col("unit_price")).sum())
    )
    joined = every.join(ordered, on=key, how="left").join(sold, on=key, how="left").sort(key)
    return joined.with_columns(pl.col("orders", "sales").fill_null(0.0))


def _rejected(made: list[imports.Import]) -> list[Finding]:
    """Say how many lines the last import put aside."""
    last = next((one for one in made if one.undone_at is None), None)
    files = last.receipt.get("files", []) if last else []
    rejected = sum(tally["rows"] for file in files for tally in file["rejected"])
    if last is None or not rejected:
        return []
    was = "was" if rejected == 1 else "were"
    said = f"{words.count(rejected, 'line')} of {last.file_name} {was} rejected at its import"
    return [Finding("rejected-lines", "note", said, "correct them in the rejects file and import that", rejected)]


def _silent(_step: str, _done: int, _total: int) -> None:
    return None
