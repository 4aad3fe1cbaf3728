"""Which known subjects a text is near to by its sense, and whether such texts are best left alone.

A sentence encoder this small puts all texts of a language into one narrow cone: raw cosines tell
"is prose" before they tell "is on Passover". Taking the typical sentence away from a lesson, and the
typical subject from the subjects, leaves what is particular (Mu and Viswanath 2018, "All-but-the-top").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data.samples import load_samples
from data.topic_knowledge import Topic, load_topics
from index.embedding import Embedder
from index.passages import sentences

_FOODS_OF_GLOSS = re.compile(r"[:;]|[，,。；]?\s*(?:说到|与食物无关|这里不)")
"""Where a gloss goes over from the subject to its foods: lessons seldom speak of those."""
TYPICAL_EVERY = 4
"""Of the sentences of the sample lessons so many make one of the typical ones."""
HEARD, STEEPNESS, LEAST = 3.0, 1.6, 2.0
"""In deviations over all subjects: where a subject is half heard, how fast, and from where on."""
MOST = 8
RIDGE = 10.0


@dataclass(frozen=True, slots=True)
class SubjectSense:
    """Vectors of all subjects, and the plane between silent and other subjects."""

    subjects: np.ndarray
    """(n_topics, 2, dim) float32, unit, less the typical subject."""
    typical: np.ndarray
    """(dim,) mean of sentences of lessons."""
    plane: np.ndarray
    """(dim,) normal; a text on the silent side has a positive product with it."""

    @classmethod
    def of(cls, embedder: Embedder) -> SubjectSense:
        """Embed the subjects, or read their vectors where the embedder keeps them."""
        keep = getattr(embedder, "keep", embedder.embed)
        topics = load_topics()
        lines = [line for topic in topics for line in subject_lines(topic)]
        vectors = np.asarray(keep(lines, kind="passage"), dtype=np.float64)
        typical = np.asarray(keep(_typical_sentences(), kind="query"), dtype=np.float64)
        subjects = _unit(vectors - vectors.mean(axis=0))
        is_silent = np.repeat([float(topic.is_silent) for topic in topics], 2)
        return cls(
            subjects=subjects.reshape(len(topics), 2, -1).astype(np.float32),
            typical=typical.mean(axis=0),
            plane=_ridge(subjects, is_silent - is_silent.mean()),
        )

    def strengths(self, vectors: np.ndarray) -> dict[int, float]:
        """Give the nearest subjects, with a strength in [0, 1].

        Nearness is that of the best sentences (0.6 best, 0.4 best three) and of the whole text; what
        counts is how far it stands out from the nearness of all other subjects.

        Args:
            vectors: (n_sentences, dim) unit.
        """
        if len(vectors) == 0:
            return {}
        particular = (vectors - self.typical).astype(np.float32)
        whole = _unit(particular.mean(axis=0))
        flat = self.subjects.reshape(-1, self.subjects.shape[2])
        cosines = (flat @ _unit(particular).T).reshape(*self.subjects.shape[:2], -1)
        k = min(3, cosines.shape[2])
        top = -np.partition(-cosines, k - 1, axis=2)[:, :, :k]
        near = 0.6 * top.max(axis=2) + 0.4 * top.mean(axis=2) + self.subjects @ whole
        best = near.max(axis=1)
        z = (best - best.mean()) / max(float(best.std()), 1e-9)
        return {
            int(topic): float(1.0 / (1.0 + np.exp(-STEEPNESS * (z[topic] - HEARD))))
            for topic in np.argsort(-z)[:MOST]
            if z[topic] > LEAST
        }

    def silence(self, vectors: np.ndarray) -> float:
        """How far the text lies on the side of subjects that are best left alone, about -0.3 to 0.6.

        Learned from the subjects of the knowledge files alone: a silent subject that is added there
        teaches it, and a text on an unlisted one (a lease, a lathe) still falls on its side.
        """
        if len(vectors) == 0:
            return 0.0
        return float(_unit((vectors - self.typical).mean(axis=0)) @ self.plane)


def subject_lines(topic: Topic) -> tuple[str, str]:
    """Say in Chinese and in English what a subject is about, without its foods."""
    zh = _FOODS_OF_GLOSS.split(topic.gloss_zh)[0].removeprefix("讲").strip("，。")
    en = _FOODS_OF_GLOSS.split(topic.gloss_en)[0].strip(" .")
    return f"{'、'.join(topic.zh)}：{zh}", f"{en}. {', '.join(topic.en)}"


@lru_cache(maxsize=1)
def _typical_sentences() -> tuple[str, ...]:
    pieces = [p for lesson in load_samples().lessons for p in sentences(lesson.text)]
    return tuple(pieces[::TYPICAL_EVERY])


def _ridge(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(n, dim), (n,) -> (dim,) least squares with a penalty on length."""
    return np.asarray(
        np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ target)
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9))
