"""The log of a process: JSON lines for machines or lines for people, each with the request that it belongs to.

Modules keep ``logging.getLogger(__name__)`` and hand facts over as ``extra={"product": ...}``; `configure` decides once
per process what becomes of them. A service that answers a request puts it around the work (`following`) and adds what
it learns (`note`): every line written until the end, in threads too, then carries these facts. What looks like a
secret is written as ``***``, whoever logged it.
"""

from __future__ import annotations

import atexit
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from shelfwise.domain.trace import Trace

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from structlog.typing import Processor

Form = Literal["auto", "console", "json"]
Line = MutableMapping[str, Any]

MASK: Final = "***"
_ACCESS: Final = {"level": "info", "logger": "shelfwise.access"}
GATHER_SECONDS: Final = 0.05
MOST_GATHERED: Final = 1000
"""Lines about requests that wait to be written, and for how long: what a killed process has not told."""
_ENCODER: Final = json.JSONEncoder(default=str, ensure_ascii=False)
_SECRET_NAME: Final = re.compile(r"passw|secret|token|authorization|cookie|credential|(api|private)[_-]?key", re.I)
_SECRET_TEXT: Final = (
    (re.compile(r"(://[^\s:/@]*:)[^\s@/]+(@)"), rf"\1{MASK}\2"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.I), rf"\1 {MASK}"),
    (re.compile(r"\b(password|passwd|secret|token|api[_-]?key)(\s*[=:]\s*)[^\s,;&\"']+", re.I), rf"\1\2{MASK}"),
)


class Context:
    """What is being worked on, and the facts that every line about it carries."""

    __slots__ = ("_header", "_trace", "facts")

    def __init__(self, header: str) -> None:
        self.facts: dict[str, Any] = {}
        self._header = header
        self._trace: Trace | None = None

    @property
    def trace(self) -> Trace:
        """Its span, made when somebody first asks: most requests are answered before anyone does."""
        if self._trace is None:
            self._trace = Trace.following(self._header)
        return self._trace


_access: Callable[..., None] | None = None
_gathered: _Gathered | None = None
_current: Final[ContextVar[Context | None]] = ContextVar("shelfwise_request", default=None)


def current_trace() -> Trace | None:
    """Return the span that is being worked on, to be carried into events and jobs; None outside of any."""
    context = _current.get()
    return None if context is None else context.trace


def current_fact(name: str) -> Any:
    """Return a fact about what is being worked on, such as ``request_id``; None where it is not known."""
    context = _current.get()
    return None if context is None else context.facts.get(name)


def note(**facts: Any) -> None:
    """Add facts, such as ``user="anna"``, to all further lines about what is being worked on; None is no fact."""
    context = _current.get()
    if context is not None:
        for name, value in facts.items():
            if value is not None:
                context.facts[name] = value


def begin(header: str = "") -> Token[Context | None]:
    """Let all lines from here belong to what a ``traceparent`` header caused, until `end`; `following` has a block."""
    return _current.set(Context(header))


def end(token: Token[Context | None]) -> None:
    """Go back to what was worked on before `begin`."""
    _current.reset(token)


@contextmanager
def following(header: str = "", **facts: Any) -> Iterator[Trace]:
    """Work on what a ``traceparent`` header caused, such as a job, or on something new where it is empty."""
    context = Context(header)
    token = _current.set(context)
    try:
        note(**facts)
        yield context.trace
    finally:
        end(token)


def access(**facts: Any) -> None:
    """Write the line about a request that was answered; nothing where `configure` has set no level that shows it.

    Facts must be free of secrets: this line alone is not looked through for them, since there is one for each request.
    """
    if _access is not None:
        _access("request_completed", **facts)


def configure(level: str, form: Form = "auto", stream: TextIO | None = None) -> None:
    """Write the log of this process; of what was configured before nothing stays.

    Parameters
    ----------
    level
        Least severity of Shelfwise's own lines; of other libraries' only warnings and errors are written.
    form
        ``auto`` writes for people where ``stream`` is a terminal, and JSON otherwise.
    stream
        Default stderr: stdout is for data.
    """
    import structlog

    to = stream or sys.stderr
    machine = form == "json" or (form == "auto" and not to.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.stdlib.ExtraAdder(),
        _without_echo,
        _with_request,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if machine
        else structlog.dev.ConsoleRenderer(
            colors=to.isatty(), timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
        )
    )
    ending: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _trace_of_error, _masked]
    handler = _Ours(to)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*ending, renderer]))
    unconfigure()
    logging.getLogger().addHandler(handler)
    logging.getLogger("shelfwise").setLevel(level)
    if logging.getLogger("shelfwise").isEnabledFor(logging.INFO):
        global _access, _gathered
        _gathered = _Gathered(to)
        if machine:
            _access = _as_json
        else:
            own: list[Processor] = [structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"), _with_request]
            logger = structlog.wrap_logger(_gathered, processors=[*own, renderer], wrapper_class=structlog.BoundLogger)
            _access = logger.bind(**_ACCESS).info


def unconfigure() -> None:
    """Take back what `configure` did."""
    global _access, _gathered
    if _gathered is not None:
        _gathered.write_now()
    _access = _gathered = None
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Ours)]:
        root.removeHandler(old)
    logging.getLogger("shelfwise").setLevel(logging.NOTSET)


def _as_json(event: str, **facts: Any) -> None:
    """Write a line about a request as structlog would with the processors of `configure`, in half the time."""
    if _gathered is not None:
        line = {**_ACCESS, **facts, "event": event, "time": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
        _gathered.info(_ENCODER.encode(_with_request(None, "info", line)))


class _Gathered:
    """Lines about requests on their way to the log, written together a moment later.

    A write lets go of the interpreter's lock, so the thread that answers requests would wait for its turn behind every
    busy one, for each request. Outside of an event loop every line is written at once.
    """

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._lines: list[str] = []
        self._loop: AbstractEventLoop | None = None

    def info(self, line: str) -> None:
        """Keep a line, and see to it that it is written within `GATHER_SECONDS`."""
        from asyncio import get_running_loop

        self._lines.append(line)
        if len(self._lines) >= MOST_GATHERED:
            self.write_now()
        elif self._loop is None or self._loop.is_closed():  # else it is due already
            try:
                self._loop = get_running_loop()
            except RuntimeError:
                self.write_now()
            else:
                self._loop.call_later(GATHER_SECONDS, self.write_now)

    def write_now(self) -> None:
        """Write what was kept."""
        lines, self._lines, self._loop = self._lines, [], None
        if lines:
            self._to.write("\n".join([*lines, ""]))
            self._to.flush()


@atexit.register
def _write_rest() -> None:
    with suppress(ValueError, OSError):  # the stream may be closed by now
        if _gathered is not None:
            _gathered.write_now()


class _Ours(logging.StreamHandler[TextIO]):
    """The handler that `configure` made."""


def _without_echo(_logger: Any, _method: str, line: Line) -> Line:
    """Leave out what another handler's formatter has put on the record."""
    for name in ("message", "asctime"):
        line.pop(name, None)
    return line


def _with_request(_logger: Any, _method: str, line: Line) -> Line:
    context = _current.get()
    if context is not None:
        trace = context.trace
        line.update(context.facts)
        line["trace_id"], line["span_id"] = trace.trace_id, trace.span_id
    return line


def _json(line: Line, **_: Any) -> str:
    return _ENCODER.encode(line)


def _trace_of_error(_logger: Any, _method: str, line: Line) -> Line:
    """Turn an exception into text here, so that it is looked through for secrets, too."""
    error = line.pop("exc_info", None)
    if error:
        about = sys.exc_info() if error is True else error
        line["exception"] = "".join(traceback.format_exception(*about)).rstrip()
    return line


def _masked(_logger: Any, _method: str, line: Line) -> Line:
    for name, value in line.items():
        line[name] = _without_secrets(name, value)
    return line


def _without_secrets(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return MASK if value else value
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: _without_secrets(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets("", item) for item in value]
    return value


def masked(text: str) -> str:
    """Return a text without the passwords and tokens in it.

    >>> masked("postgresql://anna:s3cret@db/shop, Authorization: Bearer abcdefghij")
    'postgresql://anna:***@db/shop, Authorization: Bearer ***'
    """
    for pattern, instead in _SECRET_TEXT:
        text = pattern.sub(instead, text)
    return text
