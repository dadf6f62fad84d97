"""``shelfwise user`` and ``shelfwise token``: who may use the service, and with what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, open_shop
from shelfwise.cli.output import Form, cell, form, say, write, write_json, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.", show_default=False)]
RoleHelp = "viewer reads, planner writes, admin manages users, service is a machine."
ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--model", help="Only this forecasting model; repeat for more. Default: all.", show_default=False),
]

users_group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
tokens_group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the groups to the command line."""
    app.add_typer(users_group, name="user", short_help="Who may use the service.")
    app.add_typer(tokens_group, name="token", short_help="Tokens with which programs use the service.")


@users_group.callback()
def _users() -> None:
    """Say who may use the service over HTTP, and how."""


@tokens_group.callback()
def _tokens() -> None:
    """Make and revoke the tokens with which programs use the service over HTTP."""


@users_group.command("add", no_args_is_help=True)
def add(
    name: NameArgument,
    role: Annotated[str, typer.Option("--role", help=RoleHelp)] = "viewer",
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password; from a pipe its first line.", show_default=False)
    ] = False,
    models: ModelsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Add a user. One without a password signs in by `user link`, or uses API tokens."""
    given = _password() if password else None
    with open_shop(database, create=True) as shop:
        from shelfwise.services import users

        made = users.add(shop, name, role, password=given, models=models)
    say(f"user {made.name} added as {made.role}")
    if made.password_is_weak:
        say("note: this password is short or known to everybody; it is taken on this machine alone")


@users_group.command("list")
def listed(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """List users."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import users

        found = users.listed(shop)
    names = ("name", "role", "password", "models", "created", "disabled")
    rows = [
        (u.name, u.role, u.password_hash is not None, _words(u.models), _utc(u.created_at), _utc(u.disabled_at))
        for u in found
    ]
    _write(names, rows, to, "there are no users; the first `shelfwise serve` makes the owner")


@users_group.command("role", no_args_is_help=True)
def role(
    name: NameArgument,
    new: Annotated[str, typer.Argument(metavar="ROLE", help=RoleHelp, show_default=False)],
    database: DatabaseOption = None,
) -> None:
    """Give a user another role; it holds at once, for tokens and sessions too."""
    with open_shop(database) as shop:
        from shelfwise.services import users

        changed = users.change(shop, name, role=new)
    say(f"user {changed.name} is {changed.role}")


@users_group.command("password", no_args_is_help=True)
def password(name: NameArgument, database: DatabaseOption = None) -> None:
    """Give a user a new password, asked for here or read from a pipe; it ends the user's sessions."""
    given = _password()
    with open_shop(database) as shop:
        from shelfwise.services import users

        changed = users.change(shop, name, password=given)
    say(f"user {changed.name} has a new password, and is signed out everywhere")
    if changed.password_is_weak:
        say("note: this password is short or known to everybody; it is taken on this machine alone")


@users_group.command("disable", no_args_is_help=True)
def disable(
    name: NameArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Let the user in again.", show_default=False)] = False,
    database: DatabaseOption = None,
) -> None:
    """Let a user in no more: sessions and tokens end at once, and the history keeps the name."""
    with open_shop(database) as shop:
        from shelfwise.services import users

        changed = users.change(shop, name, disabled=not undo)
    say(f"user {changed.name} is {'enabled' if undo else 'disabled'}")


@users_group.command("link", no_args_is_help=True)
def link(name: NameArgument, database: DatabaseOption = None) -> None:
    """Print a link that signs a user in once, within ten minutes; earlier links are taken back."""
    with open_shop(database) as shop:
        from shelfwise.services import users

        code = users.link(shop, name)
        host = shop.settings.host
        write(f"http://{f'[{host}]' if ':' in host else host}:{shop.settings.port}/sign-in?code={code}")


@tokens_group.command("create", no_args_is_help=True)
def create(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose it is.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="What it is for.", show_default=False)],
    scopes: Annotated[
        list[str] | None,
        typer.Option("--scope", help="read, write or admin; repeat for more. Default: all of the role's."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", help="Days for which it is valid. Default: until it is revoked.")
    ] = None,
    models: ModelsOption = None,
    database: DatabaseOption = None,
) -> None:
    """Make an API token and print it, this once: it is kept nowhere."""
    with open_shop(database) as shop:
        from shelfwise.services import users

        made = users.create_token(shop, user, name, scopes=scopes, days=days, models=models)
    say(f"API token {made.token.id} ({made.token.name}) of {made.user}: {made.token.scopes}")
    write(made.secret)


@tokens_group.command("list")
def list_tokens(database: DatabaseOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """List API tokens, revoked ones too, the newest first."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import users

        found = users.tokens(shop)
    names = ("number", "name", "user", "scopes", "models", "created", "expires", "last_used", "revoked")
    rows = [
        (
            t.id, t.name, user, t.scopes, _words(t.models), _utc(t.created_at), _utc(t.expires_at),
            _utc(t.last_used_at), _utc(t.revoked_at),
        )
        for t, user in found
    ]  # fmt: skip
    _write(names, rows, to, "there are no API tokens; `shelfwise token create USER --name WHAT` makes one")


@tokens_group.command("revoke", no_args_is_help=True)
def revoke(
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="As listed.", show_default=False)],
    database: DatabaseOption = None,
) -> None:
    """Revoke API tokens; a running service refuses them within seconds."""
    with open_shop(database) as shop:
        from shelfwise.services import users

        for number in numbers:
            say(f"API token {number} ({users.revoke_token(shop, number).name}) is revoked")


def _password() -> str:
    """Read a password where nobody sees it, twice from a person and once from a pipe."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _words(models: Sequence[str] | None) -> str | None:
    return None if models is None else " ".join(models) or "none"


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%d %H:%MZ")


def _write(names: Sequence[str], rows: Sequence[Sequence[object]], to: Form, empty: str) -> None:
    if to is Form.JSON:
        write_json([dict(zip(names, row, strict=True)) for row in rows])
    elif to is Form.CSV:
        import csv

        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerows([names, *rows])
    elif rows:
        write_table(names, [[cell(value) for value in row] for row in rows], [name == "number" for name in names])
    else:
        say(empty)
