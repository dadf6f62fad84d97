"""Questions about the store that take long, asked in a process that opens the store itself and is ended when late."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, TypeVar, cast

from shelfwise.app import App
from shelfwise.domain.calendar import ShopCalendar
from shelfwise.domain.errors import ConflictError
from shelfwise.execution.local import OutOfTime, WorkerLost, Workers
from shelfwise.settings import Settings
from shelfwise.storage.database import Database

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

_log: Final = logging.getLogger(__name__)
_opened: dict[str, App] = {}
_training = threading.Lock()

__all__ = ["Late", "ask", "ask_alone", "stays_open"]


@dataclass(frozen=True)
class _Call:
    """What a worker is to do, and the shop it is to do it in."""

    settings: Settings
    origins: Mapping[str, str]
    function: Callable[..., object]
    arguments: tuple[object, ...]
    named: Mapping[str, object]


class Late(Exception):
    """No answer came in time; the reason is its text. Never leaves the services."""


def ask(
    app: App, workers: Workers | None, function: Callable[Concatenate[App, Given], Answer], *arguments: Given.args,
    **named: Given.kwargs,
) -> Answer:  # fmt: skip
    """Return what ``function(app, *arguments)`` returns, asked in a worker under the time limit of the settings.

    Parameters
    ----------
    workers
        Processes that do the work; None does it here, with no deadline.
    function, arguments
        A function of a module, and what can be sent to another process.

    Raises
    ------
    Late
        It took longer, or the process died.
    """
    if workers is None:
        return function(app, *arguments, **named)
    limit = app.settings.inference_timeout_seconds
    try:
        call = _Call(app.settings, dict(app.origins), function, arguments, named)
        return cast("Answer", workers.call(_in_shop, call, timeout_seconds=limit))
    except (OutOfTime, WorkerLost) as error:
        _log.warning("%s: %s", function.__name__, error)
        raise Late(str(error)) from error


def ask_alone(
    app: App, limit_seconds: float, function: Callable[Concatenate[App, Given], Answer], *arguments: Given.args,
    **named: Given.kwargs,
) -> Answer:  # fmt: skip
    """Return what ``function(app, *arguments)`` returns, asked in a process of its own; one at a time.

    Training takes minutes, and must neither keep the processes that answer questions nor run twice at once.

    Raises
    ------
    Late
        It took longer, or the process died; what it had not finished is not kept.
    ConflictError
        Another one did not end within the time.
    """
    if not _training.acquire(timeout=limit_seconds):
        raise ConflictError("another training has not ended yet; ask again when it has")
    try:
        with Workers(1) as own:
            call = _Call(app.settings, dict(app.origins), function, arguments, named)
            return cast("Answer", own.call(_in_shop, call, timeout_seconds=limit_seconds))
    except (OutOfTime, WorkerLost) as error:
        _log.warning("%s: %s", function.__name__, error)
        raise Late(str(error)) from error
    finally:
        _training.release()


def stays_open(app: App) -> bool:
    """Whether a shop is one that this worker keeps open between questions, so that what was read of it may be kept."""
    return any(app is known for known in _opened.values())


def _in_shop(call: _Call) -> object:
    """Run in a worker: the shop is opened at the first question and stays open."""
    settings = call.settings
    address = settings.address()
    key = str(address)
    known = _opened.get(key)
    if known is None or known.settings != settings:
        if known is not None:
            known.close()
        calendar = ShopCalendar(settings.timezone, settings.closed_weekdays)
        known = _opened[key] = App(settings, call.origins, calendar, Database.open(address, create=False))
    return call.function(known, *call.arguments, **call.named)
