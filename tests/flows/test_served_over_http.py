"""`shelfwise serve` as a user runs it: a process, a real connection, and a clean end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SHELFWISE = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
BODY = {
    "product_id": "CUP-01",
    "dates": [f"2026-11-{day:02}" for day in range(1, 15)],
    "quantities": [4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10],
}


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*SHELFWISE, "serve", "--port", "0"], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = re.search(r"http://[\d.]+:\d+", line)
        assert address is not None, line + process.stderr.read()
        yield process, address[0]
    finally:
        process.kill()
        process.communicate()


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, raw, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_a_forecast_is_answered_and_ctrl_c_ends_the_service_cleanly(tmp_path: Path):
    with served(tmp_path) as (process, url):
        assert asked(f"{url}/health")["status"] == "healthy"
        found = asked(f"{url}/predict", BODY)
        assert len(found["predictions"]) == 7
        assert asked(f"{url}/openapi.json")["openapi"].startswith("3.1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert out == ""


def test_a_port_that_is_taken_is_one_clear_message(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*SHELFWISE, "serve", "--port", str(port)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 2
    assert f"127.0.0.1 port {port} cannot be listened on (Address already in use)" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_are_not_served(tmp_path: Path, host: str):
    done = subprocess.run(
        [*SHELFWISE, "serve", "--host", host], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "can be reached from other machines" in done.stderr
