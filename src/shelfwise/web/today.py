"""The first page: what has to be done today, by the plan made last; it reads and changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

from shelfwise.domain import words
from shelfwise.services.insights import Today
from shelfwise.services.planning import Plan
from shelfwise.web.markup import Content, Markup, element, join

ORDERS_SHOWN: Final = 20
LINES_SHOWN: Final = 12
COVER_WIDTH: Final = 96  # of the drawing, SVG units

MINIMUMS: Final = {
    "none": "", "met": "minimum met", "topped up": "topped up to the minimum", "below minimum": "below the minimum",
}  # fmt: skip


def body(read: Today) -> Markup:
    """Return what stands in the page's main part."""
    if read.plan is None:
        return _nothing_yet()
    return join(
        _stale(read),
        element("h1", read.sentence()),
        _tiles(read, read.plan),
        _orders(read),
        _lines(read),
        _notes(read.plan),
    )


def freshness(read: Today) -> str:
    """Say what the page was made from."""
    if read.plan is None:
        return "no plan yet"
    until, day = (words.day(value, today=read.day) for value in (read.plan.data_until, read.plan.as_of))
    return f"Sales until {until}, plan {read.plan.run_id} for {day}"


def _nothing_yet() -> Markup:
    steps = (
        ("Bring in what was sold, and what is on the shelf", "shelfwise import orders.csv stock.csv"),
        ("Make the plan", "shelfwise order"),
        ("Load this page again", None),
    )
    return join(
        element("h1", "There is no plan yet."),
        element("p", "Three steps, and this page says what to order:", class_="lead"),
        element(
            "ol",
            *(
                element("li", step, None if command is None else element("pre", element("code", command)))
                for step, command in steps
            ),
            class_="steps",
        ),
        element(
            "p", "To look around first: ", element("code", "shelfwise demo"), " makes a made-up shop and its plan.",
            class_="muted",
        ),
    )  # fmt: skip


def _stale(read: Today) -> Markup | None:
    if read.plan is None or not read.is_stale:
        return None
    return element(
        "p",
        element("strong", "Old data. "),
        f"Sales are known until {words.day(read.plan.data_until, today=read.day)}, "
        f"{words.count(read.stale_days, 'day')} ago. Orders already made are safe; what stands here may be late. ",
        element("code", "shelfwise import FILE..."),
        " and ",
        element("code", "shelfwise order"),
        " bring it up to date.",
        class_="banner",
        role="status",
    )


def _tiles(read: Today, plan: Plan) -> Markup:
    money = read.currency
    lines, late = plan.open_lines, int(plan.open_lines["late"].sum())
    tiles: Iterable[tuple[str, str, str]] = (
        ("Margin at risk", words.money(read.margin_at_risk, money), "if nothing is ordered"),
        (
            "To order now", words.money(float(read.due["value"].sum()), money),
            words.count(read.due.height, "supplier") if read.due.height else "no order is due",
        ),
        (
            "Waiting for a decision", f"{lines.height:,}",
            f"{'line' if lines.height == 1 else 'lines'}, {words.money(float(lines['cost'].sum()), money)}",
        ),
        ("May run short first", f"{late:,}", "before an order can come"),
    )  # fmt: skip
    return element(
        "dl",
        *(
            element("div", element("dt", title), element("dd", figure, class_="figure"), element("dd", under))
            for title, figure, under in tiles
        ),
        class_="tiles",
    )


def _orders(read: Today) -> Markup:
    rows = [(row, True) for row in read.due.iter_rows(named=True)]
    rows += [(row, False) for row in read.later.iter_rows(named=True)]
    if not rows:
        return element("section", element("h2", "Orders by supplier"), element("p", "No line needs ordering."))
    return element(
        "section",
        element("h2", "Orders by supplier", id="orders"),
        _table(
            "orders",
            "Supplier orders of the plan, those that are due first",
            ("Supplier", "Order by", "Arrives", "Lines", "Value", "At risk"),
            [_order(row, read, due=due) for row, due in rows[:ORDERS_SHOWN]],
            numeric=(3, 4, 5),
        ),
        _rest(len(rows) - ORDERS_SHOWN, "supplier"),
    )


def _order(row: dict[str, Any], read: Today, *, due: bool) -> list[Content]:
    minimum = MINIMUMS[row["minimum"]]
    if row["missing_value"] > 0:
        minimum += f", {words.money(row['missing_value'], read.currency)} missing"
    return [
        join(
            element("span", row["name"] or row["supplier"] or "No supplier named", class_="name"),
            element("span", ", ".join(filter(None, [row["supplier"], minimum])), class_="under"),
        ),
        join(_day(row["order_by"], read.day), _state("due", "due now") if due else None),
        _day(row["arrives_on"], read.day),
        f"{row['lines']:,}",
        _cost(row, read.currency),
        words.money(row["margin_at_risk"], read.currency),
    ]


def _cost(row: dict[str, Any], currency: str) -> str:
    if row["lines_without_cost"] == row["lines"]:
        return "cost not known"
    return words.money(row["value"], currency)


def _lines(read: Today) -> Markup | None:
    if read.at_risk.is_empty():
        return None
    shown = read.at_risk.head(LINES_SHOWN).to_dicts()
    return element(
        "section",
        element("h2", "What runs out", id="risks"),
        _table(
            "lines",
            "Lines that run out before the order after this one can come, the most margin at risk first",
            ("Product", "On hand", "Due", "Sells a day", "Cover", "Runs out", "At risk", "Order"),
            [_line(row, read) for row in shown],
            numeric=(1, 2, 3, 6, 7),
        ),
        _rest(read.at_risk.height - len(shown), "line"),
    )


def _line(row: dict[str, Any], read: Today) -> list[Content]:
    low, high = words.units(row["low_per_day"]), words.units(row["high_per_day"])
    return [
        join(
            element("span", row["name"] or row["product"], class_="name"),
            element("span", row["unique_id"], class_="under"),
            element("span", row["arithmetic"].replace("->", "\u2192"), class_="why"),
        ),
        words.units(row["on_hand"]) if row["stock_known"] else "never counted",
        words.units(row["due"]),
        join(words.units(row["mean_per_day"]), element("span", f"{low} to {high}", class_="under")),
        _cover(row),
        join(
            _day(row["stockout_on"], read.day),
            _state("bad", "may come late") if row["late"] else None,
            element("span", f"{words.share(row['stockout_probability'])} likely", class_="under"),
        ),
        words.money(row["margin_at_risk"], read.currency),
        element("strong", words.units(row["quantity"])),
    ]


def _cover(row: dict[str, Any]) -> Markup:
    """Draw how far stock and what is due reach into the days until an order can come."""
    wait = row["wait_periods"] + row["lead_time_periods"]
    cover = row["days_of_cover"] or 0.0
    longest = max(wait, cover, 1.0)
    said = f"{words.units(cover)} days of stock; an order takes {words.units(wait)} days"
    filled, mark = (round(COVER_WIDTH * value / longest, 1) for value in (cover, wait))
    return join(
        element(
            "svg",
            element("title", said),
            element("rect", x=0, y=5, width=COVER_WIDTH, height=6, rx=3, class_="track"),
            element("rect", x=0, y=5, width=max(filled, 1.0), height=6, rx=3, class_="cover"),
            element("line", x1=mark, x2=mark, y1=1, y2=15, class_="wait"),
            viewBox=f"-2 0 {COVER_WIDTH + 4} 16",
            role="img",
            class_="bar",
        ),
        element("span", f"{words.units(cover)} of {words.units(wait)} days", class_="under"),
    )


def _notes(plan: Plan) -> Markup | None:
    late = [f"{row['purchase_order']} {row['product']}: {row['reason']}" for row in plan.overdue.head(5).to_dicts()]
    if not plan.notes and not late:
        return None
    return element(
        "section", element("h2", "Good to know"), element("ul", *(element("li", note) for note in [*plan.notes, *late]))
    )


def _rest(left: int, what: str) -> Markup | None:
    if left <= 0:
        return None
    said = f"{words.count(left, f'more {what}')}: "
    return element("p", said, element("code", "shelfwise order --all"), " lists everything.", class_="muted")


def _day(value: dt.date | None, today: dt.date) -> str:
    return "not in the horizon" if value is None else words.day(value, today=today)


def _state(kind: str, said: str) -> Markup:
    return element("span", said, class_=f"state {kind}")


def _table(
    name: str, caption: str, headers: Sequence[str], rows: Sequence[Sequence[Content]], *, numeric: Sequence[int]
) -> Markup:
    """Return a table whose rows become cards where there is little room."""
    kinds = ["number" if place in numeric else None for place in range(len(headers))]
    return element(
        "table",
        element("caption", caption),
        element(
            "thead",
            element(
                "tr",
                *(element("th", text, scope="col", class_=kind) for text, kind in zip(headers, kinds, strict=True)),
            ),
        ),
        element("tbody", *(_row(row, headers, kinds) for row in rows)),
        class_=name,
    )


def _row(row: Sequence[Content], headers: Sequence[str], kinds: Sequence[str | None]) -> Markup:
    first, *others = row
    return element(
        "tr",
        element("th", first, scope="row"),
        *(
            element("td", element("div", cell), data_label=header, class_=kind)
            for cell, header, kind in zip(others, headers[1:], kinds[1:], strict=True)
        ),
    )
