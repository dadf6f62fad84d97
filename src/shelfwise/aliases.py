"""Names of other programs' variables that are understood here too, in one table.

Who comes from another service has these in the environment already. They stand below everything of Shelfwise's own
(flag, ``SHELFWISE_*``, ``.env``, ``shelfwise.toml``) and above the defaults alone: ``PORT`` and ``LOG_LEVEL`` are in
many an environment and were perhaps meant for a neighbour. A name whose feature does not exist is never silently
ignored: ``shelfwise config check`` says that it is known and why it has no effect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ParameterError


@dataclass(frozen=True)
class Alias:
    """Another program's name for a setting.

    Parameters
    ----------
    name
        The variable.
    setting
        The setting that it gives a value, alone or with others; empty where there is none.
    reason
        Why it has no effect, where it has none.
    """

    name: str
    setting: str = ""
    reason: str = ""


# Of two names for one setting the first wins.
ALIASES: Final = (
    Alias("LLM_SERVICE_PORT", "port"),
    Alias("PORT", "port"),
    Alias("LOG_LEVEL", "log_level"),
    Alias("DEFAULT_PREDICTION_LENGTH", "horizon"),
    Alias("NUM_SAMPLES", "n_paths"),
    Alias("DB_HOST", "database"),
    Alias("DB_PORT", "database"),
    Alias("DB_NAME", "database"),
    Alias("DB_USER", "database"),
    Alias("DB_PASSWORD", "database_password"),
    Alias("REDIS_HOST", "redis_url"),
    Alias("REDIS_PORT", "redis_url"),
    Alias("FORECASTING_MODELS_PATH", "models_folder"),
    Alias("LOGISTICS_ENGINE_URL", "logistics_engine_url"),
    Alias("INVENTORY_SYNC_URL", "inventory_sync_url"),
    Alias("LAG_LLAMA_MODEL_PATH", reason="no model reads a Lag-Llama checkpoint yet"),
    Alias("MAX_CONTEXT_LENGTH", reason="the longest context of a question, 365 days, is part of the interface"),
    Alias("DEVICE", reason="every model runs on the processor; none can use a graphics processor yet"),
    Alias("MODEL_RETRAIN_INTERVAL_DAYS", "model_retrain_interval_days"),
    Alias("MIN_TRAINING_SAMPLES", reason="a short history borrows from its category; no count decides"),
    Alias("MLFLOW_TRACKING_URI", reason="the registry of models is the shop's own; nothing mirrors it yet"),
    Alias("NODE_ENV", reason="there is one mode of running, for development and production alike"),
)
PORTS: Final = {5432: "postgresql", 3306: "mysql"}
"""The port tells the kind of database where no address does."""
REDIS_PORT: Final = 6379


def given(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the aliases among ``variables`` that have a value, in the table's order."""
    return {alias.name: variables[alias.name] for alias in ALIASES if variables.get(alias.name, "").strip()}


def values(found: Mapping[str, str], wanted: Collection[str]) -> dict[str, tuple[Any, str]]:
    """Return the settings that aliases give: value and the names it came from.

    Parameters
    ----------
    found
        What `given` found.
    wanted
        The settings that nothing of higher rank has set; an alias of another one is not even read.

    Raises
    ------
    ParameterError
        The parts of the database's address do not make one.

    >>> values({"PORT": "9000", "NUM_SAMPLES": "50"}, {"port"})
    {'port': ('9000', 'PORT')}
    """
    made: dict[str, tuple[Any, str]] = {}
    for alias in ALIASES:
        if alias.name not in found or alias.setting not in wanted or alias.setting in made:
            continue
        joined = _JOINED.get(alias.setting)
        if joined is None:
            made[alias.setting] = (found[alias.name], alias.name)
        else:
            parts = [one.name for one in ALIASES if one.setting == alias.setting and one.name in found]
            made[alias.setting] = (joined(found), ", ".join(parts))
    return made


def _database(found: Mapping[str, str]) -> Address:
    missing = [name for name in ("DB_HOST", "DB_PORT", "DB_NAME") if name not in found]
    if missing:
        there = next(name for name in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER") if name in found)
        raise ParameterError(
            f"{there} is set without {' and '.join(missing)}; set all of DB_HOST, DB_PORT and DB_NAME, "
            "or give the whole address in SHELFWISE_DATABASE"
        )
    kind = PORTS.get(_port(found, "DB_PORT"))
    if kind is None:
        raise ParameterError(
            f"DB_PORT {found['DB_PORT']!r} does not tell the kind of database (5432 is PostgreSQL, 3306 MySQL or "
            "MariaDB); give the whole address in SHELFWISE_DATABASE, like postgresql://user@host:5433/name"
        )
    return Address(
        kind, host=found["DB_HOST"].strip(), port=_port(found, "DB_PORT"), user=found.get("DB_USER", ""),
        name=found["DB_NAME"], scheme=kind,
    )  # fmt: skip


def _redis(found: Mapping[str, str]) -> str:
    if "REDIS_HOST" not in found:
        raise ParameterError("REDIS_PORT is set without REDIS_HOST; set both, or SHELFWISE_REDIS_URL")
    host = found["REDIS_HOST"].strip()
    port = _port(found, "REDIS_PORT") if "REDIS_PORT" in found else REDIS_PORT
    return f"redis://{f'[{host}]' if ':' in host else host}:{port}/0"


def _port(found: Mapping[str, str], name: str) -> int:
    text = found[name].strip()
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65_535):
        raise ParameterError(f"{name} must be a port from 1 to 65535, got {found[name]!r}; change {name}")
    return int(text)


_JOINED: Final = {"database": _database, "redis_url": _redis}
