"""The pairs of lesson and item about which the matcher is unsure, for creators to judge. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bot.engine import Engine
from data.catalogue import ItemId, Lesson, LessonId
from data.events import CreatorRule, Judgement, Mode, RuleKind, UserKey
from index.matches import Query
from recommender.candidates import eligibility
from recommender.constraints import Constraints
from recommender.little_data import active_queries
from recommender.profile import UserProfile

Floats = npt.NDArray[np.float64]

A_ROUND = 20
LESSONS = 120
"""Read for one day's questions at most; with more lessons each day has its own part."""
ITEMS_A_LESSON = 40
UNDECIDED = 0.5
"""The score is a probability of going well together: here the matcher knows least."""
WORTH_ASKING = (0.1, 0.9)
"""Scores outside are as good as decided; a creator's time is worth more than their answer."""
_OF_ONE = 2
"""Questions about one lesson, or one item, in a round."""
_MOST_COSINES = 3_000
_GUESSED = (Mode.POPULAR, Mode.PINS)


class Pair(NamedTuple):
    """What somebody is asked about."""

    lesson_id: LessonId
    item_id: ItemId


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsurePairs:
    """What the matcher thinks of the pairs, before anybody judged."""

    lessons: tuple[LessonId, ...]
    items: tuple[ItemId, ...]
    scores: Floats
    """(n_lessons, n_items) in [0, 1]; 0 where the item is not among the lesson's best."""
    cosines: Floats | None
    """(n_items, n_items); None when there are too many."""


def measure(engine: Engine, *, at: datetime) -> UnsurePairs:
    """Score lessons with their best items. Reads every lesson, so it takes seconds at first."""
    may = eligibility(
        engine.table, UserProfile(user_key=UserKey("preview")), Constraints(), at=at
    ).mask
    rows: list[tuple[Lesson, dict[int, float]]] = []
    for lesson in _todays(engine.catalogue.lessons, at):
        matches = engine.matcher.match(Query.of(lesson), eligible=may, top_k=ITEMS_A_LESSON)
        if matches.mode not in _GUESSED:
            rows.append((lesson, {hit.row: hit.score for hit in matches.hits}))
    columns = sorted({row for _, scores in rows for row in scores})
    place = {row: column for column, row in enumerate(columns)}
    scores = np.zeros((len(rows), len(columns)))
    for n, (_, found) in enumerate(rows):
        for row, score in found.items():
            scores[n, place[row]] = score
    few = len(columns) <= _MOST_COSINES
    return UnsurePairs(
        lessons=tuple(lesson.lesson_id for lesson, _ in rows),
        items=tuple(engine.catalogue.items[row].item_id for row in columns),
        scores=scores,
        cosines=engine.matcher.similarities(np.array(columns, dtype=np.int64)) if few else None,
    )


def _todays(lessons: Sequence[Lesson], at: datetime) -> list[Lesson]:
    """Lessons that offer something, or the part of them whose day it is."""
    some = [lesson for lesson in lessons if lesson.audience != "minors"]
    n_parts = max(1, -(-len(some) // LESSONS))
    return some[at.date().toordinal() % n_parts :: n_parts]


def questions(
    unsure: UnsurePairs,
    judgements: Collection[Judgement],
    rules: Collection[CreatorRule] = (),
    *,
    without: Collection[Pair] = (),
    n: int = A_ROUND,
) -> tuple[Pair, ...]:
    """The pairs whose judgement would teach most, the most telling first.

    A round is spread: at most two of a lesson and two of an item, so that nobody answers the same
    thing twenty times.

    Args:
        unsure: What the matcher thinks.
        judgements: Pairs that anybody judged are not asked again.
        rules: Pairs that are banned, or pinned, are decided.
        without: Further pairs to leave out.
        n: Pairs at most.
    """
    asked = active_queries(
        unsure.lessons,
        unsure.items,
        unsure.scores,
        UNDECIDED,
        judgements,
        cosines=unsure.cosines,
        n=max(1, unsure.scores.size),
        per_lesson=max(1, len(unsure.items)),
    )
    rows = {lesson: n for n, lesson in enumerate(unsure.lessons)}
    columns = {item: n for n, item in enumerate(unsure.items)}
    low, high = WORTH_ASKING
    per_lesson: Counter[LessonId] = Counter()
    per_item: Counter[ItemId] = Counter()
    found: list[Pair] = []
    for question in asked:
        pair = Pair(question.lesson_id, question.item_id)
        score = unsure.scores[rows[pair.lesson_id], columns[pair.item_id]]
        if not low <= score <= high or pair in without or is_decided(pair, rules):
            continue
        if per_lesson[pair.lesson_id] >= _OF_ONE or per_item[pair.item_id] >= _OF_ONE:
            continue
        per_lesson[pair.lesson_id] += 1
        per_item[pair.item_id] += 1
        found.append(pair)
        if len(found) == n:
            break
    return tuple(found)


def is_decided(pair: Pair, rules: Collection[CreatorRule]) -> bool:
    """Whether a pin or a ban says already what a judgement could."""
    return any(
        rule.item_id == pair.item_id
        and (
            rule.lesson_id == pair.lesson_id or (rule.kind is RuleKind.BAN and not rule.lesson_id)
        )
        for rule in rules
    )
