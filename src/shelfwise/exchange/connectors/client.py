"""Asking a service for pages over HTTP: one deadline for each request, retries with back-off, nothing taken on trust.

An address is asked and no other: a redirect is followed on the same scheme, host and port alone, since the token goes
along. Certificates are verified. Proxies and passwords of the environment (``HTTP_PROXY``, ``.netrc``) have no effect;
``SSL_CERT_FILE`` may name a private authority. No message of this module holds the token.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import random
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

import httpx2

from shelfwise.exchange.connectors.endpoint import Endpoint, Patience
from shelfwise.exchange.connectors.pages import Malformed, Page, Unanswered, Unpacking, read_page

MOST_REDIRECTS: Final = 3
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_LONGEST_RETRY_AFTER: Final = 86_400.0
_SHOWN: Final = 200


class Client:
    """Asks one service.

    Parameters
    ----------
    failed
        Told of each attempt that failed; returns whether another one may follow.
    wait
        How seconds are waited for.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: Patience | None = None,
        failed: Callable[[Unanswered], bool] = lambda _: True,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._endpoint, self._patience = endpoint, patience or Patience()
        self._failed, self._wait = failed, wait
        # Reading the authorities takes a tenth of a second; without them no certificate is trusted.
        tls = endpoint.url.lower().startswith("https:")
        self._http = httpx2.Client(
            verify=httpx2.create_ssl_context() if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=False, follow_redirects=False, timeout=httpx2.Timeout(endpoint.timeout_seconds),
        )  # fmt: skip
        self.requests = 0
        """So many were sent."""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def page(self, feed: str, cursor: str | None, limit: int) -> Page:
        """Return the page of a feed behind ``cursor``, of at most ``limit`` rows.

        Raises
        ------
        Unanswered
            It could not be had, in as many attempts as patience allows.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(feed, cursor, limit)
            except Unanswered as error:
                asked = error.after_seconds
                longest = self._patience.longest_asked_seconds
                hopeless = not error.again or attempt >= self._patience.attempts or (asked or 0.0) > longest
                if not self._failed(error) or hopeless:
                    raise
                # Never earlier than the service asked for, and else around what patience says.
                spread = random.uniform(1.0, 1.2) if asked else random.uniform(0.8, 1.2)  # noqa: S311  (it only spreads tries)
                self._wait(self._patience.seconds(attempt, asked) * spread)

    def _once(self, feed: str, cursor: str | None, limit: int) -> Page:
        deadline = time.monotonic() + self._endpoint.timeout_seconds
        url = httpx2.URL(f"{self._endpoint.url.rstrip('/')}/{feed}")
        params = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        url = url.copy_merge_params(params)
        for _ in range(MOST_REDIRECTS + 1):
            found = self._answer(url, limit, deadline)
            if isinstance(found, Page):
                return found
            url = found
        raise Unanswered(f"{url.copy_with(query=None)} redirects too often; correct the address in the settings")

    def _answer(self, url: httpx2.URL, limit: int, deadline: float) -> Page | httpx2.URL:
        """Return the page at an address, or the address it is redirected to."""
        named = str(url.copy_with(query=None))
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "shelfwise"}
        if self._endpoint.token is not None:
            headers["Authorization"] = f"Bearer {self._endpoint.token}"
        self.requests += 1
        try:
            with self._http.stream("GET", url, headers=headers) as response:
                if response.status_code in _REDIRECTS:
                    return _redirected(url, response)
                if response.status_code != 200:
                    raise _refused(named, response)
                unpacking = Unpacking(response.headers.get("content-encoding", "").strip().lower())
                for chunk in response.iter_raw():
                    if time.monotonic() > deadline:
                        raise Unanswered(self._late(named), again=True)
                    unpacking.add(chunk)
            return read_page(response.headers.get("content-type", ""), unpacking.body(), limit)
        except httpx2.TimeoutException:
            raise Unanswered(self._late(named), again=True) from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            said = str(error)[:_SHOWN] or type(error).__name__
            raise Unanswered(f"{named} cannot be reached ({said})", again=True) from None
        except Malformed as error:
            raise Unanswered(f"{named}: {error}", again=error.again, alone=True) from None

    def _late(self, named: str) -> str:
        return f"{named} did not answer in full within {self._endpoint.timeout_seconds:g} s"


def _redirected(url: httpx2.URL, response: httpx2.Response) -> httpx2.URL:
    goal = url.join(response.headers.get("location", ""))
    here = (url.scheme, url.host, url.port)
    if (goal.scheme, goal.host, goal.port) != here:
        raise Unanswered(
            f"{url.copy_with(query=None)} redirects to {goal.scheme}://{goal.host}, which is not followed, since the "
            "token would go there; if that is where the service is now, name it in the settings"
        )
    return goal


def _refused(named: str, response: httpx2.Response) -> Unanswered:
    status, asked = response.status_code, _retry_after(response.headers.get("retry-after"))
    if status in (401, 403):
        why = "it wants another token" if status == 401 else "the token may not read it"
        return Unanswered(f"{named} answered {status}: {why}; look at the connector's token in the settings")
    if status == 404:
        return Unanswered(f"{named} answered 404: there is no such feed; look at the address", alone=True)
    again = status in (408, 425, 429) or status >= 500
    asks = f" and asks to wait {asked:,.0f} s" if asked else ""
    return Unanswered(f"{named} answered {status}{asks}", again=again, after_seconds=asked, alone=not again)


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, at most a day; None where it cannot be read.

    >>> _retry_after("120"), _retry_after("soon"), _retry_after("Thu, 01 Jan 1970 00:00:00 GMT")
    (120.0, None, 0.0)
    """
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=dt.UTC)
    seconds = (until - dt.datetime.now(tz=dt.UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
