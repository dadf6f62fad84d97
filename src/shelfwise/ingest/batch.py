"""Read files into a batch: declared frames, rejected lines and a receipt.

Pure: no database, no clock, nothing printed. A file is used as a whole or refused as a whole; single bad lines go to
the rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from shelfwise.domain.errors import FileRefused, ParameterError, Place
from shelfwise.domain.frames import ALL_FRAMES
from shelfwise.ingest.profiles import PROFILES
from shelfwise.ingest.profiles.base import DEFAULT_WAREHOUSE, Match, Options, Part, Profile, Role
from shelfwise.ingest.quality import REJECTS, Sieve, day_gaps, incomplete_last_day, orphans
from shelfwise.ingest.receipt import FileReceipt, Receipt, some
from shelfwise.ingest.tables import Source, load, masked, open_source

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


@dataclass(frozen=True)
class Batch:
    """What an import brings: declared frames by name, rejected lines, and the receipt.

    ``rejects`` has the columns file, line, column, value, reason. Lines count from 1 and include the header; rows of
    a Parquet file count from 1.
    """

    frames: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    receipt: Receipt


@dataclass(frozen=True)
class _Recognised:
    source: Source
    profile: Profile
    role: Role
    match: Match


def read(
    paths: Sequence[Path],
    *,
    date_order: Literal["dmy", "mdy", "ymd"] | None = None,
    today: date | None = None,
    timezone: str | None = None,
    warehouse: str = DEFAULT_WAREHOUSE,
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
        Code for rows of files that name no warehouse.
    progress
        Called with (what is being done, steps done, steps in all).

    Raises
    ------
    FileRefused
        A file cannot be used; the message names file, line, column, value, rule and way out.
    AmbiguousDates
        A date column reads two ways and nothing in it decides.
    """
    if not paths:
        raise ParameterError("no file was given; name at least one")
    if date_order not in (None, "dmy", "mdy", "ymd"):
        raise ParameterError(f"date order must be dmy, mdy or ymd, got {date_order!r}")
    steps = 2 * len(paths) + 2
    tell: Progress = progress if progress is not None else _silent
    found: list[_Recognised] = []
    for number, path in enumerate(paths):
        tell(f"looking at {masked(Path(path).name)}", number, steps)
        found.append(_recognise(open_source(Path(path), _is_known_header)))
    sieves: dict[str, dict[str, list[Sieve]]] = {}
    for number in range(len(paths)):
        item = found.pop(0)  # and with it, once it is loaded, the text of the file
        tell(f"reading {item.source.file}", len(paths) + number, steps)
        table = load(item.source, item.match.mapping, item.match.numeric)
        sieve = Sieve(table, date_order=date_order, today=today, timezone=timezone)
        sieves.setdefault(item.profile.name, {}).setdefault(item.role.name, []).append(sieve)
    tell("sorting good lines from bad", steps - 2, steps)
    options = Options(warehouse=warehouse)
    parts = [profile.read(sieves[profile.name], options) for profile in PROFILES if profile.name in sieves]
    everything = [sieve for roles in sieves.values() for same in roles.values() for sieve in same]
    tell("checking", steps - 1, steps)
    batch = _batch(parts, everything)
    tell("done", steps, steps)
    return batch


def _silent(_step: str, _done: int, _total: int) -> None:
    return None


_KNOWN_HEADERS = frozenset(
    header for profile in PROFILES for role in profile.roles for field in role.fields for header in field.headers
)


def _is_known_header(header: str) -> bool:
    return header in _KNOWN_HEADERS


def _recognise(source: Source) -> _Recognised:
    """Find the format whose table fits the headers best, or refuse and say what the nearest one lacks."""
    candidates = [
        _Recognised(source, profile, role, role.match(source.headers)) for profile in PROFILES for role in profile.roles
    ]
    fitting = [candidate for candidate in candidates if not candidate.match.missing]
    if fitting:
        return max(fitting, key=lambda candidate: candidate.match.score)
    near = max(candidates, key=lambda candidate: candidate.match.score - 2 * len(candidate.match.missing))
    rule = "fits no format"
    if near.match.mapping:
        lacking = []
        for name in near.match.missing:
            header = near.role.nearest(name, source.headers)
            lacking.append(repr(name) + (f" (nearest header: {masked(header)!r})" if header else ""))
        rule += f"; the nearest is {near.profile.name}, table {near.role.name}, which lacks {', '.join(lacking)}"
    listed = "; ".join(f"{p.name} ({', '.join(role.name for role in p.roles)})" for p in PROFILES)
    raise FileRefused(
        Place(source.file, source.layout.header_line if source.layout else None),
        f"the header {some((masked(h) for h in source.headers), limit=12)}",
        rule,
        f"rename or add columns; recognised formats: {listed}; docs/formats.md shows each",
    )


def _batch(parts: Sequence[Part], sieves: Sequence[Sieve]) -> Batch:
    frames: dict[str, pl.DataFrame] = {}
    notes = [note for part in parts for note in part.notes]
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
    return Batch(frames, rejects, _receipt(frames, receipts, notes))


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
        return "import the sales; they can come later, in a file of their own"
    if "stock_levels" not in frames:
        return "import stock on hand (columns sku, on_hand) so that orders can count it; then: shelfwise forecast"
    return "shelfwise forecast, then shelfwise order"
