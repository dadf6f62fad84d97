"""The W3C trace context: what is a header, what is none, and how a trace goes on."""

from __future__ import annotations

import pytest

from shelfwise.domain.trace import Trace

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_header_is_read_and_written_alike() -> None:
    found = Trace.parse(HEADER)
    assert found is not None
    assert found.header == HEADER
    assert found.sampled
    unsampled = Trace.parse(HEADER[:-1] + "0")
    assert unsampled is not None
    assert (unsampled.sampled, unsampled.header[-2:]) == (False, "00")


def test_a_child_stays_in_its_trace_under_an_id_of_its_own() -> None:
    found = Trace.following(HEADER)
    assert found.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert found.parent_id == "b7ad6b7169203331"
    assert found.span_id != found.parent_id
    assert Trace.parse(found.header) == Trace(found.trace_id, found.span_id)


@pytest.mark.parametrize(
    "header",
    [
        "", "nonsense", HEADER.upper(), HEADER[:-1], HEADER + "0", f"{HEADER}-more", "ff" + HEADER[2:],
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ],
)  # fmt: skip
def test_what_is_no_header_begins_a_trace(header: str) -> None:
    assert Trace.parse(header) is None
    made = Trace.following(header)
    assert made.parent_id == ""
    assert Trace.parse(made.header) == Trace(made.trace_id, made.span_id)


def test_a_later_version_may_bring_more_fields() -> None:
    assert Trace.parse("01" + HEADER[2:] + "-more") is not None


def test_two_traces_are_not_the_same() -> None:
    assert len({Trace.begin().trace_id for _ in range(100)}) == 100
