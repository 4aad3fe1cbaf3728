"""The pairs of lesson and item about which the matcher is unsure, for creators to judge. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
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
_LOOKED_THROUGH = 30
"""Times a round, before everything is looked through."""
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
    left_out = decided_by(rules)
    # Nearly always the first few hundred hold a whole round, and sorting out all takes a while.
    for most in (_LOOKED_THROUGH * n, unsure.scores.size):
        asked = active_queries(
            unsure.lessons,
            unsure.items,
            unsure.scores,
            UNDECIDED,
            judgements,
            cosines=unsure.cosines,
            n=max(1, most),
            per_lesson=max(1, len(unsure.items)),
        )
        pairs = (Pair(question.lesson_id, question.item_id) for question in asked)
        found = _spread(
            unsure, (pair for pair in pairs if pair not in without and not left_out(pair)), n
        )
        if len(found) == n or most >= unsure.scores.size:
            break
    return found


def _spread(unsure: UnsurePairs, pairs: Iterable[Pair], n: int) -> tuple[Pair, ...]:
    """The first `n` that are worth asking, few of any lesson and of any item."""
    rows = {lesson: row for row, lesson in enumerate(unsure.lessons)}
    columns = {item: column for column, item in enumerate(unsure.items)}
    low, high = WORTH_ASKING
    of_lesson: Counter[LessonId] = Counter()
    of_item: Counter[ItemId] = Counter()
    found: list[Pair] = []
    for pair in pairs:
        if not low <= unsure.scores[rows[pair.lesson_id], columns[pair.item_id]] <= high:
            continue
        if of_lesson[pair.lesson_id] >= _OF_ONE or of_item[pair.item_id] >= _OF_ONE:
            continue
        of_lesson[pair.lesson_id] += 1
        of_item[pair.item_id] += 1
        found.append(pair)
        if len(found) == n:
            break
    return tuple(found)


def decided_by(rules: Collection[CreatorRule]) -> Callable[[Pair], bool]:
    """Whether a pin or a ban says already what a judgement of a pair could."""
    fixed = {(rule.lesson_id, rule.item_id) for rule in rules}
    banned = {rule.item_id for rule in rules if rule.kind is RuleKind.BAN and not rule.lesson_id}
    return lambda pair: pair in fixed or pair.item_id in banned
