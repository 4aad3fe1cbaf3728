"""What people on Telegram are told while nothing can be stored. Pure; the runtime sends it.

Their messages wait at Telegram and are answered later, so a short outage needs no words. An
emergency cannot wait: the advice goes at once, and needs no store.
"""

from __future__ import annotations

from collections import OrderedDict

from bot.degradation import is_emergency, spoken_language
from bot.messages import Incoming
from bot.wording import Words
from data.vocabulary import Language

PATIENCE_SECONDS = 15.0
"""An outage shorter than this is passed over in silence."""
QUIET_SECONDS = 120.0
"""So long without a failure ends an outage; later failures are another one."""
MOST_CHATS = 5_000
_WAITS = {
    Language.ZH: "抱歉，我的记录本现在打不开。你的消息没有丢，恢复后我会马上回答，不用重发。",
    Language.EN: "Sorry, I cannot open my records right now. Your message is not lost: I will "
    "answer as soon as I can, so there is no need to send it again.",
}


class OutageNotes:
    """Decides whom to tell what, once per person and outage. For one thread."""

    def __init__(self, default: Language) -> None:
        """Take the language for people whose client says none of ours."""
        self._default = default
        self._began = float("-inf")
        self._last = float("-inf")
        self._told: OrderedDict[object, None] = OrderedDict()

    def note(self, chat_id: int, incoming: Incoming, *, now: float) -> str | None:
        """Give what to tell the person whose message could not be stored, or None.

        Args:
            chat_id: Their private chat.
            incoming: What they sent; the same again at each further try.
            now: Seconds of a clock that never goes back.
        """
        if now - self._last > QUIET_SECONDS:
            self._began = now
            self._told.clear()
        self._last = now
        language = spoken_language(incoming, self._default)
        if is_emergency(incoming):
            return self._once(incoming.incoming_id, Words(language)("emergency"))
        if now - self._began < PATIENCE_SECONDS:
            return None
        return self._once(chat_id, _WAITS[language])

    def _once(self, key: object, text: str) -> str | None:
        if key in self._told:
            return None
        self._told[key] = None
        while len(self._told) > MOST_CHATS:
            self._told.popitem(last=False)
        return text
