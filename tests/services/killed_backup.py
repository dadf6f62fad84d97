"""A backup or a restore that is killed at each of its steps in turn; run as a script in a folder with ``shop.db``.

    python -m tests.services.killed_backup backup|restore|replace STRIDE

Forks a child for each step (a word of progress, or a change of files), which kills itself before it; then another child
that looks at what is left. Writes one word for each: what was found.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from shelfwise.app import open_app
from shelfwise.services import backups
from shelfwise.storage import table_copies
from shelfwise.storage.database import Database


def contents(path: str) -> dict[str, int]:
    """How many rows each table has, after SQLite has looked at all of the file."""
    with Database.open(path, create=False) as database, database.read() as connection:
        found = table_copies.counts(connection)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
    return found


def gone(*names: str) -> None:
    for name in names:
        Path(name).unlink(missing_ok=True)


def make(told: Any) -> None:
    with open_app("shop.db", create=False) as app:
        backups.make(app, Path("new.tar.gz"), progress=told)


def made() -> str:
    if not Path("new.tar.gz").exists():
        return "nothing"
    whole = backups.check(Path("new.tar.gz")).rows == sum(contents("shop.db").values())
    return "whole" if whole else "half"


def restore(told: Any) -> None:
    backups.restore(Path("shop.tar.gz"), "new.db", force=True, progress=told)


def restored() -> str:
    if not Path("new.db").exists():
        return "nothing"
    found = contents("new.db")
    return "whole" if found == contents("shop.db") else "before" if found == contents("before.db") else "half"


def put_before() -> None:
    gone("new.db", "new.db-wal", "new.db-shm")
    shutil.copy("before.db", "new.db")


STEPS: dict[str, tuple[Callable[[Any], None], Callable[[], str], Callable[[], None]]] = {
    "backup": (make, made, lambda: gone("new.tar.gz")),
    "restore": (restore, restored, lambda: gone("new.db", "new.db-wal", "new.db-shm")),
    "replace": (restore, restored, put_before),
}


def dies(step: int) -> Callable[..., None]:
    """Return a word of progress that kills this process at its call of that number; changes of files are calls, too."""
    left = [step]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            count()
            return function(*given, **named)

        return call

    for place, name in ((os, "fsync"), (os, "link"), (Path, "replace"), (Path, "unlink")):
        setattr(place, name, counted(getattr(place, name)))
    return count


def killed_at(run: Callable[[Any], None], step: int) -> None:
    """Run, and be killed at a step."""
    run(dies(step))


def forked(step: Callable[[], object]) -> int:
    """Run a function in a child; return its exit status, negative where a signal ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            word = step()
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
    """Kill at each step until a child comes through."""
    run, look, again = STEPS[sys.argv[1]]
    step, code = 1, -signal.SIGKILL
    while code == -signal.SIGKILL:
        again()
        code = forked(partial(killed_at, run, step))
        assert forked(look) == 0
        step += int(sys.argv[2])
    assert code == 0


if __name__ == "__main__":
    main()
