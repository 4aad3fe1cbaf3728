"""What buttons do. Every payload is signed for one person; an old button does what it says today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from bot import (
    admin,
    admin_steps,
    course_tools,
    creators,
    judging,
    lessons,
    personal,
    reacting,
    telling,
)
from bot.messages import ButtonPress, Reply, plain
from bot.offering import explain, offer, others, start_lesson
from bot.rendering import allowed, as_edit, render_slate, slate_picture
from bot.turn import Turn
from data.catalogue import LessonId
from data.events import SlateId, SlateRecord
from data.links import lesson_for

_PERSONAL = frozenset(
    {"me", "settings", "export", "forget", "erase", "unfact", "consent", "pictures", "speak"}
)

_CREATORS = {**creators.PRESSES, **judging.PRESSES, **course_tools.PRESSES}
"""For creators only; who lost the right while the message stood there is refused."""


def press(turn: Turn, incoming: ButtonPress) -> list[Reply]:
    """Answer a press; whatever was pressed, there is a notice or a message."""
    read = turn.services.signer.read(turn.sender.user_key, incoming.payload)
    if read is None:
        return [Reply(notice=turn.words("press.unknown"))]
    if turn.is_group and read.action in _PERSONAL:
        return [Reply(notice=turn.words("group.private_only"))]
    pages: dict[str, Callable[[], list[Reply]]] = {
        "help": lambda: [lessons.help_page(turn)],
        "me": lambda: [personal.show_profile(turn)],
        "settings": lambda: [as_edit(personal.settings(turn))],
        "privacy": lambda: [personal.privacy(turn)],
        "export": lambda: [personal.export(turn)],
        "language": lambda: [as_edit(personal.choose_language(turn))],
        "speak": lambda: personal.speak(turn, read.argument),
        "consent": lambda: personal.give_consent(turn, read.argument),
        "pictures": lambda: personal.show_pictures(turn, read.argument),
        "forget": lambda: [as_edit(personal.ask_forget(turn))],
        "erase": lambda: _erase(turn),
        "keep": lambda: _keep(turn),
        "undo": lambda: telling.undo(turn),
        "clear": lambda: [as_edit(reply) for reply in start_over(turn)],
        "relax": lambda: _relax(turn, read.argument),
        "unfact": lambda: _delete_fact(turn, read.argument),
        "lessons": lambda: [as_edit(lessons.browse(turn, read.argument))],
        "lesson": lambda: _open_lesson(turn, read.argument),
        admin_steps.ACTION: lambda: [admin.press(turn, read.argument)],
    }
    if read.action in pages:
        return pages[read.action]()
    if read.action in _CREATORS:
        if not turn.is_creator:
            return [Reply(notice=turn.words("admin.refused"))]
        return _CREATORS[read.action](turn, read.argument)
    return _press_on_slate(turn, read.action, read.argument)


def _press_on_slate(turn: Turn, action: str, argument: str) -> list[Reply]:
    slate_id, _, position = argument.partition(":")
    slate = turn.store.slate(SlateId(slate_id))
    if slate is None or slate.user_key != turn.sender.user_key:
        return [Reply(notice=turn.words("press.gone"))]
    make_current(turn, slate)
    match action:
        case "why":
            # The picture is made anew, without what may not be shown any more.
            picture = slate_picture(turn, slate, allowed(turn, slate))
            picture = replace(picture, caption=()) if picture is not None else None
            return [as_edit(replace(explain(turn, slate), picture=picture))]
        case "others":
            return others(turn, slate)
        case "show":
            return [as_edit(render_slate(turn, slate))]
    entry = next((e for e in allowed(turn, slate) if str(e.placement.position) == position), None)
    if entry is None:
        return [Reply(notice=turn.words("press.hidden_now"))]
    return reacting.pressed(turn, slate, entry, action)


def make_current(turn: Turn, slate: SlateRecord) -> None:
    """A press on an older slate brings it back as the one we talk about, with its subject."""
    dialog = turn.dialog
    if slate.slate_id == dialog.slate_id:
        return
    lesson_id = slate.lesson_id
    is_same = lesson_id == dialog.lesson_id and (lesson_id or slate.query == dialog.topic)
    if not is_same and (lesson_id is not None or slate.query):
        dialog = dialog.opened(lesson_id=lesson_id, topic="" if lesson_id else slate.query)
    earlier = tuple(s for s in dialog.slates if s != slate.slate_id)
    turn.dialog = replace(dialog, slates=(*earlier, slate.slate_id))


def start_over(turn: Turn) -> list[Reply]:
    """Drop the wishes of the conversation; its subject and the rules of the profile stay."""
    turn.dialog = turn.dialog.without_wishes()
    if turn.lesson is None and not turn.dialog.topic:
        return [lessons.browse(turn, "0")]
    return offer(turn, trigger="ask", again=True)


def step_back(turn: Turn) -> list[Reply]:
    """Show the slate before the current one; with none before it, the current one again."""
    slate = turn.current_slate()
    if slate is None:
        return [lessons.welcome(turn)]
    earlier = turn.store.slate(slate.replaces) if slate.replaces is not None else None
    if earlier is not None and earlier.user_key == turn.sender.user_key:
        make_current(turn, earlier)
        return [render_slate(turn, earlier)]
    return [Reply(spans=plain(turn.words("back.nothing"))), render_slate(turn, slate)]


def _erase(turn: Turn) -> list[Reply]:
    """Only after the question was asked lately: an old button must not erase by accident."""
    if turn.dialog.asked != "forget":
        return [as_edit(personal.ask_forget(turn))]
    turn.services.desk.forget(turn.sender.user_key)
    return [as_edit(personal.erase(turn))]


def _keep(turn: Turn) -> list[Reply]:
    turn.move(asked="")
    return [as_edit(Reply(spans=plain(turn.words("kept")), buttons=lessons.way_on(turn)))]


def _relax(turn: Turn, argument: str) -> list[Reply]:
    """Lift one wish of the conversation; profile rules and safety stay as they are."""
    what, _, value = argument.partition(":")
    wishes = turn.dialog.wishes
    match what:
        case "price":
            try:
                limit = Decimal(value)
            except InvalidOperation:
                return [Reply(notice=turn.words("press.unknown"))]
            wishes = replace(
                wishes, price_max=limit, price_min=None, price_below=None, price_above=None
            )
        case "include":
            wishes = replace(wishes, include=frozenset())
        case "exclude":
            wishes = replace(wishes, exclude=wishes.exclude - {value})
    turn.dialog = turn.dialog.remembering()
    turn.move(wishes=wishes)
    return [as_edit(reply) for reply in offer(turn, trigger="critique")]


def _delete_fact(turn: Turn, fact_id: str) -> list[Reply]:
    is_gone = turn.store.delete_fact(turn.sender.user_key, fact_id)
    notice = turn.words("me.deleted" if is_gone else "press.gone")
    return [as_edit(personal.show_profile(turn), notice)]


def _open_lesson(turn: Turn, payload: str) -> list[Reply]:
    lesson_id = lesson_for(payload, turn.engine.catalogue.lessons)
    if lesson_id is None:
        return [Reply(notice=turn.words("lesson.unknown"))]
    return start_lesson(turn, LessonId(lesson_id))
