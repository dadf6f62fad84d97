"""Where a shop's database is: a file, or a database of a server. The password is never part of what is shown."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from shelfwise.domain.errors import ParameterError

# What may stand in front of :// and the kind of database it names.
SCHEMES: Final = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
FILE: Final = "sqlite"
# Options of the drivers that let somebody in; the keys of SCRAM do as well as the password they are made from.
_SECRET: Final = frozenset(
    {"password", "passwd", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"}
)
_FORM: Final = (
    "write it as postgresql://user@host:5432/name or mysql://user@host:3306/name; in names and passwords "
    "write / as %2F, @ as %40, : as %3A, # as %23 and ? as %3F"
)


@dataclass(frozen=True)
class Address:
    """The address of a database.

    Parameters
    ----------
    kind
        ``sqlite``, ``postgresql`` or ``mysql``.
    path
        The file, for ``sqlite``; None otherwise.
    host, port, user, name
        Of a server: empty and None leave the choice to the driver. ``name`` is the database on it.
    options
        What stands behind the question mark, handed to the driver, such as ``sslmode=verify-full``.
    password
        Left out of ``str`` and ``repr``.

    >>> address = Address.parse("postgresql://anna:secret@db.example:5433/shop?sslmode=require")
    >>> str(address), address.password
    ('postgresql://anna@db.example:5433/shop?sslmode=require', 'secret')
    >>> str(Address.parse("shop.db"))
    'shop.db'
    """

    kind: str
    path: Path | None = None
    host: str = ""
    port: int | None = None
    user: str = ""
    name: str = ""
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # some drivers take passwords there, too
    scheme: str = ""
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str | Path | Address) -> Address:
        """Read a path or a URL.

        Raises
        ------
        ParameterError
            It names a database that Shelfwise does not know, or cannot be read; a password in it is not repeated.
        """
        if isinstance(text, Address):
            return text
        if isinstance(text, Path) or "://" not in text:
            if not str(text).strip():
                raise ParameterError("the address of the database is empty; name a file, or a server's database")
            return cls(FILE, Path(text))
        scheme = text.partition("://")[0].lower()
        if scheme not in SCHEMES:
            raise ParameterError(
                f"there is no kind of database {scheme!r}; name a file, or begin with {', '.join(SCHEMES)} and ://"
            )
        try:
            parts = urlsplit(text)
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise ParameterError(f"the address of the database cannot be read; {_FORM}") from None
        name = unquote(parts.path.removeprefix("/"))
        if not name or "/" in parts.path.removeprefix("/") or parts.fragment:
            raise ParameterError(f"the address of the database does not end with the name of one database; {_FORM}")
        return cls(
            SCHEMES[scheme],
            host=unquote(host),
            port=port,
            user=unquote(parts.username or ""),
            name=name,
            options=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            scheme=scheme,
            password=None if parts.password is None else unquote(parts.password),
        )

    def with_password(self, password: str | None) -> Address:
        """Return the address with a password, unless it has one of its own, is a file, or None is given."""
        if self.path is not None or self.password is not None or password is None:
            return self
        return replace(self, password=password)

    def __str__(self) -> str:
        """Return what can be given again as the address; a password must then be given beside it."""
        if self.path is not None:
            return str(self.path)
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        port = "" if self.port is None else f":{self.port}"
        shown = [(name, value) for name, value in self.options if name.lower() not in _SECRET]
        options = f"?{urlencode(shown)}" if shown else ""
        return f"{self.scheme}://{user}{host}{port}/{quote(self.name, safe='')}{options}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("shop.example")
    (True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
