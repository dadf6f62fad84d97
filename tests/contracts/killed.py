"""A process that is killed at each statement in turn, for tests of what is left; run as a script.

    python -m tests.contracts.killed ADDRESS import|migrate STRIDE

Forks a child for each statement, which kills itself before it; then another child that looks at the database. Writes
one word for each: what was found. Forking is safe because the parent runs nothing of polars, whose threads a child
would not have.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback

import polars as pl
from sqlalchemy import event
from sqlalchemy.engine import Engine

from shelfwise.domain.errors import MigrationNeeded
from shelfwise.storage import catalogue
from shelfwise.storage.database import Database
from shelfwise.storage.sales import append_movements, daily_demand
from shelfwise.storage.stock import set_stock_levels, stock_levels

ROWS = 200


def lines() -> pl.DataFrame:
    """A file of sales of ten products, on top of stock that is counted in `world`."""
    from tests.storage.worlds import movements

    return movements(*[("sale", "2026-01-05 12:00", f"p{n % 10}", 1) for n in range(ROWS)])


def world(address: str) -> None:
    """Stock that an import will change."""
    levels = pl.DataFrame({"product": [f"p{n}" for n in range(5)]}).with_columns(
        warehouse=pl.lit("main"), on_hand=1_000.0, as_of=pl.lit("2026-01-01").str.to_datetime()
    )
    with Database.open(address) as database, database.write() as connection:
        set_stock_levels(connection, levels)


def load(address: str) -> None:
    """One write: a bulk load that makes products, books lines and moves levels, and a warehouse."""
    with Database.open(address) as database, database.write(stage={"movements": lines()}) as connection:
        append_movements(connection)
        catalogue.upsert_warehouses(connection, pl.DataFrame({"warehouse": ["second"]}))


def state(address: str) -> str:
    """Look whether all of the import is there or nothing."""
    with Database.open(address) as database, database.read() as connection:
        found = (
            int(daily_demand(connection)["quantity"].sum()),
            int(5_000 - stock_levels(connection)["on_hand"].sum()),
            catalogue.products(connection).height,
            catalogue.warehouses(connection).height,
        )
    return {(0, 0, 5, 1): "before", (ROWS, ROWS // 2, 10, 2): "after"}.get(found, f"between{found}".replace(" ", ""))


def down_and_up(address: str) -> None:
    """Take every step of the schema down and up again."""
    with Database.unmigrated(address) as database:
        database.migrate("0004")
        database.migrate()


def schema(address: str) -> str:
    """Look whether the schema can be used as it is, and if not, whether `migrate` makes it so."""
    try:
        Database.open(address).close()
    except MigrationNeeded:
        with Database.unmigrated(address) as database:
            database.migrate()
    with Database.open(address) as database, database.read() as connection:
        whole = database._dialect.table_names(connection)
    return "whole" if len(whole) == int(os.environ["TABLES"]) else f"between{len(whole)}"


def die_before(statement: int) -> None:
    """Kill this process before its statement of that number, counted from 1, commits included."""
    left = [statement]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def forked(step: object, *arguments: object) -> int:
    """Run a function in a child; return its exit status, negative where a signal ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            word = step(*arguments)  # type: ignore[operator]
            if word:
                sys.stdout.write(f"{word}\n")
                sys.stdout.flush()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Kill at each statement until a child comes through."""
    address, what, stride = sys.argv[1], sys.argv[2], int(sys.argv[3])
    run, look = {"import": (load, state), "migrate": (down_and_up, schema)}[what]

    def killed_at(statement: int) -> None:
        die_before(statement)
        run(address)

    if what == "import":
        assert forked(world, address) == 0
    statement = 1
    while forked(killed_at, statement) == -signal.SIGKILL:
        assert forked(look, address) == 0
        statement += stride
    assert forked(look, address) == 0


if __name__ == "__main__":
    main()
