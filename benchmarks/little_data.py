"""Does learning from little help? `python -m benchmarks.little_data [--json]`.

Simulated people answer slates of the sample catalogue. Of half of them 50, 100 or 200 answers are
known, and every other impression of theirs without its answer; the other half judges. Both arms of
a method see the same answers:

- self-training: the predictor alone, and with pseudo-labels of what it is sure of;
- label spreading: smoothed like rates of items, and the same flowing between alike items.

The figure is the AUC over the impressions of the people who judge; intervals are over populations.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import models
from bot.batch import matcher_for
from data.catalogue import Catalogue
from data.events import ReplyKind
from data.importing import read_items, read_lessons
from data.samples import sample_path
from recommender.item_graph import item_graph, spread
from recommender.little_data import pseudo_labelled
from recommender.logged import ImpressionRows, joined
from recommender.metrics import auc
from recommender.predictor import Hyperparameters, LearnedPredictor, new_model, with_position
from recommender.simulated_arm import START, Arm
from recommender.simulated_people import Population
from recommender.simulated_world import World

Floats = npt.NDArray[np.float64]

LABELS = (50, 100, 200)
_USERS, _ROUNDS, _DRAWS = 300, 3, 6
_PRIOR = 20.0
_T = {5: 2.776, 8: 2.365, 10: 2.262}
"""Student's t for 95 % by number of populations."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, choices=sorted(_T), default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    world = sample_world()
    gains: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for seed in range(1, arguments.seeds + 1):
        for key, pair in both_arms(world, seed):
            gains.setdefault(key, []).append(pair)
    rows = [described(method, n, pairs) for (method, n), pairs in gains.items()]
    if arguments.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['method']:16} {row['labels']:4} labels: AUC {row['without']:.4f} without, "
            f"{row['with']:.4f} with, gain {row['gain']:+.4f} ({row['low']:+.4f} to "
            f"{row['high']:+.4f})"
        )


def sample_world() -> World:
    items = read_items(sample_path("catalogue.csv")).records
    lessons = read_lessons(sample_path("lessons.jsonl")).records
    with tempfile.TemporaryDirectory() as scratch:
        matcher = matcher_for(items, embedder=models.served(), scratch=Path(scratch))
        return World.of(Catalogue.of(items, lessons), matcher)


def both_arms(world: World, seed: int) -> Iterator[tuple[tuple[str, int], tuple[float, float]]]:
    """For each method and number of labels: mean AUC without and with it, over some draws."""
    population = Population.of(
        world.catalogue, n_users=_USERS, n_rounds=_ROUNDS, n_lessons=len(world.lessons),
        seed=seed, start=START,
    )  # fmt: skip
    arm = Arm("full_loop", world, population, seed=seed)
    arm.run(_ROUNDS)
    rows = joined(arm.logs).impressions()
    learns = rows.users % 2 == 0
    items, users, liked = shown_items(arm)
    graph = item_graph(world.matcher.similarities(np.arange(len(world.catalogue))))
    rng = np.random.default_rng([seed, 5])
    for n in LABELS:
        trained = [
            self_training(rows.rows(learns), rows.rows(~learns), n, rng) for _ in range(_DRAWS)
        ]
        spreads = [spreading(items, users % 2 == 0, liked, graph, n, rng) for _ in range(_DRAWS)]
        for method, pairs in (("self-training", trained), ("label spreading", spreads)):
            without, with_it = np.mean(pairs, axis=0)
            yield (method, n), (float(without), float(with_it))


def shown_items(
    arm: Arm,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Row of the item, number of the person, and whether it was liked, an impression each."""
    found: list[tuple[int, int, float]] = []
    for user, impressions in enumerate(arm.impressions):
        liked = {(r.slate_id, r.item_id) for r in arm.replies[user] if r.kind is ReplyKind.LIKE}
        found += [
            (arm.table.rows_by_id[i.item_id], user, float((i.slate_id, i.item_id) in liked))
            for i in impressions
        ]
    rows, users, likes = zip(*found, strict=True)
    return np.array(rows), np.array(users), np.array(likes)


def self_training(
    pool: ImpressionRows, judging: ImpressionRows, n: int, rng: np.random.Generator
) -> tuple[float, float]:
    order = rng.permutation(len(pool))
    labelled, unlabelled = pool.rows(order[:n]), pool.rows(order[n:])
    if len(np.unique(labelled.labels)) < 2:
        return 0.5, 0.5
    alone = fitted(labelled)
    more = fitted(pseudo_labelled(labelled, replace(unlabelled), alone))
    return judged(alone, judging), judged(more, judging)


def fitted(rows: ImpressionRows) -> LearnedPredictor:
    hyperparameters = Hyperparameters(penalty=0.03)
    model = new_model(hyperparameters, seed=0).fit(
        with_position(rows.features, rows.positions), rows.labels.astype(np.int64)
    )
    return LearnedPredictor(model=model, calibrator=None, hyperparameters=hyperparameters)


def judged(predictor: LearnedPredictor, rows: ImpressionRows) -> float:
    return float(auc(predictor.predict(rows.features, rows.positions), rows.labels).value)


def spreading(
    items: npt.NDArray[np.int64],
    learns: npt.NDArray[np.bool_],
    liked: Floats,
    graph: Floats,
    n: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    known = rng.permutation(np.flatnonzero(learns))[:n]
    shown = np.bincount(items[known], minlength=len(graph)).astype(np.float64)
    likes = np.bincount(items[known], liked[known], minlength=len(graph))
    mean = (likes.sum() + 1) / (shown.sum() + 5)
    smoothed = (likes + _PRIOR * mean) / (shown + _PRIOR)
    rates = np.divide(likes, shown, out=np.zeros_like(likes), where=shown > 0)
    flowing = spread(graph, rates, shown / (shown + _PRIOR))
    asked, truth = items[~learns], liked[~learns]
    return float(auc(smoothed[asked], truth).value), float(auc(flowing[asked], truth).value)


def described(method: str, n: int, pairs: list[tuple[float, float]]) -> Mapping[str, Any]:
    without, with_it = np.array(pairs).T
    gains = with_it - without
    half = _T[len(gains)] * float(gains.std(ddof=1)) / np.sqrt(len(gains))
    return {
        "method": method,
        "labels": n,
        "without": float(without.mean()),
        "with": float(with_it.mean()),
        "gain": float(gains.mean()),
        "low": float(gains.mean()) - half,
        "high": float(gains.mean()) + half,
        "populations": len(gains),
    }


if __name__ == "__main__":
    main()
