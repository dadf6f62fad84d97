"""What every kind of database promises the storage modules, over real connections."""

from __future__ import annotations

import math
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Connection, event, select, text
from tests.flows.test_many_writers import write_in_threads
from tests.storage.databases import EVERY, empty_address, on_server, server
from tests.storage.worlds import moment, movements

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import DataError, ParameterError, StorageError
from shelfwise.storage import archive, catalogue, migrations, overrides, plans, tables
from shelfwise.storage.database import Database, fetch, insert_new, staged, temporary_table, upsert
from shelfwise.storage.sales import Appended, append_movements, daily_demand
from shelfwise.storage.stock import set_stock_levels, stock_levels

ROOT = Path(__file__).parents[2]
# Alike for a careless collation, and in the order of their bytes.
CODES = sorted(
    ["tea", "Tea", "TEA", "t\u00e9a", "te\u0301a", "tea ", " tea", "\u0442\u0435\u0430", "\u05ea\u05d4", "\U0001f375",
     "\uffee", "tea\t", "a_b", "a%b", "a-b", "aB", "ab", "0", "00", "'", '"', "\\", "\\.", "NULL", "null", "\\N",
     "x" * 255,     "\U0001f375" * 255, "\u00df", "ss", "\u0130", "i", "I", "\u200bx", "x"],
    key=lambda code: code.encode(),
)  # fmt: skip


def kind_of(database: Database) -> str:
    return database.address.kind


# --- appends and upserts


@pytest.mark.parametrize("bulk", [True, False])
def test_fresh_and_duplicate_lines_are_told_apart(database: Database, bulk: bool) -> None:
    first = movements(*[("sale", "2026-01-05 12:00", f"p{n % 3}", n) for n in range(50)])
    more = movements(*[("sale", "2026-01-05 12:00", f"p{n % 4}", n) for n in range(80)])

    def append(frame: pl.DataFrame) -> Appended:
        with database.write(stage={"movements": frame} if bulk else None) as connection:
            return append_movements(connection, None if bulk else frame)

    assert append(first) == Appended(50, 0)
    assert append(first) == Appended(0, 50)
    assert append(more) == Appended(30, 50)
    twice = pl.concat([more, more.with_columns(quantity=99.0)]).with_columns(source=pl.lit("web"))
    assert append(twice) == Appended(80, 80)
    with database.read() as connection:
        assert daily_demand(connection)["quantity"].sum() == 2 * sum(range(80)), "of two alike the first one holds"


def test_lines_keep_the_order_of_the_file(database: Database) -> None:
    """Keys grow along the file: of two counts at one moment the later line holds."""
    counts = movements(*[("count", "2026-01-05 12:00", f"p{n % 7}", n) for n in range(70_000)])
    with database.write(stage={"movements": counts}) as connection:
        append_movements(connection)
        levels = stock_levels(connection)
        m = tables.stock_movements.c
        order = fetch(connection, select(m.line_id).order_by(m.id), {"line_id": pl.String()})["line_id"]
    assert order.to_list() == counts["line_id"].to_list()
    assert levels["on_hand"].to_list() == [69_993.0 + n for n in range(7)]


@pytest.mark.parametrize("bulk", [True, False])
def test_keys_that_duplicates_used_up_are_given_back(database: Database, bulk: bool) -> None:
    lines = movements(*[("sale", "2026-01-05 12:00", "tea", 1) for _ in range(1_000)])
    for _ in range(3):
        with database.write(stage={"movements": lines}) as connection:
            append_movements(connection)
    fresh = lines.with_columns(source=pl.lit("web"))
    with database.write(stage={"movements": fresh} if bulk else None) as connection:
        append_movements(connection, None if bulk else fresh)
        highest = connection.scalar(
            select(tables.stock_movements.c.id).order_by(tables.stock_movements.c.id.desc()).limit(1)
        )
    assert highest == 2_000


def test_an_upsert_follows_the_merge_rule_of_each_column(database: Database) -> None:
    columns = [("product_id", "INTEGER"), ("warehouse_id", "INTEGER"), ("on_hand", "DOUBLE PRECISION"), ("n", "BIGINT")]
    with database.write() as connection:
        catalogue.upsert_products(connection, pl.DataFrame({"product": ["a", "b", "c"]}))
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["main"]}))
        keys = list(connection.scalars(select(tables.products.c.id).order_by(tables.products.c.code)))
        place = connection.scalar(select(tables.warehouses.c.id))
        for rows in (
            [(keys[0], place, 1.0, 10), (keys[1], place, 2.0, 20)],
            [(keys[1], place, 40.0, 5), (keys[2], place, 8.0, 9)],
        ):
            with temporary_table(connection, "new_levels", columns, rows) as new:
                query = select(
                    new.c.product_id,
                    new.c.warehouse_id,
                    new.c.on_hand,
                    new.c.n.label("as_of"),
                    new.c.n.label("counted_at"),
                )
                merge = {"on_hand": lambda new, old: old + new}
                upsert(connection, tables.stock_levels, query, ("product_id", "warehouse_id"), merge)
        t = tables.stock_levels.c
        found = fetch(
            connection, select(t.on_hand, t.counted_at).order_by(t.product_id), {"h": pl.Float64(), "c": pl.Int64()}
        )
    assert found.rows() == [(1.0, 10), (42.0, 5), (8.0, 9)]


def test_an_empty_cell_never_wipes_out_what_is_known(database: Database) -> None:
    with database.write() as connection:
        catalogue.upsert_products(connection, pl.DataFrame({"product": ["tea"], "name": ["Assam"], "price": [4.5]}))
    for bulk in (True, False):
        frame = pl.DataFrame({"product": ["tea", "mate"], "name": [None, "Mate"], "price": [5.0, None]})
        with database.write(stage={"products": frame} if bulk else None) as connection:
            catalogue.upsert_products(connection, None if bulk else frame)
            rows = catalogue.products(connection).select("product", "name", "price").rows()
        assert rows == [("mate", "Mate", None), ("tea", "Assam", 5.0)]


def test_many_codes_are_found_and_made_at_once(database: Database) -> None:
    """More than a statement takes parameters."""
    wanted = [f"product {n:06}" for n in range(40_000)]
    with database.write() as connection:
        ids = catalogue.code_ids(connection, tables.products, wanted)
        assert len(set(ids)) == 40_000
        assert catalogue.code_ids(connection, tables.products, wanted[::-1]) == ids[::-1]
        day = movements(("sale", "2026-01-05 12:00", wanted[39_999], 1))
        append_movements(connection, day)
        assert daily_demand(connection, products=wanted)["product"].to_list() == [wanted[39_999]]


# --- what comes back


def test_codes_are_told_apart_and_sorted_by_their_bytes(database: Database) -> None:
    for bulk in (True, False):
        frame = pl.DataFrame({"product": CODES[::-1], "name": CODES[::-1]})
        with database.write(stage={"products": frame} if bulk else None) as connection:
            catalogue.upsert_products(connection, None if bulk else frame)
            read = catalogue.products(connection)
        assert read["product"].to_list() == CODES
        assert read["name"].to_list() == CODES
    lines = movements(*[("sale", "2026-01-05 12:00", code, 1) for code in CODES])
    with database.write(stage={"movements": lines.with_columns(line_id="product")}) as connection:
        assert append_movements(connection) == Appended(len(CODES), 0)
        assert daily_demand(connection)["product"].to_list() == CODES


def test_doubles_come_back_to_the_last_bit(database: Database) -> None:
    """All but the sign of a zero, which only PostgreSQL keeps."""
    numbers = [1 / 3, 0.1 + 0.2, 1e300, -1e300, 5e-324, 2.0**53 + 2, math.pi * 1e-200, 0.0, 123456789.123456789]
    for bulk in (True, False):
        frame = pl.DataFrame({"product": [f"p{n}" for n in range(len(numbers))], "price": [abs(n) for n in numbers]})
        with database.write(stage={"products": frame} if bulk else None) as connection:
            catalogue.upsert_products(connection, None if bulk else frame)
            read = catalogue.products(connection)["price"].to_list()
        assert [struct.pack("d", x) for x in read] == [struct.pack("d", abs(x)) for x in numbers]
    columns = [("place", "INTEGER"), ("number", "DOUBLE PRECISION")]
    with database.write() as connection, temporary_table(connection, "numbers", columns, enumerate(numbers)) as t:
        read = fetch(connection, select(t.c.number).order_by(t.c.place), {"number": pl.Float64()})["number"].to_list()
    assert [struct.pack("d", x) for x in read] == [struct.pack("d", x) for x in numbers]


@pytest.mark.parametrize(
    "when", ["1969-12-31T23:59:59.999999", "2026-03-29T02:30:00", "2026-10-25T02:30:00.000001", "2999-12-31T00:00:00"]
)
def test_moments_are_shop_time_wherever_the_server_is(database: Database, when: str) -> None:
    """Hours that a summer time leaves out or repeats, the microsecond, and times before 1970."""
    level = {"product": ["tea"], "warehouse": ["main"], "on_hand": [1.0], "as_of": [moment(when)]}
    with database.write() as connection:
        if kind_of(database) == "postgresql":
            connection.execute(text("SET LOCAL timezone = 'America/New_York'"))
        if kind_of(database) == "mysql":
            connection.execute(text("SET time_zone = '-05:00'"))
        set_stock_levels(connection, pl.DataFrame(level))
        assert stock_levels(connection)["as_of"].to_list() == [moment(when)]


def test_long_texts_and_every_script_come_back(database: Database) -> None:
    names = ["x" * 100_000, "\U0001f9fa\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0634\u0627\u064a \u05ea mixed",
             "two\nlines\r\nand\ttabs", 'quotes " and \'', "back\\slash \\n", "", "a,b;c", "NULL"]  # fmt: skip
    frame = pl.DataFrame({"product": [f"p{n}" for n in range(len(names))], "name": names})
    for bulk in (True, False):
        with database.write(stage={"products": frame} if bulk else None) as connection:
            catalogue.upsert_products(connection, None if bulk else frame)
            assert catalogue.products(connection)["name"].to_list() == names


def test_a_nul_in_a_text_is_refused_with_its_row(database: Database) -> None:
    frame = pl.DataFrame({"product": ["a", "b"], "name": ["fine", "br\0ken"]})
    with pytest.raises(DataError, match="'name', row 1: .*NUL"), database.write() as connection:
        catalogue.upsert_products(connection, frame)


def test_json_comes_back_as_it_was_given(database: Database) -> None:
    value = {"z": 1, "a": [1.0, 1 / 3, None, True, "\U0001f375"], "nested": {"b": {}, "a": -1e300}, "nan": math.nan}
    with database.write() as connection:
        run = plans.save_run(
            connection, created_at=moment("2026-01-05"), data_until=moment("2026-01-04").date(), horizon=28,
            model="auto", parameters=value,
        )  # fmt: skip
        back = plans.plan_run(connection, run).parameters
        assert list(back) == list(value)
        assert math.isnan(back.pop("nan"))
        assert back == {name: part for name, part in value.items() if name != "nan"}
        for plain in (None, 0, "text", [], 2.5):
            words = {"setting": "x", "scope_kind": "shop", "scope": None, "reason": "r", "created_by": "me"}
            overrides.add_override(connection, value=plain, created_at=moment("2026-01-05"), **words)
        assert [one.value for one in overrides.all_overrides(connection)] == [None, 0, "text", [], 2.5]


def test_payloads_of_megabytes_come_back(database: Database) -> None:
    payload = os.urandom(5 * 2**20)
    with database.write() as connection:
        run = plans.save_run(
            connection,
            created_at=moment("2026-01-05"),
            data_until=moment("2026-01-04").date(),
            horizon=28,
            model="auto",
        )
        archive.save_chunk(connection, run, 0, payload)
        assert archive.load_chunk(connection, run, 0) == payload


def test_a_million_rows_are_read_in_parts(database: Database) -> None:
    columns = [("n", "BIGINT"), ("x", "DOUBLE PRECISION")]
    with (
        database.write() as connection,
        temporary_table(connection, "many", columns, ((n, n / 7) for n in range(60_000))) as t,
    ):
        read = fetch(connection, select(t.c.n, t.c.x).order_by(t.c.n), {"n": pl.Int64(), "x": pl.Float64()})
    assert read["n"].to_list() == list(range(60_000))
    assert read["x"].to_list() == [n / 7 for n in range(60_000)]


# --- transactions


def test_an_exception_takes_everything_back(database: Database) -> None:
    lines = movements(*[("sale", "2026-01-05 12:00", f"p{n}", 1) for n in range(20)])

    def fail(stage: bool) -> None:
        with database.write(stage={"movements": lines} if stage else None) as connection:
            append_movements(connection, None if stage else lines)
            raise ZeroDivisionError

    for stage in (True, False):
        with pytest.raises(ZeroDivisionError):
            fail(stage)
    with database.read() as connection:
        assert catalogue.products(connection).is_empty()
        assert daily_demand(connection).is_empty()
    with database.write(stage={"movements": lines}) as connection:
        assert append_movements(connection) == Appended(20, 0)


def test_an_error_of_the_database_takes_everything_back_and_is_explained(database: Database) -> None:
    bad = {"product_id": 999_999, "warehouse_id": 999_999, "on_hand": 1.0, "as_of": moment("2026-01-05")}

    def write() -> None:
        with database.write() as connection:
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["main"]}))
            connection.execute(tables.stock_levels.insert(), {**bad, "counted_at": moment("2026-01-05")})

    with pytest.raises(StorageError, match="(?i)foreign key.*nothing of this step was kept"):
        write()
    with database.read() as connection:
        assert catalogue.warehouses(connection).is_empty()


def test_a_reader_sees_one_state_and_never_waits_for_a_writer(database: Database) -> None:
    def add(code: str) -> None:
        with database.write() as connection:
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": [code]}))

    add("before")
    with database.read() as reading:
        with database.write() as writing:
            catalogue.upsert_warehouses(writing, pl.DataFrame({"warehouse": ["after"]}))
            assert catalogue.warehouses(reading)["warehouse"].to_list() == ["before"]
        assert catalogue.warehouses(reading)["warehouse"].to_list() == ["before"]
        add("later")
        assert catalogue.warehouses(reading)["warehouse"].to_list() == ["before"]
    with database.read() as reading:
        assert catalogue.warehouses(reading)["warehouse"].to_list() == ["after", "before", "later"]


def test_a_reader_cannot_write(database: Database) -> None:
    if kind_of(database) == "sqlite":
        pytest.skip("SQLite has no transactions that may only read")
    with pytest.raises(StorageError), database.read() as connection:
        connection.execute(tables.warehouses.insert(), {"code": "x"})


def test_patience_has_an_end_and_says_what_to_look_for(address: Address) -> None:
    with Database.open(address) as holder, Database.open(address, patience_seconds=0.3) as waiting, holder.write():
        with pytest.raises(StorageError, match=r"another write has held the database for over 0\.3 s"), waiting.write():
            pass
        with waiting.read() as connection:
            assert catalogue.warehouses(connection).is_empty()


def test_frames_are_staged_while_another_writes(address: Address) -> None:
    """Whoever waits for the turn has its frame on the server already."""
    lines = movements(*[("sale", "2026-01-05 12:00", "tea", 1) for _ in range(100)])
    done: list[Appended] = []

    def second() -> None:
        with Database.open(address) as other, other.write(stage={"movements": lines}) as connection:
            done.append(append_movements(connection))

    with Database.open(address) as database:
        thread = threading.Thread(target=second)
        with database.write() as connection:
            thread.start()
            append_movements(connection, lines.head(10))
            thread.join(0.5)
            assert done == []
        thread.join(60)
    assert done == [Appended(90, 10)]


WRITERS = """
import sys
from tests.flows.test_many_writers import write_in_threads
print("ready", flush=True)
sys.stdin.readline()
sys.exit("; ".join(map(repr, write_in_threads(sys.argv[1], sys.argv[2], 4))) or 0)
"""


def test_thirty_two_writers_in_threads_and_processes_lose_nothing(address: Address) -> None:
    from tests.flows.test_many_writers import LINES_EACH

    with Database.open(address) as database, database.write() as connection:
        level = {"product": ["tea"], "warehouse": ["main"], "on_hand": [100_000.0], "as_of": [moment("2026-01-01")]}
        set_stock_levels(connection, pl.DataFrame(level))
    others = [
        subprocess.Popen(
            [sys.executable, "-c", WRITERS, str(address), f"process-{n}"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(4)
    ]  # fmt: skip
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    wrong = []
    here = threading.Thread(target=lambda: wrong.extend(write_in_threads(address, "here", 16)))
    here.start()
    messages = [other.communicate("go\n", timeout=240)[1] for other in others]
    here.join()
    assert wrong == []
    assert [(other.returncode, said) for other, said in zip(others, messages, strict=True)] == [(0, "")] * 4
    with Database.open(address) as database, database.read() as connection:
        assert daily_demand(connection)["quantity"].to_list() == [32.0 * LINES_EACH]
        assert stock_levels(connection)["on_hand"].to_list() == [100_000.0 - 32 * LINES_EACH]


# --- what is killed, cut off or gone


def killed(address: Address, what: str, stride: int = 1) -> list[str]:
    environment = {**os.environ, "TABLES": str(len(tables.metadata.tables) + 1)}
    command = [sys.executable, "-m", "tests.contracts.killed", str(address), what, str(stride)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.nightly)])
def test_an_import_killed_at_any_statement_is_whole_or_nothing(address: Address, stride: int) -> None:
    found = killed(address, "import", stride)
    assert len(found) > 15 // stride
    # A statement behind the commit, which drops what was staged, finds the import done.
    assert found == sorted(found, reverse=True)
    assert set(found) == {"before", "after"}


@pytest.mark.kill
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("stride", [97, pytest.param(7, marks=pytest.mark.nightly)])
def test_a_change_of_the_schema_killed_at_any_statement_is_finished_by_the_next(
    kind: str, stride: int, tmp_path: Path
) -> None:
    with empty_address(kind, tmp_path) as address:
        Database.open(address).close()
        found = killed(address, "migrate", stride)
    assert len(found) > 50 // stride
    assert set(found) == {"whole"}


@pytest.mark.parametrize("kind", EVERY)
def test_every_step_of_the_schema_goes_down_and_up_again(kind: str, tmp_path: Path) -> None:
    with empty_address(kind, tmp_path) as address, Database.open(address) as database:
        with database.write() as connection:
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["main"]}))
        assert database.migrate("0001") == (migrations.HEAD, "0001")
        assert database.migrate() == ("0001", migrations.HEAD)
        with database.read() as connection:
            assert catalogue.warehouses(connection)["warehouse"].to_list() == ["main"]
        assert database.migrate("base") == (migrations.HEAD, None)
        with database.read() as connection:
            assert database._dialect.table_names(connection) <= {migrations.TABLE}
        assert database.migrate() == (None, migrations.HEAD)


def kill_connections(kind: str, address: Address) -> None:
    """End every connection to the database but one's own, as a restart of the server does."""
    with Database.unmigrated(server(kind)) as other, other._engine.connect() as connection:
        if kind == "postgresql":
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(text(query), {"name": address.name})
            return
        query = "SELECT id FROM information_schema.processlist WHERE db = :name"
        for number in connection.scalars(text(query), {"name": address.name}).all():
            connection.execute(text(f"KILL {number}"))


@pytest.mark.parametrize("kind", EVERY[1:])
def test_a_server_that_restarts_costs_only_the_step_that_was_under_way(kind: str, tmp_path: Path) -> None:
    def write_while_it_restarts(address: Address, database: Database) -> None:
        with database.write() as connection:
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["lost"]}))
            kill_connections(kind, address)
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["lost too"]}))

    with empty_address(kind, tmp_path) as address, Database.open(address) as database:
        with pytest.raises(StorageError, match="run (it|the step) again") as caught:
            write_while_it_restarts(address, database)
        assert "()" not in str(caught.value)
        with database.write() as connection:
            catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["main"]}))
        kill_connections(kind, address)
        with database.read() as connection:
            assert catalogue.warehouses(connection)["warehouse"].to_list() == ["main"]


@pytest.mark.parametrize("kind", EVERY[1:])
def test_an_address_that_leads_nowhere_says_so_and_keeps_the_password(kind: str) -> None:
    at = server(kind)
    wrong = {
        f"{at.scheme}://nobody:s3cret@127.0.0.1:1/shop": "the server cannot be reached.*check",
        f"{at.scheme}://{at.user}@{at.host}:{at.port}/shelfwise_no_such": "there is no such database.*make it first",
    }
    if kind == "mysql":
        wrong[f"mysql://{at.user}:s3cret@{at.host}:{at.port}/{at.name}"] = "check user and password"
        wrong[f"mysql://{at.user}@{at.host}:{at.port}/{at.name}?sslmode=x"] = "there is no option 'sslmode'"
        wrong[f"mysql://{at.user}:s3cret@{at.host}:{at.port}/{at.name}?ssl_ca=/no.pem"] = "ssl_ca.* cannot be used"
    else:
        wrong[f"{at.scheme}://{at.user}@{at.host}:{at.port}/role_no_such"] = "there is no such database.*make it first"
        wrong["postgresql://anna:s3cret@role.invalid/shop"] = "the server cannot be reached.*check"
        wrong[f"{at.scheme}://no_such_role:s3cret@{at.host}:{at.port}/{at.name}"] = "does not let this user in|password"
    for url, said in wrong.items():
        with pytest.raises(Exception, match=said) as caught:
            Database.open(url)
        assert "s3cret" not in str(caught.value) + repr(Address.parse(url))


@pytest.mark.parametrize("kind", EVERY[1:])
def test_a_port_that_takes_connections_and_says_nothing_is_given_up(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        at = f"{server(kind).scheme}://anna@127.0.0.1:{mute.getsockname()[1]}/shop?connect_timeout=2"
        began = time.monotonic()
        with pytest.raises(StorageError, match="check that it runs, and host and port"):
            Database.open(at)
    assert time.monotonic() - began < 20


@pytest.mark.service("mysql")
@pytest.mark.parametrize("seconds", ["0", "soon", "-1", "99999"])
def test_a_time_to_connect_that_is_none_is_refused(seconds: str) -> None:
    at = server("mysql")
    with pytest.raises(ParameterError, match=f"connect_timeout must be whole seconds .*'{seconds}'"):
        Database.open(f"mysql://{at.user}@{at.host}:{at.port}/{at.name}?connect_timeout={seconds}")


@pytest.mark.service("mysql")
def test_a_statement_may_take_longer_than_a_greeting(tmp_path: Path) -> None:
    with (
        empty_address("mysql", tmp_path) as address,
        Database.open(f"{address}?connect_timeout=1") as database,
        database.read() as connection,
    ):
        assert connection.scalar(text("SELECT SLEEP(1.5)")) == 0


# --- waiting for each other


def test_writers_that_want_the_same_rows_in_another_order_never_wait_in_a_circle(address: Address) -> None:
    """Each holds the turn from its first look to its commit, also where each has a pool of connections of its own."""
    wrong: list[BaseException] = []

    def write(codes: list[str]) -> None:
        try:
            with Database.open(address) as database:
                for n in range(4):
                    for code in codes:
                        frame = pl.DataFrame({"product": [code], "price": [float(n)]})
                        with database.write() as connection:
                            catalogue.upsert_products(connection, frame)
                            catalogue.upsert_products(connection, frame.with_columns(product=pl.lit(codes[-1])))
        except BaseException as error:
            wrong.append(error)

    Database.open(address).close()
    writers = [threading.Thread(target=write, args=(codes,)) for codes in (["a", "b"], ["b", "a"]) * 2]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert wrong == []


@pytest.mark.parametrize("kind", EVERY[1:])
def test_a_deadlock_with_another_program_takes_all_back_and_says_so(kind: str, tmp_path: Path) -> None:
    def change(connection: Connection, code: str) -> None:
        connection.execute(tables.products.update().where(tables.products.c.code == code).values(price=9.0))

    def ours(database: Database, theirs: Connection) -> None:
        with database.write() as connection:
            change(connection, "a")
            change(theirs, "b")
            other.start()
            change(connection, "b")

    with (
        empty_address(kind, tmp_path) as address,
        Database.open(address) as database,
        Database.open(address) as program,
        program._engine.connect() as theirs,
    ):
        with database.write() as connection:
            catalogue.upsert_products(connection, pl.DataFrame({"product": ["a", "b"]}))
        with theirs.begin():
            # The server ends the lighter one of the two, or the one that waited first.
            theirs.execute(tables.warehouses.insert(), [{"code": f"w{n:03}"} for n in range(300)])
            other = threading.Thread(target=lambda: (time.sleep(0.3), change(theirs, "a")))
            with pytest.raises(StorageError, match="waited for each other.*another program.*run it again"):
                ours(database, theirs)
            other.join()
        with database.read() as connection:
            prices = dict(catalogue.products(connection).select("product", "price").iter_rows())
        assert (prices["a"], prices["b"]) == (9.0, 9.0), "theirs alone is kept"


@pytest.mark.service("postgresql")
def test_a_migration_that_a_reader_crosses_is_begun_again(tmp_path: Path) -> None:
    held, wanted = "import_mappings", "stock_movements"
    with empty_address("postgresql", tmp_path) as address, Database.open(address) as database:
        began: list[int] = []
        went = database._migrated
        database._migrated = lambda *given, **named: (began.append(1), went(*given, **named))[1]  # type: ignore[method-assign]
        with database.read() as connection:
            connection.execute(text(f"SELECT count(*) FROM {held}"))
            down = threading.Thread(target=lambda: database.migrate(migrations.BASE), daemon=True)
            down.start()
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST(:name AS regclass)")
            with Database.unmigrated(address) as other, other._engine.connect() as look:
                look.execution_options(isolation_level="AUTOCOMMIT")
                while not look.scalar(waiting, {"name": held}):
                    time.sleep(0.05)
            connection.execute(text(f"SELECT count(*) FROM {wanted}"))
        down.join()
        assert len(began) > 1
        assert database.migrate() == (None, migrations.HEAD)


# --- rights


@pytest.mark.parametrize(
    ("kind", "query", "seconds"),
    [
        pytest.param("postgresql", "SHOW tcp_keepalives_idle", "60", marks=pytest.mark.service("postgresql")),
        pytest.param("mysql", "SELECT @@idle_transaction_timeout", "600", marks=pytest.mark.service("mysql")),
    ],
)
def test_the_server_notices_a_writer_whose_machine_is_gone(kind: str, query: str, seconds: str, tmp_path: Path) -> None:
    with empty_address(kind, tmp_path) as address, Database.open(address) as database, database.write() as connection:
        assert str(connection.scalar(text(query))) == seconds


@pytest.fixture
def reader(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Address, Address]]:
    """The owner's address of a shop, and one of a user who may do nothing yet."""
    kind = request.param
    name, password = f"reader_{os.getpid()}", "let_me_in"
    with empty_address(kind, tmp_path) as address:
        Database.open(address).close()
        who = name if kind == "postgresql" else f"'{name}'@'{address.host}'"
        how = f"LOGIN PASSWORD '{password}'" if kind == "postgresql" else f"IDENTIFIED BY '{password}'"
        on_server(kind, f"CREATE {'ROLE' if kind == 'postgresql' else 'USER'} {who} {how}")
        try:
            yield address, replace(address, user=name, password=password)
        finally:
            with Database.open(address) as database, database.write() as connection:
                if kind == "postgresql":
                    connection.execute(text(f"DROP OWNED BY {name}"))
            on_server(kind, f"DROP {'ROLE' if kind == 'postgresql' else 'USER'} {who}")


@pytest.mark.parametrize("reader", [pytest.param("postgresql", marks=pytest.mark.service("postgresql"))], indirect=True)
def test_a_right_that_is_missing_on_postgresql_is_named(reader: tuple[Address, Address]) -> None:
    address, theirs = reader

    def grant(*rights: str) -> None:
        with Database.open(address) as database, database.write() as connection:
            for right in rights:
                connection.execute(text(f"GRANT {right} TO {theirs.user}"))

    def write() -> None:
        with Database.open(theirs) as database, database.write() as connection:
            catalogue.upsert_products(connection, pl.DataFrame({"product": ["tea"]}))

    with pytest.raises(StorageError, match="GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"):
        Database.open(theirs)
    grant("SELECT ON ALL TABLES IN SCHEMA public")
    with Database.open(theirs) as database, database.read() as connection:
        assert catalogue.products(connection).is_empty()
    with pytest.raises(
        StorageError, match="GRANT SELECT, INSERT, UPDATE, DELETE .*`shelfwise order`, `risk` and `excess` keep"
    ):
        write()
    grant("INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public")
    with pytest.raises(StorageError, match="GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public"):
        write()
    grant("USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public")
    write()
    with pytest.raises(StorageError, match="only the owner of the tables"), Database.open(theirs) as database:
        database.migrate(migrations.BASE)


@pytest.mark.parametrize("reader", [pytest.param("mysql", marks=pytest.mark.service("mysql"))], indirect=True)
def test_a_right_that_is_missing_on_mariadb_is_named(reader: tuple[Address, Address]) -> None:
    address, theirs = reader

    def write() -> None:
        with Database.open(theirs) as database, database.write() as connection:
            catalogue.upsert_products(connection, pl.DataFrame({"product": ["tea"]}))

    with pytest.raises(StorageError, match="may not use that database.*GRANT ALL ON"):
        Database.open(theirs)
    on_server("mysql", f"GRANT SELECT, CREATE TEMPORARY TABLES ON {address.name}.* TO '{theirs.user}'@'{address.host}'")
    with pytest.raises(StorageError, match="GRANT ALL ON .*`shelfwise order`, `risk` and `excess` keep"):
        write()
    on_server("mysql", f"GRANT ALL ON {address.name}.* TO '{theirs.user}'@'{address.host}'")
    write()


@pytest.mark.parametrize("kind", EVERY[1:])
def test_the_database_of_another_program_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    with empty_address(kind, tmp_path) as address:
        with Database.unmigrated(address) as other, other._engine.begin() as connection:
            connection.execute(text("CREATE TABLE bookmarks (url INTEGER)"))
        with pytest.raises(StorageError, match="another program .*'bookmarks'"):
            Database.open(address)
        with Database.unmigrated(address) as other:
            with pytest.raises(StorageError, match="another program"):
                other.migrate()
            with other.read() as connection:
                assert other._dialect.table_names(connection) == {"bookmarks"}


@pytest.mark.parametrize("kind", EVERY[1:])
def test_a_shop_that_is_not_there_is_made_only_where_that_is_asked_for(kind: str, tmp_path: Path) -> None:
    with empty_address(kind, tmp_path) as address:
        with pytest.raises(StorageError, match="there is no database .* yet; `shelfwise import"):
            Database.open(address, create=False)
        Database.open(address).close()
        Database.open(address, create=False).close()


@pytest.mark.parametrize(("driver", "extra"), [("psycopg", "postgresql"), ("pymysql", "mysql")])
def test_a_driver_that_is_not_installed_is_named_with_its_extra(driver: str, extra: str) -> None:
    script = (
        f"import sys; sys.modules[{driver!r}] = None\n"
        "from shelfwise.storage.database import Database\n"
        f"Database.open('{extra}://root@127.0.0.1/shop')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert f"pip install 'shelfwise[{extra}]'" in done.stderr.splitlines()[-1]


@pytest.mark.service("mysql")
def test_a_server_without_local_files_is_loaded_by_inserts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = movements(*[("sale", "2026-01-05 12:00", f"p{n % 5}", 1) for n in range(12_000)])
    with (
        empty_address("mysql", tmp_path) as address,
        Database.open(f"{address}?local_infile=0") as database,
        database.write(stage={"movements": lines}) as connection,
    ):
        assert append_movements(connection) == Appended(12_000, 0)
    assert "SET GLOBAL local_infile = 1" in caplog.text


@pytest.mark.service("mysql")
def test_a_payload_larger_than_the_server_takes_says_the_way_out(tmp_path: Path) -> None:
    with empty_address("mysql", tmp_path) as address, Database.open(address) as database:
        with database.read() as connection:
            most = int(connection.scalar(text("SELECT @@max_allowed_packet")) or 0)
        if most > 2**26:
            pytest.skip("this server takes more than a test should send")

        def save() -> None:
            with database.write() as connection:
                run = plans.save_run(
                    connection, created_at=moment("2026-01-05"), data_until=moment("2026-01-04").date(), horizon=1,
                    model="m",
                )  # fmt: skip
                archive.save_chunk(connection, run, 0, bytes(most + 1))

        with pytest.raises(StorageError, match="max_allowed_packet"):
            save()


def test_statements_of_a_bulk_load_do_not_grow_with_its_rows(database: Database) -> None:
    def statements(rows: int) -> int:
        lines = movements(*[("sale", "2026-01-05 12:00", "tea", 1)] * rows, source=f"{rows}")
        seen: list[str] = []

        def note(_: object, __: object, statement: str, *___: object) -> None:
            seen.append(statement)

        event.listen(database._engine, "before_cursor_execute", note)
        with database.write(stage={"movements": lines}) as connection:
            append_movements(connection)
        event.remove(database._engine, "before_cursor_execute", note)
        return len(seen)

    statements(10)
    assert statements(20) == statements(2_000)


def test_a_temporary_table_is_gone_after_its_block(database: Database) -> None:
    for _ in range(2):
        with (
            database.write() as connection,
            temporary_table(connection, "passing", [("code", "CODE")], [("a",)]) as rows,
        ):
            assert insert_new(connection, tables.warehouses, {"code": rows.c.code}, rows) in (0, 1)
        with (
            pytest.raises(ZeroDivisionError),
            database.write() as connection,
            temporary_table(connection, "passing", [("code", "CODE")], [("b",)]),
        ):
            raise ZeroDivisionError


def test_a_frame_that_is_staged_can_be_read_more_than_once(database: Database) -> None:
    frame = pl.DataFrame({"product": ["a", "b"], "starts_on": [datetime(2026, 1, 5).date()] * 2, "price": [1.0, 2.0]})  # noqa: DTZ001
    with database.write(stage={"prices": frame}) as connection:
        for _ in range(2):
            catalogue.upsert_prices(connection)
        with staged(connection, "prices", None) as batch:
            assert batch.rows == 2
        assert catalogue.prices(connection)["price"].to_list() == [1.0, 2.0]
