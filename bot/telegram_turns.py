"""One update, start to commit: read it, let the conversation answer, queue what goes out.

Facts, outgoing messages and "done" are one transaction. Runs in worker threads; sends nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bot.degradation import is_emergency
from bot.messages import ButtonPress, FileMessage, Incoming, Reply
from bot.quotas import Quotas
from bot.telegram_options import Core
from bot.telegram_render import (
    Place,
    render_all,
    render_callback,
    text_payload,
    withheld_edit,
)
from bot.telegram_updates import CHANNEL, Received, UpdateReader
from bot.wording import Words
from data.events import UserKey
from data.store import EventStore, InboxEntry, MessageClass, OutboxEntry
from data.vocabulary import Language

logger = logging.getLogger(__name__)

Json = dict[str, Any]


MOST_READ = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of an update; committed already."""

    rows: tuple[OutboxEntry, ...] = ()
    received: Received
    was_erased: bool = False
    at: datetime


class TurnHandler:
    """Handles updates of one bot."""

    def __init__(
        self,
        conversation: Core,
        store: EventStore,
        reader: UpdateReader,
        *,
        clock: Callable[[], datetime],
        admins: frozenset[int] = frozenset(),
        language: Language = Language.EN,
        quotas: Quotas | None = None,
    ) -> None:
        self._conversation = conversation
        self._store = store
        self._reader = reader
        self._clock = clock
        self._admins = admins
        self._language = language
        self._quotas = quotas
        self._received: dict[str, Received] = {}
        """What `prepare` read, until it is handled."""
        self._files: dict[str, FileMessage] = {}
        """Files that were downloaded for updates that are not handled yet."""

    @property
    def reader(self) -> UpdateReader:
        """What reads the updates."""
        return self._reader

    def has_file(self, entry: InboxEntry) -> bool:
        """Tell whether the file of an update was fetched."""
        return entry.update_id in self._files

    def keep_file(self, entry: InboxEntry, file: FileMessage) -> None:
        """Keep a file with its content until its update is handled, and read it already."""
        self._files[entry.update_id] = file
        self._conversation.prepare(file)

    def prepare(self, entry: InboxEntry) -> None:
        """Do ahead what needs no transaction."""
        received = self._read(entry)
        if len(self._received) > MOST_READ:
            self._received.clear()
        self._received[entry.update_id] = received
        if received.incoming is not None:
            self._conversation.prepare(received.incoming)

    def _read(self, entry: InboxEntry) -> Received:
        received = self._received.pop(entry.update_id, None)
        if received is None:
            received = self._reader.read(json.loads(entry.payload), at=entry.received_at)
        file = self._files.get(entry.update_id)
        return received if file is None else replace(received, incoming=file)

    def handle(self, entry: InboxEntry) -> Handled:
        """Carry out one update in one transaction; call it in a worker thread."""
        received = self._read(entry)
        at = self._clock()
        is_refused = not self._may_ask(entry, received)
        if received.incoming is not None and not is_refused:
            self._conversation.prepare(received.incoming)
        with self._store.transaction():
            rows, was_erased = self._decide(entry, received, at, is_refused=is_refused)
            self._store.queue(rows)
            self._store.mark_done(entry.update_id, at=at)
        self._files.pop(entry.update_id, None)
        return Handled(rows=rows, received=received, was_erased=was_erased, at=at)

    def _may_ask(self, entry: InboxEntry, received: Received) -> bool:
        """Tell whether this person did not ask too much; an emergency always may, and a press."""
        incoming = received.incoming
        if self._quotas is None or incoming is None or isinstance(incoming, ButtonPress):
            return True
        # What waited while we were away was not sent too fast.
        sent_at = received.sent_at or entry.received_at
        return self._quotas.allow(received.user_key, sent_at) or is_emergency(incoming)

    def _decide(
        self, entry: InboxEntry, received: Received, at: datetime, *, is_refused: bool
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
        if is_refused:
            return tuple(self._wait_note(entry, received, received.incoming, at)), False
        replies = self._conversation.handle(received.incoming)
        # Erasing takes the address along: whatever waits in memory for this person must go, too.
        was_erased = (
            received.is_private and self._store.address(received.user_key, CHANNEL) is None
        )
        return tuple(self._rows(entry, received, received.incoming, replies, at)), was_erased

    def _wait_note(
        self, entry: InboxEntry, received: Received, incoming: Incoming, at: datetime
    ) -> Iterator[OutboxEntry]:
        sent_at = received.sent_at or entry.received_at
        if self._quotas is not None and self._quotas.should_tell(received.user_key, sent_at):
            text = Words(self._conversation.language_of(incoming))("quota.wait")
            name = f"{entry.update_id}:wait"
            yield _note(name, _place(received), text, received.user_key, at)

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
            answer = render_callback(received.callback_id, notice, place, is_alone=not says_more)
            yield _press_answer(entry, received, answer, at)
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
        if payload["method"] == "editMessageMedia":
            place = Place(chat_id=params["chat_id"], pressed_id=params["message_id"])
            return withheld_edit(text, place)
        if payload["method"] == "editMessageText":
            return {
                "method": "editMessageText",
                "params": params | {"text": text},
                "plain": text,
            }
        params.pop("message_id", None)
        return {"method": "sendMessage", "params": params | {"text": text}, "plain": text}

    def apologise(self, entry: InboxEntry, *, tells_admins: bool) -> list[OutboxEntry]:
        """Queue one polite line for the person, and the id for the admins; never what was said."""
        at = self._clock()
        self._files.pop(entry.update_id, None)
        rows: list[OutboxEntry] = []
        try:
            received = self._reader.read(json.loads(entry.payload), at=entry.received_at)
        except Exception:
            logger.exception("the parked update %s cannot be read", entry.update_id)
            received = Received()
        if received.incoming is not None and received.chat_id is not None:
            tag = received.incoming.sender.language_code
            text = Words(_language(tag, self._language))("update.failed")
            place = _place(received)
            if received.callback_id:
                answer = render_callback(received.callback_id, text, place, is_alone=True)
                rows.append(_press_answer(entry, received, answer, at))
            else:
                name = f"{entry.update_id}:sorry"
                rows.append(_note(name, place, text, received.user_key, at))
        if tells_admins:
            told = Words(self._language)(
                "update.parked", n=entry.attempts + 1, update=entry.update_id
            )
            for admin in sorted(self._admins):
                key = self._reader.user_key(admin)
                name = f"{entry.update_id}:admin:{key[:8]}"
                rows.append(_note(name, Place(chat_id=admin), told, key, at))
        self._store.queue(rows)
        return rows


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


def _press_answer(
    entry: InboxEntry, received: Received, payload: Json, at: datetime
) -> OutboxEntry:
    return OutboxEntry(
        outbox_id=f"{entry.update_id}:press",
        address=f"callback:{received.callback_id}",
        payload=_dumps(payload),
        message_class=MessageClass.ANSWER,
        user_key=received.user_key,
        created_at=at,
    )
