"""One request to the studio: who asks, in which language, and how a page or a refusal is made."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.engine import Engine
from bot.studio.security import csrf_token, is_own_form
from bot.studio.sessions import (
    COOKIE,
    GUEST_LENGTH,
    SESSION_LENGTH,
    Role,
    Session,
    new_guest,
    roles_of,
    seal,
    unseal,
)
from bot.studio.words import StudioWords, told_in
from bot.wiring import Wired
from bot.wording import language_for
from data.errors import ZhiweiError
from data.events import UserKey
from data.store import EventStore
from data.vocabulary import Language

logger = logging.getLogger(__name__)
LANGUAGE_COOKIE = "zhiwei_language"
_TEMPLATES = Path(__file__).parent / "templates"
_MAX_LOCKS = 2_000


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Studio:
    """What lives as long as the application."""

    wired: Wired
    is_public: bool
    clock: Callable[[], datetime] = utc_now
    locks: OrderedDict[str, asyncio.Lock] = field(default_factory=OrderedDict)
    memory: dict[type, Any] = field(default_factory=dict)
    """One object per kind of page, made when first asked for."""

    @cached_property
    def secret(self) -> bytes:
        return self.wired.settings.secret_bytes()

    @cached_property
    def templates(self) -> Environment:
        return Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def engine(self) -> Engine:
        return self.wired.engines.current()

    @property
    def store(self) -> EventStore:
        return self.wired.store

    def lock_for(self, key: str) -> asyncio.Lock:
        """One lock per person, so that the turns of a chat keep their order."""
        lock = self.locks.setdefault(key, asyncio.Lock())
        self.locks.move_to_end(key)
        while len(self.locks) > _MAX_LOCKS:
            oldest = next(iter(self.locks))
            if self.locks[oldest].locked():
                break
            del self.locks[oldest]
        return lock

    def remembered(self, kind: type[Any]) -> Any:
        """The one object of `kind`."""
        if kind not in self.memory:
            self.memory[kind] = kind()
        return self.memory[kind]


@dataclass(kw_only=True)
class Visit:
    """Everything that one handler needs."""

    studio: Studio
    request: Request
    session: Session
    roles: frozenset[Role]
    language: Language
    at: datetime
    form: FormData = field(default_factory=FormData)

    @cached_property
    def words(self) -> StudioWords:
        return StudioWords(self.language)

    @property
    def engine(self) -> Engine:
        return self.studio.engine

    @property
    def store(self) -> EventStore:
        return self.studio.store

    @property
    def user_key(self) -> UserKey:
        return self.session.user_key(self.studio.secret)

    @property
    def numeric_id(self) -> int | None:
        """The id that roles go by in the conversation; the owner's on the owner's machine."""
        if self.studio.is_public:
            return self.session.numeric_id
        settings = self.studio.wired.settings
        return next(iter(sorted(settings.admins or settings.creators)), None)

    @property
    def is_htmx(self) -> bool:
        return self.request.headers.get("hx-request") == "true"

    def text(self, name: str, default: str = "", *, limit: int = 500) -> str:
        """One text field of the form, cut to `limit` characters."""
        value = self.form.get(name, default)
        return value.replace("\x00", "")[:limit] if isinstance(value, str) else default

    def texts(self, name: str) -> list[str]:
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def asked(self, name: str, default: str = "", *, limit: int = 200) -> str:
        """One value of the address."""
        return self.request.query_params.get(name, default).replace("\x00", "")[:limit]

    async def upload(self, name: str) -> tuple[str, bytes] | None:
        """The uploaded file's name and content; None when no file was chosen."""
        value = self.form.get(name)
        if not isinstance(value, UploadFile) or not value.filename:
            return None
        return Path(value.filename.replace("\\", "/")).name[:120], await value.read()

    def upload_name(self, name: str) -> str:
        """The name of an uploaded file without reading it; empty when none was chosen."""
        value = self.form.get(name)
        return value.filename or "" if isinstance(value, UploadFile) else ""

    def audit(self, action: str, detail: str = "") -> None:
        self.store.audit(
            at=self.at, actor=self.user_key, action=f"studio.{action}", detail=detail[:300]
        )

    def page(self, template: str, *, status: int = 200, **values: object) -> Response:
        """Render a template; every page knows the words, the person's roles and the form token."""
        shared = self.words.shared
        markup = self.studio.templates.get_template(template).render(
            t=self.words,
            w=shared,
            roles={str(role) for role in self.roles},
            is_public=self.studio.is_public,
            token=csrf_token(self.studio.secret, self.session.session_id),
            path=self.request.url.path,
            is_htmx=self.is_htmx,
            **values,
        )
        return HTMLResponse(markup, status_code=status)

    def refusal(self, key: str, *, status: int) -> Response:
        return self.page("refused.html", status=status, message=self.words(key))


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(studio: Studio, handler: Handler, role: Role | None) -> Endpoint:
    """Wrap a handler: session, role, form token, and errors in words.

    Args:
        studio: The application's parts.
        handler: Called only for who may.
        role: The role it takes; None lets everybody in (the door itself).
    """

    async def answer(request: Request) -> Response:
        visit = open_visit(studio, request)
        try:
            response = await _answer(visit, handler, role)
        finally:
            # Uploads lie in temporary files until then.
            await visit.form.close()
        _keep_session(visit, response)
        return response

    return answer


def open_visit(studio: Studio, request: Request) -> Visit:
    at = studio.clock()
    session = unseal(request.cookies.get(COOKIE, ""), studio.secret, at=at)
    if session is not None and studio.is_public and session.kind != "telegram":
        # What was handed out on the owner's machine opens nothing elsewhere; it only carries the
        # token of the sign-in form.
        roles: frozenset[Role] = frozenset()
    else:
        roles = roles_of(session, studio.wired.settings, is_public=studio.is_public)
    return Visit(
        studio=studio,
        request=request,
        session=session or new_guest(at),
        roles=roles,
        language=_language(request, studio.wired.settings.language),
        at=at,
    )


async def _answer(visit: Visit, handler: Handler, role: Role | None) -> Response:
    request = visit.request
    if role is not None and role not in visit.roles:
        return visit.page("sign_in.html", status=403, telegram_url=telegram_url(visit))
    if request.method == "POST":
        try:
            visit.form = await request.form(
                max_files=3, max_fields=400, max_part_size=2 * 1024 * 1024
            )
        except MultiPartException:
            return visit.refusal("refused.form", status=400)
        expected = csrf_token(visit.studio.secret, visit.session.session_id)
        if not is_own_form(request, visit.text("token"), expected):
            return visit.refusal("refused.token", status=403)
    try:
        return await handler(visit)
    except ZhiweiError as error:
        return visit.page("refused.html", status=422, message=told_in(error, visit.language))


def telegram_url(visit: Visit) -> str:
    """The address at which Telegram asks a person whether they want to sign in; empty without a bot."""
    settings = visit.studio.wired.settings
    if not visit.studio.is_public or settings.telegram_token is None:
        return ""
    bot_id = settings.telegram_token.get_secret_value().partition(":")[0]
    origin = f"{visit.request.url.scheme}://{visit.request.url.netloc}"
    return (
        f"https://oauth.telegram.org/auth?bot_id={quote(bot_id)}"
        f"&origin={quote(origin, safe='')}&return_to={quote(origin + '/sign-in', safe='')}"
    )


def _keep_session(visit: Visit, response: Response) -> None:
    sealed = seal(visit.session, visit.studio.secret)
    if visit.request.cookies.get(COOKIE) == sealed:
        return
    length = GUEST_LENGTH if visit.session.kind == "guest" else SESSION_LENGTH
    response.set_cookie(
        COOKIE,
        sealed,
        max_age=int(length.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=visit.studio.is_public,
    )


def _language(request: Request, default: Language) -> Language:
    """The language chosen in the header, else the first one of the browser that we speak."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in set(Language):
        return Language(chosen)
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag = part.partition(";")[0].strip()
        if tag[:2].lower() in set(Language):
            return language_for(tag, default)
    return default


def local_path(target: str) -> str:
    """Give `target` when it is a path of this site, else the front page."""
    is_local = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_local and "\n" not in target and "\r" not in target else "/"


def to(path: str) -> Response:
    """Send the browser on after a form was taken."""
    return RedirectResponse(path, status_code=303)
