"""The food lexicon: what people call a food, what kind it is, what it is made of. Edge: files.

The files lie in `data/knowledge/`; its README describes every column. Importing this module reads
nothing; the first call of a loader does.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import combinations
from types import MappingProxyType
from typing import NewType

from data.errors import InvalidInput
from data.mentions import singular
from data.vocabulary import FOOD_CATEGORIES, Allergen, Language

FoodId = NewType("FoodId", str)

MAX_STAPLE = 5
ANY_FOOD = FoodId("*")
"""In a false friend: inside this phrase no food at all is mentioned."""

_FOOD_COLUMNS = (
    "food_id",
    "category",
    "zh",
    "en",
    "broader",
    "made_of",
    "staple_zh",
    "staple_en",
    "allergens",
)
_FRIEND_COLUMNS = ("phrase", "lang", "not_food_ids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Food:
    """A food as a shopper thinks of it: all forms that mean the same purchase are one food."""

    food_id: FoodId
    category: str
    """One of `FOOD_CATEGORIES`."""
    zh: tuple[str, ...]
    """Names and forms in Simplified Chinese, the canonical one first; at least one."""
    en: tuple[str, ...]
    """Names in lower-case English, the canonical one first; regular plurals are left out."""
    broader: tuple[FoodId, ...]
    """The kinds it belongs to, nearest only; `food_closure` goes all the way up."""
    made_of: tuple[FoodId, ...]
    staple_zh: int
    """0 (practically never) to 5 (nearly always): use as an ingredient in Chinese home recipes."""
    staple_en: int
    """The same for home recipes written in English."""
    allergens: frozenset[Allergen]
    """Allergens it contains by its nature. An empty set clears nothing."""

    def names(self, language: Language) -> tuple[str, ...]:
        """All names in one language, the canonical one first."""
        return self.zh if language is Language.ZH else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseFriend:
    """A phrase that looks as if it named a food: 葡萄牙 is no grape, "olive branch" no olive."""

    phrase: str
    language: Language
    not_foods: frozenset[FoodId]
    """The foods that are not mentioned inside the phrase; `ANY_FOOD` stands for all."""

    def hides(self, food_id: FoodId) -> bool:
        """Whether a name of that food inside the phrase must not count."""
        return ANY_FOOD in self.not_foods or food_id in self.not_foods


@lru_cache(maxsize=1)
def load_foods() -> Mapping[FoodId, Food]:
    """Read the lexicon once, in the order of the file.

    Raises:
        InvalidInput: a row that cannot be read; the message names the row and the remedy.
    """
    foods: dict[FoodId, Food] = {}
    for place, row in _rows(knowledge_folder() / "foods.tsv", _FOOD_COLUMNS):
        food = _food(row, place)
        if food.food_id in foods:
            raise InvalidInput(
                f"{place}: food_id {food.food_id!r} is used twice; merge the two rows."
            )
        foods[food.food_id] = food
    return MappingProxyType(foods)


@lru_cache(maxsize=1)
def load_false_friends() -> tuple[FalseFriend, ...]:
    """Read the phrases in which a food name means no food, longest phrase first.

    Raises:
        InvalidInput: a row that cannot be read; the message names the row and the remedy.
    """
    friends = [
        FalseFriend(
            phrase=row["phrase"],
            language=_language(row["lang"], place),
            not_foods=frozenset(_ids(row["not_food_ids"])),
        )
        for place, row in _rows(knowledge_folder() / "false_friends.tsv", _FRIEND_COLUMNS)
    ]
    return tuple(sorted(friends, key=lambda friend: (-len(friend.phrase), friend.phrase)))


def food_closure(food_id: str) -> frozenset[FoodId]:
    """Every kind that the food belongs to, transitively, without the food itself.

    Raises:
        InvalidInput: the lexicon has no such food.
    """
    foods = load_foods()
    if food_id not in foods:
        raise InvalidInput(
            f"the food lexicon has no food {food_id!r}; it needs a row in knowledge/foods.tsv."
        )
    return closure(FoodId(food_id), foods)


def closure(food_id: FoodId, foods: Mapping[FoodId, Food]) -> frozenset[FoodId]:
    """Go up `broader` in the given foods; ids without a row are named but lead no further."""
    reached: set[FoodId] = set()
    waiting = list(foods[food_id].broader) if food_id in foods else []
    while waiting:
        kind = waiting.pop()
        if kind in reached:
            continue
        reached.add(kind)
        if kind in foods:
            waiting.extend(foods[kind].broader)
    return frozenset(reached)


def knowledge_folder() -> Traversable:
    """Where the knowledge files lie, also inside an installed package."""
    return resources.files("data.knowledge")


def read_table(source: Traversable) -> Iterator[tuple[str, dict[str, str]]]:
    """Give (place, row by column) of a tab-separated file; lines from `#` on are comments.

    The place is `file:line` for messages. Cells are stripped; no quoting.
    """
    header: list[str] | None = None
    lines = source.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line], "excel-tab", quoting=3))]
        if header is None:
            header = cells
            continue
        place = f"{source.name}:{number}"
        if len(cells) != len(header):
            raise InvalidInput(
                f"{place}: has {len(cells)} columns where the header has {len(header)};"
                " separate the columns by single tabs."
            )
        yield place, dict(zip(header, cells, strict=True))


def read_json_lines(source: Traversable) -> Iterator[tuple[str, dict[str, object]]]:
    """Give (place, object) of a JSON Lines file.

    Raises:
        InvalidInput: a line that is no JSON object.
    """
    lines = source.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{source.name}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidInput(
                f"{place}: is no JSON ({error}); write one object a line."
            ) from error
        if not isinstance(row, dict):
            raise InvalidInput(f"{place}: is no JSON object; write one object a line.")
        yield place, row


def _rows(source: Traversable, columns: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for place, row in read_table(source):
        missing = [column for column in columns if column not in row]
        if missing:
            raise InvalidInput(
                f"{source.name}: the header lacks {', '.join(missing)}; add these columns."
            )
        yield place, row


def _food(row: Mapping[str, str], place: str) -> Food:
    if row["category"] not in FOOD_CATEGORIES:
        raise InvalidInput(
            f"{place}: {row['category']!r} is no food category;"
            f" use one of {', '.join(FOOD_CATEGORIES)}."
        )
    return Food(
        food_id=FoodId(row["food_id"]),
        category=row["category"],
        zh=_cells(row["zh"]),
        en=_cells(row["en"]),
        broader=_ids(row["broader"]),
        made_of=_ids(row["made_of"]),
        staple_zh=_staple(row["staple_zh"], place),
        staple_en=_staple(row["staple_en"], place),
        allergens=frozenset(_allergen(key, place) for key in _cells(row["allergens"])),
    )


def _cells(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _ids(cell: str) -> tuple[FoodId, ...]:
    return tuple(FoodId(part) for part in _cells(cell))


def _staple(cell: str, place: str) -> int:
    if not (cell.isdecimal() and int(cell) <= MAX_STAPLE):
        raise InvalidInput(f"{place}: staple {cell!r} is no whole number from 0 to {MAX_STAPLE}.")
    return int(cell)


def _allergen(key: str, place: str) -> Allergen:
    try:
        return Allergen(key)
    except ValueError:
        raise InvalidInput(
            f"{place}: {key!r} is no allergen; use one of {', '.join(Allergen)}."
        ) from None


def _language(key: str, place: str) -> Language:
    try:
        return Language(key)
    except ValueError:
        raise InvalidInput(f"{place}: {key!r} is no language; use zh or en.") from None


def problems() -> list[str]:
    """Check all knowledge files found; every sentence names a place; empty when they agree."""
    foods = load_foods()
    return [
        *_kind_problems(foods),
        *_name_problems(foods),
        *_friend_problems(foods, load_false_friends()),
        *_reference_problems(foods),
    ]


def _kind_problems(foods: Mapping[FoodId, Food]) -> Iterator[str]:
    for food in foods.values():
        for column, ids in (("broader", food.broader), ("made_of", food.made_of)):
            for unknown in sorted(set(ids) - set(foods)):
                yield f"foods.tsv: {food.food_id}: {column} names the unknown food {unknown!r}"
        if food.food_id in closure(food.food_id, foods):
            yield f"foods.tsv: {food.food_id}: is broader than itself"
        if not (food.zh and food.en):
            yield f"foods.tsv: {food.food_id}: lacks a Chinese or an English name"


def _name_problems(foods: Mapping[FoodId, Food]) -> Iterator[str]:
    owners: dict[tuple[Language, str], list[FoodId]] = {}
    for food in foods.values():
        for language in Language:
            for name in {_folded(name) for name in food.names(language)}:
                owners.setdefault((language, name), []).append(food.food_id)
    for (language, name), ids in owners.items():
        for first, second in combinations(ids, 2):
            if second not in closure(first, foods) and first not in closure(second, foods):
                yield f"foods.tsv: {name!r} ({language}) is claimed by {first} and {second}"


def _friend_problems(
    foods: Mapping[FoodId, Food], friends: Iterable[FalseFriend]
) -> Iterator[str]:
    seen: set[tuple[Language, str]] = set()
    for friend in friends:
        place = f"false_friends.tsv: {friend.phrase!r}"
        key = (friend.language, _folded(friend.phrase))
        if key in seen:
            yield f"{place}: stands twice"
        seen.add(key)
        for food_id in sorted(friend.not_foods - {ANY_FOOD}):
            if food_id not in foods:
                yield f"{place}: names the unknown food {food_id!r}"


def _reference_problems(foods: Mapping[FoodId, Food]) -> Iterator[str]:
    for source in sorted(knowledge_folder().iterdir(), key=lambda found: found.name):
        if source.name.startswith("topics_") and source.name.endswith(".jsonl"):
            for place, row in read_json_lines(source):
                for column in ("foods", "avoid"):
                    named = row.get(column, {})
                    ids = named if isinstance(named, dict) else ()
                    yield from _unknown(ids, foods, f"{place}: {column}")
        elif source.name == "dishes.tsv":
            for place, cells in read_table(source):
                parts = _cells(cells.get("ingredients", ""))
                yield from _unknown((part.split(":")[0] for part in parts), foods, place)


def _unknown(ids: Iterable[str], foods: Mapping[FoodId, Food], place: str) -> Iterator[str]:
    for food_id in ids:
        if food_id not in foods:
            yield f"{place}: names the unknown food {food_id!r}"


def _folded(name: str) -> str:
    return " ".join(singular(word) for word in name.casefold().split())
