"""One item of the catalogue as the fields of a form, and as a row of the catalogue file. Pure.

The file keeps everything else as it is: rows that could not be read, columns that we do not know. Whatever
it was, it becomes JSONL, since only there a row can hold what another row's header does not name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from bot.studio.words import Refused
from data.catalogue import Item, ItemId
from data.importing import read_items
from data.rows import BrokenRow, SourceRow, decode, json_rows, table_rows
from data.validation import ITEM_COLUMNS, Complaint, parse_item
from data.vocabulary import Allergen, AllergenState, Diet

TEXTS = (
    "item_id", "name_zh", "name_en", "description_zh", "description_en", "category", "price",
    "currency", "unit", "origin", "merchant", "image_url", "buy_url", "available_from", "available_until",
    "allergens_checked_on", "stock", "audience", "vertical",
)  # fmt: skip
"""Fields with one value."""
_TAGS = re.compile(r"[;；\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFields:
    """What stands in the form."""

    texts: Mapping[str, str] = field(default_factory=dict)
    tags: str = ""
    """Separated by `;`."""
    season: frozenset[int] = frozenset()
    states: Mapping[Allergen, AllergenState] = field(default_factory=dict)
    diets: frozenset[Diet] | None = None
    is_sponsored: bool = False

    @classmethod
    def of(cls, item: Item) -> ItemFields:
        return cls(
            texts={name: _text(getattr(item, name)) for name in TEXTS},
            tags="; ".join(item.tags),
            season=item.season,
            states=item.allergens,
            diets=item.diets,
            is_sponsored=item.sponsored,
        )

    def cells(self) -> dict[str, object]:
        """The row of the catalogue file; what is empty is left out, and so stays unknown."""
        stated = {a.value: s.value for a, s in self.states.items() if s != AllergenState.UNKNOWN}
        told: dict[str, object] = {
            **{name: self.texts.get(name, "").strip() for name in TEXTS},
            "tags": [tag.strip() for tag in _TAGS.split(self.tags) if tag.strip()],
            "season": [str(month) for month in sorted(self.season)],
            "allergens": stated,
            "diets": None if self.diets is None else sorted(self.diets) or "-",
            "sponsored": "true" if self.is_sponsored else "",
        }
        return {name: value for name, value in told.items() if value}


def _text(value: object) -> str:
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of a form: an item, or what is wrong with it."""

    item: Item | None
    complaints: tuple[Complaint, ...] = ()
    cleared: tuple[Allergen, ...] = ()
    """Allergens that the item would newly be free from; somebody must have read that on a label."""


def check(fields: ItemFields, before: Item | None, *, today: date) -> Checked:
    """Judge a form by the rules of an import, and ask for the day of the label where it changed."""
    parsed = parse_item(fields.cells())
    item, complaints = parsed.record, list(parsed.complaints)
    if item is None:
        return Checked(item=None, complaints=tuple(complaints))
    earlier = before.allergens if before is not None else {}
    day = item.allergens_checked_on
    is_known_day = day == today or (before is not None and day != before.allergens_checked_on)
    if dict(item.allergens) != dict(earlier) and (day is None or not is_known_day):
        complaints.append(
            Complaint(
                field="allergens_checked_on", value=_text(day),
                expected="the day on which somebody read this on the label",
            )
        )  # fmt: skip
    if day is not None and day > today + timedelta(days=1):
        complaints.append(
            Complaint(
                field="allergens_checked_on", value=_text(day), expected="a day that has come"
            )
        )
    cleared = tuple(
        allergen
        for allergen in Allergen
        if item.allergen_state(allergen) is AllergenState.FREE_FROM
        and earlier.get(allergen) is not AllergenState.FREE_FROM
    )
    return Checked(
        item=None if complaints else item, complaints=tuple(complaints), cleared=cleared
    )


def rewritten(path: Path, item_id: ItemId, cells: Mapping[str, object] | None) -> bytes:
    """Give a catalogue file with one row replaced or added; with `cells` None, without that row.

    Raises:
        InvalidInput: The file cannot be read, or the new one would not say the same of all others.
    """
    lines = list(_lines(path, item_id, cells))
    return ("\n".join(lines) + "\n").encode()


def ensure_others_stay(before: Collection[Item], after: Collection[Item], item_id: ItemId) -> None:
    """Compare all other items, in their order.

    Raises:
        InvalidInput: one of them changed.
    """
    others = [[i for i in items if i.item_id != item_id] for items in (before, after)]
    if others[0] != others[1]:
        raise Refused("edit.others_would_change")


def _lines(path: Path, item_id: ItemId, cells: Mapping[str, object] | None) -> Iterable[str]:
    new = json.dumps(cells, ensure_ascii=False) if cells is not None else ""
    is_placed = False
    for raw, row in _rows(path):
        record = parse_item(row.cells).record if isinstance(row, SourceRow) else None
        if record is None or record.item_id != item_id:
            yield raw
        elif cells is None:
            continue
        elif is_placed:  # a second row with this id; it did not count and does not now
            yield raw
        else:
            is_placed = True
            yield new
    if not is_placed and new:
        yield new


def _rows(path: Path) -> Iterable[tuple[str, SourceRow | BrokenRow]]:
    """Each row as a line of JSONL, and what it says; broken ones as they stand."""
    read_items(path)  # refuses what cannot be read at all
    is_table = path.suffix.casefold() in (".csv", ".tsv", ".txt")
    decoded = decode(path.read_bytes(), try_gb18030=is_table)
    if is_table:
        for row in table_rows(decoded, ITEM_COLUMNS, path.name):
            if isinstance(row, SourceRow):
                told = {name: value for name, value in row.cells.items() if value}
                yield json.dumps(told, ensure_ascii=False), row
            else:
                yield json.dumps({"unreadable": row.value}, ensure_ascii=False), row
        return
    for row in json_rows(decoded):
        yield decoded.texts[row.line - 1].rstrip("\r\n"), row
