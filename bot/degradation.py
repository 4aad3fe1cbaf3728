"""The lower rungs: what still answers when a part of the system is gone.

dense + lexical (+ learned) -> lexical only -> creators' pins and popular items -> "not now".
The eligibility mask is honoured on every rung: a broken part never shows what a person must not eat.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from bot.conversation import Conversation
from bot.keyword_understanding import KeywordInterpreter
from bot.messages import Incoming, Reply, TextMessage, plain
from bot.turn import Services
from bot.wording import Words, language_for
from data.catalogue import Catalogue, ItemId
from data.errors import StoreError
from data.events import Mode, ReplyKind
from data.store import EventStore
from data.vocabulary import Language
from index.matches import Hit, Matcher, Matches, Query

logger = logging.getLogger(__name__)

Popularity = Mapping[ItemId, float]
POPULAR_WINDOW = timedelta(days=90)
_FRESH_SECONDS = 300.0
_HAN = re.compile(r"[\u3400-\u9fff]")
WAITING_CHANNELS = frozenset({"telegram"})
"""Channels that deliver again: there a message waits for the store instead of being turned away."""
_STORE_DOWN = {
    Language.ZH: "抱歉，我的记录本现在打不开，所以这句话没有记下，也没有改动任何东西。请过几分钟再发一次。",
    Language.EN: "Sorry, I cannot open my records right now, so I noted nothing and changed "
    "nothing. Please send that again in a few minutes.",
}


def popularity_of(store: EventStore, *, at: datetime) -> dict[ItemId, float]:
    """Share of people's likes and purchases that each item got lately, the most popular 1."""
    liked = Counter(
        reply.item_id
        for reply in store.replies(since=at - POPULAR_WINDOW, until=at)
        if reply.item_id is not None
        and reply.kind in (ReplyKind.LIKE, ReplyKind.SAVE, ReplyKind.PURCHASE)
    )
    most = max(liked.values(), default=0)
    return {item_id: count / most for item_id, count in liked.items()} if most else {}


class RecentPopularity:
    """Popularity looked up at most every five minutes, since a broken index asks at each turn."""

    def __init__(
        self,
        store: EventStore,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the store and the clocks."""
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._known: Popularity = {}

    def __call__(self) -> Popularity:
        """Give the popularity of items; empty while the store cannot tell."""
        if self._monotonic() - self._looked_at > _FRESH_SECONDS:
            try:
                self._known = popularity_of(self._store, at=self._now())
            except StoreError:
                logger.warning("popularity is unknown: the store is down")
            self._looked_at = self._monotonic()
        return self._known


@dataclass(frozen=True)
class SteadyMatcher:
    """A matcher that steps down instead of failing: popular eligible items, or none but pins."""

    inner: Matcher
    catalogue: Catalogue
    popularity: Callable[[], Popularity] = field(default=dict)

    @property
    def version(self) -> str:
        return self.inner.version

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        """As `Matcher.match`; never raises."""
        try:
            return self.inner.match(query, eligible=eligible, top_k=top_k)
        except Exception as error:  # a damaged index raises whatever it likes
            logger.error(
                "matching failed; offering pins and popular items",
                extra={"because": type(error).__name__},
            )
            return self._popular(eligible, top_k)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        """As `Matcher.similarities`; items count as unlike when nothing is known."""
        try:
            return self.inner.similarities(rows)
        except Exception as error:
            logger.warning("similarities unknown", extra={"because": type(error).__name__})
            return np.eye(len(rows))

    def _popular(self, eligible: np.ndarray | None, top_k: int) -> Matches:
        popularity = self.popularity()
        hits = [
            Hit(
                item_id=item.item_id, row=row, score=popularity[item.item_id], dense=0.0,
                lexical=0.0, knowledge=0.0,
            )
            for row, item in enumerate(self.catalogue.items)
            if popularity.get(item.item_id, 0.0) > 0 and (eligible is None or eligible[row])
        ]  # fmt: skip
        hits.sort(key=lambda hit: (-hit.score, hit.row))
        return Matches(
            hits=tuple(hits[:top_k]),
            floor=0.0,
            is_silent=not hits,
            mode=Mode.POPULAR if hits else Mode.PINS,
        )


def without_a_store(incoming: Incoming, default: Language) -> list[Reply]:
    """What somebody is told while nothing can be stored or looked up.

    Advice in an emergency needs no store. No food is named: without the store nobody knows what
    this person must not eat.
    """
    language = spoken_language(incoming, default)
    if is_emergency(incoming):
        return [Reply(spans=plain(Words(language)("emergency")))]
    return [Reply(spans=plain(_STORE_DOWN[language]))]


def is_emergency(incoming: Incoming) -> bool:
    """Whether somebody may be reacting severely right now, by words alone."""
    if not isinstance(incoming, TextMessage):
        return False
    return KeywordInterpreter().understand(incoming.text[:2_000]).is_emergency


def spoken_language(incoming: Incoming, default: Language) -> Language:
    """The language of the words themselves, else of the client; the store is not asked."""
    if isinstance(incoming, TextMessage) and _HAN.search(incoming.text):
        return Language.ZH
    return language_for(incoming.sender.language_code, default)


class SteadyConversation(Conversation):
    """The conversation, which says so when the store is down.

    On channels with a durable inbox the error goes on: there the message waits and is answered
    as soon as the store is well.
    """

    def __init__(
        self, services: Services, *, after_turn: Callable[[], None] = lambda: None
    ) -> None:
        """Take the services, and what to call after each turn that was stored."""
        super().__init__(services)
        self._after_turn = after_turn

    def handle(self, incoming: Incoming) -> list[Reply]:
        try:
            replies = super().handle(incoming)
        except StoreError as error:
            if incoming.sender.channel in WAITING_CHANNELS:
                raise
            logger.error("the store is down: %s", error)
            return without_a_store(incoming, self.services.default_language)
        self._after_turn()
        return replies

    def checked(self, reply: Reply, incoming: Incoming) -> Reply:
        try:
            return super().checked(reply, incoming)
        except StoreError:
            if incoming.sender.channel in WAITING_CHANNELS:
                raise
            return without_a_store(incoming, self.services.default_language)[0]

    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None:
        try:
            super().delivered(reply, at=at, message_id=message_id)
        except StoreError as error:
            if message_id:
                raise
            # What was shown was shown; figures miss one impression, nobody misses an answer.
            logger.error("an impression was not recorded: %s", error)
