"""A key from the environment: models are written under it, brought under a new one, and doctor says what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def encryption(shop: Cli, command: str = "doctor") -> tuple[str, str]:
    said = shop(*command.split(), "--json").data
    [found] = [one for one in (said["checks"] if isinstance(said, dict) else said) if one["name"] == "encryption"]
    return found["state"], f"{found['found']}; {found['way_out']}"


def test_models_are_brought_under_a_key_and_under_the_next_one(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shop("models", "encrypt").code == 2
    assert shop("models", "train", "--model", "seasonal_naive").code == 0
    [file] = Path("shelfwise.models").glob("*.npz")
    plain = file.read_bytes()
    first, second = (shop("config", "new-key").out.strip() for _ in range(2))
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY", first)
    assert encryption(shop)[0] == "problem"
    assert "shelfwise models encrypt" in encryption(shop)[1]
    assert shop("models", "encrypt").err.startswith("1 files")
    assert encryption(shop)[0] == "ok"
    under_first = file.read_bytes()
    assert plain not in under_first
    Path("keys").write_text(f"{second}\n{first}\n")
    monkeypatch.delenv("SHELFWISE_ENCRYPTION_KEY")
    assert "no key is set" in encryption(shop)[1]
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY_FILE", "keys")
    assert shop("models", "encrypt").code == 0
    assert file.read_bytes() != under_first
    Path("keys").write_text(second)
    assert encryption(shop) == ("ok", "files of models are encrypted; ")
    assert shop("models", "show", "1").code == 0
    text = shop("config", "show").out + shop("config", "check").out
    assert first not in text
    assert second not in text


def test_a_key_that_is_none_is_a_problem_and_is_not_shown(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY", "open sesame")
    state, text = encryption(shop, "config check")
    assert state == "problem"
    assert "shelfwise config new-key" in text
    assert "sesame" not in text
    monkeypatch.delenv("SHELFWISE_ENCRYPTION_KEY")
    monkeypatch.setenv("SHELFWISE_ENCRYPTION_KEY_PREVIOUS", shop("config", "new-key").out)
    assert "no present one" in encryption(shop, "config check")[1]
