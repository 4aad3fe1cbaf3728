"""Everything the fake Telegram knows: people, chats, messages, updates, files and past calls."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fake_telegram.refusal import RefusalError, bad_request

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class User:
    """A person, or the bot itself."""

    id: int
    first_name: str
    language_code: str | None = None
    is_bot: bool = False
    username: str | None = None
    has_blocked_the_bot: bool = False

    def to_json(self) -> Json:
        """Return the User object of the Bot API."""
        known = {"language_code": self.language_code, "username": self.username}
        return {
            "id": self.id,
            "is_bot": self.is_bot,
            "first_name": self.first_name,
        } | {key: value for key, value in known.items() if value}


@dataclass(slots=True, kw_only=True)
class Chat:
    """A private chat (positive id) or a group (negative id) and what stands in it."""

    id: int
    type: str
    title: str
    messages: OrderedDict[int, Json] = field(default_factory=OrderedDict)
    next_message_id: int = 1
    menu_button: Json = field(default_factory=lambda: {"type": "commands"})
    migrated_to: int | None = None
    has_removed_the_bot: bool = False

    def to_json(self) -> Json:
        """Return the Chat object of the Bot API."""
        name = "first_name" if self.type == "private" else "title"
        return {"id": self.id, "type": self.type, name: self.title}


@dataclass(slots=True, kw_only=True)
class Callback:
    """A press of an inline button, which the bot must answer once."""

    id: str
    user_id: int
    chat_id: int
    message_id: int
    pressed_at: float
    answered_at: float | None = None
    answer: Json | None = None
    is_expired: bool = False


@dataclass(slots=True, kw_only=True)
class StoredFile:
    """A file that was sent by somebody and can be sent again or downloaded."""

    id: str
    name: str
    mime: str
    content: bytes
    size: int


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of the bot and how it ended."""

    number: int
    at: float
    method: str
    parameters: Json
    status: int = 0
    description: str = ""
    result: Any = None
    seconds: float = 0.0
    fault: str = ""

    def to_json(self) -> Json:
        """Return the call for the control API."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True, kw_only=True)
class Webhook:
    """Where updates are posted; an empty url means that the bot polls."""

    url: str = ""
    secret: str = ""
    last_error: str = ""
    last_error_at: int = 0


@dataclass(kw_only=True)
class State:
    """One object that a test can read, and that is new for every test.

    Attributes:
        keep_calls: How many past calls are kept; None keeps all.
        keep_messages: How many messages a chat keeps; None keeps all.
    """

    token: str
    keep_calls: int | None = None
    keep_messages: int | None = None
    clock: Callable[[], float] = time.monotonic
    users: dict[int, User] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    updates: deque[Json] = field(default_factory=deque)
    repeated: deque[Json] = field(default_factory=deque)
    """Updates to be given out once more, whatever was confirmed."""
    recent_updates: deque[Json] = field(default_factory=lambda: deque(maxlen=1000))
    next_update_id: int = 1000
    callbacks: OrderedDict[str, Callback] = field(default_factory=OrderedDict)
    files: OrderedDict[str, StoredFile] = field(default_factory=OrderedDict)
    commands: dict[tuple[str, int, str], list[Json]] = field(default_factory=dict)
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    """Name, description and short description by (field, language)."""
    reactions: dict[tuple[int, int], list[Json]] = field(default_factory=dict)
    webhook: Webhook = field(default_factory=Webhook)
    allowed_updates: list[str] | None = None
    calls: deque[Call] = field(default_factory=deque)
    calls_by_method: dict[str, int] = field(default_factory=dict)
    calls_by_status: dict[int, int] = field(default_factory=dict)
    failures: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    """What the bot did and must never do, whether a test looks or not."""
    waiting: dict[int, deque[float]] = field(default_factory=dict)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=200_000))
    """Seconds from an update to the message or the callback answer for it; exact for bots that
    answer each message with one message."""

    def __post_init__(self) -> None:
        self.calls = deque(maxlen=self.keep_calls)
        self.bot = User(
            id=int(self.token.split(":")[0]),
            first_name="Zhiwei",
            is_bot=True,
            username="zhiwei_test_bot",
        )
        self.users[self.bot.id] = self.bot
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Return the next of a rising sequence, for ids of calls, files and callbacks."""
        return next(self._numbers)

    def add_person(self, user_id: int, first_name: str, language_code: str | None) -> User:
        """Add a person with their private chat; empty text changes nothing about who is there."""
        user = self.users.get(user_id)
        if user is None:
            user = User(id=user_id, first_name="Learner", language_code="en")
            self.users[user_id] = user
        if first_name:
            user.first_name = first_name
        if language_code != "":
            user.language_code = language_code
        self.chats.setdefault(user_id, Chat(id=user_id, type="private", title=user.first_name))
        return user

    def chat(self, chat_id: Any) -> Chat:
        """Return a chat.

        Raises:
            RefusalError: Telegram knows no such chat, or the bot may not write to it.
        """
        try:
            chat = self.chats[int(chat_id)]
        except (KeyError, TypeError, ValueError):
            raise bad_request("chat not found") from None
        return chat

    def writable_chat(self, chat_id: Any) -> Chat:
        """Return a chat in which the bot may speak."""
        chat = self.chat(chat_id)
        if chat.migrated_to is not None:
            raise RefusalError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": chat.migrated_to},
            )
        person = self.users.get(chat.id)
        if person is not None and person.has_blocked_the_bot:
            raise RefusalError(403, "Forbidden: bot was blocked by the user")
        if chat.has_removed_the_bot:
            raise RefusalError(403, f"Forbidden: bot was kicked from the {chat.type} chat")
        return chat

    def add_message(self, chat: Chat, sender: User, content: Json) -> Json:
        """Put a message into a chat and return it as the Bot API shows it."""
        message: Json = {
            "message_id": chat.next_message_id,
            "date": int(time.time()),
            "chat": chat.to_json(),
            "from": sender.to_json(),
        } | content
        chat.messages[chat.next_message_id] = message
        chat.next_message_id += 1
        if self.keep_messages is not None:
            while len(chat.messages) > self.keep_messages:
                chat.messages.popitem(last=False)
        return message

    def own_message(self, chat: Chat, message_id: Any, missing: str) -> Json:
        """Return a message of the bot's own, for editing."""
        message = chat.messages.get(int(message_id)) if str(message_id).isdigit() else None
        if message is None:
            raise bad_request(missing)
        if message["from"]["id"] != self.bot.id:
            raise bad_request("message can't be edited")
        return message

    def add_update(self, kind: str, content: Json) -> Json | None:
        """Queue an update, or return None if the bot did not ask for this kind."""
        default_off = ("chat_member", "message_reaction", "message_reaction_count")
        wanted = kind in self.allowed_updates if self.allowed_updates else kind not in default_off
        if not wanted:
            return None
        update = {"update_id": self.next_update_id, kind: content}
        self.next_update_id += 1
        self.updates.append(update)
        self.recent_updates.append(update)
        return update

    def expect_answer(self, chat_id: int) -> None:
        """Start the clock for the latency of an answer in a chat."""
        self.waiting.setdefault(chat_id, deque(maxlen=10_000)).append(self.clock())

    def note_answer(self, chat_id: int) -> None:
        """Stop the oldest clock that runs in a chat."""
        running = self.waiting.get(chat_id)
        if running:
            self.latencies.append(self.clock() - running.popleft())

    def add_file(self, name: str, mime: str, content: bytes, *, size: int | None = None) -> str:
        """Store a file and return its id; a stated size stands for content too big to build."""
        file_id = f"FILE{self.number():08d}"
        stated = len(content) if size is None else size
        self.files[file_id] = StoredFile(
            id=file_id, name=name, mime=mime, content=content, size=stated
        )
        if self.keep_messages is not None:
            while len(self.files) > 200:
                self.files.popitem(last=False)
        return file_id

    def add_callback(self, user_id: int, chat_id: int, message_id: int) -> Callback:
        """Open a callback query."""
        callback = Callback(
            id=str(4_000_000_000 + self.number()),
            user_id=user_id,
            chat_id=chat_id,
            message_id=message_id,
            pressed_at=self.clock(),
        )
        self.callbacks[callback.id] = callback
        if self.keep_calls is not None and len(self.callbacks) > 10_000:
            self._forget_oldest_callback()
        return callback

    def _forget_oldest_callback(self) -> None:
        _, oldest = self.callbacks.popitem(last=False)
        if oldest.answered_at is None:
            self.failures.append(f"callback {oldest.id} was never answered")
