"""Find out what a file is before it is read: its encoding, delimiter, header row and records.

Nothing here trusts a file's name. Bytes are looked at in bulk (numpy over the buffer, never a loop over rows); only
lines whose quotes do not balance are walked one by one.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import FileRefused, Place

LARGEST_TEXT: Final = 2 << 30  # bytes; a text file is held in memory while it is read
DELIMITERS: Final = (",", ";", "\t", "|")
HEADER_WITHIN: Final = 30  # lines in which the header row is looked for
MOST_LINES: Final = 40_000_000  # positions of lines are held as numbers, some 60 bytes for each
SOME_LINES: Final = 1_000_000
LONGEST_LINE: Final = 8 << 20  # bytes of a line, or of a record with line ends inside quotes
MOST_COLUMNS: Final = 20_000  # a spreadsheet has 16,384
LONGEST_CELL: Final = 500  # lines one quoted cell may span before its quote counts as broken
MAX_BAD_SHARE: Final = 0.1  # beyond it the format is not what we take it for
CHUNK: Final = 32 << 20  # bytes looked at in one go

_RECORDS_AT_ONCE: Final = 500_000
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13
_MAGIC: Final = (
    (b"\xd0\xcf\x11\xe0", "is an old Office document", "save the sheet as XLSX or CSV and give that"),
    (b"%PDF", "is a PDF document", "export the table as CSV and give that"),
    (b"\x89PNG", "is a picture", "export the table as CSV and give that"),
    (b"\xff\xd8\xff", "is a picture", "export the table as CSV and give that"),
    (b"GIF8", "is a picture", "export the table as CSV and give that"),
    (b"7z\xbc\xaf\x27\x1c", "is packed with 7-Zip", "unpack it first, or pack it as ZIP"),
    (b"Rar!", "is packed with RAR", "unpack it first, or pack it as ZIP"),
    (b"\x28\xb5\x2f\xfd", "is packed with Zstandard", "unpack it first, or pack it as ZIP or gzip"),
    (b"\xfd7zXZ", "is packed with xz", "unpack it first, or pack it as ZIP or gzip"),
    (b"BZh9", "is packed with bzip2", "unpack it first, or pack it as ZIP or gzip"),
    (b"SQLite format 3", "is a database", "export the table as CSV and give that"),
    (b"<?xml", "is XML", "export the table as CSV and give that"),
    (b"<html", "is a web page", "export the table as CSV and give that"),
    (b"<!doctype", "is a web page", "export the table as CSV and give that"),
    (b"<!DOCTYPE", "is a web page", "export the table as CSV and give that"),
)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out."""

    encoding: str
    delimiter: str
    header_line: int
    headers: tuple[str, ...]
    quoted: bool


@dataclass(frozen=True)
class Records:
    """The records of a text file after its header.

    ``starts``, ``ends`` [R] are byte offsets, ``lines`` [R] the line each record starts on. ``bad`` lists records left
    out: (line, reason), never their text.
    """

    starts: Ints
    ends: Ints
    lines: Ints
    bad: tuple[tuple[int, str], ...]


def normalised(header: str) -> str:
    """Return a header as it is compared: case, accents, spaces and punctuation do not count.

    >>> normalised(" Customer ID "), normalised("Quantité"), normalised("unit_price")
    ('customerid', 'quantite', 'unitprice')
    """
    plain = unicodedata.normalize("NFKD", header.strip()).casefold()
    return "".join(c for c in plain if c.isalnum())


class NoTable(FileRefused):
    """The file is nothing a table could be read from: a picture, an empty file, columns of which no format knows any.

    Beside files that are tables, in a folder or an archive, it is left alone and named.
    """


def unreadable(file: str, error: Exception) -> FileRefused:
    """Return the refusal of a path that the operating system does not let be read."""
    if isinstance(error, FileNotFoundError):
        return FileRefused(Place(file), "", "there is no such file", "check the path")
    reason = getattr(error, "strerror", None) or "the name is not a path"
    return FileRefused(Place(file), "", f"cannot be read ({reason})", "check the path and its permissions")


def first_bytes(path: Path, file: str) -> bytes:
    """Return the first bytes of a plain file, enough to tell its kind; nothing of a pipe, which is read once."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(16)
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None


def read_bytes(path: Path, file: str) -> bytes:
    """Return the content of ``path``, refused where it cannot be a table; ``file`` is its name as shown."""
    place = Place(file)
    try:
        with path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            # A pipe or device has no size; nothing is read beyond the limit.
            data = (
                stream.read(min(before.st_size, LARGEST_TEXT) + 1) if before.st_size else stream.read(LARGEST_TEXT + 1)
            )
            after = os.fstat(stream.fileno())
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None
    if max(len(data), before.st_size) > LARGEST_TEXT:
        size = f"{before.st_size:,} bytes" if before.st_size else f"over {LARGEST_TEXT:,} bytes"
        raise FileRefused(
            place, size, f"is more than {LARGEST_TEXT:,}", "split the file by months or give it as Parquet"
        )
    plain = stat.S_ISREG(before.st_mode)
    if plain and (len(data), before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise FileRefused(
            place, "", "changed while it was read", "wait until the export is finished, then import it again"
        )
    if not data or data.isspace():
        raise NoTable(place, "", "is empty", "give a file with a header row and at least one line")
    return data


def to_utf8(data: bytes, file: str) -> tuple[bytes, str]:
    """Return ``data`` as UTF-8 without a byte order mark and with ``\\n`` line ends, and what it was encoded in.

    >>> to_utf8("café".encode("cp1252"), "a.csv") == ("café".encode(), "cp1252")
    True
    """
    for magic, rule, way_out in _MAGIC:
        if data[:64].lstrip().startswith(magic):
            raise NoTable(Place(file), "", rule, way_out)
    text, encoding = _decoded(data, file)
    if not text or text.isspace():
        raise NoTable(Place(file), "", "is empty", "give a file with a header row and at least one line")
    if b"\n" not in text and b"\r" in text:
        text = text.replace(b"\r", b"\n")
    head = np.frombuffer(text, np.uint8, count=min(len(text), 1 << 16))
    control = ((head < 32) & (head != 9) & (head != 10) & (head != 13) & (head != 12)).mean()
    if control > 0.02:
        raise NoTable(Place(file), "", "is not text (binary content)", "give CSV, TSV, Excel or Parquet")
    return text, encoding


def _decoded(data: bytes, file: str) -> tuple[bytes, str]:
    if data.startswith(b"\xef\xbb\xbf"):
        return _recoded(data[3:], "utf-8", file), "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _recoded(data, "utf-16", file), "utf-16"
    head = np.frombuffer(data, np.uint8, count=min(len(data), 1 << 16))
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) >= 8 and (head[first::2] == 0).mean() > 0.4 and (head[1 - first :: 2] == 0).mean() < 0.1:
            return _recoded(data, name, file), name
    if _is_utf8(data):
        return data, "utf-8"
    return _recoded(data, "cp1252", file, errors="replace"), "cp1252"


def _is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, without ever holding all of them as text."""
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    try:
        for start in range(0, len(view), CHUNK):
            decoder.decode(view[start : start + CHUNK], final=start + CHUNK >= len(view))
    except UnicodeDecodeError:
        return False
    return True


def _recoded(data: bytes, encoding: str, file: str, errors: str = "strict") -> bytes:
    """Return the bytes as UTF-8, never holding all of them as text."""
    recoded = io.BytesIO()
    view = memoryview(data)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    try:
        for start in range(0, len(view), CHUNK):
            recoded.write(decoder.decode(view[start : start + CHUNK], final=start + CHUNK >= len(view)).encode())
    except UnicodeError:
        raise FileRefused(
            Place(file), "", f"starts as {encoding} and then breaks its rules", "save it again as UTF-8"
        ) from None
    return recoded.getvalue()


def layout(data: bytes, encoding: str, file: str, known: Callable[[str], bool]) -> Layout:
    """Find delimiter and header row of ``data`` (UTF-8).

    Parameters
    ----------
    known
        Tells whether a normalised header is one that some format has; a header row after title lines is found by it.
    """
    lines = _first_lines(data)
    if not any(c not in ",;\t| \r" for line in lines for c in line):
        raise NoTable(Place(file), "", "is empty", "give a file with a header row and at least one line")
    quoted = _opens_with_quotes(data)
    best: tuple[tuple[float, ...], str, int, list[str]] | None = None
    for delimiter in DELIMITERS:
        rows = [_split(line, delimiter, quoted) for line in lines]
        counts = Counter(len(row) for row in rows if any(cell.strip() for cell in row)) or Counter([1])
        width, times = max(counts.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
        index = header_row(rows[:HEADER_WITHIN], width, known)
        hits = sum(known(normalised(cell)) for cell in rows[index])
        score = (float(hits), (times / sum(counts.values())) if width > 1 else 0.0, float(width))
        if best is None or score > best[0]:
            best = (score, delimiter, index, rows[index])
    if best is None:  # pragma: no cover - DELIMITERS is never empty
        raise FileRefused(Place(file), "", "has no header row", "give CSV, TSV or Parquet")
    _, delimiter, index, cells = best
    if len(cells) > MOST_COLUMNS:
        raise NoTable(
            Place(file, index + 1), f"{len(cells):,} columns", f"are more than {MOST_COLUMNS:,}",
            "export one row for each product and day, or fewer days",
        )  # fmt: skip
    return Layout(encoding, delimiter, index + 1, named(cells), quoted)


def _first_lines(data: bytes) -> list[str]:
    head = data[: 1 << 18].decode("utf-8", errors="ignore")
    return [line.rstrip("\r") for line in head.split("\n")[:300]]


def _split(line: str, delimiter: str, quoted: bool) -> list[str]:
    if not quoted:
        return line.split(delimiter)
    try:
        return next(csv.reader([line.replace("\0", "")], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def header_row(rows: list[list[str]], width: int, known: Callable[[str], bool]) -> int:
    """Return the first row with the most known headers, else the first row as wide as most rows are."""
    hits = [sum(known(normalised(cell)) for cell in row) for row in rows]
    if max(hits, default=0) >= 2:
        return hits.index(max(hits))
    return next((i for i, row in enumerate(rows) if len(row) == width and any(c.strip() for c in row)), 0)


def named(cells: list[str]) -> tuple[str, ...]:
    """Return header cells as unique names; an unnamed column is called by its position."""
    seen: Counter[str] = Counter()
    names: dict[str, None] = {}
    for position, cell in enumerate(cells, start=1):
        name = re.sub(r"[\x00-\x1f]", " ", cell).strip().strip('"').strip() or f"column {position}"
        seen[name] += 1
        while seen[name] > 1 or name in names:
            name = f"{name} ({seen[name]})"
            seen[name] += 1
        names[name] = None
    return tuple(names)


def _opens_with_quotes(data: bytes) -> bool:
    """Whether any field starts with a quote; if none does, a quote is an inch sign and nothing more."""
    if b'"' not in data:
        return False
    return data.startswith(b'"') or any(border + b'"' in data for border in (b"\n", *map(str.encode, DELIMITERS)))


_ENDLESS: Final = f"is longer than {LONGEST_LINE >> 20} MiB"
_BROKEN: Final = "a quote is opened and not closed, or stands inside a text"


def refuse_if_mostly_bad(file: str, total: int, bad: int, line: int | None, reason: str) -> None:
    """Refuse a file whose bad lines show that its format is not what we take it for."""
    if bad >= 3 and bad > MAX_BAD_SHARE * total:
        raise FileRefused(
            Place(file, line), f"{bad:,} of {total:,} lines", f"are bad; the first {reason}",
            f"correct the export: a file with more than {MAX_BAD_SHARE:.0%} bad lines is not half-loaded",
        )  # fmt: skip


def records(data: bytes, found: Layout, file: str) -> Records:
    """Split ``data`` into the records after the header, leaving out those that cannot be read.

    Raises
    ------
    FileRefused
        More than a tenth of the records cannot be read.
    """
    count = data.count(b"\n")
    if count > MOST_LINES:
        raise FileRefused(Place(file), f"{count:,} lines", f"are more than {MOST_LINES:,}", "split the file by months")
    wanted = len(found.headers)
    if count > SOME_LINES and count * wanted > len(data):  # junk, told before anything is held for each line
        raise FileRefused(
            Place(file), f"{count:,} lines in {len(data):,} bytes",
            f"are too short for the {wanted:,} columns of the header", "export it again",
        )  # fmt: skip
    buffer = np.frombuffer(data, np.uint8)
    line_ends = _positions(buffer, _NEWLINE)
    if not len(line_ends) or line_ends[-1] != len(buffer) - 1:
        line_ends = np.append(line_ends, len(buffer))
    line_starts = np.concatenate(([0], line_ends[:-1] + 1))[found.header_line :]
    line_ends = line_ends[found.header_line :]
    numbers = np.arange(found.header_line + 1, found.header_line + 1 + len(line_starts), dtype=np.int64)
    inside = np.zeros(len(line_starts), dtype=bool)  # [lines] continues a quoted cell of the line before
    broken = np.zeros(len(line_starts), dtype=bool)  # [lines]
    if found.quoted:
        inside, broken = _quoted_lines(data, buffer, line_starts, line_ends, found.delimiter)
    starts, ends, lines = line_starts, line_ends, numbers
    if inside.any() or broken.any():
        first = ~inside
        starts, lines, whole = line_starts[first], numbers[first], ~broken[first]
        last = np.append(np.flatnonzero(first)[1:] - 1, len(line_starts) - 1) if len(starts) else np.zeros(0, int)
        ends = line_ends[last]
        starts, ends, lines = starts[whole], ends[whole], lines[whole]
    long = ends - starts > LONGEST_LINE
    endless = lines[long]
    if len(endless):
        starts, ends, lines = starts[~long], ends[~long], lines[~long]
    fields, blank, nulls = _field_counts(buffer, starts, ends, found)
    right = (fields == len(found.headers)) & ~nulls
    ragged = ~blank & ~right

    def reason(index: int) -> str:
        if nulls[index]:
            return "holds a NUL byte"
        return f"has {fields[index]:,} fields where the header has {wanted:,}"

    torn, wrong = numbers[broken], ragged.nonzero()[0]
    # Refused here, before a list of reasons is made: junk may have tens of millions of lines.
    firsts = [(int(torn[0]), _BROKEN)] if len(torn) else []
    firsts += [(int(endless[0]), _ENDLESS)] if len(endless) else []
    firsts += [(int(lines[wrong[0]]), reason(wrong[0]))] if len(wrong) else []
    seen = int((~blank).sum()) + len(torn) + len(endless)
    refuse_if_mostly_bad(file, seen, len(torn) + len(endless) + len(wrong), *min(firsts, default=(None, "")))
    bad = [(line, _BROKEN) for line in torn.tolist()] + [(line, _ENDLESS) for line in endless.tolist()]
    bad += [(int(lines[index]), reason(index)) for index in wrong]
    good = ~blank & right
    if not good.all():
        starts, ends, lines = starts[good], ends[good], lines[good]
    return Records(starts, ends, lines, tuple(sorted(bad)))


def _positions(buffer: npt.NDArray[np.uint8], byte: int) -> Ints:
    parts = [np.flatnonzero(buffer[i : i + CHUNK] == byte) + i for i in range(0, len(buffer), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _quoted_lines(
    data: bytes, buffer: npt.NDArray[np.uint8], starts: Ints, ends: Ints, delimiter: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return per line whether it continues a quoted cell, and whether its quotes are broken."""
    inside = np.zeros(len(starts), dtype=bool)
    broken = np.zeros(len(starts), dtype=bool)
    stray = np.zeros(len(starts), dtype=bool)
    uneven = np.zeros(len(starts), dtype=bool)
    border = np.zeros(256, dtype=bool)
    border[[ord(delimiter), _NEWLINE, _RETURN, _QUOTE]] = True
    short = ends - starts <= LONGEST_LINE
    cuts = np.flatnonzero(np.diff(starts // CHUNK)) + 1
    for low, high in zip([0, *cuts.tolist()], [*cuts.tolist(), len(starts)], strict=True):
        if low == high or not short[low:high].any():
            continue
        # A line beyond the limit ends its part, because the next line starts in another.
        until = ends[high - 1] if short[high - 1] else starts[high - 1]
        quotes = np.flatnonzero(buffer[starts[low] : until] == _QUOTE) + starts[low]
        if not len(quotes):
            continue
        before = border[buffer[np.maximum(quotes - 1, 0)]] | (quotes == 0)
        after = border[buffer[np.minimum(quotes + 1, len(buffer) - 1)]] | (quotes == len(buffer) - 1)
        home = np.searchsorted(starts[low:high], quotes, side="right") - 1  # [quotes] line of each quote
        stray[low + home[~before & ~after]] = True
        uneven[low:high] = np.bincount(home, minlength=high - low) % 2 == 1
    broken |= stray
    odd = np.flatnonzero(uneven & ~stray)
    opener = -1
    for line in odd.tolist():
        text = data[starts[line] : ends[line]].rstrip(b"\r")
        if opener >= 0 and line - opener <= LONGEST_CELL and _closes(text, delimiter.encode()):
            inside[opener + 1 : line + 1] = True
            broken[opener + 1 : line + 1] = False
            opener = -1
            continue
        if opener >= 0:
            broken[opener] = True
        opener = line if _opens(text, delimiter.encode()) else -1
        broken[line] |= opener < 0
    if opener >= 0:
        broken[opener] = True
    return inside, broken


_TEXT: Final = rb'[^"]*(?:""[^"]*)*'  # the inside of a quoted cell
_OPEN_TO_THE_END: Final = re.compile(rb'"' + _TEXT + rb"$")


def _opens(line: bytes, delimiter: bytes) -> bool:
    """Whether the last field of ``line`` starts with a quote that the line does not close."""
    border = re.escape(delimiter)
    cell = re.compile(rb'"' + _TEXT + rb'"|[^"' + border + rb"][^" + border + rb"]*|")
    position = 0
    while not _OPEN_TO_THE_END.match(line, position):
        found = cell.match(line, position)
        position = found.end() if found else position
        if line[position : position + 1] != delimiter:
            return False
        position += 1
    return True


def _closes(line: bytes, delimiter: bytes) -> bool:
    """Whether the first single quote of ``line`` ends a cell."""
    return re.match(_TEXT + rb'"(?:' + re.escape(delimiter) + rb"|$)", line) is not None


def _field_counts(
    buffer: npt.NDArray[np.uint8], starts: Ints, ends: Ints, found: Layout
) -> tuple[Ints, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return per record its number of fields, whether it is blank, and whether it holds a NUL byte."""
    fields = np.ones(len(starts), dtype=np.int64)
    blank, nulls = np.zeros(len(starts), dtype=bool), np.zeros(len(starts), dtype=bool)
    if not len(starts):
        return fields, blank, nulls
    byte = ord(found.delimiter)
    # Parts of bounded bytes and of a bounded number of records, for what follows holds some numbers for each.
    edges = np.union1d(np.flatnonzero(np.diff(starts // CHUNK)) + 1, np.arange(0, len(starts), _RECORDS_AT_ONCE))
    for first, last in zip(edges, [*edges[1:], len(starts)], strict=True):
        part = slice(first, last)
        low, high = int(starts[first]), int(ends[last - 1])
        if high <= low:
            blank[part] = True
            continue
        piece = buffer[low:high]
        # reduceat sums from each bound to the next, so ends are bounds too: what lies between records is not counted
        bounds = np.stack([starts[part] - low, ends[part] - low], axis=1).ravel()
        full = ends[part] > starts[part]
        is_delimiter = piece == byte
        visible = (piece > 32) & ~is_delimiter & (piece != _QUOTE)
        if found.quoted:
            parity = (np.cumsum(piece == _QUOTE, dtype=np.uint8) & 1).astype(np.uint8)
            is_delimiter &= (parity ^ np.repeat(_parity_at(parity, bounds[::2]), _widths(bounds, len(piece)))) == 0
        fields[part] += np.where(full, _sums(is_delimiter, bounds), 0)
        # A record that starts with visible text is not blank; only the others are looked through.
        maybe = ~full | ~visible[np.minimum(bounds[::2], len(piece) - 1)]
        if maybe.any():
            some = np.where(full[maybe], _sums(visible, bounds.reshape(-1, 2)[maybe].ravel()), 0)
            blank[first + np.flatnonzero(maybe)] = some == 0
        if not piece.all():
            nulls[part] = np.where(full, _sums(piece == 0, bounds), 0) > 0
    return fields, blank, nulls


def _parity_at(parity: npt.NDArray[np.uint8], starts: Ints) -> npt.NDArray[np.uint8]:
    """Return the quote parity just before each record: quotes of broken lines between must not turn it."""
    return np.where(starts > 0, parity[np.maximum(starts - 1, 0)], 0).astype(np.uint8)


def _widths(bounds: Ints, length: int) -> Ints:
    starts = bounds[::2].copy()
    starts[0] = 0
    return np.diff(np.append(starts, length))


def _sums(mask: npt.NDArray[np.bool_], bounds: Ints) -> Ints:
    """Return the number of true bytes in each record; ``bounds`` alternates starts and ends."""
    padded = np.append(mask, False)  # the last end is one past the last byte
    sums: Ints = np.add.reduceat(padded, bounds, dtype=np.int64)[::2]
    return sums
