"""Whether the running bot is well, for /readyz, and its figures, for /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from bot.commits import Commits
from bot.inbox import Inbox
from bot.outbox import Dispatcher
from bot.telegram_options import TelegramOptions
from bot.telegram_polling import Poller
from data.errors import StoreError
from data.store import EventStore


class Health:
    """Looks at the parts of one running bot.

    Args:
        look: Runs a read of the store in a thread; the event loop must not wait for it.
        is_full: Tells whether too much waits to take more.

    The others are the runtime's own.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        outbox: Dispatcher,
        poller: Poller,
        commits: Commits,
        store: EventStore,
        options: TelegramOptions,
        clock: Callable[[], datetime],
        look: Callable[[Callable[[], Any]], Awaitable[Any]],
        is_full: Callable[[], bool],
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._poller = poller
        self._commits = commits
        self._store = store
        self._options = options
        self._clock = clock
        self._look = look
        self._is_full = is_full
        self.is_stopping = False

    async def problems(self) -> list[str]:
        """Give what keeps us from answering well, for /readyz."""
        problems: list[str] = []
        if self.is_stopping:
            problems.append("stopping")
        if self._is_full():
            problems.append("too many updates wait")
        if not self._options.webhook_url:
            silent = self._poller.silent_seconds
            if silent > self._options.poll_seconds + 60:
                problems.append(f"no answer from Telegram for {silent:.0f} s")
        try:
            await self._look(lambda: self._store.backlog(at=self._clock()))
        except StoreError:
            # A store that only refuses writes answers 503 itself; a proxy that turned away from us
            # then would keep the write from coming that shows that all is well again.
            problems.append("the store is down")
        return problems

    async def figures(self) -> dict[str, float]:
        """Give metrics by their Prometheus names."""
        inbox, outbox = self._inbox.counts, self._outbox.counts
        figures = {
            "zhiwei_updates_received_total": inbox.received,
            "zhiwei_updates_repeated_total": inbox.repeated,
            "zhiwei_updates_handled_total": inbox.handled,
            "zhiwei_updates_failed_total": inbox.failed,
            "zhiwei_updates_parked_total": inbox.parked,
            "zhiwei_store_errors_total": inbox.store_errors,
            "zhiwei_messages_sent_total": outbox.sent,
            "zhiwei_messages_retried_total": outbox.retried,
            "zhiwei_messages_dead_total": outbox.dead,
            "zhiwei_messages_withheld_total": outbox.withheld,
            "zhiwei_messages_unclear_after_crash": outbox.unclear,
            "zhiwei_flood_refusals_total": outbox.floods,
            "zhiwei_last_answer_seconds": outbox.last_latency_seconds,
            "zhiwei_seconds_since_telegram": self._poller.silent_seconds,
            "zhiwei_degraded": float(self._options.is_degraded()),
        }
        try:
            waiting = await self._look(lambda: self._store.backlog(at=self._clock()))
        except StoreError:
            return figures | {"zhiwei_store_up": 0}
        return figures | {
            "zhiwei_store_up": float(not self._commits.is_failing),
            "zhiwei_inbox_waiting": waiting.inbox,
            "zhiwei_outbox_waiting": waiting.outbox,
            "zhiwei_updates_parked": waiting.parked,
            "zhiwei_oldest_waiting_seconds": waiting.oldest_seconds,
        }
