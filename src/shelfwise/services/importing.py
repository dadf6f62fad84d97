"""Import: files are read, sorted and booked in one transaction, or nothing is booked at all."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl

from shelfwise import ingest
from shelfwise.app import App
from shelfwise.domain.errors import ExportError, ParameterError
from shelfwise.domain.events import Event, ImportFinished, MovementsCorrected, MovementsRecorded
from shelfwise.ingest import Receipt
from shelfwise.ingest import SaidMapping as SaidMapping
from shelfwise.ingest import UnknownTable as UnknownTable
from shelfwise.ingest.mapping import called
from shelfwise.services import import_profiles
from shelfwise.services.decisions import decider
from shelfwise.services.rival_sources import refuse_rivals
from shelfwise.storage import bundles, catalogue, corrections, import_changes, imports, outbox, purchasing, sales, stock

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
DateOrder = Literal["dmy", "mdy", "ymd"]


@dataclass(frozen=True, eq=False)
class Imported:
    """What an import did.

    Parameters
    ----------
    receipt
        What was read, used, dropped and rejected, and how it was understood.
    rejects
        Rejected lines: file, line, column, value, reason.
    new_lines, known_lines
        Movements booked now, and ones that were in the store already.
    repeated
        The very same files were imported before: nothing was done, and that is a success.
    written
        False for a trial.
    mappings, warehouse
        How each file was read, and the warehouse that was said.
    differing, corrected
        Lines that were in the store already and say something else there, and how many of them were corrected.
    cancelled, taken_off
        Lines that were in the store already and are cancelled by now, and how many of them count no more.
    examples
        Some of them, in words.
    """

    receipt: Receipt
    rejects: pl.DataFrame
    new_lines: int = 0
    known_lines: int = 0
    repeated: bool = False
    written: bool = True
    import_id: int | None = None
    mappings: tuple[ingest.UsedMapping, ...] = ()
    warehouse: str | None = None
    differing: int = 0
    corrected: int = 0
    examples: tuple[str, ...] = ()
    cancelled: int = 0
    taken_off: int = 0


def import_files(
    app: App,
    paths: Sequence[str | Path],
    *,
    date_order: str | None = None,
    warehouse: str | None = None,
    said: ingest.SaidMapping | None = None,
    save_as: str | None = None,
    dry_run: bool = False,
    correct: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Read files and book what they hold, all in one transaction.

    Parameters
    ----------
    paths
        Files of any recognised format; files that belong together are given together.
    date_order
        ``dmy``, ``mdy`` or ``ymd``, where the dates themselves do not tell.
    warehouse
        Warehouse of lines that name none.
    said
        Which column is which, for a file that no format fits or that is recognised wrongly.
    save_as
        Remember under this name how the file is read; the next one with these headers is read so by itself.
    dry_run
        Read and check only.
    correct
        Correct lines that are booked already to what the files say, and let those that are cancelled by now count no
        more; else they are only counted.

    Raises
    ------
    UnknownTable
        A file fits no format; the error has a proposal how its columns may be meant.
    FileRefused, AmbiguousDates
        A file cannot be used; nothing was booked.
    """
    if date_order not in (None, "dmy", "mdy", "ymd"):
        raise ParameterError(f"date order must be dmy, mdy or ymd, got {date_order!r}")
    if save_as is not None:
        import_profiles.check_name(save_as)
    # The default zone was set by nobody: moments that say their offset keep the local time they are written in.
    timezone = app.settings.timezone if app.origins.get("timezone", "default") != "default" else None
    with app.database.read() as connection:
        known = catalogue.warehouses(connection)["warehouse"].to_list()
    batch = ingest.read(
        [Path(path) for path in paths],
        date_order=cast("DateOrder | None", date_order),
        today=app.today(),
        timezone=timezone,
        warehouse=warehouse,
        known_warehouses=known,
        said=said,
        remembered=import_profiles.remembered(app),
        progress=progress,
    )
    done = Imported(batch.receipt, batch.rejects, written=False, mappings=batch.mappings, warehouse=warehouse)
    if dry_run:
        return done
    if save_as is not None:
        import_profiles.save(app, save_as, batch.mappings, date_order, warehouse)
    mapped = [[used.table, used.mapping, used.said.warehouse] for used in batch.mappings if used.said is not None]
    choices = [date_order, warehouse, app.settings.timezone, *([json.dumps(mapped, sort_keys=True)] if mapped else [])]
    fingerprint = _fingerprint(batch.receipt, *choices, *(["correct"] if correct else []))
    with app.database.read() as connection:
        before = imports.find_import(connection, fingerprint)
    if before is not None:
        return replace(done, repeated=True, known_lines=batch.receipt.rows_used, import_id=before.id)
    if progress is not None:
        progress("booking", 0, 1)
    return _book(app, batch, fingerprint, done, correct)


def _fingerprint(receipt: Receipt, *choices: str | None) -> str:
    """Return a hash of the files' contents and of the choices that change how they are read."""
    parts = [file.sha256 for file in sorted(receipt.files, key=lambda file: file.sha256)]
    return sha256(json.dumps([parts, choices]).encode()).hexdigest()


def _book(app: App, batch: ingest.Batch, fingerprint: str, done: Imported, correct: bool) -> Imported:
    import_id, booked = book(
        app,
        batch.frames,
        file_name=", ".join(file.file for file in batch.receipt.files),
        fingerprint=fingerprint,
        profile=", ".join(dict.fromkeys(file.profile for file in batch.receipt.files)),
        receipt=json.loads(batch.receipt.to_json()),
        correct=correct,
        cancelled=batch.cancelled,
    )
    return replace(
        done,
        new_lines=booked.inserted,
        known_lines=booked.duplicates,
        written=True,
        import_id=import_id,
        differing=booked.differing,
        corrected=booked.corrected,
        examples=booked.examples,
        cancelled=booked.cancelled,
        taken_off=booked.taken_off,
    )


@dataclass(frozen=True)
class Booked(sales.Appended):
    """What became of the movements of an import.

    ``differing`` of the duplicates say something else than is booked; ``cancelled`` lines are booked and cancelled by
    now, of which ``taken_off`` count no more.
    """

    differing: int = 0
    corrected: int = 0
    examples: tuple[str, ...] = ()
    cancelled: int = 0
    taken_off: int = 0


def book(
    app: App,
    frames: Mapping[str, pl.DataFrame],
    *,
    file_name: str,
    fingerprint: str,
    profile: str,
    receipt: Mapping[str, Any],
    correct: bool = False,
    cancelled: pl.DataFrame | None = None,
) -> tuple[int, Booked]:
    """Book declared frames as one import, in one transaction; return its number and what became of the movements.

    Parameters
    ----------
    frames
        Declared frames by name. Suppliers are booked before products, which name them, and stock levels last.
    file_name, fingerprint, profile, receipt
        What is kept about the import.
    correct
        Correct lines that are booked already to what the movements say.
    cancelled
        Lines (source, line_id) that are cancelled by now; with ``correct`` those that are booked count no more.
    """
    steps: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("warehouses", catalogue.upsert_warehouses),
        ("suppliers", catalogue.upsert_suppliers),
        ("products", catalogue.upsert_products),
        ("bundles", bundles.set_bundles),
        ("prices", catalogue.upsert_prices),
        ("calendar_events", catalogue.upsert_calendar_events),
        ("purchase_order_lines", purchasing.load_order_lines),
        ("receipts", purchasing.load_receipts),
    )
    stage = {"movements": frames["movements"]} if "movements" in frames else None
    inserted = duplicates = corrected = 0
    found: corrections.Differing | None = None
    off = taken_off = 0
    with app.database.write(stage=stage) as connection:
        refuse_rivals(frames, lambda: sales.sources_of_sales(connection))
        import_id = imports.record_import(
            connection,
            file_name=file_name,
            content_hash=fingerprint,
            profile=profile,
            receipt=receipt,
            imported_at=app.now(),
        )
        was = import_changes.before(connection, frames)
        for name, upsert in steps:
            if name in frames:
                upsert(connection, frames[name])
        if stage is not None:
            booked = imports.append_lines(connection, import_id)
            inserted, duplicates = booked.inserted, booked.duplicates
            if duplicates:
                found = corrections.differing(connection, None, import_id)
        if "stock_levels" in frames:
            counted = imports.append_lines(connection, import_id, stock.counts(frames["stock_levels"]), part=1)
            inserted, duplicates = inserted + counted.inserted, duplicates + counted.duplicates
        import_changes.keep(connection, import_id, frames, was)
        imports.count_lines(connection, import_id, sales.Appended(inserted, duplicates))
        files = tuple(file["file"] for file in receipt.get("files", ())) or (file_name,)
        happened: list[Event] = [ImportFinished(import_id, files)]
        if inserted:
            happened.append(MovementsRecorded(profile, inserted))
        if correct and found is not None and found.lines:
            made, corrected = corrections.correct_differing(
                connection, None, reason=file_name, made_by=decider(), made_at=app.now(), import_id=import_id
            )
            happened += [] if made is None else [MovementsCorrected(made, "made")]
        if cancelled is not None and cancelled.height:
            off = corrections.cancelled(connection, cancelled)
            if correct and off:
                made, taken_off = corrections.cancel(
                    connection, cancelled, reason=f"cancelled, says {file_name}", made_by=decider(), made_at=app.now(),
                    import_id=import_id,
                )  # fmt: skip
                happened += [] if made is None else [MovementsCorrected(made, "made")]
        outbox.append(connection, app.now(), *happened)
    _log.info("import %d of %s: %d movements new, %d known", import_id, file_name, inserted, duplicates)
    differing = 0 if found is None else found.lines
    examples = () if found is None else _examples(found)
    return import_id, Booked(inserted, duplicates, differing, corrected, examples, off, taken_off)


def _examples(found: corrections.Differing) -> tuple[str, ...]:
    """Say of some lines what is booked and what the files say."""
    said = []
    for row in found.examples.iter_rows(named=True):
        changes = [
            f"{name.replace('_', ' ')} {_shown(row[f'was_{name}'])} -> {_shown(row[name])}"
            for name in ("kind", "product", "warehouse", "occurred_at", "quantity", "unit_price")
            if row[name] != row[f"was_{name}"]
        ]
        said.append(f"line {row['line_id']}: {', '.join(changes)}")
    return tuple(said)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return (
        f"{value:%Y-%m-%d %H:%M}"
        if isinstance(value, dt.datetime)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


@dataclass(frozen=True)
class Rejects:
    """A file of rejected lines, and the command that imports it once it is corrected."""

    path: Path
    again: str


def write_rejects(done: Imported, paths: Sequence[str | Path], wanted: Path | None = None) -> list[Rejects]:
    """Write the rejected lines of each file as CSV: the file's own columns, and why each line was rejected.

    A line is corrected there and the file imported like the one it came from; the columns that say why are ignored.

    Parameters
    ----------
    paths
        The files of the import.
    wanted
        Where to; None writes ``FILE.rejects.csv`` for each file into the working folder. A file that is there already
        is never written over.

    Raises
    ------
    ExportError
        A file cannot be written.
    """
    made = []
    for name, lines in ingest.rejected_lines([Path(path) for path in paths], done.rejects):
        stem = Path(re.sub(r"[^\w. -]+", "-", name.rpartition("/")[2])).stem
        path = _write(_formula_safe(lines), wanted or Path(f"{stem}.rejects.csv"))
        made.append(Rejects(path, _again(path, name, done)))
    return made


def _again(path: Path, name: str, done: Imported) -> str:
    """Return the command that imports a corrected rejects file as its file was read."""
    words = ["shelfwise", "import", str(path)]
    used = next((one for one in done.mappings if one.file == name), None)
    if used is not None and used.said is not None and used.said.name is None:
        words += ["--as", used.table]
        words += [part for ours, theirs in used.mapping.items() for part in ("--map", f"{called(ours)}={theirs}")]
    # Of a few lines the dates themselves may not tell.
    if used is not None and used.date_order is not None:
        words += ["--date-order", used.date_order]
    return shlex.join([*words, *([] if done.warehouse is None else ["--warehouse", done.warehouse])])


def _formula_safe(lines: pl.DataFrame) -> pl.DataFrame:
    """Return cells that a spreadsheet would run as a formula with an apostrophe in front; numbers are none."""
    number = r"^[+-]?[\d.,\s]*$"
    return lines.with_columns(
        pl.when(pl.col(c).str.contains(r"^[=+\-@\t\r]") & ~pl.col(c).str.contains(number))
        .then("'" + pl.col(c))
        .otherwise(c)
        .alias(c)
        for c, dtype in lines.schema.items()
        if dtype == pl.String
    )


def _write(rejects: pl.DataFrame, path: Path) -> Path:
    """Write a frame as CSV, beside an earlier file of that name rather than over it."""
    target, number = path, 2
    while target.exists():
        target, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        rejects.write_csv(target)
    except OSError as error:
        raise ExportError(
            f"{target} cannot be written: {error.strerror or error}; name another with --rejects"
        ) from None
    return target
