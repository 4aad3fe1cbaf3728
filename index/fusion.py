"""Join the views of a candidate into one score in [0, 1], and know where silence is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from index.knowledge import Reading

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "dense": 0.4,
        "lexical": 2.2,
        "title": 0.8,
        "text": 2.5,
        "dish": 2.8,
        "pattern": 0.9,
        "topic": 4.0,
        "staple": 1.5,
        "doubt": -3.0,
    }
)
BIAS = -5.0
SILENT_TOPIC = 0.4
MANY_FOODS = 4
"""A lesson that names so many different foods is never left without an answer."""
SOME_COOKING = 0.1
"""A dish, a technique or a food in the title is enough to speak of food ..."""
TACTFUL_SOUND = 0.2
"""... unless the text sounds like charts and hashes, whose pies and salts are none."""
TACT = 1.5
"""What the sound of a text adds to the log-odds of the floor."""
COOKING_TEXT, COOKING_TOPIC = 0.7, -0.5
"""In a recipe the foods that the text names count more, and what its subjects imply less."""


@dataclass(frozen=True, slots=True)
class Views:
    """What each view says of each candidate. All (k,) float64."""

    dense: np.ndarray
    """Pooled cosine."""
    dense_z: np.ndarray
    """The same in standard deviations over a sample of the catalogue: e5 cosines have another level
    for every text."""
    lexical: np.ndarray
    cooking: float
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
            dense_z=own * self.dense_z + weight * wishes.dense_z,
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
    lesson_floor: float = 0.06
    tactful_floor: float = 0.18
    """For lessons whose strongest subject asks for tact (grief) or has no taste (bonds)."""
    words_floor: float = 0.02
    """A person who asks for something wants to see the nearest, so this floor is lower."""
    likeness_weight: float = 1.5
    """Per standard deviation of the likeness to items that were pointed at."""
    lesson_share: float = 0.4
    """What is left of the lesson's voice when somebody wants more like an item."""

    def contributions(self, views: Views) -> dict[str, np.ndarray]:
        """(k,) what each view adds to the log-odds; their sum gives the score by the logistic.

        What the text forbids is not weighed: `scores` puts it at 0 whatever speaks for it.
        """
        factors = {
            "text": 1.0 + COOKING_TEXT * views.cooking,
            "topic": 1.0 + COOKING_TOPIC * views.cooking,
        }
        parts = {
            "bias": np.full(len(views.dense), self.bias),
            "dense": self.weights["dense"] * views.dense_z,
            "lexical": self.weights["lexical"] * views.lexical,
        }
        for name, values in views.features.items():
            if name in self.weights:
                parts[name] = self.weights[name] * factors.get(name, 1.0) * values
        if views.likeness is not None:
            parts = {name: self.lesson_share * values for name, values in parts.items()}
            parts["likeness"] = self.likeness_weight * _standard(views.likeness)
        return parts

    def scores(self, views: Views, *, is_lesson: bool) -> np.ndarray:
        """(k,) scores in [0, 1]; items that the text forbids get 0."""
        logit = np.sum(list(self.contributions(views).values()), axis=0)
        scores = 1.0 / (1.0 + np.exp(-logit))
        return np.asarray(np.where(views.features["avoid"] > 0, 0.0, scores))

    def floor(self, reading: Reading, *, is_lesson: bool) -> float:
        """The score below which an item is worse than silence.

        It rises with how much the lesson sounds like subjects that are best left alone, so that one
        on an unlisted subject needs better items too. Chosen on the project's own lessons.
        """
        if not is_lesson:
            return self.words_floor
        names_foods = len(reading.pieces_by_food) >= MANY_FOODS
        if not names_foods and reading.silence >= max(SILENT_TOPIC, reading.strongest_topic):
            return _raised(self.tactful_floor, reading.tact)
        is_plain = reading.cooking >= SOME_COOKING and reading.tact < TACTFUL_SOUND
        if names_foods or is_plain:
            return 0.0
        return _raised(self.lesson_floor, reading.tact)

    def is_silent(self, scores: np.ndarray, floor: float, *, is_lesson: bool) -> bool:
        """Whether to offer nothing: a slate needs three good items, one lucky hit is no sign.

        Args:
            scores: (n,) falling.
            floor: as `floor` gave it.
            is_lesson: a person who asks is content with one item.
        """
        needed = min(3, len(scores)) if is_lesson else min(1, len(scores))
        return needed == 0 or bool(scores[needed - 1] < floor)


def _raised(floor: float, tact: float) -> float:
    """Move a floor up in log-odds, for a text that sounds as if it wanted to be left alone."""
    return 1.0 / (1.0 + (1.0 / floor - 1.0) * math.exp(-TACT * max(tact, 0.0)))


def _standard(values: np.ndarray) -> np.ndarray:
    """In standard deviations; items themselves (-1) stay out of mean and deviation."""
    own = values[values > -1.0]
    if len(own) < 2:
        return np.zeros(len(values))
    return np.asarray((values - own.mean()) / max(float(own.std()), 1e-9))
