"""Webhooks: programs and channels elsewhere that hear of what happens in the shop.

An event becomes deliveries in one transaction (`relay`), with a place in the outbox of its own, so that a webhook never
holds up the jobs that keep forecasts up to date. Each webhook has one job at a time, in a thread of its own, which
sends what is due until nothing is or the receiver does not take it; so a dead receiver costs nobody but itself.

A delivery is sent **at least once**: a worker that dies between sending and writing that down leaves it waiting, and it
is sent again under the same id. What was not taken is tried again by `SCHEDULE`, over three days; meanwhile the others
to the same receiver wait for growing pauses. A receiver that took nothing for `OFF_AFTER`, or answers 410, is switched
off.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any, Final, Literal

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError, ShelfwiseError
from shelfwise.domain.web_addresses import WebAddress
from shelfwise.services import actor, auditing, encryption, job_kinds, webhook_messages, webhook_signatures
from shelfwise.services.jobs import wanted
from shelfwise.services.webhook_sending import Outcome, send
from shelfwise.storage import jobs, outbox, sealing, webhook_facts, webhooks, workers
from shelfwise.storage.outbox import Happened
from shelfwise.storage.webhooks import STATES, Begun, Delivery, Message, Tried, Webhook

_log: Final = logging.getLogger(__name__)

Format = Literal["standard", "slack"]

READER: Final = "webhooks"
EVENTS_AT_ONCE: Final = 500
MOST_WEBHOOKS: Final = 50
MOST_LISTED: Final = 1000
SCHEDULE: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds from each try that failed to the next."""
OFF_AFTER: Final = timedelta(hours=72)
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 900.0
RUN_SECONDS: Final = 120.0
OVERLAP_HOURS: Final = 24.0
_SEALED: Final = "sealed:"

__all__ = [
    "STATES", "Changes", "Delivery", "Made", "Page", "Webhook", "add", "body_of", "change", "deliver", "delivery",
    "deliveries", "every", "one", "relay", "remove", "resend", "rotate", "try_out", "waiting",
]  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A webhook, and its secret as a person sees it this once; None where its messages are not signed."""

    webhook: Webhook
    secret: str | None


@dataclass(frozen=True)
class Changes:
    """What changes of a webhook; None stays."""

    name: str | None = None
    url: str | None = None
    events: Sequence[str] | None = None
    enabled: bool | None = None


@dataclass(frozen=True)
class Page:
    """Some deliveries, the newest first, and where the next page begins: None after the last."""

    deliveries: Sequence[Delivery]
    before: int | None


# --- what there is


def every(app: App) -> list[Webhook]:
    """Return all webhooks, the oldest first."""
    with app.database.read() as connection:
        return webhooks.every(connection)


def one(app: App, number: int) -> Webhook:
    """Return a webhook.

    Raises
    ------
    NotFound
        There is none of that number.
    """
    with app.database.read() as connection:
        return webhooks.one(connection, number)


def waiting(app: App) -> dict[int, int]:
    """Return how many deliveries wait, by webhook."""
    with app.database.read() as connection:
        return dict(webhooks.waiting(connection))


def add(
    app: App, url: str, events: Sequence[str], *, name: str = "", format: Format | None = None,
    secret: str | None = None,
) -> Made:  # fmt: skip
    """Add a webhook, which hears of what happens from now on.

    Parameters
    ----------
    url
        Where messages are sent to.
    events
        Types of messages, of `webhook_messages.KINDS`.
    format
        ``standard``, signed; ``slack``, for its channels; None: by whether the address is one of Slack's.
    secret
        Of the convention; None makes one.

    Raises
    ------
    ParameterError
        The address, an event or the secret cannot be taken, or there are webhooks enough.
    """
    address = _address(app, url)
    names = webhook_messages.check_events(events)
    chosen = format or ("slack" if webhook_messages.is_slack(url) else "standard")
    if chosen == "slack" and secret is not None:
        raise ParameterError("Slack does not read signatures, so a webhook to it has no secret; leave it away")
    if chosen == "standard":
        secret = secret or webhook_signatures.new_secret()
        webhook_signatures.key_of(secret)
    with app.database.write() as connection:
        if len(webhooks.every(connection)) >= MOST_WEBHOOKS:
            raise ParameterError(f"there are {MOST_WEBHOOKS} webhooks, which is the most; remove one")
        values = {
            "name": name, "url": url, "format": chosen, "events": names, "created_by": actor.name(),
            "secret": _sealed(app, secret), "since_event": webhook_facts.newest_event(connection),
        }  # fmt: skip
        number = webhooks.add(connection, values)
        auditing.by_hand(connection, "webhooks add", f"{number} to {address.shown}")
        return Made(webhooks.one(connection, number), secret)


def change(app: App, number: int, changes: Changes) -> Webhook:
    """Change a webhook; one that is switched on hears of what happens from then on.

    Raises
    ------
    NotFound, ParameterError
        There is no such webhook; the address or an event cannot be taken.
    """
    values: dict[str, Any] = {}
    if changes.name is not None:
        values["name"] = changes.name
    if changes.url is not None:
        _address(app, changes.url)
        values["url"] = changes.url
    if changes.events is not None:
        values["events"] = webhook_messages.check_events(changes.events)
    with app.database.write() as connection:
        before = webhooks.one(connection, number)
        if changes.enabled and not before.enabled:
            values |= {
                "enabled": True, "off_reason": None, "failures": 0, "failing_since": None, "paused_until": None,
                "since_event": webhook_facts.newest_event(connection),
            }  # fmt: skip
        if values:
            webhooks.change(connection, number, values)
        if changes.enabled is False:
            webhooks.switch_off(connection, number, None)
        said = "on" if changes.enabled else "off" if changes.enabled is False else ", ".join(sorted(values))
        auditing.by_hand(connection, "webhooks change", f"{number}: {said}")
        return webhooks.one(connection, number)


def rotate(app: App, number: int, *, secret: str | None = None, overlap_hours: float = OVERLAP_HOURS) -> Made:
    """Give a webhook another secret; the one before signs beside it for some hours.

    Raises
    ------
    NotFound, ParameterError
        There is no such webhook; its messages are not signed, or the secret is none.
    """
    fresh = secret or webhook_signatures.new_secret()
    webhook_signatures.key_of(fresh)
    with app.database.write() as connection:
        before = webhooks.one(connection, number)
        if before.secret is None:
            raise ParameterError(f"webhook {number} sends to Slack, which reads no signatures; it has no secret")
        until = jobs.now(connection) + timedelta(hours=overlap_hours)
        # The one before is sealed anew, so that nothing waits for a key that was followed by another.
        previous = _sealed(app, _opened(app, before.secret))
        values = {"secret": _sealed(app, fresh), "previous_secret": previous, "previous_until": until}
        webhooks.change(connection, number, values)
        auditing.by_hand(connection, "webhooks rotate", str(number))
        return Made(webhooks.one(connection, number), fresh)


def remove(app: App, number: int) -> Webhook:
    """Delete a webhook with its log; return it as it was.

    Raises
    ------
    NotFound
        There is none of that number.
    """
    with app.database.write() as connection:
        before = webhooks.one(connection, number)
        webhooks.remove(connection, number)
        auditing.by_hand(connection, "webhooks remove", str(number))
    return before


# --- what is sent


def relay(app: App) -> int:
    """Turn events since the last time into deliveries; return how many events. Safe to run beside itself.

    While nobody wants what happens nothing is written; then the place moves on in steps.
    """
    with app.database.read() as connection:
        hearing = [webhook for webhook in webhooks.every(connection) if webhook.enabled]
        if not hearing:
            return 0
        events = _unread(connection, hearing)
        if len(events) < EVENTS_AT_ONCE and not any(_hear(hearing, each) for each in events):
            return 0
    with app.database.write() as connection:
        hearing = [webhook for webhook in webhooks.every(connection) if webhook.enabled]
        events = _unread(connection, hearing)
        told: set[int] = set()
        for each in events:
            told |= _deliver_to(app, connection, _hear(hearing, each), each)
        if told:
            jobs.enqueue(connection, [_job(number) for number in sorted(told)])
        if events:
            workers.set_read_until(connection, READER, events[-1].number)
    return len(events)


def _unread(connection: Any, hearing: Sequence[Webhook]) -> list[Happened]:
    first = min((webhook.since_event for webhook in hearing), default=0)
    return outbox.since(connection, max(first, workers.read_until(connection, READER)), limit=EVENTS_AT_ONCE)


def _hear(hearing: Sequence[Webhook], happened: Happened) -> list[Webhook]:
    """Return the webhooks that hear of an event."""
    kind = webhook_messages.kind_of(happened.event)
    if kind is None:
        return []
    return [one for one in hearing if kind.name in one.events and happened.number > one.since_event]


def _deliver_to(app: App, connection: Any, to: Sequence[Webhook], happened: Happened) -> set[int]:
    """Queue what is to be told of an event; return the webhooks that are told."""
    kind = webhook_messages.kind_of(happened.event)
    if kind is None or not to:
        return set()
    try:
        with connection.begin_nested():
            body = webhook_messages.body_of(app, connection, kind, happened)
    except (ShelfwiseError, KeyError, TypeError, ValueError):
        # What the store holds is not as this program knows it; the events after it must be told all the same.
        _log.exception("event %d cannot be told to webhooks", happened.number)
        return set()
    if body is None:
        return set()
    for webhook in to:
        gathers = None if kind.gather is None else partial(webhook_messages.gathered, kind)
        wait = 0.0 if kind.gather is None else webhook_messages.GATHER_SECONDS
        webhooks.deliver(connection, webhook.id, [Message(_new_id(), kind.name, body, wait, gathers)])
    return {webhook.id for webhook in to}


def _job(number: int, delay_seconds: float = 0.0) -> jobs.Wanted:
    return wanted(job_kinds.DELIVER, {"webhook": number}, str(number), delay_seconds=delay_seconds)


def _new_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def deliver(app: App, number: int, progress: job_kinds.Progress) -> dict[str, int]:
    """Send what is due to a webhook until nothing is, or the receiver does not take it; queue the next run."""
    taken = refused = 0
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until and not refused:
        progress("sending", taken, 0)
        with app.database.write_beside() as connection:
            begun = webhooks.begin(connection, number)
        if begun is None:
            break
        outcome = _sent(app, begun.webhook, begun.message_id, begun.body)
        _settle(app, begun, outcome)
        if outcome.taken:
            taken += 1
        else:
            refused += 1
    with app.database.write() as connection:
        wait = webhooks.next_in_seconds(connection, number)
        if wait is not None:
            jobs.enqueue(connection, [_job(number, wait)])
    return {"taken": taken, "refused": refused}


def _sent(app: App, webhook: Webhook, message: str, body: bytes) -> Outcome:
    sent = webhook_messages.for_slack(body) if webhook.format == "slack" else body
    moment = datetime.now(tz=UTC)
    keys = [] if webhook.secret is None else [_opened(app, webhook.secret)]
    if webhook.previous_secret is not None and webhook.previous_until is not None and moment < webhook.previous_until:
        keys.append(_opened(app, webhook.previous_secret))
    headers = {
        "content-type": "application/json", "user-agent": f"shelfwise/{version('shelfwise')}",
        **webhook_signatures.headers(keys, message, int(moment.timestamp()), sent),
    }  # fmt: skip
    settings = app.settings
    return send(
        webhook.url, sent, headers, private=settings.webhook_private_addresses,
        timeout_seconds=settings.webhook_timeout_seconds,
    )  # fmt: skip


def _settle(app: App, begun: Begun, outcome: Outcome) -> None:
    """Write down what came of a try, and switch a receiver off that is gone."""
    webhook, off = begun.webhook, None
    with app.database.write_beside() as connection:
        if outcome.taken:
            webhooks.settle(connection, begun, _tried(outcome), None)
            webhooks.received(connection, webhook.id)
        else:
            since = webhooks.refused(connection, webhook.id, _pause_seconds(webhook.failures))
            again = _again_in_seconds(begun.attempts, outcome)
            webhooks.settle(connection, begun, _tried(outcome), again)
            if outcome.status == 410:
                off = "its receiver answered 410 Gone"
            elif jobs.now(connection) - since >= OFF_AFTER:
                off = f"its receiver has taken nothing since {since:%Y-%m-%d %H:%M} UTC; at last: {outcome.error}"
            if off is not None:
                webhooks.switch_off(connection, webhook.id, off)
    if off is not None:
        _log.error(
            "webhook %d is switched off: %s; when that is put right: shelfwise webhooks enable %d", webhook.id, off,
            webhook.id,
        )  # fmt: skip
    elif not outcome.taken:
        _log.warning("webhook %d did not take %s: %s", webhook.id, begun.message_id, outcome.error)


def _again_in_seconds(attempts: int, outcome: Outcome) -> float | None:
    """Return when a delivery is tried again after so many tries, spread by chance; None: not any more."""
    if attempts > len(SCHEDULE):
        return None
    spread = SCHEDULE[attempts - 1] * random.uniform(1.0, 1.2)  # noqa: S311  (it only spreads tries)
    return max(spread, outcome.retry_after or 0.0)


def _pause_seconds(failures: int) -> float:
    """Return for how long a receiver is left alone that has failed so often in a row before.

    >>> [_pause_seconds(n) for n in (0, 1, 2, 9)]
    [5.0, 10.0, 20.0, 900.0]
    """
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 20), LONGEST_PAUSE_SECONDS))


def _tried(outcome: Outcome) -> Tried:
    return Tried(outcome.status, outcome.error, outcome.answer, outcome.seconds)


def try_out(app: App, number: int) -> Delivery:
    """Send a webhook a message that means nothing, now and once; return what came of it.

    Raises
    ------
    NotFound
        There is no such webhook.
    """
    webhook = one(app, number)
    data = {"webhook": number, "text": "This is a test message from Shelfwise. Nothing has to be done."}
    body = webhook_messages.envelope(webhook_messages.TEST, datetime.now(tz=UTC), data)
    message = Message(_new_id(), webhook_messages.TEST, body)
    outcome = _sent(app, webhook, message.id, body)
    with app.database.write() as connection:
        webhooks.one(connection, number)  # it may be removed by now
        noted = webhooks.note(connection, number, message, _tried(outcome))
        if outcome.taken:
            webhooks.received(connection, number)
            if webhook.enabled and webhooks.next_in_seconds(connection, number) is not None:
                jobs.enqueue(connection, [_job(number)])
        auditing.by_hand(connection, "webhooks test", str(number))
        return webhooks.delivery(connection, number, noted)


# --- what was sent


def deliveries(app: App, number: int, *, state: str | None = None, before: int | None = None, limit: int = 100) -> Page:
    """Return what was and is to be sent to a webhook, the newest first.

    Raises
    ------
    NotFound, ParameterError
        There is no such webhook; there is no such state, or the limit is out of range.
    """
    if state is not None and state not in STATES:
        raise ParameterError(f"there is no state {state!r} of a delivery; the states are {', '.join(STATES)}")
    if not 1 <= limit <= MOST_LISTED:
        raise ParameterError(f"limit must be from 1 to {MOST_LISTED} deliveries, got {limit}")
    with app.database.read() as connection:
        webhooks.one(connection, number)
        found = webhooks.page(connection, number, state=state, before=before, limit=limit + 1)
    return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)


def delivery(app: App, webhook: int, number: int) -> Delivery:
    """Return a delivery.

    Raises
    ------
    NotFound
        There is no such webhook, or no such delivery to it.
    """
    with app.database.read() as connection:
        webhooks.one(connection, webhook)
        return webhooks.delivery(connection, webhook, number)


def body_of(app: App, webhook: int, number: int) -> dict[str, Any]:
    """Return the message that a delivery sends; Slack gets its words alone."""
    with app.database.read() as connection:
        webhooks.delivery(connection, webhook, number)
        found: dict[str, Any] = json.loads(webhooks.body_of(connection, number))
        return found


def resend(app: App, webhook: int, number: int) -> Delivery:
    """Send something again that was sent, failed or was dropped, under its own id.

    Raises
    ------
    NotFound, ConflictError
        There is no such webhook, or no such delivery to it; it waits already, or its webhook is off.
    """
    with app.database.write() as connection:
        webhooks.check_on(connection, webhook)
        webhooks.send_again(connection, webhook, number)
        jobs.enqueue(connection, [_job(webhook)])
        auditing.by_hand(connection, "webhooks resend", f"{number} of {webhook}")
        return webhooks.delivery(connection, webhook, number)


def _sealed(app: App, secret: str | None) -> str | None:
    """Return a secret as it is kept: sealed where the shop has a key, else as it is."""
    key = encryption.keys_of(app.settings).present
    if secret is None or key is None:
        return secret
    return _SEALED + base64.b64encode(sealing.seal(secret.encode(), key, "webhook")).decode()


def _opened(app: App, kept: str) -> str:
    """Return a secret from what is kept of it.

    Raises
    ------
    NoKey, SealBroken
        It was sealed under a key that the settings do not name, or was changed.
    """
    if not kept.startswith(_SEALED):
        return kept
    sealed = base64.b64decode(kept.removeprefix(_SEALED))
    keys = encryption.keys_of(app.settings)
    return sealing.opened(sealed, keys, "webhook", what="the secret of a webhook").decode()


def _address(app: App, url: str) -> WebAddress:
    """Refuse an address that nothing would ever be sent to; where its name leads is looked at with each message."""
    return WebAddress.parse(url, private=app.settings.webhook_private_addresses)
