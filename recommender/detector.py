"""Read allergens out of an item's words. A detector can prove presence, never absence.

Ingredients count wherever they stand in names, tags and descriptions; prepared foods only for what
they cannot be made without (a pesto has nuts, a cake need not have milk). Words of serving and of
comparison are taken out first by `recommender.servings`. The label decides about everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from data.catalogue import Item
from data.food_knowledge import load_false_friends, load_foods
from data.mentions import MentionScanner, normalised
from data.vocabulary import Allergen
from recommender import allergen_words
from recommender.servings import without_comparisons, without_servings

_GLUTEN_FREE = re.compile(r"gluten[- ]free|free (?:of|from) gluten|无麸质|不含麸质|零麸质")
_STARCH = re.compile("|".join(re.escape(phrase) for phrase in allergen_words.WITHOUT_WHEAT))
_TAMARI = re.compile(r"\btamari\b|溜酱油")

_DENIED_ZH = "麸质|小麦|牛奶|乳糖|乳制品|乳|奶|鸡蛋|蛋|花生|坚果|大豆|黄豆|芝麻|亚硫酸盐|二氧化硫|海鲜|鱼|虾|甲壳类|贝类|芹菜|芥末"
_FREE_CLAIM = re.compile(
    rf"(?:不含|无添加|未添加|零|无)(?:任何)?\s*(?:{_DENIED_ZH})(?:[、和与及或](?:{_DENIED_ZH}))*"
    r"|(?<!not )(?<!never )(?<!longer )\b[a-z]+[- ]free\b"
    r"|\b(?:no|without|(?<!not )free (?:of|from))\s+(?:added\s+)?[a-z]+"
)


def words_of(item: Item, *, with_tags: bool = True) -> str:
    """The text that says what the item *is*: names, tags, and descriptions without servings."""
    descriptions = (
        without_servings(normalised(text)) for text in (item.description_zh, item.description_en)
    )
    tags = item.tags if with_tags else ()
    return "\n".join((item.name_zh, item.name_en, *tags, *descriptions))


def detect(text: str) -> frozenset[Allergen]:
    """Allergens that the words of `text` speak of; denials such as "milk-free" do not count."""
    scanner, meanings = _lexicon()
    folded = normalised(text)
    claims_no_gluten = _GLUTEN_FREE.search(folded) is not None
    is_starch = _STARCH.search(folded) is not None
    if claims_no_gluten and _TAMARI.search(folded):
        folded = folded.replace("溜酱油", "酱油").replace("酱油", "溜酱油")
    found: set[Allergen] = set()
    for mention in scanner.find(_FREE_CLAIM.sub(" | ", without_comparisons(folded))):
        meaning = meanings[mention.phrase]
        found |= meaning.allergens
        if not (claims_no_gluten or (is_starch and mention.phrase in allergen_words.PASTA)):
            found |= meaning.usual
    return frozenset(found)


def detect_in_item(item: Item) -> frozenset[Allergen]:
    """Allergens that an item's own words speak of."""
    return detect(words_of(item))


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a phrase stands for; `usual` counts unless the item claims otherwise."""

    allergens: frozenset[Allergen] = frozenset()
    usual: frozenset[Allergen] = frozenset()


@lru_cache(maxsize=1)
def _lexicon() -> tuple[MentionScanner, Mapping[str, _Meaning]]:
    said: dict[str, frozenset[Allergen]] = {}
    soft: set[str] = {normalised(phrase) for phrase in allergen_words.SOFT_GLUTEN}

    def say(phrases: Iterable[str], allergens: frozenset[Allergen]) -> None:
        for phrase in phrases:
            key = normalised(phrase)
            said[key] = said.get(key, frozenset()) | allergens

    for allergen, phrases in allergen_words.EXTRA_WORDS.items():
        say(phrases, frozenset({allergen}))
    ingredients = MentionScanner(said)
    for food in load_foods().values():
        by_habit = allergen_words.BY_HABIT.get(food.en[0]) if food.en else None
        for phrase in (*food.zh, *food.en):
            if food.category in allergen_words.BY_NATURE and by_habit is None:
                say((phrase,), food.allergens)
                continue
            # A dish says what it cannot be without, and every ingredient that its name spells out.
            spelled = [said[normalised(m.phrase)] for m in ingredients.find(phrase)]
            inside = frozenset().union(*spelled) & food.allergens
            say((phrase,), (by_habit or frozenset()) | inside)
            if food.category in allergen_words.SOFT_CATEGORIES and Allergen.GLUTEN not in inside:
                soft.add(normalised(phrase))
    for friend in load_false_friends():
        say((friend.phrase,), frozenset())
    for phrase in (*allergen_words.FALSE_FRIENDS, *allergen_words.WITHOUT_WHEAT):
        said[normalised(phrase)] = allergen_words.STILL_MEANS.get(phrase, frozenset())
    for phrase, allergens in allergen_words.PLAIN_MEANINGS.items():
        said[normalised(phrase)] = allergens
    gluten = frozenset({Allergen.GLUTEN})
    meanings = {
        phrase: _Meaning(allergens - gluten, allergens & gluten)
        if phrase in soft
        else _Meaning(allergens)
        for phrase, allergens in said.items()
    }
    return MentionScanner(meanings), meanings
