"""The web application: Telegram's webhook, and health for whoever watches over the process."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from data.errors import StoreError

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  a name, not a secret
_LOOPBACK = ("127.0.0.1", "::1")

Json = dict[str, Any]
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Where webhook updates go.

    Attributes:
        take: Returns when the update is on disk; raises StoreError otherwise.
        secret: What Telegram sends in its header; must not be empty.
        is_full: Too much waits, so that Telegram should come again later.
    """

    take: Callable[[Json], Awaitable[None]]
    secret: str
    is_full: Callable[[], bool]


def build_app(
    *,
    ready: Callable[[], Awaitable[list[str]]],
    figures: Callable[[], Awaitable[Figures]],
    intake: Intake | None = None,
    max_body: int = MAX_BODY,
    routes: tuple[Route, ...] = (),
) -> Starlette:
    """Give the application.

    Args:
        ready: Gives what keeps us from answering; an empty list is ready.
        figures: Gives metrics by their Prometheus names.
        intake: Where updates go; None without a webhook.
        max_body: Largest accepted body in bytes.
        routes: Further routes of other parts.

    Raises:
        ValueError: A webhook without a secret would believe anybody.
    """
    if intake is not None and not intake.secret:
        raise ValueError("a webhook needs a secret of 1-256 characters; set one")

    async def telegram(request: Request) -> Response:
        assert intake is not None
        told = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(told.encode(), intake.secret.encode()):
            return PlainTextResponse("forbidden", status_code=403)
        body = await _body(request, max_body)
        if body is None:
            return PlainTextResponse("too large", status_code=413)
        try:
            update = json.loads(body)
            int(update["update_id"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return PlainTextResponse("not an update", status_code=400)
        if intake.is_full():
            return _later()
        try:
            await intake.take(update)
        except StoreError:
            logger.warning("an update was not taken: the store is down")
            return _later()
        return Response(status_code=200)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        problems = await ready()
        return JSONResponse(
            {"ready": not problems, "problems": problems}, status_code=503 if problems else 200
        )

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(
            prometheus(await figures()), media_type="text/plain; version=0.0.4"
        )

    own = [
        Route("/healthz", _on_loopback(healthz)),
        Route("/readyz", _on_loopback(readyz)),
        Route("/metrics", _on_loopback(metrics)),
    ]
    if intake is not None:
        own.append(Route("/telegram", telegram, methods=["POST"]))
    return Starlette(routes=[*own, *routes])


def prometheus(figures: Figures) -> str:
    """Give figures in the text form that Prometheus reads; names ending in `_total` are counters."""
    lines = []
    for name, value in sorted(figures.items()):
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# TYPE {name} {kind}", f"{name} {value:g}"]
    return "\n".join(lines) + "\n"


async def _body(request: Request, most: int) -> bytes | None:
    """Read the body, or give None as soon as it is larger than allowed."""
    stated = request.headers.get("content-length", "0")
    if not stated.isdigit() or int(stated) > most:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _later() -> Response:
    return PlainTextResponse("later", status_code=503, headers={"Retry-After": "5"})


def _on_loopback(
    answer: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answer only this machine; a request that a proxy passed on came from elsewhere."""

    async def guarded(request: Request) -> Response:
        is_direct = not any(
            name in request.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip")
        )
        if is_direct and request.client is not None and request.client.host in _LOOPBACK:
            return await answer(request)
        return PlainTextResponse("not found", status_code=404)

    return guarded
