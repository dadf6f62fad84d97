"""Settings are read once, from flag, environment, .env, shelfwise.toml and default, in that order."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from shelfwise.aliases import ALIASES
from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ParameterError
from shelfwise.settings import Settings, env_example, load_settings, shown

ROOT = Path(__file__).parents[1]


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_example_file_names_every_setting_with_its_default() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_the_example_file_uncommented_changes_nothing(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") for line in env_example().splitlines() if line.startswith("#SHELFWISE_")]
    (tmp_path / ".env").write_text("\n".join(lines))
    loaded = load_settings(folder=tmp_path)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {".env"}


def test_the_nearer_source_wins_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelfwise.toml").write_text('timezone = "Europe/Berlin"\nseed = 3\nhorizon = 10\ncurrency = "usd"\n')
    (tmp_path / ".env").write_text("SHELFWISE_SEED=4\nSHELFWISE_HORIZON=11\nSHELFWISE_N_PATHS=50\nOTHER=1\n")
    monkeypatch.setenv("SHELFWISE_HORIZON", "12")
    monkeypatch.setenv("SHELFWISE_N_PATHS", "60")
    loaded = load_settings({"n_paths": 70, "model": None}, folder=tmp_path)
    assert (loaded.settings.timezone, loaded.origins["timezone"]) == ("Europe/Berlin", "shelfwise.toml")
    assert (loaded.settings.currency, loaded.origins["currency"]) == ("USD", "shelfwise.toml")
    assert (loaded.settings.seed, loaded.origins["seed"]) == (4, ".env")
    assert (loaded.settings.horizon, loaded.origins["horizon"]) == (12, "env")
    assert (loaded.settings.n_paths, loaded.origins["n_paths"]) == (70, "flag")
    assert (loaded.settings.model, loaded.origins["model"]) == ("auto", "default")


@pytest.mark.parametrize("text", ["95%", "95", "0.95"])
def test_a_service_level_is_read_as_a_fraction(text: str, tmp_path: Path) -> None:
    assert load_settings({"service_level": text}, folder=tmp_path).settings.service_level == 0.95


def test_closed_weekdays_are_read_from_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_CLOSED_WEEKDAYS", "sat, Sunday")
    assert load_settings(folder=tmp_path).settings.closed_weekdays == {5, 6}


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("timezone", "Europe/Berlinn", "Europe/Berlinn"),
        ("service_level", "1.0", "above 0 and below 1"),
        ("closed_weekdays", "sun,funday", "funday"),
        ("closed_weekdays", "mon,tue,wed,thu,fri,sat,sun", "all seven"),
        ("currency", "Euro", "ISO 4217"),
        ("horizon", "0", "greater than or equal to 1"),
        ("horizon", "many", "integer"),
        ("service_kind", "both", "cycle"),
    ],
)
def test_a_refused_value_is_shown_with_its_name_source_and_rule(
    name: str, value: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SHELFWISE_{name.upper()}", value)
    with pytest.raises(ParameterError, match="refused") as caught:
        load_settings(folder=tmp_path)
    assert name in str(caught.value)
    assert "from env" in str(caught.value)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("shelfwise.toml", "servicelevel = 0.9"),
        ("shelfwise.toml", "service_level 0.9"),
        (".env", "SHELFWISE_SERVICELEVEL=0.9"),
    ],
)
def test_a_file_with_an_unknown_name_or_no_form_is_refused(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ParameterError, match=file):
        load_settings(folder=tmp_path)


def test_the_password_of_a_database_comes_from_address_variable_or_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\nsecond line\n")
    server = "postgresql://anna@db/shop"

    def password(address: str) -> str | None:
        return load_settings({"database": address}, folder=tmp_path).settings.address().password

    assert password(server) is None
    monkeypatch.setenv("SHELFWISE_DATABASE_PASSWORD_FILE", str(file))
    assert password(server) == "from the file"
    assert password("shop.db") is None
    monkeypatch.setenv("SHELFWISE_DATABASE_PASSWORD", "from the variable")
    assert password(server) == "from the variable"
    assert password("postgresql://anna:own@db/shop") == "own"
    monkeypatch.delenv("SHELFWISE_DATABASE_PASSWORD")
    monkeypatch.setenv("SHELFWISE_DATABASE_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(ParameterError, match="DATABASE_PASSWORD_FILE .* cannot be read"):
        password(server)


def test_no_password_of_a_database_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_DATABASE_PASSWORD", "s3cret")
    settings = load_settings({"database": "mysql://anna:s3cret@db/shop"}, folder=tmp_path).settings
    shown_ = [shown(name, getattr(settings, name)) for name in type(settings).model_fields]
    assert "s3cret" not in " ".join(shown_) + repr(settings) + str(settings)
    assert "mysql://anna@db/shop" in shown_
    with pytest.raises(ParameterError) as caught:
        load_settings({"database": "oracle://anna:s3cret@db/shop"}, folder=tmp_path)
    assert "s3cret" not in str(caught.value)


DATABASE_PARTS = {"DB_HOST": "db", "DB_PORT": "5432", "DB_NAME": "shop", "DB_USER": "anna", "DB_PASSWORD": "s3cret"}


@pytest.mark.parametrize(
    ("variables", "setting", "value", "origin"),
    [
        ({"LLM_SERVICE_PORT": "9001"}, "port", 9001, "env LLM_SERVICE_PORT"),
        ({"PORT": "9002"}, "port", 9002, "env PORT"),
        ({"PORT": "9002", "LLM_SERVICE_PORT": "9001"}, "port", 9001, "env LLM_SERVICE_PORT"),
        ({"LOG_LEVEL": "debug"}, "log_level", "DEBUG", "env LOG_LEVEL"),
        ({"LOG_LEVEL": "warn"}, "log_level", "WARNING", "env LOG_LEVEL"),
        ({"DEFAULT_PREDICTION_LENGTH": "30"}, "horizon", 30, "env DEFAULT_PREDICTION_LENGTH"),
        ({"NUM_SAMPLES": "100"}, "n_paths", 100, "env NUM_SAMPLES"),
        (
            DATABASE_PARTS, "database", Address.parse("postgresql://anna@db:5432/shop"),
            "env DB_HOST, DB_PORT, DB_NAME, DB_USER",
        ),
        (
            {"DB_HOST": "::1", "DB_PORT": "3306", "DB_NAME": "a/b", "DB_USER": "a@b"}, "database",
            Address.parse("mysql://a%40b@[::1]:3306/a%2Fb"), "env DB_HOST, DB_PORT, DB_NAME, DB_USER",
        ),
        ({"FORECASTING_MODELS_PATH": "/m"}, "models_folder", Path("/m"), "env FORECASTING_MODELS_PATH"),
        ({"REDIS_HOST": "::1"}, "redis_url", SecretStr("redis://[::1]:6379/0"), "env REDIS_HOST"),
        (
            {"REDIS_HOST": "cache", "REDIS_PORT": "6380"}, "redis_url", SecretStr("redis://cache:6380/0"),
            "env REDIS_HOST, REDIS_PORT",
        ),
    ],
)  # fmt: skip
def test_another_programs_name_gives_a_setting_its_value(
    variables: dict[str, str], setting: str, value: object, origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    loaded = load_settings(folder=tmp_path)
    assert (getattr(loaded.settings, setting), loaded.origins[setting]) == (value, origin)
    assert loaded.aliases == dict.fromkeys(variables, "env")


def test_the_parts_of_a_database_address_bring_their_password_and_never_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in DATABASE_PARTS.items():
        monkeypatch.setenv(name, text)
    loaded = load_settings(folder=tmp_path)
    assert loaded.settings.address().password == "s3cret"
    assert "s3cret" not in repr(loaded)


def test_every_name_of_ones_own_wins_over_an_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("NUM_SAMPLES", "30")
    monkeypatch.setenv("LOG_LEVEL", "of another program")
    monkeypatch.setenv("DB_PORT", "of another program")
    monkeypatch.setenv("SHELFWISE_PORT", "2")
    (tmp_path / ".env").write_text("SHELFWISE_LOG_LEVEL=ERROR\nNUM_SAMPLES=40\nDEFAULT_PREDICTION_LENGTH=50\n")
    (tmp_path / "shelfwise.toml").write_text('database = "my.db"\n')
    loaded = load_settings(folder=tmp_path)
    assert (loaded.settings.port, loaded.origins["port"]) == (2, "env")
    assert (loaded.settings.log_level, loaded.origins["log_level"]) == ("ERROR", ".env")
    assert (str(loaded.settings.database), loaded.origins["database"]) == ("my.db", "shelfwise.toml")
    assert (loaded.settings.n_paths, loaded.origins["n_paths"]) == (30, "env NUM_SAMPLES")
    assert (loaded.settings.horizon, loaded.origins["horizon"]) == (50, ".env DEFAULT_PREDICTION_LENGTH")
    assert loaded.aliases["DB_PORT"] == "env"


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"PORT": "many"}, "setting port from env PORT: 'many' is refused"),
        ({"LOG_LEVEL": "loud"}, "change LOG_LEVEL, or set SHELFWISE_LOG_LEVEL, which wins"),
        ({"DB_HOST": "db", "DB_NAME": "shop"}, "DB_HOST is set without DB_PORT"),
        ({"DB_USER": "anna"}, "DB_USER is set without DB_HOST and DB_PORT and DB_NAME"),
        ({"DB_HOST": "db", "DB_NAME": "shop", "DB_PORT": "1521"}, "DB_PORT '1521' does not tell the kind"),
        ({"DB_HOST": "db", "DB_NAME": "shop", "DB_PORT": "abc"}, "DB_PORT must be a port"),
        ({"REDIS_PORT": "6379"}, "REDIS_PORT is set without REDIS_HOST"),
    ],
)
def test_a_bad_value_under_an_alias_is_refused_by_its_name(
    variables: dict[str, str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ParameterError) as caught:
        load_settings(folder=tmp_path)
    assert part in str(caught.value)


def test_an_empty_alias_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    loaded = load_settings(folder=tmp_path)
    assert loaded.origins["port"] == "default"
    assert not loaded.aliases


def test_the_page_on_settings_lists_every_alias_with_what_it_gives() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z_]+)` \| (?:`(\w+)`|no effect: (.*)) \|$", page, re.MULTILINE)
    assert listed == [(alias.name, alias.setting, alias.reason) for alias in ALIASES]


def test_every_alias_has_an_effect_or_says_why_not() -> None:
    assert len({alias.name for alias in ALIASES}) == len(ALIASES)
    for alias in ALIASES:
        assert (alias.setting in Settings.model_fields) != bool(alias.reason), alias.name
