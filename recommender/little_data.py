"""Learning while labels are few: pseudo-labels, and good questions.

All of it is off unless somebody turns it on: `docs/learning.md` says what the simulator found.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data.catalogue import ItemId, LessonId
from data.events import Judgement
from recommender.logged import ImpressionRows
from recommender.predictor import RewardPredictor

Floats = npt.NDArray[np.float64]

CONFIDENT = 0.4
"""|p - 0.5| above which a prediction may become a label."""


def pseudo_labelled(
    labelled: ImpressionRows, unlabelled: ImpressionRows, predictor: RewardPredictor
) -> ImpressionRows:
    """Add rows that the model is very sure of, the surest first, at most one to a real row.

    Args:
        labelled: Rows with replies.
        unlabelled: Rows without; their labels are not read.
        predictor: Fitted and calibrated on `labelled`.
    """
    if not len(labelled) or not len(unlabelled):
        return labelled
    p = predictor.predict(unlabelled.features, unlabelled.positions)
    sure = np.flatnonzero(np.abs(p - 0.5) > CONFIDENT)
    order = sure[np.argsort(-np.abs(p[sure] - 0.5), kind="stable")][: len(labelled)]
    added = replace(unlabelled.rows(order), labels=(p[order] > 0.5).astype(np.float64))
    return ImpressionRows(
        features=np.concatenate([labelled.features, added.features]),
        positions=np.concatenate([labelled.positions, added.positions]),
        labels=np.concatenate([labelled.labels, added.labels]),
        users=np.concatenate([labelled.users, added.users]),
        moments=np.concatenate([labelled.moments, added.moments]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A lesson-item pair whose judgement by the creator would teach much."""

    lesson_id: LessonId
    item_id: ItemId
    value: float
    """Higher teaches more; comparable within one list only."""


def active_queries(
    lessons: Sequence[LessonId],
    items: Sequence[ItemId],
    scores: Floats,
    floor: float,
    judgements: Collection[Judgement] = (),
    *,
    cosines: Floats | None = None,
    n: int = 20,
    per_lesson: int = 1,
) -> list[Question]:
    """Give the pairs to ask creators about, the most telling first.

    A pair tells most where the match score is near the floor, so that it could go either way,
    and where the item speaks for many others that nobody has judged.

    Args:
        lessons: Of the rows of `scores`.
        items: Of its columns.
        scores: (n_lessons, n_items) match scores in [0, 1].
        floor: Below it nothing is offered.
        judgements: Pairs judged already are not asked again.
        cosines: (n_items, n_items); None takes every item to stand for itself alone.
        n: Questions at most.
        per_lesson: Questions about one lesson at most, so that one creator is not flooded.
    """
    if not len(lessons) or not len(items):
        return []
    # Without a floor, what is better than most is worth offering.
    border = floor if floor > 0 else float(np.median(scores))
    unsure = np.exp(-(((scores - border) / 0.15) ** 2))
    judged = {(j.lesson_id, j.item_id) for j in judgements}
    asked_items = {j.item_id for j in judgements}
    speaks = np.ones(len(items))
    if cosines is not None:
        open_items = np.array([item not in asked_items for item in items], dtype=np.float64)
        speaks = np.clip(cosines, 0.0, None) @ open_items / len(items) + 1.0 / len(items)
    values = unsure * speaks[None, :]
    found: list[Question] = []
    per: dict[LessonId, int] = {}
    for flat in np.argsort(-values, axis=None, kind="stable"):
        row, column = divmod(int(flat), len(items))
        pair = (lessons[row], items[column])
        if pair in judged or per.get(pair[0], 0) >= per_lesson:
            continue
        per[pair[0]] = per.get(pair[0], 0) + 1
        found.append(
            Question(lesson_id=pair[0], item_id=pair[1], value=float(values[row, column]))
        )
        if len(found) == n:
            break
    return found
