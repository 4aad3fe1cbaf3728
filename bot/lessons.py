"""Start, help, and finding the lesson that somebody finished."""

from __future__ import annotations

from bot.messages import Button, Reply, Rich, plain
from bot.offering import offer, start_lesson
from bot.turn import Turn
from data.catalogue import Lesson, LessonId
from data.links import lesson_for, payload_for
from recommender.constraints import Constraints

PER_PAGE = 8
MAX_LABEL = 60


def start(turn: Turn, payload: str) -> list[Reply]:
    """`/start`, perhaps with the deep link of a lesson."""
    payload = payload.strip()
    if payload:
        lesson_id = lesson_for(payload, turn.engine.catalogue.lessons)
        if lesson_id is not None:
            return start_lesson(turn, lesson_id, trigger="deep_link")
        return [Reply(spans=plain(turn.words("start.unknown_link"))), welcome(turn)]
    return [welcome(turn)]


def welcome(turn: Turn) -> Reply:
    words = turn.words
    return Reply(
        spans=plain(words("start.welcome")),
        buttons=(
            (
                turn.button("button.lessons", "lessons", "0"),
                turn.button("button.help", "help", ""),
            ),
            (turn.button("button.privacy", "privacy", ""),),
        ),
    )


def way_on(turn: Turn) -> tuple[tuple[Button, ...], ...]:
    """Buttons under an answer that shows nothing: back to the food, and the lessons."""
    buttons = [turn.button("button.lessons", "lessons", "0")]
    slate = turn.current_slate()
    if slate is not None:
        buttons.insert(0, turn.button("button.back_to_slate", "show", slate.slate_id))
    return (tuple(buttons),)


def help_page(turn: Turn) -> Reply:
    words = turn.words
    rich = Rich().line(words("help.text"))
    if turn.is_creator:
        rich.line().line(words("help.creator"))
    if turn.is_admin:
        rich.line().line(words("help.admin"))
    return Reply(
        spans=rich.done(),
        buttons=((turn.button("button.lessons", "lessons", "0"),),),
    )


def browse(turn: Turn, argument: str) -> Reply:
    """`/lessons`: pages of lessons, or those that fit the words."""
    words = turn.words
    lessons = turn.engine.catalogue.lessons
    if not lessons:
        return Reply(spans=plain(words("lessons.none")))
    if argument and not argument.isdigit():
        found = turn.engine.lesson_finder.find(argument, top_k=PER_PAGE)
        if found:
            return Reply(
                spans=plain(words("lessons.found", query=argument[:60])),
                buttons=_lesson_rows(turn, [f.lesson for f in found]),
            )
        return Reply(
            spans=plain(words("lessons.not_found", query=argument[:60])),
            buttons=((turn.button("button.lessons", "lessons", "0"),),),
        )
    ordered = sorted(
        lessons, key=lambda lesson: (lesson.lang != turn.words.language, lesson.course)
    )
    last_page = (len(ordered) - 1) // PER_PAGE
    page = min(int(argument) if argument.isdecimal() and len(argument) < 6 else 0, last_page)
    some = ordered[page * PER_PAGE : (page + 1) * PER_PAGE]
    steps: list[Button] = []
    if page > 0:
        steps.append(turn.button("button.previous", "lessons", str(page - 1)))
    if page < last_page:
        steps.append(turn.button("button.next", "lessons", str(page + 1)))
    rows = _lesson_rows(turn, some)
    return Reply(
        spans=plain(words("lessons.page", page=page + 1, pages=last_page + 1)),
        buttons=(*rows, tuple(steps)) if steps else rows,
    )


def _lesson_rows(turn: Turn, lessons: list[Lesson]) -> tuple[tuple[Button, ...], ...]:
    return tuple((turn.labelled(_label(lesson), "lesson", _short(lesson)),) for lesson in lessons)


def _label(lesson: Lesson) -> str:
    return lesson.title if len(lesson.title) <= MAX_LABEL else lesson.title[: MAX_LABEL - 1] + "…"


def _short(lesson: Lesson) -> str:
    return payload_for(lesson.lesson_id)


def finished(
    turn: Turn, title: str, *, text: str, wishes: Constraints, words: tuple[str, ...]
) -> list[Reply]:
    """Give the lesson that the words name, or the few that it could be."""
    finder = turn.engine.lesson_finder
    found = finder.find(title or text)
    sure = finder.sure(found)
    if sure is not None:
        return start_lesson(turn, LessonId(sure.lesson_id), wishes=wishes, words=words)
    turn.dialog = turn.dialog.opened(topic=(title or text)[:200]).wishing(wishes, words)
    turn.move(undo="", before="")
    if found:
        # "None of these" goes by the words alone, which are the subject now.
        return [
            Reply(
                spans=plain(turn.words("lesson.which")),
                buttons=(
                    *_lesson_rows(turn, [f.lesson for f in found[:5]]),
                    (
                        turn.button("button.by_topic", "clear", ""),
                        turn.button("button.lessons", "lessons", "0"),
                    ),
                ),
            )
        ]
    heading = turn.words("lesson.by_topic", title=(title or text)[:60])
    return offer(turn, trigger="ask", heading=heading)
