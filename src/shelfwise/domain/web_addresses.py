"""Addresses that strangers may have the service send to: what one may look like, and which machines it may reach.

A program that sends wherever it is told is a way into the network it stands in. So an address is looked at twice: as
text when it is given, and as numbers each time something is sent, because a name may lead elsewhere by then.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shelfwise.domain.errors import ParameterError

LONGEST: Final = 2000
PORTS: Final = {"https": 443, "http": 80}
_ODD: Final = re.compile(r"[\x00-\x20\x7f-\uffff\U00010000-\U0010ffff\\]")
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_NUMBER: Final = re.compile(r"(?:0x[0-9a-f]*|\d+)\.?")

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_CLOUD: Final = frozenset(
    ipaddress.ip_address(text) for text in ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
"""Where clouds tell a machine's secrets to whoever asks from it, beside 169.254.169.254, which is link-local."""


@dataclass(frozen=True)
class WebAddress:
    """Where a message goes: a name or number with a port, and the whole as it was given."""

    text: str
    scheme: str
    host: str
    port: int

    @property
    def shown(self) -> str:
        """Scheme, host and port: the path of some addresses is a secret, and a log is no place for one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port == PORTS[self.scheme] else f':{self.port}'}"

    @classmethod
    def parse(cls, text: str, *, private: bool = False) -> WebAddress:
        """Read an address.

        Parameters
        ----------
        private
            Whether addresses of this machine and its network are allowed, and with them plain http.

        Raises
        ------
        ParameterError
            It is none that may be sent to.

        >>> WebAddress.parse("https://hooks.example.com/till?shop=7").shown
        'https://hooks.example.com'
        >>> WebAddress.parse("file:///etc/passwd")
        Traceback (most recent call last):
        ...
        shelfwise.domain.errors.ParameterError: an address begins with https://, got 'file:///etc/passwd'
        """
        if len(text) > LONGEST:
            raise ParameterError(f"an address has at most {LONGEST:,} characters, this one has {len(text):,}")
        if odd := _ODD.search(text):
            raise ParameterError(
                f"an address holds no {odd[0]!r}; escape what is in its path, and write other letters of a name as xn--"
            )
        try:
            parts = urlsplit(text)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise ParameterError(f"{text[:60]!r} is no address: {error}") from None
        if parts.scheme not in PORTS:
            raise ParameterError(f"an address begins with https://, got {text[:20]!r}")
        if parts.scheme == "http" and not private:
            raise ParameterError(
                f"http://{host} would be sent to for everyone on the way to read; give https, or allow addresses of "
                "this network: SHELFWISE_WEBHOOK_PRIVATE_ADDRESSES=true"
            )
        if "@" in parts.netloc:
            raise ParameterError("an address holds no user and no password; receivers know a sender by its signature")
        if parts.fragment:
            raise ParameterError("an address ends before its #, which is never sent; leave that away")
        if port == 0:
            raise ParameterError("port 0 is no port")
        found = cls(text, parts.scheme, host, port or PORTS[parts.scheme])
        found._check_host(private=private)
        return found

    def _check_host(self, *, private: bool) -> None:
        number = self.number
        if number is not None:
            check_reachable(self.host, number, private=private)
        elif _NUMBER.fullmatch(self.host.rstrip(".").rpartition(".")[2]):
            raise ParameterError(
                f"{self.shown}: a number stands for an IPv4 address only as four decimal parts; write it so, or a name"
            )
        elif len(self.host) > 253 or not _NAME.fullmatch(self.host):
            raise ParameterError(f"{self.host[:60]!r} is no name of a machine")

    @property
    def number(self) -> Ip | None:
        """The host's own number, where it is given by that and not by a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def check_reachable(host: str, number: Ip, *, private: bool) -> None:
    """Refuse a machine that must not be reached on somebody else's word.

    Parameters
    ----------
    host
        As it was given, for the message.
    private
        Whether this machine and its network are allowed; what hands out a cloud's secrets never is.

    Raises
    ------
    ParameterError
        It must not be reached.

    >>> check_reachable("box", ipaddress.ip_address("::ffff:10.0.0.7"), private=False)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: box leads to 10.0.0.7, which is no address of the public internet; give \
one that is, or allow addresses of this network: SHELFWISE_WEBHOOK_PRIVATE_ADDRESSES=true
    """
    real = embedded(number)
    led = host if host == str(real) else f"{host} leads to {real}"
    if real.is_link_local or real.is_multicast or real.is_unspecified or real in _CLOUD or str(real).startswith("0."):
        raise ParameterError(f"{led}, which no message is ever sent to; give the address of a receiver")
    if not private and (not real.is_global or real.is_reserved):
        raise ParameterError(
            f"{led}, which is no address of the public internet; give one that is, or allow addresses of this "
            "network: SHELFWISE_WEBHOOK_PRIVATE_ADDRESSES=true"
        )


def embedded(number: Ip) -> Ip:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself.

    >>> [str(embedded(ipaddress.ip_address(text))) for text in ("::ffff:7f00:1", "64:ff9b::a00:1", "2002:a00:1::")]
    ['127.0.0.1', '10.0.0.1', '10.0.0.1']
    """
    if isinstance(number, ipaddress.IPv4Address):
        return number
    if number in _NAT64 or int(number) >> 32 == 0 and int(number) > 1:
        return ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)
    tunnelled = number.teredo[1] if number.teredo is not None else None
    return number.ipv4_mapped or number.sixtofour or tunnelled or number
