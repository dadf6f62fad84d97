"""Every error as ``application/problem+json`` (RFC 9457): a stable type, what happened, where, and the request's id.

The types never change once published; a program tells errors apart by them and never by the words of ``detail``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope, Send

from shelfwise.domain.errors import (
    AccessDenied,
    ConflictError,
    DataError,
    ModelError,
    NotFound,
    NotSignedIn,
    ParameterError,
    ShelfwiseError,
    StorageError,
    TooManyAttempts,
)

_log: Final = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
PREFIX: Final = "urn:shelfwise:problem:"

# The first class that an error is one of decides, so the particular stand before the general.
KINDS: Final[tuple[tuple[type[ShelfwiseError], int, str, str], ...]] = (
    (NotSignedIn, 401, "not-signed-in", "It is not proved who asks"),
    (AccessDenied, 403, "forbidden", "Who asks may not do that"),
    (TooManyAttempts, 429, "too-many-requests", "It was asked too often"),
    (NotFound, 404, "not-found", "There is no such thing"),
    (ConflictError, 409, "conflict", "The state of what was named forbids it"),
    (ParameterError, 422, "invalid-parameter", "A parameter breaks its rule"),
    (DataError, 422, "unusable-data", "What was sent cannot be used"),
    (StorageError, 503, "storage-unavailable", "The database cannot do it now"),
    (ModelError, 500, "model-failed", "A model could not answer"),
    (ShelfwiseError, 500, "failed", "It could not be done"),
)
INVALID: Final = (422, "invalid-request", "The request is not as the interface describes it")
UNREADABLE: Final = (400, "unreadable-request", "The request cannot be read")
RETRY_SECONDS: Final = "2"
TOO_LARGE: Final = "Content Too Large"  # Python 3.11 knows the status by its old name
TITLES: Final = {
    **{name: title for _, _, name, title in KINDS},
    "unreadable-request": UNREADABLE[2],
    "cross-origin": "The page of another site may not do that",
    "secret-in-address": "A secret stands in the address",
}
FAULT: Final = (500, "fault", "A fault in the program")


class FieldError(BaseModel):
    """One thing wrong with a request."""

    field: str = Field(description="Where it is, like `body.quantities.3`.", examples=["body.quantities"])
    message: str = Field(description="What is wrong with it.", examples=["Field required"])


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(description="Which error it is; stable.", examples=[f"{PREFIX}invalid-request"])
    title: str = Field(description="The error in a few words, the same each time.")
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="The value, the rule and the way out.")
    instance: str = Field(description="The path that was asked for.", examples=["/predict"])
    request_id: str = Field(description="The request's id, as in the answer's `X-Request-Id` and in the log.")
    errors: list[FieldError] = Field([], description="What is wrong, field by field; empty where no field is.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may answer with problems of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def install(api: FastAPI) -> None:
    """Make every error of ``api`` a problem."""

    @api.exception_handler(ShelfwiseError)
    async def _known(request: Request, error: ShelfwiseError) -> JSONResponse:
        status, name, title = next((s, n, t) for kind, s, n, t in KINDS if isinstance(error, kind))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("%s %s: %s", request.method, request.url.path, error)
        later = {"Retry-After": RETRY_SECONDS} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        if isinstance(error, TooManyAttempts):
            later = {"Retry-After": str(error.retry_after_seconds)}
        return problem(request, status, name, title, str(error), headers=later)

    @api.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [FieldError(field=".".join(map(str, e["loc"])), message=str(e["msg"])) for e in error.errors()]
        words = "; ".join(f"{one.field}: {one.message}" for one in found[:3])
        more = f"; and {len(found) - 3:,} more" if len(found) > 3 else ""
        broken = any(e["type"] == "json_invalid" for e in error.errors())
        return problem(request, *(UNREADABLE if broken else INVALID), words + more, found[:100])

    @api.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        phrase = TOO_LARGE if error.status_code == 413 else HTTPStatus(error.status_code).phrase
        detail = str(error.detail) if error.detail else phrase
        name = phrase.lower().replace(" ", "-")
        return problem(request, error.status_code, name, phrase, detail, headers=error.headers)

    @api.exception_handler(Exception)
    async def _fault(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
        return problem(request, *FAULT, "the log tells more, under the request's id; nothing half-done was kept")


def problem(
    request: Request, status: int, name: str, title: str, detail: str, errors: Sequence[FieldError] = (), *,
    headers: Any = None,
) -> JSONResponse:  # fmt: skip
    """Return one error as an answer, and note which, for who counts them."""
    request.state.problem = name
    body = Problem(
        type=PREFIX + name, title=title, status=status, detail=detail, instance=request.url.path,
        request_id=str(request.state.request_id), errors=list(errors),
    )  # fmt: skip
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


async def refuse(
    scope: Scope, send: Send, status: int, name: str, detail: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a problem before any route is asked."""
    scope["state"]["problem"] = name
    body = Problem(
        type=PREFIX + name, title=TITLES[name], status=status, detail=detail, instance=scope["path"],
        request_id=scope["state"]["request_id"], errors=[],
    )  # fmt: skip
    raw = body.model_dump_json().encode()
    kind = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(raw)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *headers]})
    await send({"type": "http.response.body", "body": raw})
