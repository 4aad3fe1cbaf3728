"""Learning while labels are few: pseudo-labels, spreading over alike items, and good questions.

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


def item_graph(cosines: Floats, *, n_neighbours: int = 8) -> Floats:
    """Give the symmetric normalised graph of nearest items, D^-1/2 W D^-1/2, zero diagonal.

    Args:
        cosines: (n, n) between items.
        n_neighbours: Links an item; an edge counts when either end has it among its nearest.
    """
    n = len(cosines)
    off = cosines.copy()
    np.fill_diagonal(off, -np.inf)
    k = min(n_neighbours, n - 1)
    weights = np.zeros((n, n))
    if k <= 0:
        return weights
    nearest = np.argpartition(-off, k - 1, axis=1)[:, :k]
    rows = np.arange(n)[:, None]
    weights[rows, nearest] = np.clip(off[rows, nearest], 0.0, None)
    weights = np.maximum(weights, weights.T)
    degrees = np.sqrt(np.maximum(weights.sum(axis=1), 1e-12))
    return np.asarray(weights / np.outer(degrees, degrees))


def spread(
    graph: Floats, rates: Floats, confidence: Floats, *, alpha: float = 0.5, n_steps: int = 30
) -> Floats:
    """Let like rates flow between alike items: known ones hold on, unknown ones follow.

    f <- alpha * S f + (1 - alpha) * y over deviations from the mean, y = confidence * rate.

    Args:
        graph: (n, n) of `item_graph`.
        rates: (n,) observed like rates; any number where confidence is 0.
        confidence: (n,) in [0, 1], such as shown / (shown + 20).
        alpha: Share that comes from neighbours, below 1.
        n_steps: Iterations; the error shrinks by alpha each.

    Returns:
        (n,) smoothed rates in [0, 1].

    Source: Zhou et al. (2004), local and global consistency.
    """
    total = float(confidence.sum())
    mean = float((rates * confidence).sum() / total) if total > 0 else 0.0
    known = np.where(confidence > 0, (rates - mean) * confidence, 0.0)
    flow = known.copy()
    for _ in range(n_steps):
        flow = alpha * (graph @ flow) + (1 - alpha) * known
    # What was observed much is believed more than its neighbourhood.
    return np.clip(mean + confidence * known + (1 - confidence) * flow, 0.0, 1.0)


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
