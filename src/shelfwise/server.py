"""The ASGI application: the API within an envelope that gives every request an id and every answer its safe headers."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelfwise import __version__, logs
from shelfwise.api import problems, tracing
from shelfwise.api.bodies import LARGEST_BULK_BODY
from shelfwise.api.forecast_cache import ForecastCache
from shelfwise.api.observed import PROBLEM, Observed
from shelfwise.api.rate_limits import RateLimits
from shelfwise.api.routes import ROUTERS
from shelfwise.api.security import Gate
from shelfwise.app import App
from shelfwise.domain.addresses import is_loopback
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.trace import new_id
from shelfwise.services import users
from shelfwise.services.access import Access
from shelfwise.services.auditing import AuditLog
from shelfwise.services.metrics import Metrics
from shelfwise.services.serving import Serving
from shelfwise.web import pages

LARGEST_BODY: Final = 16 << 20  # bytes
GRACE_SECONDS: Final = 10
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MISDIRECTED: Final = (
    421, "misdirected-request", "Misdirected Request",
    "this service does not answer under the name in the Host header; ask for it as localhost, or "
    "have its name added to SHELFWISE_ALLOWED_HOSTS",
)  # fmt: skip
TOO_LARGE: Final = (
    413, "content-too-large", "Content Too Large",
    f"the body is larger than {LARGEST_BODY >> 20} MiB ({LARGEST_BULK_BODY >> 20} MiB of movements); send it in parts",
)  # fmt: skip
TURN_SECONDS: Final = 0.001
MOST_HOSTS: Final = 100
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


def api(telemetry: TelemetryConfig = tracing.OFF) -> FastAPI:
    """Return the API without a shop behind it, as the published description needs it.

    Parameters
    ----------
    telemetry
        Which spans are made; none by default.
    """
    made = FastAPI(
        title="Shelfwise",
        version=__version__,
        summary="Demand forecasting and replenishment planning over HTTP.",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        max_body_size=LARGEST_BODY,
        responses=problems.documented(401, 403, 429, 500),
        telemetry=telemetry,
    )
    problems.install(made)
    for router in (*ROUTERS, pages.router):
        made.include_router(router)
    return made


def asgi(
    shop: App, hosts: Iterable[str] = LOOPBACK_NAMES, *, authentication: bool = False, on_loopback: bool = True
) -> ASGIApp:
    """Return the application that serves ``shop``.

    Parameters
    ----------
    hosts
        Names under which a request may address the service. A web page elsewhere that points its own name at
        127.0.0.1 would otherwise speak to a service that trusts its machine.
    authentication
        Whether requests must prove who asks. Without it all are of this computer's user, who may do everything: for
        a program that holds the application in its own process, and for `serve` where it is told so.
    on_loopback
        Whether only this machine can reach the service.
    """

    metrics = Metrics()
    audit = AuditLog(shop)
    access = Access(shop, audit, reachable=not on_loopback)
    endpoint = shop.settings.tracing_endpoint
    spans, end_spans = (None, None) if endpoint is None else tracing.provider(endpoint)

    @asynccontextmanager
    async def running(made: FastAPI) -> AsyncIterator[None]:
        with Serving.start(shop, metrics) as serving:
            made.state.serving, made.state.access = serving, access
            serving.followed = forecasts.expire
            yield
        audit.close()
        await limits.close()
        if end_spans is not None:
            end_spans()

    made = api(tracing.OFF if spans is None else tracing.telemetry(spans))
    made.router.lifespan_context = running
    limits = RateLimits(shop.settings)
    forecasts = ForecastCache(made, shop, metrics)
    gate = Gate(
        forecasts, access, audit, limits, required=authentication, on_loopback=on_loopback, signed_out=pages.signed_out
    )
    return Observed(Envelope(gate, hosts), metrics)


def serve(
    shop: App,
    host: str,
    port: int,
    ready: Callable[[str], None] = lambda _: None,
    invite: Callable[[str, users.Start], None] = lambda *_: None,
) -> None:
    """Serve a shop until the process is told to stop; requests that are being answered are finished first.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes any that is free.
    ready
        Called with the address once connections are taken.
    invite
        Called with the address and how to sign in, where only this machine can reach the service.

    Raises
    ------
    ParameterError
        The port is taken, the address is not one of this machine's own, or other machines could reach the service
        while nobody could prove who asks.
    """
    local = is_loopback(host)
    required = shop.settings.authentication == "required"
    if not local:
        users.check_reachable(shop, host)
    hosts = _hosts(shop, host)
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ParameterError(
            f"{host} port {port} cannot be listened on ({os.strerror(error.errno or 0)}); "
            "stop what uses it, or take another: --port"
        ) from None
    import uvicorn

    # So long a thread that works out what follows from a sale may hold the interpreter while requests wait.
    sys.setswitchinterval(TURN_SECONDS)
    with listening:
        # The parts of an answer are sent at once, also where the loop does not know that this is a TCP socket: else the
        # second part waits 40 ms for the client's word that the first has come.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        ready(url)
        start = users.start_on_loopback(shop) if local and required else None
        if start is not None:
            invite(url, start)
        proxies = _listed(shop.settings.trusted_proxies)
        config = uvicorn.Config(
            asgi(shop, hosts, authentication=required, on_loopback=local), log_config=None, access_log=False,
            server_header=False, timeout_graceful_shutdown=GRACE_SECONDS, proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listening])


def _hosts(shop: App, host: str) -> frozenset[str]:
    """Return the names under which a service at this address answers."""
    more = _listed(shop.settings.allowed_hosts.lower())
    if host in ("0.0.0.0", "::") and not more:  # noqa: S104  (the address is only compared)
        raise ParameterError(
            f"host {host} is every address of this machine, so it is no name that requests could give; say by which "
            "names the service is reached: SHELFWISE_ALLOWED_HOSTS=shop.example,192.168.1.5"
        )
    return frozenset({*LOOPBACK_NAMES, host.lower(), *more})


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class Envelope:
    """Around all of an application: request ids, safe headers, known hosts, and an answer to every fault."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app, self.hosts = app, frozenset(hosts)
        self._met: set[bytes] = set()  # Host headers that were found to name this service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass on what is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        hosts: list[bytes] = []
        given = b""
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"x-request-id" and not given:
                given = value
        asked = given.decode("latin-1")
        request_id = asked if asked and _REQUEST_ID.fullmatch(asked) else new_id(32)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        logs.note(request_id=request_id)
        answer = _Answer(send, scope["path"], state)
        if not self._knows(hosts):
            await answer.refuse(*MISDIRECTED)
            return
        try:
            await self.app(scope, receive, answer)
        except Exception:  # the handler of faults has answered and logged it: raised again it would be logged twice
            if not answer.begun:
                raise

    def _knows(self, hosts: list[bytes]) -> bool:
        """Whether a request names this service, and names it once: of two names a proxy may have checked the other."""
        if len(hosts) > 1:
            return False
        if not hosts:
            return "*" in self.hosts
        if hosts[0] not in self._met:
            if "*" not in self.hosts and _host(hosts[0].decode("latin-1")) not in self.hosts:
                return False
            if len(self._met) < MOST_HOSTS:
                self._met.add(hosts[0])
        return True


class _Answer:
    """The way out of the envelope."""

    def __init__(self, send: Send, path: str, state: MutableMapping[str, Any]) -> None:
        self._send, self._path, self._state, self._request_id = send, path, state, str(state["request_id"])
        self.begun = self._replaced = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            if message["status"] == TOO_LARGE[0] and (b"content-type", problems.MEDIA_TYPE.encode()) not in headers:
                # The framework's own words, sent before any handler of errors is asked.
                await self.refuse(*TOO_LARGE)
                self._replaced = True
                return
            self.begun = True
            there = {name.lower() for name, _ in headers}
            headers.append((b"x-request-id", self._request_id.encode()))
            headers += [pair for pair in _SAFE if pair[0] not in there]
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, status: int, name: str, title: str, detail: str) -> None:
        """Answer with a problem that no handler of errors gets to see."""
        self._state[PROBLEM] = name
        body = problems.Problem(
            type=problems.PREFIX + name, title=title, status=status, detail=detail, instance=self._path,
            request_id=self._request_id,
        )  # fmt: skip
        raw = json.dumps(body.model_dump()).encode()
        headers = [(b"content-type", problems.MEDIA_TYPE.encode()), (b"content-length", str(len(raw)).encode())]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": raw})


def _host(header: str) -> str:
    """Return the name in a Host header, without its port.

    >>> _host("localhost:8000"), _host("[::1]:8000"), _host("shop.example")
    ('localhost', '::1', 'shop.example')
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::\d+)?", header.strip())
    return "" if found is None else (found[1] or found[2]).lower()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(api().openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
