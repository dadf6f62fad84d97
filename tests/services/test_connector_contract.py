"""The page on connectors is the contract: its tables are what is read, and its examples are served and booked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import ROOT, text_of
from tests.exchange import connector_service as answers
from tests.exchange.connector_service import Service, serving

from shelfwise.app import open_app
from shelfwise.exchange.connectors import pages
from shelfwise.exchange.connectors.rows import FEEDS, read_row
from shelfwise.services import connecting, ordering
from shelfwise.storage import catalogue, connectors, stock

PAGE = text_of(ROOT / "docs" / "connectors.md")
SECTIONS = dict(re.findall(r"^### `([\w-]+)`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))


def example(feed: str) -> Any:
    found = re.search(r"```json\n(.*?)```", SECTIONS[feed], re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_every_feed_has_a_section_and_a_connector() -> None:
    assert list(SECTIONS) == list(FEEDS)
    listed = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|", PAGE, re.MULTILINE)
    assert listed == [(one.name, feed) for one in connecting.CONNECTORS for feed in one.feeds]


@pytest.mark.parametrize("feed", FEEDS)
def test_a_table_names_the_fields_that_are_read_and_which_may_be_left_out(feed: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", SECTIONS[feed], re.MULTILINE)
    fields = FEEDS[feed].model_fields
    assert {name for name, _ in rows} == set(fields)
    conditional = {"deliveredAt"}  # needed by one status and forbidden by the others
    for name, kind in rows:
        assert ("optional" in kind) == (not fields[name].is_required() and name not in conditional), name


@pytest.mark.parametrize("feed", FEEDS)
def test_an_example_is_a_page_of_good_rows(feed: str) -> None:
    page = pages.read_page("application/json", json.dumps(example(feed)).encode(), connecting.ROWS_AT_ONCE)
    assert page.items
    assert [row for row in page.items if isinstance(read_row(FEEDS[feed], row), str)] == []


def test_the_examples_are_booked_as_the_page_says(tmp_path: Path) -> None:
    with serving(Service()) as service:
        settings = {"inventory_sync_url": service.url, "logistics_engine_url": service.url}
        with open_app(tmp_path / "shop.db", folder=tmp_path, timezone="Europe/Berlin", **settings) as app:
            for name in ("inventory", "logistics"):
                connector = next(one for one in connecting.CONNECTORS if one.name == name)
                service.faults.extend(answers.says(example(feed)) for feed in connector.feeds)
                run = connecting.sync(app, name).run
                assert (run.outcome, run.refused) == ("done", 0)
                assert run.booked == sum(len(example(feed)["items"]) for feed in connector.feeds)
            with app.database.read() as connection:
                levels = dict(stock.stock_levels(connection).select("product", "on_hand").iter_rows())
                suppliers = catalogue.suppliers(connection).select("supplier", "name", "lead_time_days").rows()
                places = connectors.places(connection, "inventory") + connectors.places(connection, "logistics")
            orders = ordering.purchase_orders(app).select("purchase_order", "status", "quantity_received").rows()
    assert levels == {"CF-1007": 34.0}, "counted, then sold and lost; what was never counted has no level"
    assert suppliers == [("S-BRIN", "Brindlewick Roastery", 9.0)]
    assert orders == [("SH-1001", "sent", 0.0), ("SH-1002", "received", 24.0)]
    assert {one.feed: one.read_until for one in places} == {feed: example(feed)["cursor"] for feed in FEEDS}


def test_a_request_is_as_the_page_says(tmp_path: Path) -> None:
    with serving(Service({"movements": example("movements")["items"]}, token="t", rows_a_page=2)) as service:
        with open_app(tmp_path / "shop.db", folder=tmp_path, inventory_sync_url=service.url + "/",
                      inventory_sync_token="t") as app:  # fmt: skip
            connecting.sync(app, "inventory")
        assert [(one.feed, one.cursor, one.limit) for one in service.asked] == [
            ("movements", None, 500), ("movements", "after-2", 500), ("stock-levels", None, 500),
        ]  # fmt: skip
    headers = service.asked[0].headers
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"
    assert headers["authorization"] == "Bearer t"


def test_the_limits_on_the_page_are_those_of_the_program() -> None:
    minutes = connecting.LONGEST_PAUSE_SECONDS / 60
    for said in (
        f"at most {pages.MOST_BYTES >> 20} MiB", f"at most {pages.LONGEST_CURSOR:,} characters",
        f"After {connecting.FAILURES} failed requests", f"the newest {connectors.REFUSALS_KEPT:,} of each",
        f"a page of {connecting.ALL_REFUSED_FROM} rows or more", f"limit={connecting.ROWS_AT_ONCE}",
    ):  # fmt: skip
        assert said in PAGE
    assert (connecting.FIRST_PAUSE_SECONDS, minutes) == (60, 60), "a minute, up to an hour"
