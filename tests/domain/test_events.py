"""Events are read back as they were written, or refused."""

from __future__ import annotations

import pytest

from shelfwise.domain.errors import DataError
from shelfwise.domain.events import EVENTS, ImportFinished, MovementsRecorded, PurchaseOrderChanged, named, read_event


@pytest.mark.parametrize(
    "event",
    [MovementsRecorded("till", 3), ImportFinished(7, ("a.csv", "b.csv")), PurchaseOrderChanged("PO-1", "sent")],
)
def test_an_event_is_read_back_as_it_was_written(event):
    assert read_event(event.name, event.to_json()) == event


def test_an_event_of_before_a_field_was_added_is_still_read():
    assert read_event("movements_recorded", '{"source": "till", "inserted": 3}') == MovementsRecorded("till", 3)
    whole = MovementsRecorded("till", 2, named(["tea", "mug"]))
    assert read_event(whole.name, whole.to_json()) == whole


def test_every_event_is_stored_under_a_name_of_its_own():
    assert all(kind.name == name for name, kind in EVENTS.items())
    assert len({kind for kind in EVENTS.values()}) == len(EVENTS)


@pytest.mark.parametrize("payload", ["", "[]", "3", "null", "{}", '{"source": "till"}', '{"source": 1, "x": 2}'])
def test_a_payload_of_another_shape_is_refused(payload):
    with pytest.raises(DataError, match="'movements_recorded' cannot be read"):
        read_event("movements_recorded", payload)


def test_an_unknown_event_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="'sold' is not known; events are movements_recorded"):
        read_event("sold", "{}")
