"""How good a ranking is against judgements: nDCG, best item in the top three, harm, silence. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from data.catalogue import ItemId, LessonId

Grades = Mapping[LessonId, Mapping[ItemId, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFigures:
    """One row of an ablation table. Shares are in [0, 1]."""

    lessons: int
    """Judged lessons that are not best left silent; the means run over them."""
    ndcg_at_3: float
    ndcg_at_10: float
    best_in_top_3: float
    """Lessons with an item of their best grade among the first three."""
    harmful_in_top_3: int
    """Harmful pairs among the first three, over lessons that were answered."""
    rightly_silent: float
    wrongly_silent: float


def judge(
    rankings: Mapping[LessonId, Sequence[ItemId]],
    abstained: Collection[LessonId],
    grades: Grades,
    *,
    silent: Collection[LessonId] = (),
) -> MatchFigures:
    """Judge rankings.

    The gain is 2^grade - 1 when grades go beyond 2, else the grade itself; negative grades are
    harmful and gain nothing. A judged lesson without a ranking counts 0.
    """
    judged = [lesson for lesson in grades if lesson not in silent and _best(grades[lesson]) > 0]
    is_steep = max((_best(grades[lesson]) for lesson in judged), default=0) > 2
    n = max(len(judged), 1)
    return MatchFigures(
        lessons=len(judged),
        ndcg_at_3=sum(ndcg(rankings.get(x, ()), grades[x], 3, is_steep) for x in judged) / n,
        ndcg_at_10=sum(ndcg(rankings.get(x, ()), grades[x], 10, is_steep) for x in judged) / n,
        best_in_top_3=sum(_has_best(rankings.get(x, ()), grades[x]) for x in judged) / n,
        harmful_in_top_3=sum(
            grades.get(lesson, {}).get(item, 0) < 0
            for lesson, items in rankings.items()
            if lesson not in abstained
            for item in items[:3]
        ),
        rightly_silent=len(set(silent) & set(abstained)) / max(len(silent), 1),
        wrongly_silent=sum(lesson in abstained for lesson in judged) / n,
    )


def ndcg(ranking: Sequence[ItemId], grades: Mapping[ItemId, int], k: int, is_steep: bool) -> float:
    """DCG / ideal DCG with discount 1 / log2(rank + 1); Järvelin and Kekäläinen (2002)."""
    ideal = _dcg(sorted((_gain(g, is_steep) for g in grades.values()), reverse=True)[:k])
    if ideal == 0:
        return 0.0
    return _dcg([_gain(grades.get(item, 0), is_steep) for item in ranking[:k]]) / ideal


def _gain(grade: int, is_steep: bool) -> float:
    positive = max(grade, 0)
    return float(2**positive - 1) if is_steep else float(positive)


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(i + 2) for i, gain in enumerate(gains))


def _best(grades: Mapping[ItemId, int]) -> int:
    return max(grades.values(), default=0)


def _has_best(ranking: Sequence[ItemId], grades: Mapping[ItemId, int]) -> bool:
    best = _best(grades)
    return any(grades.get(item, 0) == best for item in ranking[:3])
