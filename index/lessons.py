"""Find the lesson that a person means: by id, by title, by what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.catalogue import Lesson
from data.mentions import normalised
from index.embedding import Embedder
from index.lexical import tokenize

_FILLERS = frozenset({"the", "a", "an", "of", "and", "to", "in", "on", "for", "my", "lesson", "的", "了", "课", "一课", "那", "这", "节", "和", "与"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundLesson:
    """A lesson and how surely it is meant, in [0, 1]."""

    lesson: Lesson
    score: float


@dataclass(frozen=True)
class LessonFinder:
    """Searches titles and courses; small enough to hold in memory for thousands of lessons."""

    lessons: tuple[Lesson, ...]
    embedder: Embedder

    SURE = 0.80
    """From here on the lesson is taken without asking, if the next one is clearly behind."""
    POSSIBLE = 0.35

    @cached_property
    def _titles(self) -> np.ndarray:
        return self.embedder.embed(
            [f"{lesson.title} {lesson.course}".strip() for lesson in self.lessons], kind="passage"
        )

    @cached_property
    def _words(self) -> list[frozenset[str]]:
        return [_content(f"{lesson.title} {lesson.course}") for lesson in self.lessons]

    def get_ready(self) -> None:
        """Embed the titles now rather than in somebody's first answer."""
        _ = self._titles

    def find(self, text: str, *, top_k: int = 5) -> list[FoundLesson]:
        """Give the most likely lessons, best first; empty when none is possible."""
        wanted = normalised(text).strip(" \"'“”《》「」。.!！?？")
        if not wanted or not self.lessons:
            return []
        scores = 0.6 * self._overlap(wanted) + 0.4 * self._similarity(wanted)
        for row, lesson in enumerate(self.lessons):
            title = normalised(lesson.title)
            if wanted == title or wanted == normalised(lesson.lesson_id):
                scores[row] = 1.0
            elif len(title) >= 4 and title in wanted:
                scores[row] = max(scores[row], 0.95)
            elif len(wanted) >= 3 and wanted in title:
                scores[row] = max(scores[row], 0.85)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [
            FoundLesson(self.lessons[i], float(scores[i]))
            for i in order
            if scores[i] >= self.POSSIBLE
        ]

    def sure(self, found: Sequence[FoundLesson]) -> Lesson | None:
        """The one lesson that is surely meant, or None."""
        if not found or found[0].score < self.SURE:
            return None
        if len(found) > 1 and found[1].score > found[0].score - 0.05:
            return None
        return found[0].lesson

    def _overlap(self, wanted: str) -> np.ndarray:
        """Share of the asked words that stand in title and course, in [0, 1]."""
        words = _content(wanted)
        if not words:
            return np.zeros(len(self.lessons))
        return np.array([len(words & own) / len(words) for own in self._words])

    def _similarity(self, wanted: str) -> np.ndarray:
        """Cosine stretched to [0, 1]; e5 cosines live between about 0.7 and 1."""
        query = self.embedder.embed([wanted], kind="query")[0]
        return np.asarray(np.clip((self._titles @ query - 0.75) / 0.2, 0.0, 1.0))


def _content(text: str) -> frozenset[str]:
    return frozenset(tokenize(text)) - _FILLERS
