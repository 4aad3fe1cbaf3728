"""Item, Lesson and Catalogue: what may be recommended and what is taught. Pure.

Everything that a source does not say is unknown: an empty season, diet or allergen entry is never
read as a statement.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NewType

from data.vocabulary import Allergen, AllergenState, Diet, Language

ItemId = NewType("ItemId", str)
LessonId = NewType("LessonId", str)

NO_STATES: Mapping[Allergen, AllergenState] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A thing we may recommend. At least one of the two names is present."""

    item_id: ItemId
    name_zh: str = ""
    name_en: str = ""
    description_zh: str = ""
    description_en: str = ""
    category: str = ""
    """One of `FOOD_CATEGORIES` for food; empty when unknown."""
    tags: tuple[str, ...] = ()
    price: Decimal | None = None
    """In `currency`, for one `unit`."""
    currency: str = "CNY"
    unit: str = ""
    season: frozenset[int] = frozenset()
    """Months 1-12 in which the item is at its best; empty when unknown."""
    allergens: Mapping[Allergen, AllergenState] = field(default_factory=lambda: NO_STATES)
    """Only what the label states; use `allergen_state` to read it."""
    allergens_checked_on: date | None = None
    diets: frozenset[Diet] | None = None
    """Diets the item is declared fit for; None when nothing was declared."""
    origin: str = ""
    image_url: str = ""
    buy_url: str = ""
    available_from: date | None = None
    available_until: date | None = None
    stock: int | None = None
    """Units on hand; None when unknown, which counts as available."""
    audience: str = "all"
    """`all` or `adults`."""
    vertical: str = "food"
    sponsored: bool = False
    merchant: str = ""
    """Who sells it, not who makes it; empty when unknown. Compare by `merchant_key`."""

    def name(self, language: Language) -> str:
        """The name in `language`, or in the other language where only that exists."""
        own, other = (self.name_zh, self.name_en)
        if language is Language.EN:
            own, other = other, own
        return own or other

    def description(self, language: Language) -> str:
        """The description in `language`, or in the other one; empty when there is none."""
        own, other = (self.description_zh, self.description_en)
        if language is Language.EN:
            own, other = other, own
        return own or other

    def allergen_state(self, allergen: Allergen) -> AllergenState:
        """What the label states of `allergen`; UNKNOWN when it states nothing."""
        return self.allergens.get(allergen, AllergenState.UNKNOWN)

    def is_available(self, at: datetime) -> bool:
        """Whether the item can be bought at that moment, as far as the catalogue knows."""
        day = at.date()
        if self.stock is not None and self.stock <= 0:
            return False
        if self.available_from is not None and day < self.available_from:
            return False
        return self.available_until is None or day <= self.available_until


@lru_cache(maxsize=10_000)
def merchant_key(name: str) -> str:
    """Give what tells merchants apart; "" for none.

    Width, case, spaces and invisible characters do not make another merchant of the same name.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A teaching unit that somebody can finish."""

    lesson_id: LessonId
    title: str
    text: str
    course: str = ""
    lang: str = ""
    """`zh`, `en` or empty when unknown."""
    domain: str = ""
    audience: str = "all"
    """`all`, `adults` or `minors`; commerce is off for `minors`."""
    url: str = ""


@dataclass(frozen=True)
class Catalogue:
    """The versioned set of items and lessons that one deployment serves."""

    items: tuple[Item, ...]
    lessons: tuple[Lesson, ...] = ()

    @classmethod
    def of(cls, items: Iterable[Item], lessons: Iterable[Lesson] = ()) -> Catalogue:
        return cls(tuple(items), tuple(lessons))

    @cached_property
    def items_by_id(self) -> Mapping[ItemId, Item]:
        return MappingProxyType({item.item_id: item for item in self.items})

    @cached_property
    def lessons_by_id(self) -> Mapping[LessonId, Lesson]:
        return MappingProxyType({lesson.lesson_id: lesson for lesson in self.lessons})

    @cached_property
    def version(self) -> str:
        """The first 16 hex digits of a SHA-256 over all items; lessons do not count."""
        return content_hash(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def content_hash(items: Iterable[Item]) -> str:
    """Give 16 hex digits that change when any field of any item, or their order, changes."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps(_plain(item), ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()[:16]


_LATER = frozenset({"merchant"})
"""Fields that are left out while they are empty: an index built before there was such a field fits on."""


def _plain(item: Item) -> list[object]:
    return [
        _canonical(value)
        for f in fields(item)
        if (value := getattr(item, f.name)) or f.name not in _LATER
    ]


def _canonical(value: object) -> object:
    match value:
        case None | bool() | int() | str():
            return value
        case Mapping():
            return sorted((str(k), str(v)) for k, v in value.items())
        case frozenset():
            return sorted(str(v) for v in value)
        case tuple():
            return [str(v) for v in value]
        case _:
            return str(value)
