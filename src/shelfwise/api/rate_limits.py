"""How often who may ask: sliding windows by token, session and address, in memory or, for several processes, in Redis.

Who asks fast is counted in advance: requests are taken from the window a few at a time, as many as came within a moment
and a hundredth of the limit at most, so that thousands of them do not each wait for the counter. What was taken and not
used within a moment is lost to them, which a slow asker, whose requests are taken one by one, never meets.

A Redis that does not answer lets requests be counted in memory, by each process for itself, and is tried again later:
to refuse everybody because a counter is out of reach would be worse than to count too few.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from shelfwise.domain.errors import ParameterError
from shelfwise.services.actor import Principal
from shelfwise.settings import Settings

if TYPE_CHECKING:
    from limits.aio.strategies import SlidingWindowCounterRateLimiter as SharedLimiter

_log: Final = logging.getLogger(__name__)

SIGN_INS_PER_MINUTE: Final = 10
REFUSED_PER_MINUTE: Final = 60
REDIS_TIMEOUT_SECONDS: Final = 0.2
REDIS_PAUSE_SECONDS: Final = 10.0
MOMENT_SECONDS: Final = 0.1
MOST_SHARE: Final = 0.01
MOST_LEASES: Final = 10_000
PREFIX: Final = "shelfwise:limits"


@dataclass(frozen=True)
class Allowance:
    """What is left to who asks.

    Parameters
    ----------
    limit, remaining
        Requests in a minute, and how many of them are left.
    reset_seconds
        Until more are left.
    allowed
        Whether this request was one of them.
    """

    limit: int
    remaining: int
    reset_seconds: int
    allowed: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell it."""
        found = [
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset_seconds),
        ]
        return found if self.allowed else [*found, (b"retry-after", b"%d" % max(1, self.reset_seconds))]


@dataclass(slots=True)
class _Lease:
    """Requests taken from a window in advance: how many, how many of them are left, and until when."""

    taken: int
    left: int
    until: float
    allowance: Allowance


class RateLimits:
    """Counts requests for one served shop."""

    def __init__(self, settings: Settings) -> None:
        per_minute = {
            "viewer": settings.rate_limit_viewer,
            "planner": settings.rate_limit_planner,
            "admin": settings.rate_limit_admin,
            "service": settings.rate_limit_service,
            "address": settings.rate_limit_address,
            "sign-in": SIGN_INS_PER_MINUTE,
            "refused": REFUSED_PER_MINUTE,
        }
        self._limits = {
            kind: RateLimitItemPerMinute(count, namespace=kind) for kind, count in per_minute.items() if count
        }
        self._memory = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = None if settings.redis_url is None else _in_redis(settings.redis_url.get_secret_value())
        # What the driver raises, whichever it is; a name that is not found and a refused connection come as they are.
        storage: Any = None if self._shared is None else self._shared.storage
        self._wrong: tuple[type[BaseException], ...] = () if storage is None else _errors(storage.base_exceptions)
        self._pause_until = 0.0
        self._alone = False
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()

    async def of(self, who: Principal) -> Allowance | None:
        """Count a request of a user; None where the role is not limited."""
        limit = self._limits.get(who.role)
        if limit is None:
            return None
        key, now = (who.role, who.key), time.monotonic()
        lease = self._leases.get(key)
        if lease is not None and now < lease.until and lease.left:
            lease.left -= 1
            told = lease.allowance
            return Allowance(told.limit, told.remaining + lease.left, told.reset_seconds, allowed=True)
        # All that was taken was used up within the moment: take twice as many.
        fast = lease is not None and now < lease.until
        cost = max(1, min(2 * lease.taken, int(limit.amount * MOST_SHARE))) if fast and lease is not None else 1
        found = await self._hit(who.role, who.key, cost)
        if found is not None and not found.allowed and cost > 1:
            cost, found = 1, await self._hit(who.role, who.key)
        if found is None or not found.allowed:
            self._leases.pop(key, None)
            return found
        self._leases[key] = _Lease(cost, cost - 1, now + MOMENT_SECONDS, found)
        while len(self._leases) > MOST_LEASES:
            self._leases.popitem(last=False)
        return Allowance(found.limit, found.remaining + cost - 1, found.reset_seconds, allowed=True)

    async def of_address(self, kind: str, address: str) -> Allowance | None:
        """Count a request that does not prove who asks; ``kind`` is ``address``, ``sign-in`` or ``refused``."""
        return await self._hit(kind, address)

    async def close(self) -> None:
        """Let go of the connections to Redis."""
        if self._shared is not None:
            storage: Any = self._shared.storage
            await storage.bridge.get_connection().aclose()

    async def exhausted(self, kind: str, address: str) -> Allowance | None:
        """Return the allowance of an address that has used it up, without counting; else None."""
        found = await self._hit(kind, address, cost=0)
        return None if found is None or found.remaining > 0 else found

    async def _hit(self, kind: str, key: str, cost: int = 1) -> Allowance | None:
        limit = self._limits.get(kind)
        if limit is None:
            return None
        if self._shared is not None and time.monotonic() >= self._pause_until:
            try:
                allowed = bool(cost) and await self._shared.hit(limit, key, cost=cost)
                found = await self._shared.get_window_stats(limit, key)
                if self._alone:
                    self._alone = False
                    _log.warning("Redis answers again; requests are counted there")
                return _allowance(limit, allowed, found.remaining, found.reset_time)
            except self._wrong as error:
                self._pause_until = time.monotonic() + REDIS_PAUSE_SECONDS
                if not self._alone:
                    self._alone = True
                    _log.warning(
                        "Redis does not answer (%s); each process counts requests for itself until it does",
                        type(error).__name__,
                    )  # fmt: skip
        allowed = bool(cost) and self._memory.hit(limit, key, cost=cost)
        stats = self._memory.get_window_stats(limit, key)
        return _allowance(limit, allowed, stats.remaining, stats.reset_time)


def _allowance(limit: RateLimitItem, allowed: bool, remaining: int, reset_time: float) -> Allowance:
    seconds = max(0, math.ceil(reset_time - time.time()))
    return Allowance(limit.amount, max(0, remaining), seconds, allowed)


def _errors(told: type[BaseException] | tuple[type[BaseException], ...]) -> tuple[type[BaseException], ...]:
    return (OSError, *(told if isinstance(told, tuple) else (told,)))


def _in_redis(url: str) -> SharedLimiter:
    """Return the strategy that counts in Redis."""
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import SlidingWindowCounterRateLimiter as InRedis
    from limits.errors import ConfigurationError

    try:
        storage = RedisStorage(
            f"async+{url}", implementation="redispy", key_prefix=PREFIX, socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )  # fmt: skip
    except (ConfigurationError, ValueError) as error:
        raise ParameterError(
            f"SHELFWISE_REDIS_URL cannot be used ({error}); write redis://host:6379/0, and install shelfwise[redis]"
        ) from None
    return InRedis(storage)
