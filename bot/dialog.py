"""The conversation's explicit state: one small value, with version and expiry. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from data.catalogue import ItemId, LessonId
from data.events import SlateId, UserKey
from data.store import DialogRow
from data.vocabulary import Allergen, Diet
from recommender.constraints import Constraints

VERSION = 2
LIFETIME = timedelta(hours=24)
MAX_HISTORY = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """Where a conversation stands."""

    lesson_id: LessonId | None = None
    topic: str = ""
    """Free words that opened the conversation when no lesson did."""
    slates: tuple[SlateId, ...] = ()
    """Slates shown since the conversation opened, oldest first; the last one is current."""
    wishes: Constraints = field(default_factory=Constraints)
    words: tuple[str, ...] = ()
    """Soft wishes, in the person's own words or as labels."""
    like: tuple[ItemId, ...] = ()
    asked: str = ""
    """A question of ours that waits for an answer: `allergy:<word>`, `forget`, or empty."""
    undo: str = ""
    """What "undo" takes back: `facts:<id>,<id>`, `reply:<id>`, `wishes`, or empty."""
    before: str = ""
    """The state, as JSON, to which undoing `wishes` returns."""

    @property
    def slate_id(self) -> SlateId | None:
        return self.slates[-1] if self.slates else None

    def opened(self, *, lesson_id: LessonId | None = None, topic: str = "") -> Dialog:
        """A new subject: earlier wishes of the conversation end with the old one."""
        return Dialog(lesson_id=lesson_id, topic=topic)

    def about(self, topic: str) -> Dialog:
        """A subject in free words; wishes said before any subject was open stay."""
        return replace(self, topic=topic, lesson_id=None, slates=(), asked="")

    def showing(self, slate_id: SlateId) -> Dialog:
        return replace(self, slates=(*self.slates, slate_id)[-MAX_HISTORY:], asked="")

    def back(self) -> Dialog:
        """One slate back; the first slate stays."""
        return replace(self, slates=self.slates[:-1] or self.slates, asked="")

    def wishing(self, wishes: Constraints, words: tuple[str, ...] = ()) -> Dialog:
        """Add hard and soft wishes to those that hold."""
        merged = self.wishes.merged(wishes)
        if wishes.include:
            merged = replace(merged, exclude=merged.exclude - wishes.include)
        if wishes.exclude:
            # "No seafood after all" ends an earlier wish for seafood; the latest word counts.
            merged = replace(merged, include=merged.include - wishes.exclude)
        every = dict.fromkeys((*self.words, *words))
        return replace(self.remembering(), wishes=merged, words=tuple(every)[-8:])

    def liking(self, likes: tuple[ItemId, ...]) -> Dialog:
        """Turn towards items like these; the latest ones count."""
        return replace(self.remembering(), like=likes)

    def without_wishes(self) -> Dialog:
        """Start over: the subject stays, the wishes go, and every item may come again."""
        return replace(self.remembering(), wishes=Constraints(), words=(), like=(), slates=())

    def remembering(self) -> Dialog:
        """The same, with the way back written down: one step, as people expect of "undo"."""
        return replace(self, undo="wishes", before=to_json(replace(self, undo="", before="")))

    def undone(self) -> Dialog:
        """The state before the last wish; the same state when there is none."""
        return from_json(self.before) if self.before else replace(self, undo="", before="")


def to_row(dialog: Dialog, user_key: UserKey, *, at: datetime) -> DialogRow:
    return DialogRow(
        user_key=user_key, state=to_json(dialog), version=VERSION, expires_at=at + LIFETIME
    )


def from_row(row: DialogRow | None) -> Dialog:
    """Give the state; a missing, older or unreadable row is a fresh start."""
    if row is None or row.version != VERSION:
        return Dialog()
    try:
        return from_json(row.state)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        return Dialog()


def to_json(dialog: Dialog) -> str:
    w = dialog.wishes
    return json.dumps(
        {
            "lesson_id": dialog.lesson_id,
            "topic": dialog.topic,
            "slates": dialog.slates,
            "words": dialog.words,
            "like": dialog.like,
            "asked": dialog.asked,
            "undo": dialog.undo,
            "before": dialog.before,
            "wishes": {
                "allergens": sorted(w.allergens),
                "avoid": sorted(w.avoid),
                "diets": sorted(w.diets),
                "exclude": sorted(w.exclude),
                "include": sorted(w.include),
                **{name: _text(getattr(w, name)) for name in _PRICES},
            },
        },
        ensure_ascii=False,
    )


_PRICES = ("price_max", "price_min", "price_below", "price_above")


def from_json(text: str) -> Dialog:
    raw = json.loads(text)
    wishes: Mapping[str, object] = raw["wishes"]
    return Dialog(
        lesson_id=raw["lesson_id"],
        topic=raw["topic"],
        slates=tuple(raw["slates"]),
        words=tuple(raw["words"]),
        like=tuple(raw["like"]),
        asked=raw["asked"],
        undo=raw["undo"],
        before=raw["before"],
        wishes=Constraints(
            allergens=frozenset(Allergen(a) for a in _strings(wishes["allergens"])),
            avoid=frozenset(_strings(wishes["avoid"])),
            diets=frozenset(Diet(d) for d in _strings(wishes["diets"])),
            exclude=frozenset(_strings(wishes["exclude"])),
            include=frozenset(_strings(wishes["include"])),
            price_max=_price(wishes["price_max"]),
            price_min=_price(wishes["price_min"]),
            price_below=_price(wishes["price_below"]),
            price_above=_price(wishes["price_above"]),
        ),
    )


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)


def _price(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r}")
    return [str(entry) for entry in value]
