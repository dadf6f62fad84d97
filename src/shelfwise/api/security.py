"""The gate: who asks, whether they may, how often, and what is written down of it. Nothing passes without a rule.

A pure ASGI layer around all routes. A rule is found by method and path in `needed`: what is not named there needs the
scope ``read`` for GET and HEAD and ``write`` for every other method, so no route is open by oversight.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast
from urllib.parse import unquote_to_bytes, urlsplit

from fastapi import Depends, Request
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from shelfwise import logs
from shelfwise.api import problems
from shelfwise.api.rate_limits import Allowance, RateLimits
from shelfwise.domain.addresses import is_loopback
from shelfwise.domain.errors import NotSignedIn, ShelfwiseError
from shelfwise.services import actor, auditing
from shelfwise.services.access import Access
from shelfwise.services.actor import ROLES, Principal, Scope
from shelfwise.services.auditing import AuditLog

_log: Final = logging.getLogger(__name__)

COOKIE: Final = "shelfwise_session"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SECRETS_IN_QUERY: Final = frozenset(
    {b"access_token", b"refresh_token", b"token", b"api_token", b"api_key", b"apikey", b"jwt", b"password"}
)
LIFETIMES: Final = ("/api/v1/users", "/api/v1/tokens", "/api/v1/sessions")
"""Where a write changes who may do what, so that all that was proved is proved anew."""


@dataclass(frozen=True)
class Need:
    """What a request needs.

    Parameters
    ----------
    scope
        None for a request that anyone may make.
    counted
        Under which limit an open request is counted by address; None for none.
    writes
        Whether it is written down in the audit log.
    """

    scope: Scope | None
    counted: str | None = None
    writes: bool = False


READ: Final = Need("read")
WRITE: Final = Need("write", writes=True)
READ_ADMIN: Final = Need("admin")
WRITE_ADMIN: Final = Need("admin", writes=True)

EXACT: Final[dict[tuple[str, str], Need]] = {
    ("GET", "/health"): Need(None),
    ("GET", "/api/v1/health"): Need(None),
    ("GET", "/openapi.json"): Need(None, "address"),
    ("GET", "/sign-in"): Need(None, "sign-in"),
    ("POST", "/api/v1/sessions"): Need(None, "sign-in"),
    ("POST", "/api/v1/sessions/refresh"): Need(None, "sign-in"),
    ("DELETE", "/api/v1/sessions"): Need("read", writes=True),
    ("POST", "/api/v1/users/me/password"): Need("read", writes=True),  # their own
    # Questions: they are asked with a body, and change nothing.
    ("POST", "/predict"): READ,
    ("POST", "/api/v1/models/deploy"): WRITE_ADMIN,
    ("POST", "/api/v1/models/rollback"): WRITE_ADMIN,
}
USUAL: Final = (READ, WRITE)
ADMIN: Final = (READ_ADMIN, WRITE_ADMIN)
RESOURCES: Final[dict[str, tuple[Need, Need]]] = {
    "": USUAL,  # the first page
    "audit": ADMIN,
    "backtests": USUAL,
    "backups": ADMIN,  # all that the shop knows
    "connectors": USUAL,
    "forecast": USUAL,
    "health": USUAL,
    "imports": USUAL,
    "insights": USUAL,
    "inventory": USUAL,
    "jobs": USUAL,
    "me": USUAL,
    "metrics": USUAL,
    "models": USUAL,
    "movements": USUAL,
    "order-proposals": USUAL,
    "overrides": USUAL,
    "patterns": USUAL,
    "predict": USUAL,
    "predictions": (READ, READ),  # questions, asked with a body
    "products": USUAL,
    "purchase-orders": USUAL,
    "risks": USUAL,
    "scenarios": USUAL,
    "sessions": USUAL,
    "static": (Need(None, "address"), WRITE),  # what pages look like, that of the signed-out one too
    "tokens": ADMIN,
    "users": ADMIN,
    "webhooks": ADMIN,  # where the shop's events are sent to
}
"""What reading and writing of each resource needs: the first word of a path, behind ``/api/v1`` where that is there.

A test fails for a route whose resource is not named here, so whoever adds one says who may ask it.
"""
_READ: Final = frozenset({b"authorization", b"cookie", b"sec-fetch-site", b"origin", b"host"})
METRICS: Final = ("/metrics", "/api/v1/metrics")


def needed(method: str, path: str) -> Need:
    """Return what a request needs.

    >>> needed("GET", "/api/v1/products").scope, needed("PATCH", "/api/v1/products/7").scope
    ('read', 'write')
    >>> needed("GET", "/api/v1/users").scope, needed("POST", "/predict").scope, needed("GET", "/health").scope
    ('admin', 'read', None)
    """
    found = EXACT.get((method, path))
    if found is not None:
        return found
    reads, writes = RESOURCES.get(resource(path), USUAL)
    return reads if method in SAFE else writes


def resource(path: str) -> str:
    """Return the first word of a path, behind ``/api/v1``.

    >>> resource("/api/v1/products/7/forecast"), resource("/predict")
    ('products', 'predict')
    """
    return path.removeprefix("/api/v1").partition("/")[2].partition("/")[0]


class Refused(Exception):
    """A request is answered at the gate: by a status, the name of the problem, and what to do about it."""

    def __init__(self, status: int, name: str, detail: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail, self.headers = status, name, detail, headers or []


class Gate:
    """Around all routes of an application.

    Parameters
    ----------
    required
        Whether requests must prove who asks; if not, all are of this computer's user, an admin.
    on_loopback
        Whether only this machine can reach the service.
    signed_out
        What answers a browser that asks for the first page and has not signed in; None answers as to a program.
    """

    def __init__(
        self, app: ASGIApp, access: Access, audit: AuditLog, limits: RateLimits, *, required: bool, on_loopback: bool,
        signed_out: ASGIApp | None = None,
    ) -> None:  # fmt: skip
        self.app, self.access, self.audit, self.limits = app, access, audit, limits
        self.required, self.on_loopback, self.signed_out = required, on_loopback, signed_out
        self._proving: dict[bytes, asyncio.Task[Principal]] = {}
        self._anyone = Principal(actor.computer_user(), "admin", ROLES["admin"], None, via="none", key="none")

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # there are none; whoever adds one adds its rule
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state, client = scope["state"], scope.get("client")
        address = client[0] if client else ""
        need = needed(scope["method"], scope["path"])
        way_out = _WayOut(self, send, scope, need, address)
        try:
            who = await self._admit(scope, need, address, way_out)
        except Refused as refused:
            # What a user may not do is written down; what nobody in particular tries would only fill the disk.
            if way_out.who is not None and need.writes and refused.status == 403:
                await self._write_down(way_out.who, scope, refused.status, address)
            if refused.status == 401 and self.signed_out is not None and _is_visit(scope):
                await self.signed_out(scope, receive, send)
                return
            await problems.refuse(
                scope, send, refused.status, refused.name, refused.detail, [*refused.headers, *way_out.headers]
            )
            return
        state["principal"] = who
        if who is not None:
            state["caller"] = who.name
            logs.note(user=who.name)
        token = actor.begin(actor.Acting(who, address, state["request_id"]))
        try:
            await self.app(scope, receive, way_out)
        finally:
            actor.end(token)

    async def _admit(self, scope: Connection, need: Need, address: str, way_out: _WayOut) -> Principal | None:
        """Return who asks, None where anyone may, or refuse the request."""
        headers = _named(scope["headers"])
        bearer, cookie = _bearer(headers.get(b"authorization")), _cookie(headers.get(b"cookie"))
        if scope["query_string"]:
            _refuse_secrets(scope["query_string"])
        if bearer is None and scope["method"] not in SAFE:
            _check_origin(headers, silent=cookie is None)
        if need.scope is None or not self.required or (self._is_metrics(scope, address) and bearer is None):
            if need.counted is not None and self.required:
                await self._count(await self.limits.of_address(need.counted, address), way_out)
            return None if self.required else self._anyone
        credential = bearer if bearer is not None else cookie
        if credential is None:
            await self._count(await self.limits.of_address("address", address), way_out)
            raise _unproved("say who asks: Authorization: Bearer and an API token, or sign in at POST /api/v1/sessions")
        who = self.access.remembered(credential)
        if who is None:
            who = await self._prove(credential, address, way_out)
        way_out.who = who
        await self._count(await self.limits.of(who), way_out)
        if need.scope not in who.scopes:
            raise Refused(403, "forbidden", _forbidden(who, need.scope))
        return who

    async def _prove(self, credential: bytes, address: str, way_out: _WayOut) -> Principal:
        """Look a token up, once for all requests that bring it at the same time."""
        if not self.access.known(credential):  # one that was good before is not locked out by another's guesses
            await self._count(await self.limits.exhausted("refused", address), way_out)
        task = self._proving.get(credential)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(self.access.prove, credential))
            self._proving[credential] = task
            task.add_done_callback(lambda done: self._proved(credential, done))
        try:
            return await asyncio.shield(task)
        except NotSignedIn as error:
            await self.limits.of_address("refused", address)
            raise _unproved(str(error)) from None
        except ShelfwiseError as error:
            _log.error("who asks cannot be looked up: %s", error)
            raise Refused(
                503, "storage-unavailable", "who asks cannot be looked up now; try again", [(b"retry-after", b"5")]
            ) from None

    def _proved(self, credential: bytes, done: asyncio.Task[Principal]) -> None:
        self._proving.pop(credential, None)
        if not done.cancelled():
            done.exception()  # seen, also where everyone who waited for it has gone

    async def _count(self, allowance: Allowance | None, way_out: _WayOut) -> None:
        if allowance is None:
            return
        way_out.headers = allowance.headers()
        if not allowance.allowed:
            raise Refused(
                429, "too-many-requests",
                f"at most {allowance.limit:,} requests a minute; ask again in {max(1, allowance.reset_seconds)} s",
            )  # fmt: skip

    def _is_metrics(self, scope: Connection, address: str) -> bool:
        """Whether metrics are read by a program of this machine; a proxy on it says for whom it asks."""
        return (
            self.on_loopback and scope["path"] in METRICS and scope["method"] in SAFE and is_loopback(address)
            and not any(name in (b"forwarded", b"x-forwarded-for", b"via") for name, _ in scope["headers"])
        )  # fmt: skip

    def _write_down(self, who: Principal, scope: Connection, status: int, address: str) -> asyncio.Future[None]:
        """Put an entry into the audit log, and return what is done once it is on disk."""
        route = getattr(scope.get("route"), "path", scope["path"])
        given = scope["state"].get("subject") or ", ".join(f"{k} {v}" for k, v in scope.get("path_params", {}).items())
        with actor.acting_as(who, address, scope["state"]["request_id"]):
            entry = auditing.entry(f"{scope['method']} {route}", given, status=status)
        return asyncio.wrap_future(self.audit.record(entry))


class _WayOut:
    """The answer on its way: limits are told in its headers, and a write is written down before it is acknowledged."""

    def __init__(self, gate: Gate, send: Send, scope: Connection, need: Need, address: str) -> None:
        self._gate, self._send, self._scope, self._need, self._address = gate, send, scope, need, address
        self.headers: list[tuple[bytes, bytes]] = []
        self.who: Principal | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.headers:
                message = {**message, "headers": [*message.get("headers", ()), *self.headers]}
            if self._need.writes or self._scope["path"].startswith(LIFETIMES):
                await self._settle(message["status"])
        await self._send(message)

    async def _settle(self, status: int) -> None:
        if self._scope["method"] not in SAFE and self._scope["path"].startswith(LIFETIMES):
            self._gate.access.forget()
        state = self._scope["state"]
        who = state.get("principal")
        # A route that writes its entry in the very transaction of its change has said so.
        if who is None or not self._need.writes or state.get("audited"):
            return
        written = self._gate._write_down(who, self._scope, status, self._address)
        # What was refused has changed nothing, so its answer need not wait for the disk.
        if status < 400:
            await written


def _is_visit(scope: Connection) -> bool:
    """Whether a browser asks for the first page."""
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return scope["path"] == "/" and scope["method"] == "GET" and b"text/html" in accepted


def _named(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers that the gate reads; of two that differ nobody could say which one holds."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _READ:
            if name in found and name != b"cookie":
                raise Refused(400, "unreadable-request", f"there are two {name.decode()} headers; send one")
            found[name] = found[name] + b";" + value if name in found else value
    return found


def _bearer(authorization: bytes | None) -> bytes | None:
    """Return the token of an Authorization header."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise _unproved("the Authorization header must be: Bearer, a space, and an API token or session token")
    return token.strip()


def _cookie(value: bytes | None) -> bytes | None:
    """Return the session among the cookies."""
    if value is None:
        return None
    start = COOKIE.encode() + b"="
    found = [part.strip()[len(start) :] for part in value.split(b";") if part.strip().startswith(start)]
    if len(found) > 1:
        raise Refused(400, "unreadable-request", f"there are two cookies {COOKIE}; delete one")
    return found[0] if found else None


def _refuse_secrets(query: bytes) -> None:
    """Refuse a token in the address: addresses stand in logs and histories, where tokens must not."""
    for part in query.split(b"&"):
        name = unquote_to_bytes(part.partition(b"=")[0]).lower()
        if name in SECRETS_IN_QUERY:
            raise Refused(
                400, "secret-in-address",
                f"{name.decode()} stands in the address, where logs keep it; send tokens in the Authorization header, "
                "and revoke this one",
            )  # fmt: skip


def _check_origin(headers: Mapping[bytes, bytes], *, silent: bool) -> None:
    """Refuse what a page of another site has a browser send.

    Parameters
    ----------
    silent
        Whether saying nothing will do: programs say nothing of their origin, but no program sends cookies.
    """
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        same = site == b"same-origin" or (silent and site == b"none")
    elif origin is not None:
        same = urlsplit(origin.decode("latin-1")).netloc.lower() == headers.get(b"host", b"").decode("latin-1").lower()
    else:
        same = silent
    if not same:
        raise Refused(
            403, "cross-origin",
            "this write does not come from a page of this service; send it from there, or with an Authorization header",
        )  # fmt: skip


def _unproved(detail: str) -> Refused:
    return Refused(401, "not-signed-in", detail, [(b"www-authenticate", b'Bearer realm="shelfwise"')])


def _forbidden(who: Principal, scope: Scope) -> str:
    if scope in ROLES[who.role]:
        return f"{who.via} of {who.name} has no scope {scope}; make an API token that has"
    able = [role for role, scopes in ROLES.items() if scope in scopes]
    return f"{who.name} is a {who.role}, and this needs the role {' or '.join(able)}; ask an admin for it"


def _principal(request: Request) -> Principal:
    found = request.state.principal
    if found is None:
        raise NotSignedIn("say who asks")
    return cast("Principal", found)


def _access(request: Request) -> Access:
    return cast("Access", request.app.state.access)


PrincipalNow = Annotated[Principal, Depends(_principal)]
AccessNow = Annotated[Access, Depends(_access)]
