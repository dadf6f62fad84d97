"""The first page: what to do by the plan as it stands, safe to show whatever a product is called, and it only reads."""

from __future__ import annotations

import datetime as dt
import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.api import worlds
from tests.api.conftest import over_http

from shelfwise.app import App
from shelfwise.cli.main import app as command_line
from shelfwise.domain import words
from shelfwise.services import decisions, history, insights, planning
from shelfwise.web import pages
from shelfwise.web.markup import EMPTY, SHAPES


class Page(HTMLParser):
    """What a page is made of: its elements with their attributes, its text, and whether what begins also ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def page(served: TestClient) -> Page:
    answer = served.get("/")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


@pytest.fixture
def later(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is read nine days after it was made."""
    day = shop.today() + dt.timedelta(days=9)
    monkeypatch.setattr(App, "today", lambda _: day)


def test_it_shows_the_orders_and_the_lines_of_the_plan(page: Page, shop: App):
    plan = planning.latest(shop)
    assert plan is not None
    assert page.open == []
    for order in plan.orders.iter_rows(named=True):
        assert order["name"] in page.text
        assert words.money(order["value"], "EUR") in page.text
    read = insights.today(shop)
    assert read.sentence() in page.text
    worst = read.at_risk.row(0, named=True)
    assert worst["unique_id"] in page.text
    assert worst["arithmetic"].replace("->", "\u2192") in page.text


def test_money_at_risk_is_that_of_the_open_lines(shop: App):
    plan = planning.latest(shop)
    assert plan is not None
    assert insights.today(shop).margin_at_risk == pytest.approx(plan.open_lines["margin_at_risk"].sum())
    decisions.reject(shop, plan, [insights.today(shop).at_risk["unique_id"][0]], "no more")
    assert insights.today(shop).margin_at_risk < plan.open_lines["margin_at_risk"].sum()


def test_a_name_of_a_product_is_text_whatever_stands_in_it(served: TestClient, page: Page):
    assert "Product <" in page.text
    assert "Product <" not in served.get("/").text
    assert not [tag for tag, _ in page.elements if tag.isdigit()]


def test_nothing_on_it_needs_more_than_its_policy_allows(served: TestClient, page: Page):
    policy = served.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for tag, attributes in page.elements:
        assert tag not in ("script", "style", "form", "iframe", "object")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for address in filter(None, (attributes.get("href"), attributes.get("src"))):
            assert address.startswith("/")
            assert served.get(address).status_code == 200
    assert "url(" not in served.get("/static/site.css").text
    assert served.get("/openapi.json").headers["content-security-policy"].startswith("default-src 'none'; frame")


def test_files_are_kept_for_ever_under_an_address_that_changes_with_them(served: TestClient):
    address = re.search(r'href="(/static/site\.css\?v=[0-9a-f]{12})"', served.get("/").text)
    assert address is not None
    assert "immutable" in served.get(address[1]).headers["cache-control"]
    assert served.get("/static/nothing.css").status_code == 404
    assert served.get("/static/..%2Fpages.py").status_code == 404
    assert served.get("/").headers["cache-control"] == "no-store"


def test_it_can_be_read_by_those_who_do_not_see_it(page: Page):
    kinds = [tag for tag, _ in page.elements]
    assert kinds.count("h1") == 1
    assert kinds.count("caption") == kinds.count("table") == 2
    assert dict(page.elements)["html"]["lang"] == "en"
    for tag, attributes in page.elements:
        assert tag != "th" or attributes["scope"] in ("col", "row")
        assert tag != "svg" or attributes["role"] == "img"
    assert kinds.count("title") == 1 + kinds.count("svg")  # each drawing says in words what it shows


def test_reading_it_changes_nothing(served: TestClient, shop: App):
    before = history.history(shop, 1000)
    served.get("/")
    assert history.history(shop, 1000).equals(before)


def test_old_data_is_said_before_anything_else(served: TestClient, later: None):
    text = Page(served.get("/").text).text
    assert "Old data." in text
    assert text.index("Old data.") < text.index("Orders by supplier")
    assert "10 days ago" in text
    assert "due now" in text


def test_a_shop_without_a_plan_is_told_which_commands_make_one(tmp_path: Path):
    with worlds.open_quick(tmp_path / "empty.db") as empty:
        for client in over_http(empty):
            answer = client.get("/")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert "There is no plan yet." in page.text
    named = set(re.findall(r"shelfwise (\w+)", page.text))
    assert {"import", "order", "demo"} <= named
    known = {one.name or one.callback.__name__ for one in command_line.registered_commands if one.callback}
    assert named <= known


def test_it_weighs_little(served: TestClient):
    weight = len(gzip.compress(served.get("/").content)) + len(gzip.compress(served.get("/static/site.css").content))
    assert weight < 15_000
    assert pages.POLICY.count("'self'") == 2
