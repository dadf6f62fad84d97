"""Who is acting: the user for whom a request is answered, from where, and what that user may do.

A door says so once for each request, and every service below can ask. The command line says nothing: there it is the
user of this computer, who can open the database file anyway.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Final, Literal

from shelfwise.domain.errors import AccessDenied, ParameterError

Role = Literal["viewer", "planner", "admin", "service"]
Scope = Literal["read", "write", "admin"]

ROLES: Final[dict[Role, frozenset[Scope]]] = {
    "viewer": frozenset({"read"}),
    "planner": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "admin"}),
    "service": frozenset({"read", "write"}),
}
"""What each role may do. A service is a machine: it may do what a planner may, as often as a till needs."""


def role(name: str) -> Role:
    """Return the role of that name.

    Raises
    ------
    ParameterError
        There is none.
    """
    for known in ROLES:
        if name == known:
            return known
    raise ParameterError(f"role must be one of {', '.join(ROLES)}, got {name!r}")


@dataclass(frozen=True)
class Principal:
    """A user who has proved to be one.

    Parameters
    ----------
    name, role
        The user.
    scopes
        What may be done: what the role allows, and of that what the token allows.
    models
        Names of the models that may be asked; None for all.
    via
        What proved it: ``session``, ``token 7 (till)``, or ``none`` where nobody is asked for a proof.
    key
        What requests are counted by: a token's or a session's own name.
    session
        The session's id; None for a token.
    """

    name: str
    role: Role
    scopes: frozenset[Scope]
    models: frozenset[str] | None
    via: str
    key: str
    session: str | None = None

    def check_model(self, model: str) -> None:
        """Refuse a model this user may not ask.

        Raises
        ------
        AccessDenied
            The user is limited to others.
        """
        if self.models is not None and model not in self.models:
            raise AccessDenied(
                f"{self.name} may not ask the model {model}, only {', '.join(sorted(self.models)) or 'none'}; "
                "name one of these, or have an admin change that"
            )


@dataclass(frozen=True)
class Acting:
    """For whom, and for which request; ``principal`` is None before anyone has proved to be one."""

    principal: Principal | None
    address: str = ""
    request_id: str = ""


_ACTING: Final[ContextVar[Acting | None]] = ContextVar("shelfwise_acting", default=None)


def begin(acting: Acting) -> Token[Acting | None]:
    """Say for whom all is done from here, and in the threads that are waited for, until `end`."""
    return _ACTING.set(acting)


def end(token: Token[Acting | None]) -> None:
    """Say that it is done."""
    _ACTING.reset(token)


@contextmanager
def acting_as(who: Principal | None, address: str = "", request_id: str = "") -> Iterator[None]:
    """Say for whom all that is done in this block, and in the threads it waits for, is done."""
    token = begin(Acting(who, address, request_id))
    try:
        yield
    finally:
        end(token)


def current() -> Acting | None:
    """Return who is acting; None where no door has said so."""
    return _ACTING.get()


def name() -> str:
    """Return the name of who is acting: the user, else the user of this computer.

    >>> with acting_as(Principal("mia", "planner", ROLES["planner"], None, "session", "s1")):
    ...     name()
    'mia'
    """
    acting = _ACTING.get()
    return computer_user() if acting is None or acting.principal is None else acting.principal.name


def computer_user() -> str:
    """Return the name of this computer's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def check_model(model: str) -> None:
    """Refuse a model that who is acting may not ask; see `Principal.check_model`."""
    acting = _ACTING.get()
    if acting is not None and acting.principal is not None:
        acting.principal.check_model(model)
