"""Zhiwei on Telegram: durable intake, fair handling, one transaction per update, durable sending.

python-telegram-bot is the client for every call. Its Application and Updater are not used: the
Updater moves the offset, which confirms updates for good, when they are in a queue in memory. Here
the offset moves after `store.receive` has committed, so a crash at any moment loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import uvicorn

from bot.redaction import install_redaction
from bot.serving import Intake, build_app
from bot.telegram_options import Core, TelegramOptions
from bot.telegram_polling import TelegramConflict, unless
from bot.telegram_runtime import Clock, TelegramRuntime
from data.errors import SettingsError
from data.store import EventStore


async def run_polling(
    conversation: Core,
    store: EventStore,
    options: TelegramOptions,
    *,
    stop: asyncio.Event | None = None,
    on_ready: Callable[[TelegramRuntime], None] = lambda runtime: None,
    clock: Clock = lambda: datetime.now(UTC),
) -> None:
    """Answer on Telegram by polling until `stop` is set, or SIGINT or SIGTERM comes.

    Raises:
        SettingsError: The token is wrong.
        TelegramConflict: Another program polls with the same token.
    """
    async with _running(conversation, store, options, stop, clock) as (runtime, end):
        on_ready(runtime)
        if options.health_port is None:
            await _while_well(runtime, runtime.poller.run(end))
            return
        app = build_app(ready=runtime.health.problems, figures=runtime.health.figures)
        async with _serving(app, "127.0.0.1", options.health_port):
            await _while_well(runtime, runtime.poller.run(end))


async def run_webhook(
    conversation: Core,
    store: EventStore,
    options: TelegramOptions,
    *,
    stop: asyncio.Event | None = None,
    on_ready: Callable[[TelegramRuntime], None] = lambda runtime: None,
    clock: Clock = lambda: datetime.now(UTC),
) -> None:
    """Answer on Telegram by a webhook until `stop` is set, or SIGINT or SIGTERM comes.

    Raises:
        SettingsError: The token is wrong, or address or secret of the webhook are missing.
    """
    if not options.webhook_url or not options.webhook_secret:
        raise SettingsError(
            "a webhook needs its public address and a secret; set ZHIWEI_WEBHOOK_URL and "
            "ZHIWEI_WEBHOOK_SECRET (1-256 characters of A-Z a-z 0-9 _ -)"
        )
    async with _running(conversation, store, options, stop, clock) as (runtime, end):
        intake = Intake(
            take=lambda update: runtime.take([update]),
            secret=options.webhook_secret,
            is_full=runtime.is_full,
        )
        app = build_app(
            ready=runtime.health.problems, figures=runtime.health.figures, intake=intake
        )
        async with _serving(app, options.host, options.port):
            await unless(end, runtime.listen())
            on_ready(runtime)
            await _while_well(runtime, end.wait())


@contextlib.asynccontextmanager
async def _running(
    conversation: Core,
    store: EventStore,
    options: TelegramOptions,
    stop: asyncio.Event | None,
    clock: Clock,
) -> AsyncIterator[tuple[TelegramRuntime, asyncio.Event]]:
    install_redaction([options.token, options.webhook_secret])
    runtime = TelegramRuntime(conversation, store, options, clock=clock)
    end = stop or asyncio.Event()
    with _signals(end) if stop is None else contextlib.nullcontext():
        try:
            await unless(end, runtime.start())
            yield runtime, end
        finally:
            await runtime.stop()


async def _while_well(runtime: TelegramRuntime, work: Coroutine[Any, Any, Any]) -> None:
    """Do the work until it ends, or until a part of the runtime fails; then fail, too."""
    tasks = [asyncio.create_task(work), asyncio.create_task(runtime.failed())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    for name in names:
        loop.add_signal_handler(name, stop.set)
    try:
        yield
    finally:
        for name in names:
            loop.remove_signal_handler(name)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Whoever runs us decides when to stop; intake must end before the workers do.
        yield


@contextlib.asynccontextmanager
async def _serving(app: Any, host: str, port: int) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=3, server_header=False, proxy_headers=False,
    )  # fmt: skip
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if task.done():
                raise SettingsError(
                    f"port {port} of {host} cannot be opened; is it in use? Set another one"
                )
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        with contextlib.suppress(SystemExit, asyncio.CancelledError):
            await task


__all__ = ["TelegramConflict", "TelegramOptions", "TelegramRuntime", "run_polling", "run_webhook"]
