"""Join the views of a candidate into one score in [0, 1], and know where silence is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from index.knowledge import Reading

DENSE_MEAN, DENSE_SD = 0.80, 0.025
"""Typical cosine of an e5 sentence and an unrelated item, and its spread."""

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "dense": 0.55,
        "lexical": 1.6,
        "title": 2.2,
        "text": 2.6,
        "dish": 2.4,
        "pattern": 0.9,
        "topic": 3.2,
        "staple": 0.9,
    }
)
BIAS = -3.2


@dataclass(frozen=True, slots=True)
class Views:
    """What each view says of each candidate. All (k,) float64."""

    dense: np.ndarray
    lexical: np.ndarray
    features: Mapping[str, np.ndarray]
    likeness: np.ndarray | None = None

    @property
    def knowledge(self) -> np.ndarray:
        """The strongest knowledge view per candidate."""
        names = ("title", "text", "dish", "topic")
        return np.asarray(np.max([self.features[name] for name in names], axis=0))

    def moved(self, wishes: Views, *, weight: float) -> Views:
        """Mix in what the person's soft wishes say."""
        own = 1.0 - weight
        return replace(
            self,
            dense=own * self.dense + weight * wishes.dense,
            lexical=own * self.lexical + weight * wishes.lexical,
            features={
                name: np.maximum(own * values, weight * wishes.features[name])
                if name != "avoid"
                else values
                for name, values in self.features.items()
            },
        )

    def like(self, likeness: np.ndarray) -> Views:
        """Remember the cosine to items that were pointed at."""
        return replace(self, likeness=likeness)


@dataclass(frozen=True, slots=True)
class Fusion:
    """A logistic blend. The same weights for every lesson and catalogue."""

    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    bias: float = BIAS
    lesson_floor: float = 0.20
    words_floor: float = 0.06
    """A person who asks for something wants to see the nearest, so this floor is lower."""
    likeness_weight: float = 12.0

    def scores(self, views: Views, *, is_lesson: bool) -> np.ndarray:
        """(k,) scores in [0, 1]; items that the text forbids get 0."""
        logit = np.full(len(views.dense), self.bias)
        dense = np.clip((views.dense - DENSE_MEAN) / DENSE_SD, -3.0, 4.0)
        logit = logit + self.weights["dense"] * np.where(views.dense == 0, 0.0, dense)
        logit = logit + self.weights["lexical"] * views.lexical
        for name, values in views.features.items():
            logit = logit + self.weights.get(name, 0.0) * values
        if views.likeness is not None:
            logit = logit + self.likeness_weight * (views.likeness - 0.85)
        scores = 1.0 / (1.0 + np.exp(-logit))
        return np.asarray(np.where(views.features["avoid"] > 0, 0.0, scores))

    def floor(self, reading: Reading, *, is_lesson: bool) -> float:
        """The score below which silence is better; higher where a topic asks for tact."""
        if not is_lesson:
            return self.words_floor
        return self.lesson_floor + 0.6 * reading.silence
