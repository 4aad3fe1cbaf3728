"""Fetches updates, and waits out what is wrong with the network.

The offset moves after the updates were committed: this is what makes polling durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from telegram import Bot
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bot.telegram_http import BotApiRequest
from bot.telegram_sending import seconds_of
from bot.telegram_updates import ALLOWED_UPDATES
from data.errors import SettingsError, StoreError, ZhiweiError

logger = logging.getLogger(__name__)

Json = dict[str, Any]


class TelegramConflict(ZhiweiError):
    """Another program takes this bot's updates."""


class RawUpdates(BotApiRequest):
    """Hands updates over as Telegram's own JSON.

    The inbox stores exactly that, and an update of a shape that the library cannot parse must not
    stop those behind it.
    """

    def __init__(self, api_root: str, **kwargs: Any) -> None:
        super().__init__(api_root, **kwargs)
        self.payload = b""

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        code, payload = await super().do_request(*args, **kwargs)
        if code != 200:
            return code, payload
        self.payload = payload
        return code, b'{"ok": true, "result": []}'

    def take(self) -> list[Json]:
        """Give the updates of the last call.

        Raises:
            ValueError: The answer was not JSON of the known shape.
        """
        payload, self.payload = self.payload, b""
        answer = json.loads(payload) if payload else {}
        updates = answer.get("result", []) if isinstance(answer, dict) else None
        if not isinstance(updates, list):
            raise ValueError("getUpdates gave no list")  # noqa: TRY004  the value came from outside
        return updates


class Poller:
    """Long-polls one bot's updates.

    Args:
        bot: Its requests for updates must be `raw`.
        raw: Holds the updates of the last poll.
        take: Returns when updates are on disk; raises StoreError otherwise.
        is_full: Too much waits to take more.
        poll_seconds: How long Telegram holds a poll.
        patience_seconds: How long a conflict may last before it is one.
    """

    def __init__(
        self,
        bot: Bot,
        raw: RawUpdates,
        take: Callable[[Sequence[Json]], Awaitable[None]],
        is_full: Callable[[], bool],
        *,
        poll_seconds: int,
        patience_seconds: float,
    ) -> None:
        self._bot = bot
        self._raw = raw
        self._take = take
        self._is_full = is_full
        self._poll_seconds = poll_seconds
        self._patience_seconds = patience_seconds
        self._heard_at = time.monotonic()

    @property
    def silent_seconds(self) -> float:
        """How long ago Telegram answered a poll."""
        return time.monotonic() - self._heard_at

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch updates until told to stop.

        Raises:
            TelegramConflict: Another program polls with the same token.
            SettingsError: The token was revoked.
        """
        await patiently(lambda: self._bot.delete_webhook(drop_pending_updates=False), stop=stop)
        offset: int | None = None
        n_errors = 0
        refused_since: float | None = None
        while not stop.is_set():
            if self._is_full():
                await sleep(0.2, stop)
                continue
            try:
                updates = await unless(stop, self._fetch(offset))
                if updates is None:
                    return
                if updates:
                    await self._take(updates)
                    # Only now: this number confirms everything below it.
                    offset = max(int(update["update_id"]) for update in updates) + 1
                n_errors, refused_since = 0, None
                self._heard_at = time.monotonic()
            except (Conflict, InvalidToken) as error:
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > self._patience_seconds:
                    raise _explained(error) from error
                await sleep(1.0, stop)
            except RetryAfter as error:
                await sleep(seconds_of(error), stop)
            except (TelegramError, StoreError, ValueError) as error:
                n_errors += 1
                logger.warning("fetching updates failed: %s", type(error).__name__)
                await sleep(backoff(n_errors), stop)

    async def _fetch(self, offset: int | None) -> list[Json]:
        await self._bot.get_updates(
            offset=offset,
            limit=100,
            timeout=self._poll_seconds,
            allowed_updates=list(ALLOWED_UPDATES),
        )
        return self._raw.take()


async def patiently(
    call: Callable[[], Awaitable[Any]], *, stop: asyncio.Event | None = None
) -> Any:
    """Repeat a call until the network lets it through.

    Raises:
        SettingsError: Telegram does not know the token.
    """
    n_errors = 0
    while stop is None or not stop.is_set():
        try:
            return await call()
        except InvalidToken as error:
            raise _explained(error) from None
        except RetryAfter as error:
            await sleep(seconds_of(error), stop)
        except TelegramError as error:
            n_errors += 1
            logger.warning("Telegram is not reached yet: %s", type(error).__name__)
            await sleep(backoff(n_errors), stop)
    return None


async def unless(stop: asyncio.Event, work: Awaitable[Any]) -> Any:
    """Give the result of `work`, or None as soon as `stop` is set."""
    task = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, stopping):
            if not each.done():
                each.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


async def sleep(seconds: float, stop: asyncio.Event | None) -> None:
    if stop is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def backoff(n_errors: int) -> float:
    longest: float = min(30.0, 0.1 * 2 ** min(n_errors, 10))
    return longest * random.uniform(0.5, 1.0)


def _explained(error: TelegramError) -> ZhiweiError:
    if isinstance(error, InvalidToken):
        return SettingsError(
            "Telegram does not know this bot token; copy it from @BotFather into "
            "ZHIWEI_TELEGRAM_TOKEN"
        )
    return TelegramConflict(
        "another program fetches the updates of this bot; stop it, or use a token of your own"
    )
