"""The log: one JSON object on each line, with the request's ids, and without secrets."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shelfwise import logs

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_log = logging.getLogger("shelfwise.tests")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Configures the log and gives what has been written to it so far, line by line."""
    stream = io.StringIO()
    logs.configure("INFO", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.unconfigure()


def test_a_line_tells_what_when_how_severe_and_of_which_request(lines: Lines) -> None:
    with logs.following(HEADER, request_id="till-7"):
        _log.info("movement_recorded", extra={"product": "CUP-01", "units": 3})
    (line,) = lines()
    moment, span = line.pop("time"), line.pop("span_id")
    assert moment.endswith("Z")
    assert span != "b7ad6b7169203331"
    assert line == {
        "event": "movement_recorded", "level": "info", "logger": "shelfwise.tests", "product": "CUP-01", "units": 3,
        "request_id": "till-7", "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }  # fmt: skip


def test_what_is_learnt_on_the_way_stands_on_all_further_lines_and_on_none_of_another(lines: Lines) -> None:
    with logs.following():
        _log.info("before")
        logs.note(user="anna")
        _log.info("after")
        with logs.following():
            _log.info("of another")
    _log.info("outside")
    logs.note(user="nobody listens")
    assert [line.get("user") for line in lines()] == [None, "anna", None, None]
    assert ["trace_id" in line for line in lines()] == [True, True, True, False]


def test_another_thread_belongs_to_no_request_of_this_one(lines: Lines) -> None:
    with logs.following():
        thread = threading.Thread(target=_log.info, args=("elsewhere",))
        thread.start()
        thread.join()
    assert "trace_id" not in lines()[0]


def test_the_trace_can_be_carried_into_a_job(lines: Lines) -> None:
    assert logs.current_trace() is None
    with logs.following(HEADER):
        request = logs.current_trace()
    assert request is not None
    with logs.following(request.header):
        job = logs.current_trace()
    assert job is not None
    assert (job.trace_id, job.parent_id) == (request.trace_id, request.span_id)


@pytest.mark.parametrize(
    ("message", "extra"),
    [
        ("connect", {"password": "hunter2"}),
        ("connect", {"Authorization": "Bearer hunter2hunter2"}),
        ("connect", {"headers": {"X-Api-Key": "hunter2", "cookie": "session=hunter2"}}),
        ("connect", {"parts": [{"token": "hunter2"}]}),
        ("connect to postgresql://anna:hunter2@db:5432/shop", {}),
        ("refused: Authorization: Bearer hunter2.hunter2.hunter2", {}),
        ("it said password=hunter2, and token: hunter2", {}),
    ],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_written(message: str, extra: dict[str, Any], form: logs.Form, lines: Lines) -> None:
    stream = io.StringIO()
    logs.configure("INFO", form, stream)
    _log.warning(message, extra=extra)
    try:
        raise ValueError("mysql://root:hunter2@db/shop")
    except ValueError:
        _log.exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert "***" in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_a_text_of_several_lines_stays_one_line_of_the_log(lines: Lines) -> None:
    _log.warning('first\nsecond {"event": "forged"}')
    assert [line["event"] for line in lines()] == ['first\nsecond {"event": "forged"}']


def test_other_libraries_speak_of_trouble_only(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("trouble")
    assert [line["event"] for line in lines()] == ["trouble"]


def test_a_line_about_a_request_is_what_structlog_would_write_of_it(lines: Lines) -> None:
    facts = {"method": "GET", "route": "/health", "status": 200, "ms": 1.25, "bytes": 20}
    with logs.following(HEADER, request_id="till-7", user="änne"):
        logs.access(**facts)
        logging.getLogger("shelfwise.access").info("request_completed", extra=facts)
    direct, through = lines()
    assert {direct.pop("time")[-1], through.pop("time")[-1]} == {"Z"}
    assert direct == through


def test_lines_about_requests_are_written_together_soon_after_and_at_the_end(lines: Lines) -> None:
    async def several() -> tuple[int, int]:
        for status in (200, 404):
            logs.access(status=status)
        at_once = len(lines())
        await asyncio.sleep(3 * logs.GATHER_SECONDS)
        soon = len(lines())
        logs.access(status=201)
        return at_once, soon

    assert asyncio.run(several()) == (0, 2)
    logs.unconfigure()  # as at the end of a process, whose loop has ended before the line was due
    assert [line["status"] for line in lines()] == [200, 404, 201]


def test_a_loop_that_ended_holds_no_line_back(lines: Lines) -> None:
    async def one(status: int) -> None:
        logs.access(status=status)
        await asyncio.sleep(2 * logs.GATHER_SECONDS if status == 404 else 0)

    asyncio.run(one(200))
    asyncio.run(one(404))
    assert [line["status"] for line in lines()] == [200, 404]


def test_many_lines_about_requests_do_not_wait(lines: Lines) -> None:
    async def many() -> int:
        for _ in range(logs.MOST_GATHERED):
            logs.access(status=200)
        return len(lines())

    assert asyncio.run(many()) == logs.MOST_GATHERED


def test_requests_are_told_of_from_info_on_only(lines: Lines) -> None:
    logs.access(status=200)
    quiet = io.StringIO()
    logs.configure("WARNING", "json", quiet)
    logs.access(status=200)
    assert [(line["event"], line["status"]) for line in lines()] == [("request_completed", 200)]
    assert quiet.getvalue() == ""


def test_auto_is_json_where_nobody_sits_and_text_on_a_terminal(lines: Lines) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, is_json in ((io.StringIO(), True), (Terminal(), False)):
        logs.configure("INFO", "auto", stream)
        _log.info("hello")
        assert stream.getvalue().startswith("{") is is_json
        assert "hello" in stream.getvalue()
