"""A whole course from a zip: its coverage map, a preview of each lesson, and all of it as lessons."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.coverage import CoverageMap, cover
from bot.studio.course_archive import (
    Course,
    CourseLesson,
    LeftOut,
    read_course,
)
from bot.studio.lesson_shelf import Draft, keep_all
from bot.studio.state_files import newest, write_whole
from bot.studio.visit import Visit, to
from bot.studio.words import Refused
from data.catalogue import Lesson, LessonId

_DIGEST = re.compile(r"[0-9a-f]{16}")
_KEPT = 5
_MOST_MAPS = 8


class CourseShelf:
    """The courses looked at last, as text; the archives themselves are not kept."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "studio" / "courses"

    def put(self, digest: str, course: Course) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(
            self._folder / f"{digest}.json",
            json.dumps(asdict(course), ensure_ascii=False).encode(),
        )
        newest(self._folder, _KEPT)

    def get(self, digest: str) -> Course:
        """Give a course.

        Raises:
            Refused: it was not uploaded here, or long ago.
        """
        path = self._folder / f"{digest}.json"
        if not _DIGEST.fullmatch(digest) or not path.exists():
            raise Refused("course.gone")
        told = json.loads(path.read_text(encoding="utf-8"))
        return Course(
            title=told["title"],
            lessons=tuple(CourseLesson(**lesson) for lesson in told["lessons"]),
            left_out=tuple(LeftOut(**entry) for entry in told["left_out"]),
        )


class CourseMaps:
    """The latest maps; one holds until the index, the rules or the day change."""

    def __init__(self) -> None:
        self.by_key: OrderedDict[tuple[object, ...], CoverageMap] = OrderedDict()


def address(digest: str, part: int | None = None) -> str:
    """Where a course is seen, or one lesson of it (from 1)."""
    return (
        f"/pairings/course/{digest}" if part is None else f"/pairings?course={digest}&part={part}"
    )


async def take(visit: Visit, name: str, content: bytes) -> Response:
    """Read an uploaded archive and go to its page."""
    course = await run_in_threadpool(read_course, name, content)
    digest = hashlib.sha256(content).hexdigest()[:16]
    await run_in_threadpool(_shelf(visit).put, digest, course)
    visit.audit("course", f"{digest} {len(course.lessons)} lessons")
    if visit.is_htmx:
        return Response(status_code=204, headers={"HX-Redirect": address(digest)})
    return to(address(digest))


async def show(visit: Visit) -> Response:
    digest = str(visit.request.path_params["digest"])
    course = await run_in_threadpool(_shelf(visit).get, digest)
    found = await run_in_threadpool(_map, visit, digest, course)
    kept = visit.asked("kept")
    return visit.page(
        "course.html",
        course=course,
        digest=digest,
        found=found,
        base=f"/pairings?course={digest}&part=",
        left_out=[entry.told(visit.language) for entry in course.left_out],
        kept=int(kept) if kept.isdecimal() and len(kept) < 4 else None,
    )


async def keep(visit: Visit) -> Response:
    """Take all its lessons among ours; the same text is added once."""
    digest = str(visit.request.path_params["digest"])
    course = await run_in_threadpool(_shelf(visit).get, digest)
    title = visit.text("course", course.title, limit=100).strip() or course.title
    drafts = [
        Draft(title=lesson.title, text=lesson.text, course=title) for lesson in course.lessons
    ]
    n_new = await run_in_threadpool(keep_all, visit.studio.wired, drafts)
    visit.audit("course.keep", f"{digest} {n_new} lessons")
    return to(f"{address(digest)}?kept={n_new}")


def lesson_of(visit: Visit, digest: str, part: int) -> tuple[Course, CourseLesson]:
    """One lesson of a course, by its number from 1.

    Raises:
        Refused: there is no such lesson.
    """
    course = _shelf(visit).get(digest)
    if not 1 <= part <= len(course.lessons):
        raise Refused("course.no_part", last=len(course.lessons))
    return course, course.lessons[part - 1]


def _shelf(visit: Visit) -> CourseShelf:
    return CourseShelf(visit.studio.wired.settings.state)


def _map(visit: Visit, digest: str, course: Course) -> CoverageMap:
    engine, rules = visit.engine, visit.store.rules()
    maps: CourseMaps = visit.studio.remembered(CourseMaps)
    key = (
        digest,
        engine.matcher.version,
        tuple(sorted((r.lesson_id, r.item_id, str(r.kind)) for r in rules)),
        visit.at.date(),
    )
    if key not in maps.by_key:
        lessons = [
            Lesson(lesson_id=LessonId(str(number)), title=lesson.title, text=lesson.text)
            for number, lesson in enumerate(course.lessons, start=1)
        ]
        maps.by_key[key] = cover(engine, lessons, rules, at=visit.at)
        while len(maps.by_key) > _MOST_MAPS:
            maps.by_key.popitem(last=False)
    return maps.by_key[key]
