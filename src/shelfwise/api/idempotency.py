"""``Idempotency-Key``: a write that names a key is done once, and sent again gets the answer it got before.

Two ways, as in `shelfwise.services.idempotent`. A route whose service keeps the answer in its own transaction takes
`KeyNow` and hands it on. Any other route of writes needs one word: ``APIRouter(route_class=IdempotentRoute)``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse

from shelfwise.api.problems import documented
from shelfwise.services import idempotent
from shelfwise.services.idempotent import Keyed

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
KEPT_HEADERS: Final = ("location", "etag", "cache-control", "content-disposition", "retry-after")
"""Headers of an answer that are part of what it says; the others are of the moment it was sent at."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_DESCRIPTION: Final = (
    "A name for this request, such as a random UUID. The same request again under it is not done twice and gets the "
    "same answer."
)


async def key_of(request: Request) -> Keyed | None:
    """Return the key that a request came under; its body is read whole."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    path, query = request.url.path, request.url.query
    return Keyed.of(owner_of(request), key, request.method, path, query, await request.body())


def owner_of(request: Request) -> str:
    """Return who sent a request, as far as the door knows: keys of two callers never meet."""
    return str(getattr(request.state, "caller", ""))


_Header = Annotated[
    str | None, Header(alias=HEADER, min_length=1, max_length=idempotent.MOST_OF_A_KEY, description=_DESCRIPTION)
]


async def _key(request: Request, idempotency_key: _Header = None) -> Keyed | None:
    return None if idempotency_key is None else await key_of(request)


async def _declared(idempotency_key: _Header = None) -> None:
    """Name the header in the description of a route that does not take the key itself."""


KeyNow = Annotated[Keyed | None, Depends(_key)]


class IdempotentRoute(APIRoute):
    """A route whose writes may name a key.

    The answer is kept if it says success; after an error nothing was written, so the key is free again. Answers that
    are streamed are not kept. None for answers with a secret in them, which must not lie in the database.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if not _SAFE.issuperset(options.get("methods") or ("GET",)):
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(_declared)]
            options["responses"] = {**documented(409, 422, 503), **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, behind the keys."""
        handle = super().get_route_handler()

        async def keyed(request: Request) -> Response:
            key = None if request.method in _SAFE else await key_of(request)
            return await handle(request) if key is None else await _once(key, request, handle)

        return keyed


async def _once(key: Keyed, request: Request, handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    shop = request.app.state.serving.shop
    before = await run_in_threadpool(idempotent.begin, shop, key)
    if before is not None:
        return Response(
            before.body, before.status, {**dict(before.headers), REPLAYED: "true"}, before.media_type or None
        )
    try:
        made = await handle(request)
    except BaseException:
        await run_in_threadpool(idempotent.give_up, shop, key)
        raise
    if made.status_code >= 400 or isinstance(made, StreamingResponse):
        await run_in_threadpool(idempotent.give_up, shop, key)
        return made
    media_type = made.headers.get("content-type", "")
    headers = tuple((name, made.headers[name]) for name in KEPT_HEADERS if name in made.headers)
    answer = idempotent.Answer(made.status_code, media_type, bytes(made.body), headers)
    await run_in_threadpool(idempotent.finish, shop, key, answer)
    return made
