"""The people on the other side: they write, press buttons, send files, block, and read answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests import overheard
from tests.fake_telegram.entities import utf16_length
from tests.fake_telegram.limits import TEXT_UNITS
from tests.fake_telegram.state import Callback, Chat, Json, User

if TYPE_CHECKING:
    from tests.fake_telegram.server import FakeTelegram

_COMMAND = re.compile(r"(?<!\S)/[a-zA-Z0-9_]{1,32}(?:@\w+)?")


class Person:
    """One person, who speaks in their private chat with the bot or in a group.

    Sending returns the update that the bot will get, or None if it did not subscribe to it.
    `wait_reply` goes through the bot's messages one after another; nothing is read twice.
    """

    def __init__(self, telegram: FakeTelegram, user: User) -> None:
        self._telegram = telegram
        self._state = telegram.state
        self.user = user
        self.id = user.id
        self._read: dict[int, int] = {}

    @property
    def chat(self) -> Chat:
        """The private chat with the bot."""
        return self._state.chats[self.id]

    def send_text(self, text: str, *, chat: Chat | None = None, **fields: Any) -> Json | None:
        """Write; a text above 4096 units becomes several messages, as clients make of it.

        In a group only commands for the bot and replies to it reach it, unless the server's
        `has_privacy_mode` is off; `fields` such as `reply_to_message` go into the message.
        """
        parts = list(_client_parts(text))
        sent = [self._send({"text": p, "entities": _commands(p)} | fields, chat) for p in parts]
        return sent[-1]

    def send_command(self, command: str, *, chat: Chat | None = None) -> Json | None:
        """Send a command; a deep-link payload must be one that Telegram would carry.

        Raises:
            ValueError: `/start` with a payload that no link can have.
        """
        name, _, payload = command.partition(" ")
        if name == "/start" and not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", payload):
            raise ValueError(f"no t.me link can carry the payload {payload!r}")
        return self.send_text(command, chat=chat)

    def send_document(
        self,
        name: str,
        content: bytes,
        *,
        mime: str = "application/octet-stream",
        caption: str = "",
        size: int | None = None,
    ) -> Json | None:
        """Send a file; `size` states more bytes than there are, for files too big to build."""
        file_id = self._state.add_file(name, mime, content, size=size)
        document = {
            "file_id": file_id,
            "file_unique_id": f"U{file_id}",
            "file_name": name,
            "mime_type": mime,
            "file_size": self._state.files[file_id].size,
        }
        return self._send({"document": document} | ({"caption": caption} if caption else {}), None)

    def send_photo(self, content: bytes, *, caption: str = "") -> Json | None:
        """Send a picture."""
        file_id = self._state.add_file("photo.jpg", "image/jpeg", content)
        sizes = [
            {"file_id": file_id, "file_unique_id": f"U{file_id}", "width": 640, "height": 480}
        ]
        return self._send({"photo": sizes} | ({"caption": caption} if caption else {}), None)

    def send_location(self, latitude: float, longitude: float) -> Json | None:
        """Share a place."""
        return self._send({"location": {"latitude": latitude, "longitude": longitude}}, None)

    def send_contact(self, phone_number: str) -> Json | None:
        """Share one's own contact."""
        contact = {
            "phone_number": phone_number,
            "first_name": self.user.first_name,
            "user_id": self.id,
        }
        return self._send({"contact": contact}, None)

    def send_web_app_data(self, payload: str, button_text: str) -> Json | None:
        """Send what a web app that was opened by a keyboard button hands over."""
        return self._send({"web_app_data": {"data": payload, "button_text": button_text}}, None)

    def edit(self, message_id: int, text: str, *, chat: Chat | None = None) -> Json | None:
        """Change the text of one's own message."""
        message = (chat or self.chat).messages[message_id]
        message |= {"text": text, "entities": _commands(text), "edit_date": int(time.time())}
        return self._telegram.queue("edited_message", dict(message))

    def press(
        self, label: str, *, message: Json | None = None, chat: Chat | None = None
    ) -> Callback:
        """Press the button with this label on the current keyboard of a message.

        Without a message, the last one that has inline buttons.

        Raises:
            LookupError: No button there has this label now.
        """
        where = chat or self.chat
        chosen = self._with_buttons(where, message)
        buttons = [b for row in chosen["reply_markup"]["inline_keyboard"] for b in row]
        for button in buttons:
            if button["text"] == label and "callback_data" in button:
                return self.press_payload(chosen, button["callback_data"])
        labels = [button["text"] for button in buttons]
        raise LookupError(f"no button {label!r} on message {chosen['message_id']}: {labels}")

    def press_payload(self, message: Json, payload: str) -> Callback:
        """Send a callback with any payload, as forged clients can and old keyboards do."""
        callback = self._state.add_callback(self.id, message["chat"]["id"], message["message_id"])
        shown = self._state.chats[callback.chat_id].messages.get(callback.message_id)
        # A message that is gone reaches the bot as an inaccessible one, with date 0.
        gone = {"message_id": callback.message_id, "date": 0, "chat": message["chat"]}
        self._telegram.queue(
            "callback_query",
            {
                "id": callback.id,
                "from": self.user.to_json(),
                "message": shown or gone,
                "chat_instance": str(callback.chat_id),
                "data": payload,
            },
        )
        return callback

    def labels(self, *, message: Json | None = None) -> list[str]:
        """Return the labels of the buttons that one sees under a message."""
        chosen = self._with_buttons(self.chat, message)
        return [b["text"] for row in chosen["reply_markup"]["inline_keyboard"] for b in row]

    def block(self) -> Json | None:
        """Block the bot; from now on its messages are refused with 403."""
        return self._membership("member", "kicked")

    def unblock(self) -> Json | None:
        """Let the bot write again."""
        return self._membership("kicked", "member")

    def bot_messages(self, *, chat: Chat | None = None) -> list[Json]:
        """Return what the bot's messages in a chat look like now, oldest first."""
        messages = (chat or self.chat).messages.values()
        return [m for m in messages if m["from"]["id"] == self._state.bot.id]

    async def wait_reply(self, *, timeout: float = 30.0, chat: Chat | None = None) -> Json:
        """Return the next message of the bot that was not returned before.

        Raises:
            TimeoutError: None came in time.
        """
        where = chat or self.chat

        def unread() -> Json | None:
            after = self._read.get(where.id, 0)
            fresh = (m for m in self.bot_messages(chat=where) if m["message_id"] > after)
            return next(fresh, None)

        message = await self._telegram.wait_until(unread, timeout=timeout)
        self._read[where.id] = message["message_id"]
        return message

    async def wait_edit(self, message: Json, *, timeout: float = 30.0) -> Json:
        """Return a message as soon as it looks other than it did when it was read.

        Raises:
            TimeoutError: It stayed as it was.
        """

        def edited() -> Json | None:
            current = self._state.chats[message["chat"]["id"]].messages.get(message["message_id"])
            return current if current is not None and current is not message else None

        return await self._telegram.wait_until(edited, timeout=timeout)

    async def wait_answer(self, callback: Callback, *, timeout: float = 30.0) -> Json:
        """Return the parameters with which the bot answered a press."""
        return await self._telegram.wait_until(lambda: callback.answer, timeout=timeout)

    def _send(self, content: Json, chat: Chat | None) -> Json | None:
        where = chat or self.chat
        overheard.note(content.get("text"))
        overheard.note(content.get("caption"))
        filled = {key: value for key, value in content.items() if value != []}
        message = self._state.add_message(where, self.user, filled)
        if not self._reaches_the_bot(where, message):
            self._telegram.ring()
            return None
        self._state.expect_answer(where.id)
        return self._telegram.queue("message", dict(message))

    def _reaches_the_bot(self, chat: Chat, message: Json) -> bool:
        """Tell whether privacy mode lets a message through: commands for it and replies to it."""
        if chat.type == "private" or not self._telegram.has_privacy_mode:
            return True
        replied_to = message.get("reply_to_message", {}).get("from", {})
        if replied_to.get("id") == self._state.bot.id:
            return True
        commands = _COMMAND.findall(message.get("text", ""))
        own = f"@{self._state.bot.username}".lower()
        return any("@" not in command or command.lower().endswith(own) for command in commands)

    def _with_buttons(self, chat: Chat, message: Json | None) -> Json:
        if message is not None:
            current = chat.messages.get(message["message_id"], {})
            if "reply_markup" not in current:
                raise LookupError(f"message {message['message_id']} has no buttons now")
            return current
        for candidate in reversed(self.bot_messages(chat=chat)):
            if "reply_markup" in candidate:
                return candidate
        raise LookupError(f"no message of the bot in chat {chat.id} has buttons")

    def _membership(self, before: str, after: str) -> Json | None:
        self.user.has_blocked_the_bot = after == "kicked"
        bot = self._state.bot.to_json()

        def member(status: str) -> Json:
            until = {"until_date": 0} if status == "kicked" else {}
            return {"status": status, "user": bot} | until

        return self._telegram.queue(
            "my_chat_member",
            {
                "chat": self.chat.to_json(),
                "from": self.user.to_json(),
                "date": int(time.time()),
                "old_chat_member": member(before),
                "new_chat_member": member(after),
            },
        )


def _commands(text: str) -> list[Json]:
    return [
        {
            "type": "bot_command",
            "offset": utf16_length(text[: match.start()]),
            "length": utf16_length(match.group()),
        }
        for match in _COMMAND.finditer(text)
    ]


def _client_parts(text: str) -> Iterator[str]:
    units = text.encode("utf-16-le")
    start = 0
    while start == 0 or start < len(units):
        end = start + TEXT_UNITS * 2
        if end < len(units) and 0xD8 <= units[end - 1] < 0xDC:
            end -= 2
        yield units[start:end].decode("utf-16-le")
        start = end
