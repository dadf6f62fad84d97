"""Files are booked whole and once."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shelfwise.app import App, open_app
from shelfwise.domain.errors import FileRefused, ParameterError
from shelfwise.services import demand, import_profiles, importing
from shelfwise.services.importing import import_files, write_rejects


def sales_file(folder: Path, name: str = "sales.csv", first: int = 1, last: int = 28) -> Path:
    path = folder / name
    rows = "\n".join(f"2024-01-{day:02},A,{day}" for day in range(first, last + 1))
    path.write_text(f"date,sku,units\n{rows}\n")
    return path


def test_the_same_file_again_is_a_success_without_effect(shop: App, tmp_path: Path) -> None:
    path = sales_file(tmp_path)
    first, again = import_files(shop, [path]), import_files(shop, [path])
    assert (first.new_lines, first.repeated) == (28, False)
    assert (again.new_lines, again.repeated, again.import_id) == (0, True, first.import_id)


def test_a_longer_export_of_the_same_sales_adds_only_what_is_new(shop: App, tmp_path: Path) -> None:
    import_files(shop, [sales_file(tmp_path, last=20)])
    more = import_files(shop, [sales_file(tmp_path, "later.csv", last=25)])
    assert (more.new_lines, more.known_lines) == (5, 20)
    assert demand.load(shop).panel.values.sum() == sum(range(1, 26))


def test_a_refused_file_books_nothing_of_the_others(shop: App, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("colour,shape\nred,round\n")
    with pytest.raises(FileRefused):
        import_files(shop, [sales_file(tmp_path), bad])
    assert import_files(shop, [sales_file(tmp_path)]).new_lines == 28


def test_a_written_offset_keeps_its_local_day_unless_a_zone_was_set(shop: App, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    rows = "\n".join(f"2024-01-{day:02} 00:30:00 +0200,A,{day}" for day in range(2, 29))
    path.write_text(f"date,sku,units\n{rows}\n")
    import_files(shop, [path])
    assert demand.load(shop).first_day == date(2024, 1, 2)
    with open_app(tmp_path / "utc.db", folder=tmp_path, timezone="UTC") as told:
        import_files(told, [path])
        assert demand.load(told).first_day == date(2024, 1, 1)


def test_a_trial_reads_and_books_nothing(shop: App, tmp_path: Path) -> None:
    trial = import_files(shop, [sales_file(tmp_path)], dry_run=True)
    assert (trial.written, trial.receipt.rows_used) == (False, 28)
    assert import_files(shop, [sales_file(tmp_path)]).new_lines == 28


def test_an_unknown_date_order_is_refused(shop: App, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="dmy, mdy or ymd"):
        import_files(shop, [sales_file(tmp_path)], date_order="ddmmyy")


def test_rejects_are_never_written_over_an_earlier_file(shop: App, tmp_path: Path) -> None:
    path = broken(tmp_path)
    done = import_files(shop, [path])
    first, second = (write_rejects(done, [path], tmp_path / "a.rejects.csv")[0].path for _ in range(2))
    assert (first.name, second.name) == ("a.rejects.csv", "a.rejects-2.csv")


def broken(folder: Path) -> Path:
    path = folder / "till.csv"
    rows = "\n".join(f"{day:02}.01.2024;A;{day};Eva;plain" for day in range(1, 29))
    path.write_text(f'Datum;Artikel;Menge;Kunde;Notiz\n{rows}\n02.02.2024;B;zwölf;Eva;"=1+1 ""two\nlines"""\n')
    return path


def test_rejected_lines_are_corrected_in_their_file_and_imported_again(shop: App, tmp_path: Path) -> None:
    path = broken(tmp_path)
    done = import_files(shop, [path])
    assert (done.new_lines, done.rejects.height) == (28, 1)
    kept = write_rejects(done, [path], tmp_path / "bad.csv")[0]
    lines = pl.read_csv(kept.path)
    assert lines.rows(named=True) == [
        {
            "Datum": "02.02.2024", "Artikel": "B", "Menge": "zwölf", "Notiz": "'=1+1 \"two\nlines\"",
            "shelfwise_line": 30, "shelfwise_column": "Menge", "shelfwise_value": "zwölf",
            "shelfwise_reason": "is not a number",
        }
    ]  # fmt: skip
    assert kept.again == f"shelfwise import {kept.path} --date-order dmy"
    kept.path.write_text(kept.path.read_text().replace(",zwölf,", ",12,", 1))
    again = import_files(shop, [kept.path], date_order="dmy")
    assert (again.new_lines, again.rejects.height) == (1, 0)
    assert demand.load(shop).panel.values.sum() == sum(range(1, 29)) + 12


def test_lines_that_cannot_be_split_are_named_without_their_cells(shop: App, tmp_path: Path) -> None:
    path = sales_file(tmp_path)
    path.write_text(path.read_text() + "2024-01-29,A,1,jane@example.com,Jane\n")
    done = import_files(shop, [path])
    kept = write_rejects(done, [path], tmp_path / "bad.csv")[0]
    assert pl.read_csv(kept.path)["shelfwise_line"].to_list() == [30]
    assert "Jane" not in kept.path.read_text()


def test_a_saved_profile_reads_the_next_file_and_its_rejects_by_itself(shop: App, tmp_path: Path) -> None:
    path = broken(tmp_path)
    path.write_text(path.read_text().replace("Artikel", "Ding").replace("Menge", "wv"))
    said = importing.SaidMapping({"sku": "Ding", "units": "wv"}, "sales")
    done = import_files(shop, [path], said=said, save_as="till")
    assert import_profiles.listed(shop).select("profile", "table", "date_order").rows() == [("till", "sales", "dmy")]
    kept = write_rejects(done, [path], tmp_path / "bad.csv")[0]
    assert "--as sales --map date=Datum --map sku=Ding --map quantity=wv --date-order dmy" in kept.again
    kept.path.write_text(kept.path.read_text().replace(",zwölf,", ",12,", 1))
    again = import_files(shop, [kept.path])
    assert again.new_lines == 1
    assert "read by the mapping 'till', remembered for these headers" in again.receipt.files[0].notes
    import_profiles.forget(shop, "till")
    with pytest.raises(importing.UnknownTable):
        import_files(shop, [path])


def test_another_mapping_of_the_same_file_is_another_import(shop: App, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("date,sku,units,packs\n2024-01-01,A,12,2\n2024-01-02,A,24,4\n")
    first = import_files(shop, [path])
    second = import_files(shop, [path], said=importing.SaidMapping({"units": "packs"}, "sales"))
    assert not second.repeated
    assert first.import_id != second.import_id
