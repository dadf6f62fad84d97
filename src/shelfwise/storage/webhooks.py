"""Webhooks and what is sent to them: who wants which events, what waits, what was tried and what came of it.

========== ==================================================================================
state      meaning of a delivery
========== ==================================================================================
waiting    is sent at ``next_at``, or as soon after it as its webhook is neither paused nor busy
delivered  the receiver took it
failed     it was tried as often as it may be
dropped    its webhook was switched off before the receiver took it
========== ==================================================================================

Adding deliveries holds the writers' turn, which makes gathering exact. What the one who sends does (`begin`, `settle`)
locks single rows, and its job makes it the only one for its webhook. **A delivery that was begun once never changes
its body**: a receiver tells by the message's id that it has it already. All times are those of the database's host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shelfwise.domain.errors import ConflictError, NotFound
from shelfwise.storage.database import insert_one
from shelfwise.storage.jobs import now
from shelfwise.storage.tables import webhook_deliveries, webhooks

STATES: Final = ("waiting", "delivered", "failed", "dropped")
LONGEST_TEXT: Final = 4_000
_SHOWN: Final = [column for column in webhook_deliveries.columns if column.name != "body"]


@dataclass(frozen=True)
class Webhook:
    """An address that hears of events; ``secret`` and ``previous_secret`` are as they are kept."""

    id: int
    name: str
    url: str
    format: str
    events: tuple[str, ...]
    secret: str | None
    previous_secret: str | None
    previous_until: datetime | None
    enabled: bool
    off_reason: str | None
    since_event: int
    failures: int
    failing_since: datetime | None
    paused_until: datetime | None
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """A message to one webhook, without its body."""

    id: int
    webhook_id: int
    message_id: str
    type: str
    state: str
    attempts: int
    next_at: datetime
    created_at: datetime
    tried_at: datetime | None
    delivered_at: datetime | None
    status: int | None
    error: str | None
    answer: str | None
    seconds: float | None


@dataclass(frozen=True)
class Message:
    """What is to be sent to a webhook.

    Parameters
    ----------
    id
        What a receiver tells it by.
    wait_seconds
        It is sent no earlier.
    gathers
        Makes one body of that of a message which waits untried and this one's, or None where they are two; None where
        each is told by itself.
    """

    id: str
    type: str
    body: bytes
    wait_seconds: float = 0.0
    gathers: Callable[[bytes, bytes], bytes | None] | None = None


@dataclass(frozen=True)
class Begun:
    """A delivery that is tried now; ``attempts`` counts this one."""

    webhook: Webhook
    id: int
    message_id: str
    type: str
    body: bytes
    attempts: int


@dataclass(frozen=True)
class Tried:
    """What came of a try: ``error`` is None where the receiver took it."""

    status: int | None
    error: str | None
    answer: str
    seconds: float


@dataclass(frozen=True)
class Backlog:
    """Deliveries by state, for how many seconds the oldest waiting one has waited, and webhooks that are off."""

    by_state: Mapping[str, int]
    oldest_waiting_seconds: float
    switched_off: int


# --- webhooks


def add(connection: Connection, values: Mapping[str, Any]) -> int:
    """Add a webhook and return its number."""
    fresh = {"failures": 0, "enabled": True, "created_at": now(connection)}
    return insert_one(connection, webhooks, fresh | dict(values))


def every(connection: Connection) -> list[Webhook]:
    """Return all webhooks, the oldest first."""
    return [_webhook(row) for row in connection.execute(select(webhooks).order_by(webhooks.c.id))]


def one(connection: Connection, number: int) -> Webhook:
    """Return a webhook.

    Raises
    ------
    NotFound
        There is none of that number.
    """
    found = _found(connection, number)
    if found is None:
        raise NotFound(f"there is no webhook {number}; `shelfwise webhooks list` lists them")
    return found


def check_on(connection: Connection, number: int) -> None:
    """Refuse a webhook that is off.

    Raises
    ------
    NotFound, ConflictError
        There is none of that number; it is off.
    """
    if not one(connection, number).enabled:
        raise ConflictError(f"webhook {number} is off and is sent nothing; `shelfwise webhooks enable {number}` first")


def change(connection: Connection, number: int, values: Mapping[str, Any]) -> None:
    """Write columns of a webhook."""
    connection.execute(update(webhooks).where(webhooks.c.id == number).values(dict(values)))


def remove(connection: Connection, number: int) -> None:
    """Delete a webhook with its log."""
    connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == number))
    connection.execute(delete(webhooks).where(webhooks.c.id == number))


def switch_off(connection: Connection, number: int, reason: str | None) -> None:
    """Send a webhook nothing more; ``reason`` says why the program did so, None: a person did."""
    values = {"enabled": False, "off_reason": None if reason is None else reason[:LONGEST_TEXT]}
    change(connection, number, values)
    t = webhook_deliveries.c
    waiting = t.webhook_id == number, t.state == "waiting"
    connection.execute(update(webhook_deliveries).where(*waiting).values(state="dropped"))


# --- deliveries


def deliver(connection: Connection, webhook: int, messages: Sequence[Message]) -> None:
    """Add what is to be sent to a webhook, in order; needs the writers' turn."""
    moment = now(connection)
    for message in messages:
        if message.gathers is not None and _gathered(connection, webhook, message):
            continue
        next_at = moment + timedelta(seconds=message.wait_seconds)
        row = {
            "webhook_id": webhook, "message_id": message.id, "type": message.type, "body": message.body,
            "state": "waiting", "attempts": 0, "next_at": next_at, "created_at": moment,
        }  # fmt: skip
        connection.execute(insert(webhook_deliveries).values(row))


def _gathered(connection: Connection, webhook: int, message: Message) -> bool:
    """Take a message into one of its type that waits and was never tried; return whether there was one."""
    t = webhook_deliveries.c
    where = t.webhook_id == webhook, t.state == "waiting", t.type == message.type, t.attempts == 0
    waiting = connection.scalar(select(func.max(t.id)).where(*where))
    if waiting is None or message.gathers is None:
        return False
    locked = connection.execute(select(webhook_deliveries).where(t.id == waiting).with_for_update()).first()
    if locked is None or locked.state != "waiting" or locked.attempts:  # it was begun since the look
        return False
    body = message.gathers(bytes(locked.body), message.body)
    if body is None:
        return False
    connection.execute(update(webhook_deliveries).where(t.id == waiting).values(body=body))
    return True


def note(connection: Connection, webhook: int, message: Message, tried: Tried) -> int:
    """Keep what was sent outside of the queue, and what came of it; return its number."""
    moment = now(connection)
    row = {
        "webhook_id": webhook, "message_id": message.id, "type": message.type, "body": message.body, "attempts": 1,
        "next_at": moment, "created_at": moment, "tried_at": moment, **_told(tried),
        "state": "failed" if tried.error else "delivered", "delivered_at": None if tried.error else moment,
    }  # fmt: skip
    return insert_one(connection, webhook_deliveries, row)


def begin(connection: Connection, number: int) -> Begun | None:
    """Count a try of the next delivery that is due of a webhook; None where there is none, or it is off or paused."""
    webhook, moment, t = _found(connection, number), now(connection), webhook_deliveries.c
    if webhook is None or not webhook.enabled or (webhook.paused_until is not None and webhook.paused_until > moment):
        return None
    due = t.webhook_id == number, t.state == "waiting", t.next_at <= moment
    first = connection.scalar(select(t.id).where(*due).order_by(t.next_at, t.id).limit(1))
    if first is None:
        return None
    row = connection.execute(select(webhook_deliveries).where(t.id == first).with_for_update()).first()
    if row is None or row.state != "waiting":
        return None
    values = {"attempts": row.attempts + 1, "tried_at": moment}
    connection.execute(update(webhook_deliveries).where(t.id == first).values(values))
    return Begun(webhook, row.id, row.message_id, row.type, bytes(row.body), row.attempts + 1)


def settle(connection: Connection, begun: Begun, tried: Tried, again_in_seconds: float | None) -> None:
    """Write what came of a try: taken, to be tried again, or failed for good (None)."""
    t, moment = webhook_deliveries.c, now(connection)
    values = _told(tried)
    if tried.error is None:
        values |= {"state": "delivered", "delivered_at": moment}
    elif again_in_seconds is None:
        values |= {"state": "failed"}
    else:
        values |= {"next_at": moment + timedelta(seconds=again_in_seconds)}
    still = t.id == begun.id, t.state == "waiting"  # it was dropped meanwhile, where its webhook was switched off
    connection.execute(update(webhook_deliveries).where(*still).values(values))


def received(connection: Connection, number: int) -> None:
    """Note that a webhook's receiver is well."""
    failed = webhooks.c.id == number, webhooks.c.failures > 0
    values: dict[str, Any] = {"failures": 0, "failing_since": None, "paused_until": None}
    connection.execute(update(webhooks).where(*failed).values(values))


def refused(connection: Connection, number: int, pause_seconds: float) -> datetime:
    """Note that a webhook's receiver did not take a message, and leave it alone for a while.

    Returns
    -------
    Since when it has taken none.
    """
    moment = now(connection)
    row = connection.execute(select(webhooks).where(webhooks.c.id == number).with_for_update()).first()
    if row is None:
        return moment
    since = row.failing_since or moment
    values = {
        "failures": row.failures + 1, "failing_since": since, "paused_until": moment + timedelta(seconds=pause_seconds)
    }  # fmt: skip
    change(connection, number, values)
    return since


def next_in_seconds(connection: Connection, number: int) -> float | None:
    """Return in how many seconds a webhook is sent something next; None where nothing waits."""
    webhook, t = _found(connection, number), webhook_deliveries.c
    if webhook is None or not webhook.enabled:
        return None
    earliest = connection.scalar(select(func.min(t.next_at)).where(t.webhook_id == number, t.state == "waiting"))
    if earliest is None:
        return None
    at = earliest if webhook.paused_until is None else max(earliest, webhook.paused_until)
    return float(max((at - now(connection)).total_seconds(), 0.0))


def send_again(connection: Connection, webhook: int, number: int) -> None:
    """Let a delivery wait to be sent anew, under its own id; needs the writers' turn.

    Raises
    ------
    NotFound, ConflictError
        There is no such delivery to this webhook; it waits already.
    """
    found = delivery(connection, webhook, number)
    if found.state == "waiting":
        raise ConflictError(f"delivery {number} waits to be sent already")
    t = webhook_deliveries.c
    values: dict[str, Any] = {"state": "waiting", "attempts": 0, "next_at": now(connection), "delivered_at": None}
    connection.execute(update(webhook_deliveries).where(t.id == number).values(values))
    change(connection, webhook, {"paused_until": None})


def delivery(connection: Connection, webhook: int, number: int) -> Delivery:
    """Return a delivery to a webhook.

    Raises
    ------
    NotFound
        There is none of that number.
    """
    t = webhook_deliveries.c
    row = connection.execute(select(*_SHOWN).where(t.id == number, t.webhook_id == webhook)).first()
    if row is None:
        raise NotFound(
            f"there is no delivery {number} to webhook {webhook}; it never was, or it is over for long and deleted: "
            f"`shelfwise webhooks deliveries {webhook}` lists them"
        )
    return Delivery(**row._mapping)


def body_of(connection: Connection, number: int) -> bytes:
    """Return what a delivery sends."""
    t = webhook_deliveries.c
    return bytes(connection.execute(select(t.body).where(t.id == number)).scalar_one())


def page(
    connection: Connection, webhook: int, *, state: str | None = None, before: int | None = None, limit: int = 100
) -> list[Delivery]:
    """Return deliveries to a webhook, the newest first: at most ``limit``, with numbers below ``before``."""
    t = webhook_deliveries.c
    query = select(*_SHOWN).where(t.webhook_id == webhook).order_by(t.id.desc()).limit(limit)
    if state is not None:
        query = query.where(t.state == state)
    if before is not None:
        query = query.where(t.id < before)
    return [Delivery(**row._mapping) for row in connection.execute(query)]


def waiting(connection: Connection) -> Mapping[int, int]:
    """Return how many deliveries wait, by webhook."""
    t = webhook_deliveries.c
    rows = connection.execute(select(t.webhook_id, func.count()).where(t.state == "waiting").group_by(t.webhook_id))
    return {number: int(count) for number, count in rows}


def forget(connection: Connection, *, days: float) -> int:
    """Delete deliveries that are over and were made so many days ago; return how many. The newest one stays."""
    t = webhook_deliveries.c
    newest = connection.scalar(select(func.max(t.id))) or 0
    old = t.created_at < now(connection) - timedelta(days=days)
    return connection.execute(delete(webhook_deliveries).where(t.state != "waiting", old, t.id < newest)).rowcount


def backlog(connection: Connection) -> Backlog:
    """Return how much was sent and waits."""
    t = webhook_deliveries.c
    counted = connection.execute(select(t.state, func.count()).group_by(t.state)).all()
    oldest = connection.scalar(select(func.min(t.created_at)).where(t.state == "waiting"))
    off = select(func.count()).where(webhooks.c.off_reason.is_not(None))
    waited = 0.0 if oldest is None else (now(connection) - oldest).total_seconds()
    return Backlog({state: int(count) for state, count in counted}, max(waited, 0.0), int(connection.scalar(off) or 0))


def _told(tried: Tried) -> dict[str, Any]:
    return {
        "status": tried.status, "error": None if tried.error is None else tried.error[:LONGEST_TEXT],
        "answer": tried.answer[:LONGEST_TEXT].replace("\0", "") or None, "seconds": tried.seconds,
    }  # fmt: skip


def _found(connection: Connection, number: int) -> Webhook | None:
    row = connection.execute(select(webhooks).where(webhooks.c.id == number)).first()
    return None if row is None else _webhook(row)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(**{**row._mapping, "events": tuple(row.events)})
