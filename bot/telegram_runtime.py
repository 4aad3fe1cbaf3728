"""Joins intake, handling and sending into one running bot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from telegram import Bot
from telegram.error import TelegramError

from bot.commits import Commits
from bot.inbox import Inbox
from bot.messages import ButtonPress, Command, FileMessage
from bot.outage import OutageNotes
from bot.outbox import Dispatcher
from bot.send_errors import SendError
from bot.sent_journal import SentJournal
from bot.telegram_files import download
from bot.telegram_health import Health
from bot.telegram_http import BotApiRequest
from bot.telegram_menu import KNOWN, register_menu
from bot.telegram_options import Core, TelegramOptions
from bot.telegram_polling import Poller, RawUpdates, backoff, patiently
from bot.telegram_sending import CallbackAnswers, TelegramTransport
from bot.telegram_turns import Handled, TurnHandler
from bot.telegram_typing import Typing
from bot.telegram_updates import (
    ALLOWED_UPDATES,
    CHANNEL,
    Received,
    UpdateReader,
    incoming_id,
    minimised,
)
from data.errors import StoreError
from data.store import EventStore, InboxEntry

logger = logging.getLogger(__name__)

ANSWER_PRESS_WITHIN = 0.3
Json = dict[str, Any]
Clock = Callable[[], datetime]


class TelegramRuntime:
    """Everything that runs between Telegram and the conversation. Use it as a context manager."""

    def __init__(
        self,
        conversation: Core,
        store: EventStore,
        options: TelegramOptions,
        *,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._conversation = conversation
        self._store = store
        self._options = options
        self._clock = clock
        # The library's coming default; its old one warns at every refusal for flooding.
        os.environ.setdefault("PTB_TIMEDELTA", "true")
        root = options.api_root.rstrip("/")
        raw = RawUpdates(root, connections=2)
        self.bot = Bot(
            options.token,
            base_url=f"{root}/bot",
            base_file_url=f"{root}/file/bot",
            request=BotApiRequest(root, connections=options.send_concurrency + 16),
            get_updates_request=raw,
        )
        self._handlers = ThreadPoolExecutor(options.workers, thread_name_prefix="handle")
        self._writers = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="look")
        # A file may be built to take all the time it is given; that must delay no look at the store.
        self._parsers = ThreadPoolExecutor(2, thread_name_prefix="parse")
        self._commits = Commits(store, self._writers)
        self.callbacks = CallbackAnswers(self.bot)
        self.typing = Typing(
            self.bot,
            read=lambda entry: self.turns.reader.read(
                json.loads(entry.payload), at=entry.received_at
            ),
            is_blocked=lambda chat_id: self.outbox.pace.is_blocked(str(chat_id)),
            errand=self._errand,
        )
        self.inbox = Inbox(
            store,
            self._commits,
            self._handle,
            self._handlers,
            workers=options.workers,
            batch=options.batch,
            on_start=self.typing.begin,
            before=self._before,
            prepare=lambda entry: self.turns.prepare(entry),
            after=self._after,
            on_parked=self._on_parked,
        )
        self._journal = SentJournal(options.journal)
        self.outbox = Dispatcher(
            store,
            self._commits,
            TelegramTransport(self.bot, self.callbacks),
            conversation,
            self._readers,
            channel=CHANNEL,
            clock=clock,
            monotonic=time.monotonic,
            rates=options.rates,
            concurrency=options.send_concurrency,
            journal=self._journal,
        )
        self.poller = Poller(
            self.bot,
            raw,
            self.take,
            self.is_full,
            poll_seconds=options.poll_seconds,
            patience_seconds=options.conflict_patience_seconds,
        )
        self._turns: TurnHandler | None = None
        self._errands: set[asyncio.Task[Any]] = set()
        self._readied: set[str] = set()
        """Updates whose slow reading is done or under way."""
        self._told_admins_at = float("-inf")
        self._outage = OutageNotes(options.language)
        self.health = Health(
            inbox=self.inbox,
            outbox=self.outbox,
            poller=self.poller,
            commits=self._commits,
            store=store,
            options=options,
            clock=clock,
            look=self._look,
            is_full=self.is_full,
        )

    @property
    def turns(self) -> TurnHandler:
        """What handles an update; known as soon as the bot knows its own name."""
        if self._turns is None:
            raise RuntimeError("the runtime is not started")
        return self._turns

    async def start(self) -> None:
        """Reach Telegram, take up what an earlier run left, and begin to handle and send.

        Raises:
            SettingsError: Telegram does not know the token.
        """
        await patiently(self.bot.initialize)
        me = self.bot.bot
        self._turns = TurnHandler(
            self._conversation,
            self._store,
            UpdateReader(
                secret=self._options.secret,
                bot_id=me.id,
                username=me.username or "",
                group_commands=KNOWN,
            ),
            clock=self._clock,
            admins=self._options.admins,
            language=self._options.language,
            quotas=self._options.quotas,
        )
        await self._store_patiently(self.outbox.start)
        left = await self._store_patiently(self.inbox.start)
        logger.info("started", extra={"left_over": left})
        if self._options.registers_menu:
            self._errand(self._menu())

    async def failed(self) -> None:
        """Wait until a part that must not end has ended.

        Raises:
            Exception: What ended it. A fresh start finds everything in the store.
        """
        done, _ = await asyncio.wait(
            (*self.inbox.tasks, *self.outbox.tasks), return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Handle and send what waits, within the deadline; the rest stays in the store."""
        self.health.is_stopping = True
        deadline = time.monotonic() + self._options.drain_seconds
        await self.inbox.drain(self._options.drain_seconds)
        await self.inbox.stop()
        await self.outbox.drain(max(0.1, deadline - time.monotonic()))
        await self.outbox.stop()
        self.typing.stop()
        for task in list(self._errands):
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        self._journal.close()
        await self.bot.shutdown()
        for pool in (self._handlers, self._writers, self._readers, self._parsers):
            await asyncio.to_thread(pool.shutdown, wait=True)

    async def take(self, updates: Sequence[Json]) -> None:
        """Commit updates; when this returns, Telegram may forget them.

        Raises:
            StoreError: Nothing was taken.
        """
        at = self._clock()
        entries = [
            InboxEntry(
                update_id=incoming_id(update),
                lane=self.turns.reader.lane(update),
                payload=json.dumps(minimised(update), ensure_ascii=False),
                received_at=at,
            )
            for update in updates
        ]
        try:
            await self.inbox.put(entries)
        except StoreError:
            self._errand(self._tell_of_outage(updates, at))
            raise
        for update in updates:
            press = update.get("callback_query")
            if isinstance(press, dict):
                self._answer_in_time(str(press.get("id", "")))

    async def _tell_of_outage(self, updates: Sequence[Json], at: datetime) -> None:
        for update in updates:
            try:
                received = self.turns.reader.read(update, at=at)
            except (ValueError, KeyError, TypeError):
                continue
            if received.incoming is None or received.chat_id is None or not received.is_private:
                continue
            text = self._outage.note(received.chat_id, received.incoming, now=time.monotonic())
            if text is not None:
                # Past the outbox, which needs the store; the answer itself comes through it later.
                with contextlib.suppress(TelegramError):
                    await self.bot.send_message(received.chat_id, text)

    def is_full(self) -> bool:
        """Tell whether too much waits to take more."""
        return self.inbox.backlog >= self._options.max_backlog

    async def listen(self) -> None:
        """Tell Telegram to post updates to our webhook."""
        await patiently(
            lambda: self.bot.set_webhook(
                self._options.webhook_url,
                secret_token=self._options.webhook_secret,
                allowed_updates=list(ALLOWED_UPDATES),
                drop_pending_updates=False,
                max_connections=40,
            )
        )

    # around one update, in the event loop

    def _handle(self, entry: InboxEntry) -> Handled:
        return self.turns.handle(entry)

    def _before(self, entry: InboxEntry) -> Awaitable[None] | None:
        """Fetch the file that a creator sent, and read lessons that a creator's tool needs.

        Both may take seconds; nobody else's updates are looked at.
        """
        if '"document"' not in entry.payload:
            return self._get_ready(entry)
        if self.turns.has_file(entry):
            return None
        try:
            received = self.turns.reader.read(json.loads(entry.payload), at=entry.received_at)
        except (ValueError, KeyError, TypeError):
            return None
        file = received.incoming
        if not isinstance(file, FileMessage) or file.sender.numeric_id not in (
            self._options.creators | self._options.admins
        ):
            return None
        return self._fetch_file(entry, file, received)

    def _get_ready(self, entry: InboxEntry) -> Awaitable[None] | None:
        """Prepare a creator's command or press apart from the thread that handles everybody."""
        may = self._options.creators | self._options.admins
        if not may or entry.update_id in self._readied:
            self._readied.discard(entry.update_id)
            return None
        try:
            incoming = self.turns.reader.read(
                json.loads(entry.payload), at=entry.received_at
            ).incoming
        except (ValueError, KeyError, TypeError):
            return None
        if not isinstance(incoming, Command | ButtonPress):
            return None
        if incoming.sender.numeric_id not in may:
            return None
        self._readied.add(entry.update_id)
        self.typing.begin(entry)
        return self._look(lambda: self._conversation.prepare(incoming))

    async def _fetch_file(self, entry: InboxEntry, file: FileMessage, received: Received) -> None:
        content, problem = await download(self.bot, received.file_id, received.file_size)
        whole = replace(file, content=content, problem=problem)
        # Reading it may take seconds, so not in the thread that handles everybody.
        await asyncio.get_running_loop().run_in_executor(
            self._parsers, lambda: self.turns.keep_file(entry, whole)
        )

    def _after(self, entry: InboxEntry, handled: Handled) -> None:
        self.typing.end(entry.update_id)
        if handled.was_erased:
            self.inbox.forget_lane(entry.lane, until=handled.at)
            self.outbox.forget(handled.received.user_key, until=handled.at)
        self.outbox.add(handled.rows)

    def _answer_in_time(self, callback_id: str) -> None:
        def late() -> None:
            if not self.callbacks.is_answered(callback_id):
                self._errand(self._answer_empty(callback_id))

        asyncio.get_running_loop().call_later(ANSWER_PRESS_WITHIN, late)

    async def _answer_empty(self, callback_id: str) -> None:
        # If this fails, the handler's own answer follows through the outbox.
        with contextlib.suppress(SendError):
            await self.callbacks.answer(callback_id)

    async def _on_parked(self, entry: InboxEntry) -> None:
        self.typing.end(entry.update_id)
        now = time.monotonic()
        tells_admins = now - self._told_admins_at > 60
        if tells_admins:
            self._told_admins_at = now
        with contextlib.suppress(StoreError):
            rows = await self._commits.run(
                lambda: self.turns.apologise(entry, tells_admins=tells_admins)
            )
            self.outbox.add(rows)

    def _errand(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _menu(self) -> None:
        refused = await register_menu(
            self.bot,
            admins=self._options.admins,
            creators=self._options.creators,
            default=self._options.language,
        )
        logger.info("menus registered", extra={"refused": refused})

    async def _store_patiently(self, call: Callable[[], Awaitable[int]]) -> int:
        for attempt in range(1, 6):
            try:
                return await call()
            except StoreError:
                if attempt == 5:
                    raise
                await asyncio.sleep(backoff(attempt))
        return 0

    async def _look(self, read: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._readers, read)
