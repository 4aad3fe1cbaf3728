"""Who gets in: sign-in through Telegram, roles, form tokens, hosts, headers, sizes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest

from bot.buttons import user_key_for
from bot.studio.app import build_app
from bot.studio.security import CONTENT_SECURITY_POLICY, csrf_token
from bot.studio.server import is_loopback
from bot.studio.sessions import (
    SESSION_LENGTH,
    SignInRefused,
    Vouched,
    new_guest,
    new_member,
    seal,
    unseal,
    verify_init_data,
    verify_login,
)
from bot.telegram_updates import CHANNEL
from data.errors import SettingsError
from tests.bot.studio_world import TOKEN, Browser, StudioParts, open_studio, parts_in
from tests.fakes import NOON, FakeClock

ADMIN, CREATOR, LEARNER = 11, 22, 33
SECRET = b"a secret of the tests"


def init_data(user_id: int, *, at: float = NOON.timestamp(), token: str = TOKEN) -> str:
    fields = {"auth_date": str(int(at)), "query_id": "q", "user": json.dumps({"id": user_id})}
    lines = "\n".join(f"{k}={v}" for k, v in sorted(fields.items()))
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    proof = hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()
    return urlencode({**fields, "hash": proof})


def login_fields(user_id: int, *, at: float = NOON.timestamp()) -> dict[str, str]:
    fields = {"id": str(user_id), "first_name": "Ann", "auth_date": str(int(at))}
    lines = "\n".join(f"{k}={v}" for k, v in sorted(fields.items()))
    key = hashlib.sha256(TOKEN.encode()).digest()
    return {**fields, "hash": hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()}


@pytest.fixture
def public(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(
        tmp_path,
        public=True,
        telegram_token=TOKEN,
        admins=frozenset({ADMIN}),
        creators=frozenset({CREATOR}),
    ) as studio:
        yield studio


def sign_in(browser: Browser, user_id: int) -> Browser:
    token = _token(browser.open("/sign-in"))
    answer = browser.client.post(
        "/sign-in", data={"token": token, "init_data": init_data(user_id)}
    )
    return browser._keep(answer)


def _token(browser: Browser) -> str:
    mark = 'name="token" value="'
    start = browser.markup.index(mark) + len(mark)
    return browser.markup[start : start + 32]


PRIVATE = ("/chat", "/pairings", "/golden", "/coverage", "/catalogue", "/figures", "/people")


@pytest.mark.parametrize("path", [*PRIVATE, "/figures/days.png", "/figures/items.csv", "/cards/x"])
def test_a_stranger_at_the_door_of_a_public_studio_gets_403(
    public: tuple[Browser, StudioParts], path: str
) -> None:
    browser, _ = public

    browser.open(path)

    assert browser.status == 403
    assert "oauth.telegram.org" in browser.markup


@pytest.mark.parametrize(
    ("user_id", "open_pages"),
    [(LEARNER, PRIVATE[:1]), (CREATOR, PRIVATE[:5]), (ADMIN, PRIVATE)],
    ids=["learner", "creator", "admin"],
)
def test_each_role_opens_its_pages_and_no_others(
    public: tuple[Browser, StudioParts], user_id: int, open_pages: tuple[str, ...]
) -> None:
    browser, _ = public
    sign_in(browser, user_id)

    statuses = {path: browser.open(path).status for path in PRIVATE}

    assert statuses == {path: 200 if path in open_pages else 403 for path in PRIVATE}


def test_somebody_signed_in_has_the_profile_of_the_telegram_chat(
    public: tuple[Browser, StudioParts],
) -> None:
    session = new_member(Vouched(numeric_id=LEARNER), NOON)

    assert session.user_key(SECRET) == user_key_for(SECRET, CHANNEL, LEARNER)


def test_a_confirmation_of_telegram_opens_one_session_only(
    public: tuple[Browser, StudioParts],
) -> None:
    browser, _ = public
    sign_in(browser, ADMIN)
    browser.client.cookies.clear()

    sign_in(browser, ADMIN)

    assert browser.status == 403


def test_the_login_page_of_telegram_signs_in_too(public: tuple[Browser, StudioParts]) -> None:
    browser, _ = public
    token = _token(browser.open("/sign-in"))
    told = base64.urlsafe_b64encode(json.dumps(login_fields(ADMIN)).encode()).rstrip(b"=").decode()

    browser.client.post("/sign-in", data={"token": token, "login": told})

    assert browser.open("/people").status == 200


@pytest.mark.parametrize(
    "told",
    [
        "",
        "hash=",
        init_data(ADMIN) + "&auth_date=9999999999",
        init_data(ADMIN).replace("id%22%3A+11", "id%22%3A+22"),
        init_data(ADMIN, token="7654321:" + "x" * 35),
        init_data(ADMIN, at=NOON.timestamp() - 3 * 3600),
        init_data(ADMIN, at=NOON.timestamp() + 3 * 3600),
    ],
    ids=["empty", "no hash", "a field twice", "another person", "another bot", "old", "future"],
)
def test_init_data_that_does_not_hold_is_refused(told: str) -> None:
    with pytest.raises(SignInRefused):
        verify_init_data(told, TOKEN, at=NOON)


def test_init_data_that_holds_names_the_person() -> None:
    assert verify_init_data(init_data(7), TOKEN, at=NOON).numeric_id == 7


@pytest.mark.parametrize("change", ["id", "auth_date", "hash"])
def test_a_login_with_a_changed_field_is_refused(change: str) -> None:
    fields = login_fields(7) | {change: "12"}

    with pytest.raises(SignInRefused):
        verify_login(fields, TOKEN, at=NOON)


def test_a_session_cookie_holds_until_its_end_and_not_when_changed() -> None:
    cookie = seal(new_member(Vouched(numeric_id=7), NOON), SECRET)
    just_before = NOON + SESSION_LENGTH - timedelta(seconds=1)

    assert unseal(cookie, SECRET, at=just_before) is not None
    assert unseal(cookie, SECRET, at=NOON + SESSION_LENGTH + timedelta(seconds=1)) is None
    assert unseal(cookie.replace(".7.", ".8."), SECRET, at=NOON) is None
    assert unseal(cookie, b"another secret", at=NOON) is None
    assert unseal("", SECRET, at=NOON) is None


def test_a_guest_session_of_the_owners_machine_opens_nothing_in_public(
    public: tuple[Browser, StudioParts],
) -> None:
    browser, _ = public
    browser.client.cookies.set("zhiwei_session", seal(new_guest(NOON), SECRET))

    assert browser.open("/figures").status == 403


def test_a_form_without_its_token_changes_nothing(tmp_path: Path) -> None:
    with open_studio(tmp_path) as (browser, parts):
        browser.open("/pairings")
        answer = browser.client.post(
            "/pairings/rule",
            data={"lesson": "wok-heat", "item": "broccoli", "kind": "pin", "on": "1"},
        )

        assert answer.status_code == 403
        assert parts.store.rules() == []


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}],
    ids=["origin", "sec-fetch-site"],
)
def test_a_form_of_another_site_changes_nothing_even_with_a_token(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with open_studio(tmp_path) as (browser, parts):
        token = _token(browser.open("/pairings?lesson=wok-heat"))
        told = {"token": token, "lesson": "wok-heat", "item": "broccoli", "kind": "pin", "on": "1"}

        refused = browser.client.post("/pairings/rule", data=told, headers=headers)
        assert (refused.status_code, parts.store.rules()) == (403, [])

        browser.client.post("/pairings/rule", data=told)
        assert len(parts.store.rules()) == 1


def test_the_token_of_another_session_is_refused(tmp_path: Path) -> None:
    with open_studio(tmp_path) as (browser, _):
        browser.open("/chat")
        other = csrf_token(SECRET, new_guest(NOON).session_id)

        answer = browser.client.post("/chat", data={"token": other, "text": "hello"})

        assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/chat", "/static/studio.css", "/nowhere", "/figures"])
def test_every_answer_forbids_foreign_and_inline_script(tmp_path: Path, path: str) -> None:
    with open_studio(tmp_path) as (browser, _):
        headers = browser.client.get(path).headers

    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    public: tuple[Browser, StudioParts],
) -> None:
    browser, _ = public

    told = browser.client.get("/sign-in").headers["set-cookie"].lower()

    assert {"httponly", "secure", "samesite=lax"} <= {part.strip() for part in told.split(";")}


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"x-forwarded-for": "203.0.113.9"}],
    ids=["rebound name", "passed on by a proxy"],
)
def test_a_private_studio_answers_its_own_machine_only(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with open_studio(tmp_path) as (browser, _):
        assert browser.client.get("/chat", headers=headers).status_code == 403
        assert browser.client.get("/chat").status_code == 200


def test_a_body_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    with open_studio(tmp_path) as (browser, _):
        token = _token(browser.open("/pairings"))

        stated = browser.client.post(
            "/pairings/preview",
            data={"token": token},
            files={"file": ("a.txt", b"x" * 13_000_000)},
        )
        unstated = browser.client.post(
            "/pairings/preview",
            content=(b"x" * 1_000_000 for _ in range(14)),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )

    assert (stated.status_code, unstated.status_code) == (413, 413)


def test_the_language_switch_never_leads_to_another_site(tmp_path: Path) -> None:
    with open_studio(tmp_path) as (browser, _):
        for target in ("https://evil.example", "//evil.example", "/\\evil.example"):
            answer = browser.client.get(
                "/language/zh", params={"next": target}, follow_redirects=False
            )
            assert answer.headers["location"] == "/"


def test_a_public_studio_without_a_bot_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ZHIWEI_TELEGRAM_TOKEN"):
        build_app(parts_in(tmp_path), public=True)


def test_sign_in_leaves_an_audit_row(public: tuple[Browser, StudioParts]) -> None:
    browser, parts = public

    sign_in(browser, ADMIN)

    assert [row[2] for row in parts.store.audits()] == ["studio.sign_in"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.2", False), ("studio.example", False)],
)  # fmt: skip
def test_only_loopback_addresses_go_without_sign_in(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_session_ends_when_its_time_is_over(tmp_path: Path) -> None:
    clock = FakeClock()
    with open_studio(
        tmp_path, public=True, clock=clock, telegram_token=TOKEN, admins=frozenset({ADMIN})
    ) as (browser, _):
        sign_in(browser, ADMIN)
        assert browser.open("/people").status == 200

        clock.advance(hours=13)

        assert browser.open("/people").status == 403
