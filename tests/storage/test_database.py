"""Files of SQLite: opening, migrating, locking, bulk loads and what is left after a failure."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import select
from tests.storage.worlds import movements

from shelfwise.domain.errors import DataError, MigrationNeeded, ParameterError, StorageError
from shelfwise.storage import catalogue, migrations
from shelfwise.storage.database import Database, fetch
from shelfwise.storage.sales import Appended, append_movements, daily_demand
from shelfwise.storage.sqlite import SQLite, _host
from shelfwise.storage.staging import encode
from shelfwise.storage.tables import warehouses

SALES = movements(*[("sale", f"2026-01-{day:02} 12:00", f"p{day % 5}", day) for day in range(1, 29)])


def add_warehouse(database: Database, code: str) -> None:
    with database.write() as connection:
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": [code]}))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A file; what servers do is in tests/contracts/test_databases.py."""
    with Database.open(tmp_path / "shop.db") as opened:
        yield opened


def dialect(database: Database) -> SQLite:
    assert isinstance(database._dialect, SQLite)
    return database._dialect


def codes(database: Database) -> list[str]:
    with database.read() as connection:
        return catalogue.warehouses(connection)["warehouse"].to_list()


def in_another_process(script: str, *arguments: str | Path) -> str:
    """Run Python code there; what it prints comes back."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


# --- opening and migrating


def test_a_new_file_gets_its_folder_and_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "shop.db"
    with Database.open(path) as database:
        add_warehouse(database, "main")
    with Database.open(str(path)) as database:
        assert codes(database) == ["main"]


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.touch()
    with Database.open(path) as database:
        assert codes(database) == []


def test_the_named_revisions_are_those_on_disk() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    steps = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(steps)) == migrations.REVISIONS


def schema(database: Database) -> set[tuple[str, str]]:
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        # A table that was rebuilt has its name in quotes, and its rules may stand in another order.
        return {
            (name, "\n".join(sorted(line.rstrip(", ") for line in sql.replace('"', "").split("\n"))))
            for name, sql in rows
            if name != migrations.TABLE
        }


def test_each_migration_can_be_undone_and_done_again(database: Database) -> None:
    whole = schema(database)
    add_warehouse(database, "main")
    assert database.migrate("0001") == (migrations.HEAD, "0001")
    assert {name for name, _ in schema(database)} < {name for name, _ in whole}
    assert codes(database) == ["main"]
    assert database.migrate() == ("0001", migrations.HEAD)
    assert schema(database) == whole
    assert codes(database) == ["main"]
    assert database.migrate("base") == (migrations.HEAD, None)
    assert schema(database) == set()
    assert database.migrate() == (None, migrations.HEAD)
    assert schema(database) == whole
    with pytest.raises(ParameterError, match="there is no schema revision '7'"):
        database.migrate("7")


def test_a_file_of_an_older_schema_names_both_and_the_command(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Database.open(path) as database:
        database.migrate("0001")
    with pytest.raises(MigrationNeeded, match=f"its schema is 0001, this program needs {migrations.HEAD}; run: "):
        Database.open(path)
    with Database.unmigrated(path) as database:
        assert database.migrate() == ("0001", migrations.HEAD)
    Database.open(path).close()


def test_a_file_of_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Database.open(path) as database, database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {migrations.TABLE} SET version_num = '9999'")
    with pytest.raises(MigrationNeeded, match=f"its schema is 9999, newer than this program's {migrations.HEAD}"):
        Database.open(path)
    with Database.unmigrated(path) as database, pytest.raises(StorageError, match="9999 is unknown"):
        database.migrate()


def test_a_failed_migration_leaves_the_schema_as_it_was(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE decisions")
    before = schema(database)
    with pytest.raises(StorageError):
        database.migrate("0001")
    assert schema(database) == before


START_TOGETHER = """
import sys
from shelfwise.storage.database import Database
import polars as pl
from shelfwise.storage.catalogue import upsert_warehouses
sys.stdin.readline()
with Database.open(sys.argv[1]) as database, database.write() as connection:
    upsert_warehouses(connection, pl.DataFrame({"warehouse": [sys.argv[2]]}))
"""


def test_processes_that_start_together_on_a_new_file_all_come_through(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    starters = [
        subprocess.Popen([sys.executable, "-c", START_TOGETHER, str(path), f"w{n}"], stdin=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.close()
    assert [starter.wait(timeout=60) for starter in starters] == [0] * 4
    with Database.open(path) as database:
        assert codes(database) == [f"w{n}" for n in range(4)]


# --- files that cannot be used


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_text("product,quantity\n" * 500)
    with pytest.raises(StorageError, match=r"shop\.db: it is not a SQLite database"):
        Database.open(path)
    assert path.read_text() == "product,quantity\n" * 500


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program .*'bookmarks'"):
        Database.open(path)
    with Database.unmigrated(path) as database, pytest.raises(StorageError, match="another program"):
        database.migrate()
    assert path.read_bytes() == before


def test_a_folder_or_a_place_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="it is a folder"):
        Database.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="its folder cannot be made"):
        Database.open(tmp_path / "file" / "shop.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="it cannot be opened; check that its folder exists and is writable"):
        Database.open(closed / "shop.db")


def test_a_damaged_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Database.open(path) as database, database.write() as connection:
        append_movements(connection, SALES)
    whole = bytearray(path.read_bytes())
    whole[8192:] = b"\xaa" * (len(whole) - 8192)
    path.write_bytes(bytes(whole))
    damaged = pytest.raises(StorageError, match="the file is damaged; restore it from a backup")
    with damaged, Database.open(path) as database, database.read() as connection:
        daily_demand(connection)


def test_a_full_disk_keeps_the_old_state_and_says_so(database: Database) -> None:
    add_warehouse(database, "main")

    def load_on_a_full_disk() -> None:
        with database.write(stage={"movements": SALES}) as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            append_movements(connection)
            catalogue.upsert_products(connection, pl.DataFrame({"product": ["big"], "name": ["x" * 100_000]}))

    with pytest.raises(StorageError, match="the disk is full; free some space"):
        load_on_a_full_disk()
    assert codes(database) == ["main"]
    with database.read() as connection:
        assert daily_demand(connection).is_empty()


# --- transactions


def test_an_exception_takes_everything_back(database: Database) -> None:
    with contextlib.suppress(ZeroDivisionError), database.write(stage={"movements": SALES}) as connection:
        append_movements(connection)
        raise ZeroDivisionError
    assert codes(database) == []
    with database.write(stage={"movements": SALES}) as connection:
        assert append_movements(connection) == Appended(28, 0)


def test_a_reader_sees_one_state_and_never_waits_for_a_writer(database: Database) -> None:
    add_warehouse(database, "before")
    with database.read() as reading:
        with database.write() as writing:
            catalogue.upsert_warehouses(writing, pl.DataFrame({"warehouse": ["after"]}))
            assert catalogue.warehouses(reading)["warehouse"].to_list() == ["before"]
        assert catalogue.warehouses(reading)["warehouse"].to_list() == ["before"]
    assert codes(database) == ["after", "before"]


def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_itself(database: Database) -> None:
    refused = pytest.raises(StorageError, match="a write is already open in this thread")
    with database.write(), refused, database.write():
        pass


def test_a_second_thread_waits_for_its_turn(database: Database) -> None:
    held, done = threading.Event(), threading.Event()

    def second() -> None:
        held.wait(10)
        add_warehouse(database, "second")
        done.set()

    thread = threading.Thread(target=second)
    thread.start()
    with database.write() as connection:
        held.set()
        assert not done.wait(0.2)
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["first"]}))
    thread.join(10)
    assert codes(database) == ["first", "second"]


def test_patience_has_an_end_and_says_what_to_look_for(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Database.open(path) as holder, Database.open(path, patience_seconds=0.3) as waiting, holder.write():
        with pytest.raises(StorageError, match=r"another write has held the database for over 0\.3 s"):
            add_warehouse(waiting, "x")
        assert codes(waiting) == []


def test_a_connection_is_not_carried_over_a_fork(database: Database) -> None:
    add_warehouse(database, "main")
    database._process += 1  # what a forked child would see
    with pytest.raises(StorageError, match="opened before this process was forked"):
        codes(database)
    with pytest.raises(StorageError, match="opened before this process was forked"):
        add_warehouse(database, "other")


def test_durability_is_what_the_settings_say(database: Database) -> None:
    with database.write() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


# --- bulk loads


def test_only_known_frames_are_staged(database: Database) -> None:
    with pytest.raises(ParameterError, match="there is no frame 'sales'"), database.write(stage={"sales": SALES}):
        pass
    with (
        pytest.raises(DataError, match="lacks the required column"),
        database.write(stage={"movements": SALES.drop("kind")}),
    ):
        pass


def test_no_temporary_file_is_left_after_a_load_or_a_failure(database: Database) -> None:
    for fail in (False, True):
        with contextlib.suppress(KeyboardInterrupt), database.write(stage={"movements": SALES}) as connection:
            assert len(list(dialect(database).path.parent.glob(".*stage*"))) == 1
            append_movements(connection)
            if fail:
                raise KeyboardInterrupt
        assert list(dialect(database).path.parent.glob(".*stage*")) == []


def test_a_load_that_cannot_be_staged_changes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = dialect(database).path.parent / "gone"
    monkeypatch.setattr(dialect(database), "path", gone / "shop.db")
    with (
        pytest.raises(StorageError, match="the temporary file of a bulk load cannot be written"),
        database.write(stage={"movements": SALES}),
    ):
        pass


def test_temporary_files_of_killed_processes_are_removed_and_others_left(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    Database.open(path).close()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    token = "0" * 32
    stale = tmp_path / f".shop.db.stage-{_host()}-{dead.pid}-{token}"
    alive = tmp_path / f".shop.db.stage-{_host()}-{os.getpid()}-{token}"
    elsewhere = tmp_path / f".shop.db.stage-otherhost-{dead.pid}-{token}"
    forgotten = tmp_path / f".shop.db.stage-otherhost-1-{token}"
    of_another = tmp_path / f".other.db.stage-{_host()}-{dead.pid}-{token}"
    for file in (stale, alive, elsewhere, forgotten, of_another):
        file.touch()
    two_days_ago = time.time() - 2 * 86_400
    os.utime(forgotten, (two_days_ago, two_days_ago))
    Database.open(path).close()
    assert {file for file in (stale, alive, elsewhere, forgotten, of_another) if file.exists()} == {
        alive, elsewhere, of_another,
    }  # fmt: skip


def test_a_result_left_half_read_does_not_spoil_a_write_that_is_done(database: Database) -> None:
    with database.write(stage={"movements": SALES}) as connection:
        append_movements(connection)
        half_read = connection.exec_driver_sql("SELECT line_id FROM stage.movements")
        assert half_read.fetchone() is not None
    with database.write(stage={"movements": SALES}) as connection:
        assert append_movements(connection) == Appended(0, 28)
    assert half_read is not None


TRY_THE_LOCK = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], timeout=0.2, isolation_level=None)
try:
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO warehouses (code) VALUES ('stolen')")
    other.execute("COMMIT")
    print("took the lock")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_the_lock_holds_while_frames_are_bulk_loaded(tmp_path: Path) -> None:
    """A write is open in this process; bulk loads and second openings around it must not let go of its lock."""
    path = tmp_path / "shop.db"
    database, second = Database.open(path), Database.open(path)
    with database.write(stage={"movements": SALES}) as connection:
        append_movements(connection)
        assert in_another_process(TRY_THE_LOCK, path) == "database is locked"
        # In another thread: a whole bulk file is written and closed by ADBC while the lock is held here.
        staging = threading.Thread(target=lambda: stage_only(second))
        staging.start()
        staging.join(30)
        Database.open(path).close()
        assert in_another_process(TRY_THE_LOCK, path) == "database is locked"
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["ours"]}))
    assert codes(database) == ["main", "ours"]
    assert in_another_process(TRY_THE_LOCK, path) == "took the lock"
    assert codes(second) == ["main", "ours", "stolen"]
    database.close()
    second.close()


def stage_only(database: Database) -> None:
    with dialect(database)._stage_file({"movements": encode("movements", SALES)}):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks only")
def test_touching_the_live_file_would_lose_the_lock(tmp_path: Path) -> None:
    """Why the rule exists: one plain open and close of the live file in this process, and another takes the lock."""
    path = tmp_path / "shop.db"
    with Database.open(path) as database, database.write():
        assert in_another_process(TRY_THE_LOCK, path) == "database is locked"
        shared_memory = path.with_name(path.name + "-shm")
        shared_memory.open("rb").close()
        assert in_another_process(TRY_THE_LOCK, path) == "took the lock"


def test_adbc_is_never_given_the_live_file(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    import adbc_driver_manager

    opened: list[str] = []

    class Watched(adbc_driver_manager.AdbcDatabase):  # type: ignore[misc]
        def __init__(self, **arguments: str) -> None:
            opened.append(arguments["uri"])
            super().__init__(**arguments)

    monkeypatch.setattr(adbc_driver_manager, "AdbcDatabase", Watched)
    with database.write(stage={"movements": SALES}) as connection:
        append_movements(connection)
    assert len(opened) == 1
    assert not {opened[0]} & {f"{dialect(database).path}{suffix}" for suffix in ("", "-wal", "-shm")}


@pytest.fixture
def rows(database: Database) -> Iterator[pl.DataFrame]:
    with database.write() as connection:
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": [f"w{n:05}" for n in range(25_001)]}))
        yield fetch(connection, select(warehouses.c.code).order_by(warehouses.c.code), {"code": pl.String()})


def test_more_rows_than_are_read_at_once_come_whole_and_in_order(rows: pl.DataFrame) -> None:
    assert rows["code"].to_list() == [f"w{n:05}" for n in range(25_001)]
