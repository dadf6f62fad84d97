"""Pages of feeds from a real local service: what is read, what is refused, and what a request never does."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.exchange import connector_service as service
from tests.exchange.connector_service import Fault, Service, serving

from shelfwise.exchange.connectors import pages
from shelfwise.exchange.connectors.client import Client
from shelfwise.exchange.connectors.endpoint import Endpoint, Patience
from shelfwise.exchange.connectors.pages import Unanswered
from shelfwise.exchange.connectors.rows import FEEDS, LeadTimeRow, MovementRow, ShipmentRow, StockLevelRow, read_row

ONCE = Patience(attempts=1)
SALE = {
    "id": "s-1", "productId": "tea", "transactionType": "SALE", "quantity": 2, "createdAt": "2026-03-02T09:30:00+01:00",
}  # fmt: skip
SHIPMENT = {
    "id": "SH-1", "supplierId": "north", "status": "in_transit", "expectedOn": "2026-03-12",
    "lines": [{"productId": "tea", "quantity": 48}],
}  # fmt: skip


@pytest.fixture
def live() -> Iterator[Service]:
    with serving(Service({"movements": [{**SALE, "id": f"s-{n}"} for n in range(7)]})) as found:
        yield found


def client(live: Service, patience: Patience = ONCE, timeout: float = 5.0, **more: Any) -> Client:
    return Client(Endpoint(live.url, live.token, timeout), patience=patience, **more)


def read_all(asking: Client) -> list[str]:
    found, cursor = [], None
    while True:
        page = asking.page("movements", cursor, 500)
        found += [row["id"] for row in page.items]
        cursor = page.cursor
        if not page.more:
            return found


@pytest.mark.parametrize("packed", [False, True])
def test_a_feed_is_read_page_by_page_plain_or_packed(live: Service, packed: bool) -> None:
    live.packed, live.token = packed, "open-sesame"
    with client(live) as asking:
        assert read_all(asking) == [f"s-{n}" for n in range(7)]
        assert asking.requests == 3
    assert [(one.cursor, one.limit) for one in live.asked] == [(None, 500), ("after-3", 500), ("after-6", 500)]
    assert live.asked[0].headers["authorization"] == "Bearer open-sesame"
    assert live.asked[0].headers["accept"] == "application/json"


FAILING: list[tuple[Fault, str]] = [
    (service.status(500), "answered 500"),
    (service.status(503, Retry_After="1"), "answered 503 and asks to wait 1 s"),
    (service.status(429), "answered 429"),
    (service.cut_off, "cannot be reached"),
    (service.hung_up, "cannot be reached"),
    (service.says('{"items": [], "curs'), "is no JSON"),
    (service.says(b"\xff\xfe"), "is no JSON"),
    (service.says('{"items": [NaN], "cursor": null, "more": false}'), "NaN is no number"),
    (service.says("[" * 100_000), "is no JSON"),
    (service.silent(1.0), "did not answer in full within 0.3 s"),
    (service.dripping(2.0), "did not answer in full within 0.3 s"),
]


@pytest.mark.parametrize(("fault", "said"), FAILING)
def test_what_may_pass_is_tried_again_and_then_all_is_read(live: Service, fault: Fault, said: str) -> None:
    live.faults.append(fault)
    failed: list[Unanswered] = []
    waited: list[float] = []
    with client(
        live, Patience(), 0.3, failed=lambda error: failed.append(error) is None, wait=waited.append
    ) as asking:  # fmt: skip
        assert read_all(asking) == [f"s-{n}" for n in range(7)], "nothing is lost and nothing comes twice"
    assert said in str(failed[0])
    assert len(failed) == len(waited) == 1
    assert 0.8 <= waited[0] <= 1.2


PERMANENT: list[tuple[Fault, str]] = [
    (service.status(401), "answered 401: it wants another token"),
    (service.status(403), "answered 403: the token may not read it"),
    (service.status(404), "answered 404: there is no such feed"),
    (service.status(400), "answered 400"),
    (service.says("<html>", kind="text/html"), "'text/html' and not application/json"),
    (service.says([]), "no object with items, cursor, more"),
    (service.says({"items": {}, "cursor": None, "more": False}), "items must be a list"),
    (service.says({"items": [], "cursor": None, "more": "no"}), "more true or false"),
    (service.says({"items": [], "cursor": 7, "more": False}), "cursor must be null or a text"),
    (service.says({"items": [], "cursor": "c" * 2001, "more": False}), "cursor must be null or a text"),
    (service.says({"items": [], "cursor": "\ud800", "more": False}), "cursor must be null or a text"),
    (service.says({"items": [1] * 501, "cursor": None, "more": False}), "501 rows where at most 500"),
    (service.encoded("br"), "packed as 'br'"),
    (service.bomb(40), "more than 16,777,216 bytes"),
    (service.to("http://elsewhere.example/api"), "redirects to http://elsewhere.example, which is not followed"),
    (service.to("https://127.0.0.1/api/movements"), "which is not followed"),
]


@pytest.mark.parametrize(("fault", "said"), PERMANENT)
def test_what_will_not_pass_is_not_tried_again(live: Service, fault: Fault, said: str) -> None:
    live.faults.append(fault)
    with client(live, Patience()) as asking, pytest.raises(Unanswered, match="127.0.0.1") as caught:
        asking.page("movements", None, 500)
    assert said in str(caught.value)
    assert len(live.asked) == 1


def test_a_redirect_on_the_same_host_is_followed_and_not_for_ever(live: Service) -> None:
    live.token = "open-sesame"
    live.faults.append(service.to("/api/movements?limit=500&cursor=after-6"))
    with client(live) as asking:
        assert [row["id"] for row in asking.page("movements", None, 500).items] == ["s-6"]
        live.always = service.to("/api/movements")
        with pytest.raises(Unanswered, match="redirects too often"):
            asking.page("movements", None, 500)


def test_a_bomb_is_never_whole_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    unpacking = pages.Unpacking("gzip", 1_000)
    monkeypatch.setattr(unpacking, "_keep", lambda part: taken.append(len(part)) or (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        unpacking.add(gzip.compress(b" " * 50_000_000))
    assert taken == [1_001]


class Stop(Exception):
    pass


def test_waits_double_and_a_service_that_asks_for_more_is_given_more(live: Service) -> None:
    waited: list[float] = []
    live.always = service.status(500)
    with client(live, Patience(), wait=waited.append) as asking, pytest.raises(Unanswered):
        asking.page("movements", None, 500)
    assert len(live.asked) == 4
    assert [round(seconds / wanted) for seconds, wanted in zip(waited, (1, 2, 4), strict=True)] == [1, 1, 1]
    live.always = service.status(429, Retry_After="20")
    waited.clear()
    with client(live, Patience(attempts=2), wait=waited.append) as asking, pytest.raises(Unanswered):
        asking.page("movements", None, 500)
    assert 20 <= waited[0] <= 24


@pytest.mark.parametrize("asked", ["3600", "later"])
def test_a_service_that_asks_for_an_hour_is_left_alone(live: Service, asked: str) -> None:
    if asked == "later":
        asked = (dt.datetime.now(tz=dt.UTC) + dt.timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    live.always = service.status(503, Retry_After=asked)
    with client(live, Patience()) as asking, pytest.raises(Unanswered) as caught:
        asking.page("movements", None, 500)
    assert len(live.asked) == 1
    assert caught.value.after_seconds == pytest.approx(3600, abs=5)


def test_nobody_listens() -> None:
    with serving(Service()) as gone:
        pass
    with client(gone) as asking, pytest.raises(Unanswered, match="cannot be reached") as caught:
        asking.page("movements", None, 500)
    assert caught.value.again


def test_a_slow_service_is_given_up_in_time(live: Service) -> None:
    live.always = service.dripping(5.0)
    began = time.monotonic()
    with client(live, timeout=0.3) as asking, pytest.raises(Unanswered, match="within 0.3 s"):
        asking.page("movements", None, 500)
    assert time.monotonic() - began < 2


def test_the_token_is_in_no_message_and_no_log(live: Service, caplog: pytest.LogCaptureFixture) -> None:
    live.token = "right"
    wrong = Endpoint(live.url, "open-sesame", 5.0)
    caplog.set_level(logging.DEBUG)
    with Client(wrong, patience=ONCE) as asking, pytest.raises(Unanswered) as caught:
        asking.page("movements", None, 500)
    assert "open-sesame" not in f"{caught.value!r} {wrong!r} {caplog.text}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(tz=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "service.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Service({"movements": [SALE]}, token="right"), context) as live:
        with client(live) as asking, pytest.raises(Unanswered, match="(?i)certificate"):
            asking.page("movements", None, 500)
        assert live.asked == [], "the token never left"
        authority = tmp_path / "authority.pem"
        authority.write_text("-----BEGIN CERTIFICATE" + certificate.read_text().partition("-----BEGIN CERTIFICATE")[2])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        with client(live) as asking:
            assert asking.page("movements", None, 500).items == (SALE,)


# --- rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": None}, "id: Input should be a valid string"),
        ({"id": ""}, "id: String should have at least 1 character"),
        ({"id": "x" * 252}, "id: String should have at most 251"),
        ({"productId": " tea"}, "productId: has blanks around it"),
        ({"productId": "te\0a"}, "productId: holds a character"),
        ({"productId": "te\ud800a"}, "productId: "),
        ({"transactionType": "sale"}, "transactionType: "),
        ({"quantity": "2"}, "quantity: Input should be a valid number, got '2'"),
        ({"quantity": True}, "quantity: "),
        ({"quantity": 1e10}, "quantity: "),
        ({"quantity": float("inf")}, "quantity: "),
        ({"createdAt": 1772440200}, "createdAt: must be an ISO 8601 moment as text"),
        ({"createdAt": "yesterday"}, "createdAt: 'yesterday' is no ISO 8601 moment"),
        ({"unitPrice": -1}, "unitPrice: "),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused_with_field_and_reason(change: dict[str, Any], said: str) -> None:
    found = read_row(MovementRow, {**SALE, **change})
    assert isinstance(found, str)
    assert found.startswith(said)


@pytest.mark.parametrize("row", [None, 7, "row", [], {}, {"id": "s-1"}])
@pytest.mark.parametrize("feed", FEEDS)
def test_what_is_no_row_is_refused(feed: str, row: object) -> None:
    assert isinstance(read_row(FEEDS[feed], row), str)


def test_a_row_may_say_more_than_is_known() -> None:
    found = read_row(MovementRow, {**SALE, "till": 7})
    assert isinstance(found, MovementRow)
    assert found.createdAt == dt.datetime(2026, 3, 2, 8, 30, tzinfo=dt.UTC)
    level = {"productId": "tea", "quantity": 0, "countedAt": "2026-03-02T09:30:00"}
    assert isinstance(read_row(StockLevelRow, level), StockLevelRow)
    assert isinstance(read_row(LeadTimeRow, {"supplierId": "north", "leadTimeDays": 9}), LeadTimeRow)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "lost"}, "status: "),
        ({"status": "delivered"}, "deliveredAt is of a delivered shipment"),
        ({"deliveredAt": "2026-03-12T08:00:00Z"}, "deliveredAt is of a delivered shipment"),
        ({"lines": []}, "lines: "),
        ({"lines": [{"productId": "tea", "quantity": 0}]}, "lines.0.quantity: "),
        ({"lines": [{"productId": "tea", "quantity": 1}] * 2}, "two lines are of the same product"),
        ({"orderedOn": "2026-03-13"}, "expectedOn is before orderedOn"),
        ({"expectedOn": "12.03.2026"}, "expectedOn: '12.03.2026' is no day"),
        ({"expectedOn": 20260312}, "expectedOn: must be a day as text"),
    ],
)
def test_a_shipment_that_contradicts_itself_is_refused(change: dict[str, Any], said: str) -> None:
    found = read_row(ShipmentRow, {**SHIPMENT, **change})
    assert isinstance(found, str)
    assert said in found
