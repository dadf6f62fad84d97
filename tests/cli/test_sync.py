"""``shelfwise sync`` against a real local service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.cli.conftest import Said
from tests.exchange import connector_service as faults
from tests.exchange.connector_service import Service, serving
from tests.services.test_connecting import level, sale

Cli = Callable[..., Said]


@pytest.fixture
def inventory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with serving(Service({"movements": [sale(n) for n in range(4)], "stock-levels": [level(10)]})) as found:
        monkeypatch.setenv("INVENTORY_SYNC_URL", found.url)
        monkeypatch.setenv("SHELFWISE_INVENTORY_SYNC_TOKEN", "open-sesame")
        assert cli("db", "migrate").code == 1, "there is no shop yet"
        from shelfwise.app import open_app

        open_app().close()
        yield found


def test_it_pulls_here_and_shows_how_it_stands(cli: Cli, inventory: Service) -> None:
    inventory.feeds["movements"].append({"id": "s-9"})
    said = cli("sync", "--now")
    assert (said.code, said.out) == (0, "inventory: done; 5 booked, 0 known before, 1 refused\n")
    assert "shelfwise sync inventory --show" in said.err
    said = cli("sync", "--show")
    assert said.code == 0
    for part in (
        inventory.url,
        "breaker closed",
        "movements",
        "productId: Field required",
        "logistics: not configured",
    ):
        assert part in said.out
    assert cli("stock", "--json").data[0]["on_hand"] == 6
    [shown] = cli("sync", "inventory", "--show", "--json").data
    assert (shown["breaker"], shown["refused"], shown["runs"][0]["booked"]) == ("closed", 1, 5)
    assert "open-sesame" not in said.out + said.err + str(shown)
    assert cli("config", "check").code in (0, 3)


def test_a_service_that_fails_ends_it_with_1_and_the_doctor_knows(cli: Cli, inventory: Service) -> None:
    inventory.always = faults.status(403)
    said = cli("sync", "inventory", "--now", "--json")
    assert (said.code, said.data["inventory"]["outcome"]) == (1, "failed")
    said = cli("sync", "inventory", "--now")
    assert (said.code, said.out.split(";")[0]) == (1, "inventory: failed")
    assert "answered 403" in said.err
    assert "the last run did not go well: inventory" in cli("doctor").out
    assert "answered 403" in cli("sync", "--show").out


def test_without_now_a_worker_is_asked(cli: Cli, inventory: Service) -> None:
    said = cli("sync")
    assert said.code == 0
    assert "inventory: job 1; look at it: shelfwise jobs show 1" in said.err
    assert "no worker is alive" in said.err
    assert cli("sync", "--json").data == {"inventory": {"job": 1, "state": "queued"}}


def test_what_cannot_be_asked_is_refused(cli: Cli, inventory: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("sync", "weather").code == 2
    assert cli("sync", "--now", "--show").code == 2
    said = cli("sync", "logistics")
    assert said.code == 1
    assert "SHELFWISE_LOGISTICS_ENGINE_URL" in said.err
    monkeypatch.delenv("INVENTORY_SYNC_URL")
    assert "no service is configured" in cli("sync").err


@pytest.mark.parametrize(
    "address",
    [
        "inventory.example", "ftp://inventory.example", "https://", "https://inventory.example/a b",
        "https://inventory.example:99999/", "https://" + "me:hush@inventory.example",
        "https://inventory.example/?key=hush", "https://inventory.example/#hush",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_not_repeated(
    cli: Cli, inventory: Service, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SHELFWISE_INVENTORY_SYNC_URL", address)
    said = cli("sync", "--show")
    assert said.code == 2
    assert "inventory_sync_url" in said.err
    assert "hush" not in said.err
