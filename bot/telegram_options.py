"""What the Telegram adapter is given: a conversation, and how to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from bot.delivering import Refused
from bot.messages import Incoming, Reply
from bot.pacing import Rates
from bot.quotas import Quotas
from data.catalogue import ItemId
from data.events import UserKey
from data.vocabulary import Language


class Core(Protocol):
    """The conversation, as far as this adapter knows it."""

    def prepare(self, incoming: Incoming) -> None: ...
    def handle(self, incoming: Incoming) -> list[Reply]: ...
    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None: ...
    def may_send(
        self, user_key: UserKey, item_ids: Iterable[ItemId], *, at: datetime
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
    workers: int = 1
    """Threads that handle updates; the store has one writer, so more gain nothing."""
    batch: int = 16
    """Updates, of as many people, that may share one transaction."""
    send_concurrency: int = 8
    journal: Path | None = None
    """File beside the database for sends that are not committed yet; see `sent_journal`."""
    drain_seconds: float = 10.0
    """After a signal to stop: how long what waits may still be handled and sent."""
    conflict_patience_seconds: float = 40.0
    """A poll of a process that was killed lives on for a while; this is not a conflict yet."""
    max_backlog: int = 5_000
    """With so many updates waiting no more are taken; Telegram keeps them for a day."""
    registers_menu: bool = True
    quotas: Quotas | None = field(default_factory=Quotas)
    """How much one person may ask; None for no limit."""
    rates: Rates = field(default_factory=Rates)
    webhook_url: str = ""
    """Public https address of `/telegram`."""
    webhook_secret: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    is_degraded: Callable[[], bool] = lambda: False
    """Whether answers come from a lower rung than they should, for metrics; must not wait."""
    health_port: int | None = None
    """With polling: serve /healthz, /readyz and /metrics on this port of 127.0.0.1."""
