"""Sends one message to an address that somebody else chose, once, and says what came of it.

The name is resolved for each message; if any number that it leads to must not be reached, nothing is sent, and else the
connection is made to a number that was looked at, so that no second answer of the name server can lead elsewhere. TLS
still proves the name. Redirects are answers like any other, no proxy is asked, and of the answer a little is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.web_addresses import PORTS, WebAddress, check_reachable

if TYPE_CHECKING:
    import httpx2

MOST_READ: Final = 1000
"""Bytes of an answer that are read and kept."""

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """What came of sending.

    Parameters
    ----------
    status
        Status of the answer; None where there was none.
    error
        What went wrong; None where the receiver took it.
    answer
        The beginning of the answer's body.
    seconds
        How long it took.
    retry_after
        Seconds that the receiver asks to be left alone for.
    """

    status: int | None
    error: str | None
    answer: str
    seconds: float
    retry_after: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver took the message."""
        return self.error is None


def resolved(host: str, port: int) -> Sequence[str]:
    """Return the numbers that a name leads to.

    Raises
    ------
    OSError
        It leads nowhere.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def send(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private: bool,
    timeout_seconds: float,
    resolve: Resolve = resolved,
    trusted: ssl.SSLContext | None = None,
) -> Outcome:
    """Post a body to an address.

    Parameters
    ----------
    private
        Whether this machine and its network may be reached.
    timeout_seconds
        For all of it: finding the name, connecting, sending, and reading the answer.
    resolve
        Looks names up.
    trusted
        Whom TLS believes; None for whom this machine does.
    """
    began = time.monotonic()
    try:
        address = WebAddress.parse(url, private=private)
        numbers = _numbers(address, resolve, timeout_seconds)
        for number in numbers:
            check_reachable(address.host, ipaddress.ip_address(number), private=private)
        left = timeout_seconds - (time.monotonic() - began)
        status, answer, wait = asyncio.run(_posted(address, numbers, body, headers, left, trusted or _believed()))
    except (TimeoutError, ParameterError, OSError, _Failed) as error:
        late = isinstance(error, TimeoutError)
        said = f"no answer within {timeout_seconds:g} s" if late else str(error)
        return Outcome(None, said, "", time.monotonic() - began)
    taken = 200 <= status < 300
    return Outcome(status, None if taken else _refused(status), answer, time.monotonic() - began, wait)


class _Failed(Exception):
    """The request could not be made, or the answer is none of HTTP."""


def _refused(status: int) -> str:
    return f"answered {status}{', and redirects are not followed' if 300 <= status < 400 else ''}"


@cache
def _believed() -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)


def _numbers(address: WebAddress, resolve: Resolve, seconds: float) -> Sequence[str]:
    """Look a name up, in a thread that can be left behind: the system's own patience is longer than ours."""
    if address.number is not None:
        return [str(address.number)]
    found: queue.SimpleQueue[Sequence[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def look() -> None:
        try:
            found.put(resolve(address.host, address.port))
        except (OSError, UnicodeError) as error:
            found.put(error)

    threading.Thread(target=look, name="webhook-name", daemon=True).start()
    try:
        numbers = found.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(numbers, Exception):
        raise _Failed(f"{address.host} cannot be found: {numbers}")
    return [number.partition("%")[0] for number in numbers]


async def _posted(
    address: WebAddress, numbers: Sequence[str], body: bytes, headers: Mapping[str, str], seconds: float,
    trusted: ssl.SSLContext,
) -> tuple[int, str, float | None]:  # fmt: skip
    import httpx2

    url = httpx2.URL(address.text)
    named = f"[{address.host}]" if ":" in address.host else address.host
    told = {**headers, "Host": named if address.port == PORTS[address.scheme] else f"{named}:{address.port}"}
    proved = {} if address.number is not None else {"sni_hostname": address.host.rstrip(".")}
    async with (
        asyncio.timeout(max(seconds, 0.0)),
        httpx2.AsyncClient(verify=trusted, trust_env=False, timeout=None, follow_redirects=False) as client,
    ):
        for place, number in enumerate(numbers):
            request = client.build_request(
                "POST", url.copy_with(host=number), content=body, headers=told, extensions=proved
            )
            try:
                return await _answered(client, request)
            except httpx2.ConnectError as error:
                if place == len(numbers) - 1:
                    raise _Failed(f"{address.shown} cannot be reached: {error}") from None
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise _Failed(f"{address.shown} broke off: {type(error).__name__} {error}".rstrip()) from None
    raise _Failed(f"{address.host} leads nowhere")


async def _answered(client: httpx2.AsyncClient, request: httpx2.Request) -> tuple[int, str, float | None]:
    answer = await client.send(request, stream=True)
    try:
        read = b""
        if not 200 <= answer.status_code < 300:
            async for part in answer.aiter_raw():  # as it came: nothing is unpacked
                read += part
                if len(read) >= MOST_READ:
                    break
        wait = None
        with contextlib.suppress(KeyError, ValueError):
            wait = min(max(float(int(answer.headers["retry-after"])), 0.0), 86_400.0)
        text = read[:MOST_READ].decode("utf-8", errors="replace")
        return answer.status_code, "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip(), wait
    finally:
        await answer.aclose()
