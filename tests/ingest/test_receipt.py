"""The receipt says what became of every row, to people and as JSON."""

from __future__ import annotations

from datetime import date

from shelfwise.ingest import FileReceipt, Receipt, Tally

FILE = FileReceipt(
    file="a.csv", sha256="ab" * 32, profile="canonical", table="sales", layout="CSV, utf-8, header on line 1",
    rows_read=10, rows_used=6,
    dropped=(Tally("records 0 units", 3, (2, 3, 4)),), rejected=(Tally("is not a date", 1, (9,)),),
    booked={"sale": 6}, mapping={"product": "SKU"}, readings={"Date": "dates day first"}, not_imported=("promo",),
    personal=("Customer",), facts={"units net": 12.5}, notes=("a note",),
)  # fmt: skip
RECEIPT = Receipt(
    (FILE,), {"movements": 6}, 2, date(2024, 1, 1), date(2024, 1, 9), date(2024, 1, 9), ("orphans",), "shelfwise order"
)


def test_a_receipt_survives_json() -> None:
    assert Receipt.from_json(RECEIPT.to_json()) == RECEIPT


def test_every_part_of_the_receipt_is_told_to_people() -> None:
    text = str(RECEIPT)
    for part in (
        "10 read = 6 used + 3 dropped + 1 rejected", "3 rows: records 0 units (lines 2, 3, 4)",
        "1 row: is not a date (line 9)", "product = 'SKU'", "day first", "never read: 'Customer'", "'promo'",
        "units net 12.5", "a note", "2024-01-01 to 2024-01-09 (9 days)", "orphans", "next      shelfwise order",
    ):  # fmt: skip
        assert part in text


def test_a_single_day_is_one_day() -> None:
    assert "(1 day)" in str(Receipt((FILE,), {"movements": 1}, 1, date(2024, 1, 1), date(2024, 1, 1)))


def test_only_the_first_lines_of_many_are_named() -> None:
    assert str(Tally("is bad", 2000, (1, 2, 3, 4, 5))) == "2,000 rows: is bad (lines 1, 2, 3, ...)"
