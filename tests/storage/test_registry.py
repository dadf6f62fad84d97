"""The registry in the store: numbers, aliases that move at once, the way back, and files that are what was saved."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.storage.worlds import moment

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ConflictError, NotFound, StorageError
from shelfwise.storage import artefacts, registry
from shelfwise.storage.database import Database
from shelfwise.storage.registry import CHALLENGER, CHAMPION, Score, Version
from shelfwise.storage.sealing import Keys, NoKey

NOON = moment("2026-11-21T12:00:00")


def added(connection: Connection, name: str = "theta", scope: str = "shop", **changes: Any) -> Version:
    values = {
        "name": name, "scope": scope, "created_at": NOON, "state": "ready", "parameters": {"horizon": 28},
        "metrics": {"rmse": 1.5}, "data_until": date(2026, 11, 20), "data_fingerprint": "d" * 64, "sha256": "a" * 64,
        "size": 17, "made_by": "Ada",
    }  # fmt: skip
    return registry.add(connection, values | changes)


def put_to_work(connection: Connection, version: Version, alias: Any = CHAMPION, scope: str = "shop") -> None:
    registry.deploy(connection, scope, alias, version, action="deploy", reason="", made_by="Ada", made_at=NOON)


def test_versions_of_one_name_are_numbered_one_by_one(database: Database) -> None:
    with database.write() as connection:
        labels = [added(connection, name).label for name in ("theta", "trees", "theta")]
    assert labels == ["theta@1", "trees@1", "theta@2"]
    with database.read() as connection:
        found = registry.version_named(connection, "theta", 2)
        assert found == registry.version(connection, found.id)
        assert (found.metrics, found.created_at, found.data_until) == ({"rmse": 1.5}, NOON, date(2026, 11, 20))
        assert [one.label for one in registry.versions(connection, name="theta")] == ["theta@2", "theta@1"]
        assert [one.id for one in registry.versions(connection, before=found.id, limit=1)] == [found.id - 1]


def test_a_version_nobody_made_is_told_with_those_there_are(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(NotFound, match="none has been trained yet"):
            registry.version(connection, 7)
        added(connection)
        with pytest.raises(NotFound, match="the newest are theta@1"):
            registry.version_named(connection, "theta", 9)


def test_an_alias_moves_from_one_version_to_another_and_that_is_written_down(database: Database) -> None:
    with database.write() as connection:
        first, second = added(connection), added(connection)
        assert registry.holder(connection, "shop", CHAMPION) is None
        put_to_work(connection, first)
        put_to_work(connection, second, CHALLENGER)
        assert registry.aliases(connection) == {first.id: ["champion"], second.id: ["challenger"]}
        put_to_work(connection, second)
        assert registry.aliases(connection) == {second.id: ["champion"]}
        story = registry.deployments(connection, scope="shop", alias=CHAMPION)
    assert [(one.version_id, one.previous_id) for one in story] == [(second.id, first.id), (first.id, None)]


def put_to_work_and_fail(database: Database, version: registry.Version) -> None:
    with database.write() as connection:
        put_to_work(connection, version)
        raise RuntimeError


def test_a_switch_that_fails_leaves_the_champion_where_it_was(database: Database) -> None:
    with database.write() as connection:
        first, second = added(connection), added(connection)
        put_to_work(connection, first)
    with pytest.raises(RuntimeError):
        put_to_work_and_fail(database, second)
    with database.read() as connection:
        champion = registry.holder(connection, "shop", CHAMPION)
        assert champion is not None
        assert champion.id == first.id
        assert len(registry.deployments(connection)) == 1


def test_what_cannot_answer_is_not_deployed(database: Database) -> None:
    with database.write() as connection:
        mine, gone = added(connection, scope="product:TEA"), added(connection)
        with pytest.raises(ConflictError, match="trained for product:TEA and cannot answer for shop"):
            put_to_work(connection, mine)
        registry.archive(connection, [gone.id])
        with pytest.raises(ConflictError, match="the file of theta@2 was removed"):
            put_to_work(connection, registry.version(connection, gone.id))
        put_to_work(connection, mine, scope="product:TEA")
        with pytest.raises(ConflictError, match="champion of product:TEA already"):
            put_to_work(connection, mine, scope="product:TEA")
        assert registry.hashes(connection) == {"a" * 64}


def test_a_score_of_the_same_days_takes_the_place_of_the_earlier_one(database: Database) -> None:
    with database.write() as connection:
        version = added(connection)
        for error in (3.0, 2.0):
            registry.save_score(connection, Score(version.id, date(2026, 11, 20), 7, {"rmse": error}, NOON))
        registry.save_score(connection, Score(version.id, date(2026, 11, 13), 7, {"rmse": 4.0}, NOON))
        found = registry.scores(connection, version.id)
    assert [(one.cutoff.day, one.metrics["rmse"]) for one in found] == [(13, 4.0), (20, 2.0)]


def test_an_artefact_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    name = artefacts.save(folder, b"fitted")
    assert artefacts.load(folder, name) == b"fitted"
    assert artefacts.save(folder, b"fitted") == name
    assert [path.name for path in folder.iterdir()] == [f"{name}.npz"]
    assert (folder / f"{name}.npz").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("bytes_there", [b"fittee", b"", b"fitted and more"])
def test_an_artefact_that_was_changed_is_not_loaded(tmp_path: Path, bytes_there: bytes) -> None:
    name = artefacts.save(tmp_path, b"fitted")
    (tmp_path / f"{name}.npz").write_bytes(bytes_there)
    with pytest.raises(ConflictError, match="not what was saved"):
        artefacts.load(tmp_path, name)
    assert artefacts.save(tmp_path, b"fitted") == name  # saved again, it is whole again
    assert artefacts.load(tmp_path, name) == b"fitted"


def test_a_hash_that_is_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no hash"):
        artefacts.load(tmp_path, "../../etc/passwd")
    with pytest.raises(ConflictError, match="is gone"):
        artefacts.load(tmp_path, "0" * 64)


def test_what_was_left_over_is_removed_when_it_is_old(tmp_path: Path) -> None:
    wanted, orphan, fresh = (artefacts.save(tmp_path, text) for text in (b"a", b"b", b"c"))
    cut_off, other = tmp_path / f"{wanted}.12.part", tmp_path / "notes.txt"
    for path in (cut_off, other):
        path.write_text("half")
    long_ago = time.time() - 2 * artefacts.LEFT_OVER_SECONDS
    for path in (tmp_path / f"{wanted}.npz", tmp_path / f"{orphan}.npz", cut_off, other):
        os.utime(path, (long_ago, long_ago))
    assert artefacts.tidy(tmp_path, {wanted}) == 2
    assert {path.name for path in tmp_path.iterdir()} == {f"{wanted}.npz", f"{fresh}.npz", "notes.txt"}
    assert artefacts.tidy(tmp_path / "nowhere", set()) == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="SHELFWISE_MODELS_FOLDER"):
        artefacts.save(tmp_path / "taken", b"fitted")


def test_artefacts_stand_beside_the_database_unless_told_otherwise(tmp_path: Path) -> None:
    assert artefacts.folder_of(Address.parse(tmp_path / "tea.db"), None) == tmp_path / "tea.models"
    assert artefacts.folder_of(Address.parse("postgresql://ada@db:5432/tea"), None) == Path("models")
    assert artefacts.folder_of(Address.parse("tea.db"), tmp_path) == tmp_path


def test_an_artefact_is_sealed_where_there_is_a_key_and_keeps_its_name(tmp_path: Path) -> None:
    first, second = Keys((b"1" * 32,)), Keys((b"2" * 32, b"1" * 32))
    plain = artefacts.save(tmp_path, b"fitted once")
    assert artefacts.save(tmp_path, b"fitted once", first) == plain  # the plain file gives way
    file = tmp_path / f"{plain}.npz"
    sealed = file.read_bytes()
    assert b"fitted" not in sealed
    artefacts.save(tmp_path, b"fitted once", first)
    assert file.read_bytes() == sealed
    assert artefacts.load(tmp_path, plain, first) == artefacts.load(tmp_path, plain, second) == b"fitted once"
    with pytest.raises(NoKey):
        artefacts.load(tmp_path, plain)
    other = artefacts.save(tmp_path, b"fitted twice", first)
    file.write_bytes((tmp_path / f"{other}.npz").read_bytes())  # a whole file of the same key, under another name
    with pytest.raises(ConflictError, match="not what was saved"):
        artefacts.load(tmp_path, plain, first)


def test_files_are_brought_under_a_new_key_and_what_cannot_be_opened_is_left(tmp_path: Path) -> None:
    old, new = Keys((b"1" * 32,)), Keys((b"2" * 32, b"1" * 32))
    plain = artefacts.save(tmp_path, b"a")
    sealed, lost = artefacts.save(tmp_path, b"b", old), artefacts.save(tmp_path, b"c", Keys((b"3" * 32,)))
    names = {plain, sealed, lost, "0" * 64}
    kept = (tmp_path / f"{lost}.npz").read_bytes()
    assert set(artefacts.not_under(tmp_path, names, new)) == {plain, sealed, lost}
    assert artefacts.reseal(tmp_path, names, new) == (2, [lost])
    assert artefacts.not_under(tmp_path, names, new) == [lost]
    assert (tmp_path / f"{lost}.npz").read_bytes() == kept
    assert [artefacts.load(tmp_path, name, Keys((b"2" * 32,))) for name in (plain, sealed)] == [b"a", b"b"]
