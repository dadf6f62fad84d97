"""Every setting of the program, read once, with where its value came from.

A value is taken from the first of: a flag of the command, the environment (``SHELFWISE_TIMEZONE``), ``.env`` and
``shelfwise.toml`` in the working folder, another program's name for it (`shelfwise.aliases`), the default below. The
descriptions here are the documentation.
"""

from __future__ import annotations

import datetime as dt
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shelfwise import aliases
from shelfwise.domain.addresses import Address
from shelfwise.domain.calendar import WEEKDAYS, ShopCalendar
from shelfwise.domain.encryption_keys import MAKE_ONE, parse_key
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.frames import parse_service_level

PREFIX: Final = "SHELFWISE_"
ENV_FILE: Final = ".env"
TOML_FILE: Final = "shelfwise.toml"
_SECRET: Final = (
    "database", "database_password", "encryption_key", "encryption_key_previous", "jwt_secret", "redis_url",
    "event_bus_url",
    "inventory_sync_token", "inventory_sync_url", "logistics_engine_token", "logistics_engine_url",
)  # fmt: skip
SHORTEST_SECRET: Final = 32
_BUS_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$"


class Settings(BaseSettings):
    """The settings; make them with `load_settings`, which also reads the files and checks for unknown names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", validate_default=True)

    database: Annotated[Address, NoDecode] = Field(
        Address.parse("shelfwise.db"),
        description="The file that holds everything, or a server's database: postgresql://user@host:5432/name, "
        "mysql://user@host:3306/name. A plain name is a file in the current folder.",
    )
    database_password: SecretStr | None = Field(
        None, description="Password for a database on a server, where its address holds none. Never shown."
    )
    database_password_file: Path | None = Field(
        None, description="File whose first line is that password, so that it stands in no environment."
    )
    timezone: str = Field("UTC", description="IANA time zone in which a day of the shop begins and ends.")
    currency: str = Field("EUR", description="ISO 4217 code of the currency of prices and costs.")
    closed_weekdays: Annotated[frozenset[int], NoDecode] = Field(
        frozenset(), description="Weekdays on which nothing is sold, like sat,sun. Empty: open every day."
    )
    service_level: float = Field(
        0.95, description="Share of demand to be served without a stockout (0.95 or 95%): the one dial of a planner."
    )
    class_service_levels: bool = Field(
        True,
        description="Where service_level is not set, take it from each line's ABC-XYZ class (0.98 for AX to 0.90).",
    )
    service_kind: Literal["cycle", "fill"] = Field(
        "cycle",
        description="What the service level is a share of: order cycles without a stockout (cycle), or units (fill).",
    )
    default_lead_time_days: float = Field(
        14.0, ge=0, le=730, description="Days from order to delivery where no supplier or receipt says otherwise."
    )
    review_days: float = Field(
        7.0, ge=1, le=365, description="Days between two orders at a supplier that states none of its own."
    )
    horizon: int = Field(28, ge=1, le=730, description="Days that a forecast shows.")
    n_paths: int = Field(200, ge=2, le=20_000, description="Sample paths of a forecast.")
    seed: int = Field(0, ge=0, description="Seed of every random draw: same data, same seed, same answer.")
    model: str = Field("auto", min_length=1, description="Forecasting model.")
    live_days: int = Field(
        182, ge=1, le=3650, description="A product is planned while it sold, or was launched, in so many last days."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address that `shelfwise serve` listens on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port of `shelfwise serve`; 0 takes any that is free.")
    inference_processes: int = Field(
        1, ge=1, le=256, description="Processes of the service that make forecasts; each takes about 200 MB."
    )
    inference_timeout_seconds: float = Field(
        120.0, gt=0, le=3600, description="After so long a forecast is ended and the base model answers instead."
    )
    authentication: Literal["required", "none"] = Field(
        "required", description="Whether a request must prove who asks; none is taken on loopback alone."
    )
    allowed_hosts: str = Field(
        "", description="More names, with commas between, under which requests may address the service; * is any."
    )
    trusted_proxies: str = Field(
        "", description="Addresses, with commas between, of proxies whose X-Forwarded-For says where a request is from."
    )
    session_minutes: int = Field(
        720, ge=1, le=43_200, description="Minutes from signing in until a session must be renewed."
    )
    session_days: int = Field(30, ge=1, le=365, description="Days for which a session can be renewed.")
    jwt_algorithm: Literal["EdDSA", "ES256", "HS256"] = Field(
        "EdDSA",
        description="How sessions are signed, with keys made and kept in the database, where jwt_secret is not set.",
    )
    jwt_rotation_days: int = Field(
        30, ge=1, le=365, description="Days after which such a key is followed by a new one."
    )
    jwt_secret: SecretStr | None = Field(
        None, description="Secret of at least 32 characters that signs sessions by HS256 instead. Never shown."
    )
    jwt_secret_file: Path | None = Field(None, description="File whose first line is that secret.")
    rate_limit_viewer: int = Field(
        600, ge=0, description="Requests a minute with one token or session of a viewer; 0: any."
    )
    rate_limit_planner: int = Field(1200, ge=0, description="The same for a planner.")
    rate_limit_admin: int = Field(1200, ge=0, description="The same for an admin.")
    rate_limit_service: int = Field(60_000, ge=0, description="The same for a service.")
    rate_limit_address: int = Field(
        120,
        ge=0,
        description="Requests a minute from one address that do not say who asks, or cannot prove it; 0: any.",
    )
    models_folder: Path | None = Field(
        None,
        description="Folder of the registry's models, of this shop alone. Empty: beside the database's file and named "
        "after it, or `models` in the working folder where the database is on a server.",
    )
    encryption_key: SecretStr | None = Field(
        None,
        description="Key under which files of models and backups are encrypted, as `shelfwise config new-key` prints "
        "it. Empty: they are written in the open. Never shown.",
    )
    encryption_key_file: Path | None = Field(
        None, description="File whose first line is that key; keys before it may stand below, one on each line."
    )
    encryption_key_previous: SecretStr | None = Field(
        None, description="Earlier keys, with commas between: they open what was encrypted under them. Never shown."
    )
    backup_folder: Path | None = Field(
        None, description="Folder of this shop alone, in which a backup is made every night. Empty: none is made."
    )
    backup_keep: int = Field(14, ge=1, le=3650, description="Backups that are kept there; older ones are deleted.")
    model_retrain_interval_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="A model that answers and whose scope saw no training for so many days is trained anew in the "
        "night, and the new one takes over where it is not worse; 0: models are trained when somebody asks.",
    )
    training_timeout_seconds: float = Field(
        3600.0, gt=0, le=86_400, description="After so long the training of a model is ended; nothing of it is kept."
    )
    create_unknown_products: bool = Field(
        True,
        description="Whether a movement of a product that is not in the store creates it, as an import does; "
        "else it is refused.",
    )
    idempotency_hours: float = Field(
        24.0, gt=0, le=8760, description="Hours for which an answer is kept under the Idempotency-Key of its request."
    )
    redis_url: SecretStr | None = Field(
        None,
        description="A Redis, like redis://host:6379/0, that several processes of the service share: it counts "
        "requests for all of them and wakes their workers. Nothing is kept there alone.",
    )
    event_bus_url: SecretStr | None = Field(
        None,
        description="The bus over which events go out and movements come in: redis://host:6379/0 (streams), "
        "nats://host:4222 (JetStream), amqp://user:password@host:5672/ (RabbitMQ) or in-process://shop. Empty: none.",
    )
    event_bus_events: str = Field(
        "shelfwise.events",
        pattern=_BUS_NAME,
        description="Stream (Redis), first part of the subjects (NATS) or exchange (RabbitMQ) to which events go.",
    )
    event_bus_movements: str = Field(
        "",
        pattern=rf"{_BUS_NAME}|^$",
        description="Stream (Redis), subject (NATS) or queue (RabbitMQ) from which sales and other movements are "
        "taken; what cannot be booked goes to the same name with -refused behind it. Empty: none are taken.",
    )
    event_bus_group: str = Field(
        "shelfwise",
        pattern=_BUS_NAME,
        description="Name of the consumer group (Redis) or durable consumer (NATS) under which workers share them.",
    )
    event_bus_source: str = Field(
        "/shelfwise",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="What the events say they are from; two shops on one bus need two.",
    )
    event_bus_keep: int = Field(
        100_000,
        ge=1000,
        description="How many messages the bus keeps of each stream or queue that the service makes there.",
    )
    embedded_worker: bool = Field(
        True, description="Whether `shelfwise serve` also works on jobs; without it run `shelfwise worker` beside it."
    )
    job_lease_seconds: float = Field(
        30.0, ge=1, le=3600, description="A worker that was silent for so long loses its jobs to another one."
    )
    webhook_private_addresses: bool = Field(
        False,
        description="Whether webhooks may send to this machine and its network, and over plain http; else only to the "
        "public internet.",
    )
    webhook_timeout_seconds: float = Field(
        10.0, gt=0, le=60, description="After so long a receiver of a webhook is given up, and tried again later."
    )
    nightly_at: dt.time = Field(
        dt.time(2, 0), description="Shop time, like 02:00, of the nightly forecasts, plan and tidying."
    )
    keep_stock_days: int = Field(400, ge=1, le=36500, description="Days for which the stock of each night is kept.")
    keep_plan_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="Days for which plans are kept on which nobody decided anything; the latest one always is.",
    )
    inventory_sync_url: str | None = Field(
        None,
        description="Where the feeds of an inventory service begin, like https://inventory.example/api: stock "
        "movements and stock levels are pulled from it (docs/connectors.md). Empty: from none.",
    )
    inventory_sync_token: SecretStr | None = Field(
        None, description="Token that it is shown, as `Authorization: Bearer`. Never shown to anybody else."
    )
    inventory_sync_token_file: Path | None = Field(None, description="File whose first line is that token.")
    logistics_engine_url: str | None = Field(
        None, description="The same of a logistics service: lead times and inbound shipments are pulled from it."
    )
    logistics_engine_token: SecretStr | None = Field(None, description="Token that it is shown.")
    logistics_engine_token_file: Path | None = Field(None, description="File whose first line is that token.")
    sync_minutes: float = Field(
        15.0, ge=0, le=10_080, description="Minutes between two looks at such services; 0: only when somebody asks."
    )
    sync_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="A request to such a service is given up after so long."
    )
    shipments_change_stock: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether a shipment that was delivered goes into stock; auto: unless an inventory service, "
        "which reports the same goods, is configured.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING",
        description="Least severity that is written to the log on stderr; where it is not set, `serve` takes INFO.",
    )
    tracing_endpoint: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="Where spans of requests are sent to, OTLP over HTTP, like http://localhost:4318/v1/traces; it "
        "needs the extra `tracing`. Empty: nowhere.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="Form of the log: lines for people (console), JSON lines, or by whether stderr is a terminal.",
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the arguments alone: `load_settings` reads the sources itself, to say where each value came from."""
        return (init_settings,)

    @field_validator("database", mode="before")
    @classmethod
    def _address(cls, value: Any) -> Any:
        return Address.parse(value) if isinstance(value, str | Path) else value

    @field_validator(
        "backup_folder", "database_password", "database_password_file", "encryption_key", "encryption_key_file",
        "encryption_key_previous", "jwt_secret", "jwt_secret_file", "models_folder", "redis_url",
        "event_bus_url",
        "tracing_endpoint", "inventory_sync_url", "inventory_sync_token", "inventory_sync_token_file",
        "logistics_engine_url", "logistics_engine_token", "logistics_engine_token_file", mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    def address(self) -> Address:
        """Return the database's address with its password, from the first of: address, variable, file.

        Raises
        ------
        ParameterError
            The file of the password cannot be read or is empty.
        """
        if self.database.path is not None or self.database.password is not None:
            return self.database
        if self.database_password is not None:
            return self.database.with_password(self.database_password.get_secret_value())
        if self.database_password_file is None:
            return self.database
        password = _first_line("database_password_file", self.database_password_file, "password")
        return self.database.with_password(password)

    def session_secret(self) -> str | None:
        """Return the secret that signs sessions, from variable or file; None where keys of the database do.

        Raises
        ------
        ParameterError
            It is too short to withstand guessing, or its file cannot be read.
        """
        if self.jwt_secret is not None:
            secret = self.jwt_secret.get_secret_value()
        elif self.jwt_secret_file is not None:
            secret = _first_line("jwt_secret_file", self.jwt_secret_file, "secret")
        else:
            return None
        if len(secret) < SHORTEST_SECRET:
            raise ParameterError(
                f"the secret that signs sessions must have at least {SHORTEST_SECRET} characters, this one has "
                f"{len(secret)}; make one with: openssl rand -base64 48"
            )
        return secret

    def encryption_keys(self) -> tuple[bytes, ...]:
        """Return the keys for files, the present one first; none where nothing is to be encrypted.

        Raises
        ------
        ParameterError
            One of them is no key, earlier ones are given without a present one, or their file cannot be read.
        """
        texts: list[str] = []
        if self.encryption_key is not None:
            texts.append(self.encryption_key.get_secret_value())
        elif self.encryption_key_file is not None:
            texts += _lines("encryption_key_file", self.encryption_key_file, "key")
        if self.encryption_key_previous is not None:
            if not texts:
                raise ParameterError(
                    "encryption_key_previous names earlier keys, and encryption_key no present one; "
                    f"give both, or {MAKE_ONE}"
                )
            texts += [text for text in self.encryption_key_previous.get_secret_value().split(",") if text.strip()]
        return tuple(dict.fromkeys(map(parse_key, texts)))

    def service_token(self, connector: Literal["inventory_sync", "logistics_engine"]) -> str | None:
        """Return the token that a connector's service is shown, from variable or file; None where it wants none.

        Raises
        ------
        ParameterError
            Its file cannot be read, or it holds what cannot stand in a header.
        """
        secret: SecretStr | None = getattr(self, f"{connector}_token")
        file: Path | None = getattr(self, f"{connector}_token_file")
        if secret is not None:
            token = secret.get_secret_value()
        elif file is not None:
            token = _first_line(f"{connector}_token_file", file, "token")
        else:
            return None
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise ParameterError(
                f"{connector}_token must be letters, digits and signs without blanks, as it stands in a header"
            )
        return token

    @field_validator("inventory_sync_url", "logistics_engine_url")
    @classmethod
    def _service_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good or value != value.strip() or not value.isprintable() or " " in value:
            raise ParameterError("it must be an address like https://inventory.example/api")
        if parts.username is not None or parts.password is not None:
            raise ParameterError("it holds a password; give a token in the setting of its own beside it")
        if parts.query or parts.fragment:
            raise ParameterError("it holds more than scheme, host, port and path; leave out what follows ? or #")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return ShopCalendar(value).timezone

    @field_validator("currency")
    @classmethod
    def _three_letters(cls, value: str) -> str:
        if not (len(value) == 3 and value.isalpha()):
            raise ParameterError(f"currency must be an ISO 4217 code such as EUR, got {value!r}")
        return value.upper()

    @field_validator("closed_weekdays", mode="before")
    @classmethod
    def _weekdays(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [word for word in value.replace(",", " ").split() if word]
        if not isinstance(value, list | tuple | set | frozenset):
            return value
        days = {_weekday(item) for item in value}
        if len(days) == 7:
            raise ParameterError("closed_weekdays names all seven days; a shop sells on at least one")
        return frozenset(days)

    @field_validator("service_level", mode="before")
    @classmethod
    def _fraction(cls, value: Any) -> float:
        return parse_service_level(value)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return {"WARN": "WARNING"}.get(value.upper(), value.upper()) if isinstance(value, str) else value


def _first_line(name: str, file: Path, kind: str) -> str:
    """Return the secret that stands in a file."""
    return _lines(name, file, kind)[0]


def _lines(name: str, file: Path, kind: str) -> list[str]:
    """Return the secrets that stand in a file, one on each line; the first line is not empty."""
    named = f"{PREFIX}{name.upper()} {str(file)!r}"
    try:
        found = [line.strip("\r") for line in file.expanduser().read_text(encoding="utf-8").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{named} cannot be read ({error}); name a file that this user may read") from None
    if not found[0]:
        raise ParameterError(f"{named} has an empty first line; write the {kind} there")
    return [found[0], *(line for line in found[1:] if line.strip())]


def _weekday(item: object) -> int:
    if isinstance(item, int) and item in range(7):
        return item
    name = str(item).strip().lower()[:3]
    if name not in WEEKDAYS:
        raise ParameterError(f"closed_weekdays must be names such as sat,sun, got {item!r}")
    return WEEKDAYS.index(name)


@dataclass(frozen=True)
class Loaded:
    """The settings and, for each, where its value came from.

    Parameters
    ----------
    origins
        By setting: ``flag``, ``env``, a file's name, either with an alias behind it (``env PORT``), or ``default``.
    aliases
        Other programs' names that were met, with or without effect, and where: ``env`` or ``.env``.
    """

    settings: Settings
    origins: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)


class _Toml(PydanticBaseSettingsSource):
    """``shelfwise.toml``, refused when it holds a name that is no setting."""

    def __init__(self, path: Path) -> None:
        super().__init__(Settings)
        self.path = path

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Unused: the file is read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the file's settings."""
        if not self.path.is_file():
            return {}
        try:
            found = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ParameterError(f"{self.path.name} cannot be read: {error}; correct it or remove it") from None
        _refuse_unknown(found, self.path.name)
        return found


def load_settings(flags: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> Loaded:
    """Read the settings.

    Parameters
    ----------
    flags
        Values given on the command line; None means not given.
    folder
        Where ``.env`` and ``shelfwise.toml`` are looked for; default the working folder.

    Raises
    ------
    ParameterError
        A value breaks its rule, or a file names a setting that does not exist.
    """
    here = folder or Path.cwd()
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    _refuse_unknown(given, "the command")
    dotenv = DotEnvSettingsSource(Settings, env_file=here / ENV_FILE)
    _refuse_unknown(
        {n.lower().removeprefix(PREFIX.lower()): v for n, v in dotenv.env_vars.items() if n.upper().startswith(PREFIX)},
        ENV_FILE,
    )
    sources = (
        ("flag", given),
        ("env", EnvSettingsSource(Settings)()),
        (ENV_FILE, {name: value for name, value in dotenv().items() if name in Settings.model_fields}),
        (TOML_FILE, _Toml(here / TOML_FILE)()),
    )
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, found in reversed(sources):
        values |= found
        origins |= dict.fromkeys(found, origin)
    others = _aliases(dotenv)
    unset = Settings.model_fields.keys() - values.keys()
    for name, (value, names) in aliases.values({n: text for n, (text, _) in others.items()}, unset).items():
        values[name], origins[name] = value, f"{others[names.partition(',')[0]][1]} {names}"
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        reason = str(first.get("ctx", {}).get("error", "")) or first["msg"]
        where = origins.get(name, "default")
        raise ParameterError(
            f"setting {name} from {where}: {_repeated(name, values.get(name))}is refused: {reason}; "
            f"{_way_out(name, where)}"
        ) from None
    return Loaded(settings, origins, {name: where for name, (_, where) in others.items()})


def _aliases(dotenv: DotEnvSettingsSource) -> dict[str, tuple[str, str]]:
    """Return other programs' names with a value, and where each stands; the environment wins over the file."""
    in_file = {name.upper(): value or "" for name, value in dotenv.env_vars.items()}
    places = ((ENV_FILE, aliases.given(in_file)), ("env", aliases.given(os.environ)))
    return {name: (value, where) for where, found in places for name, value in found.items()}


def _repeated(name: str, value: Any) -> str:
    """Return a refused value for a message; one that may hold a password is not repeated."""
    return "" if name in _SECRET else f"{value!r} "


def _way_out(name: str, origin: str) -> str:
    if origin == "flag":
        return "give another value"
    if origin == "env":
        return f"change {PREFIX}{name.upper()}"
    where, _, alias = origin.partition(" ")
    if alias:
        return f"change {alias}{'' if where == 'env' else f' in {where}'}, or set {PREFIX}{name.upper()}, which wins"
    return f"change it in {where}"


def _refuse_unknown(found: Mapping[str, Any], where: str) -> None:
    unknown = sorted(set(found) - set(Settings.model_fields))
    if unknown:
        raise ParameterError(
            f"{where} names {unknown[0]!r}, which is no setting; settings are {', '.join(Settings.model_fields)}"
        )


def shown(name: str, value: Any) -> str:
    """Return a setting's value in the spelling in which it can be given again.

    >>> shown("closed_weekdays", frozenset({6, 5})), shown("service_level", 0.95)
    ('sat,sun', '0.95')
    """
    if name == "closed_weekdays":
        return ",".join(WEEKDAYS[day] for day in sorted(value))
    if value is None:
        return ""
    if isinstance(value, dt.time):
        return f"{value:%H:%M}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def env_example() -> str:
    """Return the text of ``.env.example``: every setting with its description and its default, commented out."""
    parts = [
        "# Every setting, with its default. Copy to .env and change what you need; a variable of the environment"
        " wins over the file."
    ]
    for name, about in Settings.model_fields.items():
        parts.append(f"# {about.description}\n#{PREFIX}{name.upper()}={shown(name, about.default)}")
    return "\n\n".join(parts) + "\n"
