"""The composition root: settings, calendar and database, put together once and handed to every service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from shelfwise.domain.addresses import Address
from shelfwise.domain.calendar import ShopCalendar
from shelfwise.settings import Settings, load_settings
from shelfwise.storage.database import Database


@dataclass(frozen=True, eq=False)
class App:
    """An open shop.

    Parameters
    ----------
    settings, origins
        The settings, and where each value came from.
    calendar
        Time zone and closed weekdays.
    database
        The open database.
    """

    settings: Settings
    origins: Mapping[str, str]
    calendar: ShopCalendar
    database: Database

    def today(self) -> date:
        """Return the shop's day."""
        return self.calendar.today()

    def now(self) -> datetime:
        """Return the moment in shop time."""
        return self.calendar.shop_time(datetime.now(tz=UTC))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> App:
        """Return the app itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def open_app(
    database: str | Path | Address | None = None, *, create: bool = True, folder: Path | None = None, **flags: Any
) -> App:
    """Open a shop.

    Parameters
    ----------
    database
        Its file, or a server's database such as ``postgresql://user@host:5432/name``; None takes the setting.
    create
        Make the file, or the tables on the server, if they are missing.
    folder
        Where ``.env`` and ``shelfwise.toml`` are looked for; default the working folder.
    flags
        Settings that win over all other sources; None means not given.

    Raises
    ------
    ParameterError
        A setting breaks its rule.
    StorageError
        There is no database and ``create`` is false, or it cannot be opened.
    """
    loaded = load_settings({"database": database, **flags}, folder=folder)
    settings = loaded.settings
    calendar = ShopCalendar(settings.timezone, settings.closed_weekdays)
    return App(settings, loaded.origins, calendar, Database.open(settings.address(), create=create))


def migrate(database: str | Path | None = None) -> tuple[Address, str | None, str | None]:
    """Bring the schema of a database up to date; return its address and the revisions before and after."""
    address = load_settings({"database": database}).settings.address()
    with Database.unmigrated(address, create=False) as found:
        before, after = found.migrate()
    return address, before, after
