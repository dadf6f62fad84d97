"""Why a line is what it is: the sum, the demand behind it, the stock ahead of it, and what is not known.

Every number comes from the plan that holds and the very forecast it was made on. Tables and sentences stand in one
file, because they must tell the same.

Letters: S sample paths, H days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.forecast import Forecast
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import MODELS
from shelfwise.forecasting.contract import Predictor
from shelfwise.inventory.incoming import incoming
from shelfwise.inventory.stockout_risk import projected_stock, stockout_risk
from shelfwise.services import adjusting, demand, planning, supply
from shelfwise.services.composition import BUNDLES, OVERRIDE, compose
from shelfwise.services.demand import Demand
from shelfwise.services.fitting import fitted
from shelfwise.services.names import product_code
from shelfwise.services.plan_lines import RATE_DAYS
from shelfwise.services.planning import Plan
from shelfwise.services.supply import Supply
from shelfwise.storage import catalogue, plans

Progress = Callable[[str, int, int], None]
Floats = npt.NDArray[np.floating[Any]]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RECENT_DAYS: Final = 90
SHOWN_WEEKS: Final = 8


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one product in one warehouse is ordered, or not.

    Parameters
    ----------
    line
        The plan's line; None where the product is not planned.
    sentences
        The reasons in words, the most important first.
    weeks
        The weeks ahead: last day of each, demand (mean, low, high), stock at its end (low, median, high) and the
        probability of having run out by then. Low to high is the 80 % range.
    recent
        The last weeks' sales: first day, units sold, days open, days on which demand was hidden.
    weekdays
        Factor of each weekday around an average open day.
    decisions
        What people decided about the line.
    made_of
        Units of each whole week ahead by cause, which add up to its demand: ``week_to``, ``kind``, ``part``, ``units``.
    events
        Promotions and holidays ahead and what they bring; see `shelfwise.services.composition.Composition`.
    contributions
        CONTRIBUTIONS: the same by day.
    """

    product: str
    name: str | None
    warehouse: str | None
    as_of: dt.date
    line: dict[str, Any] | None
    sentences: tuple[str, ...]
    weeks: pl.DataFrame
    recent: pl.DataFrame
    weekdays: pl.DataFrame
    decisions: pl.DataFrame
    made_of: pl.DataFrame = field(default_factory=pl.DataFrame)
    events: pl.DataFrame = field(default_factory=pl.DataFrame)
    contributions: pl.DataFrame = field(default_factory=pl.DataFrame)


def explain(app: App, product: str, *, progress: Progress | None = None) -> list[Explanation]:
    """Explain the plan's lines of a product, one for each warehouse.

    Parameters
    ----------
    product
        Code or name; ``product@warehouse`` for one warehouse alone.

    Raises
    ------
    NotFound
        The product is not in the store; the message lists the nearest.
    """
    known, side = demand.load(app, days_ahead=planning.DAYS_LAID_OUT), supply.load(app)
    plan = planning.make_plan(app, known=known, side=side, progress=progress)
    name, _, warehouse = product.partition("@")
    if warehouse and known.products.filter(pl.col("product") == product).height == 0:
        code = product_code(known.products, name)
    else:
        code, warehouse = product_code(known.products, product), ""
    lines = plan.lines.filter(pl.col("product") == code)
    if warehouse and lines.filter(pl.col("warehouse").str.to_lowercase() == warehouse.casefold()).height:
        lines = lines.filter(pl.col("warehouse").str.to_lowercase() == warehouse.casefold())
    if lines.height == 0:
        return [_unplanned(app, code, known, side, plan)]
    assert plan.run_id is not None  # noqa: S101 - make_plan has saved it
    forecast = planning.published_forecast(app, plan.run_id)
    untouched = planning.untouched_forecast(app, plan.run_id)
    predictor = fitted(app, known.panel, _model_of(plan, app.settings.model))
    return [_line(app, row, plan, known, side, (forecast, untouched), predictor) for row in lines.iter_rows(named=True)]


def _model_of(plan: Plan, setting: str) -> str:
    """Return the name of the model a plan was made with, the setting's where the catalog has it no more."""
    name = plan.model.rpartition(" ")[0]
    return name if name in MODELS else setting


def _line(
    app: App,
    line: dict[str, Any],
    plan: Plan,
    known: Demand,
    side: Supply,
    forecasts: tuple[Forecast, Forecast | None],
    predictor: Predictor,
) -> Explanation:
    """Explain one line from the plan's forecast and, where overrides changed it, from what the model said."""
    forecast, untouched = forecasts
    one = _only(forecast, line["unique_id"])
    before = (
        None if untouched is None or line["unique_id"] not in untouched.ids else _only(untouched, line["unique_id"])
    )
    panel = known.panel.select(known.panel.ids == line["unique_id"])
    if not panel.n_series:
        return _in_bundles_alone(app, line, plan, side, one)
    with app.database.read() as connection:
        calendar = catalogue.calendar_events(connection)
    shown = slice(7 * SHOWN_WEEKS)
    mean, own = one.mean()[0, shown], one.alone().mean()[0, shown]
    by_model = own if before is None else before.mean()[0, shown]
    added = [(OVERRIDE, own - by_model)] * (before is not None) + [(BUNDLES, mean - own)] * bool(_bundle_words(one))
    made_of = compose(predictor, panel, by_model, known, calendar, plan.as_of, added)
    weekdays = _weekdays(one, panel)
    recent = _recent(panel)
    weeks = _weeks(one, line, side, plan)
    supplier = _supplier_name(side, line["supplier"])
    sentences = (
        *_demand_words(line, panel, weekdays),
        *([known.inherited[line["product"]]] if line["product"] in known.inherited else []),
        *_override_words(app, one.alone(), plan, before),
        *_bundle_words(one),
        *made_of.sentences,
        *_stock_words(line, plan, app.settings.currency),
        *_order_words(line, plan, supplier),
        *_hidden_words(panel),
        *_assumed_words(line),
    )
    return Explanation(
        line["product"],
        line["name"],
        line["warehouse"],
        plan.as_of,
        line,
        sentences,
        weeks,
        recent,
        weekdays,
        _decisions(app, line),
        made_of.weeks,
        made_of.events,
        made_of.contributions.to_frame(),
    )


def _in_bundles_alone(app: App, line: dict[str, Any], plan: Plan, side: Supply, one: Forecast) -> Explanation:
    """Explain a line that never sold by itself: all of its demand is that of bundles."""
    sentences = (
        "It has not sold by itself.",
        *_bundle_words(one),
        *_stock_words(line, plan, app.settings.currency),
        *_order_words(line, plan, _supplier_name(side, line["supplier"])),
        *_assumed_words(line),
    )
    weeks, empty = _weeks(one, line, side, plan), pl.DataFrame()
    return Explanation(
        line["product"], line["name"], line["warehouse"], plan.as_of, line, sentences, weeks, empty, empty,
        _decisions(app, line),
    )  # fmt: skip


def _decisions(app: App, line: dict[str, Any]) -> pl.DataFrame:
    """Return what people decided about a line."""
    with app.database.read() as connection:
        made = plans.history(connection, line["recommendation"])
    return pl.DataFrame(
        [
            {
                "action": d.action, "quantity": d.quantity, "reason": d.reason, "until": d.snoozed_until,
                "by": d.decided_by, "at": d.decided_at,
            }
            for d in made
        ],
        schema={
            "action": pl.String, "quantity": pl.Float64, "reason": pl.String, "until": pl.Date, "by": pl.String,
            "at": pl.Datetime("us"),
        },
    )  # fmt: skip


def _only(forecast: Forecast, unique_id: str) -> Forecast:
    return forecast.select(np.array([forecast.ids.to_list().index(unique_id)]))


# ---------------------------------------------------------------------- tables


def _weekdays(forecast: Forecast, panel: Panel) -> pl.DataFrame:
    """Return each weekday's factor around an average open day of the next four weeks, and what it really sold."""
    mean = forecast.mean()[0, :RATE_DAYS]
    day = forecast.moments()[0, :RATE_DAYS].astype("datetime64[D]").astype(np.int64)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    average = mean[mean > 0].mean() if (mean > 0).any() else 1.0
    rows = [
        {"weekday": WEEKDAYS[w], "factor": float(mean[weekday == w].mean() / average)}
        for w in range(7)
        if (weekday == w).any()
    ]
    return pl.DataFrame(rows, schema={"weekday": pl.String, "factor": pl.Float64})


def _recent(panel: Panel) -> pl.DataFrame:
    """Return the last eight weeks of sales, the oldest first."""
    length = 7 * SHOWN_WEEKS
    values, seen = panel.window(length)[0], panel.available_window(length)[0]
    ends = panel.freq.moments([int(panel.ends[0]) - 7 * week for week in range(SHOWN_WEEKS, 0, -1)])
    weeks, open_days = values.reshape(SHOWN_WEEKS, 7), ~np.isnan(values).reshape(SHOWN_WEEKS, 7)
    hidden = open_days & ~seen.reshape(SHOWN_WEEKS, 7)
    frame = pl.DataFrame(
        {
            "week_from": pl.Series(ends).cast(pl.Date),
            "sold": np.nansum(weeks, axis=1),
            "open_days": open_days.sum(axis=1),
            "hidden_days": hidden.sum(axis=1),
        }
    )
    return frame.filter(pl.col("open_days") > 0)


def _weeks(forecast: Forecast, line: dict[str, Any], side: Supply, plan: Plan) -> pl.DataFrame:
    """Return demand and stock by week ahead, if nothing more is ordered."""
    days = [plan.as_of + dt.timedelta(days=day) for day in range(forecast.horizon + 1)]
    coming = incoming(
        side.open_orders, plan.as_of, lead_times=side.lead_times, assumed_lead_time_days=plan.rules.lead_time_days
    )
    inbound = coming.by_period([line["product"]], [line["warehouse"]], days, forecast.horizon)
    paths = forecast.paths
    stock = projected_stock([float(line["on_hand"])], inbound, paths)[0]  # [S, H] units
    out = stockout_risk([float(line["on_hand"])], inbound, paths).probability[0]  # [H]
    mean = forecast.mean()[0]  # [H] units, to which the parts add up too
    rows = []
    for first in range(0, min(forecast.horizon, 7 * SHOWN_WEEKS) - 6, 7):
        asked = paths[0, :, first : first + 7].sum(axis=1)  # [S] units
        low, high = np.quantile(asked, [0.1, 0.9], method="inverted_cdf")
        left = np.quantile(stock[:, first + 6], [0.1, 0.5, 0.9], method="inverted_cdf")
        rows.append(
            {
                "week_to": days[first + 6], "demand": float(mean[first : first + 7].sum()), "demand_low": float(low),
                "demand_high": float(high), "due": float(inbound[0, first : first + 7].sum()),
                "stock_low": float(left[0]), "stock": float(left[1]), "stock_high": float(left[2]),
                "run_out": float(out[first + 6]),
            }
        )  # fmt: skip
    frame = pl.DataFrame(rows)
    if line["stock_known"]:
        return frame
    return frame.with_columns(
        pl.lit(None, dtype=pl.Float64).alias(c) for c in frame.columns if c.startswith(("stock", "run"))
    )


# ---------------------------------------------------------------------- sentences


def _demand_words(line: dict[str, Any], panel: Panel, weekdays: pl.DataFrame) -> list[str]:
    rate = words.units(line["mean_per_day"])
    low, high = words.units(line["low_per_day"]), words.units(line["high_per_day"])
    said = [
        f"It should sell about {rate} a day over the next {RATE_DAYS} days; the 80 % range is {low} to {high} a day."
    ]
    now = _rate(panel, 0)
    then = _rate(panel, 364 - RATE_DAYS)
    if now is not None:
        year = f"; a year ago the coming four weeks brought {words.units(then)} a day" if then is not None else ""
        said.append(
            f"On days when it could be sold it sold {words.units(now)} a day in the last {RATE_DAYS} days{year}."
        )
    elif panel.lengths[0] < RATE_DAYS and (young := _rate(panel, 0, int(panel.lengths[0]))) is not None:
        days = words.count(int(panel.lengths[0]), "day")
        said.append(f"It has been on sale for {days} only and sold {words.units(young)} a day; the rest is borrowed.")
    else:
        said.append(f"On no day of the last {RATE_DAYS} is its demand known: the level is from before, or borrowed.")
    if panel.lengths[0] >= 8 * 7 and line["demand_per_day"] >= 0.5:
        best, worst = (
            weekdays.sort("factor", descending=True).row(0),
            weekdays.filter(pl.col("factor") > 0).sort("factor").row(0),
        )
        if best[1] >= 1.15 * worst[1]:
            said.append(
                f"{best[0]} is its strongest day ({best[1]:.1f} times an average day), "
                f"{worst[0]} its weakest ({worst[1]:.1f} times)."
            )
    return said


def _rate(panel: Panel, back: int, days: int = RATE_DAYS) -> float | None:
    """Return mean sales on usable days of the ``days`` that ended ``back`` days ago; None under a week of such days.

    364 days are 52 weeks, so the same four weeks a year ago end 364 - 28 days ago: they are the ones that come next.
    """
    length = back + days
    values, seen = panel.window(length)[0, :days], panel.available_window(length)[0, :days]
    return float(values[seen].mean()) if seen.sum() >= 7 else None


def _override_words(app: App, one: Forecast, plan: Plan, before: Forecast | None) -> list[str]:
    """Say which overrides changed the forecast of one line, and by how much over the weeks shown."""
    if before is None:
        return []
    days = one.moments()[0].astype("datetime64[D]")
    standing = adjusting.standing(app, plan.as_of, adjusting.FORECAST)
    held = set(adjusting.holding(one.series, days, standing).ravel().tolist())
    told = [f"{adjusting.note(each)}." for each in standing if each.id in held]
    shown = min(one.horizon, 7 * SHOWN_WEEKS)
    now, was = float(one.mean()[0, :shown].sum()), float(before.mean()[0, :shown].sum())
    sums = f"Over the next {shown} days that makes {words.units(now)} units of {words.units(was)}."
    return [*(text[0].upper() + text[1:] for text in told), sums]


def _bundle_words(one: Forecast) -> list[str]:
    """Say how much of one line's demand is that of the bundles it is in."""
    if one.parts is None or one.shares is None or not one.shares.nnz:
        return []
    days = min(one.horizon, RATE_DAYS)
    mean = one.parts.mean()[:, :days].mean(axis=1)  # [P] units a day
    _, places = one.shares.nonzero()
    names = one.parts.series["product"].gather(places).to_list()
    told = [
        f"{name} ({words.units(units)} in each, {words.units(units * rate)} a day)"
        for name, units, rate in zip(names, one.shares.data, mean[places], strict=True)
    ]
    total = float(one.shares.data @ mean[places])
    return [f"Of its demand, {words.units(total)} a day are sold in bundles: {words.listed(told, 3)}."]


def _stock_words(line: dict[str, Any], plan: Plan, currency: str) -> list[str]:
    if not line["stock_known"]:
        return ["Its stock was never counted, so the order covers the whole demand; count it before ordering."]
    day = _day(plan)
    cover = line["days_of_cover"]
    lasts = "" if cover is None else f", which last {words.units(cover)} days at that rate"
    due = f" and {words.units(line['due'])} due" if line["due"] else ""
    said = [f"{words.units(line['on_hand'])} on hand{due}{lasts}."]
    chance = words.share(line["stockout_probability"])
    if line["stockout_on"] is not None:
        said.append(
            f"If nothing is ordered, half of all cases run out by {day(line['stockout_on'])}; the chance of running "
            f"out before the order after this one could come is {chance}."
        )
    else:
        said.append(f"If nothing is ordered, the chance of running out before the next order could come is {chance}.")
    if line["margin_at_risk"] and line["margin_at_risk"] > 0.5:
        said.append(
            f"That would lose about {words.units(line['lost_units'])} units, "
            f"{words.money(line['margin_at_risk'], currency)} of margin."
        )
    return said


def _order_words(line: dict[str, Any], plan: Plan, supplier: str) -> list[str]:
    day = _day(plan)
    wait, lead, review = line["wait_periods"], line["lead_time_periods"], line["review_periods"]
    until = f"{words.units(wait)} until the order day, " if wait else ""
    covers = (
        f"What is ordered now must last {words.units(wait + lead + review)} days: {until}"
        f"{words.units(lead)} until the goods come, {words.units(review)} until the ones after them."
    )
    service = f"Service level {words.share(line['service_level'])} ({_SERVICE[line['service_kind']]})."
    if line["quantity"] <= 0:
        return ["Nothing to order now: what is on hand and due covers that time.", covers, service]
    said = [covers, service]
    orders = plan.orders.filter(pl.col("supplier").eq_missing(pl.lit(line["supplier"], dtype=pl.String)))
    if line["status"] in ("proposed", "edited") and orders.height:
        order = orders.row(0, named=True)
        late = " It may run short before that: no order comes in time to keep the service level." * line["late"]
        said.append(
            f"Order {words.units(line['quantity'])} from {supplier} by {day(order['order_by'])}; "
            f"it arrives about {day(order['arrives_on'])}.{late}"
        )
    elif line["status"] == "snoozed":
        said.append(f"It is put away until {day(line['snoozed_until'])}.")
    else:
        said.append(f"It is {line['status']}" + (f": {line['decision_reason']}." if line["decision_reason"] else "."))
    if line["status"] == "edited":
        said.append(
            f"A person changed {words.units(line['proposed'])} to {words.units(line['quantity'])}: "
            f"{line['decision_reason']}."
        )
    return said


_SERVICE: Final = {
    "cycle": "share of order cycles without a stockout",
    "fill": "share of units served from stock",
}


def _hidden_words(panel: Panel) -> list[str]:
    length = int(min(RECENT_DAYS, panel.lengths[0]))
    if length < 1:
        return []
    hidden = int((~np.isnan(panel.window(length)[0]) & ~panel.available_window(length)[0]).sum())
    if not hidden:
        return []
    return [
        f"On {hidden} of the last {length} days it was, or seems to have been, sold out: what would have sold is not "
        "known, and those days do not pull the forecast down."
    ]


def _assumed_words(line: dict[str, Any]) -> list[str]:
    said = []
    if line["warnings"]:
        said.append(f"Look at this first: {line['warnings']}.")
    if line["assumptions"]:
        said.append(f"Not given, so assumed: {line['assumptions']}.")
    return said


def _unplanned(app: App, code: str, known: Demand, side: Supply, plan: Plan) -> Explanation:
    """Say why a product of the catalogue is not planned."""
    parts = side.bundles.filter(pl.col("bundle") == code)
    product = known.products.filter(pl.col("product") == code).row(0, named=True)
    series = known.panel.series.filter(pl.col("product") == code)
    last = series["last_sale"].max() if series.height else None
    if parts.height:
        made = " and ".join(f"{words.units(units)} x {name}" for _, name, units in parts.iter_rows())
        reason = f"It is a bundle of {made}: it is not ordered, and its demand is that of its components."
    elif product["discontinued_on"] is not None and product["discontinued_on"] <= plan.data_until:
        reason = f"It was discontinued on {product['discontinued_on']}, so it is not planned."
    elif last is None:
        reason = "It has never sold and has no launch day, so there is nothing to plan from."
    else:
        reason = (
            f"It last sold on {last!s}, more than {app.settings.live_days} days before the data ends, so it is not "
            "planned; the setting live_days says for how long."
        )
    empty = pl.DataFrame()
    return Explanation(code, product["name"], None, plan.as_of, None, (reason,), empty, empty, empty, empty)


def _day(plan: Plan) -> Callable[[dt.date | None], str]:
    return lambda value: words.day(value, today=plan.as_of)


def _supplier_name(side: Supply, code: str | None) -> str:
    if code is None:
        return "a supplier (none is named)"
    name = side.suppliers.filter(pl.col("supplier") == code)["name"].to_list()
    return name[0] if name and name[0] else code
