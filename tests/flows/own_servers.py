"""Servers of a test's own, on ports of their own, that can be ended, killed and started again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.flows.selling import free_port, until

from shelfwise.domain.addresses import Address

START_SECONDS = 60.0


@dataclass(eq=False)
class Server:
    """A server that keeps what it has in a folder, or in memory."""

    words: Sequence[str]
    port: int
    folder: Path
    user: str | None = None
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.running = subprocess.Popen(self.words, cwd=self.folder, stdout=log, stderr=log, user=self.user)
        until(self._answers, f"{self.words[0]} answers", START_SECONDS)

    def _answers(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, (self.folder / "server.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.running is not None:
            self.running.send_signal(how)
            self.running.wait(START_SECONDS)

    def close(self) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGCONT)
            self.running.kill()
            self.running.wait()


def _needed(*programs: str) -> list[str]:
    """Return where programs are; a test that lacks one is skipped."""
    folders = [
        *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
        os.environ["PATH"],
        "/usr/sbin",
    ]
    found = {name: shutil.which(name, path=os.pathsep.join(folders)) for name in programs}
    lacking = [name for name, path in found.items() if path is None]
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)} on this machine, to have a server that may be stopped")
    return [str(path) for path in found.values()]


@contextlib.contextmanager
def _folder_of(user: str) -> Iterator[tuple[Path, str | None]]:
    """Give a folder and the user to run a server as: database servers refuse to run as root."""
    with tempfile.TemporaryDirectory(prefix="shelfwise-server-", ignore_cleanup_errors=True) as name:
        if os.getuid() != 0:
            yield Path(name), None
            return
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            pytest.skip(f"runs as root, and there is no user {user} to run the server as")
        os.chown(name, entry.pw_uid, entry.pw_gid)
        yield Path(name), user


@contextlib.contextmanager
def own_redis() -> Iterator[Server]:
    """Give a Redis that runs."""
    (program,) = _needed("redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        server = Server(words, port, Path(name))
        try:
            server.start()
            yield server
        finally:
            server.close()


@contextlib.contextmanager
def own_postgresql() -> Iterator[tuple[Server, Address]]:
    """Give a PostgreSQL that runs, and the address of a database on it."""
    initdb, postgres, createdb = _needed("initdb", "postgres", "createdb")
    port = free_port()
    with _folder_of("postgres") as (folder, user):
        data = folder / "data"
        make = [initdb, "-D", str(data), "-A", "trust", "-U", "root", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
        server = Server(
            [postgres, "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", "unix_socket_directories=", "-c", "shared_buffers=16MB"], port, folder, user,
        )  # fmt: skip
        try:
            server.start()
            made = [createdb, "-h", "127.0.0.1", "-p", str(port), "-U", "root", "shop"]
            until(lambda: subprocess.run(made, capture_output=True).returncode == 0, "a database is made")
            yield server, Address.parse(f"postgresql://root@127.0.0.1:{port}/shop")
        finally:
            server.stop(signal.SIGQUIT)  # SIGKILL would leave its children


@contextlib.contextmanager
def own_mariadb() -> Iterator[tuple[Server, Address]]:
    """Give a MariaDB that runs, and the address of a database on it."""
    install, program = _needed("mariadb-install-db", "mariadbd")
    port = free_port()
    with _folder_of("mysql") as (folder, user):
        data = f"--datadir={folder / 'data'}"
        make = [install, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*make, *([f"--user={user}"] if user else [])], check=True, capture_output=True, cwd=folder)
        first = folder / "first.sql"
        first.write_text("CREATE DATABASE IF NOT EXISTS shop;\n")
        first.chmod(0o644)
        server = Server(
            [program, "--no-defaults", data, f"--port={port}", "--bind-address=127.0.0.1",
             f"--socket={folder / 'socket'}", f"--init-file={first}", "--innodb-buffer-pool-size=32M",
             *([f"--user={user}"] if user else [])], port, folder, user,
        )  # fmt: skip
        try:
            server.start()
            yield server, Address.parse(f"mysql://root@127.0.0.1:{port}/shop")
        finally:
            server.close()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of that size in memory, for a test that fills it."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a disk that it may fill")
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"needs a disk that it may fill, and none can be mounted: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        for _ in range(50):
            if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)


def fill(disk: Path) -> Path:
    """Write a file that leaves nothing free, and return it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 9, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return filler
