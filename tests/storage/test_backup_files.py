"""A backup's file is read whole or refused: whatever was flipped, cut off, reordered, renamed or made up."""

from __future__ import annotations

import datetime as dt
import errno
import gzip
import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from shelfwise.domain.errors import StorageError
from shelfwise.storage import backup_files
from shelfwise.storage.backup_files import BackupReader, BackupWriter, Head, Model, Part, new_file, tidy
from shelfwise.storage.sealing import NO_KEYS, Keys, NoKey
from shelfwise.storage.table_copies import Form

KEYS = Keys((b"k" * 32,))
ONE = Form("products", ("id",), (("id", "integer"), ("code", "text")))
OTHER = Form("prices", ("id",), (("id", "integer"), ("price", "real")))
MADE_AT = dt.datetime(2026, 11, 22, 2, tzinfo=dt.UTC)
HEAD = Head("0.1.0", "0015", MADE_AT, "sqlite", (ONE, OTHER), {"products": 3, "prices": 1})
PAYLOAD = b"arrays of a model" * 9
NAME = sha256(PAYLOAD).hexdigest()


def written(keys: Keys = NO_KEYS) -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file, HEAD, keys)
    writer.model(NAME, PAYLOAD)
    writer.rows(ONE, [(1, "tea"), (2, "🍵")])
    writer.rows(ONE, [(5, None)])
    writer.rows(OTHER, [(1, 0.1)])
    writer.finish(["0" * 64])
    return file.getvalue()


def read(data: bytes, keys: Keys = NO_KEYS) -> list[Model | Part]:
    reader = BackupReader(io.BytesIO(data), keys, "shop.tar.gz")
    found = list(reader.parts())
    assert reader.head == HEAD
    assert reader.missing_models == ("0" * 64,)
    return found


def members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(each.name, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]


def packed(content: list[tuple[str, bytes]], change: Callable[[tarfile.TarInfo], None] | None = None) -> bytes:
    file = io.BytesIO()
    for name, payload in content:
        info = tarfile.TarInfo(name)
        info.size = len(payload)
        if change is not None:
            change(info)
        file.write(info.tobuf(tarfile.USTAR_FORMAT) + payload + bytes(-len(payload) % 512))
    return gzip.compress(file.getvalue() + bytes(1024))


@pytest.mark.parametrize("keys", [NO_KEYS, KEYS], ids=["plain", "sealed"])
def test_what_is_written_is_read(keys: Keys) -> None:
    parts = [(ONE, [(1, "tea"), (2, "🍵")]), (ONE, [(5, None)]), (OTHER, [(1, 0.1)])]
    assert read(written(keys), keys) == [Model(NAME, PAYLOAD), *(Part(form, rows) for form, rows in parts)]


def test_a_plain_backup_opens_with_any_tool_and_a_sealed_one_with_none() -> None:
    found = dict(members(written()))
    assert json.loads(found["tables/products/000000.json"]) == [[1, "tea"], [2, "🍵"]]
    assert found[f"models/{NAME}.npz"] == PAYLOAD
    assert packed(members(written())) != written()
    read(packed(members(written())))  # made by another tool it is as good
    with pytest.raises(tarfile.TarError):
        members(written(KEYS))
    assert b"tea" not in written(KEYS)


def test_any_flipped_byte_of_a_sealed_backup_is_refused() -> None:
    data = written(KEYS)
    for place in range(0, len(data), 3):
        with pytest.raises(StorageError):
            read(flipped(data, place), KEYS)


def test_a_plain_backup_with_a_flipped_byte_is_refused_or_says_the_same() -> None:
    data, refused = written(), 0
    whole = read(data)
    for place in range(len(data)):
        # A run of zeros can be pressed in several ways: such a byte changes nothing that is in the file.
        try:
            assert read(flipped(data, place)) == whole
        except StorageError:
            refused += 1
    assert refused > 0.9 * len(data)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 0x10
    return bytes(changed)


@pytest.mark.parametrize("keys", [NO_KEYS, KEYS], ids=["plain", "sealed"])
def test_a_backup_that_is_cut_off_or_goes_on_is_refused(keys: Keys) -> None:
    data = written(keys)
    for length in range(0, len(data), 7):
        with pytest.raises(StorageError):
            read(data[:length], keys)
    for more in (b"\0", data, b"x" * 1000):
        with pytest.raises(StorageError):
            read(data + more, keys)


def test_a_sealed_backup_needs_its_key() -> None:
    for keys in (NO_KEYS, Keys((b"n" * 32,))):
        with pytest.raises(NoKey, match="SHELFWISE_ENCRYPTION_KEY"):
            read(written(KEYS), keys)


def _renamed(name: str) -> Callable[[list[Any]], list[Any]]:
    return lambda content: [(name if n.startswith("models/") else n, p) for n, p in content]


def _moved(content: list[Any]) -> list[Any]:
    return [*content[:2], content[3], content[2], *content[4:]]


def _with(place: int, name: str | None, payload: bytes) -> Callable[[list[Any]], list[Any]]:
    return lambda content: [*content[:place], (name or content[place][0], payload), *content[place + 1 :]]


@pytest.mark.parametrize(
    "change",
    [
        *(_renamed(f"models/{name}") for name in ("../../etc/passwd", f"../{NAME}.npz", f"{NAME}.npz/..", "0" * 64)),
        _renamed(f"/models/{NAME}.npz"), _renamed(f"models/{'1' * 64}.npz"), _renamed("tables/../000000.json"),
        _renamed("tables/sessions/000000.json"), _moved, lambda c: [*c[:2], *c[3:]], lambda c: c[1:],
        lambda c: [c[0], c[1], *c[1:]], lambda c: [*c[:4], c[4], c[4], c[5]], lambda c: c[:-1],
        lambda c: [*c[:2], c[4], *c[2:4], c[5]], _with(2, None, b'[[1,"tea"],[2,"milk"]]'),
        _with(4, None, b"[[1,1.5]]"),
        _with(5, None, b"[]"), _with(5, None, b"{}"), _with(5, None, b"{"), _with(0, None, b"{}"), _with(0, None, b"["),
        _with(0, "tables/products/000000.json", b"[]"),
    ],
)  # fmt: skip
def test_members_are_taken_by_their_names_and_in_their_order_alone(change: Callable[[list[Any]], list[Any]]) -> None:
    with pytest.raises(StorageError, match="shop.tar.gz is no whole backup"):
        read(packed(change(members(written()))))


@pytest.mark.parametrize(
    "change",
    [
        lambda info: setattr(info, "size", 2**33 - 1), lambda info: setattr(info, "size", 300 << 20),
        lambda info: setattr(info, "type", tarfile.SYMTYPE), lambda info: setattr(info, "type", tarfile.LNKTYPE),
        lambda info: setattr(info, "type", tarfile.DIRTYPE), lambda info: setattr(info, "type", b"L"),
        lambda info: setattr(info, "type", tarfile.XHDTYPE),
    ],
)  # fmt: skip
def test_sizes_and_kinds_of_members_are_not_believed(change: Callable[[tarfile.TarInfo], None]) -> None:
    def of_rows(info: tarfile.TarInfo) -> None:
        if info.name.startswith("tables/"):
            change(info)

    with pytest.raises(StorageError, match="is no plain file|are the most"):
        read(packed(members(written()), of_rows))


def test_a_bomb_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    info = tarfile.TarInfo("backup.json")
    info.size = backup_files.MOST_HEAD_BYTES + 1
    bomb = gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(40 << 20))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(StorageError, match="are the most"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"form": 2}, "form 2 and this program reads form 1"),
        ({"made_at": "soon"}, "cannot be read"),
        ({"rows": {"products": 3}}, "names a table twice"),
        ({"rows": {"products": 4, "prices": 1}}, "counts other rows"),
        ({"tables": [{"name": "a b", "key": [], "columns": []}]}, "no name of a table"),
        ({"tables": [{"name": "a", "key": ["id"], "columns": [["id", "date"]]}]}, "is not one"),
        ({"tables": [{"name": "a", "key": ["x"], "columns": [["id", "integer"]]}]}, "is not one"),
        ({"tables": [{"name": "a", "key": [], "columns": [['x"; --', "integer"]]}]}, "no name of a table"),
        ({"tables": [7]}, "cannot be read"),
    ],
)
def test_a_head_that_says_something_else_is_refused(change: dict[str, Any], said: str) -> None:
    content = members(written())
    head = json.dumps({**HEAD.to_json(), **change}).encode()
    with pytest.raises(StorageError, match=said):
        read(packed([(content[0][0], head), *content[1:]]))


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "made" / "shop.tar.gz"

    def half() -> None:
        with new_file(path, force=False) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(path.parent.iterdir()) == []
    with new_file(path, force=False) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError, match="is there already"), new_file(path, force=False) as file:
        file.write(b"another")
    with new_file(path, force=True) as file:
        file.write(b"another")
    assert path.read_bytes() == b"another"
    assert [each.name for each in path.parent.iterdir()] == ["shop.tar.gz"]


def test_a_full_disk_leaves_no_half_file_and_says_so(tmp_path: Path) -> None:
    class Full(io.RawIOBase):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill() -> None:
        with new_file(tmp_path / "shop.tar.gz", force=False):
            BackupWriter(Full(), HEAD, KEYS).finish([])

    with pytest.raises(StorageError, match="the disk is full, so there is no new backup"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_backup_left_is_removed_a_day_later(tmp_path: Path) -> None:
    names = [f".shop.tar.gz.{'a' * 32}.part", f".shop.tar.gz.{'b' * 32}.part", ".mine.part", "notes.part"]
    for name in names:
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    os.utime(tmp_path / names[1])
    tidy(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names[1:])
