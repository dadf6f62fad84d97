"""The health of the data: what is missing or odd, ranked by the sales it touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from shelfwise.app import App
from shelfwise.inventory.incoming import incoming
from shelfwise.services import demand, supply
from shelfwise.services.demand import Demand
from shelfwise.services.supply import Supply
from shelfwise.storage import imports, sales

Progress = Callable[[str, int, int], None]

RECENT_DAYS: Final = 28
SOLD_OUT_DAYS: Final = 7
STALE_DAYS: Final = 7
EXAMPLES: Final = 5


@dataclass(frozen=True)
class Finding:
    """One thing about the data.

    Parameters
    ----------
    severity
        ``problem``: it bends orders and can be corrected; ``note``: worth knowing.
    what, way_out
        What it is, and the next command or step.
    lines
        How many products in warehouses it touches.
    money
        What those sold in the last 28 days of the data; None where prices are not known.
    """

    severity: str
    what: str
    way_out: str
    lines: int
    money: float | None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Health:
    """All findings, problems first, the most costly first."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> int:
        """Number of findings that should be corrected."""
        return sum(finding.severity == "problem" for finding in self.findings)

    def summary(self) -> str:
        """Say in one sentence how it stands."""
        if not self.findings:
            return "nothing found: the data is complete"
        notes = len(self.findings) - self.problems
        return f"{self.problems} to correct, {notes} worth knowing"

    def to_frame(self) -> pl.DataFrame:
        """Return one row per finding."""
        return pl.DataFrame(
            [
                {
                    "severity": f.severity, "what": f.what, "lines": f.lines, "sales_28_days": f.money,
                    "examples": ", ".join(f.examples), "way_out": f.way_out,
                }
                for f in self.findings
            ],
            schema={
                "severity": pl.String, "what": pl.String, "lines": pl.Int64, "sales_28_days": pl.Float64,
                "examples": pl.String, "way_out": pl.String,
            },
        )  # fmt: skip


def check(app: App, *, progress: Progress | None = None) -> Health:
    """Look at what the plan of a shop depends on.

    Raises
    ------
    DataError
        The store has no sales.
    """
    if progress is not None:
        progress("reading the data", 0, 2)
    known, side = demand.load(app), supply.load(app)
    live = known.live(app.settings.live_days)
    with app.database.read() as connection:
        recent = sales.daily_demand(connection, since=known.data_until - timedelta(days=RECENT_DAYS - 1))
        made = imports.all_imports(connection)
    if progress is not None:
        progress("looking for gaps", 1, 2)
    sold = recent.group_by("product", "warehouse").agg(money=pl.col("revenue").sum())
    table = (
        live.panel.series.join(sold, on=["product", "warehouse"], how="left", maintain_order="left")
        .join(side.stock.select("product", "warehouse", "on_hand"), on=["product", "warehouse"], how="left")
        .join(side.lead_times.select("supplier", "mean_days", "stated_days", "deliveries"), on="supplier", how="left")
        .with_columns(pl.col("money").fill_null(0.0))
    )
    found = [
        *_gaps(table),
        *_silences(live, table),
        *_orders(app, known, side),
        *_lead_times(side),
        *_age(app, known, made),
        *(Finding("note", note, "", 0, None) for note in known.notes),
    ]
    ranked = sorted(found, key=lambda f: (f.severity != "problem", -(f.money or 0.0), -f.lines))
    return Health(tuple(ranked))


def _touching(severity: str, what: str, way_out: str, lines: pl.DataFrame) -> list[Finding]:
    """Return a finding about some lines of the table; none if there are none."""
    if lines.height == 0:
        return []
    some = lines.sort("money", "unique_id", descending=[True, False])["unique_id"].head(EXAMPLES)
    noun = "line" if lines.height == 1 else "lines"
    text = f"{lines.height:,} {noun} {what}"
    return [Finding(severity, text, way_out, lines.height, float(lines["money"].sum()) or None, tuple(some))]


def _gaps(table: pl.DataFrame) -> list[Finding]:
    """Look for what a line needs and lacks."""
    none = pl.col("supplier").is_null()
    return [
        *_touching(
            "problem", "never counted: their stock is not known", "import a stock file with the columns sku, on_hand",
            table.filter(pl.col("on_hand").is_null()),
        ),
        *_touching(
            "problem", "with stock below zero in the books", "count them and import the count",
            table.filter(pl.col("on_hand") < 0),
        ),
        *_touching(
            "problem", "without a supplier", "shelfwise products edit PRODUCT --supplier NAME",
            table.filter(none),
        ),
        *_touching(
            "problem", "whose supplier has no lead time", "shelfwise suppliers edit SUPPLIER --lead-time DAYS",
            table.filter(~none & pl.col("mean_days").is_null()),
        ),
        *_touching(
            "note", "without a unit cost: orders and margins cannot be valued",
            "shelfwise products edit PRODUCT --cost X",
            table.filter(pl.col("unit_cost").is_null()),
        ),
        *_touching(
            "note", "without a category: they have no kin to borrow seasons from",
            "shelfwise products edit PRODUCT --category NAME",
            table.filter(pl.col("category").is_null()),
        ),
    ]  # fmt: skip


def _silences(live: Demand, table: pl.DataFrame) -> list[Finding]:
    """Look for lines that were sold out, or seem to have been, for long or at the end."""
    hidden = ~live.panel.available_window(RECENT_DAYS) & (live.panel.window(RECENT_DAYS) == 0)  # [N, 28]
    days = pl.DataFrame({"unique_id": live.panel.ids, "hidden": hidden.sum(axis=1)})
    some = table.join(days, on="unique_id", how="left").filter(pl.col("hidden") >= SOLD_OUT_DAYS)
    return _touching(
        "note",
        f"sold out, or silent beyond chance, on {SOLD_OUT_DAYS} or more of the last {RECENT_DAYS} days: "
        "those days count as unknown demand",
        "",
        some,
    )


def _orders(app: App, known: Demand, side: Supply) -> list[Finding]:
    late = incoming(
        side.open_orders, known.planning_day, lead_times=side.lead_times,
        assumed_lead_time_days=app.settings.default_lead_time_days,
    ).left_out  # fmt: skip
    if late.height == 0:
        return []
    numbers = late["purchase_order"].unique(maintain_order=True)
    return [
        Finding(
            "problem",
            f"{late.height:,} purchase order lines are so late that they no longer count",
            "shelfwise receive NUMBER, or shelfwise purchase-orders --cancel NUMBER",
            late.height,
            None,
            tuple(numbers.head(EXAMPLES)),
        )
    ]


def _lead_times(side: Supply) -> list[Finding]:
    """Look for suppliers whose deliveries take much longer than they state."""
    slow = side.lead_times.filter(
        (pl.col("deliveries") >= 3) & (pl.col("measured_mean_days") > 1.1 * pl.col("stated_days"))
    )
    return [
        Finding(
            "note",
            f"{row['supplier']} states {row['stated_days']:.0f} days and took {row['measured_mean_days']:.1f} on "
            f"average over {row['deliveries']} deliveries; plans use {row['mean_days']:.1f}",
            "",
            0,
            None,
        )
        for row in slow.iter_rows(named=True)
    ]


def _age(app: App, known: Demand, made: list[imports.Import]) -> list[Finding]:
    found = []
    age = (app.today() - known.data_until).days
    if age > STALE_DAYS:
        found.append(
            Finding("problem", f"the sales end on {known.data_until}, {age:,} days ago", "import newer sales", 0, None)
        )
    last = next((one for one in made if one.undone_at is None), None)
    rejected = sum(t["rows"] for file in (last.receipt.get("files", []) if last else []) for t in file["rejected"])
    if last is not None and rejected:
        found.append(
            Finding("note", f"{rejected:,} lines of {last.file_name} were rejected at its import", "", rejected, None)
        )
    return found
