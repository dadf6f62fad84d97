"""Files are booked whole and once."""

from pathlib import Path

import polars as pl
import pytest

from shelfwise.app import App
from shelfwise.domain.errors import FileRefused, ParameterError
from shelfwise.services import demand
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


def test_a_trial_reads_and_books_nothing(shop: App, tmp_path: Path) -> None:
    trial = import_files(shop, [sales_file(tmp_path)], dry_run=True)
    assert (trial.written, trial.receipt.rows_used) == (False, 28)
    assert import_files(shop, [sales_file(tmp_path)]).new_lines == 28


def test_an_unknown_date_order_is_refused(shop: App, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="dmy, mdy or ymd"):
        import_files(shop, [sales_file(tmp_path)], date_order="ddmmyy")


def test_rejects_are_never_written_over_an_earlier_file(tmp_path: Path) -> None:
    frame = pl.DataFrame({"line": [3]})
    first = write_rejects(frame, tmp_path / "a.rejects.csv")
    second = write_rejects(frame, tmp_path / "a.rejects.csv")
    assert (first.name, second.name) == ("a.rejects.csv", "a.rejects-2.csv")
