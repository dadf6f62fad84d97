"""Movements that many report at once: each booked once, durable when answered, a bad one refused alone."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from tests.storage.databases import EVERY, Pool

from shelfwise.app import App, open_app
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ConflictError, NotFound, ParameterError, StorageError
from shelfwise.domain.events import MovementsRecorded
from shelfwise.services import group_commit, idempotent
from shelfwise.services.idempotent import Keyed
from shelfwise.services.recording import Kind, Movement, Recorded, Recorder
from shelfwise.storage import outbox, stock, tables

ROUNDS = 3


@pytest.fixture(scope="module")
def servers() -> Iterator[Pool]:
    """The databases on servers."""
    made = Pool()
    yield made
    made.close()


@pytest.fixture(params=EVERY)
def opened(request: pytest.FixtureRequest, tmp_path: Path, servers: Pool) -> Iterator[Callable[..., App]]:
    """Opens the same shop, once for each kind of database; again after a restart, or with other settings."""
    kind = request.param
    address = Address.parse(tmp_path / "shop.db") if kind == "sqlite" else servers.address(kind)
    shops: list[App] = []

    def again(**settings: object) -> App:
        shops.append(open_app(address, folder=tmp_path, **settings))
        return shops[-1]

    yield again
    for shop in shops:
        shop.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """As ``opened``, of a file alone: for what no kind of database has a part in."""
    shops: list[App] = []

    def again(**settings: object) -> App:
        shops.append(open_app(tmp_path / "shop.db", folder=tmp_path, **settings))
        return shops[-1]

    yield again
    for shop in shops:
        shop.close()


def nothing_felt(_: object) -> None:
    return None


@pytest.fixture
def recorder(local: Callable[..., App]) -> Iterator[Recorder]:
    """The writer of an empty shop."""
    made = Recorder(local(), nothing_felt)
    yield made
    made.close()


def movement(kind: Kind = "sale", quantity: float = 1, **said: object) -> Movement:
    return Movement(str(said.pop("product", "tea")), kind, quantity, **said)  # type: ignore[arg-type]


def booked(recorder: Recorder, one: Movement, key: Keyed | None = None) -> Recorded:
    return recorder.submit(one, key).result(30)


def key(name: str, body: str = "body", owner: str = "") -> Keyed:
    return Keyed.of(owner, name, "POST", "/inventory", "", body)


def lines(app: App) -> dict[str, float]:
    m = tables.stock_movements.c
    with app.database.read() as connection:
        return {line: units for line, units in connection.execute(select(m.line_id, m.quantity))}


def on_hand(app: App) -> dict[tuple[str, str], float]:
    with app.database.read() as connection:
        rows = stock.stock_levels(connection).select("product", "warehouse", "on_hand").rows()
    return {(product, warehouse): units for product, warehouse, units in rows}


def test_what_32_send_at_once_is_booked_once_each_and_is_on_disk_when_answered(opened: Callable[..., App]) -> None:
    app, other = opened(), opened()
    recorder = Recorder(app, nothing_felt)
    booked(recorder, movement("count", 1000, id="count"))
    seen_by_another: list[bool] = []

    def send(client: int) -> list[Recorded | Exception]:
        answers: list[Recorded | Exception] = []
        for n in range(ROUNDS):
            # Each client repeats its own, all send one alike, and one of each is refused.
            for one in (
                movement(quantity=2, id=f"{client}-{n}"),
                movement(quantity=2, id=f"{client}-{n}"),
                movement(quantity=3, id=f"shared-{n}"),
                movement(quantity=1, id=f"shared-{n}"),
                movement(quantity=1, warehouse="nowhere"),
            ):
                try:
                    answers.append(booked(recorder, one))
                except (ConflictError, NotFound) as error:
                    answers.append(error)
        with other.database.read() as connection:
            m = tables.stock_movements.c
            found = connection.scalar(select(func.count()).where(m.line_id.like(f"{client}-%")))
        seen_by_another.append(found == ROUNDS)
        return answers

    with ThreadPoolExecutor(32) as clients:
        answers = [one for part in clients.map(send, range(32)) for one in part]
    recorder.close()
    assert seen_by_another == [True] * 32
    fresh = [one for one in answers if isinstance(one, Recorded) and not one.duplicate]
    assert len(fresh) == len({one.id for one in fresh}) == 32 * ROUNDS + ROUNDS
    assert sum(isinstance(one, NotFound) for one in answers) == 32 * ROUNDS
    conflicts = sum(isinstance(one, ConflictError) for one in answers)
    assert conflicts == 32 * ROUNDS, (
        "of each shared id one content holds, whichever came first, and the other is refused"
    )
    kept = lines(app)
    assert set(kept) == {one.id for one in fresh} | {"count"}
    assert on_hand(app) == {("tea", "main"): 1000 - sum(units for line, units in kept.items() if line != "count")}


def test_ids_hold_over_a_restart_and_answers_under_keys_too(opened: Callable[..., App]) -> None:
    app = opened()
    first = Recorder(app, nothing_felt)
    booked(first, movement("count", 10))
    by_id = booked(first, movement(id="till-1"))
    by_key = booked(first, movement(quantity=2), key("a"))
    first.close()
    app.close()
    again = Recorder(opened(), nothing_felt)
    assert booked(again, movement(id="till-1")).duplicate
    replay = booked(again, movement(quantity=2), key("a"))
    assert (replay, replay.replayed, replay.duplicate) == (by_key, True, False)
    assert by_id.on_hand == 9
    assert by_key.on_hand == 7
    again.close()
    assert len(lines(app)) == 3


def test_a_key_is_of_one_request_of_one_owner(recorder: Recorder) -> None:
    first = booked(recorder, movement(), key("k"))
    with pytest.raises(ParameterError, match="Idempotency-Key 'k' came with another request before"):
        booked(recorder, movement(quantity=2), key("k", "another body"))
    assert booked(recorder, movement(), key("k", owner="another")).id != first.id


def test_a_refused_request_leaves_its_key_free(recorder: Recorder) -> None:
    booked(recorder, movement())
    with pytest.raises(NotFound, match="there is no warehouse 'mian'; the nearest is main"):
        booked(recorder, movement(warehouse="mian"), key("k", "typo"))
    assert not booked(recorder, movement(warehouse="main"), key("k", "put right")).duplicate


def test_a_key_that_is_being_answered_is_a_conflict(local: Callable[..., App]) -> None:
    app, other = local(), local()
    recorder = Recorder(app, nothing_felt)
    with other.database.write():  # another program holds the database
        first = recorder.submit(movement(), key("k"))
        with pytest.raises(ConflictError, match="'k' is still being answered"):
            recorder.submit(movement(), key("k"))
        assert not first.done()
    first_id = first.result(30).id
    assert booked(recorder, movement(), key("k")).id == first_id
    recorder.close()


def test_a_key_expires_and_tidying_removes_it(opened: Callable[..., App], monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(idempotency_hours=2)
    recorder = Recorder(app, nothing_felt)
    first = booked(recorder, movement(), key("k"))
    now = idempotent.time.time()
    monkeypatch.setattr(idempotent.time, "time", lambda: now + 2 * 3600 - 60)
    assert idempotent.tidy(app) == 0
    assert booked(recorder, movement(), key("k")).id == first.id
    monkeypatch.setattr(idempotent.time, "time", lambda: now + 2 * 3600 + 60)
    second = booked(recorder, movement(), key("k"))
    assert second.id != first.id, "a key whose time is over is as good as new"
    recorder.close()
    monkeypatch.setattr(idempotent.time, "time", lambda: now + 5 * 3600)
    assert idempotent.tidy(app) == 1


def test_any_write_can_be_put_between_begin_and_finish(opened: Callable[..., App]) -> None:
    app = opened()
    asked = key("k")
    answer = idempotent.Answer(202, "application/json", b'{"job": 7}')
    assert idempotent.begin(app, asked) is None
    with pytest.raises(ConflictError, match="still being answered"):
        idempotent.begin(app, asked)
    idempotent.give_up(app, asked)
    assert idempotent.begin(app, asked) is None, "after a failure it may come again"
    idempotent.finish(app, asked, answer)
    assert idempotent.begin(opened(), asked) == answer
    with pytest.raises(ParameterError, match="came with another request"):
        idempotent.begin(app, key("k", "another"))


def test_the_claim_of_a_process_that_died_runs_out(local: Callable[..., App], monkeypatch: pytest.MonkeyPatch) -> None:
    app = local()
    assert idempotent.begin(app, key("k")) is None
    now = idempotent.time.time()
    monkeypatch.setattr(idempotent.time, "time", lambda: now + idempotent.CLAIM_SECONDS + 1)
    assert idempotent.begin(app, key("k")) is None


@pytest.mark.parametrize("bad", ["", "with blank", "ümlaut", "x" * 256, "line\nbreak"])
def test_a_key_that_no_header_should_hold_is_refused(bad: str) -> None:
    with pytest.raises(ParameterError, match="an Idempotency-Key is 1 to 255 visible ASCII characters"):
        key(bad)


# --- what a movement says


def test_what_is_left_out_the_first_time_is_not_compared_the_second(recorder: Recorder) -> None:
    first = booked(recorder, movement(id="a"))
    again = booked(recorder, movement(id="a"))
    assert (again.occurred_at, again.warehouse, again.duplicate) == (first.occurred_at, "main", True)
    assert booked(recorder, movement(id="a", occurred_at=first.occurred_at, warehouse="main")).duplicate
    for other in (
        movement(id="a", quantity=2),
        movement(id="a", product="milk"),
        movement("return", id="a"),
        movement(id="a", unit_price=2.0),
        movement(id="a", occurred_at=first.occurred_at - dt.timedelta(microseconds=1)),
    ):
        with pytest.raises(ConflictError, match="something else is booked under the id 'a'"):
            booked(recorder, other)


def test_a_transfer_is_two_lines_under_one_id(opened: Callable[..., App]) -> None:
    app = opened()
    recorder = Recorder(app, nothing_felt)
    booked(recorder, movement("count", 10, id="c"))
    _add_warehouse(app, "back")
    booked(recorder, movement("count", 0, warehouse="back", id="d"))
    moved = movement("transfer", 4, warehouse="main", to_warehouse="back", id="t")
    first = booked(recorder, moved)
    assert (first.quantity, first.warehouse, first.to_warehouse, first.on_hand) == (4, "main", "back", 6)
    again = booked(recorder, moved)
    assert (again.duplicate, again.to_warehouse) == (True, "back")
    for other in (
        movement("transfer", 4, warehouse="back", to_warehouse="main", id="t"),
        movement("adjustment", -4, warehouse="main", id="t"),
        movement("adjustment", 4, warehouse="back", id="t/in"),
    ):
        with pytest.raises(ConflictError):
            booked(recorder, other)
    booked(recorder, movement(id="u/in", warehouse="back"))
    with pytest.raises(ConflictError, match="under the id 'u/in'"):
        booked(recorder, movement("transfer", 1, warehouse="main", to_warehouse="back", id="u"))
    with pytest.raises(ParameterError, match="from main to itself"):
        booked(recorder, movement("transfer", 1, warehouse="main", to_warehouse="main"))
    recorder.close()
    assert on_hand(app) == {("tea", "main"): 6, ("tea", "back"): 3}
    assert lines(app).keys() == {"c", "d", "t", "t/in", "u/in"}


def _add_warehouse(app: App, code: str) -> None:
    with app.database.write() as connection:
        connection.execute(tables.warehouses.insert(), {"code": code})


def test_of_several_warehouses_one_must_be_named(local: Callable[..., App]) -> None:
    app = local()
    recorder = Recorder(app, nothing_felt)
    assert booked(recorder, movement()).warehouse == "main", "the first movement of an empty shop makes it"
    _add_warehouse(app, "back")
    with pytest.raises(ParameterError, match="the shop has 2 warehouses; warehouseId must name one: back, main"):
        booked(recorder, movement())
    recorder.close()


def test_a_product_nobody_told_of_is_created_or_refused(local: Callable[..., App]) -> None:
    open_to_all, strict = local(), local(create_unknown_products=False)
    recorder = Recorder(open_to_all, nothing_felt)
    booked(recorder, movement(product="TEA-01"))
    recorder.close()
    recorder = Recorder(strict, nothing_felt)
    booked(recorder, movement(product="TEA-01"))
    with pytest.raises(NotFound, match="there is no product 'TEA-1'; the nearest is TEA-01"):
        booked(recorder, movement(product="TEA-1"))
    recorder.close()


def test_a_moment_is_turned_into_shop_time(local: Callable[..., App]) -> None:
    app = local(timezone="Europe/Berlin")
    recorder = Recorder(app, nothing_felt)
    utc = dt.datetime(2026, 1, 5, 23, 30, tzinfo=dt.UTC)
    assert booked(recorder, movement(occurred_at=utc)).occurred_at.isoformat() == "2026-01-06T00:30:00"
    ahead = app.now() + dt.timedelta(seconds=30)
    assert booked(recorder, movement(occurred_at=ahead)).occurred_at == ahead, "clocks differ by some seconds"
    for wrong, words in (
        (app.now() + dt.timedelta(minutes=3), r"has not come yet; it is .* in the shop \(Europe/Berlin\)"),
        (dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))), "is before 1970"),
    ):
        with pytest.raises(ParameterError, match=words):
            booked(recorder, movement(occurred_at=wrong))
    recorder.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"kind": "receipt", "quantity": -1}, "the quantity of a RECEIPT must be zero or more, got -1"),
        ({"quantity": 0}, "a SALE is of some units, got 0"),
        ({"quantity": float("nan")}, "quantity must be a number up to 1,000,000,000 units"),
        ({"quantity": 1e300}, "quantity must be a number"),
        ({"kind": "transfer"}, "a TRANSFER needs toWarehouseId"),
        ({"to_warehouse": "back"}, "toWarehouseId is of a TRANSFER, this is a SALE"),
        ({"unit_price": -1.0}, "unitPrice must be zero or more"),
        ({"product": " tea"}, "productId is 1 to 255 characters without blanks around them"),
        ({"product": ""}, "productId is 1 to 255"),
        ({"id": "x" * 253}, "id is 1 to 252"),
        ({"id": "a\0b"}, "holds a character that no text may hold"),
        ({"product": "a\ud800b"}, "holds a character that no text may hold"),
    ],
)
def test_a_movement_that_cannot_be_is_refused_at_once(said: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        movement(**said)  # type: ignore[arg-type]


def test_the_size_of_a_sale_counts_and_not_its_sign() -> None:
    assert movement(quantity=-3).quantity == 3


# --- what follows


def test_one_event_tells_of_a_group_and_what_is_felt_are_its_fresh_products(local: Callable[..., App]) -> None:
    app, other = local(), local()
    felt: list[list[str]] = []
    done: Future[bool] = Future()

    def feel(products: object) -> Future[bool]:
        felt.append(sorted(products))  # type: ignore[call-overload]
        return done

    recorder = Recorder(app, feel)
    assert booked(recorder, movement(id="a")).felt is done
    assert booked(recorder, movement(id="a")).felt is None
    with other.database.write():
        waiting = [recorder.submit(movement(id=f"b{n}", product=f"p{n % 3}")) for n in range(9)]
    assert all(one.result(30).felt is done for one in waiting)
    recorder.close()
    assert felt[0] == ["tea"]
    assert {product for group in felt[1:] for product in group} == {"p0", "p1", "p2"}
    with app.database.read() as connection:
        events = [one.event for one in outbox.since(connection)]
    assert all(isinstance(one, MovementsRecorded) for one in events)
    assert sum(one.inserted for one in events if isinstance(one, MovementsRecorded)) == 10
    assert len(events) == len(felt) < 10, "what waited for the database went in together"


# --- the writer


def test_closing_writes_what_waits_and_then_refuses(opened: Callable[..., App]) -> None:
    app, other = opened(), opened()
    recorder = Recorder(app, nothing_felt)
    with other.database.write():
        waiting = [recorder.submit(movement(id=str(n))) for n in range(50)]
        closing = threading.Thread(target=recorder.close)
        closing.start()
    closing.join(30)
    assert all(one.result(0).id for one in waiting)
    assert len(lines(app)) == 50
    with pytest.raises(StorageError, match="the service is ending"):
        recorder.submit(movement())


def test_what_was_given_up_before_its_turn_is_not_written(local: Callable[..., App]) -> None:
    app, other = local(), local()
    recorder = Recorder(app, nothing_felt)
    with other.database.write():
        given_up, kept = recorder.submit(movement(id="given up")), recorder.submit(movement(id="kept"))
        assert given_up.cancel()
    kept.result(30)
    recorder.close()
    assert set(lines(app)) == {"kept"}


def test_too_many_that_wait_are_turned_away(local: Callable[..., App], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 3)
    app, other = local(), local()
    recorder = Recorder(app, nothing_felt)
    with other.database.write():
        waiting = [recorder.submit(movement()) for _ in range(3)]
        with pytest.raises(StorageError, match="3 writes wait already"):
            recorder.submit(movement())
    assert [one.result(30).duplicate for one in waiting] == [False] * 3
    recorder.close()


def test_a_database_that_stays_busy_is_told_in_time_and_what_was_told_so_is_not_written(
    local: Callable[..., App],
) -> None:
    app, other = local(), local()
    group: group_commit.GroupCommit[str, str, str] = group_commit.GroupCommit(
        app.database, lambda connection, part: [_added(connection, code) for code in part], lambda made: made
    )

    async def ask(code: str, patience_seconds: float) -> str:
        return await group.answer(group.submit(code), patience_seconds)

    with other.database.write(), pytest.raises(StorageError, match=r"busy for 0.05 s and nothing was written"):
        asyncio.run(ask("given up", 0.05))
    assert asyncio.run(ask("in time", 30)) == "in time"
    group.close()
    with app.database.read() as connection:
        assert connection.scalars(select(tables.warehouses.c.code)).all() == ["in time"]


def _added(connection: Connection, code: str) -> str:
    connection.execute(tables.warehouses.insert(), {"code": code})
    return code
