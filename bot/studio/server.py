"""Serves the studio: on this machine without sign-in, elsewhere with it."""

from __future__ import annotations

import ipaddress
import threading
import webbrowser
from collections.abc import Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from bot import serving
from bot.studio.app import build_app
from bot.studio.visit import utc_now
from bot.wiring import Wired


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def application(parts: Wired, *, public: bool) -> Starlette:
    """The studio with health and metrics beside it; those answer this machine only."""

    async def ready() -> list[str]:
        return await run_in_threadpool(parts.store.check)

    async def figures() -> Mapping[str, float]:
        waiting = await run_in_threadpool(lambda: parts.store.backlog(at=utc_now()))
        return {
            "zhiwei_inbox_waiting": waiting.inbox,
            "zhiwei_outbox_waiting": waiting.outbox,
            "zhiwei_updates_parked": waiting.parked,
            "zhiwei_oldest_waiting_seconds": waiting.oldest_seconds,
        }

    beside = serving.build_app(ready=ready, figures=figures).routes
    return build_app(parts, public=public, routes=beside)


def serve(
    parts: Wired,
    *,
    host: str,
    port: int,
    open_browser: bool = False,
    public: bool | None = None,
) -> None:
    """Serve until stopped.

    Args:
        parts: The parts; opened before the first visitor comes.
        host: Address to listen on.
        port: Port to listen on.
        open_browser: Open the page in this machine's browser.
        public: Whether to demand sign-in; by default when `host` is no loopback address. Set it behind
            a proxy that brings visitors from elsewhere to a loopback address.
    """
    is_public = not is_loopback(host) if public is None else public
    app = application(parts, public=is_public)
    parts.engines.current()
    _ = parts.conversation
    if open_browser:
        timer = threading.Timer(0.8, webbrowser.open, (f"http://{host}:{port}/",))
        timer.daemon = True
        timer.start()
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False
    )
