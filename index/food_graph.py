"""Foods found in a text, and how a food speaks for its kin. Pure over the packaged lexicon."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.food_knowledge import (
    ANY_FOOD,
    FoodId,
    food_closure,
    load_false_friends,
    load_foods,
)
from data.mentions import MentionScanner, normalised
from index.lexical import normalize

NARROWER = 0.55
"""A lesson on fish speaks for salmon this much."""
BROADER = 0.65
"""A lesson on salmon speaks for an item that is just "fish" this much."""
MADE_OF = 0.45
SIBLING = 0.18

_DENIAL_BEFORE = re.compile(
    r"(?:没有|并无|不含|不吃|不用|不放|不加|避免|避开|忌|忌口|不要|别吃|别喝|少吃|少喝|戒|而不是|不是|代替|取代|远离|禁)[^，。；！？,;!?]{0,8}$"
    r"|(?:无|零|无添加|零添加)$"
    r"|\b(?:no|not|without|avoid\w*|never|nor|neither|instead of|rather than|skip\w*|lack\w*|unknown|"
    r"absent|forbid\w*|cut out|stay away from|free of|free from|hold the)\b[^.;:!?]{0,28}$"
)
_DENIAL_AFTER = re.compile(
    r"^[ -]free\b"
    r"|^[^，。；！？,;!?]{0,6}(?:还没有|尚未传入|不存在|不能吃|不可|不宜|要避免|禁忌)"
    r"|^[^.;:!?]{0,24}\b(?:did not exist|were unknown|was unknown|had not|is off|are off|is out|are out)\b"
)


@dataclass(frozen=True, slots=True)
class FoodMention:
    """A food named in a text."""

    food_id: FoodId
    start: int
    end: int
    is_denied: bool
    """Whether the words around it say that it is *not* there or not wanted."""


@lru_cache(maxsize=1)
def _scanner() -> tuple[MentionScanner, Mapping[str, tuple[FoodId, ...]]]:
    foods_by_phrase: dict[str, list[FoodId]] = {}
    for food in load_foods().values():
        for name in (*food.zh, *food.en):
            foods_by_phrase.setdefault(normalised(name), []).append(food.food_id)
    for friend in load_false_friends():
        phrase = normalised(friend.phrase)
        own = foods_by_phrase.get(phrase, [])
        kept = (
            [] if ANY_FOOD in friend.not_foods else [f for f in own if f not in friend.not_foods]
        )
        foods_by_phrase[phrase] = kept
    return MentionScanner(foods_by_phrase), {p: tuple(f) for p, f in foods_by_phrase.items()}


def find_foods(text: str) -> list[FoodMention]:
    """Give the foods that a text names, in order; false friends are passed over."""
    scanner, foods_by_phrase = _scanner()
    folded = normalised(normalize(text))
    return [
        FoodMention(food_id, m.start, m.end, _is_denied(folded, m.start, m.end))
        for m in scanner.find(folded)
        for food_id in foods_by_phrase.get(m.phrase, ())
    ]


def _is_denied(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 40) : start], text[end : end + 40]
    return bool(_DENIAL_BEFORE.search(before) or _DENIAL_AFTER.search(after))


@lru_cache(maxsize=1)
def kinship() -> Mapping[FoodId, Mapping[FoodId, float]]:
    """For each food, how much a text that names it speaks for each kindred food; itself 1."""
    foods = load_foods()
    kin: dict[FoodId, dict[FoodId, float]] = {f: {f: 1.0} for f in foods}

    def say(one: FoodId, other: FoodId, strength: float) -> None:
        if other in kin.get(one, {}):
            kin[one][other] = max(kin[one][other], strength)
        elif one in kin and other in foods:
            kin[one][other] = strength

    children: dict[FoodId, list[FoodId]] = {}
    for food in foods.values():
        for wide in food.broader:
            children.setdefault(wide, []).append(food.food_id)
            say(food.food_id, wide, BROADER)
            say(wide, food.food_id, NARROWER)
            for wider in foods[wide].broader if wide in foods else ():
                say(food.food_id, wider, BROADER**2)
                say(wider, food.food_id, NARROWER**2)
        for part in food.made_of:
            say(food.food_id, part, MADE_OF)
            say(part, food.food_id, MADE_OF)
    for family in children.values():
        if len(family) <= 12:
            for one in family:
                for other in family:
                    say(one, other, SIBLING)
    return kin


def spread(activation: Mapping[FoodId, float]) -> dict[FoodId, float]:
    """Let every active food speak for its kin; the strongest voice counts."""
    kin = kinship()
    result: dict[FoodId, float] = {}
    for food, strength in activation.items():
        for other, share in kin.get(food, {food: 1.0}).items():
            value = strength * share
            if value > result.get(other, 0.0):
                result[other] = value
    return result


def noisy_or(parts: Iterable[float]) -> float:
    """1 - product of (1 - p): several weak reasons make a stronger one."""
    return float(1.0 - np.prod([1.0 - min(p, 0.999) for p in parts]))


def families(food_id: FoodId) -> frozenset[str]:
    """The food, all wider kinds, and its category: what a ban on a kind covers."""
    food = load_foods().get(food_id)
    wide = food_closure(food_id) | {food_id}
    categories = {food.category} if food else set()
    return frozenset({str(f) for f in wide} | categories)
