"""Whether a machine, its settings and a shop are fit for work: one check after another, each with the way out.

No check ends the others: what cannot be looked at is itself a finding. Nothing is changed; the turn to write is taken
for a moment and given back.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from shelfwise import aliases
from shelfwise.app import App, open_app
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.services import backups, connecting, encryption, event_bus
from shelfwise.settings import PREFIX, Loaded, Settings, load_settings, shown
from shelfwise.storage import artefacts, jobs, observing, sales
from shelfwise.storage.database import Database

State = Literal["ok", "note", "problem"]

PATIENCE_SECONDS: Final = 2.0
"""How long a turn to write, or an answer from another machine, is waited for."""
LEAST_DISK: Final = 500 << 20
LEAST_MEMORY: Final = 300 << 20
MEMORY_PER_PROCESS: Final = 200 << 20  # bytes of a process that makes forecasts
CLOCK_SECONDS: Final = 5.0
PLAN_DAYS: Final = 2
DATA_DAYS: Final = 3
BACKUP_DAYS: Final = 2
WORKER_SECONDS: Final = 60.0
EXTRAS: Final = {
    "postgresql": "psycopg", "mysql": "pymysql", "redis": "redis", "classic": "statsforecast", "scale": "ray",
    "deep": "torch", "tracing": "opentelemetry.sdk", "nats": "nats", "rabbitmq": "pika",
}  # fmt: skip
"""Each optional part of the installation, and a module by which it is known."""
_TESTS: Final = ("SHELFWISE_CI", "SHELFWISE_DATA", "SHELFWISE_TEST_")
"""Variables of the developers' tests, which are no settings."""


@dataclass(frozen=True)
class Check:
    """What was looked at and found.

    Parameters
    ----------
    state
        ``problem`` must be put right, ``note`` may be wanted so.
    way_out
        What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    way_out: str = ""


@dataclass(frozen=True)
class Configuration:
    """What is set, from where, and what is wrong.

    Parameters
    ----------
    values
        Settings that are not at their default: name, value as it can be given again (secrets masked), origin.
    others
        Other programs' names that were met: name, where, and what follows from it.
    checks
        What was looked at.
    """

    values: tuple[tuple[str, str, str], ...]
    others: tuple[tuple[str, str, str], ...]
    checks: tuple[Check, ...]


def configuration(flags: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> Configuration:
    """Look at the settings, and at what they name: database, Redis, port and folder."""
    checks = list(_unknown_variables())
    try:
        loaded = load_settings(flags, folder=folder)
        address = loaded.settings.address()
    except ShelfwiseError as error:
        return Configuration((), (), (*checks, Check("settings", "problem", str(error), "put this right first")))
    settings = loaded.settings
    values = tuple(
        (name, shown(name, getattr(settings, name)), origin)
        for name, origin in loaded.origins.items()
        if origin != "default"
    )
    checks.append(Check("settings", "ok", f"{len(values)} set, {len(loaded.origins) - len(values)} at their defaults"))
    if address.path is not None and not address.path.exists():
        checks.append(Check("database", "ok", f"{address} is not there yet; the first import makes it"))
        checks.append(_folder("database folder", address.path.parent, "DATABASE"))
    else:
        checks.append(_looked("database", lambda: _opens(flags, folder)))
    checks += [_redis(settings), _event_bus(settings), _port(settings), _models_folder(settings)]
    checks.append(_looked("encryption", lambda: _key(settings)))
    return Configuration(values, tuple(_others(loaded)), tuple(checks))


def examine(flags: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> Iterator[Check]:
    """Look at everything, one check at a time as it is done."""
    yield Check("program", "ok", _program())
    yield from _unknown_variables()
    try:
        settings = load_settings(flags, folder=folder).settings
    except ShelfwiseError as error:
        yield Check("settings", "problem", str(error), "put this right first; `shelfwise config check` shows them all")
        return
    yield _memory(settings)
    yield _disk(settings)
    yield _extras(settings)
    yield _port(settings)
    yield _redis(settings)
    yield _event_bus(settings)
    yield _models_folder(settings)
    yield Check("gpu", "ok", "none is used: every model runs on the processor")
    try:
        shop = open_app(create=False, folder=folder, **(flags or {}))
    except ShelfwiseError as error:
        yield Check("database", "problem", str(error), "nothing more can be looked at before it opens")
        return
    with shop:
        yield Check("database", "ok", f"{settings.database} opens, its schema is this program's")
        for name, look in _IN_SHOP:
            yield _looked(name, partial(look, shop))


def _looked(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (ShelfwiseError, OSError) as error:
        return Check(name, "problem", str(error))


def _unknown_variables() -> Iterator[Check]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_TESTS):
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`shelfwise config show` lists all names"
            yield Check("settings", "problem", f"{name} is no setting and has no effect", hint)


def _others(loaded: Loaded) -> Iterator[tuple[str, str, str]]:
    for alias in aliases.ALIASES:
        where = loaded.aliases.get(alias.name)
        if where is None:
            continue
        origin = loaded.origins.get(alias.setting, "")
        if not alias.setting:
            effect = f"known, no effect: {alias.reason}"
        elif alias.name in origin.partition(" ")[2].split(", "):
            effect = f"gives {alias.setting}"
        else:
            effect = f"no effect here: {alias.setting} is set by {origin}"
        yield alias.name, where, effect


def _opens(flags: Mapping[str, Any] | None, folder: Path | None) -> Check:
    with open_app(create=False, folder=folder, **(flags or {})) as shop:
        return Check("database", "ok", f"{shop.settings.database} opens, its schema is this program's")


def _program() -> str:
    system = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return f"Shelfwise {version('shelfwise')}, Python {platform.python_version()} ({sys.executable}), {system}"


def _memory(settings: Settings) -> Check:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
        total, free = sizes["MemTotal"], sizes["MemAvailable"]
    except (OSError, KeyError, ValueError):
        return Check("memory", "note", "this system does not say how much is free", "look at it in its task manager")
    found = f"{_size(free)} of {_size(total)} free"
    needed = LEAST_MEMORY + settings.inference_processes * MEMORY_PER_PROCESS
    if free >= needed:
        return Check("memory", "ok", found)
    return Check(
        "memory", "problem", f"{found}; the service needs about {_size(needed)}",
        f"end other programs, or make forecasts in fewer processes ({PREFIX}INFERENCE_PROCESSES)",
    )  # fmt: skip


def _disk(settings: Settings) -> Check:
    place = _existing(settings.database.path.parent if settings.database.path is not None else Path.cwd())
    free = shutil.disk_usage(place).free
    found = f"{_size(free)} free at {place.resolve()}"
    if free >= LEAST_DISK:
        return Check("disk", "ok", found)
    return Check(
        "disk", "problem", found, "make room: a write that finds none is refused, nothing that is kept is lost"
    )


def _extras(settings: Settings) -> Check:
    there = [name for name, module in EXTRAS.items() if _is_there(module)]
    found = f"installed: {', '.join(there) or 'none'}"
    needed = {settings.database.kind} & EXTRAS.keys()  # SQLite needs none
    if settings.redis_url is not None:
        needed.add("redis")
    if settings.tracing_endpoint is not None:
        needed.add("tracing")
    needed |= event_bus.extra_of(settings)
    missing = ",".join(sorted(needed.difference(there)))
    if missing:
        return Check("extras", "problem", f"{missing} is needed; {found}", f"pip install 'shelfwise[{missing}]'")
    return Check("extras", "ok", found)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package it is in
        return False


def _port(settings: Settings) -> Check:
    host, port = settings.host, settings.port
    if port == 0:
        return Check("port", "ok", "any that is free")
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return Check("port", "ok", f"{host} port {port} is free")
    except OSError as error:
        if _is_shelfwise(host, port):
            return Check("port", "ok", f"{host} port {port} is where Shelfwise answers already")
        found = f"{host} port {port} cannot be listened on ({os.strerror(error.errno or 0)})"
        return Check("port", "problem", found, f"end what uses it, or take another: {PREFIX}PORT")


def _is_shelfwise(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        connection.request("GET", "/health")
        return "model_ready" in json.loads(connection.getresponse().read(65_536))
    return False


def _redis(settings: Settings) -> Check:
    if settings.redis_url is None:
        return Check("redis", "ok", "not configured; one process of the service needs none")
    parts = urlsplit(settings.redis_url.get_secret_value())
    where = f"{parts.hostname}:{parts.port or aliases.REDIS_PORT}"
    try:
        with socket.create_connection(
            (parts.hostname or "localhost", parts.port or aliases.REDIS_PORT), timeout=PATIENCE_SECONDS
        ) as connection:
            if parts.scheme != "rediss":
                connection.sendall(b"PING\r\n")
                if not connection.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                    return Check(
                        "redis", "problem", f"what answers at {where} is no Redis", f"correct {PREFIX}REDIS_URL"
                    )
    except (OSError, ValueError) as error:
        return Check(
            "redis", "problem", f"{where} cannot be reached ({error})", f"start it, or correct {PREFIX}REDIS_URL"
        )
    return Check("redis", "ok", f"{where} answers")


def _event_bus(settings: Settings) -> Check:
    if settings.event_bus_url is None:
        return Check("event bus", "ok", "not configured; events stay in the house, movements come over HTTP")
    try:
        found = event_bus.probe(settings)
    except ShelfwiseError as error:
        return Check(
            "event bus", "problem", str(error), f"start it, or correct {PREFIX}EVENT_BUS_URL; events wait meanwhile"
        )
    return Check("event bus", "ok", f"{found.address} carried a message in {found.seconds:.2f} s")


def _models_folder(settings: Settings) -> Check:
    return _folder("models folder", artefacts.folder_of(settings.database, settings.models_folder), "MODELS_FOLDER")


def _folder(name: str, folder: Path, setting: str) -> Check:
    nearest = _existing(folder)
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return Check(
            name, "ok", f"{folder} can be written" + ("" if nearest == folder else ", and is made when needed")
        )
    return Check(
        name,
        "problem",
        f"{folder} cannot be written by this user",
        f"give it to them, or name another: {PREFIX}{setting}",
    )


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    found = path if str(path) else Path()
    while not found.exists() and found != found.parent:
        found = found.parent
    return found


def _write_turn(shop: App) -> Check:
    with contextlib.closing(
        Database.open(shop.settings.address(), create=False, patience_seconds=PATIENCE_SECONDS)
    ) as own:
        try:
            with own.write():
                pass
        except ShelfwiseError as error:
            return Check(
                "write turn", "problem", str(error), "an import may be at work; if none is, end the process that hangs"
            )
    return Check("write turn", "ok", "free")


def _time_zone(shop: App) -> Check:
    found = f"{shop.settings.timezone}, where it is {shop.now():%Y-%m-%d %H:%M}"
    if shop.origins["timezone"] == "default":
        return Check("time zone", "note", found, f"if the shop's days begin elsewhere, set {PREFIX}TIMEZONE")
    return Check("time zone", "ok", found)


def _clock(shop: App) -> Check:
    with shop.database.read() as connection:
        apart = abs((jobs.now(connection) - datetime.now(tz=UTC)).total_seconds())
    if apart > CLOCK_SECONDS:
        return Check(
            "clock",
            "problem",
            f"this machine and the database's are {apart:,.0f} s apart",
            "synchronise both clocks (NTP)",
        )
    return Check("clock", "ok", "this machine's and the database's agree")


def _workers(shop: App) -> Check:
    with shop.database.read() as connection:
        now, seen = jobs.now(connection), observing.last_seen_of_workers(connection)
    silent = {name: (now - moment).total_seconds() for name, moment in seen.items()}
    alive = [name for name, seconds in silent.items() if seconds <= WORKER_SECONDS]
    if alive:
        return Check("workers", "ok", f"{len(alive)} heard of in the last minute")
    last = f"the last one was heard of {_ago(min(silent.values()))} ago" if silent else "none was ever heard of"
    return Check("workers", "note", last, "jobs wait until the service or a worker runs; `shelfwise serve` starts both")


def _jobs(shop: App) -> Check:
    with shop.database.read() as connection:
        queues, now = observing.queues(connection), jobs.now(connection)
    parked = {queue.kind: queue.parked for queue in queues if queue.parked}
    due = [(now - queue.oldest).total_seconds() for queue in queues if queue.oldest is not None]
    waiting = sum(queue.waiting for queue in queues)
    found = f"{waiting:,} wait" + (f", the longest due for {_ago(max(due))}" if due and max(due) > 0 else "")
    if parked:
        kinds = ", ".join(f"{count} {kind}" for kind, count in parked.items())
        return Check("jobs", "problem", f"parked after they failed: {kinds}; {found}", "see docs/troubleshooting.md")
    return Check("jobs", "ok", found)


def _plan(shop: App) -> Check:
    with shop.database.read() as connection:
        plan = observing.last_plan(connection)
    if plan is None:
        return Check("plan", "note", "there is none yet", "make one: `shelfwise order`")
    days = (shop.now() - plan[0]).days
    if days > PLAN_DAYS:
        return Check("plan", "note", f"the newest is {days} days old", "make a new one: `shelfwise order`")
    return Check("plan", "ok", f"the newest was made at {plan[0]:%Y-%m-%d %H:%M}")


def _data(shop: App) -> Check:
    with shop.database.read() as connection:
        span = sales.sales_span(connection)
    if span is None:
        return Check("data", "note", "no sales yet", "bring them: `shelfwise import FILE...`")
    days = (shop.today() - span[1]).days
    found = f"sales from {span[0]} to {span[1]}"
    if days > DATA_DAYS:
        return Check(
            "data", "note", f"{found}, {days} days ago", "import what was sold since: `shelfwise import FILE...`"
        )
    return Check("data", "ok", found)


def _key(settings: Settings) -> Check:
    key = encryption.keys_of(settings).present
    return Check("encryption", "ok", "no key is set" if key is None else f"a key is set; its id is {key.id.hex()}")


def _encryption(shop: App) -> Check:
    from shelfwise.services import registry  # it brings all models along

    is_set = encryption.keys_of(shop.settings).present is not None
    others = registry.not_encrypted(shop)
    if is_set and others:
        return Check(
            "encryption", "problem", f"a key is set, and {others:,} files of models are not encrypted under it",
            "write them anew: `shelfwise models encrypt`",
        )  # fmt: skip
    if others:
        return Check(
            "encryption", "problem", f"{others:,} files of models are encrypted, and no key is set",
            f"set the key they were written under: {PREFIX}ENCRYPTION_KEY",
        )  # fmt: skip
    return Check("encryption", "ok", "files of models are encrypted" if is_set else "no key is set; none is needed")


def _connectors(shop: App) -> Check:
    found = connecting.configured(shop)
    if not found:
        return Check("connectors", "ok", "none is configured; data come by import, over HTTP or by hand")
    for one in found:
        shop.settings.service_token(one.setting)  # says what is wrong with it
    ailing = connecting.degraded(shop)
    if ailing:
        way_out = f"look at it: `shelfwise sync {ailing[0]} --show`"
        return Check("connectors", "problem", f"the last run did not go well: {', '.join(ailing)}", way_out)
    bare = [one.name for one in found if _in_the_open(shop, one)]
    if bare:
        told = f"the token of {' and '.join(bare)} goes over the network unencrypted"
        return Check("connectors", "note", told, "give its address with https, if it leaves this machine's network")
    return Check("connectors", "ok", f"configured: {', '.join(one.name for one in found)}")


def _in_the_open(shop: App, connector: connecting.Connector) -> bool:
    parts = urlsplit(connecting.url_of(shop, connector) or "")
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "http" and not here and shop.settings.service_token(connector.setting) is not None


def _backups(shop: App) -> Check:
    folder = shop.settings.backup_folder
    if folder is None:
        return Check(
            "backups", "note", "none is made by the clock",
            f"name a folder on another disk, {PREFIX}BACKUP_FOLDER; by hand: `shelfwise backup`",
        )  # fmt: skip
    age = backups.newest_age(shop.settings)
    if age is None or age.days >= BACKUP_DAYS:
        found = f"there is none in {folder}" if age is None else f"the newest in {folder} is {age.days} days old"
        return Check(
            "backups", "problem", found, "make one: `shelfwise backup`; `shelfwise jobs list` says what failed"
        )
    return Check("backups", "ok", f"the newest in {folder} was made {_ago(age.total_seconds())} ago")


_IN_SHOP: Final[tuple[tuple[str, Callable[[App], Check]], ...]] = (
    ("write turn", _write_turn), ("time zone", _time_zone), ("clock", _clock), ("workers", _workers), ("jobs", _jobs),
    ("data", _data), ("plan", _plan), ("connectors", _connectors), ("encryption", _encryption), ("backups", _backups),
)  # fmt: skip


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"
