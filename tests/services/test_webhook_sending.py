"""One message over a real connection: to the machine that was looked at and to no other, and never for long."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.receivers import Receiver, receiver, status

from shelfwise.services.webhook_sending import MOST_READ, Outcome, send

NAME = "receiver.test"


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def posted(url: str, *, private: bool = True, seconds: float = 5.0, **given: Any) -> Outcome:
    return send(
        url, b'{"a":1}', {"content-type": "application/json"}, private=private, timeout_seconds=seconds, **given
    )


def leads_to(*numbers: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _, __: numbers


def test_the_connection_goes_to_the_number_that_was_looked_at_under_the_name_that_was_given(there: Receiver) -> None:
    assert posted(f"http://{NAME}:{there.port}/hook?shop=7", resolve=leads_to("127.0.0.1")).taken
    [one] = there.got
    assert (one.headers["host"], one.path) == (f"{NAME}:{there.port}", "/hook?shop=7")


@pytest.mark.parametrize(
    "numbers",
    [
        ["127.0.0.1"], ["10.0.0.5"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["fe80::1%lo"],
        ["8.8.8.8", "127.0.0.1"], ["64:ff9b::7f00:1"],
    ],
)  # fmt: skip
def test_a_name_that_leads_into_the_network_is_sent_nothing(there: Receiver, numbers: list[str]) -> None:
    found = posted(f"https://{NAME}:{there.port}/", private=False, resolve=leads_to(*numbers))
    assert found.status is None
    assert found.error is not None
    assert f"{NAME} leads to " in found.error
    assert there.got == []


def test_a_name_that_leads_elsewhere_at_the_second_look_is_looked_at_once_a_try_and_refused_then(
    there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    looked: list[str] = []
    dialled: list[str] = []

    async def no_network(_: Any, host: str, *__: Any, **___: Any) -> None:
        dialled.append(host)  # a test reaches no machine but its own
        raise httpcore2.ConnectError("no network in tests")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", no_network)

    def rebinding(host: str, _: int) -> Sequence[str]:
        looked.append(host)
        return next(answers)

    url = f"https://{NAME}:{there.port}/"
    first = posted(url, private=False, resolve=rebinding, seconds=0.4)
    assert (first.status, len(looked), dialled) == (None, 1, ["8.8.8.8"]), "what was looked at is what is dialled"
    assert "public internet" not in str(first.error)
    second = posted(url, private=False, resolve=rebinding)
    assert (len(looked), len(dialled)) == (2, 1)
    assert f"{NAME} leads to 127.0.0.1" in str(second.error)
    assert there.got == []


def test_this_machine_is_not_reached_by_any_spelling_that_the_system_understands(there: Receiver) -> None:
    for host in ("localhost", "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]"):
        found = posted(f"https://{host}:{there.port}/", private=False)
        assert (found.status, found.taken) == (None, False), host
        assert "public internet" in str(found.error) or "four decimal parts" in str(found.error), host
    assert there.got == []


def test_a_redirect_is_not_followed(there: Receiver) -> None:
    with receiver() as other:
        there.answer = status(307, location=other.url)
        found = posted(there.url)
        assert (found.status, found.error) == (307, "answered 307, and redirects are not followed")
        assert other.got == []


def test_little_of_an_answer_is_read_and_nothing_is_unpacked(there: Receiver) -> None:
    there.answer = status(500, b"x" * 5_000_000, content_encoding="gzip")
    began = time.monotonic()
    found = posted(there.url)
    assert found.answer == "x" * MOST_READ
    assert time.monotonic() - began < 3
    there.answer = status(400, b"\x1b[31mred\x00\x07")
    assert posted(there.url).answer == "[31mred"


@pytest.mark.parametrize("dripping", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 500 No\r\nContent-Length: 900\r\n\r\n"])
def test_a_receiver_that_answers_drop_by_drop_is_given_up_in_time(dripping: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            taken, _ = listening.accept()
            with taken:
                taken.sendall(dripping)
                for _ in range(100):
                    try:
                        taken.sendall(b"x")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        found = posted(f"http://127.0.0.1:{listening.getsockname()[1]}/", seconds=0.5)
        assert found.error == "no answer within 0.5 s"
        assert time.monotonic() - began < 3
        thread.join()


def test_a_name_server_that_says_nothing_is_given_up_in_time() -> None:
    waits = threading.Event()

    def silent(_: str, __: int) -> Sequence[str]:
        waits.wait(20)
        return []

    began = time.monotonic()
    assert posted(f"http://{NAME}/", resolve=silent, seconds=0.3).error == "no answer within 0.3 s"
    assert time.monotonic() - began < 3
    waits.set()


def test_what_goes_wrong_is_said_in_words(there: Receiver) -> None:
    def unknown(_: str, __: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert str(posted(f"http://{NAME}/", resolve=unknown).error).startswith(f"{NAME} cannot be found")
    assert posted(f"http://{NAME}/", resolve=leads_to()).error == f"{NAME} leads nowhere"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert f"http://127.0.0.1:{port} cannot be reached" in str(posted(f"http://127.0.0.1:{port}/").error)
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=lambda: _answer_once(other, b"220 mail.example ready\r\n"), daemon=True)
        thread.start()
        found = posted(f"http://127.0.0.1:{other.getsockname()[1]}/")
        thread.join()
    assert "broke off: RemoteProtocolError" in str(found.error)
    assert posted(there.url, resolve=unknown).taken, "a number is not looked up"


def test_the_next_number_of_a_name_is_tried_where_the_first_does_not_answer(there: Receiver) -> None:
    assert posted(f"http://{NAME}:{there.port}/", resolve=leads_to("127.0.0.2", "127.0.0.1")).taken


def test_tls_proves_the_name_though_the_connection_goes_to_a_number(tmp_path: Path) -> None:
    served, trusted = certified(tmp_path, NAME)
    with receiver(context=served) as there:
        url = f"https://{NAME}:{there.port}/"
        assert posted(url, resolve=leads_to("127.0.0.1"), trusted=trusted).taken
        stranger = posted(f"https://other.test:{there.port}/", resolve=leads_to("127.0.0.1"), trusted=trusted)
        assert "ertificate" in str(stranger.error)
        unknown = posted(url, resolve=leads_to("127.0.0.1"))
        assert "ertificate" in str(unknown.error)
        assert len(there.got) == 1


def _answer_once(listening: socket.socket, answer: bytes) -> None:
    taken, _ = listening.accept()
    with taken:
        taken.recv(65_536)
        taken.sendall(answer)
        taken.shutdown(socket.SHUT_WR)
        while taken.recv(65_536):  # closed with something unread, the connection would be reset and the answer lost
            pass


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for a name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(tz=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + secret)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(folder / "both.pem")
    return served, ssl.create_default_context(cadata=pem.decode())
