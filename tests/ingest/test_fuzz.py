"""Whatever bytes come in, out comes a batch that adds up or an error with a way out; never anything else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shelfwise.domain.errors import ShelfwiseError
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
        try:
            batch = read([path])
        except ShelfwiseError:
            return  # anything else fails the test
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
