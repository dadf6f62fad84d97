"""What webhooks are told: the types of messages, what is in each, and how they read in a channel of Slack.

A message is made in the transaction that turns its event into deliveries, from what the store holds then. What happens
many times a second is gathered: a message of such a type waits some seconds, and takes in what else happens meanwhile.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.events import (
    MOST_PRODUCTS,
    Event,
    ForecastRefreshed,
    ImportFinished,
    MovementsRecorded,
    PlanPublished,
    PurchaseOrderChanged,
    StockoutRiskCleared,
    StockoutRiskRaised,
)
from shelfwise.storage import webhook_facts
from shelfwise.storage.outbox import Happened

TEST: Final = "webhook.test"
GATHER_SECONDS: Final = 5.0
SLACK_HOSTS: Final = ("hooks.slack.com", "hooks.slack-gov.com")
_NAMED: Final = 5

Data = dict[str, Any]
Tell = Callable[[App, Any, Any], Data | None]
Gather = Callable[[Data, Data], Data | None]


@dataclass(frozen=True)
class Kind:
    """A type of message.

    Parameters
    ----------
    name
        What receivers tell it by.
    about
        When it is sent, in words.
    event, tell
        The event it follows from, and what of it is told; None where there is nothing to tell.
    gather
        Makes one message of two; None where each is sent by itself.
    """

    name: str
    about: str
    event: type[Event]
    tell: Tell
    gather: Gather | None = None


def _proposal_ready(app: App, connection: Any, event: PlanPublished) -> Data | None:
    found = webhook_facts.proposal(connection, event.plan_run_id)
    if found is None:
        return None
    return {
        "plan": event.plan_run_id, "data_until": _day(found.data_until), "lines": found.lines,
        "lines_without_cost": found.without_cost, "cost": _money(found.cost), "currency": app.settings.currency,
        "order_by": _day(found.order_by),
    }  # fmt: skip


def _risk_raised(app: App, connection: Any, event: StockoutRiskRaised) -> Data | None:
    risks = webhook_facts.risks_of(connection, event.products)
    names = webhook_facts.names_of(connection, event.products)
    items = []
    for product, warehouse in zip(event.products, event.warehouses, strict=True):
        risk = risks.get((product, warehouse))
        if risk is not None:
            items.append(
                {
                    "product": product, "name": names.get(product), "warehouse": warehouse,
                    "severity": risk["severity"], "chance": risk["chance"], "days": risk["days"],
                    "stockout_on": risk["stockout_on"], "order_by": risk["order_by"],
                    "lost_units": risk["lost_units"], "lost_margin": _money(risk["lost_margin"]),
                }
            )  # fmt: skip
    return {"count": event.count, "currency": app.settings.currency, "items": items} if items else None


def _risk_cleared(app: App, connection: Any, event: StockoutRiskCleared) -> Data | None:
    names = webhook_facts.names_of(connection, event.products)
    items = [
        {"product": product, "name": names.get(product), "warehouse": warehouse}
        for product, warehouse in zip(event.products, event.warehouses, strict=True)
    ]
    return {"count": event.count, "items": items}


def _import_finished(app: App, connection: Any, event: ImportFinished) -> Data | None:
    booked = webhook_facts.imported_lines(connection, event.import_id)
    return {"import": event.import_id, "files": list(event.files), "movements": booked}


def _forecast_changed(app: App, connection: Any, event: ForecastRefreshed) -> Data | None:
    return {"products": list(event.products) or None}


def _order_changed(app: App, connection: Any, event: PurchaseOrderChanged) -> Data | None:
    found = webhook_facts.order(connection, event.purchase_order)
    if found is None:
        return None
    return {
        "purchase_order": event.purchase_order, "status": event.status, "supplier": found.supplier,
        "supplier_name": found.supplier_name, "lines": found.lines, "units": found.units,
        "value": _money(found.value), "currency": app.settings.currency, "expected_on": _day(found.expected_on),
    }  # fmt: skip


def _recorded(app: App, connection: Any, event: MovementsRecorded) -> Data | None:
    return {"movements": event.inserted, "sources": [event.source], "products": list(event.products) or None}


def _products_of_both(earlier: Data, later: Data) -> list[str] | None:
    """Return the products of two messages; None, which is all, where one names none or they are too many."""
    if earlier["products"] is None or later["products"] is None:
        return None
    both = list(dict.fromkeys([*earlier["products"], *later["products"]]))
    return both if len(both) <= MOST_PRODUCTS else None


def _forecasts_of_both(earlier: Data, later: Data) -> Data | None:
    return {"products": _products_of_both(earlier, later)}


def _movements_of_both(earlier: Data, later: Data) -> Data | None:
    return {
        "movements": earlier["movements"] + later["movements"],
        "sources": list(dict.fromkeys([*earlier["sources"], *later["sources"]]))[:MOST_PRODUCTS],
        "products": _products_of_both(earlier, later),
    }


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("order_proposal.ready", "a plan was made: what to order, for how much, by when", PlanPublished,
             _proposal_ready),
        Kind("stockout_risk.raised", "products came to a grade of stockout risk of medium or above, or to a higher one",
             StockoutRiskRaised, _risk_raised),
        Kind("stockout_risk.cleared", "risks that were told are over", StockoutRiskCleared, _risk_cleared),
        Kind("import.finished", "files were imported", ImportFinished, _import_finished),
        Kind("forecast.changed", "live forecasts changed; gathered over 5 seconds", ForecastRefreshed,
             _forecast_changed, _forecasts_of_both),
        Kind("purchase_order.changed", "an order was drafted, sent, received or cancelled", PurchaseOrderChanged,
             _order_changed),
        Kind("movements.recorded", "stock movements were booked; gathered over 5 seconds", MovementsRecorded,
             _recorded, _movements_of_both),
    )
}  # fmt: skip
_BY_EVENT: Final = {kind.event: kind for kind in KINDS.values()}


def check_events(names: Sequence[str]) -> list[str]:
    """Return types of messages, each once and in the order of `KINDS`.

    Raises
    ------
    ParameterError
        There is none, or one is not known.
    """
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        said = f"there is no event {unknown[0]!r}" if unknown else "a webhook wants at least one event"
        raise ParameterError(f"{said}; the events are {', '.join(KINDS)}")
    return [name for name in KINDS if name in names]


def kind_of(event: Event) -> Kind | None:
    """Return the type of message that follows from an event; None where none does."""
    return _BY_EVENT.get(type(event))


def body_of(app: App, connection: Any, kind: Kind, happened: Happened) -> bytes | None:
    """Return the body that tells of an event; None where there is nothing to tell."""
    data = kind.tell(app, connection, happened.event)
    moment = happened.at.replace(tzinfo=ZoneInfo(app.calendar.timezone))
    return None if data is None else envelope(kind.name, moment, data)


def envelope(name: str, moment: dt.datetime, data: Mapping[str, Any]) -> bytes:
    """Return a body: the type, when it happened in UTC, and what."""
    at = moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return _json({"type": name, "timestamp": at, "data": data})


def gathered(kind: Kind, earlier: bytes, later: bytes) -> bytes | None:
    """Return the body of two messages of one type in one, with the later one's moment; None where they stay two."""
    first, second = json.loads(earlier), json.loads(later)
    both = None if kind.gather is None else kind.gather(first["data"], second["data"])
    return None if both is None else _json({**second, "data": both})


def is_slack(url: str) -> bool:
    """Whether an address is one of Slack's own.

    >>> is_slack("https:" + "//hooks.slack.com/services/T0/B0/x"), is_slack("https://slack.example.com/hooks")
    (True, False)
    """
    return urlsplit(url).hostname in SLACK_HOSTS


def for_slack(body: bytes) -> bytes:
    """Return a body as Slack takes it: one or two sentences."""
    return _json({"text": _escaped(text_of(json.loads(body)))})


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message in words."""
    data = message["data"]
    match message["type"]:
        case "order_proposal.ready":
            return _proposal_text(data)
        case "stockout_risk.raised":
            return _raised_text(data)
        case "stockout_risk.cleared":
            shown = data["items"][:_NAMED]
            return (
                f"No longer at risk of running out: {', '.join(map(_named, shown))}{_more(data['count'] - len(shown))}."
            )
        case "import.finished":
            booked = data["movements"]
            lines = "" if booked is None else f": {words.count(booked, 'new movement')}"
            return f"Import {data['import']} of {', '.join(data['files'])} is done{lines}."
        case "forecast.changed":
            return f"Forecasts of {_products(data)} changed."
        case "purchase_order.changed":
            return _order_text(data)
        case "movements.recorded":
            return f"{words.count(data['movements'], 'stock movement')} of {_products(data)} booked."
        case _:
            return str(data.get("text", message["type"]))


def _proposal_text(data: Data) -> str:
    if not data["lines"]:
        return "The new order proposal is ready: nothing has to be ordered."
    lines = words.count(data["lines"], "line")
    unpriced = data["lines_without_cost"]
    cost = "" if unpriced == data["lines"] else f" for {data['currency']} {_grouped(data['cost'])}"
    missing = f" ({unpriced:,} of them without a cost)" if unpriced and cost else ""
    first = "" if data["order_by"] is None else f" The first must be ordered by {_spelled(data['order_by'])}."
    return f"The new order proposal is ready: {lines}{cost}{missing}.{first}"


def _raised_text(data: Data) -> str:
    told = []
    for item in data["items"][:_NAMED]:
        chance = "" if item["chance"] is None else f" with a chance of {words.share(item['chance'])}"
        by = "" if item["stockout_on"] is None else f", by {_spelled(item['stockout_on'])}"
        money = item["lost_margin"]
        loss = "" if money is None else f", {data['currency']} {_grouped(money)} of margin at stake"
        order = "" if item["order_by"] is None else f", order by {_spelled(item['order_by'])}"
        told.append(f"{_named(item)} ({item['severity']}){chance}{by}{loss}{order}")
    return f"May run out: {'; '.join(told)}{_more(data['count'] - len(told))}."


def _order_text(data: Data) -> str:
    value = "" if data["value"] is None else f", {data['currency']} {_grouped(data['value'])}"
    due = "" if data["expected_on"] is None else f", expected on {_spelled(data['expected_on'])}"
    status = data["status"].replace("_", " ")
    supplier = data["supplier_name"] or data["supplier"]
    return f"Purchase order {data['purchase_order']} to {supplier} is {status}{value}{due}."


def _named(item: Data) -> str:
    return f"{item['name'] or item['product']} in {item['warehouse']}"


def _more(rest: int) -> str:
    return f", and {rest:,} more" if rest > 0 else ""


def _products(data: Data) -> str:
    products = data["products"]
    return "many products" if products is None else words.listed(products, _NAMED)


def _escaped(text: str) -> str:
    """Write text so that Slack reads it as text.

    >>> _escaped("<Tea> & co")
    '&lt;Tea&gt; &amp; co'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _spelled(day: str) -> str:
    return words.day(dt.date.fromisoformat(day))


def _grouped(money: str) -> str:
    return f"{float(money):,.2f}"


def _money(value: float | None) -> str | None:
    return None if value is None else f"{value + 0.0:.2f}"


def _day(value: dt.date | None) -> str | None:
    return None if value is None else value.isoformat()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
