"""The page of the coverage map: lessons with nothing good, and items that no lesson finds."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.coverage import ALL_COURSES, CoverageMap, Maps, courses_of, cover
from bot.studio.visit import Visit


async def show(visit: Visit) -> Response:
    course = visit.asked("course", ALL_COURSES)
    found = (
        await run_in_threadpool(_map, visit, course)
        if "course" in visit.request.query_params
        else None
    )
    courses = courses_of(visit.engine.catalogue.lessons)
    return visit.page("coverage.html", courses=courses, course=course, found=found)


def _map(visit: Visit, course: str) -> CoverageMap:
    maps: Maps = visit.studio.remembered(Maps)
    return maps.of(visit.engine, course, visit.store.rules(), at=visit.at)


__all__ = ["CoverageMap", "Maps", "cover", "show"]
