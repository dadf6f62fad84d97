"""The shop's keys for files, from its settings."""

from __future__ import annotations

from functools import lru_cache

from shelfwise.settings import Settings
from shelfwise.storage.sealing import Keys


def keys_of(settings: Settings) -> Keys:
    """Return the keys that the settings name; without one, files are written as they are.

    Raises
    ------
    ParameterError
        One of them is no key, or their file cannot be read.
    """
    return _keys(settings.encryption_keys())


@lru_cache(maxsize=8)
def _keys(secrets: tuple[bytes, ...]) -> Keys:
    """Keep keys together with what is worked out of them once."""
    return Keys(secrets)
