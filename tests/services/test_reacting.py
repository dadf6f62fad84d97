"""What is felt is followed off the way of whoever sent it: together, once, whatever goes wrong in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from shelfwise.app import open_app
from shelfwise.services.reacting import Reacting


class Shop:
    """Follows products, one call at a time, each as long as it is held."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.entered, self.go_on = threading.Semaphore(0), threading.Event()
        self.follows = True

    def react(self, products: Sequence[str]) -> bool:
        if not products:  # the first look, at the start
            return False
        self.calls.append(sorted(products))
        self.entered.release()
        assert self.go_on.wait(30)
        if "bad" in products:
            raise RuntimeError("cannot be followed")
        return self.follows


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def reacting(shop: Shop) -> Iterator[Reacting]:
    made = Reacting(shop.react)
    yield made
    shop.go_on.set()
    made.close()


def test_what_is_felt_meanwhile_is_one_reaction(shop: Shop, reacting: Reacting) -> None:
    first = reacting.felt(["tea"])
    assert shop.entered.acquire(timeout=30)
    later = [reacting.felt([product]) for product in ("milk", "tea", "milk", "cup") * 50]
    assert len({id(one) for one in later}) == 1
    assert not first.done()
    shop.go_on.set()
    assert first.result(30)
    assert later[0].result(30)
    assert shop.calls == [["tea"], ["cup", "milk", "tea"]]


def test_a_reaction_that_fails_is_told_and_the_next_one_comes(
    shop: Shop, reacting: Reacting, caplog: pytest.LogCaptureFixture
) -> None:
    shop.go_on.set()
    with pytest.raises(RuntimeError, match="cannot be followed"):
        reacting.felt(["bad"]).result(30)
    assert "the reaction to 1 products failed" in caplog.text
    assert reacting.felt(["tea"]).result(30)


def test_nothing_follows_where_no_forecast_was_made(tmp_path: Path) -> None:
    with open_app(tmp_path / "shop.db", folder=tmp_path) as app:
        made = Reacting.to_movements(app)
        assert made.felt(["tea"]).result(30) is False
        made.close()


def test_closing_lets_the_reaction_under_way_end_and_leaves_the_rest(shop: Shop) -> None:
    made = Reacting(shop.react)
    first = made.felt(["tea"])
    assert shop.entered.acquire(timeout=30)
    rest = made.felt(["milk"])
    closing = threading.Thread(target=made.close)
    closing.start()
    shop.go_on.set()
    closing.join(30)
    assert first.result(0)
    assert rest.cancelled()


def test_each_is_followed_though_many_threads_feel_at_once(shop: Shop, reacting: Reacting) -> None:
    shop.go_on.set()

    def feel(number: int) -> Callable[[], None]:
        return lambda: [reacting.felt([f"{number}-{n}"]) for n in range(100)][-1].result(30) and None

    threads = [threading.Thread(target=feel(n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {product for call in shop.calls for product in call} == {f"{k}-{n}" for k in range(8) for n in range(100)}


def test_what_later_reactions_need_is_prepared_piece_by_piece_while_nothing_waits() -> None:
    pieces: list[str] = []
    done = threading.Event()

    def prepare() -> bool:
        pieces.append("piece")
        if len(pieces) == 3:
            done.set()
        return len(pieces) < 3

    reacting = Reacting(lambda _: True, prepare)
    assert done.wait(10)
    assert reacting.felt(["A"]).result(10)
    reacting.close()
    assert len(pieces) in (3, 4)  # looked at once more after the reaction, unless the end came first


def test_a_preparation_that_fails_keeps_no_reaction_from_happening() -> None:
    reacting = Reacting(lambda _: True, lambda: bool(1 // 0))
    assert reacting.felt(["A"]).result(10)
    reacting.close()
