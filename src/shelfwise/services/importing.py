"""Import: files are read, sorted and booked in one transaction, or nothing is booked at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl

from shelfwise import ingest
from shelfwise.app import App
from shelfwise.domain.errors import ExportError, ParameterError
from shelfwise.domain.events import Event, ImportFinished, MovementsRecorded
from shelfwise.ingest import Receipt
from shelfwise.storage import bundles, catalogue, imports, outbox, purchasing, sales, stock

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
    """

    receipt: Receipt
    rejects: pl.DataFrame
    new_lines: int = 0
    known_lines: int = 0
    repeated: bool = False
    written: bool = True
    import_id: int | None = None


def import_files(
    app: App,
    paths: Sequence[str | Path],
    *,
    date_order: str | None = None,
    warehouse: str | None = None,
    dry_run: bool = False,
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
    dry_run
        Read and check only.

    Raises
    ------
    FileRefused, AmbiguousDates
        A file cannot be used; nothing was booked.
    """
    if date_order not in (None, "dmy", "mdy", "ymd"):
        raise ParameterError(f"date order must be dmy, mdy or ymd, got {date_order!r}")
    place = {} if warehouse is None else {"warehouse": warehouse}
    batch = ingest.read(
        [Path(path) for path in paths],
        date_order=cast("DateOrder | None", date_order),
        today=app.today(),
        timezone=app.settings.timezone,
        progress=progress,
        **place,
    )
    done = Imported(batch.receipt, batch.rejects, written=False)
    if dry_run:
        return done
    fingerprint = _fingerprint(batch.receipt, date_order, warehouse, app.settings.timezone)
    with app.database.read() as connection:
        before = imports.find_import(connection, fingerprint)
    if before is not None:
        return replace(done, repeated=True, known_lines=batch.receipt.rows_used, import_id=before.id)
    if progress is not None:
        progress("booking", 0, 1)
    return _book(app, batch, fingerprint, done)


def _fingerprint(receipt: Receipt, *choices: str | None) -> str:
    """Return a hash of the files' contents and of the choices that change how they are read."""
    parts = [file.sha256 for file in sorted(receipt.files, key=lambda file: file.sha256)]
    return sha256(json.dumps([parts, choices]).encode()).hexdigest()


def _book(app: App, batch: ingest.Batch, fingerprint: str, done: Imported) -> Imported:
    import_id, booked = book(
        app,
        batch.frames,
        file_name=", ".join(file.file for file in batch.receipt.files),
        fingerprint=fingerprint,
        profile=", ".join(dict.fromkeys(file.profile for file in batch.receipt.files)),
        receipt=json.loads(batch.receipt.to_json()),
    )
    return replace(done, new_lines=booked.inserted, known_lines=booked.duplicates, written=True, import_id=import_id)


def book(
    app: App,
    frames: Mapping[str, pl.DataFrame],
    *,
    file_name: str,
    fingerprint: str,
    profile: str,
    receipt: Mapping[str, Any],
) -> tuple[int, sales.Appended]:
    """Book declared frames as one import, in one transaction; return its number and what became of the movements.

    Parameters
    ----------
    frames
        Declared frames by name. Suppliers are booked before products, which name them, and stock levels last.
    file_name, fingerprint, profile, receipt
        What is kept about the import.
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
    inserted = duplicates = 0
    with app.database.write(stage=stage) as connection:
        import_id = imports.record_import(
            connection,
            file_name=file_name,
            content_hash=fingerprint,
            profile=profile,
            receipt=receipt,
            imported_at=app.now(),
        )
        for name, upsert in steps:
            if name in frames:
                upsert(connection, frames[name])
        if stage is not None:
            booked = sales.append_movements(connection, None, import_id)
            inserted, duplicates = booked.inserted, booked.duplicates
        if "stock_levels" in frames:
            counted = stock.set_stock_levels(connection, frames["stock_levels"], import_id)
            inserted, duplicates = inserted + counted.inserted, duplicates + counted.duplicates
        happened: list[Event] = [ImportFinished(import_id, tuple(file_name.split(", ")))]
        if inserted:
            happened.append(MovementsRecorded(profile, inserted))
        outbox.append(connection, app.now(), *happened)
    _log.info("import %d of %s: %d movements new, %d known", import_id, file_name, inserted, duplicates)
    return import_id, sales.Appended(inserted, duplicates)


def write_rejects(rejects: pl.DataFrame, path: Path) -> Path:
    """Write the rejected lines as CSV, beside an earlier file of that name rather than over it.

    Raises
    ------
    ExportError
        The file cannot be written.
    """
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
