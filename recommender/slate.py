"""A request for a slate, and the slate that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from data.catalogue import Item, ItemId, Lesson, LessonId
from data.events import SlateId, SlateRecord
from index.matches import Hit, Query
from recommender.constraints import Constraints, HiddenReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for, now."""

    lesson: Lesson | None = None
    text: str = ""
    """Free words when no lesson is at hand."""
    wishes: Constraints = field(default_factory=Constraints)
    """Hard wishes of this conversation, beside the profile's."""
    words: str = ""
    """Soft wishes."""
    like: tuple[ItemId, ...] = ()
    without: frozenset[ItemId] = frozenset()
    """Items shown in this conversation already."""
    size: int = 3
    language: str = "en"
    trigger: str = "lesson"
    chat_kind: str = "private"
    replaces: SlateId | None = None

    @property
    def query(self) -> Query:
        if self.lesson is not None:
            return Query(
                text=self.lesson.text,
                title=self.lesson.title,
                wishes=" ".join(part for part in (self.text, self.words) if part),
                like=self.like,
            )
        return Query(
            text=self.text or self.words,
            wishes=self.words if self.text else "",
            like=self.like,
            is_lesson=False,
        )

    @property
    def lesson_id(self) -> LessonId | None:
        return self.lesson.lesson_id if self.lesson else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """The answer to a request: the record that is logged, and what words need."""

    record: SlateRecord
    items: tuple[Item, ...]
    """In the order of the placements."""
    hits: tuple[Hit, ...]
    """One per item."""
    hidden: Mapping[HiddenReason, int]
    is_silent: bool = False
    """Eligible items exist, but none goes with the lesson well enough."""

    @property
    def is_empty(self) -> bool:
        return not self.items
