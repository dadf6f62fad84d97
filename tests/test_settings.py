"""Settings are read once, from flag, environment, .env, shelfwise.toml and default, in that order."""

from pathlib import Path

import pytest

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
