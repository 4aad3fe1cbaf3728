"""A row of any source to an Item or a Lesson: the only check at the border. Pure.

A row with a bad cell is refused whole, with every bad cell named. A few things are reported and
yet keep the row, because the record then claims less, never more: allergen statements that we
cannot read (all become unknown), diets, categories and languages outside the vocabulary, and a
lesson that has a title and no text. A text stuffed with one word is reported and kept as it is: its
words may be what gives an allergen away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from data import cells
from data.allergen_cells import allergen_states
from data.catalogue import Item, ItemId, Lesson, LessonId
from data.cells import CellError
from data.stuffing import stuffed_word
from data.vocabulary import FOOD_CATEGORIES, Diet

T = TypeVar("T")
Cell = TypeVar("Cell")

NO_WORDS: tuple[str, ...] = ()

Row = Mapping[str, object]
"""Column -> cell, as the source gives it."""

NAME_LONGEST = 200
DESCRIPTION_LONGEST = 4_000
LESSON_LONGEST = 200_000
SHORT_LONGEST = 120

_PRICE_COLUMNS = {"price_cny": "CNY", "price_usd": "USD", "price_eur": "EUR", "price_gbp": "GBP"}

ITEM_COLUMNS: frozenset[str] = frozenset(Item.__dataclass_fields__) | {
    "name",
    "description",
    "diet",
    "may_contain",
    *_PRICE_COLUMNS,
}
LESSON_COLUMNS: frozenset[str] = frozenset(Lesson.__dataclass_fields__)

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One cell that is not as it should be."""

    field: str
    value: object
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Generic[T]):
    """What became of a row: a record, or at least one complaint, or both."""

    record: T | None
    complaints: tuple[Complaint, ...] = ()


class _Reader:
    """Reads cells of one row and collects what is wrong with them."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.faults: list[Complaint] = []
        """These refuse the row."""
        self.remarks: list[Complaint] = []
        """These do not."""

    def cell(self, field: str, read: Callable[..., Cell], default: Cell, **limits: Any) -> Cell:
        try:
            return read(self.row.get(field), **limits)
        except CellError as bad:
            self.fault(field, bad.expected)
            return default

    def text(self, field: str, longest: int = SHORT_LONGEST, *, multiline: bool = False) -> str:
        return self.cell(field, cells.text, "", longest=longest, multiline=multiline)

    def fault(self, field: str, expected: str) -> None:
        complaint = Complaint(field=field, value=self.row.get(field), expected=expected)
        self.faults.append(complaint)

    def remark(self, field: str, expected: str) -> None:
        self.remarks.append(Complaint(field=field, value=self.row.get(field), expected=expected))

    def result(self, build: Callable[[], T]) -> Parsed[T]:
        complaints = (*self.faults, *self.remarks)
        return Parsed(record=None if self.faults else build(), complaints=complaints)


def parse_item(row: Row) -> Parsed[Item]:
    """Check one row of a catalogue; only `item_id` and one name are required."""
    reader = _Reader(row)
    item_id = reader.cell("item_id", cells.identifier, "")
    name_zh, name_en = _in_two_languages(reader, "name", NAME_LONGEST)
    if not (name_zh or name_en or reader.faults):
        reader.fault("name", "a name in name_zh, name_en or name")
    description_zh, description_en = _in_two_languages(reader, "description", DESCRIPTION_LONGEST)
    for field in ("name", "name_zh", "name_en", "description", "description_zh", "description_en"):
        stuffed = stuffed_word(str(row.get(field) or ""))
        if stuffed is not None:
            word, count = stuffed
            reader.remark(field, f"prose; it has the word {word} {count} times")
    amount, currency = _price(reader)
    states, complaints = allergen_states(row.get("allergens"), row.get("may_contain"))
    for bad in complaints:
        reader.remark(
            "may_contain" if cells.is_empty(row.get("allergens")) else "allergens", bad.expected
        )
    available_from = reader.cell("available_from", cells.day, None)
    available_until = reader.cell("available_until", cells.day, None)
    if available_from and available_until and available_from > available_until:
        reader.fault("available_until", f"a day not before available_from ({available_from})")
    vertical = reader.text("vertical").casefold() or "food"
    category, category_tags = _category(reader, vertical)
    fields: dict[str, Any] = {
        "category": category,
        "tags": (*reader.cell("tags", cells.words, NO_WORDS), *category_tags),
        "unit": reader.text("unit"),
        "season": reader.cell("season", cells.months, frozenset[int]()),
        "allergens_checked_on": reader.cell("allergens_checked_on", cells.day, None),
        "diets": _diets(reader),
        "origin": reader.text("origin"),
        "image_url": reader.cell("image_url", cells.url, ""),
        "buy_url": reader.cell("buy_url", cells.url, ""),
        "stock": reader.cell("stock", cells.count, None),
        "audience": reader.cell("audience", cells.one_of, "", choices=("all", "adults")),
        "sponsored": bool(reader.cell("sponsored", cells.boolean, None)),
        "merchant": reader.text("merchant"),
    }
    return reader.result(
        lambda: Item(
            item_id=ItemId(item_id),
            name_zh=name_zh,
            name_en=name_en,
            description_zh=description_zh,
            description_en=description_en,
            price=amount,
            currency=currency,
            allergens=states,
            available_from=available_from,
            available_until=available_until,
            vertical=vertical,
            **fields,
        )
    )


def parse_lesson(row: Row) -> Parsed[Lesson]:
    """Check one row of lessons; only `lesson_id`, `title` and `text` are required."""
    reader = _Reader(row)
    lesson_id = reader.cell("lesson_id", cells.identifier, "")
    title = reader.text("title", NAME_LONGEST)
    body = reader.text("text", LESSON_LONGEST, multiline=True)
    named = {complaint.field for complaint in reader.faults}
    if not title and "title" not in named:
        reader.fault("title", "a title")
    if not body and "text" not in named:
        reader.remark("text", "the text of the lesson; its title stands in for it")
        body = title
    lang = re.split(r"[-_]", reader.text("lang").casefold())[0]
    if lang not in ("", "zh", "en"):
        reader.remark("lang", "zh, en or nothing; its language now counts as unknown")
        lang = ""
    course, domain = reader.text("course", NAME_LONGEST), reader.text("domain")
    audience = reader.cell("audience", cells.one_of, "", choices=("all", "adults", "minors"))
    url = reader.cell("url", cells.url, "")
    return reader.result(
        lambda: Lesson(
            lesson_id=LessonId(lesson_id),
            title=title,
            text=body,
            course=course,
            lang=lang,
            domain=domain,
            audience=audience,
            url=url,
        )
    )


def _in_two_languages(reader: _Reader, field: str, longest: int) -> tuple[str, str]:
    multiline = longest > NAME_LONGEST
    chinese = reader.text(f"{field}_zh", longest, multiline=multiline)
    english = reader.text(f"{field}_en", longest, multiline=multiline)
    either = reader.text(field, longest, multiline=multiline)
    if _HAN.search(either):
        return chinese or either, english
    return chinese, english or either


def _price(reader: _Reader) -> tuple[Any, str]:
    stated = reader.cell("currency", cells.currency, "")
    found = reader.cell("price", cells.price, None)
    named = "price"
    for column, currency in _PRICE_COLUMNS.items():
        other = reader.cell(column, cells.price, None)
        if other is None:
            continue
        if other[1] not in ("", currency):
            reader.fault(column, f"a price in {currency}")
        elif found is None:
            found, named = (other[0], currency), column
    if found is None:
        return None, stated or "CNY"
    amount, marked = found
    if stated and marked and stated != marked:
        reader.fault(named, f"one currency, not both {marked} and {stated}")
    return amount, marked or stated or "CNY"


def _diets(reader: _Reader) -> frozenset[Diet] | None:
    field = "diet" if cells.is_empty(reader.row.get("diets")) else "diets"
    value = reader.row.get(field)
    if cells.is_empty(value):
        return None
    if isinstance(value, str) and value.strip() == "-":
        return frozenset()
    named = [
        "_".join(re.split(r"[\s_-]+", word.casefold()))
        for word in reader.cell(field, cells.words, NO_WORDS)
    ]
    known = {diet.value for diet in Diet}
    if any(word not in known for word in named):
        reader.remark(field, f"diets among {', '.join(Diet)}; the others are left out")
    found = frozenset(Diet(word) for word in named if word in known)
    return found if found or not named else None


def _category(reader: _Reader, vertical: str) -> tuple[str, tuple[str, ...]]:
    """Give the category and, where it is not of our vocabulary, the tag that keeps its words."""
    words = reader.text("category").casefold()
    category = "_".join(re.split(r"[\s_/-]+", words))
    if vertical != "food" or category in ("", *FOOD_CATEGORIES):
        return category, ()
    if category.removesuffix("s") in FOOD_CATEGORIES:
        return category.removesuffix("s"), ()
    reader.remark(
        "category", f"one of {', '.join(FOOD_CATEGORIES)}; it is kept as a tag, not as a category"
    )
    return "", (words,)
