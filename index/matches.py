"""What finding gives back: hits with every stage's score, and whether silence is better. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data.catalogue import ItemId, Lesson
from data.events import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to find items for: a lesson, or words of a person, moved by what they said since."""

    text: str
    title: str = ""
    wishes: str = ""
    """Soft words of the person ("sour", "for kids, summer") in addition to the text."""
    like: tuple[ItemId, ...] = ()
    """Items that the answer should be more like."""
    is_lesson: bool = True

    @classmethod
    def of(cls, lesson: Lesson) -> Query:
        return cls(text=lesson.text, title=lesson.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One item found. All scores: higher is better."""

    item_id: ItemId
    row: int
    """Position in the catalogue."""
    score: float
    """Final score in [0, 1]; comparable between lessons, and with the floor."""
    dense: float
    """0.6 * best passage + 0.4 * mean of the best three, cosine."""
    lexical: float
    """BM25, in units of the best item's."""
    knowledge: float
    """Activation of the item's foods by mentions, dishes and topics, in [0, 1]."""
    evidence: str = ""
    """The sentence of the text that the item goes with, verbatim; empty when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The eligible hits of one query, best first."""

    hits: tuple[Hit, ...]
    floor: float
    """Hits below it are worse than silence."""
    is_silent: bool
    """Whether nothing reaches the floor."""
    mode: Mode = Mode.FULL


class Matcher(Protocol):
    """Finds items of one catalogue for a text."""

    @property
    def version(self) -> str:
        """Name of the index snapshot."""

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        """Give the best `top_k` items among the rows where `eligible` (n,) is true."""

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        """(k,) rows -> (k, k) cosine between the items."""
