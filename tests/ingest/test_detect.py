"""Encoding, delimiter, header row and records are found from the bytes alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest.detect import Layout, Records, layout, normalised, read_bytes, records, to_utf8

KNOWN = {"date", "sku", "units", "price"}


def found(data: bytes) -> Layout:
    text, encoding = to_utf8(data, "a.csv")
    return layout(text, encoding, "a.csv", KNOWN.__contains__)


def split(data: bytes) -> Records:
    text, _ = to_utf8(data, "a.csv")
    return records(text, found(data), "a.csv")


@pytest.mark.parametrize(
    ("encode", "name"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_found_and_undone(encode: str, name: str) -> None:
    text = "date,sku,units\n2024-01-01,Café,3\n"
    assert to_utf8(text.encode(encode), "a.csv") == (text.encode(), name)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["date", "sku", "units"], ["2024-01-01", "A", "1,5"], ["2024-01-02", "B", "2,5"]]
    data = "\n".join(delimiter.join(f'"{c}"' if delimiter in c else c for c in row) for row in rows)
    assert found(data.encode()).delimiter == delimiter
    assert found(data.encode()).headers == ("date", "sku", "units")


def test_title_lines_above_the_header_are_skipped() -> None:
    layout = found(b"Sales report,,\nprinted 2024,,\n\ndate,sku,units\n2024-01-01,A,1\n")
    assert (layout.header_line, layout.headers) == (4, ("date", "sku", "units"))


def test_headers_are_made_unique_and_unnamed_ones_get_their_position() -> None:
    assert found(b"date,sku,units,units,\n2024-01-01,A,1,2,3\n").headers == (
        "date",
        "sku",
        "units",
        "units (2)",
        "column 5",
    )


def test_headers_are_compared_without_case_accents_and_punctuation() -> None:
    assert normalised("  Date\u00a0de Vente ") == "datedevente"
    assert normalised("Qté.") == "qte"


def test_old_and_windows_line_ends_make_the_same_lines() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        assert split(end.join([b"date,sku,units", b"2024-01-01,A,1", b"2024-01-02,B,2"])).lines.tolist() == [2, 3]


def test_a_quoted_cell_may_hold_delimiters_quotes_and_line_ends() -> None:
    data = b'date,sku,units\n2024-01-01,"A, ""big""\nand more\n",1\n2024-01-02,B,2\n'
    split_up = split(data)
    assert (split_up.lines.tolist(), split_up.bad) == ([2, 5], ())


def test_lines_with_more_or_fewer_fields_are_left_out_with_their_number() -> None:
    split_up = split(b"date,sku,units\n2024-01-01,A,1\n2024-01-01,A\n\n2024-01-01,A,1,9\n2024-01-02,B,2\n")
    assert split_up.lines.tolist() == [2, 6]
    assert split_up.bad == ((3, "has 2 fields where the header has 3"), (5, "has 4 fields where the header has 3"))


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    good = [b'2024-01-01,"A",1'] * 6
    split_up = split(b"\n".join([b"date,sku,units", *good[:2], b'2024-01-01,"B,1', *good[2:]]))
    assert split_up.lines.tolist() == [2, 3, 5, 6, 7, 8]
    assert [line for line, _ in split_up.bad] == [4]


def test_inch_signs_in_a_file_without_quoting_are_text() -> None:
    split_up = split(b'date,sku,units\n2024-01-01,Frame 15",1\n2024-01-01,5" x 7",1\n')
    assert (split_up.lines.tolist(), split_up.bad) == ([2, 3], ())


def test_a_nul_byte_costs_its_line() -> None:
    split_up = split(b"date,sku,units\n" + b"2024-01-01,A,1\n" * 20 + b"2024-01-01,A\0,1\n")
    assert split_up.bad == ((22, "holds a NUL byte"),)


def test_lines_of_delimiters_only_are_blank() -> None:
    split_up = split(b"date,sku,units\n,,\n2024-01-01,A,1\n , ,\r\n")
    assert (split_up.lines.tolist(), split_up.bad) == ([3], ())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"%PDF-1.7", "PDF"), (b"\x89PNG\r\n\x1a\n", "picture"), (b"Rar!\x1a\x07", "RAR"),
        (bytes(range(32)) * 40, "is not text"), (b"\xff\xfea", "breaks its rules"),
        (b"<!DOCTYPE html><html>", "web page"),
    ],
)  # fmt: skip
def test_what_is_not_a_table_is_refused_with_a_way_out(data: bytes, says: str) -> None:
    with pytest.raises(FileRefused, match=says):
        to_utf8(data, "a.csv")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b" \n")
    for path, says in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "empty.csv", "empty"),
    ):
        with pytest.raises(FileRefused, match=says):
            read_bytes(path, path.name)
