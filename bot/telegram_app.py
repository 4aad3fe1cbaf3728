"""Zhiwei on Telegram: durable intake, fair handling, one transaction per update, durable sending.

python-telegram-bot is the client for every call. Its Application and Updater are not used: the
Updater moves the offset, which confirms updates for good, when they are in a queue in memory. Here
the offset moves after `store.receive` has committed, so a crash at any moment loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import uvicorn
from telegram import Bot
from telegram.constants import ChatAction
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from bot.commits import Commits
from bot.inbox import Inbox
from bot.messages import Command, Incoming, Reply
from bot.outbox import Dispatcher, Refused, SendError
from bot.pacing import Rates
from bot.redaction import install_redaction
from bot.serving import Intake, build_app
from bot.telegram_menu import KNOWN, register_menu
from bot.telegram_render import Place, render_all, render_callback, text_payload
from bot.telegram_sending import CallbackAnswers, TelegramTransport, seconds_of
from bot.telegram_updates import (
    ALLOWED_UPDATES,
    CHANNEL,
    Received,
    UpdateReader,
    incoming_id,
    minimised,
)
from bot.wording import Words
from data.catalogue import ItemId
from data.errors import SettingsError, StoreError, ZhiweiError
from data.events import UserKey
from data.store import EventStore, InboxEntry, MessageClass, OutboxEntry
from data.vocabulary import Language

logger = logging.getLogger(__name__)

ANSWER_PRESS_WITHIN = 0.3
TYPING_AFTER = 0.4
READ_TIMEOUT = 20.0
_SORRY = {
    Language.ZH: "抱歉，这条消息我没能处理，已经报告给维护者。请换个说法，或用 /help 看看我能做什么。",
    Language.EN: "Sorry, I could not handle that message, and my keepers have been told. "
    "Please put it another way, or see /help.",
}
_TOLD_ADMINS = {
    Language.ZH: "更新 {update} 失败 {n} 次，已搁置。详情见日志，按此编号查找。",
    Language.EN: "Update {update} failed {n} times and was parked. Look for this id in the log.",
}
Json = dict[str, Any]
Clock = Callable[[], datetime]


class TelegramConflict(ZhiweiError):
    """Another program takes this bot's updates."""


class Core(Protocol):
    """The conversation, as far as this adapter knows it."""

    def handle(self, incoming: Incoming) -> list[Reply]: ...
    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None: ...
    def may_send(
        self, user_key: UserKey, item_ids: tuple[ItemId, ...], at: datetime
    ) -> Sequence[Refused]: ...
    def language_of(self, incoming: Incoming) -> Language: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramOptions:
    """How to run on Telegram."""

    token: str = field(repr=False)
    secret: bytes = field(repr=False)
    """The deployment's secret, for pseudonyms; the same that signs the buttons."""
    api_root: str = "https://api.telegram.org"
    admins: frozenset[int] = frozenset()
    creators: frozenset[int] = frozenset()
    language: Language = Language.EN
    """For people and menus without a language of ours."""
    poll_seconds: int = 25
    """How long Telegram holds a poll when nothing happens."""
    workers: int = 2
    """Updates handled at once; the store has one writer, so more gain nothing."""
    send_concurrency: int = 8
    drain_seconds: float = 10.0
    """After a signal to stop: how long what waits may still be handled and sent."""
    conflict_patience_seconds: float = 40.0
    """A poll of a process that was killed lives on for a while; this is not a conflict yet."""
    max_backlog: int = 5_000
    """With so many updates waiting no more are taken; Telegram keeps them for a day."""
    registers_menu: bool = True
    rates: Rates = field(default_factory=Rates)
    webhook_url: str = ""
    """Public https address of `/telegram`."""
    webhook_secret: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    health_port: int | None = None
    """With polling: serve /healthz, /readyz and /metrics on this port of 127.0.0.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of an update; committed already."""

    rows: tuple[OutboxEntry, ...] = ()
    received: Received
    was_erased: bool = False
    at: datetime


class RawUpdates(HTTPXRequest):
    """Hands updates over as Telegram's own JSON.

    The inbox stores exactly that, and an update of a shape that the library cannot parse must not
    stop those behind it.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
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
        root = options.api_root.rstrip("/")
        network: dict[str, Any] = {"read_timeout": READ_TIMEOUT, "connect_timeout": 10.0}
        if urlsplit(root).hostname in ("127.0.0.1", "localhost", "::1"):
            network["httpx_kwargs"] = {"trust_env": False}
        self._raw = RawUpdates(connection_pool_size=2, **network)
        self.bot = Bot(
            options.token,
            base_url=f"{root}/bot",
            base_file_url=f"{root}/file/bot",
            request=HTTPXRequest(
                connection_pool_size=options.send_concurrency + 16, pool_timeout=5.0, **network
            ),
            get_updates_request=self._raw,
        )
        self._handlers = ThreadPoolExecutor(options.workers, thread_name_prefix="handle")
        self._writers = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="look")
        self._commits = Commits(store, self._writers)
        self.callbacks = CallbackAnswers(self.bot)
        self.inbox = Inbox(
            store,
            self._commits,
            self._handle,
            self._handlers,
            workers=options.workers,
            on_start=self._on_start,
            after=self._after,
            on_parked=self._on_parked,
        )
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
        )
        self._reader: UpdateReader | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._errands: set[asyncio.Task[Any]] = set()
        self._typing_at: dict[int, float] = {}
        self._told_admins_at = float("-inf")
        self._heard_at = time.monotonic()
        self._is_stopping = False

    @property
    def reader(self) -> UpdateReader:
        if self._reader is None:
            raise RuntimeError("the runtime is not started")
        return self._reader

    async def start(self) -> None:
        """Reach Telegram, take up what an earlier run left, and begin to handle and send.

        Raises:
            SettingsError: Telegram does not know the token.
        """
        me = await self._patiently(self._who_am_i)
        self._reader = UpdateReader(
            secret=self._options.secret,
            bot_id=me.id,
            username=me.username or "",
            group_commands=KNOWN,
        )
        await self._store_patiently(self.outbox.start)
        left = await self._store_patiently(self.inbox.start)
        logger.info("started", extra={"left_over": left})
        if self._options.registers_menu:
            self._errand(self._menu())

    async def stop(self) -> None:
        """Handle and send what waits, within the deadline; the rest stays in the store."""
        self._is_stopping = True
        deadline = time.monotonic() + self._options.drain_seconds
        await self.inbox.drain(self._options.drain_seconds)
        await self.inbox.stop()
        await self.outbox.drain(max(0.1, deadline - time.monotonic()))
        await self.outbox.stop()
        for handle in self._timers.values():
            handle.cancel()
        for task in list(self._errands):
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        await self.bot.shutdown()
        for pool in (self._handlers, self._writers, self._readers):
            await asyncio.to_thread(pool.shutdown, wait=True)

    async def take(self, updates: Sequence[Json]) -> None:
        """Commit updates; when this returns, Telegram may forget them.

        Raises:
            StoreError: Nothing was taken.
        """
        at = self._clock()
        await self.inbox.put(
            [
                InboxEntry(
                    update_id=incoming_id(update),
                    lane=self.reader.lane(update),
                    payload=json.dumps(minimised(update), ensure_ascii=False),
                    received_at=at,
                )
                for update in updates
            ]
        )
        for update in updates:
            press = update.get("callback_query")
            if isinstance(press, dict):
                self._answer_in_time(str(press.get("id", "")))

    async def poll(self, stop: asyncio.Event) -> None:
        """Fetch updates until told to stop.

        Raises:
            TelegramConflict: Another program polls with the same token.
            SettingsError: The token was revoked.
        """
        await self._patiently(
            lambda: self.bot.delete_webhook(drop_pending_updates=False), stop=stop
        )
        offset: int | None = None
        n_errors = 0
        refused_since: float | None = None
        while not stop.is_set():
            if self.is_full():
                await _sleep(0.2, stop)
                continue
            try:
                updates = await _unless(stop, self._fetch(offset))
                if updates is None:
                    return
                if updates:
                    await self.take(updates)
                    # Only now: this number confirms everything below it.
                    offset = max(int(update["update_id"]) for update in updates) + 1
                n_errors, refused_since = 0, None
                self._heard_at = time.monotonic()
            except (Conflict, InvalidToken) as error:
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > self._options.conflict_patience_seconds:
                    raise _explained(error) from error
                await _sleep(1.0, stop)
            except RetryAfter as error:
                await _sleep(seconds_of(error), stop)
            except (TelegramError, StoreError, ValueError) as error:
                n_errors += 1
                logger.warning("fetching updates failed: %s", type(error).__name__)
                await _sleep(_backoff(n_errors), stop)

    async def _fetch(self, offset: int | None) -> list[Json]:
        await self.bot.get_updates(
            offset=offset,
            limit=100,
            timeout=self._options.poll_seconds,
            allowed_updates=list(ALLOWED_UPDATES),
        )
        return self._raw.take()

    def is_full(self) -> bool:
        """Tell whether too much waits to take more."""
        return self.inbox.backlog >= self._options.max_backlog

    async def problems(self) -> list[str]:
        """Give what keeps us from answering well, for /readyz."""
        problems: list[str] = []
        if self._is_stopping:
            problems.append("stopping")
        if self.is_full():
            problems.append("too many updates wait")
        if not self._options.webhook_url:
            silent = time.monotonic() - self._heard_at
            if silent > self._options.poll_seconds + 60:
                problems.append(f"no answer from Telegram for {silent:.0f} s")
        try:
            await self._look(lambda: self._store.backlog(at=self._clock()))
        except StoreError:
            problems.append("the store is down")
        return problems

    async def figures(self) -> dict[str, float]:
        """Give metrics by their Prometheus names."""
        inbox, outbox = self.inbox.counts, self.outbox.counts
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
            "zhiwei_flood_refusals_total": outbox.floods,
            "zhiwei_last_answer_seconds": outbox.last_latency_seconds,
            "zhiwei_seconds_since_telegram": time.monotonic() - self._heard_at,
        }
        try:
            waiting = await self._look(lambda: self._store.backlog(at=self._clock()))
        except StoreError:
            return figures | {"zhiwei_store_up": 0}
        return figures | {
            "zhiwei_store_up": 1,
            "zhiwei_inbox_waiting": waiting.inbox,
            "zhiwei_outbox_waiting": waiting.outbox,
            "zhiwei_updates_parked": waiting.parked,
            "zhiwei_oldest_waiting_seconds": waiting.oldest_seconds,
        }

    # one update, in a worker thread

    def _handle(self, entry: InboxEntry) -> Handled:
        received = self.reader.read(json.loads(entry.payload), at=entry.received_at)
        at = self._clock()
        with self._store.transaction():
            rows, was_erased = self._decide(entry, received, at)
            self._store.queue(rows)
            self._store.mark_done(entry.update_id, at=at)
        return Handled(rows=rows, received=received, was_erased=was_erased, at=at)

    def _decide(
        self, entry: InboxEntry, received: Received, at: datetime
    ) -> tuple[tuple[OutboxEntry, ...], bool]:
        if received.moved_to is not None:
            self._store.move_address(CHANNEL, str(received.chat_id), str(received.moved_to))
        if received.is_reachable is not None:
            self._store.set_reachable(CHANNEL, str(received.chat_id), received.is_reachable)
        if received.incoming is None or received.chat_id is None:
            return (), False
        if received.is_private:
            self._store.put_address(
                received.user_key, CHANNEL, str(received.chat_id), at=entry.received_at
            )
        replies = self._conversation.handle(received.incoming)
        # Erasing takes the address along: whatever waits in memory for this person must go, too.
        was_erased = (
            received.is_private and self._store.address(received.user_key, CHANNEL) is None
        )
        return tuple(self._rows(entry, received, received.incoming, replies, at)), was_erased

    def _rows(
        self,
        entry: InboxEntry,
        received: Received,
        incoming: Incoming,
        replies: list[Reply],
        at: datetime,
    ) -> Iterator[OutboxEntry]:
        place = _place(received)
        n = 0
        if received.callback_id:
            notice = next((reply.notice for reply in replies if reply.notice), "")
            says_more = any(reply.spans or reply.document for reply in replies)
            yield OutboxEntry(
                outbox_id=f"{entry.update_id}:press",
                address=f"callback:{received.callback_id}",
                payload=_dumps(
                    render_callback(received.callback_id, notice, place, is_alone=not says_more)
                ),
                message_class=MessageClass.ANSWER,
                user_key=received.user_key,
                created_at=at,
            )
        for reply, payloads in render_all(replies, place):
            for position, payload in enumerate(payloads):
                if reply.item_ids:
                    payload["instead"] = self._instead(payload, incoming)
                is_last = position == len(payloads) - 1
                yield OutboxEntry(
                    outbox_id=f"{entry.update_id}:{n}",
                    address=str(received.chat_id),
                    payload=_dumps(payload),
                    message_class=_class_of(reply, payload),
                    user_key=received.user_key,
                    created_at=at,
                    # The slate was shown when its last part arrived.
                    slate_id=reply.slate_id if is_last else None,
                )
                n += 1

    def _instead(self, payload: Json, incoming: Incoming) -> Json:
        """What goes out when the last check stops the message: same place, no items, no buttons."""
        text = Words(self._conversation.language_of(incoming))("slate.withheld")
        params = {
            name: value
            for name, value in payload["params"].items()
            if name in ("chat_id", "message_id", "message_thread_id", "reply_parameters")
        }
        if payload["method"] == "editMessageText":
            return {
                "method": "editMessageText",
                "params": params | {"text": text},
                "plain": text,
            }
        params.pop("message_id", None)
        return {"method": "sendMessage", "params": params | {"text": text}, "plain": text}

    # around it, in the event loop

    def _on_start(self, entry: InboxEntry) -> None:
        loop = asyncio.get_running_loop()
        self._cancel_timer(entry.update_id)
        self._timers[entry.update_id] = loop.call_later(TYPING_AFTER, self._type, entry)

    def _type(self, entry: InboxEntry) -> None:
        self._timers.pop(entry.update_id, None)
        try:
            received = self.reader.read(json.loads(entry.payload), at=entry.received_at)
        except (ValueError, KeyError, TypeError):
            return
        chat_id = received.chat_id
        if chat_id is None or received.incoming is None:
            return
        now = time.monotonic()
        if self.outbox.pace.is_blocked(str(chat_id)) or now - self._typing_at.get(chat_id, 0) < 4:
            return
        if len(self._typing_at) > 1000:
            self._typing_at.clear()
        self._typing_at[chat_id] = now
        self._errand(self._show_typing(chat_id, received.thread_id))

    async def _show_typing(self, chat_id: int, thread_id: int | None) -> None:
        # A courtesy; the answer itself tells of any trouble.
        with contextlib.suppress(TelegramError):
            await self.bot.send_chat_action(
                chat_id, ChatAction.TYPING, message_thread_id=thread_id
            )

    def _after(self, entry: InboxEntry, handled: Handled) -> None:
        self._cancel_timer(entry.update_id)
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

    def _on_parked(self, entry: InboxEntry, error: Exception) -> None:
        self._cancel_timer(entry.update_id)
        self._errand(self._apologise(entry))

    async def _apologise(self, entry: InboxEntry) -> None:
        """One polite line for the person, and the id for the admins; never what was written."""
        at = self._clock()
        rows: list[OutboxEntry] = []
        try:
            received = self.reader.read(json.loads(entry.payload), at=entry.received_at)
        except Exception:
            logger.exception("the parked update %s cannot be read", entry.update_id)
            received = Received()
        if received.incoming is not None and received.chat_id is not None:
            tag = received.incoming.sender.language_code
            text = _SORRY[_language(tag, self._options.language)]
            place = _place(received)
            if received.callback_id:
                rows.append(
                    OutboxEntry(
                        outbox_id=f"{entry.update_id}:press",
                        address=f"callback:{received.callback_id}",
                        payload=_dumps(
                            render_callback(received.callback_id, text, place, is_alone=True)
                        ),
                        message_class=MessageClass.ANSWER,
                        user_key=received.user_key,
                        created_at=at,
                    )
                )
            else:
                rows.append(_note(f"{entry.update_id}:sorry", place, text, received.user_key, at))
        now = time.monotonic()
        if now - self._told_admins_at > 60:
            self._told_admins_at = now
            told = _TOLD_ADMINS[self._options.language].format(
                update=entry.update_id, n=entry.attempts + 1
            )
            for admin in sorted(self._options.admins):
                key = self.reader.user_key(admin)
                name = f"{entry.update_id}:admin:{key[:8]}"
                rows.append(_note(name, Place(chat_id=admin), told, key, at))
        with contextlib.suppress(StoreError):
            await self._commits.run(lambda: self._store.queue(rows))
            self.outbox.add(rows)

    def _cancel_timer(self, update_id: str) -> None:
        handle = self._timers.pop(update_id, None)
        if handle is not None:
            handle.cancel()

    def _errand(self, work: Any) -> None:
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

    async def _who_am_i(self) -> Any:
        await self.bot.initialize()
        return self.bot.bot

    async def _patiently(
        self, call: Callable[[], Awaitable[Any]], *, stop: asyncio.Event | None = None
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
                await _sleep(seconds_of(error), stop)
            except TelegramError as error:
                n_errors += 1
                logger.warning("Telegram is not reached yet: %s", type(error).__name__)
                await _sleep(_backoff(n_errors), stop)
        return None

    async def _store_patiently(self, call: Callable[[], Awaitable[int]]) -> int:
        for attempt in range(1, 6):
            try:
                return await call()
            except StoreError:
                if attempt == 5:
                    raise
                await asyncio.sleep(_backoff(attempt))
        return 0

    async def _look(self, read: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._readers, read)


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
            await runtime.poll(end)
            return
        app = build_app(ready=runtime.problems, figures=runtime.figures)
        async with _serving(app, "127.0.0.1", options.health_port):
            await runtime.poll(end)


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
        app = build_app(ready=runtime.problems, figures=runtime.figures, intake=intake)
        async with _serving(app, options.host, options.port):
            await runtime._patiently(
                lambda: runtime.bot.set_webhook(
                    options.webhook_url,
                    secret_token=options.webhook_secret,
                    allowed_updates=list(ALLOWED_UPDATES),
                    drop_pending_updates=False,
                    max_connections=40,
                ),
                stop=end,
            )
            on_ready(runtime)
            await end.wait()


@contextlib.asynccontextmanager
async def _running(
    conversation: Core,
    store: EventStore,
    options: TelegramOptions,
    stop: asyncio.Event | None,
    clock: Clock,
) -> Any:
    install_redaction([options.token, options.webhook_secret])
    runtime = TelegramRuntime(conversation, store, options, clock=clock)
    end = stop or asyncio.Event()
    with _signals(end) if stop is None else contextlib.nullcontext():
        try:
            await _unless(end, runtime.start())
            yield runtime, end
        finally:
            await runtime.stop()


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
async def _serving(app: Any, host: str, port: int) -> Any:
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
        yield server
    finally:
        server.should_exit = True
        with contextlib.suppress(SystemExit, asyncio.CancelledError):
            await task


async def _unless(stop: asyncio.Event, work: Awaitable[Any]) -> Any:
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


async def _sleep(seconds: float, stop: asyncio.Event | None) -> None:
    if stop is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _backoff(n_errors: int) -> float:
    longest: float = min(30.0, 0.25 * 2 ** min(n_errors, 10))
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


def _place(received: Received) -> Place:
    is_press = bool(received.callback_id)
    return Place(
        chat_id=received.chat_id or 0,
        thread_id=received.thread_id,
        reply_to=received.message_id if not received.is_private and not is_press else None,
        pressed_id=received.message_id if is_press and not received.is_pressed_gone else None,
        pressed_has_media=received.pressed_has_media,
    )


def _class_of(reply: Reply, payload: Json) -> MessageClass:
    if reply.message_class is MessageClass.ANSWER and payload["method"].startswith("edit"):
        return MessageClass.EDIT
    return reply.message_class


def _note(name: str, place: Place, text: str, user_key: UserKey, at: datetime) -> OutboxEntry:
    return OutboxEntry(
        outbox_id=name,
        address=str(place.chat_id),
        payload=_dumps(text_payload(text, place)),
        message_class=MessageClass.ANSWER,
        user_key=user_key,
        created_at=at,
    )


def _language(tag: str, default: Language) -> Language:
    code = tag.lower()[:2]
    return Language(code) if code in set(Language) else default


def _dumps(payload: Json) -> str:
    return json.dumps(payload, ensure_ascii=False)


__all__ = ["Command", "TelegramOptions", "TelegramRuntime", "run_polling", "run_webhook"]
