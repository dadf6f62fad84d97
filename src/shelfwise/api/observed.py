"""The outermost layer of the application: each request is traced, counted, timed, and told of in the log.

It is told apart by the template of its route, never by its path: codes of products would make a time series each, and
whatever a stranger types would stand in the log.
"""

from __future__ import annotations

from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfwise import logs
from shelfwise.services.metrics import UNMATCHED, Metrics

PROBLEM: Final = "problem"
"""Where in the state of a request the name of its problem stands."""
ROUTE: Final = "route"
"""Where in the state of a request the template of its route stands, for what is answered before any route is."""


class Observed:
    """Around all of an application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass on what is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        status, size = 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        traceparent = ""
        for name, given in scope["headers"]:
            if name == b"traceparent":
                traceparent = given.decode("latin-1")
                break
        token = logs.begin(traceparent)
        metrics = self.metrics
        metrics.in_flight += 1
        try:
            await self.app(scope, receive, counted)
        finally:
            metrics.in_flight -= 1
            seconds = perf_counter() - began
            state = scope.get("state", {})
            route = _route(scope, state)
            # Nothing was answered to a client that has gone; what ended with an exception is a fault.
            status = status or HTTPStatus.INTERNAL_SERVER_ERROR
            metrics.request(scope["method"], route, status, seconds)
            if PROBLEM in state:
                metrics.problem(state[PROBLEM])
            logs.access(
                method=scope["method"][:16], route=route, status=int(status), ms=round(seconds * 1000, 3), bytes=size
            )
            logs.end(token)


def _route(scope: Scope, state: Any) -> str:
    given = state.get(ROUTE)
    if given is not None:
        return str(given)
    return getattr(scope.get("route"), "path", UNMATCHED)
