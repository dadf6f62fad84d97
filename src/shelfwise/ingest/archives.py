"""Take what was named on the command line apart into single files: folders, ZIP archives and gzip files.

Nothing is ever written to disk, so no name inside an archive can lead anywhere. What an archive says of its sizes is
checked before it is unpacked and again while it is: the bytes are counted by the inflater, not by the header. The files
of one archive are bounded by their sum, whatever else they are packed in.
"""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Final

from shelfwise.domain.errors import FileRefused, Place
from shelfwise.ingest import detect
from shelfwise.ingest.personal import masked

MOST_MEMBERS: Final = 10_000
MOST_TIMES: Final = 200  # unpacked bytes to packed ones; tables of text are packed 5 to 40 times
HARMLESS: Final = 64 << 20  # bytes up to which no ratio is suspicious
_PIECE: Final = 1 << 20
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_GZIP: Final = b"\x1f\x8b"
_OPENDOCUMENT: Final = ("content.xml", "encrypted-package")  # the second in one that is protected as a whole
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_ENCRYPTED: Final = 1  # bit of a member's flags
_LOCAL_HEADER: Final = 30  # bytes in front of a member's name
_SPLIT: Final = "split it, or unpack it and give the files you need"


@dataclass(frozen=True)
class File:
    """One file with its bytes. ``name`` is what a person is shown, like ``exports.zip/orders.csv``.

    ``changed`` is when it was last changed, in seconds since 1970. ``alone`` tells that the file was named by itself,
    so that it is refused, not left alone, where it is no table.
    """

    name: str
    data: bytes = field(repr=False)
    changed: float
    alone: bool = True


@dataclass(frozen=True)
class LeftAlone:
    """A file or sheet that was seen and not read, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        """Read as ``exports.zip/readme.pdf was left alone: is a PDF document``."""
        return f"{self.name} was left alone: {self.reason}"


def files(path: Path) -> Iterator[File | LeftAlone]:
    """Yield the files that ``path`` stands for: itself, the members of an archive, or the files of a folder.

    Raises
    ------
    FileRefused
        It cannot be read, is protected by a password, is damaged, or would unpack to more than it should.
    """
    name = masked(path.name or str(path))
    try:
        if not path.is_dir():
            yield from _of_file(path, name, alone=True)
            return
        inside = sorted(path.iterdir())
    except (OSError, ValueError) as error:
        raise detect.unreadable(name, error) from None
    count = 0
    for child in inside:
        label = f"{name}/{masked(child.name)}"
        if _hidden(child.name):
            continue
        count += 1
        if count > MOST_MEMBERS:
            raise FileRefused(Place(name), "", f"holds more than {MOST_MEMBERS:,} files", "name the files to be read")
        try:
            mode = child.stat().st_mode
        except OSError as error:
            raise detect.unreadable(label, error) from None
        if stat.S_ISDIR(mode):
            yield LeftAlone(label, "is a folder inside the folder; name it by itself")
        elif not stat.S_ISREG(mode):
            yield LeftAlone(label, "is not a plain file")
        else:
            yield from _of_file(child, label, alone=False)
    if not count:
        raise FileRefused(Place(name), "", "is a folder with no files in it", "name a folder that holds the exports")


def _hidden(name: str) -> bool:
    """Whether a name is the system's own: dot files, ``__MACOSX``, and the lock files of an open spreadsheet."""
    return name.startswith((".", "__MACOSX", "~$")) or name in ("Thumbs.db", "desktop.ini")


def _of_file(path: Path, name: str, *, alone: bool) -> Iterator[File | LeftAlone]:
    head = detect.first_bytes(path, name)
    if head.startswith(_ZIP) and path.is_file():
        with path.open("rb") as stream:
            if not _is_workbook(stream):
                yield from _of_zip(stream, name)
                return
    data = detect.read_bytes(path, name)
    yield from _of_bytes(data, name, path.stat().st_mtime, alone=alone, packed=0)


def _of_bytes(data: bytes, name: str, changed: float, *, alone: bool, packed: int) -> Iterator[File | LeftAlone]:
    """Yield what ``data`` holds; ``packed`` counts the archives around it."""
    if data.startswith(_GZIP):
        if packed > 1:
            yield LeftAlone(name, "is packed more than twice; unpack it first")
            return
        inner = name.removesuffix(".gz").removesuffix(".GZ")
        yield from _of_bytes(_gunzipped(data, name), inner, changed, alone=alone, packed=packed + 1)
    elif data.startswith(_ZIP) and not _is_workbook(io.BytesIO(data)):
        if packed:
            yield LeftAlone(name, "is an archive inside an archive; unpack it first")
        else:
            yield from _of_zip(io.BytesIO(data), name)
    else:
        yield File(name, data, changed, alone)


def _is_workbook(stream: IO[bytes]) -> bool:
    """Whether a ZIP archive is a document of an office program, which is looked into elsewhere."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return False
    finally:
        stream.seek(0)
    return "[Content_Types].xml" in names or ("mimetype" in names and not names.isdisjoint(_OPENDOCUMENT))


def _of_zip(stream: IO[bytes], name: str) -> Iterator[File | LeftAlone]:
    members = [
        member for member in entries(stream, name) if not member.is_dir() and not any(map(_hidden, _parts(member)))
    ]
    if not members:
        raise FileRefused(Place(name), "", "is an archive with no files in it", "pack it again with its files")
    size = stream.seek(0, io.SEEK_END)
    whole = 0
    for member in members:
        label = f"{name}/{masked('/'.join(_parts(member)))}"
        data = unpacked(stream, member, name)
        if not data or data.isspace():
            yield LeftAlone(label, "is empty")
            continue
        for item in _of_bytes(data, label, _changed(member), alone=False, packed=1):
            if isinstance(item, File):
                # What is packed once more inside (gzip, workbooks) is in no sum that the archive states. The tables of
                # all its files are held together until they are booked, so together they must stay within bounds.
                whole += _weight(item)
                refuse_if_swollen(whole, size, name)
            yield item


def _weight(file: File) -> int:
    """Return the bytes that a file is read from: its own, or those of a workbook's parts unpacked."""
    if not file.data.startswith(_ZIP):
        return len(file.data)
    return sum(member.file_size for member in entries(io.BytesIO(file.data), file.name))


def _parts(member: zipfile.ZipInfo) -> list[str]:
    """Return the folders and the name of a member; steps upwards and roots mean nothing here."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    return [part for part in parts if part not in ("/", "..")]


def _changed(member: zipfile.ZipInfo) -> float:
    """Return when a member was last changed. Archives keep the local time of whoever packed them, without a zone."""
    try:
        return datetime(*member.date_time).astimezone().timestamp()
    except (ValueError, OverflowError):
        return 0.0


def entries(stream: IO[bytes], name: str) -> list[zipfile.ZipInfo]:
    """Return the members of a ZIP archive once what it says of itself is within bounds.

    Raises
    ------
    FileRefused
        It is damaged, protected, or says that it unpacks to more than it should.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise damaged(name, "ZIP archive") from error
    size = stream.seek(0, io.SEEK_END)
    packed = sum(member.compress_size for member in members)
    whole = sum(member.file_size for member in members)
    if len(members) > MOST_MEMBERS:
        raise FileRefused(
            Place(name), f"{len(members):,} files", f"in one archive are more than {MOST_MEMBERS:,}", _SPLIT
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise FileRefused(
            Place(name), "", "is protected with a password", "unpack it with the password and give the files in it"
        )
    if packed > size:  # members that share the same bytes
        raise damaged(name, "ZIP archive")
    refuse_if_swollen(whole, size, name)
    return members


def refuse_if_swollen(whole: int, packed: int, name: str) -> None:
    """Refuse what unpacks to more bytes than are held in memory, or to many times what any table does."""
    if whole > detect.LARGEST_TEXT:
        raise FileRefused(Place(name), f"{whole:,} bytes", f"unpacked are more than {detect.LARGEST_TEXT:,}", _SPLIT)
    if whole > HARMLESS and whole > MOST_TIMES * packed:
        raise FileRefused(
            Place(name), f"{whole:,} bytes unpacked from {packed:,}", f"are more than {MOST_TIMES} times as many",
            "this is how archives are made that fill a computer; unpack it yourself if you trust it",
        )  # fmt: skip


def unpacked(stream: IO[bytes], member: zipfile.ZipInfo, name: str) -> bytes:
    """Return the bytes of a member."""
    buffer = io.BytesIO()
    for piece in pieces(stream, member, name):
        buffer.write(piece)
    return buffer.getvalue()


def pieces(stream: IO[bytes], member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """Yield the bytes of a member, counted and checked; never more than its header said.

    The standard library stops at the size in the header and would not notice that more follows, which other readers of
    the same archive do unpack.
    """
    label = f"{name}/{masked(member.filename)}"
    if member.compress_type not in (_STORED, _DEFLATED):
        raise FileRefused(
            Place(label), f"compression method {member.compress_type}", "is not one we unpack",
            "pack it again as an ordinary ZIP file",
        )  # fmt: skip
    count = check = 0
    for piece in _inflated(_packed(stream, member, label), member.compress_type == _DEFLATED, label):
        count, check = count + len(piece), zlib.crc32(piece, check)
        if count > member.file_size:
            break
        yield piece
    if count != member.file_size or check != member.CRC:
        raise damaged(label, "member of an archive")


def _packed(stream: IO[bytes], member: zipfile.ZipInfo, label: str) -> Iterator[bytes]:
    stream.seek(member.header_offset)
    header = stream.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(_ZIP[0]):
        raise damaged(label, "member of an archive")
    stream.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), io.SEEK_CUR)
    left = member.compress_size
    while left and (piece := stream.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece


def _inflated(packed: Iterator[bytes], deflated: bool, label: str) -> Iterator[bytes]:
    """Yield stored bytes as they are and deflated ones inflated, a limited piece at a time."""
    if not deflated:
        yield from packed
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for rest in packed:
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _PIECE)
                rest = inflater.unconsumed_tail
        yield inflater.flush()
    except zlib.error:
        raise damaged(label, "member of an archive") from None


def damaged(name: str, what: str) -> FileRefused:
    """Return the refusal of something that breaks the rules of its format."""
    return FileRefused(Place(name), "", f"begins like a {what} and is damaged or cut short", "export it again")


def _gunzipped(data: bytes, name: str) -> bytes:
    buffer = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            while piece := stream.read(_PIECE):
                buffer.write(piece)
                refuse_if_swollen(buffer.tell(), len(data), name)
    except (OSError, EOFError, zlib.error):
        raise damaged(name, "gzip file") from None
    unpacked_data = buffer.getvalue()
    if not unpacked_data or unpacked_data.isspace():
        raise detect.NoTable(Place(name), "", "is empty", "give a file with a header row and at least one line")
    return unpacked_data
