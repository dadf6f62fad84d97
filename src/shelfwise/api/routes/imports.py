"""``/api/v1/imports``: files brought in, their receipts, and taking an import back or putting it back."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.values import ShopTime, records
from shelfwise.services import import_history, uploads
from shelfwise.services.import_history import Undone
from shelfwise.services.importing import Imported, SaidMapping

router = APIRouter(prefix="/api/v1/imports", tags=["imports"], route_class=IdempotentRoute)

IMPORTS: Final = Listing("imports", ("import",), (True,))
REJECTS_SHOWN: Final = 1000
OCTETS: Final = "application/octet-stream"

Number = Annotated[int, Path(ge=1, le=2**53, description="Its number.", examples=[1])]
_NO_CONTROL: Final = r"^[^\x00-\x1f\x7f]+$"


class Import(BaseModel):
    """One import."""

    number: int = Field(validation_alias="import", description="Its number.")
    imported_at: ShopTime = Field(description="Shop time.")
    files: str = Field(description="Names, by commas.")
    format: str
    rows: int | None = Field(description="Rows read; null where no file was.")
    rejected: int | None = Field(description="Rows that were wrong.")
    new_lines: int | None = Field(description="Movements booked.")
    known_lines: int | None = Field(description="Movements that had been booked before.")
    undone_at: ShopTime | None


class ImportPage(Page):
    """Imports, the latest first."""

    items: list[Import]


@router.get("", responses=documented(422, 503))
def list_imports(shop: ShopNow, cursor: Cursor = None, limit: Limit = 50) -> ImportPage:
    """List what was imported."""
    items, following = IMPORTS.page(import_history.listed(shop), cursor, limit)
    return ImportPage.model_validate({"items": items, "next": following})


class ImportReceipt(BaseModel):
    """An import and its receipt."""

    number: int
    imported_at: ShopTime
    undone_at: ShopTime | None
    files: str
    format: str
    new_lines: int | None
    known_lines: int | None
    receipt: dict[str, Any] = Field(
        description="As it was written: what was read, used, dropped and rejected, and how it was understood.",
        examples=[{"files": [], "frames": {"movements": 3}, "products": 1}],
    )


@router.get("/{number}", responses=documented(404, 422, 503))
def one_import(number: Number, shop: ShopNow) -> ImportReceipt:
    """Show an import's receipt."""
    found = import_history.shown(shop, number)
    return ImportReceipt.model_validate({**vars(found), "receipt": found.raw})


class RejectedLine(BaseModel):
    """A line that was put aside."""

    file: str
    line: int | None
    column: str | None
    value: str | None
    reason: str


class Done(BaseModel):
    """What an import did."""

    number: int | None = Field(description="Of the import; null for a trial.")
    written: bool = Field(description="False for a trial: nothing was booked.")
    repeated: bool = Field(description="The very same file was imported before: nothing was done, and that is fine.")
    new_lines: int = Field(description="Movements booked.")
    known_lines: int = Field(description="Movements that had been booked before.")
    differing_lines: int = Field(description="Of those, the ones that the file tells otherwise.")
    corrected_lines: int = Field(description="Of those, the ones that were corrected.")
    cancelled_lines: int = Field(description="Movements that had been booked before and are cancelled by now.")
    taken_off_lines: int = Field(description="Of those, the ones that count no more.")
    examples: list[str] = Field(description="Some lines that differ, or are cancelled, in words.")
    rejected_lines: int = Field(description="Lines that were put aside.")
    rejects: list[RejectedLine] = Field(description=f"The first {REJECTS_SHOWN:,} of them.")
    receipt: dict[str, Any]


async def _content(request: Request) -> bytes:
    """Read the body, which the application limits."""
    return await request.body()


def _said(
    column: Annotated[
        list[str] | None,
        Query(
            alias="map", max_length=100,
            description="Which column is which, like `product=Artikel`, for a file that no format fits; repeat.",
        ),
    ] = None,
    table: Annotated[
        Literal["sales", "stock", "products", "bundles", "suppliers", "open_orders", "events"] | None,
        Query(alias="as", description="What the file is, where its headers do not tell."),
    ] = None,
) -> SaidMapping | None:  # fmt: skip
    return uploads.said(column or [], table)


_UPLOAD: Final = {
    "requestBody": {
        "required": True,
        "description": "The file as it is: CSV, TSV, Excel, Parquet, ZIP or gzip.",
        "content": {
            OCTETS: {
                "schema": {"type": "string", "format": "binary", "minLength": 1},
                "example": "date,product,quantity\n2024-11-01,CF-1033,3\n2024-11-02,CF-1033,5\n",
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    openapi_extra=_UPLOAD,
    responses={
        200: {"model": Done, "description": "A trial, or imported before: nothing was booked"},
        **documented(409, 413, 422, 503),
    },
)
def import_file(
    shop: ShopNow,
    response: Response,
    content: Annotated[bytes, Depends(_content)],
    said: Annotated[SaidMapping | None, Depends(_said)],
    filename: Annotated[
        str,
        Query(
            min_length=1, max_length=255, pattern=_NO_CONTROL, examples=["till.csv"],
            description="Its name, whose ending tells what kind of file it is.",
        ),
    ],
    date_order: Annotated[
        Literal["dmy", "mdy", "ymd"] | None, Query(description="Where the dates themselves do not tell.")
    ] = None,
    warehouse: Annotated[
        str | None, Query(max_length=255, pattern=_NO_CONTROL, description="Of lines that name none; default `main`.")
    ] = None,
    dry_run: Annotated[bool, Query(description="Read and check only.")] = False,
    correct: Annotated[bool, Query(description="Correct lines that are booked already to what the file says.")] = False,
) -> Done:  # fmt: skip
    """Import a file: recognised, checked and booked in one transaction, or refused as a whole with the reason.

    The body is the file itself. The same file sent twice changes nothing. The answer is the receipt.
    """
    done = uploads.import_bytes(
        shop, content, filename, date_order=date_order, warehouse=warehouse, said=said, dry_run=dry_run,
        correct=correct,
    )  # fmt: skip
    response.status_code = 201 if done.written else 200
    return _done(done)


def _done(done: Imported) -> Done:
    return Done(
        number=done.import_id, written=done.written, repeated=done.repeated, new_lines=done.new_lines,
        known_lines=done.known_lines, differing_lines=done.differing, corrected_lines=done.corrected,
        cancelled_lines=done.cancelled, taken_off_lines=done.taken_off,
        examples=list(done.examples), rejected_lines=done.rejects.height,
        rejects=[RejectedLine.model_validate(row) for row in records(done.rejects.head(REJECTS_SHOWN))],
        receipt=json.loads(done.receipt.to_json()),
    )  # fmt: skip


class Left(BaseModel):
    """Something that stays otherwise than one might expect."""

    what: str
    key: str
    column: str | None
    reason: str


class UndoneImport(BaseModel):
    """What taking an import back, or putting it back, did."""

    number: int = Field(description="Of the import.")
    lines: int = Field(description="Movements taken out, or put back.")
    handed_on: int = Field(description="Of an undo: movements that stay because a later import has them too.")
    known: int = Field(description="Of a redo: movements that are there already.")
    removed: dict[str, int] = Field(description="Rows removed, by kind.")
    added: dict[str, int] = Field(description="Rows added, by kind.")
    restored: dict[str, int] = Field(description="Cells set back, by kind.")
    left: list[Left]


@router.post("/{number}/undo", responses=documented(404, 409, 422, 503))
def undo_import(
    number: Number, shop: ShopNow, dry_run: Annotated[bool, Query(description="Only say what it would do.")] = False
) -> UndoneImport:
    """Take an import back: all is as if it had never been, but for what someone else set since."""
    return _undone(import_history.undo(shop, number, dry_run=dry_run))


@router.post("/{number}/redo", responses=documented(404, 409, 422, 503))
def redo_import(number: Number, shop: ShopNow) -> UndoneImport:
    """Put an undone import back; its file is not needed."""
    return _undone(import_history.redo(shop, number))


def _undone(done: Undone) -> UndoneImport:
    changes = done.changes
    return UndoneImport(
        number=done.import_id, lines=done.lines, handed_on=done.handed_on, known=done.known, removed=changes.removed,
        added=changes.added, restored=changes.restored,
        left=[Left.model_validate(row) for row in records(changes.left)],
    )  # fmt: skip
