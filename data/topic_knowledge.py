"""What foods go with what subjects, and what dishes are made of. Edge: files in `data/knowledge/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from data.food_knowledge import FoodId, knowledge_folder, read_json_lines, read_table

MAX_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class Topic:
    """A subject that lessons talk about."""

    topic_id: str
    kind: str
    zh: tuple[str, ...]
    """Words whose presence speaks for the topic."""
    en: tuple[str, ...]
    gloss_zh: str
    """What such a lesson talks about, for the encoder."""
    gloss_en: str
    foods: Mapping[FoodId, int]
    """1 loosely related, 2 good, 3 delightful."""
    avoid: Mapping[str, str]
    """Food ids, categories or group words that would embarrass or harm, with the reason."""
    is_silent: bool
    """Whether offering anything with such a lesson would be tactless."""


@dataclass(frozen=True, slots=True)
class Dish:
    """A dish and what it is usually made of."""

    dish_id: str
    names: tuple[str, ...]
    ingredients: Mapping[FoodId, int]
    """3 main, 2 essential, 1 usual seasoning."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A word for a technique or type of dish that suggests ingredients."""

    pattern_id: str
    words: tuple[str, ...]
    ingredients: Mapping[FoodId, int]


@lru_cache(maxsize=1)
def load_topics() -> tuple[Topic, ...]:
    """Read all `topics_*.jsonl`, in order of file and line."""
    return tuple(
        _topic(row)
        for source in sorted(knowledge_folder().iterdir(), key=lambda s: s.name)
        if source.name.startswith("topics_") and source.name.endswith(".jsonl")
        for _, row in read_json_lines(source)
    )


@lru_cache(maxsize=1)
def load_dishes() -> tuple[Dish, ...]:
    """Read `dishes.tsv`."""
    return tuple(
        Dish(row["dish_id"], _cells(row["zh"]) + _cells(row["en"]), _weights(row["ingredients"]))
        for row in _table("dishes.tsv")
    )


@lru_cache(maxsize=1)
def load_patterns() -> tuple[Pattern, ...]:
    """Read `patterns.tsv`."""
    return tuple(
        Pattern(row["pattern_id"], _cells(row["words"]), _weights(row["ingredients"]))
        for row in _table("patterns.tsv")
    )


def _table(name: str) -> Iterator[dict[str, str]]:
    source = knowledge_folder() / name
    if source.is_file():
        for _, row in read_table(source):
            yield row


def _topic(row: Mapping[str, object]) -> Topic:
    foods, avoid = row["foods"], row["avoid"]
    if not isinstance(foods, dict) or not isinstance(avoid, dict):
        raise TypeError(f"topic {row.get('id')!r}: foods and avoid are objects")
    return Topic(
        topic_id=str(row["id"]),
        kind=str(row["kind"]),
        zh=_strings(row["zh"]),
        en=_strings(row["en"]),
        gloss_zh=str(row["gloss_zh"]),
        gloss_en=str(row["gloss_en"]),
        foods={FoodId(food): int(weight) for food, weight in foods.items()},
        avoid={str(food): str(reason) for food, reason in avoid.items()},
        is_silent=bool(row.get("silent", False)),
    )


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(entry) for entry in value) if isinstance(value, list) else ()


def _cells(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _weights(cell: str) -> dict[FoodId, int]:
    pairs = (part.rpartition(":") for part in _cells(cell))
    return {FoodId(food): int(weight) for food, _, weight in pairs}
