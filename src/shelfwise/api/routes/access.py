"""Signing in and out, who asks, and, for admins, users, API tokens and the audit log."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.problems import documented
from shelfwise.api.security import COOKIE, AccessNow, PrincipalNow
from shelfwise.services import actor, auditing, users
from shelfwise.services.access import SignedIn
from shelfwise.services.actor import Role, Scope
from shelfwise.services.auditing import MOST_LISTED, Numbered
from shelfwise.services.passwords import LONGEST
from shelfwise.services.users import ApiToken, User

router = APIRouter(tags=["access"])

Name = Annotated[str, Field(min_length=1, max_length=64, description="The user's name.", examples=["mia"])]
UserName = Annotated[str, Path(min_length=1, max_length=64, description="The user's name.")]
Password = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST, description="At least 12 characters.")]
Models = Annotated[
    list[Annotated[str, Field(max_length=64)]] | None,
    Field(max_length=100, description="Names of the models that may be asked; null for all.", examples=[None]),
]
Refused = documented(401, 403, 429)


class SignIn(BaseModel):
    """Who signs in."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "mia", "password": "tulips in may", "cookie": False}]}
    )

    name: Name
    password: Password
    cookie: bool = Field(False, description="Put the session into a cookie, for a browser, instead of the answer.")


class Refresh(BaseModel):
    """What renews a session."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"refresh_token": "sr_0f3c_abc"}]})

    refresh_token: str = Field(min_length=1, max_length=200, description="The last one that the session got.")


class SessionAnswer(BaseModel):
    """A session."""

    user: str
    role: Role
    access_token: str | None = Field(description="For `Authorization: Bearer`; null where a cookie holds it.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  (a kind, no secret)
    expires_in: int = Field(description="Seconds until the session must be renewed.")
    refresh_token: str | None = Field(description="Renews the session, once; null where a cookie holds it.")


class Me(BaseModel):
    """Who asks, and what they may do."""

    name: str
    role: Role
    scopes: list[Scope]
    models: Models
    via: str = Field(description="What proved it.", examples=["session", "token 7 (till)", "none"])


class UserAnswer(BaseModel):
    """A user."""

    name: str
    role: Role
    models: Models
    has_password: bool
    disabled: bool
    created_at: dt.datetime


class NewUser(BaseModel):
    """A user to be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "mia", "role": "planner", "password": "tulips in may"}]},
    )

    name: Name
    role: Role = Field(description="`viewer` reads, `planner` writes, `admin` manages users, `service` is a machine.")
    password: Password | None = Field(None, description="Null for one who signs in by link or token alone.")
    models: Models = None


class UserChange(BaseModel):
    """What changes of a user; what is not named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "viewer"}]})

    role: Role | None = Field(None, description="The new role.")
    password: Password | None = Field(None, description="The new password; it ends the user's sessions.")
    disabled: bool | None = Field(None, description="A disabled user is known to nobody; sessions end at once.")
    models: Models = None


class PasswordChange(BaseModel):
    """A user's own new password."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"old": "tulips in may", "new": "asters in october"}]}
    )

    old: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST, description="The password until now.")]
    new: Password


class TokenAnswer(BaseModel):
    """An API token, without its secret."""

    id: int
    name: str
    user: str
    scopes: list[str]
    models: Models
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None = Field(description="To the minute.")
    revoked_at: dt.datetime | None


class NewToken(BaseModel):
    """An API token to be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user": "till", "name": "front till", "scopes": ["read", "write"], "days": 365}]
        },
    )

    user: Name
    name: str = Field(min_length=1, max_length=100, description="What it is for.", examples=["front till"])
    scopes: list[Scope] | None = Field(None, description="Of what the user's role allows; null for all of it.")
    days: int | None = Field(None, ge=1, le=3650, description="Days for which it is valid; null until revoked.")
    models: Models = None


class MadeToken(TokenAnswer):
    """A new API token, with its secret."""

    secret: str = Field(description="For `Authorization: Bearer`. It is told this once and kept nowhere.")


class AuditEntry(BaseModel):
    """One write."""

    id: int
    happened_at: dt.datetime
    who: str = Field(description="The user.")
    via: str = Field(description="What proved it.", examples=["session", "token 7 (till)", "command line"])
    action: str = Field(description="Method and route, or the command.", examples=["POST /api/v1/users"])
    subject: str = Field(description="What it was about.")
    status: int | None = Field(description="Status of the answer; null where a command did it.")
    request_id: str
    address: str


class AuditPage(BaseModel):
    """Entries of the audit log, the newest first."""

    entries: list[AuditEntry]
    next_before: int | None = Field(description="`before` of the next page; null on the last.")


@router.post("/api/v1/sessions", status_code=201, responses=documented(400, 403, 401, 413, 422, 429))
def sign_in(body: SignIn, access: AccessNow, request: Request, response: Response) -> SessionAnswer:
    """Sign in by password."""
    signed = access.sign_in(body.name, body.password.get_secret_value())
    if body.cookie:
        _set_cookie(response, request, signed)
    return _session(signed, in_cookie=body.cookie)


@router.post("/api/v1/sessions/refresh", responses=documented(400, 401, 403, 413, 422, 429))
def refresh(body: Refresh, access: AccessNow) -> SessionAnswer:
    """Renew a session; its refresh token is used up. One that is used twice was copied, and ends the session."""
    return _session(access.refresh(body.refresh_token), in_cookie=False)


@router.delete("/api/v1/sessions", status_code=204, responses=documented(401, 403, 422, 429))
def sign_out(
    who: PrincipalNow,
    access: AccessNow,
    response: Response,
    everywhere: Annotated[bool, Query(description="End all of the user's sessions, on every device.")] = False,
) -> None:
    """End the session of this request, at once and for every process."""
    access.sign_out(who, everywhere=everywhere)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


@router.get("/sign-in", status_code=303, response_class=RedirectResponse, responses=documented(401, 422, 429))
def follow_link(
    code: Annotated[str, Query(min_length=1, max_length=200, description="The code of a one-time link.")],
    access: AccessNow,
    request: Request,
) -> RedirectResponse:
    """Sign a browser in by a one-time link, and go to the first page."""
    response = RedirectResponse("/", status_code=303)
    _set_cookie(response, request, access.follow_link(code))
    return response


@router.get("/api/v1/me", responses=Refused)
def me(who: PrincipalNow) -> Me:
    """Say who asks."""
    models = None if who.models is None else sorted(who.models)
    return Me(name=who.name, role=who.role, scopes=sorted(who.scopes), models=models, via=who.via)


@router.get("/api/v1/users", responses=Refused)
def list_users(shop: ShopNow) -> list[UserAnswer]:
    """List users by name."""
    return [_user(one) for one in users.listed(shop)]


@router.post("/api/v1/users", status_code=201, responses=documented(400, 401, 403, 409, 413, 422, 429))
def add_user(body: NewUser, shop: ShopNow, request: Request) -> UserAnswer:
    """Add a user."""
    request.state.subject = f"{body.name} as {body.role}"
    return _user(users.add(shop, body.name, body.role, password=_revealed(body.password), models=body.models))


@router.patch("/api/v1/users/{name}", responses=documented(400, 401, 403, 404, 409, 413, 422, 429))
def change_user(name: UserName, body: UserChange, shop: ShopNow, request: Request) -> UserAnswer:
    """Change a user: role, password, models, or whether the user may sign in at all."""
    given = body.model_fields_set
    request.state.subject = f"{name}: {', '.join(sorted(given))}"
    changed = users.change(
        shop, name, role=body.role, password=_revealed(body.password), disabled=body.disabled, models=body.models,
        every_model="models" in given and body.models is None,
    )  # fmt: skip
    return _user(changed)


@router.post("/api/v1/users/me/password", status_code=204, responses=documented(400, 401, 403, 413, 422, 429))
def change_password(body: PasswordChange, who: PrincipalNow, access: AccessNow, request: Request) -> None:
    """Change one's own password, in a session and with the old one; one's other sessions end, API tokens stay.

    Ten tries a minute, signing in included.
    """
    request.state.subject = f"{who.name}: password"
    access.change_password(who, body.old.get_secret_value(), body.new.get_secret_value())


@router.get("/api/v1/tokens", responses=Refused)
def list_tokens(shop: ShopNow) -> list[TokenAnswer]:
    """List API tokens, revoked ones too, the newest first."""
    return [_token(token, user) for token, user in users.tokens(shop)]


@router.post("/api/v1/tokens", status_code=201, responses=documented(400, 401, 403, 404, 413, 422, 429))
def create_token(body: NewToken, shop: ShopNow, request: Request) -> MadeToken:
    """Make an API token for a user."""
    made = users.create_token(shop, body.user, body.name, scopes=body.scopes, days=body.days, models=body.models)
    request.state.subject = f"{made.token.id} ({body.name}) of {made.user}: {made.token.scopes}"
    return MadeToken(**_token(made.token, made.user).model_dump(), secret=made.secret)


@router.delete("/api/v1/tokens/{id}", status_code=204, responses=documented(401, 403, 404, 422, 429))
def revoke_token(
    id: Annotated[int, Path(ge=1, le=2**31 - 1, description="The token's number.")], shop: ShopNow
) -> None:
    """Revoke an API token; a second time changes nothing."""
    users.revoke_token(shop, id)


@router.get("/api/v1/audit", responses=documented(401, 403, 422, 429))
def audit(
    shop: ShopNow,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Only entries with a lower number.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="Entries in the answer.")] = 100,
) -> AuditPage:
    """List who wrote what, the newest first."""
    found = auditing.listed(shop, before=before, limit=limit)
    entries = [_entry(one) for one in found]
    return AuditPage(entries=entries, next_before=found[-1].id if len(found) == limit else None)


def _session(signed: SignedIn, *, in_cookie: bool) -> SessionAnswer:
    return SessionAnswer(
        user=signed.user.name,
        role=actor.role(signed.user.role),
        access_token=None if in_cookie else signed.token,
        expires_in=signed.expires_in,
        refresh_token=None if in_cookie else signed.refresh_token,
    )


def _set_cookie(response: Response, request: Request, signed: SignedIn) -> None:
    """Give a browser a session that no script can read and no other site can use."""
    response.set_cookie(
        COOKIE, signed.token, max_age=signed.expires_in, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


def _revealed(password: SecretStr | None) -> str | None:
    return None if password is None else password.get_secret_value()


def _user(user: User) -> UserAnswer:
    return UserAnswer(
        name=user.name,
        role=actor.role(user.role),
        models=None if user.models is None else list(user.models),
        has_password=user.password_hash is not None,
        disabled=user.disabled_at is not None,
        created_at=_utc(user.created_at),
    )


def _token(token: ApiToken, user: str) -> TokenAnswer:
    return TokenAnswer(
        id=token.id,
        name=token.name,
        user=user,
        scopes=token.scopes.split(),
        models=None if token.models is None else list(token.models),
        created_at=_utc(token.created_at),
        expires_at=None if token.expires_at is None else _utc(token.expires_at),
        last_used_at=None if token.last_used_at is None else _utc(token.last_used_at),
        revoked_at=None if token.revoked_at is None else _utc(token.revoked_at),
    )


def _entry(one: Numbered) -> AuditEntry:
    return AuditEntry(**{**asdict(one), "happened_at": _utc(one.happened_at)})


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)
