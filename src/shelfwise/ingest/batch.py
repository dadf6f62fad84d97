"""Read files into a batch: declared frames, rejected lines and a receipt.

Pure: no database, no clock, nothing printed. A file is used as a whole or refused as a whole; single bad lines go to
the rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import starmap
from pathlib import Path
from typing import Literal

import polars as pl

from shelfwise.domain.errors import FileRefused, ParameterError, Place
from shelfwise.domain.frames import ALL_FRAMES
from shelfwise.ingest.archives import LeftAlone
from shelfwise.ingest.detect import NoTable
from shelfwise.ingest.mapping import (
    SaidMapping,
    headers_hash,
    propose,
    refuse_sales_without_a_day,
    role_of,
    suspicions,
)
from shelfwise.ingest.moments import DateOrder
from shelfwise.ingest.profiles import PROFILES
from shelfwise.ingest.profiles.base import DEFAULT_WAREHOUSE, Match, Options, Part, Profile, Role, no_cancelled
from shelfwise.ingest.profiles.canonical import PRODUCTS, SALES
from shelfwise.ingest.quality import REJECTS, Sieve, day_gaps, incomplete_last_day, orphans
from shelfwise.ingest.receipt import FileReceipt, Receipt, some
from shelfwise.ingest.tables import Source, load, masked, open_sources

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


@dataclass(frozen=True)
class Batch:
    """What an import brings: declared frames by name, rejected lines, and the receipt.

    ``cancelled`` (source, line_id) are lines that count no more where an earlier import booked them.

    ``rejects`` has the columns file, line, column, value, reason. Lines count from 1 and include the header; rows of
    a Parquet file count from 1.
    """

    frames: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    receipt: Receipt
    mappings: tuple[UsedMapping, ...] = ()
    cancelled: pl.DataFrame = field(default_factory=no_cancelled)


@dataclass(frozen=True)
class UsedMapping:
    """How one file or sheet was read: which of its headers was taken as which field of which table.

    ``said`` is what a person said about it, now or once; None: it was recognised.
    """

    file: str
    headers: tuple[str, ...]
    table: str
    mapping: dict[str, str]
    profile: str
    date_order: DateOrder | None
    said: SaidMapping | None


@dataclass(frozen=True)
class _Recognised:
    source: Source
    profile: Profile
    role: Role
    match: Match
    said: SaidMapping | None = None


def read(
    paths: Sequence[Path],
    *,
    date_order: Literal["dmy", "mdy", "ymd"] | None = None,
    today: date | None = None,
    timezone: str | None = None,
    warehouse: str | None = None,
    known_warehouses: Sequence[str] = (),
    said: SaidMapping | None = None,
    remembered: Sequence[SaidMapping] = (),
    progress: Progress | None = None,
) -> Batch:
    """Recognise and read ``paths`` together.

    Parameters
    ----------
    date_order
        How ambiguous dates are meant; needed only when `AmbiguousDates` asks.
    today
        The shop's day. Sales dated today are left out, because today is not over; later ones are rejected. Without
        it neither is checked.
    timezone
        Shop time zone, like ``Europe/Berlin``: moments with a written offset are turned into it. Without it the
        written local time stands.
    warehouse
        Code for rows of files that name no warehouse; None takes the one of the remembered mapping, or ``main``.
    known_warehouses
        Codes the store has already; a source whose rows may name no warehouse takes the only one there is.
    said
        Which of the columns is which, said for these files; it goes before what is recognised.
    remembered
        The same, said once for files with the same headers; the first that fits is used.
    progress
        Called with (what is being done, steps done, steps in all).

    Raises
    ------
    UnknownTable
        A file fits no format; the error has a proposal how its columns may be meant.
    FileRefused
        A file cannot be used; the message names file, line, column, value, rule and way out.
    AmbiguousDates
        A date column reads two ways and nothing in it decides.
    """
    if not paths:
        raise ParameterError("no file was given; name at least one")
    if date_order not in (None, "dmy", "mdy", "ymd"):
        raise ParameterError(f"date order must be dmy, mdy or ymd, got {date_order!r}")
    steps = len(paths) + 2
    tell: Progress = progress if progress is not None else _silent
    sieves: dict[str, dict[str, list[Sieve]]] = {}
    left_alone: list[LeftAlone] = []
    read_by: list[tuple[_Recognised, Sieve]] = []
    for number, path in enumerate(paths):
        tell(f"reading {masked(Path(path).name)}", number, steps)
        for item in _recognised(Path(path), left_alone, said, remembered):
            table = load(item.source, item.match.mapping, item.match.numeric)
            order = date_order or (item.said.date_order if item.said else None)
            sieve = Sieve(table, date_order=order, today=today, timezone=timezone)
            read_by.append((replace(item, source=replace(item.source, body=None)), sieve))
            sieve.notes += _notes_on(item, table.frame)
            sieves.setdefault(item.profile.name, {}).setdefault(item.role.name, []).append(sieve)
            del item, table  # and with them the text of the file
    tell("sorting good lines from bad", steps - 2, steps)
    places = {item.said.warehouse for item, _ in read_by if item.said is not None and item.said.warehouse}
    if warehouse is None and len(places) > 1:
        raise ParameterError(
            f"the remembered mappings of these files say the warehouses {', '.join(sorted(places))}; "
            "import them one by one, or say --warehouse"
        )
    place = warehouse or next(iter(places), DEFAULT_WAREHOUSE)
    options = Options(place, tuple(known_warehouses))
    parts = [profile.read(sieves[profile.name], options) for profile in PROFILES if profile.name in sieves]
    everything = [sieve for roles in sieves.values() for same in roles.values() for sieve in same]
    tell("checking", steps - 1, steps)
    batch = replace(
        _batch(parts, everything, [str(item) for item in left_alone]), mappings=tuple(starmap(_used, read_by))
    )
    tell("done", steps, steps)
    return batch


def _silent(_step: str, _done: int, _total: int) -> None:
    return None


CANONICAL = next(profile for profile in PROFILES if profile.name == "canonical")
_KNOWN_HEADERS = frozenset(
    header for profile in PROFILES for role in profile.roles for field in role.fields for header in field.headers
)


def _is_known_header(header: str) -> bool:
    return header in _KNOWN_HEADERS


def _recognised(
    path: Path, left_alone: list[LeftAlone], said: SaidMapping | None, remembered: Sequence[SaidMapping]
) -> Iterator[_Recognised]:
    """Yield what fits a format of the file, archive, workbook or folder at ``path``, one after the other.

    The rest is added to ``left_alone``. A file named by itself that fits no format is refused, and so is a path of
    which nothing fits.
    """
    before, fitting = len(left_alone), 0
    for source in open_sources(path, _is_known_header):
        if isinstance(source, LeftAlone):
            left_alone.append(source)
            continue
        try:
            item = _by_mapping(source, said, remembered) or _recognise(source)
        except NoTable as error:
            if source.alone:
                raise propose(source, error, None if said is None else said.table) from None
            left_alone.append(
                LeftAlone(source.file, f"the header {error.value.removeprefix('the header ')} {error.rule}")
            )
            continue
        fitting += 1
        yield item
    if not fitting:
        reasons = some((f"{item.name}: {item.reason}" for item in left_alone[before:]), limit=5)
        raise FileRefused(
            Place(masked(path.name)), "", f"holds nothing that fits a format ({reasons})",
            "docs/formats.md shows the formats; name a file that is one of them",
        )  # fmt: skip


def _by_mapping(source: Source, said: SaidMapping | None, remembered: Sequence[SaidMapping]) -> _Recognised | None:
    """Read the file as a person said, now or once for files with its headers; None where nobody did."""
    if said is None:
        own = headers_hash(source.headers)
        said = next((one for one in remembered if one.headers_hash == own), None)
    if said is None:
        return None
    try:
        role, match = role_of(said, source.headers, Place(source.file, source.header_line))
    except FileRefused as error:
        if source.alone:
            raise
        raise NoTable(error.place, error.value, error.rule, error.way_out) from None
    return _Recognised(source, CANONICAL, role, match, said)


def _used(item: _Recognised, sieve: Sieve) -> UsedMapping:
    return UsedMapping(
        item.source.file, item.source.headers, item.role.name, item.match.mapping, item.profile.name, sieve.date_order,
        item.said,
    )  # fmt: skip


def _notes_on(item: _Recognised, frame: pl.DataFrame) -> list[str]:
    """Return what a receipt says of a mapping: where it came from, and what looks odd about it."""
    if item.said is None:
        return []
    notes = suspicions(frame, item.match.mapping)
    if item.said.name is not None:
        notes.insert(0, f"read by the mapping {item.said.name!r}, remembered for these headers")
    return notes


def _recognise(source: Source) -> _Recognised:
    """Find the format whose table fits the headers best, or refuse and say what the nearest one lacks."""
    candidates = [
        _Recognised(source, profile, role, role.match(source.headers)) for profile in PROFILES for role in profile.roles
    ]
    fitting = [candidate for candidate in candidates if not candidate.match.missing]
    if fitting:
        best = max(fitting, key=lambda candidate: candidate.match.score)
        if best.role is PRODUCTS:
            refuse_sales_without_a_day(source, best.match, SALES.match(source.headers))
        return best
    near = max(candidates, key=lambda candidate: candidate.match.score - 2 * len(candidate.match.missing))
    rule = "fits no format"
    if near.match.mapping:
        lacking = []
        for name in near.match.missing:
            header = near.role.nearest(name, source.headers)
            lacking.append(repr(name) + (f" (nearest header: {masked(header)!r})" if header else ""))
        rule += f"; the nearest is {near.profile.name}, table {near.role.name}, which lacks {', '.join(lacking)}"
    listed = "; ".join(f"{p.name} ({', '.join(role.name for role in p.roles)})" for p in PROFILES)
    raise NoTable(
        Place(source.file, source.header_line),
        f"the header {some((masked(h) for h in source.headers), limit=12)}",
        rule,
        f"rename or add columns; recognised formats: {listed}; docs/formats.md shows each",
    )


def _batch(parts: Sequence[Part], sieves: Sequence[Sieve], left_alone: Sequence[str]) -> Batch:
    frames: dict[str, pl.DataFrame] = {}
    notes = [*left_alone, *(note for part in parts for note in part.notes)]
    for name, declared in ALL_FRAMES.items():
        given = [part.frames[name] for part in parts if name in part.frames and part.frames[name].height]
        if given:
            merged = pl.concat(given, how="diagonal_relaxed")
            if len(given) > 1 and declared.key:
                merged = _coalesced(merged, declared.key)
            frames[name] = declared.check(merged)
    rejects = pl.concat([pl.DataFrame(schema=REJECTS), *(sieve.rejects for sieve in sieves)])
    notes += _orphan_notes(frames)
    receipts = tuple(receipt for part in parts for receipt in part.receipts)
    cancelled = pl.concat([no_cancelled(), *(part.cancelled for part in parts)])
    return Batch(frames, rejects, _receipt(frames, receipts, notes), cancelled=cancelled)


def _coalesced(frame: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return one row per key with the first value known for each column."""
    others = [name for name in frame.columns if name not in key]
    return frame.group_by(*key, maintain_order=True).agg(pl.col(name).drop_nulls().first() for name in others)


def _orphan_notes(frames: dict[str, pl.DataFrame]) -> Iterable[str]:
    if "products" not in frames:
        return
    for name in ("movements", "stock_levels", "purchase_order_lines"):
        if name in frames:
            note = orphans(frames[name]["product"], frames["products"]["product"], name.replace("_", " "))
            if note:
                yield note


def _receipt(frames: dict[str, pl.DataFrame], files: tuple[FileReceipt, ...], notes: list[str]) -> Receipt:
    codes = [frame["product"] for frame in frames.values() if "product" in frame.columns]
    products = pl.concat(codes).n_unique() if codes else 0
    first = last = cut = None
    sales = frames["movements"].filter(pl.col("kind") == "sale") if "movements" in frames else None
    if sales is not None and sales.height:
        days = sales["occurred_at"].dt.date()
        span: tuple[date, date] = (days.min(), days.max())  # type: ignore[assignment]
        first, last = span
        cut = incomplete_last_day(sales["occurred_at"], sales["quantity"])
        if cut is not None:
            notes.append(f"{cut}, the last day, looks cut short; forecasts should start before it")
        gap = day_gaps(days)
        if gap is not None:
            notes.append(gap)
    return Receipt(
        files=files,
        frames={name: frame.height for name, frame in frames.items()},
        products=products,
        first_day=first,
        last_day=last,
        incomplete_last_day=cut,
        notes=tuple(notes),
        next_step=_next_step(frames),
    )


def _next_step(frames: dict[str, pl.DataFrame]) -> str:
    if "movements" not in frames:
        return "import the sales, if they are not there yet; they may come in a file of their own"
    if "stock_levels" not in frames and "count" not in frames["movements"]["kind"]:
        return (
            "import stock on hand (columns sku, on_hand), if it is not there yet, so that orders can count it; "
            "then: shelfwise forecast"
        )
    return "shelfwise forecast, then shelfwise order"
