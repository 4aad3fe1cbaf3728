"""Closed vocabularies that every part shares: allergens, diets, categories, languages. Pure."""

from __future__ import annotations

from enum import StrEnum


class Allergen(StrEnum):
    """The 14 allergens of EU Regulation 1169/2011, annex II; they include GB 7718-2025's eight."""

    GLUTEN = "gluten"
    CRUSTACEANS = "crustaceans"
    EGGS = "eggs"
    FISH = "fish"
    PEANUTS = "peanuts"
    SOYBEANS = "soybeans"
    MILK = "milk"
    NUTS = "nuts"
    CELERY = "celery"
    MUSTARD = "mustard"
    SESAME = "sesame"
    SULPHITES = "sulphites"
    LUPIN = "lupin"
    MOLLUSCS = "molluscs"


class AllergenState(StrEnum):
    """What a label says of one allergen. A missing statement is UNKNOWN, never FREE_FROM."""

    CONTAINS = "contains"
    MAY_CONTAIN = "may_contain"
    FREE_FROM = "free_from"
    UNKNOWN = "unknown"


class Diet(StrEnum):
    """A way of eating that an item is declared fit for."""

    VEGETARIAN = "vegetarian"
    VEGAN = "vegan"
    HALAL = "halal"
    KOSHER = "kosher"
    GLUTEN_FREE = "gluten_free"
    LACTOSE_FREE = "lactose_free"
    LOW_SUGAR = "low_sugar"
    LOW_SALT = "low_salt"
    LOW_FAT = "low_fat"
    HIGH_PROTEIN = "high_protein"


class Language(StrEnum):
    """Languages the assistant speaks; zh is Simplified Chinese."""

    ZH = "zh"
    EN = "en"

    @property
    def other(self) -> Language:
        return Language.EN if self is Language.ZH else Language.ZH


FOOD_CATEGORIES: tuple[str, ...] = (
    "vegetable",
    "fruit",
    "mushroom",
    "herb_spice",
    "fish",
    "shellfish",
    "pork",
    "beef",
    "lamb",
    "poultry",
    "egg",
    "dairy",
    "grain",
    "bread",
    "noodle",
    "bean",
    "soy",
    "nut",
    "oil_condiment",
    "tea_drink",
    "snack",
    "sweet",
    "frozen",
    "ready_to_eat",
)
"""Categories of the food vertical. A catalogue of another vertical may use its own."""

CATEGORY_GROUPS: dict[str, frozenset[str]] = {
    "seafood": frozenset({"fish", "shellfish"}),
    "meat": frozenset({"pork", "beef", "lamb", "poultry"}),
}
"""Wider words that people use for several categories at once."""


def expand_category(word: str) -> frozenset[str]:
    """Give the categories that a category or a group word stands for."""
    return CATEGORY_GROUPS.get(word, frozenset({word}))
