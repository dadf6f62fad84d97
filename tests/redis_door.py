"""A door before the Redis of the tests, which can be shut, or let nothing through, without stopping anybody else's."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from urllib.parse import urlsplit


class RedisDoor:
    """Forwards connections on a port of its own to the Redis of ``SHELFWISE_TEST_REDIS_URL``, or to another server."""

    def __init__(self, behind: str | None = None) -> None:
        self._behind = urlsplit(behind or os.environ["SHELFWISE_TEST_REDIS_URL"])
        self._listening: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._through = threading.Event()
        self._lock = threading.Lock()
        self._port = 0
        self.open()

    @property
    def url(self) -> str:
        user = self._behind.netloc.rpartition("@")
        return self._behind._replace(netloc=f"{''.join(user[:2])}127.0.0.1:{self._port}").geturl()

    def open(self) -> None:
        """Take connections, on the port that it had."""
        self._listening = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listening.getsockname()[1]
        self._through.set()
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stick(self) -> None:
        """Go on taking connections and bytes, and let nothing through."""
        self._through.clear()

    def shut(self) -> None:
        """Refuse connections and break those there are, as where Redis was killed."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        with self._lock:
            for one in self._open:
                _end(one)
            self._open.clear()
        self._through.set()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                front, _ = listening.accept()
            except OSError:
                return
            back = socket.create_connection((self._behind.hostname or "127.0.0.1", self._behind.port or 6379))
            with self._lock:
                self._open |= {front, back}
            for source, target in ((front, back), (back, front)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65_536):
                self._through.wait()
                target.sendall(part)
        for one in (source, target):
            _end(one)
        source.close()


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was quicker
        one.shutdown(socket.SHUT_RDWR)
