"""The coverage map: lessons with nothing good, and items that no lesson finds."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.engine import Engine
from bot.studio.previewing import Ask, Row, preview
from bot.studio.visit import Visit
from data.catalogue import Item, ItemId, Lesson
from data.events import CreatorRule

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


def cover(
    engine: Engine, lessons: list[Lesson], rules: list[CreatorRule], *, at: datetime
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
    """The latest maps; one holds until the index, the rules or the day change."""

    def __init__(self) -> None:
        self.by_key: OrderedDict[tuple[object, ...], CoverageMap] = OrderedDict()


async def show(visit: Visit) -> Response:
    courses = sorted({lesson.course for lesson in visit.engine.catalogue.lessons})
    course = visit.asked("course", "*")
    found = (
        await run_in_threadpool(_map, visit, course)
        if "course" in visit.request.query_params
        else None
    )
    return visit.page("coverage.html", courses=courses, course=course, found=found)


def _map(visit: Visit, course: str) -> CoverageMap:
    engine, rules = visit.engine, visit.store.rules()
    lessons = [le for le in engine.catalogue.lessons if course in ("*", le.course)]
    maps: Maps = visit.studio.remembered(Maps)
    key = (
        engine.matcher.version,
        tuple(le.lesson_id for le in lessons),
        tuple(sorted((r.lesson_id, r.item_id, str(r.kind)) for r in rules)),
        visit.at.date(),
    )
    if key not in maps.by_key:
        maps.by_key[key] = cover(engine, lessons, rules, at=visit.at)
        while len(maps.by_key) > _MOST_MAPS:
            maps.by_key.popitem(last=False)
    return maps.by_key[key]
