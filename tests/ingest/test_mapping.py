"""A file that fits no format is read as a person says, and what is proposed comes with its reasons."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from shelfwise import ingest
from shelfwise.domain.errors import FileRefused, ParameterError
from shelfwise.ingest import SaidMapping, UnknownTable

TILL = """Belegtag;Artikelcode;Bonpos;Verk. Stck;VK brutto;Kunde
01.03.2024;T-100;1;3;4,99;Anna
15.03.2024;T-200;2;1;12,50;Bert
16.03.2024;T-100;3;2;4,99;Cora
17.03.2024;M-300;4;7;2,95;Dora
"""
SAID = {"date": "Belegtag", "sku": "Artikelcode", "units": "Verk. Stck", "price": "VK brutto"}


def till(folder: Path, text: str = TILL) -> Path:
    path = folder / "till.csv"
    path.write_text(text)
    return path


def proposal(path: Path) -> ingest.Proposal:
    with pytest.raises(UnknownTable) as refused:
        ingest.read([path])
    return refused.value.proposal


def test_an_unknown_file_is_refused_with_a_mapping_to_accept_and_its_reasons(tmp_path: Path) -> None:
    found = proposal(till(tmp_path))
    assert found.table == "sales"
    assert {one.field: one.header for one in found.columns} == {
        "date": "Belegtag", "sku": "Artikelcode", "quantity": "Verk. Stck", "unit_price": "VK brutto",
    }  # fmt: skip
    reasons = {one.field: one.reason for one in found.columns}
    assert reasons["date"] == "all 4 cells are dates"
    assert reasons["sku"] == "its header is a known name for it"
    assert found.columns[0].values == ("01.03.2024", "15.03.2024", "16.03.2024")
    assert "--as sales --map date=Belegtag --map sku=Artikelcode --map 'quantity=Verk. Stck'" in found.options()


def test_a_proposal_never_shows_what_personal_columns_hold(tmp_path: Path) -> None:
    with pytest.raises(UnknownTable) as refused:
        ingest.read([till(tmp_path)])
    assert "Kunde" not in refused.value.proposal.headers
    assert "Anna" not in str(refused.value) + str(refused.value.proposal.rows)


def test_headers_without_any_meaning_are_told_apart_by_their_cells(tmp_path: Path) -> None:
    lines = [f"2024-03-{day:02},AB-{day % 5},{day % 7},{day % 5 + 0.95:.2f}" for day in range(1, 29)]
    found = proposal(till(tmp_path, "k1,k2,k3,k4\n" + "\n".join(lines) + "\n"))
    assert [one.header for one in found.columns] == ["k1", "k2", "k3", "k4"]
    assert [one.field for one in found.columns] == ["date", "sku", "quantity", "unit_price"]


def test_accepting_a_proposal_reads_the_file(tmp_path: Path) -> None:
    path = till(tmp_path)
    batch = ingest.read([path], said=proposal(path).said)
    assert batch.frames["movements"].select("product", "quantity", "unit_price").rows()[0] == ("T-100", 3.0, 4.99)


def test_any_name_of_a_field_may_be_used(tmp_path: Path) -> None:
    batch = ingest.read([till(tmp_path)], said=SaidMapping(SAID))
    assert batch.receipt.files[0].mapping == {
        "occurred_at": "Belegtag", "product": "Artikelcode", "quantity": "Verk. Stck", "unit_price": "VK brutto",
    }  # fmt: skip
    assert batch.receipt.files[0].personal == ("Kunde",)


def test_what_is_said_goes_before_what_is_recognised(tmp_path: Path) -> None:
    path = till(tmp_path, "date,sku,units,packs\n2024-01-01,A,12,2\n2024-01-02,A,24,4\n")
    said = ingest.read([path], said=SaidMapping({"units": "packs"}, "sales"))
    assert said.frames["movements"]["quantity"].to_list() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("columns", "table", "error", "words"),
    [
        ({"sku": "Artikelkode"}, "sales", FileRefused, "did you mean 'Artikelcode'"),
        ({"colour": "Belegtag"}, "sales", ParameterError, "the table sales has no field 'colour'"),
        ({"quantty": "Belegtag"}, "sales", ParameterError, "did you mean 'quantity'"),
        ({"sku": "Artikelcode", "product": "Bonpos"}, "sales", ParameterError, "'sku' is mapped twice"),
        ({"sku": "Bonpos", "units": "Bonpos"}, "sales", ParameterError, "mapped to 'sku' and to 'quantity'"),
        ({"sku": "Artikelcode"}, "sales", FileRefused, "no column for date, quantity"),
        ({"sku": "Artikelcode"}, "invoices", ParameterError, "there is no table 'invoices'; the tables are sales"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_with_the_way_out(
    tmp_path: Path, columns: dict[str, str], table: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ingest.read([till(tmp_path)], said=SaidMapping(columns, table))


def test_a_quantity_column_that_holds_prices_is_noted(tmp_path: Path) -> None:
    batch = ingest.read([till(tmp_path)], said=SaidMapping({**SAID, "units": "VK brutto", "price": "Verk. Stck"}))
    assert any("taken as quantity, but 4 of 4 values have two decimals" in n for n in batch.receipt.files[0].notes)


def test_a_remembered_mapping_is_used_for_the_same_headers_in_any_order_and_says_so(tmp_path: Path) -> None:
    first = ingest.read([till(tmp_path)], said=SaidMapping(SAID)).mappings[0]
    kept = SaidMapping(
        first.mapping, first.table, first.date_order, "north", "till", ingest.headers_hash(first.headers)
    )
    lines = "Eva;4,99;2;1;T-100;02.03.2024\nEva;4,99;2;1;T-100;04.03.2024\n"
    text = f"Kunde;VK brutto;Verk. Stck;Bonpos;Artikelcode;Belegtag\n{lines}"
    batch = ingest.read([till(tmp_path, text)], remembered=[kept])
    moved = batch.frames["movements"]
    # The first file proved that its days come first; these days alone could be read both ways.
    assert moved["occurred_at"].dt.date().to_list() == [date(2024, 3, 2), date(2024, 3, 4)]
    assert moved["warehouse"].unique().to_list() == ["north"]
    assert "read by the mapping 'till', remembered for these headers" in batch.receipt.files[0].notes


def test_a_remembered_mapping_leaves_files_with_other_headers_alone(tmp_path: Path) -> None:
    kept = SaidMapping({"sku": "a"}, "sales", name="x", headers_hash=ingest.headers_hash(("a", "b")))
    with pytest.raises(UnknownTable):
        ingest.read([till(tmp_path)], remembered=[kept])


@pytest.mark.parametrize(
    "header",
    [
        "Data;Produto;Quantidade;Preço;Armazém",
        "Datum;Artikel;Antal;Pris;Butik",
        "Fecha;Producto;Cantidad;Precio;Tienda",
    ],
)
def test_headers_in_portuguese_swedish_and_spanish_need_no_mapping(tmp_path: Path, header: str) -> None:
    batch = ingest.read([till(tmp_path, f"{header}\n2024-03-01;A;3;4,99;north\n2024-03-02;B;1;12,50;north\n")])
    assert batch.frames["movements"].select("product", "warehouse", "quantity", "unit_price").rows() == [
        ("A", "north", 3.0, 4.99), ("B", "north", 1.0, 12.5),
    ]  # fmt: skip


POSTED = "Buchungsdatum;Artikelnummer;Bezeichnung;Menge;Preis\n" + "".join(
    f"{day}.10.2026;00{day % 2 + 1};Tee;{day % 5},5;2,50\n" for day in range(10, 25)
)


def test_sales_whose_day_has_an_unknown_header_are_not_taken_for_a_product_list(tmp_path: Path) -> None:
    file = till(tmp_path, POSTED)
    with pytest.raises(UnknownTable, match="'Buchungsdatum' looks like their day") as refused:
        ingest.read([file])
    said = refused.value.proposal.said
    assert (said.table, said.columns["date"]) == ("sales", "Buchungsdatum")
    assert ingest.read([file], said=said).frames["movements"].height == 15


def test_a_product_list_with_a_quantity_and_a_day_is_one_while_it_names_each_product_once(tmp_path: Path) -> None:
    rows = "".join(f"10.10.2026;{code:03};Tee;4;2,50\n" for code in range(20))
    file = till(tmp_path, POSTED.split("\n")[0] + "\n" + rows)
    assert ingest.read([file]).frames["products"].height == 20
    again = till(tmp_path, POSTED)
    assert ingest.read([again], said=SaidMapping({}, "products")).frames["products"].height == 2
