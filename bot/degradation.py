"""The lower rungs: what still answers when a part of the system is gone.

dense + lexical (+ learned) -> lexical only -> creators' pins and popular items -> "not now".
The eligibility mask is honoured on every rung: a broken part never shows what a person must not eat.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime

from bot.conversation import Conversation
from bot.keyword_understanding import KeywordInterpreter
from bot.messages import Incoming, Reply, TextMessage, plain
from bot.steady_matching import Popularity, RecentPopularity, SteadyMatcher, popularity_of
from bot.turn import Services
from bot.wording import Words, language_for
from data.errors import StoreError
from data.vocabulary import Language

logger = logging.getLogger(__name__)

_HAN = re.compile(r"[\u3400-\u9fff]")
WAITING_CHANNELS = frozenset({"telegram"})
"""Channels that deliver again: there a message waits for the store instead of being turned away."""
_STORE_DOWN = {
    Language.ZH: "抱歉，我的记录本现在打不开，所以这句话没有记下，也没有改动任何东西。请过几分钟再发一次。",
    Language.EN: "Sorry, I cannot open my records right now, so I noted nothing and changed "
    "nothing. Please send that again in a few minutes.",
}


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


__all__ = [
    "WAITING_CHANNELS",
    "Popularity",
    "RecentPopularity",
    "SteadyConversation",
    "SteadyMatcher",
    "is_emergency",
    "popularity_of",
    "spoken_language",
    "without_a_store",
]
