"""Shows "typing" in a chat whose answer takes a while. A courtesy: nothing waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from telegram import Bot
from telegram.constants import ChatAction
from telegram.error import TelegramError

from bot.telegram_updates import Received
from data.store import InboxEntry

TYPING_AFTER = 0.4
"""Seconds that an answer may take before we show that we are at it."""
SHOWN_SECONDS = 4
"""Telegram shows it for five."""


class Typing:
    """The timers of the updates that are being handled.

    Args:
        bot: Shows the action.
        read: Gives what an update says, and where; ValueError, KeyError or TypeError where it cannot.
        is_blocked: Tells whether Telegram asked us to wait with a chat.
        errand: Runs something beside.
    """

    def __init__(
        self,
        bot: Bot,
        *,
        read: Callable[[InboxEntry], Received],
        is_blocked: Callable[[int], bool],
        errand: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._bot = bot
        self._read = read
        self._is_blocked = is_blocked
        self._errand = errand
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._shown_at: dict[int, float] = {}

    def begin(self, entry: InboxEntry) -> None:
        """Start the clock of an update; call it in the event loop."""
        self.end(entry.update_id)
        self._timers[entry.update_id] = asyncio.get_running_loop().call_later(
            TYPING_AFTER, self._show, entry
        )

    def end(self, update_id: str) -> None:
        """Stop its clock: the answer is there."""
        handle = self._timers.pop(update_id, None)
        if handle is not None:
            handle.cancel()

    def stop(self) -> None:
        """Stop every clock."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()

    def _show(self, entry: InboxEntry) -> None:
        self._timers.pop(entry.update_id, None)
        try:
            received = self._read(entry)
        except (ValueError, KeyError, TypeError):
            return
        chat_id = received.chat_id
        if chat_id is None or received.incoming is None:
            return
        now = time.monotonic()
        if self._is_blocked(chat_id) or now - self._shown_at.get(chat_id, 0) < SHOWN_SECONDS:
            return
        if len(self._shown_at) > 1000:
            self._shown_at.clear()
        self._shown_at[chat_id] = now
        self._errand(self._send(chat_id, received.thread_id))

    async def _send(self, chat_id: int, thread_id: int | None) -> None:
        # The answer itself tells of any trouble.
        with contextlib.suppress(TelegramError):
            await self._bot.send_chat_action(
                chat_id, ChatAction.TYPING, message_thread_id=thread_id
            )
