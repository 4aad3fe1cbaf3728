"""Understanding without an encoder: plain words in Chinese and English, for the day the model is gone.

It is meant to be narrow. What it cannot tell is out of scope, and whatever may be an allergy is
treated as one: nothing here ever lifts a rule that keeps somebody from a food.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from types import MappingProxyType

from bot.understanding.allergies import (
    Allergies,
    find_allergies,
    may_speak_of_allergy,
    mentions_allergy,
)
from bot.understanding.lexicon import FoodHit, find_foods
from bot.understanding.meaning import Intent, Interpreter, Meaning
from bot.understanding.slots import find_slots
from bot.understanding.text import Text, fold

logger = logging.getLogger(__name__)

CONFIDENCE = 0.4
"""Low on purpose: an answer to it says how the message was understood and how to take it back."""

_RULES: tuple[tuple[Intent, re.Pattern[str]], ...] = tuple(
    (intent, re.compile(pattern))
    for intent, pattern in (
        (
            Intent.PAUSE,
            r"\s*(?:td|stop|stopall|unsubscribe|opt[- ]?out|退订)\s*[.!。！]?\s*|.*(?:\bstop (?:sending|messaging)|\bpause\b|别再?发|不要再?发|暂停).*",
        ),
        (Intent.RESUME, r".*(?:\bresume\b|\bsubscribe\b|恢复推送|继续推送|重新订阅).*"),
        (
            Intent.DELETE_DATA,
            r".*(?:\b(?:delete|erase|remove|wipe) (?:all )?(?:of )?(?:my|the) (?:data|profile|account|information|history)|\bforget (?:about )?me\b|(?:删除|删掉|清除|清空|抹掉)(?:我的?)?(?:所有|全部)?的?(?:数据|资料|信息|记录|账号)|忘(?:记|掉|了)我|注销).*",
        ),
        (
            Intent.EXPORT_DATA,
            r".*(?:\b(?:export|download|copy of|send me) (?:all )?(?:of )?my (?:data|information)|导出|下载我的).*",
        ),
        (
            Intent.SHOW_PROFILE,
            r".*(?:\bknow about me\b|\bremember about me\b|\bmy (?:profile|settings)\b|我的(?:资料|档案|画像|设置)|(?:记得|知道|记录)(?:了)?我(?:的)?(?:什么|哪些)).*",
        ),
        (Intent.HELP, r".*(?:\bhelp\b|\bhow (?:do|does) (?:i|this|it)\b|\bwhat can you do\b|帮助|怎么用|能做什么|会做什么).*"),
        (Intent.WHY, r".*(?:\bwhy\b|\bhow come\b|为什么|为啥|凭什么|凭啥).*"),
        (
            Intent.FINISHED_LESSON,
            r".*(?:\b(?:finished|completed|done with|got through|just (?:did|watched|learned|learnt|took))\b|学完|上完|看完|听完|学了|刚上).*",
        ),
        (
            Intent.DISLIKE,
            r".*(?:\b(?:do not|don'?t|dont|didn'?t) (?:like|want)|\bnot interested\b|\bnever show\b|\bhate\b|不喜欢|不爱吃|不想要|不想吃|讨厌|别再?推).*",
        ),
        (
            Intent.CRITIQUE,
            r".*(?:\bcheaper\b|\btoo expensive\b|\bless expensive\b|\banother\b|\bsomething else\b|\bothers?\b|\bdifferent\b|便宜|太贵|换一?[个批换]|换点|其他的|别的).*",
        ),
        (Intent.LIKE, r".*(?:\b(?:like|love|want|take) (?:it|this|that|them|these|the|number|no\.?)\b|喜欢|不错|很好|要第|就要).*"),
        (
            Intent.RECOMMEND,
            r".*(?:\b(?:recommend|suggest|suggestions?|ideas?|surprise me|what should i (?:eat|buy|cook))\b|推荐|来点|想吃|想喝|有什么好).*",
        ),
        (
            Intent.SEARCH_PRODUCT,
            r".*(?:\b(?:do you (?:have|sell)|is there|are there|looking for|search|find|buy|where can i get)\b|有没有|有卖|卖不卖|找一?下|搜|想买|哪里买).*",
        ),
        (Intent.THANKS, r".*(?:\b(?:thanks|thank you|thx|cheers)\b|谢谢|多谢|感谢).*"),
        (Intent.GREET, r"\s*(?:hi|hello|hey|good (?:morning|evening|afternoon)|你好|您好|嗨|哈喽|早上好|晚上好).{0,12}"),
    )
)  # fmt: skip


class KeywordInterpreter:
    """Knows words, not meaning. Needs no model and no files of its own; any thread may call it."""

    def understand(self, text: str) -> Meaning:
        """Give what one message means."""
        folded = fold(text)
        foods = find_foods(folded)
        allergies = find_allergies(folded, foods)
        if allergies.is_emergency:
            return Meaning(
                intent=Intent.OUT_OF_SCOPE, confidence=CONFIDENCE, is_emergency=True,
                maybe_allergy=True,
            )  # fmt: skip
        if allergies.is_certain or may_speak_of_allergy(folded):
            return _allergy(folded, foods, allergies)
        if mentions_allergy(folded):
            # "No longer allergic": the profile page lifts it by a button, words alone do not.
            return Meaning(intent=Intent.SHOW_PROFILE, confidence=CONFIDENCE)
        intent = _intent(folded, foods)
        return Meaning(
            intent=intent,
            slots=MappingProxyType(find_slots(folded, intent)),
            confidence=CONFIDENCE,
        )

    def understand_all(self, texts: Sequence[str]) -> list[Meaning]:
        """Give what each message means."""
        return [self.understand(text) for text in texts]


class SteadyInterpreter:
    """The interpreter in force, and keywords whenever it fails; never raises."""

    def __init__(self, current: Callable[[], Interpreter]) -> None:
        """Take what gives the interpreter in force; it may change between calls."""
        self._current = current
        self._keywords = KeywordInterpreter()

    def understand(self, text: str) -> Meaning:
        return self.understand_all([text])[0]

    def understand_all(self, texts: Sequence[str]) -> list[Meaning]:
        try:
            return self._current().understand_all(texts)
        except Exception as error:  # an encoder raises whatever its library likes
            # The class only: a message could quote what the person wrote.
            logger.error("understanding by keywords only", extra={"because": type(error).__name__})
            return self._keywords.understand_all(texts)


def _allergy(text: Text, foods: Sequence[FoodHit], allergies: Allergies) -> Meaning:
    slots = find_slots(text, Intent.SET_CONSTRAINT)
    named = tuple(dict.fromkeys(text.original[hit.start : hit.end] for hit in foods))
    found = [str(allergen) for allergen in allergies.allergens]
    known = slots.get("allergens")
    if isinstance(known, list):
        found += [str(value) for value in known if value not in found]
    kept: dict[str, object] = {"allergens": found} if found else {}
    if slots.get("diet"):
        kept["diet"] = slots["diet"]
    return Meaning(
        intent=Intent.SET_CONSTRAINT,
        slots=MappingProxyType(kept),
        confidence=CONFIDENCE,
        maybe_allergy=True,
        allergy_words=allergies.words or (() if found else named),
    )


def _intent(text: Text, foods: Sequence[FoodHit]) -> Intent:
    folded = text.folded.strip()
    for intent, pattern in _RULES:
        if pattern.fullmatch(folded.replace("\n", " ")):
            return intent
    if find_slots(text, Intent.SET_CONSTRAINT).get("diet"):
        return Intent.SET_CONSTRAINT
    return Intent.SEARCH_PRODUCT if foods and len(folded) <= 40 else Intent.OUT_OF_SCOPE
