"""Which addresses may be sent to, as text and as numbers."""

from __future__ import annotations

import ipaddress

import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.domain.web_addresses import WebAddress, check_reachable

HTTPS = "https:" + "//"
HTTP = "http:" + "//"
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "198.18.0.1", "192.0.2.1", "[::1]", "[fd12:3456::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]", "[::7f00:1]", "[64:ff9b::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[2001:db8::1]",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "[::]", "[fe80::1]",
    "[ff02::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "168.63.129.16", "100.100.100.200",
    "[fd00:ec2::254]",
]  # fmt: skip
SPELLED = [
    "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "0x7f.1", "017700000001", "127.0.0.01", "1.1.1.1.",
    "127.0.0.1.", "256.1.1.1", "1.2.3", "0x", "evil.0x7f",
]  # fmt: skip


@pytest.mark.parametrize("host", [*PRIVATE, *NEVER])
def test_an_address_of_no_public_machine_is_refused(host: str) -> None:
    with pytest.raises(ParameterError, match="no address of the public internet|no message is ever sent"):
        WebAddress.parse(f"{HTTPS}{host}/hook")


@pytest.mark.parametrize("host", PRIVATE)
def test_addresses_of_this_network_are_taken_where_that_is_allowed(host: str) -> None:
    assert WebAddress.parse(f"{HTTP}{host}:8080/hook", private=True).port == 8080


@pytest.mark.parametrize("host", NEVER)
def test_what_hands_out_a_clouds_secrets_is_never_taken(host: str) -> None:
    with pytest.raises(ParameterError, match="no message is ever sent to"):
        WebAddress.parse(f"{HTTP}{host}/latest/meta-data", private=True)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("host", SPELLED)
def test_a_number_in_another_spelling_is_refused(host: str, private: bool) -> None:
    with pytest.raises(ParameterError, match="only as four decimal parts"):
        WebAddress.parse(f"{HTTPS}{host}/", private=private)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HTTP + "hooks.example.com/", "for everyone on the way to read"),
        ("ftp:" + "//hooks.example.com/", "begins with https"),
        ("file:///etc/passwd", "begins with https"),
        ("gopher:" + "//127.0.0.1:6379/_FLUSHALL", "begins with https"),
        ("hooks.example.com", "begins with https"),
        (HTTPS + "user:word@hooks.example.com/", "no user and no password"),
        (HTTPS + "hooks.example.com@127.0.0.1/", "no user and no password"),
        (HTTPS + "@127.0.0.1/", "no user and no password"),
        (HTTPS + "127.0.0.1\\@hooks.example.com/", r"holds no '\\\\'"),
        (HTTPS + "hooks.example.com/ HTTP/1.1\r\nHost: x", "holds no ' '"),
        (HTTPS + "hooks.example.com/\r\nX: y", r"holds no '\\r'"),
        (HTTPS + "hooks.example.com/\t", r"holds no '\\t'"),
        (HTTPS + "\uff11\uff12\uff17.0.0.1/", "write other letters"),
        (HTTPS + "\u24db\u24de\u24d2al/", "write other letters"),
        (HTTPS + "hooks.example.com/#fragment", "ends before its #"),
        (HTTPS + "hooks.example.com:0/", "port 0"),
        (HTTPS + "hooks.example.com:99999/", "is no address"),
        (HTTPS + "[::1/", "is no address"),
        (HTTPS + "[fe80::1%25eth0]/", "no message is ever sent|no name of a machine|is no address"),
        (HTTPS + "/hook", "no name of a machine"),
        (HTTPS + "hooks..example.com/", "no name of a machine"),
        (HTTPS + "-hooks.example.com/", "no name of a machine"),
        (HTTPS + "hooks.example.com/" + "x" * 2000, "at most 2,000 characters"),
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused(text: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        WebAddress.parse(text)


def test_a_public_address_is_taken_and_shown_without_its_path() -> None:
    found = WebAddress.parse(HTTPS + "Hooks.Example.com:8443/services/T0/B0/secret?key=1")
    assert (found.host, found.port, found.shown) == ("hooks.example.com", 8443, HTTPS + "hooks.example.com:8443")
    assert WebAddress.parse(HTTPS + "[2606:4700::1111]/").shown == HTTPS + "[2606:4700::1111]"
    assert WebAddress.parse(HTTPS + "8.8.8.8/").port == 443


def test_a_name_that_leads_into_the_network_is_refused_by_what_it_leads_to() -> None:
    with pytest.raises(ParameterError, match="innocent leads to 10.0.0.7"):
        check_reachable("innocent", ipaddress.ip_address("10.0.0.7"), private=False)
    check_reachable("innocent", ipaddress.ip_address("8.8.8.8"), private=False)
