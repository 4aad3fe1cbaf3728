"""A pairing as its author sees it: ranked items, scores, evidence in the text, and what was hidden."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from bot.engine import Engine
from bot.steady_matching import SteadyMatcher
from data.catalogue import Item, ItemId, Lesson, LessonId
from data.events import CreatorRule, RuleKind, UserKey
from data.vocabulary import Allergen, Diet
from index.matches import Hit, Matcher, Query
from index.matching import HybridMatcher
from recommender.candidates import Eligibility, eligibility, reason_for
from recommender.constraints import Constraints, HiddenReason
from recommender.profile import UserProfile

NO_LESSON = LessonId("")
SHOWN = 10
LOOKED_THROUGH = 30
"""So many of the best items, hidden or not, are looked at to say what was hidden."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "meaning": ("dense",),
    "words": ("lexical",),
    "foods": ("title", "text", "dish", "pattern"),
    "topics": ("topic", "staple"),
}
"""What a creator can turn up or down -> the views of the matcher that it moves."""


@dataclass(frozen=True, slots=True)
class Weighting:
    """Factors on the weights in force; 1 leaves a view as it is, 0 turns it off."""

    meaning: float = 1.0
    words: float = 1.0
    foods: float = 1.0
    topics: float = 1.0

    @property
    def is_neutral(self) -> bool:
        return self == Weighting()

    def factor(self, group: str) -> float:
        return float(getattr(self, group))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a creator wants to see paired."""

    text: str = ""
    title: str = ""
    lesson_id: LessonId = NO_LESSON
    allergens: frozenset[Allergen] = frozenset()
    diets: frozenset[Diet] = frozenset()
    weighting: Weighting = field(default_factory=Weighting)

    @property
    def constraints(self) -> Constraints:
        return Constraints(allergens=self.allergens, diets=self.diets)

    def of_lesson(self, lesson: Lesson) -> Ask:
        return replace(self, lesson_id=lesson.lesson_id, title=lesson.title, text=lesson.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One ranked item."""

    rank: int
    item: Item
    hit: Hit
    is_pinned: bool
    is_below: bool
    """Worse than silence: learners would not get it unless it is pinned."""
    is_in_season: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """An item that would have ranked, and why it is not shown."""

    item: Item
    reason: HiddenReason
    rank: int
    """Where it would have stood."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the lesson; with numbers when it is the evidence of items of these ranks."""

    text: str
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Everything that the pairing page shows."""

    ask: Ask
    rows: tuple[Row, ...]
    hidden: tuple[Hidden, ...]
    counts: Mapping[HiddenReason, int]
    n_eligible: int
    segments: tuple[Segment, ...]
    floor: float
    is_silent: bool
    """Whether learners would get nothing, not even a pinned item."""
    offered: tuple[Row, ...]
    """The rows that learners could get, best first."""
    mode: str
    banned: tuple[Item, ...]
    """Items that a rule for this lesson keeps away."""


def preview(
    engine: Engine, ask: Ask, rules: Sequence[CreatorRule], *, at: datetime, shown: int = SHOWN
) -> Preview:
    """Rank for a person of whom nothing is known but the ask's allergies and diets."""
    matcher = weighted(engine.matcher, ask.weighting)
    query = Query(text=ask.text, title=ask.title)
    may = _eligible(engine, ask, rules, at=at)
    matches = matcher.match(query, eligible=may.mask, top_k=shown)
    everything = matcher.match(query, eligible=None, top_k=LOOKED_THROUGH)
    pins = [r.item_id for r in rules if r.kind is RuleKind.PIN and r.lesson_id == ask.lesson_id]
    hits = _with_pins(engine, matcher, query, may, matches.hits, pins if ask.lesson_id else [])
    rows = tuple(
        Row(
            rank=rank,
            item=engine.catalogue.items[hit.row],
            hit=hit,
            is_pinned=hit.item_id in pins and bool(ask.lesson_id),
            is_below=hit.score < matches.floor,
            is_in_season=bool(engine.table.seasons[hit.row, at.month - 1]),
        )
        for rank, hit in enumerate(hits[:shown], start=1)
    )
    offered = tuple(
        row for row in rows if row.is_pinned or not (matches.is_silent or row.is_below)
    )
    return Preview(
        ask=ask,
        rows=rows,
        hidden=_hidden(engine, ask, rules, may, everything.hits, at=at),
        counts=may.hidden,
        n_eligible=may.n_eligible,
        segments=highlight(ask.text, [(row.rank, row.hit.evidence) for row in rows]),
        floor=matches.floor,
        is_silent=not offered,
        offered=offered,
        mode=str(matches.mode),
        banned=_banned(engine, ask, rules),
    )


def weighted(matcher: Matcher, weighting: Weighting) -> Matcher:
    """The matcher in force with other weights; what it has read is shared, not read again."""
    if weighting.is_neutral:
        return matcher
    if isinstance(matcher, SteadyMatcher):
        return replace(matcher, inner=weighted(matcher.inner, weighting))
    if not isinstance(matcher, HybridMatcher):
        return matcher
    factors = {view: weighting.factor(g) for g, views in GROUPS.items() for view in views}
    weights = {v: w * factors.get(v, 1.0) for v, w in matcher.fusion.weights.items()}
    return replace(matcher, fusion=replace(matcher.fusion, weights=weights))


def _eligible(
    engine: Engine, ask: Ask, rules: Collection[CreatorRule], *, at: datetime
) -> Eligibility:
    return eligibility(
        engine.table,
        UserProfile(user_key=UserKey("preview")),
        ask.constraints,
        at=at,
        lesson_id=ask.lesson_id or None,
        creator_rules=rules,
    )


def _with_pins(
    engine: Engine,
    matcher: Matcher,
    query: Query,
    may: Eligibility,
    hits: tuple[Hit, ...],
    pins: Sequence[str],
) -> list[Hit]:
    """Pins first, as learners get them; a pin never brings back what is hidden."""
    rows = [engine.table.rows_by_id[i] for i in engine.table.rows_by_id if i in set(pins)]
    only = np.zeros(len(engine.catalogue), dtype=bool)
    only[rows] = True
    only &= may.mask
    if not only.any():
        return list(hits)
    pinned = matcher.match(query, eligible=only, top_k=int(only.sum())).hits
    # Words are measured against the other items, so a score among pins alone says less.
    among_all = {hit.item_id: hit for hit in hits}
    ids = {hit.item_id for hit in pinned}
    first = [among_all.get(hit.item_id, hit) for hit in pinned]
    return [*first, *(hit for hit in hits if hit.item_id not in ids)]


def _hidden(
    engine: Engine,
    ask: Ask,
    rules: Sequence[CreatorRule],
    may: Eligibility,
    hits: Sequence[Hit],
    *,
    at: datetime,
) -> tuple[Hidden, ...]:
    banned = {item.item_id for item in _banned(engine, ask, rules)}
    found: list[Hidden] = []
    for rank, hit in enumerate(hits, start=1):
        if may.mask[hit.row]:
            continue
        item = engine.catalogue.items[hit.row]
        reason = reason_for(item, ask.constraints, at=at)
        if item.item_id in banned:
            reason = HiddenReason.BANNED
        found.append(Hidden(item=item, reason=reason or HiddenReason.CLAIM, rank=rank))
    return tuple(found)


def _banned(engine: Engine, ask: Ask, rules: Sequence[CreatorRule]) -> tuple[Item, ...]:
    ids = {
        r.item_id for r in rules if r.kind is RuleKind.BAN and r.lesson_id in ("", ask.lesson_id)
    }
    return tuple(item for item in engine.catalogue if item.item_id in ids)


def evidence_of(engine: Engine, ask: Ask, rows: Collection[int]) -> dict[ItemId, str]:
    """The sentence that learners would get for each of these rows of the catalogue.

    A comparison shows these on both sides: a side's own would tell which model it is.
    """
    only = np.zeros(len(engine.catalogue), dtype=bool)
    only[list(rows)] = True
    if not only.any():
        return {}
    query = Query(text=ask.text, title=ask.title)
    hits = engine.matcher.match(query, eligible=only, top_k=int(only.sum())).hits
    return {hit.item_id: hit.evidence for hit in hits}


def highlight(text: str, evidence: Sequence[tuple[int, str]]) -> tuple[Segment, ...]:
    """Cut the text at the evidence sentences. The pieces always join to the whole text.

    Args:
        text: The lesson.
        evidence: (rank, sentence) pairs; a sentence that does not stand in the text is left out.
    """
    ranks_by_span: dict[tuple[int, int], list[int]] = {}
    for rank, sentence in evidence:
        span = _place(text, sentence)
        if span is not None:
            ranks_by_span.setdefault(span, []).append(rank)
    segments: list[Segment] = []
    end = 0
    for (first, last), ranks in sorted(ranks_by_span.items()):
        if first < end:  # it overlaps a longer one, which is marked already
            continue
        if first > end:
            segments.append(Segment(text[end:first]))
        segments.append(Segment(text[first:last], tuple(ranks)))
        end = last
    if end < len(text):
        segments.append(Segment(text[end:]))
    return tuple(segments)


def _place(text: str, sentence: str) -> tuple[int, int] | None:
    if not sentence:
        return None
    start = text.find(sentence)
    if start >= 0:
        return start, start + len(sentence)
    # Sentences come stripped and sometimes joined; white space may differ.
    loose = r"\s*".join(re.escape(part) for part in sentence.split())
    found = re.search(loose, text) if loose else None
    return found.span() if found else None


def attached_lesson(lessons: Sequence[Lesson], text: str) -> Lesson | None:
    """The lesson of the catalogue that a pasted text is, if it is one."""
    wanted = " ".join(text.split())
    return next(
        (lesson for lesson in lessons if wanted and " ".join(lesson.text.split()) == wanted), None
    )
