"""``shelfwise check``: what it prints, lists and writes to be filled in, and how it ends."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest


@pytest.fixture
def lacking(cli, tmp_path: Path):
    """A shop of two products, one without a supplier and neither with a count."""
    days = [f"2024-05-{day:02d}" for day in range(1, 31)]
    rows = [f"{day},{sku},{units},5" for day in days for sku, units in (("TEA-1", 3), ("TEA-2", 2))]
    (tmp_path / "sales.csv").write_text("\n".join(["date,sku,units,price", *rows]) + "\n")
    (tmp_path / "products.csv").write_text(
        "sku,name,category,supplier,unit_cost,price\nTEA-1,Green tea,Tea,north,2,5\nTEA-2,=HYPERLINK(1),Tea,,2,5\n"
    )
    assert cli("import", "sales.csv", "products.csv").code == 0
    return cli


def test_problems_end_with_3_and_each_says_its_effect_and_the_way_out(lacking) -> None:
    said = lacking("check")
    assert said.code == 3
    assert "problem  2 products were never counted: their order covers the whole demand; touches EUR" in said.out
    assert "`shelfwise check --fix-list no-supplier > products.csv`" in said.out
    assert "`shelfwise order` makes a plan" in said.err
    lacking("order", "--model", "base_level")
    said = lacking("check")
    assert "of orders" in said.out
    assert "makes a plan" not in said.err


def test_a_kind_is_listed_in_full_for_people_and_for_programs(lacking) -> None:
    said = lacking("check", "no-stock")
    assert said.code == 0
    assert "TEA-2@main" in said.out
    assert "never counted" in said.err
    rows = lacking("check", "no-stock", "--json").data
    assert [row["product"] for row in rows] == ["TEA-1", "TEA-2"]  # the more costly first
    assert len(list(csv.DictReader(io.StringIO(lacking("check", "no-stock", "--csv").out)))) == 2
    said = lacking("check", "negative-stock")
    assert (said.code, said.out) == (0, "")
    assert "nothing found: stock below zero" in said.err


def test_a_fix_list_is_written_filled_in_and_imported(lacking, tmp_path: Path) -> None:
    said = lacking("check", "--fix-list", "no-supplier")
    assert said.code == 0
    assert said.out == "sku,about,supplier\nTEA-2,'=HYPERLINK(1),\n"
    (tmp_path / "fix.csv").write_text(said.out.replace("(1),", "(1),north"))
    assert lacking("import", "fix.csv").code == 0
    assert lacking("check", "--fix-list", "no-supplier").out == ""
    assert not [row for row in lacking("check", "--json").data if row["kind"] == "no-supplier"]
    (product,) = [row for row in lacking("products", "--json").data if row["product"] == "TEA-2"]
    assert (product["supplier"], product["name"]) == ("north", "=HYPERLINK(1)")


@pytest.mark.parametrize(
    "arguments", [["orphans"], ["--fix-list", "calendar"], ["no-cost", "--fix-list", "no-cost"], ["--json", "--csv"]]
)
def test_what_cannot_be_listed_is_refused_as_usage(lacking, arguments: list[str]) -> None:
    assert lacking("check", *arguments).code == 2


def test_the_ways_out_name_the_database_that_was_asked_about(lacking, tmp_path: Path) -> None:
    (tmp_path / "shelfwise.db").rename(tmp_path / "my shop.db")
    said = lacking("check", "-d", "my shop.db")
    assert "`shelfwise check --fix-list no-supplier --database 'my shop.db' > products.csv`" in said.out
