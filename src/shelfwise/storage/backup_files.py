"""The file of a backup: a ``tar.gz`` that any tool opens, sealed as a whole where there is a key.

=========================== ==============================================================================
member                      holds
=========================== ==============================================================================
``backup.json``             first: the program and schema it is of, when it was made, the forms of its tables
``models/<hash>.npz``       a model's file, under the SHA-256 of its content
``tables/<name>/<n>.json``  rows of a table, numbered from 0: `shelfwise.storage.table_copies`
``contents.json``           last: rows and SHA-256 of each table, size of each model
=========================== ==============================================================================

It is written and read from its beginning to its end, so neither needs more memory than the largest member. A reader
believes nothing: every name, order, size, count and hash is checked, and a size is refused before it is reserved.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import json
import os
import re
import tarfile
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

from shelfwise.domain.errors import StorageError
from shelfwise.storage import sealing
from shelfwise.storage.sealing import Keys, OpeningReader, SealingWriter, Sink, Source
from shelfwise.storage.table_copies import MOST_BYTES, Form, Rows, decoded, encoded

FORM: Final = 1
HEAD: Final = "backup.json"
CONTENTS: Final = "contents.json"
MOST_MODEL_BYTES: Final = 1 << 30
MOST_HEAD_BYTES: Final = 16 << 20
UNFINISHED: Final = ".part"
STALE_SECONDS: Final = 86_400.0
_BLOCK: Final = 512
_READ: Final = 256 << 10
_LEVEL: Final = 3
_GZIP: Final = 31  # zlib's word for the form of gzip
_MODEL: Final = re.compile(r"models/([0-9a-f]{64})\.npz")
_PART: Final = re.compile(r"tables/([a-z][a-z0-9_]{0,62})/([0-9]{6,12})\.json")


@dataclass(frozen=True)
class Head:
    """What a backup says of itself.

    Parameters
    ----------
    program, schema
        Version of the program that made it, and revision of its schema.
    made_at
        In UTC.
    database
        Kind of the database it was made from.
    tables
        Their forms, each after those it refers to.
    rows
        How many rows each table had.
    """

    program: str
    schema: str
    made_at: dt.datetime
    database: str
    tables: tuple[Form, ...]
    rows: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {
            "form": FORM, "program": self.program, "schema": self.schema, "made_at": self.made_at.isoformat(),
            "database": self.database, "tables": [one.to_json() for one in self.tables], "rows": dict(self.rows),
        }  # fmt: skip

    @classmethod
    def from_json(cls, given: Any) -> Head:
        """Read what `to_json` returned."""
        try:
            if given["form"] != FORM:
                raise StorageError(
                    f"it is of form {given['form']!r:.40} and this program reads form {FORM}; restore it with the "
                    f"version that made it, {given['program']!r:.40}, or a newer one"
                )
            head = cls(
                str(given["program"]), str(given["schema"]), dt.datetime.fromisoformat(given["made_at"]),
                str(given["database"]), tuple(map(Form.from_json, given["tables"])),
                {str(name): int(count) for name, count in given["rows"].items()},
            )  # fmt: skip
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise StorageError(f"its {HEAD} cannot be read ({error})") from error
        if {one.name for one in head.tables} != set(head.rows) or len(head.rows) != len(head.tables):
            raise StorageError(f"its {HEAD} names a table twice, or without a count")
        return head


@dataclass(frozen=True)
class Model:
    """The file of a model."""

    name: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True)
class Part:
    """Some rows of a table."""

    table: Form
    rows: Sequence[tuple[Any, ...]] = field(repr=False)


# --- writing


@contextlib.contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Give a file that becomes ``path`` when all of it is on the disk, and is gone after any error.

    Raises
    ------
    StorageError
        There is a file of that name and ``force`` is false; the folder cannot be written; the disk is full.
    """
    _refuse_existing(path, force)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _refuse_existing(path, force)
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(
                f"{path.parent}: the disk is full, so there is no new backup; free some space, or name another folder"
            ) from error
        raise StorageError(
            f"{path}: it cannot be written ({error.strerror or error}); name a place that may be written"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise StorageError(f"{path} is there already and was left as it is; name another file, or add --force")


def tidy(folder: Path) -> None:
    """Remove what killed backups left in a folder, once it is a day old."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if re.fullmatch(rf"\..+\.[0-9a-f]{{32}}{UNFINISHED}", path.name) and (
                time.time() - path.stat().st_mtime > STALE_SECONDS
            ):
                path.unlink()


def sync_folder(folder: Path) -> None:
    """Bring the folder's list of names to the disk, where the system knows such a thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class BackupWriter:
    """Writes a backup: the head, models, rows table by table, and `finish`."""

    def __init__(self, file: Sink, head: Head, keys: Keys) -> None:
        self._sealing = None if keys.present is None else SealingWriter(file, keys.present, "backup")
        self._sink: Sink = file if self._sealing is None else self._sealing
        self._press = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._made = int(head.made_at.timestamp())
        self._models: dict[str, int] = {}
        self._tables = {one.name: {"rows": 0, "parts": 0} for one in head.tables}
        self._hashes = {one.name: sha256() for one in head.tables}
        self._add(HEAD, json.dumps(head.to_json(), ensure_ascii=False).encode("utf-8"))

    def model(self, name: str, payload: bytes) -> None:
        """Add a model's file."""
        self._add(f"models/{name}.npz", payload)
        self._models[name] = len(payload)

    def rows(self, form: Form, rows: Rows) -> None:
        """Add rows of a table, behind those before."""
        payload, so_far = encoded(form, rows), self._tables[form.name]
        self._add(f"tables/{form.name}/{so_far['parts']:06}.json", payload)
        self._hashes[form.name].update(payload)
        so_far["rows"] += len(rows)
        so_far["parts"] += 1

    def finish(self, missing: Sequence[str]) -> None:
        """Write what a reader checks all of it against; ``missing`` are models without a file."""
        tables = {name: {**so_far, "sha256": self._hashes[name].hexdigest()} for name, so_far in self._tables.items()}
        contents = {"tables": tables, "models": self._models, "missing_models": list(missing)}
        self._add(CONTENTS, json.dumps(contents).encode("utf-8"))
        self._sink.write(self._press.compress(bytes(2 * _BLOCK)))
        self._sink.write(self._press.flush())
        if self._sealing is not None:
            self._sealing.finish()

    def _add(self, name: str, payload: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(payload), self._made, 0o600
        # A header of the oldest form, so that its 512 bytes are all there is to it.
        header = member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
        for data in (header, payload, bytes(-len(payload) % _BLOCK)):
            if pressed := self._press.compress(data):
                self._sink.write(pressed)


# --- reading


class BackupReader:
    """Reads a backup once, from its beginning to its end; `parts` is to be read to its end to know that it is whole."""

    def __init__(self, file: BinaryIO, keys: Keys, what: str) -> None:
        beginning = file.read(len(sealing.MAGIC))
        file.seek(0)
        self.what = what
        self.is_encrypted = sealing.is_sealed(beginning)
        self.missing_models: tuple[str, ...] = ()
        source: Source = OpeningReader(file, keys, "backup", what=what) if self.is_encrypted else file
        self._bytes = _Unpressed(source, what)
        with self._told():
            name, payload = self._member(first=True)
            if name != HEAD:
                raise StorageError(f"its first member is {name!r:.80} and not {HEAD}")
            self.head = Head.from_json(_json_of(payload))

    def parts(self) -> Iterator[Model | Part]:
        """Give models and rows in their order, each checked by itself; at the end all of them together.

        Raises
        ------
        StorageError
            Something is not what was written; what was given before is not to be used.
        """
        with self._told():
            yield from self._parts()

    def _parts(self) -> Iterator[Model | Part]:
        models: dict[str, int] = {}
        forms = {one.name: one for one in self.head.tables}
        order = {name: place for place, name in enumerate(forms)}
        found = {name: {"rows": 0, "parts": 0} for name in forms}
        hashes = {name: sha256() for name in forms}
        last = -1
        while True:
            name, payload = self._member()
            if name == CONTENTS:
                break
            if model := _MODEL.fullmatch(name):
                if sha256(payload).hexdigest() != model[1] or model[1] in models:
                    raise StorageError(f"{name} is not what its name says")
                models[model[1]] = len(payload)
                yield Model(model[1], payload)
                continue
            part = _PART.fullmatch(name)
            if part is None or part[1] not in forms:
                raise StorageError(f"no backup has a member {name!r:.80}")
            table = part[1]
            if int(part[2]) != found[table]["parts"] or order[table] < last:
                raise StorageError(f"{name} is not in its place")
            last = order[table]
            rows = decoded(forms[table], payload)
            hashes[table].update(payload)
            found[table]["rows"] += len(rows)
            found[table]["parts"] += 1
            yield Part(forms[table], rows)
        self._bytes.end()
        contents = _json_of(payload)
        told = {name: {**of, "sha256": hashes[name].hexdigest()} for name, of in found.items()}
        if not isinstance(contents, dict) or (contents.get("tables"), contents.get("models")) != (told, models):
            raise StorageError(f"its {CONTENTS} names other rows or models than there are")
        if {name: of["rows"] for name, of in found.items()} != dict(self.head.rows):
            raise StorageError(f"its {HEAD} counts other rows than there are")
        missing = contents.get("missing_models")
        self.missing_models = tuple(map(str, missing)) if isinstance(missing, list) else ()

    def _member(self, *, first: bool = False) -> tuple[str, bytes]:
        header = self._bytes.exactly(_BLOCK)
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise StorageError(f"it has no readable member where one should be ({error})") from error
        if member.type != tarfile.REGTYPE:
            raise StorageError(f"its member {member.name!r:.80} is no plain file")
        model = member.name.startswith("models/")
        most = MOST_HEAD_BYTES if first else MOST_MODEL_BYTES if model else MOST_BYTES
        if not 0 <= member.size <= most:
            raise StorageError(
                f"its member {member.name!r:.80} says it has {member.size:,} bytes; {most:,} are the most"
            )
        payload = self._bytes.exactly(member.size)
        if any(self._bytes.exactly(-member.size % _BLOCK)):
            raise StorageError(f"behind its member {member.name!r:.80} is something else")
        return member.name, payload

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say of which file it is."""
        try:
            yield
        except StorageError as error:
            if str(error).startswith(self.what):
                raise
            raise StorageError(f"{self.what} is no whole backup: {error}; take another copy") from error


class _Unpressed:
    """What a gzip file holds, handed out in pieces of a wanted size and never more at once."""

    def __init__(self, source: Source, what: str) -> None:
        self._source, self._what = source, what
        self._press = zlib.decompressobj(_GZIP)
        self._waiting = b""

    def exactly(self, size: int) -> bytes:
        """Return so many bytes; fewer are an error."""
        parts: list[bytes] = []
        left = size
        while left:
            part = self._some(left)
            if not part:
                raise StorageError("it is cut off")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def end(self) -> None:
        """Make sure that only the end follows."""
        if any(self.exactly(2 * _BLOCK)) or self._some(1) or self._press.unused_data or self._source.read(1):
            raise StorageError("something follows its end")

    def _some(self, most: int) -> bytes:
        while not self._press.eof:
            data = self._waiting or self._source.read(_READ)
            try:
                found = self._press.decompress(data, most)
            except zlib.error as error:
                raise StorageError(f"it is damaged ({error})") from error
            self._waiting = self._press.unconsumed_tail
            if found:
                return found
            if not data:
                raise StorageError("it is cut off")
        return b""


def _json_of(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"what should be JSON is not ({error})") from error
