"""``shelfwise events``: what is said of a bus that carries a message, of none, and of a dead one."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable

import pytest
from tests.cli.conftest import Said

from shelfwise.app import open_app
from shelfwise.exchange.transports.contract import Delivery
from shelfwise.services.subscribing import book

Cli = Callable[..., Said]


def test_without_a_bus_check_says_how_to_set_one(shop: Cli) -> None:
    said = shop("events", "check")
    assert said.code == 2
    assert "SHELFWISE_EVENT_BUS_URL" in said.err


@pytest.mark.service("rabbitmq")
def test_check_says_what_is_set_and_that_a_message_came_back(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"sw-test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("SHELFWISE_EVENT_BUS_URL", os.environ["SHELFWISE_TEST_RABBITMQ_URL"])
    monkeypatch.setenv("SHELFWISE_EVENT_BUS_EVENTS", name)
    monkeypatch.setenv("SHELFWISE_EVENT_BUS_MOVEMENTS", f"{name}-sales")
    said = shop("events", "check", "--json")
    assert said.code == 0
    assert said.data["bus"] == "rabbitmq"
    assert said.data["refused_to"] == f"{name}-sales-refused"
    assert "guest" not in said.out
    text = shop("events", "check")
    assert f"events to           {name}" in text.out
    assert "came back" in text.err


def test_a_bus_that_cannot_be_reached_is_found_by_check_and_doctor(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_PORT", "0")
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SHELFWISE_EVENT_BUS_URL", f"redis://:s3cret@127.0.0.1:{taken.getsockname()[1]}/0")
        said = shop("events", "check")
        looked = shop("doctor", "--json")
    assert said.code == 1
    assert "the event bus fails" in said.err
    assert looked.code == 3
    assert [row["name"] for row in looked.data if row["state"] == "problem"] == ["event bus"]
    assert "s3cret" not in said.err + looked.out


def test_status_tells_what_went_over_the_bus_and_why_something_was_refused(
    shop: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing went over an event bus yet" in "".join((shop("events", "status").out, shop("events", "status").err))
    with open_app() as app:
        book(app, [Delivery("one", b"no JSON")])
    monkeypatch.setenv("SHELFWISE_EVENT_BUS_MOVEMENTS", "shop.sales")
    said = shop("events", "status")
    assert said.code == 0
    assert "the message is no JSON" in said.out
    assert "shop.sales-refused" in said.err
    (row,) = shop("events", "status", "--json").data
    assert (row["what"], row["count"]) == ("refused", 1)
