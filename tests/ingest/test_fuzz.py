"""Whatever bytes come in, out comes a batch that adds up or an error with a way out; never anything else."""

from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.ingest.opendocument_files import opendocument, opendocument_content, row, sheet, with_content

from shelfwise.domain.errors import AmbiguousDates, DataError
from shelfwise.domain.frames import ALL_FRAMES
from shelfwise.ingest import read

HEADERS = (
    ["date", "sku", "units", "price", "email"],
    ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"],
    ["unique_id", "ds", "y", "price"],
    ["sku", "on_hand", "as_of"],
    ["sku", "name", "price", "pack_size", "launch_date"],
    ["supplier", "lead_time_days", "order_weekdays", "closed_from", "closed_to"],
    ["po", "sku", "qty", "expected", "supplier"],
    ["name", "from", "to", "scope"],
    ["item_id", "store_id", "d_1", "d_2"],
)
CELLS = st.one_of(
    st.sampled_from([
        "", "A", "12", "1,5", "1.5", "-3", "(5)", "2024-05-01", "03/04/2024", "25/04/2024", "2024-02-30 10:00",
        "1.23E+11",
        "=cmd", '"', '"A', 'A"', '15" x', "\0", "C1", "C2", "mon,thu", "product:A", "inf", "nan", "1e308",
        "99999999999999",
        "=cmd|' /C calc'!A0", "+1+1", "@SUM(A1:A9)", "-2+3", "13/04/2024", "04/13/2024", "45567.4", "9" * 400, "1e-400",
        "١٢", "1 234,5", "1'234", "5%", "\u202e12", "9:50 AM",
        "\ud7ff", "￿", "00000", "31.12.9999", "0001-01-01", "2024-05-01T10:00:00+99:99", "d_1",
    ]),
    st.text(max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.dates().map(str),
)  # fmt: skip


def outcome(data: bytes, name: str = "file.csv") -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        batch = None
        try:
            batch = read([path])
        except DataError as error:  # anything else fails the test
            refusal = error
    if batch is None:
        assert name.removesuffix(".gz") in str(refusal)
        assert isinstance(refusal, AmbiguousDates) or ";" in str(refusal)  # the way out stands behind one
        return
    for frame_name, frame in batch.frames.items():
        assert frame.equals(ALL_FRAMES[frame_name].check(frame))
    for file in batch.receipt.files:
        out = sum(t.rows for t in (*file.dropped, *file.rejected))
        assert file.rows_read == file.rows_used + out
    assert batch.receipt.rows_rejected == batch.rejects.height


@given(st.binary(max_size=400))
@example(b"PAR1" + b"\0" * 40)
@example(b"\xff\xfe\x00")
@example(b'"' * 99)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_give_a_batch_or_a_refusal(data: bytes) -> None:
    outcome(data)


@given(
    header=st.sampled_from(HEADERS),
    rows=st.lists(st.lists(CELLS, max_size=9), max_size=12),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    title=st.sampled_from(["", "Report\n", "\n\n"]),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_cells_under_a_known_header_give_a_batch_or_a_refusal(
    header: list[str], rows: list[list[str]], delimiter: str, encoding: str, end: str, title: str
) -> None:
    fitted = [(row + [""] * len(header))[: len(header)] if len(row) % 3 else row for row in rows]
    text = title + end.join(delimiter.join(cells) for cells in [header, *fitted])
    outcome(text.encode(encoding, errors="replace"))


@given(
    header=st.sampled_from(HEADERS), cut=st.integers(0, 200), at=st.integers(0, 200), junk=st.binary(max_size=6)
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_good_file_cut_short_or_damaged_gives_a_batch_or_a_refusal(
    header: list[str], cut: int, at: int, junk: bytes
) -> None:
    rows = [
        [f"2024-05-0{n + 1}" if "date" in h.lower() or h in ("ds", "as_of") else str(n + 1) for h in header]
        for n in range(9)
    ]
    data = "\n".join(",".join(cells) for cells in [header, *rows]).encode()
    outcome(data[:at] + junk + data[at : len(data) - cut])


@given(
    header=st.lists(
        st.sampled_from(["date", "sku", "units", "Date", "", " ", '"', "units", "price", "\ufeffdate"]), max_size=8
    ),
    rows=st.lists(st.lists(CELLS, max_size=9), max_size=6),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]),
    junk=st.sampled_from([b"", b"\0", b"\xc3", b"\xff\xfe", b"\x80\x81", b'"', b"\x1a"]),
    at=st.integers(0, 60),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_doubled_empty_and_damaged_headers_give_a_batch_or_a_refusal(
    header: list[str], rows: list[list[str]], bom: bytes, junk: bytes, at: int
) -> None:
    data = bom + "\n".join(",".join(cells) for cells in [header, *rows]).encode("utf-8", errors="replace")
    outcome(data[:at] + junk + data[at:])


def good_csv() -> bytes:
    return b"date,sku,units\n" + b"".join(b"2024-05-%02d,A,%d\n" % (n, n) for n in range(1, 29))


def good_workbook() -> bytes:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer)
    sheet = book.add_worksheet("Orders")
    for number, line in enumerate(good_csv().decode().split()):
        sheet.write_row(number, 0, line.split(","))
    book.close()
    return buffer.getvalue()


def good_opendocument() -> bytes:
    rows = [row(*cells) for cells in csv.reader(io.StringIO(good_csv().decode()))]
    return opendocument(sheet("Orders", *rows))


def good_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("orders.csv", good_csv())
        archive.writestr("book.xlsx", good_workbook())
        archive.writestr("more.csv.gz", gzip.compress(good_csv()))
    return buffer.getvalue()


def good_parquet() -> bytes:
    buffer = io.BytesIO()
    pl.read_csv(good_csv(), try_parse_dates=True).write_parquet(buffer)
    return buffer.getvalue()


GOOD = {
    "o.csv": good_csv(), "o.xlsx": good_workbook(), "o.ods": good_opendocument(), "o.zip": good_archive(),
    "o.parquet": good_parquet(), "o.csv.gz": gzip.compress(good_csv()),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
@given(cut=st.floats(0, 1), at=st.floats(0, 1), junk=st.binary(max_size=9), data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
def test_a_good_file_of_any_kind_cut_short_or_overwritten_gives_a_batch_or_a_refusal(
    name: str, cut: float, at: float, junk: bytes, data: st.DataObject
) -> None:
    good = GOOD[name]
    start = int(at * len(good))
    damaged = good[:start] + junk + good[start + len(junk) :]
    if data.draw(st.booleans()):
        damaged = damaged[: int(cut * len(damaged))]
    outcome(damaged, name)


@given(
    rows=st.lists(
        st.lists(st.one_of(CELLS, st.floats(), st.integers(), st.none(), st.datetimes()), max_size=6), max_size=6
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=40)
def test_any_cells_of_a_workbook_give_a_batch_or_a_refusal(rows: list[list[object]]) -> None:
    buffer = io.BytesIO()
    options = {"nan_inf_to_errors": True, "default_date_format": "d.m.yy", "strings_to_formulas": True}
    with xlsxwriter.Workbook(buffer, options) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["date", "sku", "units", "price"])
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, str) or cell is None:
                    sheet.write_string(number, column, str(cell or "").replace("\0", ""))
                elif not isinstance(cell, int) or abs(cell) < 10**15:
                    sheet.write(number, column, cell)
    outcome(buffer.getvalue(), "o.xlsx")


ODS_TAGS = re.findall(r"<[^>]+>", opendocument_content(good_opendocument()))


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(ODS_TAGS) - 1), st.sampled_from(ODS_TAGS) | st.text(max_size=9)), max_size=4
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
def test_an_opendocument_whose_tags_are_mixed_up_gives_a_batch_or_a_refusal(changes: list[tuple[int, str]]) -> None:
    parts = re.split(r"(<[^>]+>)", opendocument_content(good_opendocument()))
    for place, other in changes:
        parts[2 * place + 1] = other
    outcome(with_content(good_opendocument(), "".join(parts)), "o.ods")
