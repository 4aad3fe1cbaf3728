"""Update JSON of the Bot API -> what the conversation understands. Pure; no library, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.buttons import user_key_for
from bot.messages import ButtonPress, Command, FileMessage, Incoming, Sender, TextMessage
from data.events import UserKey

CHANNEL = "telegram"
ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member")

Json = dict[str, Any]

_NEVER_STORED = frozenset(
    {
        "first_name",
        "last_name",
        "username",
        "title",
        "reply_markup",
        "photo",
        "thumbnail",
        "contact",
        "location",
        "venue",
    }
)
"""Names, places and pictures are not needed to answer, so the inbox does not hold them."""
_MEDIA = ("photo", "document", "video", "animation", "audio")
_GONE = ("left", "kicked")
_NOBODY = UserKey("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What an update says, and where its answer goes."""

    chat_id: int | None = None
    is_private: bool = True
    user_key: UserKey = _NOBODY
    incoming: Incoming | None = None
    """None when there is nothing to answer."""
    callback_id: str = ""
    message_id: int | None = None
    """The message whose button was pressed, else the one that was sent."""
    pressed_has_media: bool = False
    is_pressed_gone: bool = False
    """The message is too old or deleted, so it cannot be edited."""
    thread_id: int | None = None
    """Topic of a forum group."""
    is_reachable: bool | None = None
    """The bot was blocked or let in again; None when the update is not about that."""
    moved_to: int | None = None
    """The group has a new id."""
    sent_at: datetime | None = None
    """When the person sent it, which may be long before it reached us."""
    file_id: str = ""
    """The file that the message is about."""
    file_size: int = 0
    """Bytes, as Telegram tells; 0 when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReader:
    """Reads updates for one bot.

    Attributes:
        secret: The deployment's secret, for pseudonyms.
        bot_id: The bot's own numeric id.
        username: The bot's own name, without @.
        group_commands: Commands that are ours when they come without @name in a group.
    """

    secret: bytes
    bot_id: int
    username: str
    group_commands: frozenset[str] = frozenset()

    def lane(self, update: Mapping[str, Any]) -> str:
        """Give who must wait for this update: the person, else the chat."""
        content = _content(update)
        person = _actor(content)
        if person is not None:
            return self.user_key(person)
        chat = _chat(content)
        return f"chat:{chat.get('id', '')}"

    def user_key(self, actor: int | str) -> UserKey:
        """Give the pseudonym of a person, or of a chat that speaks as itself."""
        return user_key_for(self.secret, CHANNEL, actor)

    def read(self, update: Mapping[str, Any], *, at: datetime) -> Received:
        """Give what the update says.

        Updates that are not for us (other bots' commands, talk in groups) have no incoming.
        """
        if "callback_query" in update:
            return self._press(update, at)
        if "my_chat_member" in update:
            return self._membership(update["my_chat_member"])
        message = update.get("message") or update.get("edited_message")
        if not isinstance(message, dict):
            return Received()
        return self._message(update, message, at, is_edit="edited_message" in update)

    def _press(self, update: Mapping[str, Any], at: datetime) -> Received:
        query = update["callback_query"]
        message = query.get("message") or {}
        chat = message.get("chat") or {}
        key = self.user_key(int(query["from"]["id"]))
        is_private = chat.get("type", "private") == "private"
        sender = Sender(
            user_key=key,
            numeric_id=int(query["from"]["id"]),
            language_code=str(query["from"].get("language_code") or ""),
            chat_kind="private" if is_private else "group",
            channel=CHANNEL,
        )
        return Received(
            chat_id=int(chat.get("id", query["from"]["id"])),
            is_private=is_private,
            user_key=key,
            incoming=ButtonPress(
                incoming_id=incoming_id(update),
                sender=sender,
                at=at,
                payload=str(query.get("data") or ""),
            ),
            callback_id=str(query["id"]),
            message_id=message.get("message_id"),
            pressed_has_media=any(kind in message for kind in (*_MEDIA, "has_media")),
            is_pressed_gone=not message or message.get("date") == 0,
            thread_id=_thread(message),
        )

    def _membership(self, change: Json) -> Received:
        status = str(change["new_chat_member"].get("status", ""))
        chat = change["chat"]
        return Received(
            chat_id=int(chat["id"]),
            is_private=chat.get("type") == "private",
            user_key=self.user_key(int(change["from"]["id"])),
            is_reachable=status not in _GONE,
        )

    def _message(
        self, update: Mapping[str, Any], message: Json, at: datetime, *, is_edit: bool
    ) -> Received:
        chat = _chat(message)
        chat_id = int(chat["id"])
        is_private = chat.get("type") == "private"
        if "migrate_to_chat_id" in message:
            return Received(
                chat_id=chat_id, is_private=False, moved_to=int(message["migrate_to_chat_id"])
            )
        actor = _actor(message)
        is_robot = bool((message.get("from") or {}).get("is_bot")) and "sender_chat" not in message
        if actor is None or is_robot or message.get("is_automatic_forward"):
            return Received(chat_id=chat_id, is_private=is_private)
        sender = Sender(
            user_key=self.user_key(actor),
            # Rights go to a person who speaks for themselves: never to an anonymous admin, a
            # channel, or words that somebody else wrote.
            numeric_id=actor if isinstance(actor, int) and not _is_forwarded(message) else None,
            language_code=str((message.get("from") or {}).get("language_code") or ""),
            chat_kind="private" if is_private else "group",
            channel=CHANNEL,
        )
        incoming = self._incoming(incoming_id(update), sender, message, at, is_private, is_edit)
        document = _document(message) if isinstance(incoming, FileMessage) else {}
        return Received(
            chat_id=chat_id,
            is_private=is_private,
            user_key=sender.user_key,
            incoming=incoming,
            message_id=message.get("message_id"),
            thread_id=_thread(message),
            sent_at=_sent_at(message, is_edit=is_edit),
            file_id=str(document.get("file_id") or ""),
            file_size=int(document.get("file_size") or 0),
        )

    def _incoming(
        self,
        number: str,
        sender: Sender,
        message: Json,
        at: datetime,
        is_private: bool,
        is_edit: bool,
    ) -> Incoming | None:
        text = str(message.get("text") or message.get("caption") or "")
        quoted = _quoted(message)
        name, is_ours, argument = self._command(text, is_private=is_private)
        if name:
            if not is_ours or is_edit:
                return None
            if name == "pair" and is_private and _document(message):
                return _file_message(number, sender, message, at, text)
            return Command(
                incoming_id=number,
                sender=sender,
                at=at,
                name=name,
                argument=argument,
                quoted=quoted,
            )
        if not is_private:
            text, is_for_us = self._addressed(text, message)
            if not is_for_us or not text.strip():
                return None
        elif is_edit and not text.strip():
            return None
        if isinstance(message.get("document"), dict) and is_private:
            return _file_message(number, sender, message, at, text)
        if not text.strip() and _is_service(message):
            return None
        return TextMessage(incoming_id=number, sender=sender, at=at, text=text, quoted=quoted)

    def _command(self, text: str, *, is_private: bool) -> tuple[str, bool, str]:
        """Give name, whether it is for us, and argument; an empty name is no command."""
        if not text.startswith("/") or len(text) < 2:
            return "", False, ""
        first, _, argument = text.partition(" ")
        if "\n" in first:
            first, _, more = first.partition("\n")
            argument = f"{more} {argument}".strip()
        name, _, addressee = first[1:].partition("@")
        name = name.lower()
        if not name or not all(c.isascii() and (c.isalnum() or c == "_") for c in name):
            return "", False, ""
        if addressee:
            return name, addressee.lower() == self.username.lower(), argument.strip()
        return name, is_private or name in self.group_commands, argument.strip()

    def _addressed(self, text: str, message: Json) -> tuple[str, bool]:
        mention = f"@{self.username}"
        position = text.lower().find(mention.lower()) if self.username else -1
        if position >= 0:
            return (text[:position] + text[position + len(mention) :]).strip(), True
        replied_to = (message.get("reply_to_message") or {}).get("from") or {}
        return text, replied_to.get("id") == self.bot_id


def incoming_id(update: Mapping[str, Any]) -> str:
    """Give the id by which a repeated update is recognised."""
    return f"tg:{update['update_id']}"


def minimised(update: Mapping[str, Any]) -> Json:
    """Leave out what an answer does not need, above all names.

    That a pressed message was a picture is remembered as `has_media`.
    """
    kept: Json = _without_names(update)
    pressed = (update.get("callback_query") or {}).get("message")
    if isinstance(pressed, dict):
        needed = ("message_id", "date", "chat", "message_thread_id", "is_topic_message")
        short = {name: _without_names(pressed[name]) for name in needed if name in pressed}
        if any(kind in pressed for kind in _MEDIA):
            short["has_media"] = True
        kept["callback_query"]["message"] = short
    return kept


def _without_names(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_names(v) for k, v in value.items() if k not in _NEVER_STORED}
    if isinstance(value, list | tuple):
        return [_without_names(entry) for entry in value]
    return value


def _quoted(message: Json) -> str:
    """Give the words that a message answers: the part that was picked out, else all of them."""
    answered = message.get("reply_to_message") or {}
    picked = message.get("quote") or {}
    return str(picked.get("text") or answered.get("text") or answered.get("caption") or "")


def _document(message: Json) -> Json:
    """Give the file of a message, else the file of the message it answers."""
    for one in (message, message.get("reply_to_message") or {}):
        document = one.get("document")
        if isinstance(document, dict):
            return document
    return {}


def _file_message(
    number: str, sender: Sender, message: Json, at: datetime, caption: str
) -> FileMessage:
    return FileMessage(
        incoming_id=number,
        sender=sender,
        at=at,
        file_name=str(_document(message).get("file_name") or "file"),
        content=b"",
        caption=caption,
    )


def _sent_at(message: Json, *, is_edit: bool) -> datetime | None:
    seconds = message.get("edit_date" if is_edit else "date")
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds else None


def _content(update: Mapping[str, Any]) -> Json:
    for kind in ALLOWED_UPDATES:
        content = update.get(kind)
        if isinstance(content, dict):
            return content
    return {}


def _chat(content: Json) -> Json:
    chat = content.get("chat") or (content.get("message") or {}).get("chat") or {}
    return dict(chat) if isinstance(chat, dict) else {}


def _actor(content: Json) -> int | str | None:
    """Give the number of the person, or `chat:<id>` when a chat speaks as itself."""
    speaks_as = content.get("sender_chat")
    if isinstance(speaks_as, dict):
        return f"chat:{speaks_as.get('id')}"
    person = content.get("from")
    return int(person["id"]) if isinstance(person, dict) and "id" in person else None


def _is_forwarded(message: Json) -> bool:
    return any(name in message for name in ("forward_origin", "forward_from", "forward_date"))


def _is_service(message: Json) -> bool:
    """Tell notes of Telegram (someone joined, a pin) from things that a person sent."""
    sent = ("sticker", "voice", "video", "video_note", "audio", "animation", "poll", "dice")
    # Places, contacts and photos reach this point without content; the message itself remains.
    service = ("pinned_message", "new_chat_members", "left_chat_member", "group_chat_created")
    ours = ("successful_payment", "write_access_allowed", "message_auto_delete_timer_changed")
    if any(kind in message for kind in sent):
        return False
    return any(kind in message for kind in (*service, *ours))


def _thread(message: Json) -> int | None:
    return message.get("message_thread_id") if message.get("is_topic_message") else None
