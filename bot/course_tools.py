"""What creators do with whole courses in the chat: see the coverage, hand out links to lessons."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterable, Mapping

import segno

from bot.coverage import ALL_COURSES, CoverageMap, courses_of
from bot.creators_desk import handle_of, named
from bot.messages import Button, ButtonPress, Command, Incoming, Picture, Reply, Rich, cut, plain
from bot.pair_preview import ask_about
from bot.rendering import as_edit
from bot.turn import Services, Turn
from data.catalogue import Lesson, LessonId
from data.links import lesson_for, payload_for
from index.matches import Query

PER_PAGE = 8
WEAK_SHOWN = 10
WEAK_BUTTONS = 5
ITEMS_SHOWN = 15
_LONGEST_NAME = 60
_ALL = frozenset({"*", "all", "全部", "所有"})
_JUDGING = frozenset({"jgrade", "jskip", "jundo", "jmore"})


def get_ready(services: Services, incoming: Incoming) -> None:
    """Read the texts that a creator's command needs, before anything is locked.

    The first look at a lesson takes a tenth of a second, and these tools look at a hundred. What was
    read is kept, so that the answer itself then takes no time.
    """
    name, argument = "", ""
    if isinstance(incoming, Command):
        name, argument = incoming.name.lower(), incoming.argument.strip()
        if name == "pair" and (text := argument or incoming.quoted.strip()):
            read_ahead(services, text)
    elif isinstance(incoming, ButtonPress):
        read = services.signer.read(incoming.sender.user_key, incoming.payload)
        name, argument = (read.action, read.argument) if read else ("", "")
    if name in _JUDGING or (name == "judge" and not argument):
        services.desk.unsure(services.engine(), at=incoming.at)
    elif name in ("coverage", "cover") and argument:
        engine = services.engine()
        courses = courses_of(engine.catalogue.lessons)
        course = _meant(argument, courses) if name == "coverage" else _of_handle(argument, courses)
        if course is not None:
            services.desk.maps.of(engine, course, services.store.rules(), at=incoming.at)


def read_ahead(services: Services, text: str) -> None:
    """Understand a text that is about to be previewed; the matcher remembers what it read."""
    engine = services.engine()
    ask = ask_about(engine.catalogue, text)
    engine.matcher.match(Query(text=ask.text, title=ask.title), eligible=None, top_k=1)


def coverage(turn: Turn, argument: str) -> Reply:
    """`/coverage COURSE`; without a course, the courses to choose from."""
    courses = courses_of(turn.engine.catalogue.lessons)
    if not argument:
        return _choose_course(turn, 0)
    course = _meant(argument, courses)
    if course is None:
        page = _choose_course(turn, 0)
        unknown = turn.words("coverage.no_course", course=cut(argument, _LONGEST_NAME))
        return Reply(spans=(*plain(unknown + "\n"), *page.spans), buttons=page.buttons)
    return _covered(turn, course)


def _meant(argument: str, courses: Iterable[str]) -> str | None:
    """The course that the words name: whole, in any case, or the only one that holds them."""
    known = list(courses)
    if argument in known:
        return argument
    said = argument.casefold().strip()
    if said in _ALL:
        return ALL_COURSES
    exact = [course for course in known if course.casefold() == said]
    holding = exact or [course for course in known if said and said in course.casefold()]
    return holding[0] if len(holding) == 1 else None


def _of_handle(argument: str, courses: Iterable[str]) -> str | None:
    return ALL_COURSES if argument == ALL_COURSES else named(argument, courses)


def _choose_course(turn: Turn, page: int) -> Reply:
    words = turn.words
    courses = courses_of(turn.engine.catalogue.lessons)
    last_page = max(0, (len(courses) - 1) // PER_PAGE)
    page = min(max(page, 0), last_page)
    shown = courses[page * PER_PAGE : (page + 1) * PER_PAGE]
    rows: list[tuple[Button, ...]] = [
        (turn.labelled(cut(course, _LONGEST_NAME), "cover", handle_of(course)),)
        for course in shown
    ]
    rows.append((turn.button("button.all_courses", "cover", ALL_COURSES),))
    steps: list[Button] = []
    if page > 0:
        steps.append(turn.button("button.previous", "courses", str(page - 1)))
    if page < last_page:
        steps.append(turn.button("button.next", "courses", str(page + 1)))
    if steps:
        rows.append(tuple(steps))
    told = words("coverage.choose") if courses else words("coverage.no_courses")
    return Reply(spans=plain(told), buttons=tuple(rows))


def _covered(turn: Turn, course: str) -> Reply:
    words = turn.words
    found = turn.services.desk.maps.of(turn.engine, course, turn.store.rules(), at=turn.at)
    turn.store.audit(
        at=turn.at, actor=turn.sender.user_key, action="coverage", detail=course[:200]
    )
    name = words("button.all_courses") if course == ALL_COURSES else cut(course, _LONGEST_NAME)
    rich = Rich().line(words("coverage.heading", course=name), bold=True)
    n_found = found.n_items - len(found.unfound)
    rich.line(
        words("coverage.good", good=found.n_good, of=len(found.lessons))
        + " "
        + words("coverage.found", found=n_found, of=found.n_items)
    )
    _weak_lessons(turn, found, rich)
    _unfound_items(turn, found, rich)
    return Reply(spans=rich.done(), buttons=_ways_on(turn, found))


def _weak_lessons(turn: Turn, found: CoverageMap, rich: Rich) -> None:
    words = turn.words
    weak = [covered for covered in found.lessons if covered.is_silent]
    rich.line().line(words("coverage.weak"), bold=True)
    for covered in weak[:WEAK_SHOWN]:
        why = (
            words("coverage.minors")
            if covered.lesson.audience == "minors"
            else words("coverage.best", score=f"{covered.best:.2f}")
        )
        title = cut(covered.lesson.title, _LONGEST_NAME)
        rich.line(f"• {title}  [{cut(covered.lesson.lesson_id, _LONGEST_NAME)}] · {why}")
    _rest(turn, rich, len(weak), WEAK_SHOWN)


def _unfound_items(turn: Turn, found: CoverageMap, rich: Rich) -> None:
    words = turn.words
    rich.line().line(words("coverage.unfound"), bold=True)
    shown = [cut(words.name(item), _LONGEST_NAME) for item in found.unfound[:ITEMS_SHOWN]]
    for name in shown:
        rich.line(f"• {name}")
    _rest(turn, rich, len(found.unfound), ITEMS_SHOWN)


def _rest(turn: Turn, rich: Rich, n: int, n_shown: int) -> None:
    if n == 0:
        rich.line(turn.words("coverage.none"))
    elif n > n_shown:
        rich.line(turn.words("coverage.and_more", n=n - n_shown), italic=True)


def _ways_on(turn: Turn, found: CoverageMap) -> tuple[tuple[Button, ...], ...]:
    weak = [c.lesson for c in found.lessons if c.is_silent and c.lesson.audience != "minors"]
    rows = [
        (
            turn.labelled(
                turn.words("coverage.look_at", lesson=cut(lesson.title, 40)),
                "pshow",
                "l" + handle_of(lesson.lesson_id),
            ),
        )
        for lesson in weak[:WEAK_BUTTONS]
    ]
    return (*rows, (turn.button("button.courses", "courses", "0"),))


def link(turn: Turn, argument: str) -> Reply:
    """`/link LESSON`: the address that opens a lesson in the chat, and its QR code."""
    words = turn.words
    lessons = turn.engine.catalogue.lessons
    if not argument:
        return _link(turn, turn.lesson) if turn.lesson else Reply(spans=plain(words("link.usage")))
    lesson_id = lesson_for(argument, lessons)
    if lesson_id is None:
        lesson_id = next((le.lesson_id for le in lessons if le.lesson_id == argument), None)
    finder = turn.engine.lesson_finder
    found = finder.find(argument[:200]) if lesson_id is None else []
    sure = finder.sure(found)
    if sure is not None:
        lesson_id = sure.lesson_id
    if lesson_id is not None:
        return _link(turn, turn.engine.catalogue.lessons_by_id[LessonId(lesson_id)])
    if found:
        return Reply(
            spans=plain(words("lesson.which")),
            buttons=tuple(
                (
                    turn.labelled(
                        cut(f.lesson.title, _LONGEST_NAME), "link", handle_of(f.lesson.lesson_id)
                    ),
                )
                for f in found[:5]
            ),
        )
    return Reply(spans=plain(words("rule.no_lesson", lesson=cut(argument, _LONGEST_NAME))))


def _link(turn: Turn, lesson: Lesson) -> Reply:
    words = turn.words
    bot_name = turn.services.bot_name()
    turn.store.audit(
        at=turn.at, actor=turn.sender.user_key, action="link", detail=lesson.lesson_id[:200]
    )
    rich = Rich().line(cut(lesson.title, 200), bold=True)
    if not bot_name:
        command = f"zhiwei chat --lesson {shlex.quote(lesson.lesson_id)}"
        rich.line(words("link.no_bot")).line(command)
        return Reply(spans=rich.done())
    address = deep_link(bot_name, lesson.lesson_id)
    rich.line(address).line(words("link.told"))
    return Reply(
        spans=rich.done(),
        buttons=((Button(label=words("button.open_link"), url=address),),),
        picture=Picture(content=qr_code(address), alternative=words("link.qr", address=address)),
    )


def deep_link(bot_name: str, lesson_id: LessonId) -> str:
    """The address that opens a lesson with a bot of Telegram."""
    return f"https://t.me/{bot_name}?start={payload_for(lesson_id)}"


def qr_code(address: str) -> bytes:
    """The address as a PNG; a quarter of it may be damaged, and it can still be read."""
    image = io.BytesIO()
    segno.make(address, error="q", micro=False).save(image, kind="png", scale=10, border=4)
    return image.getvalue()


def _press_cover(turn: Turn, argument: str) -> list[Reply]:
    course = _of_handle(argument, courses_of(turn.engine.catalogue.lessons))
    if course is None:
        return [as_edit(_choose_course(turn, 0), turn.words("press.gone"))]
    return [as_edit(_covered(turn, course))]


def _press_courses(turn: Turn, argument: str) -> list[Reply]:
    page = int(argument) if argument.isdecimal() and len(argument) < 6 else 0
    return [as_edit(_choose_course(turn, page))]


def _press_link(turn: Turn, argument: str) -> list[Reply]:
    lesson = turn.services.desk.lesson(turn.engine.catalogue, argument)
    if lesson is None:
        return [Reply(notice=turn.words("lesson.unknown"))]
    return [_link(turn, lesson)]


PRESSES: Mapping[str, Callable[[Turn, str], list[Reply]]] = {
    "cover": _press_cover,
    "courses": _press_courses,
    "link": _press_link,
}
"""What the buttons under these answers do, by the action they are signed for."""
