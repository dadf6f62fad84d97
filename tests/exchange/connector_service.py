"""A small inventory or logistics service over real HTTP, as docs/connectors.md describes it, and every way to fail.

A fault is what happens to one request instead of an answer; faults are used up in their order, and then all is well.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Fault = Callable[[Any, bytes], None]


@dataclass
class Asked:
    """A request as it came."""

    feed: str
    cursor: str | None
    limit: int
    headers: dict[str, str]


@dataclass
class Service:
    """What is served, what was asked, and what goes wrong next."""

    feeds: dict[str, list[Any]] = field(default_factory=dict)
    token: str | None = None
    rows_a_page: int = 3
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    packed: bool = False

    def page(self, feed: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """The rows behind a cursor; a cursor here is how many rows are before it."""
        rows = self.feeds.get(feed, [])
        begin = int(cursor.removeprefix("after-")) if cursor is not None and cursor.startswith("after-") else 0
        end = min(begin + min(limit, self.rows_a_page), len(rows))
        return {"items": rows[begin:end], "cursor": f"after-{end}" if end else None, "more": end < len(rows)}


@contextlib.contextmanager
def serving(service: Service, context: ssl.SSLContext | None = None) -> Iterator[Service]:
    """Serve on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            feed = parts.path.removeprefix("/api/")
            limit = int(query.get("limit", "0"))
            service.asked.append(
                Asked(feed, query.get("cursor"), limit, {k.lower(): v for k, v in self.headers.items()})
            )
            fault = service.faults.popleft() if service.faults else service.always
            if service.token is not None and self.headers.get("Authorization") != f"Bearer {service.token}":
                status(401)(self, b"")
                return
            body = json.dumps(service.page(feed, query.get("cursor"), limit)).encode()
            with contextlib.suppress(ConnectionError):  # the client has given up
                if fault is not None:
                    fault(self, body)
                else:
                    answer(self, body, packed=service.packed)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    service.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/api"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(
    handler: Any, body: bytes, *, code: int = 200, kind: str = "application/json", packed: bool = False,
    headers: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Send an answer that is whole."""
    sent = gzip.compress(body) if packed else body
    handler.send_response(code)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(sent)))
    if packed:
        handler.send_header("Content-Encoding", "gzip")
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(sent)


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and no page."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: answer(handler, b'{"error": "no"}', code=code, headers=named)


def says(body: bytes | str | dict[str, Any], kind: str = "application/json") -> Fault:
    """Answer with another body."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return lambda handler, _: answer(handler, raw, kind=kind)


def silent(seconds: float) -> Fault:
    """Say nothing for so long."""
    return lambda handler, body: time.sleep(seconds)


def dripping(seconds: float) -> Fault:
    """Send a body byte by byte, each well within any patience for one byte."""

    def drip(handler: Any, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    return drip


def cut_off(handler: Any, body: bytes) -> None:
    """Promise a whole body and send half of it."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def hung_up(handler: Any, body: bytes) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def bomb(megabytes: int) -> Fault:
    """Send a body that unpacks to so much."""
    packed = gzip.compress(b" " * (megabytes << 20))

    def send(handler: Any, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    return send


def encoded(name: str) -> Fault:
    """Say that the body is packed in a way that was not asked for."""
    return lambda handler, body: answer(handler, body, headers={"Content-Encoding": name})


def to(address: str) -> Fault:
    """Redirect."""
    return status(302, Location=address)
