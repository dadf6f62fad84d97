"""The hot path of forecasts: what is answered from memory is what the route answers, until the forecast changes."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from shelfwise import server
from shelfwise.api import forecast_cache
from shelfwise.app import App
from shelfwise.domain.events import ForecastRefreshed, MovementsRecorded, PlanPublished
from shelfwise.services import live
from shelfwise.services.metrics import Metrics
from shelfwise.storage import outbox

TEA = "/api/v1/products/CF-1033/forecast"
GRINDER = "/api/v1/products/GR-1021/forecast"


class Fronted:
    """A shop's routes, once bare and once behind the cache, which looks at the events before every answer."""

    def __init__(self, shop: App, bare: TestClient) -> None:
        routes = bare.app.app  # the envelope's
        self.shop, self.bare, self.metrics = shop, bare, Metrics()
        self.cache = forecast_cache.ForecastCache(routes, shop, self.metrics)
        self.client = TestClient(server.Envelope(self.cache, server.LOOPBACK_NAMES), base_url="http://localhost")

    def both(self, path: str, **headers: str):
        """Ask the route and the cache, and return their answers, which must be alike."""
        headers["X-Request-Id"] = "same"
        told = self.bare.get(path, headers=headers)
        found = self.client.get(path, headers=headers)
        assert (found.status_code, found.content) == (told.status_code, told.content)
        assert found.headers == told.headers
        return found

    def counts(self) -> tuple[float, float]:
        return tuple(
            self.metrics.registry.get_sample_value(f"shelfwise_cache_{what}_total", {"cache": "forecasts"}) or 0.0
            for what in ("hits", "misses")
        )  # type: ignore[return-value]

    def happened(self, *events) -> None:
        with self.shop.database.write() as connection:
            outbox.append(connection, self.shop.now(), *events)


@pytest.fixture
def fronted(shop: App, served: TestClient, monkeypatch: pytest.MonkeyPatch) -> Fronted:
    monkeypatch.setattr(forecast_cache, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(forecast_cache, "PATIENCE_SECONDS", 0.0)
    return Fronted(shop, served)


@pytest.mark.parametrize("path", [
    TEA, f"{TEA}?horizon=3", f"{TEA}?quantiles=0.05,0.95", f"{TEA}?horizon=0", f"{TEA}?nothing=1",
    "/api/v1/products/no-such-thing/forecast", "/api/v1/products/cf-1033/forecast", "/api/v1/products//forecast",
])  # fmt: skip
def test_the_cache_answers_what_the_route_does_the_first_time_and_the_second(fronted: Fronted, path: str):
    first, second = fronted.both(path), fronted.both(path)
    assert first.content == second.content or first.status_code != 200
    assert fronted.counts() == ((1, 1) if first.status_code == 200 else (0, 2))


def test_a_reader_that_has_the_answer_is_told_so_from_memory(fronted: Fronted):
    tag = fronted.both(TEA).headers["etag"]
    for given in (tag, f'"other", W/{tag}', "*"):
        assert fronted.both(TEA, **{"If-None-Match": given}).status_code == 304
    assert fronted.both(TEA, **{"If-None-Match": '"other"'}).status_code == 200
    assert fronted.counts() == (4, 1)


def test_an_answer_goes_with_the_forecast_of_its_product_and_stays_with_others(fronted: Fronted):
    fronted.both(TEA), fronted.both(GRINDER)
    fronted.happened(MovementsRecorded("api", 1, ("CF-1033",)))
    fronted.both(TEA)
    assert fronted.counts() == (1, 2)  # a sale alone changes no forecast: its own event will tell
    fronted.happened(ForecastRefreshed(("CF-1033",)))
    fronted.both(TEA), fronted.both(GRINDER)
    assert fronted.counts() == (2, 3)
    fronted.happened(PlanPublished(1))
    fronted.both(TEA), fronted.both(GRINDER)
    assert fronted.counts() == (2, 5)


def test_a_live_forecast_that_is_published_is_read_at_once(fronted: Fronted):
    assert fronted.both(TEA).json()["source"] == "plan"
    live.publish(fronted.shop)
    assert fronted.both(TEA).json()["source"] == "live"


def test_looks_are_shared_for_a_while_and_what_this_process_changes_is_seen_before(
    fronted: Fronted, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(forecast_cache, "FRESH_SECONDS", 3600.0)
    fronted.both(TEA)
    fronted.happened(ForecastRefreshed(()))
    fronted.both(TEA)
    assert fronted.counts() == (1, 1)
    fronted.cache.expire()
    fronted.both(TEA)
    assert fronted.counts() == (1, 2)


def test_memory_is_bounded_and_the_answer_that_was_read_longest_ago_goes_first(shop: App, served: TestClient):
    size = len(served.get(TEA).content) + forecast_cache.OVERHEAD
    small = Fronted(shop, served)
    small.cache = forecast_cache.ForecastCache(served.app.app, shop, small.metrics, most_bytes=2 * size + size // 2)
    small.client = TestClient(server.Envelope(small.cache, server.LOOPBACK_NAMES), base_url="http://localhost")
    for query in ("?horizon=27", "?horizon=26", "?horizon=27", "?horizon=25"):
        small.both(TEA + query)
    assert small.counts() == (1, 3)
    small.both(f"{TEA}?horizon=27")
    small.both(f"{TEA}?horizon=26")
    assert small.counts() == (2, 4)


def test_a_database_that_does_not_answer_is_said_by_the_route(fronted: Fronted):
    fronted.both(TEA)
    with fronted.shop.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE live_forecasts")
        connection.exec_driver_sql("DROP TABLE outbox")
    assert fronted.both(TEA).status_code == 503


def test_a_served_shop_answers_from_memory(shop: App):
    made = server.asgi(shop)
    with TestClient(made, base_url="http://localhost") as client:
        first, second = client.get(TEA), client.get(TEA)
        assert first.content == second.content
        assert 'shelfwise_cache_hits_total{cache="forecasts"} 1.0' in client.get("/metrics").text
