"""Guessing, stealing and fixing sessions: what signing in gives away, and what it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from tests.security.conftest import PASSWORD, Served, bearer

from shelfwise import server
from shelfwise.app import open_app
from shelfwise.domain.errors import AccessDenied, ParameterError
from shelfwise.services import auditing, passwords, users
from shelfwise.services.access import Access
from shelfwise.services.auditing import AuditLog
from shelfwise.services.passwords import NOBODYS, Passwords, weakness
from shelfwise.services.session_tokens import utc_now
from shelfwise.storage import users as stored

HASHER = passwords._HASHER  # before the tests take a cheaper one
COOKIE = "shelfwise_session"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def mia(served: Served) -> Served:
    """The served shop, with a user who has a password."""
    users.add(served.shop, "mia", "planner", password=PASSWORD)
    return served


def followed(served: Served, role: str = "planner") -> str:
    """The cookie of a session that began by a link; the client keeps none."""
    answer = served.client.get(f"/sign-in?code={users.link(served.shop, role)}", follow_redirects=False)
    assert answer.status_code == 303
    served.client.cookies.clear()
    return str(answer.cookies[COOKIE])


def test_a_password_begins_a_session_that_its_answer_alone_can_use(mia: Served):
    answer = mia.sign_in(" MIA ")
    assert answer.status_code == 201
    assert answer.json()["role"] == "planner"
    assert "set-cookie" not in answer.headers
    me = mia.client.get("/api/v1/me", headers=bearer(answer.json()["access_token"]))
    assert me.json() == {
        "name": "mia", "role": "planner", "scopes": ["read", "write"], "models": None, "via": "session",
    }  # fmt: skip


NEW = "asters in october"


def test_a_new_password_needs_the_old_one_and_ends_the_users_other_sessions(serve: Callable[..., Any]):
    with serve() as served:
        users.add(served.shop, "mia", "viewer", password=PASSWORD)
        here, there = (bearer(served.sign_in().json()["access_token"]) for _ in range(2))
        token = bearer(users.create_token(served.shop, "mia", "till").secret)

        def change(headers: dict[str, str], old: str = PASSWORD, new: str = NEW) -> Any:
            return served.client.post("/api/v1/users/me/password", json={"old": old, "new": new}, headers=headers)

        assert change(here, old="a guess at it").status_code == 403
        assert change(token).status_code == 403  # whoever found a token must not keep its user out
        assert change({}).status_code == 401
        assert change(here, new=PASSWORD).status_code == 422
        assert change(here).status_code == 204
        assert served.client.get("/api/v1/me", headers=here).status_code == 200
        assert served.client.get("/api/v1/me", headers=there).status_code == 401
        assert served.client.get("/api/v1/me", headers=token).status_code == 200
        assert served.sign_in().status_code == 401
        assert served.sign_in(password=NEW).status_code == 201
        written = served.client.get("/api/v1/audit", headers=served.as_("admin")).json()["entries"]
        mine = [one for one in written if one["action"] == "POST /api/v1/users/me/password"]
        assert [one["status"] for one in mine] == [204, 422, 403, 403]
        assert mine[0]["who"] == "mia"
        assert PASSWORD not in str(written)
        assert NEW not in str(written)


def test_an_old_password_cannot_be_guessed_from_within_a_session(serve: Callable[..., Any]):
    with serve() as served:
        users.add(served.shop, "mia", "viewer", password=PASSWORD)
        session = bearer(served.sign_in().json()["access_token"])
        tries = [
            served.client.post("/api/v1/users/me/password", json={"old": f"guess {n}", "new": NEW}, headers=session)
            for n in range(12)
        ]
        assert [one.status_code for one in tries] == [403] * 9 + [429] * 3  # signing in was one of ten
        assert int(tries[-1].headers["retry-after"]) > 0


def test_a_weak_new_password_is_not_taken_where_other_machines_can_sign_in(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        users.add(shop, "mia", "viewer", password=PASSWORD)
        audit = AuditLog(shop)
        access = Access(shop, audit, reachable=True)
        who = access.prove(access.sign_in("mia", PASSWORD).token.encode())
        with pytest.raises(ParameterError, match="everybody knows"):
            access.change_password(who, PASSWORD, "changeme")
        access.change_password(who, PASSWORD, NEW)
        audit.close()


def test_signing_out_everywhere_ends_every_session_of_the_user_and_of_nobody_else(serve: Callable[..., Any]):
    with serve() as served:
        for name in ("mia", "ben"):
            users.add(served.shop, name, "viewer", password=PASSWORD)
        here, there, other = (bearer(served.sign_in(name).json()["access_token"]) for name in ("mia", "mia", "ben"))
        done = served.client.delete("/api/v1/sessions", params={"everywhere": "true"}, headers=here)
        assert done.status_code == 204
        statuses = [served.client.get("/api/v1/me", headers=one).status_code for one in (here, there, other)]
        assert statuses == [401, 401, 200]


def test_an_unknown_name_a_wrong_password_and_a_disabled_user_get_one_answer(serve: Callable[..., Any]):
    with serve() as served:
        users.add(served.shop, "mia", "planner", password=PASSWORD)
        users.add(served.shop, "ben", "planner", password=PASSWORD)
        users.change(served.shop, "ben", disabled=True)
        answers = [
            served.sign_in("nobody"), served.sign_in("mia", "wrong"), served.sign_in("ben"), served.sign_in("viewer"),
            served.sign_in("' OR 1=1 --"),
        ]  # fmt: skip
        assert {answer.status_code for answer in answers} == {401}
        assert len({str(answer.json() | {"request_id": ""}) for answer in answers}) == 1
        assert len({tuple(sorted(set(answer.headers))) for answer in answers}) == 1


def test_signing_in_does_the_same_work_whether_the_name_is_known_or_not(mia: Served, monkeypatch: pytest.MonkeyPatch):
    """Work is compared, not time: what is verified costs the same, and so often is the database written."""
    done: list[str] = []
    verify, write = passwords._HASHER.verify, mia.shop.database.write

    class Watched:
        def verify(self, hashed: str, password: str) -> bool:
            done.append(str(extract_parameters(hashed)))
            return verify(hashed, password)

    monkeypatch.setattr(passwords, "_HASHER", Watched())
    monkeypatch.setattr(type(mia.shop.database), "write", lambda *a, **k: (done.append("write"), write(*a[1:], **k))[1])
    work = []
    for name in ("mia", "nobody", "viewer"):
        done.clear()
        assert mia.sign_in(name, "wrong").status_code == 401
        work.append(list(done))
    assert work[0] == work[1] == work[2]
    assert len(work[0]) == 2


def test_what_is_verified_where_there_is_no_user_has_the_parameters_of_today():
    assert not HASHER.check_needs_rehash(NOBODYS)
    assert not Passwords().verify("", None)
    made = extract_parameters(NOBODYS)
    assert (made.type.name, made.memory_cost >= 19 * 1024, made.time_cost >= 2) == ("ID", True, True)


def test_a_hash_of_weaker_parameters_is_made_anew_at_the_next_sign_in(mia: Served):
    weak = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    with mia.shop.database.write() as connection:
        stored.change_user(connection, stored.user(connection, "mia").id, password_hash=weak)
    assert passwords.outdated(weak)
    assert mia.sign_in().status_code == 201
    with mia.shop.database.read() as connection:
        kept = stored.user(connection, "mia").password_hash
    assert kept is not None
    assert kept.startswith("$argon2id$")
    assert not passwords.outdated(kept)


def test_guessing_is_stopped_by_address_and_by_name(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Passwords, "verify", lambda *_: False)
    with serve() as served:
        answers = [served.sign_in(f"user{number}", "guess") for number in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        del served.gate.limits._limits["sign-in"]  # now from ever other addresses
        answers = [served.sign_in("owner", "guess") for _ in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert "retry-after" in answers[-1].headers


def test_only_a_few_passwords_are_verified_at_once(monkeypatch: pytest.MonkeyPatch):
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event, Lock

    from shelfwise.domain.errors import TooManyAttempts

    go, lock, running, most = Event(), Lock(), 0, 0

    class Slow:
        def verify(self, *_: str) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            go.wait(10)
            with lock:
                running -= 1
            return True

    monkeypatch.setattr(passwords, "_HASHER", Slow())
    guarded = Passwords()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(guarded.verify, "x", "h") for _ in range(20)]
        until = time.monotonic() + 10
        while sum(one.done() for one in asked) < 10 and time.monotonic() < until:
            time.sleep(0.01)
        go.set()
    errors = [one.exception() for one in asked]
    assert most == passwords.AT_ONCE
    assert sum(isinstance(error, TooManyAttempts) for error in errors) == 10
    assert errors.count(None) == 10


def test_a_session_never_takes_an_id_that_the_request_brought(served: Served):
    """Session fixation: an attacker's own session in the victim's browser does not become the victim's."""
    planted = followed(served, "viewer")
    answer = served.client.get(
        f"/sign-in?code={users.link(served.shop, 'admin')}", headers={"Cookie": f"{COOKIE}={planted}"},
        follow_redirects=False,
    )  # fmt: skip
    served.client.cookies.clear()
    assert answer.cookies[COOKIE] != planted
    assert served.client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={planted}"}).json()["name"] == "viewer"


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(mia: Served):
    answer = mia.client.post("/api/v1/sessions", json={"name": "mia", "password": PASSWORD, "cookie": True})
    mia.client.cookies.clear()
    kept = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(kept.split("; "))
    assert answer.json()["access_token"] is answer.json()["refresh_token"] is None
    link = f"https://localhost/sign-in?code={users.link(mia.shop, 'viewer')}"
    assert "; Secure" in mia.client.get(link, follow_redirects=False).headers["set-cookie"]
    mia.client.cookies.clear()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Origin": "http://localhost"}, 204),
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
    ],
)
def test_a_write_with_a_cookie_must_come_from_a_page_of_the_service(
    served: Served, headers: dict[str, str], status: int
):
    cookie = {"Cookie": f"{COOKIE}={followed(served)}"}
    assert served.client.delete("/api/v1/sessions", headers=headers | cookie).status_code == status


def test_a_page_elsewhere_signs_nobody_in_or_out(mia: Served):
    body = {"name": "mia", "password": PASSWORD, "cookie": True}
    answer = mia.client.post("/api/v1/sessions", json=body, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_the_session_everywhere_and_at_once(served: Served):
    cookie = followed(served)
    assert served.client.get("/api/v1/me", headers=bearer(cookie)).status_code == 200
    answer = served.client.delete("/api/v1/sessions", headers=bearer(cookie))
    assert answer.status_code == 204
    assert f'{COOKIE}="";' in answer.headers["set-cookie"]
    assert served.client.get("/api/v1/me", headers=bearer(cookie)).status_code == 401


def test_an_api_token_is_no_session_to_sign_out_of(served: Served):
    answer = served.client.delete("/api/v1/sessions", headers=served.as_("viewer"))
    assert answer.status_code == 403
    assert "not in a session" in answer.json()["detail"]


def test_a_session_is_renewed_and_a_refresh_token_that_comes_twice_ends_it(mia: Served):
    first = mia.sign_in().json()
    renew = "/api/v1/sessions/refresh"
    second = mia.client.post(renew, json={"refresh_token": first["refresh_token"]}).json()
    assert second["user"] == "mia"
    assert second["refresh_token"] != first["refresh_token"]
    assert mia.client.get("/api/v1/me", headers=bearer(second["access_token"])).status_code == 200
    assert mia.client.post(renew, json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert mia.client.get("/api/v1/me", headers=bearer(second["access_token"])).status_code == 401
    assert mia.client.post(renew, json={"refresh_token": second["refresh_token"]}).status_code == 401
    entry = next(one for one in auditing.listed(mia.shop) if "reused" in one.action)
    assert entry.who == "mia"


@pytest.mark.parametrize("token", ["sr_", "sr_x", "x", "sr_" + "0" * 32 + "_" + "A" * 43, "sr_' OR 1=1 --_a"])
def test_a_made_up_refresh_token_renews_nothing(served: Served, token: str):
    answer = served.client.post("/api/v1/sessions/refresh", json={"refresh_token": token})
    assert answer.status_code == 401


def test_a_new_password_ends_the_sessions_of_before(mia: Served):
    before = mia.sign_in().json()["access_token"]
    change = {"password": "roses in june, all of them"}
    answer = mia.client.patch("/api/v1/users/mia", json=change, headers=mia.as_("admin"))
    assert answer.status_code == 200
    assert mia.client.get("/api/v1/me", headers=bearer(before)).status_code == 401
    assert mia.sign_in().status_code == 401
    users.change(mia.shop, "mia", password=PASSWORD)


def test_a_link_works_once_for_ten_minutes_and_only_its_hash_is_kept(served: Served):
    code = users.link(served.shop, "viewer")
    raw = b"".join(file.read_bytes() for file in Path(str(served.shop.settings.database)).parent.glob("shop.db*"))
    assert code.encode() not in raw
    assert served.client.get(f"/sign-in?code={code}", follow_redirects=False).status_code == 303
    assert served.client.get(f"/sign-in?code={code}", follow_redirects=False).status_code == 401
    late = users.link(served.shop, "viewer")
    with served.shop.database.write() as connection:
        (link,) = connection.execute(stored.sign_in_links.select()).all()
        left = link.expires_at - utc_now()
        assert timedelta(minutes=9) < left <= timedelta(minutes=10)
        connection.execute(stored.sign_in_links.update().values(expires_at=utc_now()))
    served.client.cookies.clear()
    assert served.client.get(f"/sign-in?code={late}", follow_redirects=False).status_code == 401
    earlier, _ = users.link(served.shop, "viewer"), users.link(served.shop, "viewer")
    assert served.client.get(f"/sign-in?code={earlier}", follow_redirects=False).status_code == 401


def test_the_first_start_makes_the_owner_and_every_start_a_link_but_a_token_once(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        first, second = users.start_on_loopback(shop), users.start_on_loopback(shop)
        assert first is not None
        assert second is not None
        assert (first.user, second.user, second.token) == ("owner", "owner", None)
        assert str(first.token).startswith("sw_")
        (owner,) = users.listed(shop)
        assert (owner.role, owner.password_hash) == ("admin", None)


@pytest.mark.parametrize(
    ("name", "password", "weak"),
    [
        ("mia", "changeme", True), ("mia", "ChangeMe", True), ("mia", "passwordpassword", True), ("mia", "short", True),
        ("mia", "a" * 20, True), ("gardenshop", "gardenshop12", True), ("mia", PASSWORD, False),
    ],
)  # fmt: skip
def test_a_password_that_is_known_short_or_the_name_is_weak(name: str, password: str, weak: bool):
    assert (weakness(name, password) is not None) == weak


def test_a_weak_password_is_taken_on_loopback_and_nowhere_else(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        users.add(shop, "mia", "admin", password="changeme")
        with pytest.raises(ParameterError, match="password of mia is short or known"):
            server.serve(shop, "0.0.0.0", 0)
        # One that was set while the service runs elsewhere is refused at the door.
        audit = AuditLog(shop)
        assert Access(shop, audit).sign_in("mia", "changeme").user.name == "mia"
        with pytest.raises(AccessDenied, match="too weak"):
            Access(shop, audit, reachable=True).sign_in("mia", "changeme")
        audit.close()
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, host="192.0.2.7") as reachable,
        pytest.raises(ParameterError, match="one that everybody knows"),
    ):
        users.add(reachable, "ben", "viewer", password="changeme")


def test_other_machines_are_let_in_only_where_somebody_can_prove_who_asks(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        with pytest.raises(ParameterError, match="no user has a password or an API token"):
            server.serve(shop, "192.0.2.7", 0)
        users.add(shop, "mia", "admin", password=PASSWORD)
        with pytest.raises(ParameterError, match="SHELFWISE_ALLOWED_HOSTS"):
            server.serve(shop, "0.0.0.0", 0)
        with pytest.raises(ParameterError, match="cannot be listened on"):
            server.serve(shop, "192.0.2.7", 0)  # no address of this machine, but past all that guards it
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path, authentication="none") as shop,
        pytest.raises(ParameterError, match="nobody is asked who they are"),
    ):
        server.serve(shop, "192.0.2.7", 0)


def test_the_last_admin_cannot_be_lost(tmp_path: Path):
    with open_app(tmp_path / "shop.db", folder=tmp_path) as shop:
        users.add(shop, "mia", "admin")
        for change in ({"role": "viewer"}, {"disabled": True}):
            with pytest.raises(Exception, match="mia is the only admin"):
                users.change(shop, "mia", **change)
        users.add(shop, "ben", "admin")
        assert users.change(shop, "mia", role="viewer").role == "viewer"
