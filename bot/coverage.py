"""What lessons can offer, and what no lesson finds: the coverage of a course. Pure but for `Maps`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.engine import Engine
from bot.studio.previewing import Ask, Row, preview
from data.catalogue import Item, ItemId, Lesson
from data.events import CreatorRule

ALL_COURSES = "*"
_TOP = 3
_MOST_MAPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonCoverage:
    """What a learner of one lesson can be offered."""

    lesson: Lesson
    rows: tuple[Row, ...]
    """The first three, the weak ones included."""
    offered: tuple[Row, ...]
    is_silent: bool

    @property
    def best(self) -> float:
        return max((row.hit.score for row in self.rows), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageMap:
    """A course, or all of them."""

    lessons: tuple[LessonCoverage, ...]
    """Weakest first."""
    unfound: tuple[Item, ...]
    """Items that are offered with none of the lessons."""
    n_items: int

    @property
    def n_good(self) -> int:
        return sum(not lesson.is_silent for lesson in self.lessons)


def courses_of(lessons: Sequence[Lesson]) -> list[str]:
    """The names of the courses in order; lessons outside any course have none."""
    return sorted({lesson.course for lesson in lessons if lesson.course})


def lessons_of(lessons: Sequence[Lesson], course: str) -> list[Lesson]:
    """The lessons of a course, or of all with `ALL_COURSES`."""
    return [lesson for lesson in lessons if course in (ALL_COURSES, lesson.course)]


def cover(
    engine: Engine, lessons: Sequence[Lesson], rules: Sequence[CreatorRule], *, at: datetime
) -> CoverageMap:
    """Look at every lesson as somebody would of whom nothing is known."""
    covered: list[LessonCoverage] = []
    offered: set[ItemId] = set()
    for lesson in lessons:
        if lesson.audience == "minors":
            covered.append(LessonCoverage(lesson=lesson, rows=(), offered=(), is_silent=True))
            continue
        found = preview(engine, Ask().of_lesson(lesson), rules, at=at, shown=_TOP)
        covered.append(
            LessonCoverage(
                lesson=lesson, rows=found.rows, offered=found.offered, is_silent=found.is_silent
            )
        )
        offered.update(row.item.item_id for row in found.offered)
    return CoverageMap(
        lessons=tuple(sorted(covered, key=lambda c: (not c.is_silent, c.best))),
        unfound=tuple(item for item in engine.catalogue if item.item_id not in offered),
        n_items=len(engine.catalogue),
    )


class Maps:
    """The latest maps; one holds until the index, the lessons, the rules or the day change."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[tuple[object, ...], CoverageMap] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self, engine: Engine, course: str, rules: Sequence[CreatorRule], *, at: datetime
    ) -> CoverageMap:
        """The map of a course; made at the first look, which reads every lesson of it."""
        lessons = lessons_of(engine.catalogue.lessons, course)
        key = _key(engine, lessons, rules, at)
        with self._lock:
            known = self._by_key.get(key)
        if known is not None:
            return known
        found = cover(engine, lessons, rules, at=at)
        with self._lock:
            self._by_key[key] = found
            while len(self._by_key) > _MOST_MAPS:
                self._by_key.popitem(last=False)
        return found

    def knows(
        self, engine: Engine, course: str, rules: Sequence[CreatorRule], *, at: datetime
    ) -> bool:
        """Whether a look at the course takes no time."""
        lessons = lessons_of(engine.catalogue.lessons, course)
        return _key(engine, lessons, rules, at) in self._by_key


def _key(
    engine: Engine, lessons: Sequence[Lesson], rules: Sequence[CreatorRule], at: datetime
) -> tuple[object, ...]:
    return (
        engine.matcher.version,
        tuple(lesson.lesson_id for lesson in lessons),
        tuple(sorted((r.lesson_id, r.item_id, str(r.kind)) for r in rules)),
        at.date(),
    )
