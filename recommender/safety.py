"""May this item be offered to this person? Fail closed: what is not stated counts against it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from data.catalogue import Item, merchant_key
from data.food_knowledge import load_foods
from data.mentions import MentionScanner, normalised
from data.vocabulary import Allergen, AllergenState, Diet, expand_category
from recommender.claims import has_health_claim
from recommender.constraints import Constraints, HiddenReason
from recommender.detector import detect_in_item, words_of

LABEL_MAX_AGE = timedelta(days=365)
"""After this a label check counts as never made; recipes and factories change."""


@dataclass(frozen=True, slots=True)
class SafetyRules:
    """What the deployment demands of a label."""

    label_max_age: timedelta = LABEL_MAX_AGE


DEFAULT_RULES = SafetyRules()


def safety_reason(
    item: Item, constraints: Constraints, *, at: datetime, rules: SafetyRules = DEFAULT_RULES
) -> HiddenReason | None:
    """Give why the item must not be offered, or None.

    A declared allergy needs `free_from` on a label checked within `rules.label_max_age`; a word
    of the item's own text that speaks of the allergen overrides the label.
    """
    if item.audience == "adults" and not constraints.is_adult:
        return HiddenReason.AUDIENCE
    if has_health_claim(item):
        return HiddenReason.CLAIM
    if constraints.merchants and merchant_key(item.merchant) in constraints.merchants:
        return HiddenReason.MERCHANT
    return (
        _allergen_reason(item, constraints.allergens, at=at, rules=rules)
        or _avoid_reason(item, constraints.avoid)
        or _diet_reason(item, constraints.diets)
    )


def _allergen_reason(
    item: Item, declared: frozenset[Allergen], *, at: datetime, rules: SafetyRules
) -> HiddenReason | None:
    if not declared:
        return None
    states = {item.allergen_state(allergen) for allergen in declared}
    if AllergenState.CONTAINS in states or declared & detect_in_item(item):
        return HiddenReason.ALLERGEN
    if AllergenState.MAY_CONTAIN in states:
        return HiddenReason.ALLERGEN_TRACES
    if states != {AllergenState.FREE_FROM} or not is_label_fresh(item, at=at, rules=rules):
        return HiddenReason.ALLERGEN_UNKNOWN
    return None


def is_label_fresh(item: Item, *, at: datetime, rules: SafetyRules = DEFAULT_RULES) -> bool:
    """Whether the label was checked, not in the future, and recently enough."""
    checked: date | None = item.allergens_checked_on
    today = at.date()
    # One day of grace ahead: a shop east of us may already live in tomorrow.
    return (
        checked is not None
        and checked <= today + timedelta(days=1)
        and today - checked <= rules.label_max_age
    )


def _avoid_reason(item: Item, avoid: frozenset[str]) -> HiddenReason | None:
    """Outside the 14 no label speaks; so every word of the item counts, servings included."""
    if avoid and (mentions_any(item, avoid) or not has_readable_composition(item)):
        return HiddenReason.AVOIDED
    return None


def has_readable_composition(item: Item) -> bool:
    """Whether the item is a single food or says what is in it, as far as words can tell."""
    return bool(item.description_zh or item.description_en) and item.category not in {
        "ready_to_eat",
        "frozen",
        "snack",
        "sweet",
        "",
    }


def mentions_any(item: Item, foods: Iterable[str]) -> bool:
    """Whether any text of the item names one of the foods."""
    text = "\n".join(
        (item.name_zh, item.name_en, item.description_zh, item.description_en, *item.tags)
    )
    wanted = [food for food in foods if food.strip()]
    if MentionScanner(wanted).find(text):
        return True
    folded = normalised(text)
    return any(normalised(food).strip() in folded for food in wanted)


def _diet_reason(item: Item, diets: frozenset[Diet]) -> HiddenReason | None:
    if not diets:
        return None
    if item.diets is None:
        return HiddenReason.DIET_UNKNOWN
    if not diets <= item.diets:
        return HiddenReason.DIET
    if _contradicts(item, diets):
        return HiddenReason.DIET
    return None


_DIET_ENEMIES: dict[Diet, frozenset[Allergen]] = {
    Diet.VEGAN: frozenset(
        {Allergen.EGGS, Allergen.MILK, Allergen.FISH, Allergen.CRUSTACEANS, Allergen.MOLLUSCS}
    ),
    Diet.VEGETARIAN: frozenset({Allergen.FISH, Allergen.CRUSTACEANS, Allergen.MOLLUSCS}),
    Diet.KOSHER: frozenset({Allergen.CRUSTACEANS, Allergen.MOLLUSCS}),
    Diet.GLUTEN_FREE: frozenset({Allergen.GLUTEN}),
}
_MEATS = expand_category("meat")
_DIET_CATEGORIES: dict[Diet, frozenset[str]] = {
    Diet.VEGAN: _MEATS | expand_category("seafood") | {"egg", "dairy"},
    Diet.VEGETARIAN: _MEATS | expand_category("seafood"),
    Diet.HALAL: frozenset({"pork"}),
    Diet.KOSHER: frozenset({"pork", "shellfish"}),
}


def _contradicts(item: Item, diets: frozenset[Diet]) -> bool:
    """Whether the item's own category, label or words speak against a diet that it claims."""
    return any(_speaks_against(item, diet) for diet in diets)


def _speaks_against(item: Item, diet: Diet) -> bool:
    against = _DIET_CATEGORIES.get(diet, frozenset())
    if item.category in against or _spelled_categories(item) & against:
        return True
    if diet is Diet.HALAL and item.audience == "adults":
        return True
    enemies = _DIET_ENEMIES.get(diet, frozenset())
    if any(item.allergen_state(a) is AllergenState.CONTAINS for a in enemies):
        return True
    if diet is Diet.GLUTEN_FREE and (
        item.allergen_state(Allergen.GLUTEN) is AllergenState.MAY_CONTAIN
    ):
        return True
    return bool(enemies & detect_in_item(item))


_MEAT_WORDS = re.compile(
    r"猪|牛肉|羊肉|鸡肉|鸡胸|鸡腿|鸡汤|鸭肉|鸭腿|培根|火腿|腊肉|腊肠"
    r"|\b(?:pork|bacon|ham|lard|beef|veal|lamb|mutton|chicken|duck|turkey|prosciutto|chorizo|salami)\b"
)


_PORK_WORDS = re.compile(r"猪|培根|\b(?:pork|bacon|ham|lard)\b")


def _spelled_categories(item: Item) -> frozenset[str]:
    """Categories of meat that name and description speak of; tags also name what goes beside."""
    scanner, categories = _food_words()
    found: set[str] = set()
    for mention in scanner.find(normalised(words_of(item, with_tags=False))):
        category = categories[mention.phrase]
        if category == "soy" or _MEAT_WORDS.search(mention.phrase) is None:
            continue
        # Lard is filed under fats and chicken powder under spices; they are meat all the same.
        if _PORK_WORDS.search(mention.phrase):
            found.add("pork")
        else:
            found.add(category if category in _MEATS else "poultry")
    return frozenset(found)


@lru_cache(maxsize=1)
def _food_words() -> tuple[MentionScanner, dict[str, str]]:
    """Every food name with its category, so that 素火腿 wins over 火腿."""
    categories = {
        normalised(phrase): food.category
        for food in load_foods().values()
        for phrase in (*food.zh, *food.en)
    }
    return MentionScanner(categories), categories


def wish_reason(item: Item, constraints: Constraints) -> HiddenReason | None:
    """Give why the item does not fit what the person asked for, safety apart, or None."""
    if _is_excluded(item, constraints.exclude):
        return HiddenReason.EXCLUDED
    if not _price_fits(item, constraints):
        return HiddenReason.PRICE
    if constraints.include and not _is_included(item, constraints.include):
        return HiddenReason.CATEGORY
    return None


_MADE_OF: dict[str, frozenset[Allergen]] = {
    "dairy": frozenset({Allergen.MILK}),
    "egg": frozenset({Allergen.EGGS}),
    "fish": frozenset({Allergen.FISH}),
    "shellfish": frozenset({Allergen.CRUSTACEANS, Allergen.MOLLUSCS}),
    "soy": frozenset({Allergen.SOYBEANS}),
    "nut": frozenset({Allergen.NUTS, Allergen.PEANUTS}),
}
"""What a category is made of: who wants no dairy wants no butter bun either."""


def _is_excluded(item: Item, exclude: frozenset[str]) -> bool:
    if not exclude:
        return False
    categories: set[str] = set()
    for word in exclude:
        categories |= expand_category(word)
    if item.category in categories:
        return True
    unwanted = frozenset().union(*(_MADE_OF.get(c, frozenset()) for c in categories))
    if any(item.allergen_state(a) is AllergenState.CONTAINS for a in unwanted):
        return True
    names = "\n".join((item.name_zh, item.name_en, *item.tags))
    return bool(MentionScanner(_exclusion_words(exclude)).find(names))


def _exclusion_words(exclude: frozenset[str]) -> list[str]:
    """Words that name an excluded thing: a category also by its own name ("pork floss")."""
    return [word.replace("_", " ") for word in exclude]


def _is_included(item: Item, include: frozenset[str]) -> bool:
    categories: set[str] = set()
    for word in include:
        categories |= expand_category(word)
    return item.category in categories or bool(set(item.tags) & include)


def _price_fits(item: Item, c: Constraints) -> bool:
    if c.price_max is None and c.price_min is None and c.price_below is None:
        return c.price_above is None or (item.price is not None and item.price > c.price_above)
    if item.price is None:
        return False
    return (
        (c.price_max is None or item.price <= c.price_max)
        and (c.price_min is None or item.price >= c.price_min)
        and (c.price_below is None or item.price < c.price_below)
        and (c.price_above is None or item.price > c.price_above)
    )
