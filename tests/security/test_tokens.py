"""Forged, expired, revoked and foreign proofs of who asks."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.security.conftest import PASSWORD, Served, bearer, served_in

from shelfwise.domain.errors import NotSignedIn, ParameterError
from shelfwise.services import users
from shelfwise.services.actor import Principal
from shelfwise.services.session_tokens import AUDIENCE, SessionTokens, utc_now
from shelfwise.storage import users as stored

ME = "/api/v1/me"


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def session_of(served: Served, role: str = "planner") -> str:
    """The token of a session that the user of that role has begun by a link."""
    answer = served.client.get(f"/sign-in?code={users.link(served.shop, role)}", follow_redirects=False)
    token = answer.cookies["shelfwise_session"]
    served.client.cookies.clear()
    return token


def status(served: Served, token: str) -> int:
    return served.client.get(ME, headers=bearer(token)).status_code


@pytest.fixture(scope="module")
def session(served: Served) -> str:
    token = session_of(served)
    assert status(served, token) == 200
    return token


@pytest.fixture
def claims(session: str) -> dict[str, Any]:
    return jwt.decode(session, options={"verify_signature": False})


def test_a_token_of_no_algorithm_is_refused(served: Served, session: str, claims: dict[str, Any]):
    kid = jwt.get_unverified_header(session)["kid"]
    for algorithm in ("none", "None", "NONE", ""):
        for signature in ("", session.rsplit(".", 1)[1]):
            header = {"alg": algorithm, "typ": "JWT", "kid": kid}
            assert status(served, f"{part(header)}.{part(claims)}.{signature}") == 401


def test_the_public_half_of_a_key_signs_nothing(served: Served, session: str, claims: dict[str, Any]):
    """A verifier that believes a token's own `alg` takes the public key for a shared secret."""
    with served.shop.database.read() as connection:
        (key,) = stored.keys_valid_at(connection, utc_now())
    public = serialization.load_pem_private_key(key.private_key.encode(), None).public_key()
    text = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{part(claims)}"
    signed = base64.urlsafe_b64encode(hmac.digest(text, head.encode(), "sha256")).decode().rstrip("=")
    assert status(served, f"{head}.{signed}") == 401


@pytest.mark.parametrize("kid", ["", "another", "../../etc/passwd", "' OR 1=1 --", 7, None, ["a"], "x" * 10_000])
def test_a_token_signed_by_a_strangers_key_is_refused_under_any_name(
    served: Served, claims: dict[str, Any], session: str, kid: Any
):
    stranger = ed25519.Ed25519PrivateKey.generate()
    for named in (kid, jwt.get_unverified_header(session)["kid"]):
        head = f"{part({'alg': 'EdDSA', 'typ': 'JWT', 'kid': named})}.{part(claims)}"
        signed = base64.urlsafe_b64encode(stranger.sign(head.encode())).decode().rstrip("=")
        assert status(served, f"{head}.{signed}") == 401


def test_a_key_that_a_token_brings_along_is_not_believed(served: Served, claims: dict[str, Any], session: str):
    stranger = ed25519.Ed25519PrivateKey.generate()
    own = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(stranger.public_key()))
    header = {"alg": "EdDSA", "kid": jwt.get_unverified_header(session)["kid"], "jwk": own, "jku": "https://x.test/k"}
    head = f"{part(header)}.{part(claims)}"
    signed = base64.urlsafe_b64encode(stranger.sign(head.encode())).decode().rstrip("=")
    assert status(served, f"{head}.{signed}") == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 60},
        {"nbf": int(time.time()) + 3600},
        {"iss": "another"},
        {"aud": "another"},
        {"aud": [AUDIENCE]},
        {"sid": "0" * 32},
        {"sid": None},
        {"exp": None},
        {"exp": "soon"},
        {"sub": None},
    ],
)
def test_a_rightly_signed_token_that_says_something_wrong_is_refused(
    served: Served, claims: dict[str, Any], change: dict[str, Any]
):
    with served.shop.database.read() as connection:
        (key,) = stored.keys_valid_at(connection, utc_now())
    said = {name: value for name, value in (claims | change).items() if value is not None}

    def signed(content: dict[str, Any]) -> str:
        head = f"{part({'alg': key.algorithm, 'kid': key.kid})}.{part(content)}"
        private = serialization.load_pem_private_key(key.private_key.encode(), None)
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        return f"{head}.{base64.urlsafe_b64encode(private.sign(head.encode())).decode().rstrip('=')}"

    assert status(served, signed(claims)) == 200
    assert status(served, signed(said)) == 401


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Basic b3duZXI6b3duZXI=", "Bearer sw_", "Bearer sw_" + "A" * 43, "Bearer a.b.c", "Bearer ..",
     "Bearer sw_" + "A" * 9_000, "sw_x", "Bearer \xff\xfe", "Bearer eyJ.eyJ.x", "Bearer null",
     "Bearer sw_' OR '1'='1"],
)  # fmt: skip
def test_what_is_no_token_is_refused(served: Served, header: str):
    answer = served.client.get(ME, headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def test_a_changed_letter_anywhere_in_a_token_is_a_forgery(serve: Callable[..., Any]):
    with serve() as served:
        for token in (served.tokens["viewer"], session_of(served)):
            for place in (5, len(token) // 2, len(token) - 8):
                letter = "A" if token[place] != "A" else "B"
                assert status(served, f"{token[:place]}{letter}{token[place + 1 :]}") == 401
            assert status(served, token) == 200


def test_a_revoked_token_is_refused_at_once_and_its_neighbour_is_not(served: Served):
    made = users.create_token(served.shop, "viewer", "lost")
    other = served.token("viewer")
    assert status(served, made.secret) == status(served, other) == 200
    answer = served.client.delete(f"/api/v1/tokens/{made.token.id}", headers=served.as_("admin"))
    assert answer.status_code == 204
    assert status(served, made.secret) == 401
    assert status(served, other) == 200


def test_a_token_that_another_process_revokes_is_refused_within_seconds(
    served: Served,
):
    made = users.create_token(served.shop, "viewer", "lost")
    assert status(served, made.secret) == 200
    users.revoke_token(served.shop, made.token.id)  # as the command line does, without telling the service
    until = time.monotonic() + 10
    while status(served, made.secret) == 200:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_disabled_user_and_a_lower_role_are_felt_by_tokens_and_sessions_at_once(serve: Callable[..., Any]):
    with serve() as served:
        admin, client = served.as_("admin"), served.client
        kept = (served.tokens["planner"], session_of(served, "planner"))
        write = {"url": "/api/v1/overrides", "json": {}}
        assert {client.post(**write, headers=bearer(one)).status_code for one in kept} == {422}
        assert client.patch("/api/v1/users/planner", json={"role": "viewer"}, headers=admin).status_code == 200
        assert {client.post(**write, headers=bearer(one)).status_code for one in kept} == {403}
        assert client.patch("/api/v1/users/planner", json={"disabled": True}, headers=admin).status_code == 200
        assert {status(served, one) for one in kept} == {401}


def test_a_token_ends_on_its_day(serve: Callable[..., Any]):
    with serve() as served:
        made = users.create_token(served.shop, "viewer", "for a day", days=1)
        assert status(served, made.secret) == 200
        with served.shop.database.write() as connection:
            connection.execute(
                stored.api_tokens.update().where(stored.api_tokens.c.id == made.token.id),
                {"expires_at": utc_now() - timedelta(seconds=1)},
            )
        served.access.forget()
        assert status(served, made.secret) == 401


def test_only_the_hash_of_a_token_is_kept(served: Served):
    secret = served.tokens["viewer"]
    raw = b"".join(file.read_bytes() for file in Path(str(served.shop.settings.database)).parent.glob("shop.db*"))
    assert secret.encode() not in raw
    assert sha256(secret.encode()).hexdigest().encode() in raw
    assert len(base64.urlsafe_b64decode(secret.removeprefix("sw_") + "=")) == 32


@pytest.mark.parametrize("settings", [{"jwt_algorithm": "ES256"}, {"jwt_algorithm": "HS256"}, {"jwt_secret": "s" * 40}])
def test_sessions_are_signed_as_the_settings_say(serve: Callable[..., Any], settings: dict[str, str]):
    with serve(**settings) as served:
        token = session_of(served)
        assert jwt.get_unverified_header(token)["alg"] == settings.get("jwt_algorithm", "HS256")
        assert status(served, token) == 200
        with served.shop.database.read() as connection:
            assert len(stored.keys_valid_at(connection, utc_now())) == ("jwt_algorithm" in settings)


def test_a_secret_that_could_be_guessed_signs_nothing(tmp_path: Path):
    with (
        pytest.raises(ParameterError, match="at least 32 characters, this one has 9"),
        served_in(tmp_path, jwt_secret="too short"),
    ):
        pass


def test_a_new_key_signs_and_the_one_before_verifies_until_it_expires(serve: Callable[..., Any]):
    def kid(token: str) -> str:
        return str(jwt.get_unverified_header(token)["kid"])

    def set_first_key(served: Served, **moments: Any) -> SessionTokens:
        with served.shop.database.write() as connection:
            t = stored.signing_keys
            connection.execute(t.update().where(t.c.kid == kid(first)).values(**moments))
        return SessionTokens(served.shop)  # as another process, or this one after its next start, sees it

    with serve(jwt_rotation_days=2) as served:
        first = session_of(served)
        tokens = set_first_key(served, created_at=utc_now() - timedelta(days=3))
        second, _ = tokens.issue("planner", "0" * 32)
        assert kid(first) != kid(second) == kid(SessionTokens(served.shop).issue("planner", "0" * 32)[0])
        assert tokens.session(second) == "0" * 32
        assert len(tokens.session(first)) == 32
        assert status(served, second) == 401  # rightly signed, but there is no such session
        with pytest.raises(NotSignedIn, match="not valid, or no longer"):
            set_first_key(served, expires_at=utc_now()).session(first)


def test_a_made_up_key_name_does_not_make_the_database_be_read_each_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    tokens = SessionTokens(served.shop)
    reads = []
    monkeypatch.setattr(users.stored, "keys_valid_at", lambda *_: reads.append(1) or [])
    for number in range(20):
        with pytest.raises(NotSignedIn, match="not valid"):
            tokens.session(jwt.encode({"a": 1}, "s" * 32, "HS256", headers={"kid": str(number)}))
    assert len(reads) == 1


def test_a_limited_token_asks_its_models_alone(served: Served):
    body = {
        "product_id": "CUP-01", "dates": [f"2026-11-{day:02}" for day in range(1, 15)], "quantities": [4.0] * 14,
    }  # fmt: skip
    headers = bearer(served.token("viewer", models=["base_level"]))
    refused = served.client.post("/predict", json=body, headers=headers)
    assert refused.status_code == 403
    assert "may not ask the model auto, only base_level" in refused.json()["detail"]
    answer = served.client.post("/predict", json=body | {"model": "base_level"}, headers=headers)
    assert (answer.status_code, answer.json()["model_type"]) == (200, "base_level")


def test_models_of_user_and_token_limit_each_other(serve: Callable[..., Any]):
    with serve() as served:
        users.change(served.shop, "viewer", models=["base_level", "croston"])
        secret = served.token("viewer", models=["croston", "trees"])
        assert served.client.get(ME, headers=bearer(secret)).json()["models"] == ["croston"]


def test_what_was_proved_is_remembered_shortly_and_asked_cheaply(served: Served):
    access = served.access
    token = served.tokens["viewer"].encode()
    access.forget()
    assert access.remembered(token) is None
    proved = access.prove(token)
    assert access.remembered(token) == proved
    assert access.remembered(token[:-1]) is None
    began = time.process_time()
    for _ in range(10_000):
        access.remembered(token)
    assert (time.process_time() - began) / 10_000 < 10e-6


def test_what_was_looked_up_before_a_change_is_not_remembered_after_it(served: Served, monkeypatch: pytest.MonkeyPatch):
    access = served.access
    token = served.tokens["viewer"].encode()
    access.forget()
    plain = access._of_token

    def slow(text: str) -> Principal:
        found = plain(text)
        access.forget()  # the token is revoked between the look into the database and the answer
        return found

    monkeypatch.setattr(access, "_of_token", slow)
    access.prove(token)
    assert access.remembered(token) is None


def test_last_use_is_written_down(served: Served):
    made = users.create_token(served.shop, "viewer", "used")
    assert status(served, made.secret) == 200
    until = time.monotonic() + 10
    while {t.id: t for t, _ in users.tokens(served.shop)}[made.token.id].last_used_at is None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_password_is_no_token(served: Served):
    assert served.client.get(ME, auth=("viewer", PASSWORD)).status_code == 401
