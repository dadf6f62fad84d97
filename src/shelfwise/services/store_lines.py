"""Lines of the store, a product in a warehouse each: their forecast, terms and what is on its way, on one set of paths.

Risk and orders are both about these, so that one request can tell demand, risk and orders of the very same worlds.
Letters: N lines, S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import DataError
from shelfwise.domain.forecast import Forecast
from shelfwise.inventory.bundles import exploded, without_bundles
from shelfwise.inventory.incoming import incoming
from shelfwise.inventory.proposal import ProposalRules, planning_horizon
from shelfwise.services import supply
from shelfwise.services.demand_questions import Store
from shelfwise.services.names import product_code
from shelfwise.services.supply import Supply

Floats = npt.NDArray[np.float64]
Place = tuple[str, str | None]


@dataclass(frozen=True, eq=False)
class Lines:
    """N lines of the store on the day after its data ends.

    forecast
        [N, S, H] demand, that of bundles among it.
    items
        PLANNING_ITEMS, one row each.
    inbound
        [N, H] units on the shelf from the start of each day.
    label
        What forecast it.
    """

    forecast: Forecast
    items: pl.DataFrame
    inbound: Floats
    as_of: dt.date
    rules: ProposalRules
    side: Supply
    label: str
    notes: tuple[str, ...]

    @property
    def paths_fingerprint(self) -> str:
        """A hash of the sample paths: what carries the same one was worked out on the same worlds."""
        return sha256(np.ascontiguousarray(self.forecast.paths).tobytes()).hexdigest()

    def shown(self, days: int) -> Lines:
        """Return the lines with the first days alone."""
        short = replace(self.forecast, marginals=None, parts=None, shares=None, drawn=self.forecast.paths[:, :, :days])
        return replace(self, forecast=short, inbound=self.inbound[:, :days])


def rules_of(app: App, service_level: float | None = None) -> ProposalRules:
    """Return the rules of the settings, with another service level where one is given."""
    settings = app.settings
    return ProposalRules(
        service_level=settings.service_level if service_level is None else service_level,
        service_kind=settings.service_kind,
        lead_time_days=settings.default_lead_time_days,
        review_days=settings.review_days,
    )


def lines_of(
    store: Store, wanted: Sequence[Place], days: int, *, model: str = "auto", service_level: float | None = None,
    base: bool = False,
) -> Lines:  # fmt: skip
    """Return lines with their forecast over ``days`` and at least over the protection time of each.

    Parameters
    ----------
    wanted
        Products, and a warehouse each, or None for all in which it sells.
    base
        The base model answers, fitted on these series alone.

    Raises
    ------
    NotFound
        A product is not in the store.
    DataError
        One never sold there, is sold no more, or is a bundle.
    """
    app, known = store.app, store.known
    side = store.side
    rules = rules_of(app, service_level)
    rows = np.unique(np.concatenate([_rows(store, side, *place) for place in wanted]))
    asked = known.panel.series["unique_id"].gather(rows)
    holding = side.bundles.filter(pl.col("component").is_in(known.panel.series["product"].gather(rows).to_list()))
    parts = known.panel.series["product"].is_in(holding["bundle"].to_list()) & known.panel.series["live"]
    panel_rows = np.union1d(rows, parts.arg_true().to_numpy())
    series = known.panel.series[panel_rows]
    stocked = without_bundles(series, side.bundles, known.products)
    stocked = stocked.filter(pl.col("unique_id").is_in(asked.implode()))
    items = supply.planning_items(stocked, side, known.planning_day, rules)
    if service_level is None and app.settings.class_service_levels and app.origins["service_level"] == "default":
        items = items.drop("service_class", strict=False).join(
            store.classes, on="unique_id", how="left", maintain_order="left"
        )
        items = items.with_columns(service_level=pl.coalesce("service_level", "level")).drop("level")
    horizon = max(days, planning_horizon(items, rules=rules))
    made, label = store.forecast_of_rows(model, horizon, panel_rows, base=base)
    forecast = exploded(made, stocked, side.bundles)
    coming = incoming(
        side.open_orders, known.planning_day, lead_times=side.lead_times, assumed_lead_time_days=rules.lead_time_days
    )
    starts = [known.planning_day + dt.timedelta(days=day) for day in range(horizon + 1)]
    inbound = coming.by_period(items["product"].to_list(), items["warehouse"].to_list(), starts, horizon)
    notes = (*known.notes, *forecast.provenance.notes)
    return Lines(forecast, items, inbound, known.planning_day, rules, side, label, tuple(dict.fromkeys(notes)))


def _rows(store: Store, side: Supply, product: str, warehouse: str | None) -> npt.NDArray[np.int64]:
    known = store.known
    code = product_code(known.products, product)
    components = side.bundles.filter(pl.col("bundle") == code)["component"].to_list()
    if components:
        raise DataError(f"{code} is a bundle and has no stock of its own; ask for {words.listed(components, 5)}")
    rows = store.rows(code, warehouse)
    over = rows[known.panel.ends[rows] < known.panel.ends.max()]
    if len(over):
        names = known.panel.ids.gather(over).to_list()
        raise DataError(f"{words.listed(names, 3)}: discontinued, so no demand is to come; leave it out")
    return rows
