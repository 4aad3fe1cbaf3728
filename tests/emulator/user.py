"""A user of the emulator, who speaks its own client protocol."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.emulator.gateway import Gateway

Json = dict[str, Any]
_LOOK_EVERY = 0.03


class EmulatorUser:
    """Writes, presses and reads in a private chat. What it reads are the emulator's own records:

    `text` as the bot sent it (the emulator does not parse HTML), `reply_markup`, `message_id`.
    """

    def __init__(
        self, gateway: Gateway, root: str, token: str, user_id: int, language_code: str
    ) -> None:
        self._gateway = gateway
        self._root = root
        self._token = token
        self._read = 0
        self.id = user_id
        self._common = {
            "from": {
                "id": user_id,
                "is_bot": False,
                "first_name": "Learner",
                "language_code": language_code,
            },
            "chat": {"id": user_id, "type": "private", "first_name": "Learner"},
        }

    async def send_text(self, text: str) -> None:
        """Write a message."""
        await self._post("sendMessage", self._message(text))

    async def send_command(self, command: str) -> None:
        """Send a command, such as `/start payload`."""
        length = len(command.split(" ", 1)[0])
        entities = [{"type": "bot_command", "offset": 0, "length": length}]
        await self._post("sendCommand", self._message(command) | {"entities": entities})

    async def press(self, message: Json, label: str) -> None:
        """Press a button that stands under a message now.

        Raises:
            LookupError: It has no button with this label.
        """
        current = await self.current(message["message_id"])
        rows = (current.get("reply_markup") or {}).get("inline_keyboard", [])
        payloads = {b["text"]: b.get("callback_data") for row in rows for b in row}
        if payloads.get(label) is None:
            raise LookupError(f"no button {label!r}, only {list(payloads)}")
        shown = {
            "message_id": message["message_id"],
            "date": int(time.time()),
            "chat": self._common["chat"],
            "text": current["text"],
            "reply_markup": current.get("reply_markup"),
        }
        await self._post(
            "sendCallback",
            {
                "botToken": self._token,
                "from": self._common["from"],
                "message": shown,
                "data": payloads[label],
            },
        )

    async def wait_reply(self, *, timeout: float = 10.0) -> Json:
        """Return the bot's next message that was not returned before.

        Raises:
            TimeoutError: None came in time.
        """
        async with asyncio.timeout(timeout):
            while True:
                for message in await self.bot_messages():
                    if message["message_id"] > self._read:
                        self._read = message["message_id"]
                        return message
                await asyncio.sleep(_LOOK_EVERY)

    async def wait_edit(self, message: Json, *, timeout: float = 10.0) -> Json:
        """Return a message as soon as its text or its buttons are other than they were."""
        async with asyncio.timeout(timeout):
            while (current := await self.current(message["message_id"])) == message:
                await asyncio.sleep(_LOOK_EVERY)
            return current

    async def wait_answers(self, n: int, *, timeout: float = 10.0) -> None:
        """Wait until the bot has answered so many presses in all."""
        async with asyncio.timeout(timeout):
            while len(self._gateway.callback_answers) < n:
                await asyncio.sleep(_LOOK_EVERY)

    async def bot_messages(self) -> list[Json]:
        """Return what the bot's messages in this chat look like now, oldest first."""
        answer = await self._post("getUpdatesHistory", {"token": self._token})
        return [
            {
                "message_id": entry["messageId"],
                "text": entry["message"].get("text", ""),
                "photo": entry["message"].get("photo"),
                "reply_markup": entry["message"].get("reply_markup"),
            }
            for entry in answer["result"]
            if str(entry.get("message", {}).get("chat_id")) == str(self.id)
        ]

    async def current(self, message_id: int) -> Json:
        """Return one message of the bot as it looks now."""
        for message in await self.bot_messages():
            if message["message_id"] == message_id:
                return message
        raise LookupError(f"the bot has no message {message_id} in chat {self.id}")

    def _message(self, text: str) -> Json:
        return self._common | {"botToken": self._token, "date": int(time.time()), "text": text}

    async def _post(self, name: str, body: Json) -> Json:
        return await self._gateway.ask_emulator(f"{self._root}/{name}", body)
