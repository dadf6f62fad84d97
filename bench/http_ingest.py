"""Movements over HTTP: ``python bench/http_ingest.py [--clients 32] [--sales 50] [--rows 200000]``.

Starts ``shelfwise serve`` on a database of its own and measures, one after the other: single movements as fast as
``--clients`` connections can send them, ``--sales`` a second for some seconds, and tables of ``--rows`` rows as NDJSON
and as Arrow. Processor time is that of the service and its processes alone, read from ``/proc``.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import polars as pl
from _service import Service

JSON = {"Content-Type": "application/json"}


def connected(service: Service) -> http.client.HTTPConnection:
    """Return a new connection."""
    return http.client.HTTPConnection("127.0.0.1", service.port, timeout=300)


def sent(connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Send a request and return its answer; end the program where that is no success."""
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status not in (200, 201):
        raise SystemExit(f"{answer.status} {said.decode()}")
    return said


def sale(number: int) -> bytes:
    """Return a sale."""
    return json.dumps(
        {"productId": f"P{number % 5000:05}", "transactionType": "SALE", "quantity": 1, "id": f"one-{number}"}
    ).encode()


def as_fast_as_possible(service: Service, clients: int, movements: int) -> None:
    """Send single sales over many connections."""
    each = movements // clients
    waited: list[float] = []

    def send(client: int) -> None:
        connection = connected(service)
        for n in range(each):
            began = time.perf_counter()
            sent(connection, "/inventory", sale(client * each + n), JSON)
            waited.append(time.perf_counter() - began)

    threads = [threading.Thread(target=send, args=(client,)) for client in range(clients)]
    cpu, began = service.cpu_seconds(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told(f"single sales, {clients} clients", len(waited), time.perf_counter() - began, service.cpu_seconds() - cpu)
    print(f"    {milliseconds(waited)}")


def paced(service: Service, per_second: float, seconds: float) -> None:
    """Send single sales evenly, each on time whether the one before was answered or not."""
    waited: list[float] = []
    connections = [connected(service) for _ in range(8)]
    locks = [threading.Lock() for _ in connections]
    threads = []

    def send(n: int, due: float) -> None:
        with locks[n % 8]:
            sent(connections[n % 8], "/inventory", sale(10_000_000 + n), JSON)
        waited.append(time.perf_counter() - due)

    cpu, began = service.cpu_seconds(), time.perf_counter()
    for n in range(int(per_second * seconds)):
        due = began + n / per_second
        time.sleep(max(0.0, due - time.perf_counter()))
        threads.append(threading.Thread(target=send, args=(n, due)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    told(
        f"single sales, {per_second:g} a second", len(waited), time.perf_counter() - began, service.cpu_seconds() - cpu
    )
    print(f"    {milliseconds(waited)}")


def tables(service: Service, rows: int) -> None:
    """Send tables, each new."""
    for name, media_type in (("NDJSON", "application/x-ndjson"), ("Arrow", "application/vnd.apache.arrow.stream")):
        made = pl.select(n=pl.int_range(rows)).select(
            productId=pl.format("P{}", pl.col("n") % 5000), transactionType=pl.lit("SALE"), quantity=pl.lit(1.0),
            createdAt=pl.datetime(2026, 1, 1) + pl.duration(seconds=pl.col("n")),
            warehouseId=pl.lit("main"), id=pl.format(f"{name}-{{}}", "n"),
        )  # fmt: skip
        raw = io.BytesIO()
        if name == "Arrow":
            made.write_ipc_stream(raw)
        else:
            made.with_columns(pl.col("createdAt").dt.to_string("iso:strict")).write_ndjson(raw)
        cpu, began = service.cpu_seconds(), time.perf_counter()
        answer = json.loads(sent(connected(service), "/api/v1/movements", raw.getvalue(), {"Content-Type": media_type}))
        seconds, cpu = time.perf_counter() - began, service.cpu_seconds() - cpu
        told(f"a table of {rows:,} rows, {name}, {len(raw.getvalue()) / 1e6:.0f} MB", answer["inserted"], seconds, cpu)


def told(what: str, done: int, seconds: float, cpu: float) -> None:
    """Print a line of results."""
    per_second_of_cpu, each = done / max(cpu, 1e-9), 1000 * cpu / done
    print(f"{what}: {done / seconds:,.0f} /s, {per_second_of_cpu:,.0f} per CPU second, {each:.3f} ms of it each")


def milliseconds(waited: list[float]) -> str:
    """Return how long answers took."""
    cuts = statistics.quantiles(waited, n=100)
    return f"answered after {1000 * cuts[49]:.1f} ms (median), {1000 * cuts[98]:.1f} ms (99 %)"


def main() -> None:
    """Print rates, processor time and latencies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--movements", type=int, default=3200, help="single sales of the first measurement")
    parser.add_argument("--sales", type=float, default=50.0, help="single sales a second of the second one; 0 for none")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=200_000, help="of a table; 0 for none")
    parser.add_argument("--database", help="an empty database on a server; default a SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = {} if options.database is None else {"SHELFWISE_DATABASE": options.database}
        service = Service(Path(folder), settings, "--no-authentication")
        try:
            if options.movements:
                as_fast_as_possible(service, options.clients, options.movements)
            if options.sales:
                paced(service, options.sales, options.seconds)
            if options.rows:
                tables(service, options.rows)
        finally:
            service.close()


if __name__ == "__main__":
    main()
