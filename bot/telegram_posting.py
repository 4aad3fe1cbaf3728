"""Messages that answer no message: into the outbox, for whoever has a private chat with the bot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from bot.messages import Reply
from bot.telegram_render import Place, render
from bot.telegram_updates import CHANNEL
from data.events import UserKey
from data.store import EventStore, OutboxEntry


@dataclass(frozen=True, slots=True)
class TelegramPost:
    """Queues messages; a running bot finds them in the store within seconds."""

    store: EventStore

    def reaches(self, channel: str) -> bool:
        """Whether the channel is Telegram."""
        return channel == CHANNEL

    def __call__(
        self, user_key: UserKey, channel: str, name: str, reply: Reply, *, at: datetime
    ) -> None:
        """Queue a message; nothing happens for a person without an address (erased, or gone)."""
        with self.store.transaction():
            address = self.store.address(user_key, CHANNEL)
            if address is None:
                return
            payloads = render(reply, Place(chat_id=int(address)))
            self.store.queue(
                OutboxEntry(
                    outbox_id=f"{name}:{n}",
                    address=address,
                    payload=json.dumps(payload, ensure_ascii=False),
                    message_class=reply.message_class,
                    user_key=user_key,
                    created_at=at,
                )
                for n, payload in enumerate(payloads)
            )
