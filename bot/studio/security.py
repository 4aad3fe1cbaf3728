"""What every request and answer of the studio must satisfy: headers, body size, host, CSRF token."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 12 * 1024 * 1024
"""Bytes; a lesson file may have 10 MB, and its form a little more."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # `no-referrer` would make browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")


class SecureAnswers:
    """Adds the security headers; what is personal must not stay in a shared cache."""

    def __init__(self, app: ASGIApp, *, is_public: bool) -> None:
        self._app = app
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                if self._is_public:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class BodyLimit:
    """Refuses a body as soon as it is larger than allowed, whatever its header says."""

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "0")
        if not stated.isdigit() or int(stated) > self._max_body:
            await self._refuse(scope, receive, send)
            return
        n_bytes = 0
        has_started = False

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._max_body:
                raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLargeError:
            if not has_started:
                await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = PlainTextResponse(
            f"That is larger than {self._max_body // (1024 * 1024)} MB; send a smaller file. "
            f"内容超过 {self._max_body // (1024 * 1024)} MB，请换小一些的文件。",
            status_code=413,
        )
        await answer(scope, receive, send)


class _TooLargeError(Exception):
    pass


class LoopbackOnly:
    """Answers this machine's own browser only.

    The name in `Host` is checked as well: a page elsewhere could have its name resolve to 127.0.0.1
    and would then speak to us from the visitor's browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
            is_passed_on = any(name in headers for name in _PROXY_HEADERS)
            if host not in LOOPBACK_HOSTS or is_passed_on:
                answer = PlainTextResponse(
                    "This studio answers its own machine only; start it with a public address "
                    "and sign-in for others. 此工作室只在本机开放。",
                    status_code=403,
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def csrf_token(secret: bytes, session_id: str) -> str:
    """Give the token that a form of this session must bring back."""
    return hmac.new(secret, f"csrf:{session_id}".encode(), hashlib.sha256).hexdigest()[:32]


def is_own_form(request: Request, told: str, expected: str) -> bool:
    """Whether a POST comes from a page of ours, shown to this very session."""
    if not hmac.compare_digest(told.encode("utf-8", "replace"), expected.encode()):
        return False
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
