"""An import killed before any of its statements leaves the shop as before it or as after it; the next run ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.services.test_import_history import Store, same, state
from tests.storage.databases import EVERY, Pool

from shelfwise.app import open_app
from shelfwise.services import import_history, importing

pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and fork"),
]
ROOT = Path(__file__).parents[2]
SAMPLED = 4
STRIPES = 6  # a test has every sixth statement, so that each ends within the limit of time on a busy machine
TIMEOUT = 120

# Loads the program once; then, for each line "POINT COMMAND...", a forked child runs the command and kills itself
# before its POINT-th statement (0: never). Answers with the child's exit status and how many statements there were.
ZYGOTE = """
import os, shlex, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
import shelfwise.services.importing, shelfwise.services.import_history
from shelfwise.cli.main import run

def child(point, words, out):
    count = 0
    def step(*_):
        nonlocal count
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)
    def connected(raw, _):
        if hasattr(raw, "set_trace_callback"):
            raw.set_trace_callback(step)
    event.listen(Engine, "connect", connected)
    def executing(connection, *_):
        if connection.dialect.name != "sqlite":
            step()
    event.listen(Engine, "before_cursor_execute", executing)
    event.listen(Engine, "commit", executing)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = run(words)
    os.write(out, str(count).encode())
    os._exit(code)

for line in sys.stdin:
    point, *words = shlex.split(line)
    inside, out = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        child(int(point), words, out)
    os.close(out)
    counted = os.read(inside, 20).decode() or "0"
    os.close(inside)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    print(status, counted, flush=True)
"""

FIRST = {
    "products.csv": "sku,name,price,supplier\ntea,Tea,5.00,north\nmilk,Milk,2.00,north\n",
    "sales.csv": "date,sku,units,line id\n" + "".join(f"2024-01-{d:02},tea,{d},{d}\n" for d in range(1, 21)),
}
SECOND = {
    "products.csv": "sku,name,price,supplier\ntea,Green tea,6.00,south\nset,Set,9.00,\n",
    "sales.csv": "date,sku,units,line id\n" + "".join(f"2024-01-{d:02},tea,{d},{d}\n" for d in range(11, 29)),
    "stock.csv": "sku,on hand,as of\ntea,500,2024-01-05\nmilk,80,2024-01-05\n",
    "suppliers.csv": "supplier,lead time days\nnorth,7\nsouth,9\n",
    "open_orders.csv": "po,sku,quantity,expected,supplier\nP1,tea,24,2024-02-20,south\n",
    "events.csv": "event,from,to,kind\nSale,2024-03-01,2024-03-05,promotion\n",
    "bundles.csv": "bundle,component,quantity\nset,tea,1\nset,milk,2\n",
}


class Shop:
    """A shop whose commands can be killed, put back to what it was before the second import at will."""

    def __init__(self, folder: Path, address: Callable[[], str]) -> None:
        self.folder, self._address = folder, address
        for number, files in (("first", FIRST), ("second", SECOND)):
            (folder / number).mkdir()
            for name, text in files.items():
                (folder / number / name).write_text(text)
        self._zygote = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.database = ""
        self.reset()

    def reset(self) -> None:
        """Make the shop anew, with the first import alone."""
        self.database = self._address()
        with open_app(self.database, folder=self.folder) as app:
            importing.import_files(app, sorted((self.folder / "first").iterdir()))

    def run(self, point: int, *words: str) -> tuple[int, int]:
        """Run a command that dies before its ``point``-th statement; return its exit status and its statements."""
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        line = " ".join([str(point), *(f"'{word}'" for word in (*words, "--database", self.database))])
        print(line, file=self._zygote.stdin, flush=True)
        status, counted = self._zygote.stdout.readline().split()
        return int(status), int(counted)

    def state(self) -> Store:
        with open_app(self.database, folder=self.folder) as app:
            listed = import_history.listed(app).select("import", "files", "new_lines", "known_lines").sort("files")
            undone = import_history.listed(app)["undone_at"].is_null()
            return {**state(app), "imports": listed.drop("import").with_columns(undone)}

    def close(self) -> None:
        """End the process that runs commands."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(TIMEOUT)
        assert self._zygote.stdout is not None
        self._zygote.stdout.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Pool]:
    """The databases on servers."""
    made = Pool()
    yield made
    made.close()


@pytest.fixture(params=EVERY)
def shop(request: pytest.FixtureRequest, tmp_path: Path, servers: Pool) -> Iterator[Shop]:
    """A shop of each kind of database."""
    made = iter(range(1000))

    def address() -> str:
        if request.param == "sqlite":
            return str(tmp_path / f"shop-{next(made)}.db")
        found = servers.address(request.param)
        return str(found) if found.password is None else str(found).replace("@", f":{quote(found.password)}@", 1)

    opened = Shop(tmp_path, address)
    yield opened
    opened.close()


def kill_at_each(shop: Shop, words: tuple[str, ...], points: Callable[[int], list[int]]) -> None:
    """Kill a command before the statements ``points`` chooses; after each the shop is as before or as after it."""
    before = shop.state()
    status, total = shop.run(0, *words)
    assert status == 0
    assert total > 20, "the statements are counted"
    after = shop.state()
    shop.reset()
    was_after = False
    for point in points(total):
        status, _ = shop.run(point, *words)
        assert status == -signal.SIGKILL, f"statement {point} of {total}"
        now = shop.state()
        was_after = now["imports"].equals(after["imports"])
        same(now, after if was_after else before)
        if was_after:
            shop.reset()
    if was_after:
        return
    status, _ = shop.run(0, *words)
    assert status == 0
    same(shop.state(), after)


def import_words(shop: Shop) -> tuple[str, ...]:
    return "import", *(str(path) for path in sorted((shop.folder / "second").iterdir()))


def sampled(total: int) -> list[int]:
    """Some points over the whole of it, and the last ones, among which the commit is."""
    return sorted({1 + total * n // SAMPLED for n in range(SAMPLED)} | {total - 1, total})


def test_an_import_killed_at_sampled_statements_is_whole_or_nothing(shop: Shop) -> None:
    kill_at_each(shop, import_words(shop), sampled)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1, STRIPES + 1))
def test_an_import_killed_at_every_statement_is_whole_or_nothing(shop: Shop, first: int) -> None:
    kill_at_each(shop, import_words(shop), lambda total: list(range(first, total + 1, STRIPES)))


def test_an_undo_killed_at_sampled_statements_is_whole_or_nothing(shop: Shop) -> None:
    kill_at_each(shop, ("imports", "undo", "1", "--yes"), sampled)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(1, STRIPES + 1))
def test_an_undo_killed_at_every_statement_is_whole_or_nothing(shop: Shop, first: int) -> None:
    kill_at_each(shop, ("imports", "undo", "1", "--yes"), lambda total: list(range(first, total + 1, STRIPES)))
