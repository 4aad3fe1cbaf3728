"""Who is at the door: signed sessions, sign-in through Telegram, and roles.

A session is a signed cookie; nothing is kept on the server. Telegram vouches for a person in two ways:
Telegram Login (core.telegram.org/widgets/login) and a Mini App's `initData`
(core.telegram.org/bots/webapps). Both are checked in constant time, and neither is taken when old.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qsl

from bot.buttons import user_key_for
from bot.settings import Settings
from data.events import UserKey

COOKIE = "zhiwei_session"
SESSION_LENGTH = timedelta(hours=12)
GUEST_LENGTH = timedelta(days=30)
LOGIN_AGE = timedelta(minutes=10)
INIT_DATA_AGE = timedelta(hours=1)
_FUTURE = timedelta(minutes=1)
"""How far another clock may be ahead of ours."""


class Role(StrEnum):
    """What somebody may do; an admin may do everything."""

    LEARNER = "learner"
    CREATOR = "creator"
    ADMIN = "admin"


class SignInRefused(Exception):
    """What Telegram is said to have vouched for does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """A person that Telegram vouched for."""

    numeric_id: int
    language_code: str = ""
    proof: str = ""
    """The hash that was checked; each is good for one sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser, for a while."""

    kind: str
    """`guest` on the owner's machine, `telegram` after a sign-in."""
    subject: str
    """A random word for a guest, the numeric id for Telegram."""
    nonce: str
    issued_at: datetime

    @property
    def session_id(self) -> str:
        return f"{self.kind}.{self.subject}.{self.nonce}.{int(self.issued_at.timestamp())}"

    @property
    def numeric_id(self) -> int | None:
        return int(self.subject) if self.kind == "telegram" else None

    def user_key(self, secret: bytes) -> UserKey:
        """The person's pseudonym; the same as in the Telegram chat, so that allergies hold here too."""
        channel = "telegram" if self.kind == "telegram" else "web"
        return user_key_for(secret, channel, self.subject)


def new_guest(at: datetime) -> Session:
    return Session(
        kind="guest", subject=secrets.token_hex(8), nonce=secrets.token_hex(8), issued_at=at
    )


def new_member(vouched: Vouched, at: datetime) -> Session:
    return Session(
        kind="telegram",
        subject=str(vouched.numeric_id),
        nonce=secrets.token_hex(8),
        issued_at=at,
    )


def seal(session: Session, secret: bytes) -> str:
    """Give the cookie of a session."""
    return f"{session.session_id}.{_mac(secret, session.session_id)}"


def unseal(cookie: str, secret: bytes, *, at: datetime) -> Session | None:
    """Give the session of a cookie, or None when it is forged, broken or over."""
    body, _, mac = cookie.rpartition(".")
    if not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(secret, body).encode()):
        return None
    kind, subject, nonce, issued = body.split(".")
    session = Session(
        kind=kind, subject=subject, nonce=nonce, issued_at=datetime.fromtimestamp(int(issued), UTC)
    )
    length = GUEST_LENGTH if kind == "guest" else SESSION_LENGTH
    return session if at - session.issued_at <= length else None


def _mac(secret: bytes, body: str) -> str:
    return hmac.new(secret, f"session:{body}".encode(), hashlib.sha256).hexdigest()


def verify_login(fields: Mapping[str, str], token: str, *, at: datetime) -> Vouched:
    """Check what Telegram Login sends: `id`, `auth_date`, `hash` and more.

    Raises:
        SignInRefused: it was not signed with this bot's token, or is too old.
    """
    key = hashlib.sha256(token.encode()).digest()
    proof = _check(fields, key)
    _check_age(fields.get("auth_date", ""), LOGIN_AGE, at)
    return Vouched(numeric_id=_positive(fields.get("id", "")), proof=proof)


def verify_init_data(init_data: str, token: str, *, at: datetime) -> Vouched:
    """Check a Mini App's `initData` (a query string).

    Raises:
        SignInRefused: it was not signed with this bot's token, or is too old.
    """
    pairs = parse_qsl(init_data, keep_blank_values=True)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise SignInRefused("a field comes twice")
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    proof = _check(fields, key)
    _check_age(fields.get("auth_date", ""), INIT_DATA_AGE, at)
    try:
        user = json.loads(fields.get("user", ""))
        return Vouched(
            numeric_id=_positive(str(user["id"])),
            language_code=str(user.get("language_code", "")),
            proof=proof,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SignInRefused("no person is named") from None


def _check(fields: Mapping[str, str], key: bytes) -> str:
    told = fields.get("hash", "")
    lines = "\n".join(f"{k}={v}" for k, v in sorted(fields.items()) if k != "hash")
    expected = hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(told.encode("utf-8", "replace"), expected.encode()):
        raise SignInRefused("the signature does not fit")
    return told


def _check_age(auth_date: str, longest: timedelta, at: datetime) -> None:
    if not (auth_date.isascii() and auth_date.isdigit() and len(auth_date) <= 12):
        raise SignInRefused("no time is given")
    age = at - datetime.fromtimestamp(int(auth_date), UTC)
    if age > longest or age < -_FUTURE:
        raise SignInRefused("it is too old")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**53):
        raise SignInRefused("no person is named")
    return int(text)


def roles_of(session: Session | None, settings: Settings, *, is_public: bool) -> frozenset[Role]:
    """Who has the machine owns the deployment; elsewhere the lists in the settings decide."""
    if not is_public:
        return frozenset(Role)
    if session is None or session.numeric_id is None:
        return frozenset()
    if session.numeric_id in settings.admins:
        return frozenset(Role)
    if session.numeric_id in settings.creators:
        return frozenset({Role.LEARNER, Role.CREATOR})
    return frozenset({Role.LEARNER})
