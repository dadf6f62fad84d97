"""One suite over every kind of bus: order, groups, repetition, refusal, and connections that are lost."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pika
import pytest
import redis
from tests.exchange.buses import EVERY, SERVED, buses, door_before

from shelfwise.domain.errors import ParameterError
from shelfwise.exchange.transports import kind_of, open_bus
from shelfwise.exchange.transports.contract import Bus, BusError, Delivery, Inlet, Message, Names, Refused

LEASE_SECONDS = 1.0


def messages(count: int, first: int = 0) -> list[Message]:
    return [Message(f"id-{n}", "tea", b'{"n": %d}' % n) for n in range(first, first + count)]


def receive(inlet: Inlet, count: int, seconds: float = 10.0) -> list[Delivery]:
    """Take until so many are there, or for so long."""
    found: list[Delivery] = []
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        found += inlet.receive(count - len(found), 0.2)
    return found


def bodies(found: list[Delivery]) -> list[bytes]:
    return [one.body for one in found]


@pytest.mark.parametrize("kind", EVERY)
def test_messages_come_in_the_order_in_which_they_went_out_and_once_settled_never_again(kind: str) -> None:
    sent = messages(50)
    with buses(kind) as (there, here):
        outlet, inlet = there.outlet(), here.inlet("one")
        outlet.publish(sent[:20])
        outlet.publish(sent[20:])
        outlet.tend()
        taken = receive(inlet, 50)
        assert bodies(taken) == [one.body for one in sent]
        assert not any(one.redelivered for one in taken)
        inlet.settle(taken)
        inlet.close()
        again = here.inlet("two")
        assert again.receive(10, 0.3) == []
        outlet.close()
        again.close()


@pytest.mark.parametrize("kind", EVERY)
def test_messages_sent_before_the_first_reader_came_are_read(kind: str) -> None:
    with buses(kind) as (there, here):
        outlet = there.outlet()
        outlet.publish(messages(3))
        outlet.close()
        inlet = here.inlet("one")
        assert bodies(receive(inlet, 3)) == [one.body for one in messages(3)]
        inlet.close()


@pytest.mark.parametrize("kind", EVERY)
def test_each_message_goes_to_one_member_of_a_group(kind: str) -> None:
    with buses(kind) as (there, here):
        outlet, members = there.outlet(), [here.inlet("one"), here.inlet("two")]
        outlet.publish(messages(40))
        found: list[list[bytes]] = [[], []]

        def read(n: int) -> None:
            while taken := members[n].receive(5, 0.5):
                found[n] += bodies(taken)
                members[n].settle(taken)

        threads = [threading.Thread(target=read, args=(n,)) for n in (0, 1)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(found[0] + found[1]) == sorted(one.body for one in messages(40))
        for each in (outlet, *members):
            each.close()


@pytest.mark.parametrize("kind", EVERY)
def test_what_a_member_held_when_it_ended_comes_again_at_once(kind: str) -> None:
    with buses(kind, lease_seconds=60.0) as (there, here):
        outlet, first = there.outlet(), here.inlet("one")
        outlet.publish(messages(6))
        outlet.close()
        taken = receive(first, 6)
        keys = [one.key for one in taken]
        first.settle(taken)
        outlet = there.outlet()
        outlet.publish(messages(4, first=6))
        outlet.close()
        held = receive(first, 4)
        first.close()
        second = here.inlet("two")
        again = receive(second, 4)
        assert sorted(bodies(again)) == sorted(bodies(held))
        assert all(one.redelivered for one in again)
        assert sorted(str(one.key) for one in again) == sorted(str(one.key) for one in held)
        assert keys == [f"id-{n}" for n in range(6)]
        second.settle(again)
        second.close()


_KILLED = """
import sys
from shelfwise.exchange.transports import open_bus
from shelfwise.exchange.transports.contract import Names
url, outgoing, incoming, lease = sys.argv[1:]
inlet = open_bus(url, Names(outgoing, incoming, lease_seconds=float(lease))).inlet("killed")
taken = []
while len(taken) < 4:
    taken += inlet.receive(4 - len(taken), 1.0)
print("holding", flush=True)
sys.stdin.read()
"""


@pytest.mark.kill
@pytest.mark.parametrize("kind", SERVED)
def test_what_a_killed_member_held_comes_again_when_its_lease_is_over(kind: str) -> None:
    with buses(kind, lease_seconds=LEASE_SECONDS) as (there, here):
        outlet = there.outlet()
        outlet.publish(messages(4))
        outlet.close()
        names = here.names
        command = [sys.executable, "-c", _KILLED, here.url, names.outgoing, names.incoming, str(LEASE_SECONDS)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"
            process.kill()
        inlet = here.inlet("alive")
        again = receive(inlet, 4, seconds=15.0)
        assert sorted(bodies(again)) == sorted(one.body for one in messages(4))
        assert all(one.redelivered for one in again)
        inlet.settle(again)
        assert inlet.receive(4, LEASE_SECONDS + 0.3) == []
        inlet.close()


@pytest.mark.parametrize("kind", EVERY)
def test_a_refused_message_is_put_aside_with_its_reason_and_keeps_nobody_up(kind: str) -> None:
    with buses(kind) as (there, here):
        outlet, inlet = there.outlet(), here.inlet("one")
        outlet.publish(messages(5))
        taken = receive(inlet, 5)
        inlet.settle(taken, [Refused(taken[2], "no such prodüct\nline two")])
        assert inlet.receive(5, 0.3) == []
        outlet.publish(messages(1, first=5))
        later = receive(inlet, 1)
        assert bodies(later) == [b'{"n": 5}']
        inlet.settle(later)
        inlet.close()
        outlet.close()
        aside = open_bus(here.url, Names(here.names.outgoing, here.names.refused)).inlet("looking")
        found = receive(aside, 1)
        assert [(one.key, one.body) for one in found] == [("id-2", b'{"n": 2}')]
        reason = _reason(here, found[0]) if kind != "rabbitmq" else ""
        aside.close()
        assert (reason or _reason(here, found[0])).startswith("no such prod")


def _reason(here: Bus, aside: Delivery) -> str:
    """The reason as a person finds it beside the message, by the means of the bus."""
    kind = kind_of(here.url)
    if kind == "nats_jetstream":
        return str(aside.ticket.headers["Reason"])
    if kind == "in_process":
        return str(aside.ticket.reason)
    if kind == "redis_streams":
        with redis.Redis.from_url(here.url, protocol=2) as client:
            ((_, fields),) = client.xrange(here.names.refused)
            return fields[b"reason"].decode()
    with pika.BlockingConnection(pika.URLParameters(here.url)) as connection:
        _, properties, _ = connection.channel().basic_get(here.names.refused)
        return str(properties.headers["x-reason"])


@pytest.mark.parametrize("kind", SERVED)
def test_a_connection_that_is_cut_is_told_and_a_new_one_goes_on(kind: str) -> None:
    door = door_before(kind)
    with contextlib.ExitStack() as at_end:
        at_end.callback(door.shut)
        there, here = at_end.enter_context(buses(kind, door.url, lease_seconds=60.0))
        outlet, inlet = there.outlet(), here.inlet("one")
        outlet.publish(messages(4))
        held = receive(inlet, 4)
        door.shut()
        door.open()
        if kind != "redis_streams":  # whose driver connects anew before a command where it finds the connection cut
            with pytest.raises(BusError, match="event bus fails|ended the delivery"):
                _until_it_fails(lambda: outlet.publish(messages(1, first=4)))
            with pytest.raises(BusError, match="event bus fails|ended the delivery"):
                _until_it_fails(lambda: (inlet.settle(held), inlet.receive(1, 0.1)))
        outlet.close()
        inlet.close()
        outlet, inlet = there.outlet(), here.inlet("one")
        outlet.publish(messages(2, first=4))
        found: set[bytes] = set()
        end = time.monotonic() + 10
        while len(found & {b'{"n": 4}', b'{"n": 5}'}) < 2 and time.monotonic() < end:
            taken = inlet.receive(10, 0.2)
            found |= set(bodies(taken))
            inlet.settle(taken)
        assert {b'{"n": 4}', b'{"n": 5}'} <= found
        outlet.close()
        inlet.close()


def _until_it_fails(step: Any) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        step()
        time.sleep(0.05)


@pytest.mark.parametrize("kind", EVERY)
def test_a_stream_keeps_the_newest_messages(kind: str) -> None:
    with buses(kind, keep=200) as (there, here):
        outlet = there.outlet()
        outlet.publish(messages(450))
        outlet.close()
        inlet = here.inlet("one")
        found = bodies(receive(inlet, 450, seconds=1.0))
        # Redis cuts where it costs least: by nodes of a hundred entries.
        assert 200 <= len(found) <= 320
        assert found == [one.body for one in messages(450)][-len(found) :]
        inlet.close()


@pytest.mark.service("nats")
def test_nats_drops_what_is_published_again_under_the_same_id() -> None:
    with buses("nats_jetstream") as (there, here):
        outlet, inlet = there.outlet(), here.inlet("one")
        outlet.publish(messages(3))
        outlet.publish(messages(4))
        assert bodies(receive(inlet, 5, seconds=1.0)) == [one.body for one in messages(4)]
        outlet.close()
        inlet.close()


@pytest.mark.parametrize("scheme", ["redis", "nats", "amqp"])
def test_a_bus_that_does_not_answer_is_told_within_seconds(scheme: str) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        bus = open_bus(f"{scheme}://user:s3cret@127.0.0.1:{taken.getsockname()[1]}/", Names("out", "in"))
        began = time.monotonic()
        with pytest.raises(BusError) as met:
            bus.outlet()
        assert time.monotonic() - began < 12
        assert "s3cret" not in str(met.value)


@pytest.mark.parametrize("url", ["kafka://127.0.0.1:9092", "nonsense", ""])
def test_an_address_of_no_known_bus_is_refused_with_examples(url: str) -> None:
    with pytest.raises(ParameterError, match=re.escape("redis://host:6379/0, nats://host:4222")):
        kind_of(url)


@pytest.mark.parametrize(("scheme", "driver", "extra"), [("nats", "nats", "nats"), ("amqp", "pika", "rabbitmq")])
def test_a_missing_driver_is_told_with_the_extra_that_brings_it(
    scheme: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == driver or name.startswith("shelfwise.exchange.transports."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ParameterError, match=re.escape(f"pip install 'shelfwise[{extra}]'")):
        open_bus(f"{scheme}://127.0.0.1:1/", Names("out"))
