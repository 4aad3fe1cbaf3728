"""Behaviour on the platforms round us (browsing, purchases, searches, reviews) as replies.

One row per act: `user, time, kind, item | lesson | text, value`. The id of a reply is made of the
row, so that the same file may be imported twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path

from data import cells
from data.catalogue import ItemId, LessonId
from data.cells import CellError
from data.errors import InvalidInput
from data.events import Reply, ReplyKind, UserKey
from data.importing import LARGEST_FILE_BYTES, Import, collect
from data.rows import decode, json_rows, table_rows
from data.validation import Complaint, Parsed, Row

COLUMNS = frozenset({"user", "time", "kind", "item", "lesson", "text", "value", "platform"})
LONGEST_TEXT = 2_000
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)


class BehaviourKind(StrEnum):
    """What somebody did."""

    BROWSE = "browse"
    PURCHASE = "purchase"
    SEARCH = "search"
    REVIEW = "review"


_KIND_BY_WORD = {
    "browse": BehaviourKind.BROWSE,
    "view": BehaviourKind.BROWSE,
    "click": BehaviourKind.BROWSE,
    "浏览": BehaviourKind.BROWSE,
    "purchase": BehaviourKind.PURCHASE,
    "buy": BehaviourKind.PURCHASE,
    "order": BehaviourKind.PURCHASE,
    "购买": BehaviourKind.PURCHASE,
    "下单": BehaviourKind.PURCHASE,
    "search": BehaviourKind.SEARCH,
    "搜索": BehaviourKind.SEARCH,
    "review": BehaviourKind.REVIEW,
    "rating": BehaviourKind.REVIEW,
    "评价": BehaviourKind.REVIEW,
    "评论": BehaviourKind.REVIEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One act of one person, as another platform tells it."""

    user: str
    """The platform's id of the person; becomes a pseudonym before it is stored."""
    at: datetime
    kind: BehaviourKind
    item_id: ItemId | None = None
    lesson_id: LessonId | None = None
    text: str = ""
    value: Decimal | None = None
    """Stars 1-5 of a review; units of a purchase."""
    platform: str = "partner"

    @property
    def row_id(self) -> str:
        """The same for the same act."""
        parts = (
            self.platform, self.user, self.at.isoformat(), self.kind, self.item_id or "",
            self.lesson_id or "", self.text, str(self.value),
        )  # fmt: skip
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]


def read_behaviour(path: Path, *, now: datetime) -> Import[Behaviour]:
    """Read a CSV, TSV or JSONL file; bad rows are reported with their line, good ones kept.

    Args:
        path: The file.
        now: Acts after this moment (a day of grace) are refused.

    Raises:
        InvalidInput: the file cannot be read, is empty, or has no column that we know.
    """
    is_table = path.suffix.casefold() in {".csv", ".tsv", ".txt"}
    if not is_table and path.suffix.casefold() not in {".jsonl", ".ndjson"}:
        raise InvalidInput(
            f"{path.name} ends in {path.suffix!r}; expected a .csv, .tsv or .jsonl file"
        )
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise InvalidInput(
            f"{path.name} is larger than {LARGEST_FILE_BYTES // 10**6} MB; split it by month"
        )
    lines = decode(path.read_bytes(), try_gb18030=is_table)
    if not any(line.strip() for line in lines.texts):
        raise InvalidInput(f"{path.name} is empty; expected at least one row")
    rows = table_rows(lines, COLUMNS, path.name) if is_table else json_rows(lines)
    return collect(path.name, rows, lambda row: parse_behaviour(row, now=now), _id, "row", COLUMNS)


def _id(behaviour: Behaviour) -> str:
    return behaviour.row_id


def parse_behaviour(row: Row, *, now: datetime) -> Parsed[Behaviour]:
    """Check one row: user, time and kind, and what the kind needs."""
    faults: list[Complaint] = []

    def cell(name: str, read: Callable[[object], object]) -> object:
        try:
            return read(row.get(name))
        except CellError as bad:
            faults.append(Complaint(field=name, value=row.get(name), expected=bad.expected))
            return None

    user = cell("user", cells.identifier)
    at = cell("time", lambda value: _moment(value, now=now))
    kind = cell("kind", _kind)
    item = cell("item", _optional_id)
    lesson = cell("lesson", _optional_id)
    text = cell("text", lambda value: cells.text(value, longest=LONGEST_TEXT, multiline=True))
    value = cell("value", _number)
    platform = cell("platform", lambda found: cells.text(found, longest=60))
    if not faults:
        expected = _missing(kind, item=item, lesson=lesson, text=text, value=value)
        if expected:
            faults.append(Complaint(field="row", value=str(kind), expected=expected))
    if faults:
        return Parsed(record=None, complaints=tuple(faults))
    assert isinstance(at, datetime)
    assert isinstance(kind, BehaviourKind)
    return Parsed(
        record=Behaviour(
            user=str(user),
            at=at,
            kind=kind,
            item_id=ItemId(str(item)) if item else None,
            lesson_id=LessonId(str(lesson)) if lesson else None,
            text=str(text),
            value=value if isinstance(value, Decimal) else None,
            platform=str(platform) or "partner",
        )
    )


def _missing(kind: object, *, item: object, lesson: object, text: object, value: object) -> str:
    if kind is BehaviourKind.SEARCH and not text:
        return "a text that was searched for"
    if kind is BehaviourKind.BROWSE and not (item or lesson):
        return "the item or lesson that was looked at"
    if kind is BehaviourKind.PURCHASE and not item:
        return "the item that was bought"
    if kind is BehaviourKind.REVIEW:
        if not item:
            return "the item that was reviewed"
        if value is None and not text:
            return "stars from 1 to 5 in value, or a text"
        if isinstance(value, Decimal) and not 1 <= value <= 5:
            return "stars from 1 to 5 in value"
    return ""


def _kind(value: object) -> BehaviourKind:
    word = cells.text(value, longest=40).casefold()
    if word not in _KIND_BY_WORD:
        raise CellError("browse, purchase, search or review")
    return _KIND_BY_WORD[word]


def _optional_id(value: object) -> str:
    return "" if cells.is_empty(value) else cells.identifier(value)


def _moment(value: object, *, now: datetime) -> datetime:
    expected = "a moment with time zone, such as 2026-11-24T18:00:00+08:00"
    if not isinstance(value, str):
        raise CellError(expected)
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise CellError(expected) from None
    if moment.tzinfo is None:
        raise CellError(expected)
    moment = moment.astimezone(UTC)
    if moment > now + timedelta(days=1):
        raise CellError("a moment that is not in the future")
    if moment < OLDEST:
        raise CellError("a moment after 2000")
    return moment


def _number(value: object) -> Decimal | None:
    if cells.is_empty(value):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise CellError("a number, or nothing") from None
    if not number.is_finite() or not 0 <= number <= 1_000_000:
        raise CellError("a number from 0 to 1000000, or nothing")
    return number


def replies_of(behaviour: Behaviour, user_key: UserKey) -> Sequence[Reply]:
    """Give what the profile is folded from. Stars from 4 speak for an item, up to 2 against it."""
    found: list[tuple[ReplyKind, str]] = []
    match behaviour.kind:
        case BehaviourKind.BROWSE:
            lesson = behaviour.lesson_id
            found.append((ReplyKind.CLICK, f"lesson:{lesson}" if lesson else ""))
        case BehaviourKind.PURCHASE:
            found.append((ReplyKind.PURCHASE, str(behaviour.value or 1)))
        case BehaviourKind.SEARCH:
            found.append((ReplyKind.TEXT, "search"))
        case BehaviourKind.REVIEW:
            stars = behaviour.value
            found.append((ReplyKind.RATING, str(stars) if stars is not None else ""))
            if stars is not None and stars >= 4:
                found.append((ReplyKind.LIKE, ""))
            elif stars is not None and stars <= 2:
                found.append((ReplyKind.DISLIKE, ""))
    return [
        Reply(
            reply_id=f"import:{behaviour.row_id}:{kind}",
            at=behaviour.at,
            user_key=user_key,
            kind=kind,
            item_id=behaviour.item_id,
            value=value,
            text=behaviour.text,
            source=f"import:{behaviour.platform}",
        )
        for kind, value in found
    ]
