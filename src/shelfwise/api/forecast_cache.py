"""The hot path of the service: forecasts that were read before are answered from memory, byte for byte.

An ASGI layer between the gate, which has said who asks and counted them, and the routes. What it keeps are the
routes' own answers, so it has no words of its own; what it answers is what the route would. While it is asked, it
looks at the events in the database every `FRESH_SECONDS` and lets go of the answers of products whose forecast has
changed. What this process changed itself is seen at once (`expire`), what another one changed within
`PATIENCE_SECONDS`: only a look that is older than that is waited for.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfwise.api.etags import holds
from shelfwise.api.observed import ROUTE
from shelfwise.app import App
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.services.changed_forecasts import changed_since
from shelfwise.services.metrics import Metrics

_log: Final = logging.getLogger(__name__)

PREFIX: Final = "/api/v1/products/"
SUFFIX: Final = "/forecast"
TEMPLATE: Final = "/api/v1/products/{product:path}/forecast"
FRESH_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 0.2
MOST_BYTES: Final = 64 << 20
LARGEST: Final = 1 << 20
LONGEST_QUERY: Final = 300
OVERHEAD: Final = 1000
"""Bytes that an answer takes beside its body, about."""


@dataclass(frozen=True)
class _Kept:
    """An answer of the route; ``headers`` and ``unchanged`` are those of a whole answer and of 304."""

    product: str
    tag: str
    headers: tuple[tuple[bytes, bytes], ...]
    unchanged: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body) + OVERHEAD


class ForecastCache:
    """Around the routes of an application; made for one event loop."""

    def __init__(self, app: ASGIApp, shop: App, metrics: Metrics, most_bytes: int = MOST_BYTES) -> None:
        self.app, self._shop, self._most_bytes = app, shop, most_bytes
        self._hit, self._miss = metrics.cache("forecasts")
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()
        self._of_product: dict[str, set[tuple[str, bytes]]] = {}
        self._bytes = 0
        self._watermark: int | None = None
        self._looked = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._expired = self._dropped = 0

    def expire(self) -> None:
        """Look at the events before the next answer; may be called from any thread."""
        self._expired += 1
        self._looked = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a forecast, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _is_forecast(scope):
            await self.app(scope, receive, send)
            return
        age = monotonic() - self._looked
        if age >= FRESH_SECONDS:
            look = self._look()
            if age >= PATIENCE_SECONDS:
                await asyncio.shield(look)
        key = scope["path"], scope["query_string"]
        kept = self._kept.get(key)
        if kept is None:
            self._miss()
            await self._filled(key, scope, receive, send)
            return
        self._hit()
        self._kept.move_to_end(key)
        scope["state"][ROUTE] = TEMPLATE
        given = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        if given is not None and holds(given.decode("latin-1"), kept.tag):
            await send({"type": "http.response.start", "status": 304, "headers": list(kept.unchanged)})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(kept.headers)})
        await send({"type": "http.response.body", "body": kept.body})

    def _look(self) -> asyncio.Task[None]:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_now())
        return self._looking

    async def _look_now(self) -> None:
        began, expired = monotonic(), self._expired
        try:
            changed = await asyncio.to_thread(changed_since, self._shop, self._watermark)
            self._watermark = changed.watermark
            if changed.products is None:
                self._let_go()
            else:
                for product in changed.products:
                    self._let_go(product)
            if expired == self._expired:  # else something was committed while this looked
                self._looked = began
        except ShelfwiseError as error:  # the route says it in its own words
            _log.warning("forecasts are not answered from memory: %s", error)
            self._watermark = None
            self._let_go()
        finally:
            self._looking = None

    def _let_go(self, product: str | None = None) -> None:
        """Forget the answers of a product, or all."""
        self._dropped += 1
        if product is None:
            self._kept.clear()
            self._of_product.clear()
            self._bytes = 0
            return
        for key in tuple(self._of_product.get(product, ())):
            self._forget(key)

    def _forget(self, key: tuple[str, bytes]) -> None:
        kept = self._kept.pop(key)
        self._bytes -= kept.size
        mine = self._of_product[kept.product]
        mine.discard(key)
        if not mine:
            del self._of_product[kept.product]

    async def _filled(self, key: tuple[str, bytes], scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route answer, and keep what it said."""
        dropped = self._dropped
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def listening(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, listening)
        # What changed while the route answered may or may not stand in its answer.
        if start.get("status") == 200 and dropped == self._dropped and self._watermark is not None:
            self._keep(key, tuple(start["headers"]), b"".join(parts))

    def _keep(self, key: tuple[str, bytes], headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
        tag = dict(headers).get(b"etag")
        if tag is None or len(body) > LARGEST or len(key[1]) > LONGEST_QUERY:
            return
        # Named by its name or in other letters, a product is found again by the code in the answer.
        product = str(json.loads(body)["product"])
        unchanged = tuple(pair for pair in headers if pair[0] in (b"etag", b"cache-control"))
        kept = _Kept(product, tag.decode("latin-1"), headers, unchanged, body)
        if key in self._kept:
            self._forget(key)
        self._kept[key] = kept
        self._of_product.setdefault(product, set()).add(key)
        self._bytes += kept.size
        while self._bytes > self._most_bytes:
            self._forget(next(iter(self._kept)))


def _is_forecast(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.endswith(SUFFIX) and path.startswith(PREFIX)
