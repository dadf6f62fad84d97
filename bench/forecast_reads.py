"""Forecasts read over HTTP: ``python bench/forecast_reads.py [--connections 16] [--seconds 5] [--rounds 3]``.

Serves the made-up shop with everything on (tokens, limits far above the load, metrics, a log line for each request)
and, in the same run and by turns, a bare ASGI application that answers the same bytes under the same server. A client
in a process of its own reads its products' forecasts as fast as it can, then ours at half the rate that was reached.
Processor time is that of the serving process alone, read from ``/proc``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from _service import SHELFWISE, Service, cpu_seconds

PLENTY = "100000000"
BARE = """
import sys, pathlib, uvicorn
body = pathlib.Path(sys.argv[1]).read_bytes()
headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

uvicorn.run(app, fd=int(sys.argv[2]), log_config=None, access_log=False, server_header=False)
"""


@dataclass(frozen=True)
class Load:
    """Requests to send: to a port, ``paths`` in turn, for some seconds; ``per_second`` None is as fast as it goes."""

    port: int
    paths: tuple[str, ...]
    token: str
    connections: int
    seconds: float
    per_second: float | None = None


def driven(load: Load) -> list[float]:
    """Return how long each answer took, seconds; of a paced load from the moment its request was due."""
    import uvloop

    return uvloop.run(_drive(load))


async def _drive(load: Load) -> list[float]:
    waited: list[float] = []
    began = time.perf_counter()

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        for turn in range(10**9):
            n = number + turn * load.connections
            due = time.perf_counter() if load.per_second is None else began + n / load.per_second
            if due - began > load.seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter())) if load.per_second else None
            path = load.paths[n % len(load.paths)]
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {load.token}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())  # SystemExit would end the process of a pool, which starts another
            start = head.lower().index(b"content-length:") + 15
            await reader.readexactly(int(head[start : head.index(b"\r", start)]))
            waited.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(load.connections)))
    return waited


def measured(load: Load, process: int) -> tuple[list[float], float]:
    """Return what the client saw, and the processor seconds of the server meanwhile."""
    before = cpu_seconds(process)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        waited = pool.apply(driven, (load,))
    return waited, cpu_seconds(process) - before


def main() -> None:
    """Print rates, their ratio, and latencies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([*SHELFWISE, "demo", "--database", "shop.db"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        settings = {"SHELFWISE_DATABASE": "shop.db", "SHELFWISE_LOG_LEVEL": "INFO", "SHELFWISE_LOG_FORMAT": "json"}
        service = Service(folder, settings | {"SHELFWISE_RATE_LIMIT_ADMIN": PLENTY})
        bare = None
        try:
            token = service.awaited(r"(sw_[\w-]+)")

            def read(path: str) -> bytes:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{service.port}{path}", headers={"Authorization": f"Bearer {token}"}
                )
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return bytes(answer.read())

            while any(job["state"] in ("queued", "running") for job in json.loads(read("/api/v1/jobs"))["items"]):
                time.sleep(0.5)
            planned = json.loads(read("/api/v1/order-proposals?limit=100"))["items"]
            paths = tuple({f"/api/v1/products/{row['product']}/forecast" for row in planned})
            (folder / "body").write_bytes(read(paths[0]))
            with socket.create_server(("127.0.0.1", 0)) as listening:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                bare = subprocess.Popen(
                    [sys.executable, "-c", BARE, str(folder / "body"), str(listening.fileno())],
                    pass_fds=[listening.fileno()],
                )
                port = listening.getsockname()[1]
            time.sleep(2.0)
            loads = {
                "bare": (Load(port, paths, token, options.connections, options.seconds), bare.pid),
                "ours": (Load(service.port, paths, token, options.connections, options.seconds), service.process.pid),
            }
            rates: dict[str, list[float]] = {name: [] for name in loads}
            for _ in range(options.rounds):
                for server, (load, process) in loads.items():
                    waited, cpu = measured(load, process)
                    rates[server].append(len(waited) / options.seconds)
                    print(
                        f"{server}: {rates[server][-1]:,.0f} answers/s, {1e6 * cpu / len(waited):.0f} us of processor "
                        f"each, {milliseconds(waited)}",
                        flush=True,
                    )
            ratio = statistics.median(rates["ours"]) / statistics.median(rates["bare"])
            print(f"medians: ours at {ratio:.2f} of the bare rate")
            half = statistics.median(rates["ours"]) / 2
            load = Load(service.port, paths, token, options.connections, options.seconds, half)
            waited, _ = measured(load, service.process.pid)
            print(f"ours at half load, {half:,.0f} answers/s: {milliseconds(waited)}")
        finally:
            service.close()
            if bare is not None:
                bare.terminate()
                bare.wait()


def milliseconds(waited: list[float]) -> str:
    """Return how long answers took."""
    cuts = statistics.quantiles(waited, n=100)
    return f"median {1000 * cuts[49]:.2f} ms, 99 % within {1000 * cuts[98]:.2f} ms"


if __name__ == "__main__":
    main()
