"""A service in a process of its own, as the benches measure it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

SHELFWISE = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]


class Service:
    """``shelfwise serve`` in a folder, with its log in the file ``log`` there.

    Parameters
    ----------
    settings
        Settings by their variables, ``SHELFWISE_DATABASE`` for one.
    options
        More words of the command, such as ``--no-authentication``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], *options: str) -> None:
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*SHELFWISE, "serve", "--port", "0", *options], cwd=folder, stderr=log, env={**os.environ, **settings}
            )
        self.port = int(self.awaited(r"http://[\d.]+:(\d+)"))

    def awaited(self, pattern: str) -> str:
        """Return what the log says once it says it."""
        began = time.perf_counter()
        while not (found := re.search(pattern, self.log.read_text())):
            if self.process.poll() is not None or time.perf_counter() - began > 120:
                raise SystemExit(self.log.read_text())
            time.sleep(0.01)
        return found[1]

    def cpu_seconds(self) -> float:
        """Return the processor time that the service has used so far."""
        return cpu_seconds(self.process.pid)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has used so far, its children aside."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
