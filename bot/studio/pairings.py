"""The pairing page: paste or upload a lesson, look, judge, pin and ban."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.lesson_files import LARGEST_BYTES, read_lesson_file
from bot.studio import courses
from bot.studio.lesson_shelf import keep
from bot.studio.previewing import (
    GROUPS,
    LOOKED_THROUGH,
    Ask,
    Preview,
    Weighting,
    attached_lesson,
)
from bot.studio.previewing import preview as rank
from bot.studio.rivals import OWN, PRESETS, models
from bot.studio.visit import Visit
from data.catalogue import ItemId, Lesson, LessonId
from data.errors import InvalidInput
from data.events import CreatorRule, Judgement, RuleKind
from data.vocabulary import Allergen, Diet

LONGEST_TEXT = 40_000
GRADES = ("3", "2", "1", "0", "-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a lesson stands in an uploaded course; parts count from 1."""

    digest: str
    title: str
    part: int
    n: int


async def show(visit: Visit) -> Response:
    """An empty form; or a lesson of the catalogue, or of an uploaded course, with its items."""
    if digest := visit.asked("course"):
        return await _show_part(visit, digest)
    lesson = visit.engine.catalogue.lessons_by_id.get(LessonId(visit.asked("lesson")))
    ask = Ask().of_lesson(lesson) if lesson else Ask()
    found = await run_in_threadpool(ranked, visit, ask) if lesson else None
    return pairing_page(visit, ask, found)


async def _show_part(visit: Visit, digest: str) -> Response:
    number = visit.asked("part", "1", limit=4)
    part = int(number) if number.isascii() and number.isdigit() else 0
    course, one = courses.lesson_of(visit, digest, part)
    ask = Ask(title=one.title, text=one.text)
    known = attached_lesson(visit.engine.catalogue.lessons, ask.text)
    ask = ask.of_lesson(known) if known else ask
    found = await run_in_threadpool(ranked, visit, ask)
    place = Place(digest=digest, title=course.title, part=part, n=len(course.lessons))
    return pairing_page(visit, ask, found, place=place)


async def preview(visit: Visit) -> Response:
    if visit.upload_name("file").casefold().endswith(".zip"):
        uploaded = await visit.upload("file")
        return (
            await courses.take(visit, *uploaded) if uploaded else pairing_page(visit, Ask(), None)
        )
    ask = await asked_pairing(visit)
    if not ask.text.strip():
        return pairing_page(visit, ask, None, problem=visit.words("pairings.nothing"))
    found = await run_in_threadpool(ranked, visit, ask)
    visit.audit("pair", ask.lesson_id or f"{len(ask.text)} characters")
    return pairing_page(visit, ask, found)


async def keep_lesson(visit: Visit) -> Response:
    """Take a pasted text among the lessons, so that rules and grades have something to hold on to."""
    ask = await asked_pairing(visit)
    if not ask.text.strip() or not ask.title.strip():
        found = await run_in_threadpool(ranked, visit, ask) if ask.text.strip() else None
        return pairing_page(visit, ask, found, problem=visit.words("pairings.needs_title"))
    lesson = await run_in_threadpool(
        keep, visit.studio.wired, title=ask.title, text=ask.text, course=visit.text("course")
    )
    visit.audit("lesson", lesson.lesson_id)
    ask = ask.of_lesson(lesson)
    found = await run_in_threadpool(ranked, visit, ask)
    return pairing_page(visit, ask, found, done=visit.words("pairings.kept", title=lesson.title))


async def rule(visit: Visit) -> Response:
    """Pin or ban, or take it back. `on` says what shall hold afterwards, so a repeat changes nothing."""
    ask = await asked_pairing(visit)
    item_id, lesson = _pointed(visit, ask)
    kind = RuleKind(visit.text("kind")) if visit.text("kind") in set(RuleKind) else None
    if kind is None:
        raise InvalidInput("a rule is a pin or a ban")
    lesson_id = lesson.lesson_id if lesson else LessonId("")
    everywhere = visit.text("everywhere") == "1" and kind is RuleKind.BAN
    if everywhere:
        lesson_id = LessonId("")
    elif lesson is None:
        found = await run_in_threadpool(ranked, visit, ask)
        return pairing_page(visit, ask, found, problem=visit.words("pairings.no_lesson"))
    is_on = visit.text("on") == "1"
    if is_on:
        visit.store.put_rule(
            CreatorRule(
                lesson_id=lesson_id, item_id=item_id, kind=kind, at=visit.at,
                creator=visit.user_key,
            )
        )  # fmt: skip
    else:
        visit.store.remove_rule(lesson_id, item_id, kind)
    visit.audit(f"{kind}.{'on' if is_on else 'off'}", f"{lesson_id or '*'} {item_id}")
    found = await run_in_threadpool(ranked, visit, ask)
    name = visit.words.shared.name(visit.engine.catalogue.items_by_id[item_id])
    key = f"pairings.{kind}_{'on' if is_on else 'off'}"
    return pairing_page(visit, ask, found, done=visit.words(key, item=name))


async def judge(visit: Visit) -> Response:
    """3 delightful, 2 good, 1 loose, 0 wrong, -1 harmful."""
    ask = await asked_pairing(visit)
    item_id, lesson = _pointed(visit, ask)
    grade = visit.text("grade")
    found = await run_in_threadpool(ranked, visit, ask)
    if lesson is None:
        return pairing_page(visit, ask, found, problem=visit.words("pairings.no_lesson"))
    if grade not in GRADES:
        raise InvalidInput(f"{grade!r} is no grade; expected one of {', '.join(GRADES)}")
    visit.store.record_judgement(
        Judgement(
            judgement_id=f"web:{secrets.token_hex(8)}:judge",
            at=visit.at,
            lesson_id=lesson.lesson_id,
            item_id=item_id,
            grade=int(grade),
            creator=visit.user_key,
        )
    )
    visit.audit("judge", f"{lesson.lesson_id} {item_id} {grade}")
    name = visit.words.shared.name(visit.engine.catalogue.items_by_id[item_id])
    told = visit.words("pairings.judged", item=name, grade=visit.words(f"grade.{grade}"))
    return pairing_page(visit, ask, found, done=told)


def ranked(visit: Visit, ask: Ask) -> Preview:
    return rank(visit.engine, ask, visit.store.rules(), at=visit.at)


async def asked_pairing(visit: Visit) -> Ask:
    """The form as an ask: a chosen lesson, else an uploaded file, else the pasted text."""
    ask = Ask(
        title=visit.text("title", limit=200).strip(),
        text=visit.text("text", limit=LONGEST_TEXT).replace("\r\n", "\n"),
        allergens=frozenset(Allergen(v) for v in visit.texts("allergen") if v in set(Allergen)),
        diets=frozenset(Diet(v) for v in visit.texts("diet") if v in set(Diet)),
        weighting=Weighting(*(_factor(visit, group) for group in GROUPS)),
    )
    lessons = visit.engine.catalogue.lessons_by_id
    uploaded = await visit.upload("file")
    if uploaded is not None:
        name, content = uploaded
        told = await run_in_threadpool(read_lesson_file, name, content)
        ask = replace(ask, title=told.title[:200], text=told.text[:LONGEST_TEXT])
    elif (chosen := lessons.get(LessonId(visit.text("lesson")))) is not None:
        return ask.of_lesson(chosen)
    known = attached_lesson(visit.engine.catalogue.lessons, ask.text)
    return ask.of_lesson(known) if known else ask


def _factor(visit: Visit, group: str) -> float:
    try:
        value = float(visit.text(f"w_{group}", "1", limit=8))
    except ValueError:
        return 1.0
    return min(3.0, max(0.0, value)) if value == value else 1.0


def _pointed(visit: Visit, ask: Ask) -> tuple[ItemId, Lesson | None]:
    item_id = ItemId(visit.text("item"))
    if item_id not in visit.engine.catalogue.items_by_id:
        raise InvalidInput(visit.words("pairings.no_item", item=item_id[:60]))
    return item_id, visit.engine.catalogue.lessons_by_id.get(ask.lesson_id)


def _before(visit: Visit, ask: Ask) -> dict[ItemId, int]:
    """The places without allergy, diet and own weights; empty when nothing was turned."""
    plain = replace(ask, allergens=frozenset(), diets=frozenset(), weighting=Weighting())
    if plain == ask:
        return {}
    found = rank(visit.engine, plain, visit.store.rules(), at=visit.at, shown=LOOKED_THROUGH)
    return {row.item.item_id: row.rank for row in found.rows}


def pairing_page(
    visit: Visit,
    ask: Ask,
    found: Preview | None,
    *,
    done: str = "",
    problem: str = "",
    place: Place | None = None,
) -> Response:
    """The whole page, or only its result for htmx."""
    return visit.page(
        "pairing_result.html" if visit.is_htmx else "pairings.html",
        ask=ask,
        found=found,
        done=done,
        problem=problem,
        lessons=visit.engine.catalogue.lessons,
        allergens=tuple(Allergen),
        diets=tuple(Diet),
        groups=tuple(GROUPS),
        models=models(visit.studio.wired.settings),
        weightings=(OWN, *PRESETS),
        before=_before(visit, ask) if found is not None else {},
        grades=GRADES,
        largest_mb=LARGEST_BYTES // (1024 * 1024),
        version=visit.engine.matcher.version,
        place=place,
    )
