"""Every table comes back row for row, on each kind of database and from each into each other."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.storage.databases import EVERY, Pool
from tests.storage.full_tables import fill, stored

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import StorageError
from shelfwise.storage import migrations, table_copies
from shelfwise.storage.database import Database
from shelfwise.storage.table_copies import LEFT_OUT, Form, decoded, encoded, forms, parts
from shelfwise.storage.tables import metadata, products


def copied(database: Database) -> list[tuple[Form, bytes]]:
    with database.read() as connection:
        return [(form, encoded(form, part)) for form in forms() for part in parts(connection, form)]


def pour(database: Database, copy: list[tuple[Form, bytes]], revision: str = migrations.HEAD) -> None:
    def fill_all(connection: object) -> None:
        for form, part in copy:
            table_copies.fill(connection, form, decoded(form, part))  # type: ignore[arg-type]

    database.fill_anew(revision, fill_all, lambda _: None)


def test_every_table_is_copied_or_left_out_on_purpose(database: Database) -> None:
    assert set(metadata.tables) >= LEFT_OUT
    with database.read() as connection:
        names = database._dialect.table_names(connection)
    assert names == {*(form.name for form in forms()), *LEFT_OUT, migrations.TABLE}


def test_every_table_comes_back_row_for_row(database: Database, tmp_path: Path) -> None:
    fill(database)
    copy = copied(database)
    with database.read() as connection:
        before = stored(connection)
    assert all(len(rows) == 8 for rows in before.values())
    pour(database, copy)  # in the place of what is there
    with database.read() as connection:
        assert stored(connection) == before
    with Database.open(tmp_path / "other.db") as other:
        pour(other, copy)
        assert copied(other) == copy
        with other.read() as connection:
            assert stored(connection) == before


@pytest.mark.service("postgresql", "mysql")
def test_a_shop_goes_round_all_kinds_of_databases_and_is_the_same(pool: Pool, tmp_path: Path) -> None:
    with Database.open(tmp_path / "first.db") as first:
        fill(first)
        copy = copied(first)
    round_trip = copy
    for address in (pool.address("postgresql"), pool.address("mysql"), Address.parse(tmp_path / "last.db")):
        with Database.open(address) as next_one:
            pour(next_one, round_trip)
            round_trip = copied(next_one)
    assert round_trip == copy


def test_new_rows_get_keys_behind_those_that_came(database: Database) -> None:
    fill(database)
    copy = copied(database)
    pour(database, copy)
    with database.write() as connection:
        key = connection.execute(insert(products).values(code="new")).inserted_primary_key
    assert key is not None
    assert key[0] == 9


@pytest.mark.parametrize("kind", EVERY)
def test_rows_of_an_older_schema_are_brought_up_to_date(kind: str, pool: Pool, tmp_path: Path) -> None:
    form = Form("suppliers", ("id",), (("id", "integer"), ("code", "text"), ("name", "text")))
    address = Address.parse(tmp_path / "shop.db") if kind == "sqlite" else pool.address(kind)
    with Database.open(address) as database:
        fill(database, 2)
        pour(database, [(form, encoded(form, [(4, "ada", None)]))], "0003")
    with Database.open(address) as database, database.read() as connection:
        found = stored(connection)
    assert [row[:3] for row in found.pop("suppliers")] == [(4, "ada", None)]
    assert not any(found.values())


def test_what_breaks_a_rule_leaves_all_as_it_was(database: Database) -> None:
    fill(database, 3)
    with database.read() as connection:
        before = stored(connection)
    copy = copied(database)
    twice = [*copy, next(part for part in copy if part[0].name == "products")]
    unknown = [*copy, (Form("nothing", ("id",), (("id", "integer"),)), b"[[1]]")]
    lost = [part for part in copy if part[0].name != "products"]
    for wrong in (twice, unknown, lost):
        with pytest.raises(StorageError):
            pour(database, wrong)
        with database.read() as connection:
            assert stored(connection) == before


FORM = Form("t", ("a",), (("a", "integer"), ("b", "real"), ("c", "blob"), ("d", "boolean"), ("e", "json")))


def test_values_that_json_has_no_word_for_come_back() -> None:
    rows = [(2**63 - 1, float("inf"), b"\x00", True, "{}"), (None, float("-inf"), None, 0, 5), (1, 0.1, b"", 1, None)]
    found = decoded(FORM, encoded(FORM, rows))
    assert found[0] == rows[0]
    assert found[1] == (None, float("-inf"), None, False, "5")
    assert found[2] == (1, 0.1, b"", True, None)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{}", b"[]", b"[1]", b'["abcde"]', b"[[1,1.5,null,null]]", b"[[1,1.5,null,null,null],[1]]",
        b'[["1",1.5,null,null,null]]', b"[[true,1.5,null,null,null]]", b"[[1,1.5,[],null,null]]",
        b'[[1,1.5,"a*",null,null]]', b'[[1,"x",null,null,null]]', b"[[1,1.5,null,1,null]]", b"[" * 200_000,
        b"[[" + b"9" * 5000 + b",1.5,null,null,null]]", b"\xff[]",
    ],
)  # fmt: skip
def test_a_part_of_another_form_is_refused(payload: bytes) -> None:
    with pytest.raises(StorageError, match="a part of the table t cannot be read"):
        decoded(FORM, payload)


def test_a_row_that_is_too_large_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_copies, "MOST_BYTES", 100)
    with pytest.raises(StorageError, match="t: a row holds a value"):
        encoded(FORM, [(1, 1.0, io.BytesIO(bytes(200)).getvalue(), None, None)])
