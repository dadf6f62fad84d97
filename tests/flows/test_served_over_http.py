"""`shelfwise serve` as a user runs it: a process, a real connection, and a clean end."""

from __future__ import annotations

import contextlib
import json
import os
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

import httpx2
import pytest

from shelfwise.app import open_app
from shelfwise.services import users

SHELFWISE = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
BODY = {
    "product_id": "CUP-01",
    "dates": [f"2026-11-{day:02}" for day in range(1, 15)],
    "quantities": [4, 6, 5, 5, 7, 12, 9, 4, 5, 6, 4, 8, 13, 10],
}


@contextmanager
def served(folder: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*SHELFWISE, "serve", "--port", "0", *options],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
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


def said(process: subprocess.Popen[str], pattern: str) -> str:
    """What a later line on stderr says in the place of the pattern's group."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(pattern)


def asked(url: str, body: dict[str, Any] | None = None, *, token: str = "") -> Any:
    raw = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, raw, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_a_forecast_is_answered_and_ctrl_c_ends_the_service_cleanly(tmp_path: Path):
    with served(tmp_path) as (process, url):
        assert asked(f"{url}/health")["status"] == "healthy"
        token = said(process, r"API token of owner, shown this once: (sw_\S+)")
        found = asked(f"{url}/predict", BODY, token=token)
        assert len(found["predictions"]) == 7
        assert asked(f"{url}/openapi.json")["openapi"].startswith("3.1")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert out == ""


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where a shop is served for the first time, and the link that its owner signs in by."""
    with served(tmp_path_factory.mktemp("first")) as (process, url):
        yield url, said(process, r"owner signs in, once and within 10 minutes, at (\S+)")


def test_the_first_start_signs_a_browser_in_by_a_link_that_works_once(first_start: tuple[str, str]):
    url, link = first_start
    assert link.startswith(f"{url}/sign-in?code=")
    with httpx2.Client(timeout=60) as browser:
        answer = browser.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=strict" in answer.headers["set-cookie"]
        assert browser.get(f"{url}/api/v1/me").json()["name"] == "owner"
        assert browser.get(link).status_code == 401


def test_two_requests_in_the_place_of_one_are_not_both_believed(first_start: tuple[str, str]):
    # A proxy that believes Content-Length sees one request, a server that believes Transfer-Encoding would see two.
    smuggled = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    length = b"Content-Length: %d\r\n" % (len(smuggled) + 5)
    attempts = (
        post + length + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
        post + b"Content-Length: 0\r\n" + length + b"\r\n" + smuggled,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: shop.example\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n Authorization: Bearer x\r\n\r\n",
    )  # fmt: skip
    url, _ = first_start
    assert asked(f"{url}/health")["status"] == "healthy"
    for raw in attempts:
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=5) as connection:
            connection.sendall(raw)
            got = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                connection.settimeout(1.0)
                while part := connection.recv(65_536):
                    got += part
        assert re.findall(rb"HTTP/1.1 (\d+)", got) in ([b"400"], [b"421"]), raw


def test_a_port_that_is_taken_is_one_clear_message(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*SHELFWISE, "serve", "--port", str(port)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 2
    assert f"127.0.0.1 port {port} cannot be listened on (Address already in use)" in done.stderr
    assert "--port" in done.stderr


def test_other_machines_are_not_served_while_nobody_could_prove_who_asks(tmp_path: Path):
    done = subprocess.run(
        [*SHELFWISE, "serve", "--host", "0.0.0.0"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "can be reached from other machines" in done.stderr


def test_other_machines_are_served_under_the_names_allowed_once_there_are_users(tmp_path: Path):
    with open_app(tmp_path / "shelfwise.db", folder=tmp_path) as shop:
        users.add(shop, "mia", "admin", password="tulips in may")
    names = {"SHELFWISE_ALLOWED_HOSTS": "shop.example"}
    with served(tmp_path, "--host", "0.0.0.0", **names) as (_, url), httpx2.Client(timeout=60) as client:
        here = url.replace("0.0.0.0", "127.0.0.1")
        for path, host, status in (
            ("/health", "shop.example", 200), ("/health", "another.example", 421), ("/metrics", "shop.example", 401),
            ("/api/v1/me", "shop.example", 401),
        ):  # fmt: skip
            assert client.get(f"{here}{path}", headers={"Host": host}).status_code == status, path
        signed = client.post(f"{here}/api/v1/sessions", json={"name": "mia", "password": "tulips in may"})
        me = client.get(f"{here}/api/v1/me", headers={"Authorization": f"Bearer {signed.json()['access_token']}"})
        assert me.json()["name"] == "mia"
