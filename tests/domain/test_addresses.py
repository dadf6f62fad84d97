"""Addresses of databases: what they may be, and that passwords stay out of sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.addresses import SCHEMES, Address
from shelfwise.domain.errors import ParameterError

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_a_path_is_a_file() -> None:
    assert Address.parse("shop.db") == Address.parse(Path("shop.db")) == Address("sqlite", Path("shop.db"))
    assert str(Address.parse("/a/b c/shop.db")) == "/a/b c/shop.db"


def test_a_url_names_a_server_and_a_database() -> None:
    address = Address.parse("mariadb://anna:p%40ss%2Fword@db.example:3307/shop?ssl_ca=/etc/ca.pem")
    assert (address.kind, address.host, address.port) == ("mysql", "db.example", 3307)
    assert (address.user, address.password, address.name) == ("anna", "p@ss/word", "shop")
    assert address.options == (("ssl_ca", "/etc/ca.pem"),)
    assert Address.parse("postgresql:///shop").host == ""
    assert Address.parse("postgresql://[::1]:5433/shop").host == "::1"


@given(
    scheme=st.sampled_from(sorted(SCHEMES)), user=WORDS, name=WORDS, password=WORDS.map(lambda word: f"secret{word}")
)
def test_what_is_shown_can_be_given_again_and_holds_no_password(
    scheme: str, user: str, name: str, password: str
) -> None:
    shown = str(Address(SCHEMES[scheme], host="db", port=1, user=user, name=name, scheme=scheme, password=password))
    assert "secret" not in shown
    again = Address.parse(shown)
    assert (again.user, again.name, again.password) == (user, name, None)
    assert "secret" not in repr(again.with_password(password))
    assert again.with_password(password).password == password


@pytest.mark.parametrize("option", ["password", "sslpassword", "scram_client_key", "scram_server_key"])
def test_an_option_that_lets_somebody_in_is_not_shown(option: str) -> None:
    address = Address.parse(f"postgresql://anna@db/shop?{option}=s3cret&sslmode=require")
    assert dict(address.options)[option] == "s3cret"
    assert str(address) == "postgresql://anna@db/shop?sslmode=require"
    assert "s3cret" not in repr(address)


def test_a_password_of_the_address_goes_before_another() -> None:
    assert Address.parse("mysql://anna:one@db/shop").with_password("two").password == "one"
    assert Address.parse("shop.db").with_password("two").password is None


@pytest.mark.parametrize(
    "text",
    ["oracle://u:s3cret@db/x", "postgresql://u:s3cret@db", "postgresql://u:s3cret@db/", "postgresql://u:s3/cret@db/x",
     "postgresql://u:s3cret@db:port/x", "mysql://u:s3cret@db/x/y", "postgresql+psycopg://u:s3cret@db/x", "  "],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_without_repeating_the_password(text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Address.parse(text)
    assert "s3" not in str(caught.value)
