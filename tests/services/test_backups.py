"""A backup is one state of a shop at work; a restore makes that shop again, in any database, or changes nothing."""

from __future__ import annotations

import contextlib
import gzip
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import insert, select, update
from tests.storage.databases import EVERY, Pool
from tests.storage.full_tables import fill, stored
from tests.storage.worlds import movements

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.domain.encryption_keys import new_key
from shelfwise.domain.errors import ConflictError, StorageError
from shelfwise.services import backups, doctor, encryption, job_kinds, metrics, reactions
from shelfwise.services.jobs import Wanted
from shelfwise.storage import artefacts, jobs, migrations, workers
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements, daily_demand
from shelfwise.storage.sealing import NoKey
from shelfwise.storage.stock import set_stock_levels, stock_levels
from shelfwise.storage.tables import model_versions, sessions, signing_keys

ROOT = Path(__file__).parents[2]
SMALL = frozenset({"jobs"})  # a restore queues running jobs again


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """The databases on servers that this worker keeps between tests."""
    made = Pool()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHELFWISE_DATABASE", "shop.db")


@contextlib.contextmanager
def shop(address: str | Path | Address = "shop.db", **settings: object) -> Iterator[App]:
    with open_app(address, **settings) as app:
        yield app


def selling(app: App, count: int, start: int = 0) -> None:
    """Sell one unit by a till, ``count`` times: each its own write."""
    for number in range(start, start + count):
        frame = movements(("sale", "2026-02-01 12:00", f"p{number % 3}", 1)).with_columns(line_id=pl.lit(str(number)))
        with app.database.write() as connection:
            append_movements(connection, frame)


def counted(app: App) -> None:
    levels = pl.DataFrame({"product": [f"p{n}" for n in range(3)]}).with_columns(
        warehouse=pl.lit("main"), on_hand=1_000.0, as_of=pl.lit("2026-01-01").str.to_datetime()
    )
    with app.database.write() as connection:
        set_stock_levels(connection, levels)


def state(address: str | Path | Address = "shop.db") -> tuple[int, int]:
    """Units sold by the movements, and by what is gone from stock."""
    with Database.open(address) as database, database.read() as connection:
        sold = int(daily_demand(connection)["quantity"].sum())
        return sold, int(3_000 - stock_levels(connection)["on_hand"].sum())


def everything(address: str | Path | Address = "shop.db") -> dict[str, list[tuple[object, ...]]]:
    with Database.open(address) as database, database.read() as connection:
        return stored(connection, but=SMALL)


@pytest.mark.parametrize("kind", EVERY)
def test_a_shop_comes_back_in_any_kind_of_database(kind: str, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = kind != "mysql"
    if sealed:
        monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY", new_key())
    with shop() as app:
        fill(app.database, 4)
        with app.database.write() as connection:
            keys = encryption.keys_of(app.settings)
            name = artefacts.save(Path("shop.models"), b"fitted", keys)
            connection.execute(update(model_versions).values(state="archived"))
            connection.execute(
                update(model_versions).where(model_versions.c.id == 1).values(state="ready", sha256=name)
            )
            connection.execute(update(model_versions).where(model_versions.c.id == 2).values(state="ready"))
        made = backups.make(app, Path("shop.tar.gz"))
    assert (made.models, len(made.missing_models), made.is_encrypted) == (1, 1, sealed)
    assert backups.check(Path("shop.tar.gz")).rows == made.rows
    into = str(pool.address(kind)) if kind != "sqlite" else "other.db"
    done = backups.restore(Path("shop.tar.gz"), into)
    address = Address.parse(into)
    assert everything(address) == everything()
    assert done.models_folder == artefacts.folder_of(address, None)
    assert artefacts.load(done.models_folder, name, keys) == b"fitted"
    with Database.open(address) as database, database.read() as connection:
        # Nobody stays signed in, and no key that signs sessions came along.
        assert (
            connection.execute(select(sessions.c.id)).all() == connection.execute(select(signing_keys.c.id)).all() == []
        )


@pytest.mark.parametrize("kind", EVERY)
def test_a_backup_during_sales_is_one_state_with_all_that_was_sold_before_it(kind: str, pool: Pool) -> None:
    address: str | Address = "shop.db" if kind == "sqlite" else pool.address(kind)
    ending = threading.Event()
    with shop(address) as app:
        counted(app)
        selling(app, 20)
        sold = [20]

        def sell() -> None:
            with shop(address) as till:
                while not ending.is_set():
                    selling(till, 1, sold[0])
                    sold[0] += 1

        selling_thread = threading.Thread(target=sell)
        selling_thread.start()
        try:
            spans = []
            for number in range(3):
                before = sold[0]
                backups.make(app, Path(f"{number}.tar.gz"))
                spans.append((before, sold[0] + 1))
        finally:
            ending.set()
            selling_thread.join()
    for number, (before, after) in enumerate(spans):
        backups.restore(Path(f"{number}.tar.gz"), f"{number}.db")
        units, gone = state(f"{number}.db")
        assert before <= units <= after
        assert units == gone
    assert spans[-1][0] > 20


def test_a_database_with_something_in_it_is_left_unless_it_is_to_be_replaced() -> None:
    with shop() as app:
        counted(app)
        selling(app, 2)
        Path("shop.db").chmod(0o600)
        backups.make(app, Path("two.tar.gz"))
        selling(app, 3, 2)
    with pytest.raises(StorageError, match="not empty.*--force"):
        backups.restore(Path("two.tar.gz"))
    assert state() == (5, 5)
    done = backups.restore(Path("two.tar.gz"), force=True)
    assert state() == (2, 2)
    assert done.kept_aside is not None
    assert Path("shop.db").stat().st_mode & 0o777 == 0o600
    assert state(done.kept_aside) == (5, 5)
    done.kept_aside.replace("shop.db")  # the way back
    assert state() == (5, 5)
    with contextlib.closing(sqlite3.connect("shop.db")) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("kind", EVERY[1:])
def test_a_server_is_replaced_whole_or_not_at_all(kind: str, pool: Pool) -> None:
    address = pool.address(kind)
    with shop() as app:
        fill(app.database, 3)
        backups.make(app, Path("shop.tar.gz"))
    with Database.open(address) as database:
        fill(database, 5)
    before = everything(address)
    with pytest.raises(StorageError, match="not empty"):
        backups.restore(Path("shop.tar.gz"), str(address))
    Path("cut.tar.gz").write_bytes(Path("shop.tar.gz").read_bytes()[:-200])
    with pytest.raises(StorageError, match="no whole backup"):
        backups.restore(Path("cut.tar.gz"), str(address), force=True)
    assert everything(address) == before
    backups.restore(Path("shop.tar.gz"), str(address), force=True)
    assert everything(address) == everything()


def test_a_file_that_changes_between_the_check_and_the_load_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with shop() as app:
        counted(app)
        backups.make(app, Path("shop.tar.gz"))
    whole = Path("shop.tar.gz").read_bytes()
    checked = backups._checked

    def check_then_damage(*given: object) -> object:
        found = checked(*given)  # type: ignore[arg-type]
        Path("shop.tar.gz").write_bytes(whole[:-20])
        return found

    monkeypatch.setattr(backups, "_checked", check_then_damage)
    with pytest.raises(StorageError, match="no whole backup"):
        backups.restore(Path("shop.tar.gz"), "other.db")
    assert sorted(each.name for each in Path().iterdir()) == ["shop.db", "shop.tar.gz"]


def test_a_file_in_use_is_not_replaced() -> None:
    with shop() as app:
        counted(app)
        backups.make(app, Path("shop.tar.gz"))
        with pytest.raises(ConflictError, match="another process has it open"):
            backups.restore(Path("shop.tar.gz"), force=True)
        selling(app, 1)
    assert state() == (1, 1)
    assert sorted(each.name for each in Path().iterdir()) == ["shop.db", "shop.tar.gz"]


def test_restores_right_after_each_other_keep_every_file_that_was_there() -> None:
    with shop() as app:
        counted(app)
        backups.make(app, Path("shop.tar.gz"))
    kept = {backups.restore(Path("shop.tar.gz"), force=True).kept_aside for _ in range(4)}
    assert len(kept) == 4
    assert all(path is not None and state(path) == state() for path in kept)


def test_a_database_with_a_worker_is_not_replaced() -> None:
    with shop() as app:
        counted(app)
        backups.make(app, Path("shop.tar.gz"))
        with app.database.write() as connection:
            workers.seen(connection, "w", "elsewhere", 1)
    with pytest.raises(ConflictError, match="worker on elsewhere"):
        backups.restore(Path("shop.tar.gz"), force=True)


def test_a_damaged_file_is_replaced_and_kept() -> None:
    with shop() as app:
        counted(app)
        selling(app, 4)
        backups.make(app, Path("shop.tar.gz"))
    Path("shop.db").write_bytes(b"damaged " * 1000)
    Path("shop.db-wal").write_bytes(b"a log of nothing")
    with pytest.raises(StorageError, match="--force"):
        backups.restore(Path("shop.tar.gz"))
    done = backups.restore(Path("shop.tar.gz"), force=True)
    assert state() == (4, 4)
    assert done.kept_aside is not None
    assert done.kept_aside.read_bytes().startswith(b"damaged")


def test_running_jobs_wait_again_and_events_are_told_once() -> None:
    with shop() as app:
        with app.database.write() as connection:
            jobs.enqueue(connection, [Wanted("plan"), Wanted("tidy")])
        with app.database.write_beside() as connection:
            [claimed, _] = jobs.claim(connection, "w", ["plan", "tidy"], limit=2, lease_seconds=900)
            jobs.begin(connection, [claimed.id], "w")
        with app.database.write() as connection:
            jobs.enqueue(connection, [Wanted("plan")])
            workers.set_read_until(connection, "jobs", 7)
        backups.make(app, Path("shop.tar.gz"))
    assert backups.restore(Path("shop.tar.gz"), "other.db").jobs == 2
    with Database.open("other.db") as database, database.read() as connection:
        found = {(job.kind, job.state, job.attempts, job.holder) for job in jobs.page(connection)}
        assert found == {("plan", "cancelled", 1, None), ("plan", "queued", 0, None), ("tidy", "queued", 0, None)}
        assert workers.read_until(connection, "jobs") == 7
        assert workers.all_seen(connection) == []


def test_a_backup_of_a_newer_program_is_refused_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    with shop() as app, monkeypatch.context() as later:
        later.setattr(migrations, "HEAD", "9999")
        later.setattr(backups, "program_version", lambda: "7.8.9")
        backups.make(app, Path("shop.tar.gz"))
    with pytest.raises(StorageError, match=r"schema is 9999, newer .* Shelfwise 7\.8\.9 or newer"):
        backups.restore(Path("shop.tar.gz"), "other.db")
    assert not Path("other.db").exists()


def test_a_sealed_backup_opens_under_an_earlier_key_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = new_key(), new_key()
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY", first)
    with shop() as app:
        counted(app)
        backups.make(app, Path("shop.sealed"))
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY", second)
    with pytest.raises(NoKey):
        backups.restore(Path("shop.sealed"), "other.db")
    assert not Path("other.db").exists()
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY_PREVIOUS", first)
    backups.restore(Path("shop.sealed"), "other.db")
    assert everything("other.db") == everything()


def test_the_newest_backups_of_this_shop_stay_and_nothing_else_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("backups")
    folder.mkdir()
    others = ["tea-20200101T000000Z.tar.gz", "shop-20200101T000000Z.tar.gz.txt", "shop-notes.tar.gz", "shop.db"]
    old = [f"shop-2020010{day}T000000Z.tar.gz{end}" for day, end in ((1, ""), (2, ".sealed"), (3, ""))]
    for name in (*others, *old):
        (folder / name).write_bytes(gzip.compress(b""))
    with shop(backup_folder=folder) as app:
        made = backups.make_in(app, folder, keep=2)
        assert {path.name for path in made.removed} == set(old[:2])
        assert {path.name for path in folder.iterdir()} == {*others, old[2], made.path.name}
        age = backups.newest_age(app.settings)
    assert age is not None
    assert 0 <= age.total_seconds() < 60


def test_a_backup_is_made_every_night_where_a_folder_is_set() -> None:
    [nightly] = [one for one in reactions.SCHEDULE if one.kind == job_kinds.BACKUP]
    with shop() as app:
        assert reactions.rule_of(app, nightly) is None
        assert job_kinds.backup(app, {}, lambda *_: None) == {"skipped": "no backup folder is set any more"}
        assert list(metrics._backup(app)) == []
    with shop(backup_folder="kept", backup_keep=1, nightly_at="03:15") as app:
        assert reactions.rule_of(app, nightly) == "every day at 03:15 UTC"
        assert doctor._backups(app).state == "problem"
        counted(app)
        done = job_kinds.backup(app, {}, lambda *_: None)
        assert [path.name for path in Path("kept").iterdir()] == [done["file"]]
        [(name, _, age)] = metrics._backup(app)
        assert name == "shelfwise_backup_age_seconds"
        assert 0 <= age < 60
        assert doctor._backups(app).state == "ok"
        old = Path("kept", done["file"]).rename("kept/shop-20200101T000000Z.tar.gz")
        assert "days old" in doctor._backups(app).found
        assert backups.check(old).rows == done["rows"]


@pytest.mark.kill
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(
    ("what", "states"),
    [("backup", {"nothing", "whole"}), ("restore", {"nothing", "whole"}), ("replace", {"before", "whole"})],
)
def test_whatever_is_killed_at_any_step_leaves_whole_files(what: str, states: set[str], stride: int) -> None:
    for path, count in (("shop.db", 5), ("before.db", 3)):
        with shop(path) as app:
            counted(app)
            selling(app, count)
            name = artefacts.save(Path("shop.models"), b"fitted")
            rows = [
                {"name": "naive", "number": n, "scope": "shop", "created_at": app.now(), "state": "ready",
                 "parameters": {}, "metrics": {}, "data_until": app.today(), "data_fingerprint": "", "sha256": name,
                 "size": 6, "made_by": "x" * 900}
                for n in range(1, 5001)
            ]  # fmt: skip
            with app.database.write() as connection:
                connection.execute(insert(model_versions), rows)
    with shop() as app:
        backups.make(app, Path("shop.tar.gz"))
    said = subprocess.run(
        [sys.executable, "-m", "tests.services.killed_backup", what, str(stride)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    *killed, last = said.stdout.split()
    assert set(killed) | {last} == states
    assert last == "whole"
    assert len(killed) >= 14 // stride
