"""``/api/v1/webhooks``: addresses that hear of what happens in the shop, what was sent to them, and a test button."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.domain.web_addresses import LONGEST, WebAddress
from shelfwise.services import webhooks
from shelfwise.services.webhooks import Changes

secret = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
"""Of what answers with a secret, which must not be kept under an Idempotency-Key."""
keyed = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"], route_class=IdempotentRoute)

DELIVERIES: Final = Listing("deliveries", ("id",), (True,))
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The webhook's number.", examples=[1])]
DeliveryNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="The delivery's number.", examples=[1])]
Events = Literal[
    "order_proposal.ready", "stockout_risk.raised", "stockout_risk.cleared", "import.finished", "forecast.changed",
    "purchase_order.changed", "movements.recorded",
]  # fmt: skip
State = Literal["waiting", "delivered", "failed", "dropped"]
Url = Annotated[
    str,
    Field(
        min_length=1, max_length=LONGEST, description="Where messages are posted to, by https.",
        examples=["https://hooks.example.com/shelfwise"],
    ),
]  # fmt: skip
Label = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$", description="What it is for.")]
Wanted = Annotated[list[Events], Field(min_length=1, max_length=20, description="What it hears of.")]
Secret = Annotated[
    SecretStr | None,
    Field(max_length=200, description="`whsec_` and the base64 of 24 to 64 bytes; null makes one."),
]


class Webhook(BaseModel):
    """An address that hears of events. Moments are in UTC."""

    number: int
    name: str
    url: str
    format: Literal["standard", "slack"] = Field(
        description="`standard`: signed, by the Standard Webhooks convention; `slack`: a sentence for a channel."
    )
    events: list[Events]
    enabled: bool
    off_reason: str | None = Field(description="Why the program switched it off; null where it did not.")
    waiting: int = Field(description="Deliveries that wait to be sent.")
    failing_since: dt.datetime | None = Field(description="Since when its receiver has taken nothing.")
    previous_secret_until: dt.datetime | None = Field(description="Until when the secret before signs, too.")
    created_by: str
    created_at: dt.datetime


class MadeWebhook(Webhook):
    """A webhook with its secret."""

    secret: str | None = Field(
        description="Under which messages are signed. It is told this once; null where they are not signed."
    )


class NewWebhook(BaseModel):
    """A webhook to be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "url": "https://hooks.example.com/shelfwise", "name": "accounts",
                    "events": ["order_proposal.ready", "stockout_risk.raised"],
                }
            ]
        },
    )  # fmt: skip

    url: Url
    events: Wanted
    name: Label = ""
    format: Literal["standard", "slack"] | None = Field(
        None, description="Null: `slack` for an address of Slack's own, else `standard`."
    )
    secret: Secret = None


class WebhookChange(BaseModel):
    """What changes of a webhook; what is not named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})

    url: Url | None = None
    events: Wanted | None = None
    name: Label | None = None
    enabled: bool | None = Field(
        None, description="Off: nothing is sent, and what waits is dropped. On again: it hears of what happens then."
    )


class NewSecret(BaseModel):
    """How a webhook's secret is changed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_hours": 24}]})

    overlap_hours: float = Field(
        webhooks.OVERLAP_HOURS, ge=0, le=720, description="Hours for which the secret before signs, too."
    )
    secret: Secret = None


class Delivery(BaseModel):
    """A message to a webhook, and what came of it. Moments are in UTC, by the clock of the database's host."""

    model_config = ConfigDict(from_attributes=True)

    number: int = Field(validation_alias="id")
    message_id: str = Field(description="The `webhook-id` of every try.", examples=["msg_0f9a1c"])
    type: str = Field(examples=["import.finished"])
    state: State
    attempts: int
    created_at: dt.datetime
    next_at: dt.datetime = Field(description="When it is tried next, where it waits.")
    tried_at: dt.datetime | None
    delivered_at: dt.datetime | None
    status: int | None = Field(description="Status of the last answer.")
    error: str | None = Field(description="What went wrong at the last try.")
    answer: str | None = Field(description="The beginning of an answer that was not 2xx.")
    seconds: float | None = Field(description="How long the last try took.")


class DeliveryPage(Page):
    """Deliveries, the newest first."""

    items: list[Delivery]


class SentDelivery(Delivery):
    """A delivery with what it sends."""

    body: dict[str, Any] = Field(description="The message; Slack gets its words alone.")


def _before(cursor: Cursor = None) -> int | None:
    return None if cursor is None else int(DELIVERIES.read(cursor, {"id": pl.Int64()})[0])


@secret.post("", status_code=201, responses=documented(400, 401, 403, 413, 422, 429, 503))
def add_webhook(body: NewWebhook, shop: ShopNow, request: Request) -> MadeWebhook:
    """Add a webhook, which hears of what happens from now on; its secret is in this answer alone."""
    made = webhooks.add(shop, body.url, body.events, name=body.name, format=body.format, secret=_revealed(body.secret))
    address = WebAddress.parse(body.url, private=shop.settings.webhook_private_addresses)
    request.state.subject = f"{made.webhook.id} to {address.shown}"  # the path of some is a secret
    return MadeWebhook(**_told(made.webhook, 0), secret=made.secret)


@secret.post("/{number}/rotate", responses=documented(400, 401, 403, 404, 413, 422, 429, 503))
def rotate_secret(number: Number, body: NewSecret, shop: ShopNow) -> MadeWebhook:
    """Give a webhook another secret, which is in this answer alone; the one before signs, too, for some hours."""
    made = webhooks.rotate(shop, number, secret=_revealed(body.secret), overlap_hours=body.overlap_hours)
    return MadeWebhook(**_told(made.webhook, webhooks.waiting(shop).get(number, 0)), secret=made.secret)


@keyed.get("", responses=documented(401, 403, 429, 503))
def list_webhooks(shop: ShopNow) -> list[Webhook]:
    """List webhooks, the oldest first."""
    waiting = webhooks.waiting(shop)
    return [Webhook(**_told(one, waiting.get(one.id, 0))) for one in webhooks.every(shop)]


@keyed.get("/{number}", responses=documented(401, 403, 404, 422, 429, 503))
def show_webhook(number: Number, shop: ShopNow) -> Webhook:
    """Show a webhook."""
    return Webhook(**_told(webhooks.one(shop, number), webhooks.waiting(shop).get(number, 0)))


@keyed.patch("/{number}", responses=documented(400, 401, 403, 404, 413, 422, 429, 503))
def change_webhook(number: Number, body: WebhookChange, shop: ShopNow, request: Request) -> Webhook:
    """Change a webhook, or switch it off or on."""
    request.state.subject = f"{number}: {', '.join(sorted(body.model_fields_set))}"
    changed = webhooks.change(shop, number, Changes(body.name, body.url, body.events, body.enabled))
    return Webhook(**_told(changed, webhooks.waiting(shop).get(number, 0)))


@keyed.delete("/{number}", status_code=204, responses=documented(401, 403, 404, 422, 429, 503))
def remove_webhook(number: Number, shop: ShopNow) -> None:
    """Remove a webhook with its log."""
    webhooks.remove(shop, number)


@keyed.post("/{number}/test", responses=documented(401, 403, 404, 422, 429, 503))
def send_test(number: Number, shop: ShopNow) -> Delivery:
    """Send a message that means nothing, now and once, and tell what came of it."""
    return Delivery.model_validate(webhooks.try_out(shop, number))


@keyed.get("/{number}/deliveries", responses=documented(401, 403, 404, 422, 429, 503))
def list_deliveries(
    number: Number,
    shop: ShopNow,
    before: Annotated[int | None, Depends(_before)],
    state: Annotated[State | None, Query(description="Only deliveries in this state.")] = None,
    limit: Limit = 50,
) -> DeliveryPage:
    """List what was and is to be sent to a webhook, the newest first; what is over is kept for 30 days."""
    found = webhooks.deliveries(shop, number, state=state, before=before, limit=limit)
    following = None if found.before is None else DELIVERIES.cursor([found.before])
    return DeliveryPage(items=[Delivery.model_validate(one) for one in found.deliveries], next=following)


@keyed.get("/{number}/deliveries/{delivery}", responses=documented(401, 403, 404, 422, 429, 503))
def show_delivery(number: Number, delivery: DeliveryNumber, shop: ShopNow) -> SentDelivery:
    """Show a delivery with its message."""
    found = Delivery.model_validate(webhooks.delivery(shop, number, delivery))
    return SentDelivery.model_validate(
        {**found.model_dump(), "id": found.number, "body": webhooks.body_of(shop, number, delivery)}
    )


@keyed.post(
    "/{number}/deliveries/{delivery}/resend", status_code=202, responses=documented(401, 403, 404, 409, 422, 429, 503)
)
def resend_delivery(number: Number, delivery: DeliveryNumber, shop: ShopNow) -> Delivery:
    """Send something again, under its own id: a receiver that has it already can tell."""
    return Delivery.model_validate(webhooks.resend(shop, number, delivery))


def _revealed(given: SecretStr | None) -> str | None:
    return None if given is None else given.get_secret_value()


def _told(webhook: webhooks.Webhook, waiting: int) -> dict[str, Any]:
    return {
        "number": webhook.id, "name": webhook.name, "url": webhook.url, "format": webhook.format,
        "events": webhook.events, "enabled": webhook.enabled, "off_reason": webhook.off_reason, "waiting": waiting,
        "failing_since": webhook.failing_since, "previous_secret_until": webhook.previous_until,
        "created_by": webhook.created_by, "created_at": webhook.created_at,
    }  # fmt: skip


router = APIRouter()
router.include_router(secret)
router.include_router(keyed)
