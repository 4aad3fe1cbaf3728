"""How updates reach a bot: long polls that confirm by offset, or posts to its webhook in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from tests.fake_telegram import account
from tests.fake_telegram.faults import FaultPlan
from tests.fake_telegram.methods import GET_UPDATES, NAME_BY_LOWER
from tests.fake_telegram.parameters import Parameters
from tests.fake_telegram.refusal import RefusalError
from tests.fake_telegram.state import Json, State

_OTHER_POLL = (
    "Conflict: terminated by other getUpdates request; "
    "make sure that only one bot instance is running"
)
_WEBHOOK_STANDS = (
    "Conflict: can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


class Bell:
    """Wakes everyone who waits for something to change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits now; who comes later waits for the next ring."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def heard(self) -> None:
        """Wait for the next ring."""
        await self._event.wait()


class Delivery:
    """The way of one bot's updates.

    Args:
        carry_out: Does a call that a bot put into its answer to a post, and counts it.
    """

    def __init__(
        self,
        state: State,
        faults: FaultPlan,
        bell: Bell,
        carry_out: Callable[[str, Parameters], Awaitable[Any]],
    ) -> None:
        self._state = state
        self._faults = faults
        self._bell = bell
        self._carry_out = carry_out
        self._generation = 0
        self._is_stopped = False
        self._posting: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Begin to post, as soon as there is a webhook."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        self._posting = asyncio.create_task(self._post_updates())

    async def stop(self) -> None:
        """End every poll and every post."""
        self._is_stopped = True
        self._generation += 1
        self._bell.ring()
        if self._posting is not None:
            self._posting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._posting
        if self._session is not None:
            await self._session.close()

    async def poll(self, sent: Parameters, request: web.Request) -> list[Json]:
        """Confirm by offset, then return what is due, waiting as long as the bot asked.

        Raises:
            RefusalError: 409, when a webhook is set or another poll has begun.
        """
        self._generation += 1
        mine = self._generation
        self._bell.ring()
        deadline = time.monotonic() + min(sent.integer("timeout"), 50)
        while True:
            if self._state.webhook.url:
                raise RefusalError(409, _WEBHOOK_STANDS)
            if mine != self._generation:
                if self._is_stopped:
                    return []
                raise RefusalError(409, _OTHER_POLL)
            if request.transport is None or request.transport.is_closing():
                return []
            if due := account.take_updates(self._state, sent):
                return self._disturbed(due)
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                # Short looks, so that the poll of a bot that was killed does not linger.
                await asyncio.wait_for(self._bell.heard(), min(left, 0.25))

    def _disturbed(self, due: list[Json]) -> list[Json]:
        rng = self._faults.rng
        for update in due:
            if rng.random() < self._faults.duplicate_probability:
                self._state.repeated.append(update)
        if len(due) > 1 and rng.random() < self._faults.reorder_probability:
            rng.shuffle(due)
        return due

    async def _post_updates(self) -> None:
        pause = 0.05
        while True:
            update = self._next_to_post()
            if update is None:
                await self._bell.heard()
                continue
            if await self._posted(update):
                pause = 0.05
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    def _next_to_post(self) -> Json | None:
        if not self._state.webhook.url:
            return None
        if self._state.repeated:
            return self._state.repeated[0]
        waiting = self._state.updates
        if len(waiting) > 1 and self._faults.rng.random() < self._faults.reorder_probability:
            return waiting[1]
        return waiting[0] if waiting else None

    async def _posted(self, update: Json) -> bool:
        webhook = self._state.webhook
        assert self._session is not None
        secret = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret} if webhook.secret else {}
        try:
            async with self._session.post(webhook.url, json=update, headers=secret) as response:
                reply = await response.read()
                if not 200 <= response.status < 300:
                    text = f"Wrong response from the webhook: {response.status} {response.reason}"
                    webhook.last_error, webhook.last_error_at = text, int(time.time())
                    return False
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            webhook.last_error = f"Connection failed: {type(error).__name__}"
            webhook.last_error_at = int(time.time())
            return False
        for where in (self._state.repeated, self._state.updates):
            if any(update is one for one in where):
                where.remove(update)
                break
        if self._faults.rng.random() < self._faults.duplicate_probability:
            self._state.repeated.append(update)
        await self._reply_in_body(reply)
        return True

    async def _reply_in_body(self, body: bytes) -> None:
        """Do the call that a bot may put into its answer to a webhook post."""
        with contextlib.suppress(ValueError, RefusalError):
            asked = json.loads(body)
            method = NAME_BY_LOWER.get(str(asked.pop("method", "")).lower()) if asked else None
            if method and method != GET_UPDATES:
                await self._carry_out(method, Parameters(values=asked))
