"""The health list names what is missing and what it touches."""

import datetime as dt

from tests.services.worlds import count, sales

from shelfwise.services import health

START = dt.date(2024, 3, 4)


def test_what_is_missing_is_listed_with_its_sales_and_a_way_out(shop, book) -> None:
    book(
        products=[{"product": "A", "supplier": "S", "category": "c", "unit_cost": 1.0}, {"product": "B"}],
        suppliers=[{"supplier": "S"}],
        movements=[
            *sales("A", START, [2] * 60, price=3.0),
            *sales("B", START, [1] * 60, price=10.0),
            count("A", dt.datetime.combine(START, dt.time()), 500),
        ],
    )
    found = health.check(shop)
    by_what = {finding.what: finding for finding in found.findings}
    uncounted = next(f for what, f in by_what.items() if "never counted" in what)
    assert (uncounted.severity, uncounted.lines, uncounted.money) == ("problem", 1, 280.0)
    assert uncounted.examples == ("B@main",)
    slow = next(f for what, f in by_what.items() if "no lead time" in what)
    assert slow.examples == ("A@main",)
    assert "suppliers edit" in slow.way_out
    assert any("without a supplier" in what for what in by_what)
    assert any("days ago" in what for what in by_what)
    assert found.problems >= 4
    severities = [finding.severity for finding in found.findings]
    assert severities == sorted(severities, reverse=True)


def test_a_complete_shop_has_nothing_to_correct(shop, book) -> None:
    today = shop.today()
    first = today - dt.timedelta(days=60)
    book(
        products=[{"product": "A", "supplier": "S", "category": "c", "unit_cost": 1.0}],
        suppliers=[{"supplier": "S", "lead_time_days": 3.0}],
        movements=[*sales("A", first, [2] * 60), count("A", dt.datetime.combine(first, dt.time()), 500)],
    )
    assert health.check(shop).problems == 0


def test_an_order_that_is_much_too_late_is_a_problem(shop, book) -> None:
    book(
        movements=sales("A", START, [2] * 60),
        purchase_order_lines=[
            {"purchase_order": "PO-1", "supplier": "S", "product": "A", "warehouse": "main", "quantity": 9.0,
             "ordered_on": START - dt.timedelta(days=90), "expected_on": START - dt.timedelta(days=80),
             "status": "sent"}
        ],
    )  # fmt: skip
    assert any("no longer count" in f.what and f.examples == ("PO-1",) for f in health.check(shop).findings)
