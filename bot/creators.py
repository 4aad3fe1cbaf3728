"""What course creators do in the chat: preview a pairing, pin, ban, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.item_menu import item_menu
from bot.messages import Reply, plain
from bot.pair_preview import ask_about, ask_named, preview_page
from bot.rendering import as_edit
from bot.studio.previewing import Ask
from bot.turn import Turn
from bot.verdicts import EVERYWHERE, GRADES, grade_words, record_grade, rules_about, set_rule
from data.catalogue import Item, ItemId, Lesson, LessonId
from data.events import RuleKind


def refuse(turn: Turn) -> Reply:
    """A stranger gets a polite line that tells nothing about who may."""
    return Reply(spans=plain(turn.words("admin.refused")))


def pair(turn: Turn, text: str) -> Reply:
    """`/pair TEXT`: a ranked preview with every stage's score and what was filtered."""
    text = text.strip()
    if not text:
        return Reply(spans=plain(turn.words("pair.usage")))
    ask = ask_about(turn.engine.catalogue, text)
    turn.store.audit(
        at=turn.at,
        actor=turn.sender.user_key,
        action="pair",
        detail=ask.lesson_id or f"{len(ask.text)} characters",
    )
    return preview_page(turn, ask)


def rule(turn: Turn, kind: RuleKind, argument: str) -> Reply:
    """`/pin LESSON ITEM`, `/ban LESSON ITEM` (`*` for all lessons); again to take it back."""
    words = turn.words
    parts = argument.split()
    if len(parts) != 2:
        return Reply(spans=plain(words(f"{kind}.usage")))
    lesson_id, item_id = LessonId("" if parts[0] == "*" else parts[0]), ItemId(parts[1])
    if lesson_id and _lesson(turn, lesson_id) is None:
        return Reply(spans=plain(words("rule.no_lesson", lesson=parts[0][:60])))
    if item_id not in turn.engine.catalogue.items_by_id:
        return Reply(spans=plain(words("rule.no_item", item=parts[1][:60])))
    if kind is RuleKind.PIN and not lesson_id:
        return Reply(spans=plain(words("pin.usage")))
    is_on = (lesson_id, kind) not in rules_about(turn, item_id)
    set_rule(turn, kind, lesson_id, item_id, is_on=is_on)
    return Reply(spans=plain(words(f"{kind}.set" if is_on else f"{kind}.lifted", item=item_id)))


def judge(turn: Turn, argument: str) -> Reply:
    """`/judge LESSON ITEM GRADE`: 3 delightful, 2 good, 1 loose, 0 wrong, -1 harmful."""
    words = turn.words
    parts = argument.split()
    if len(parts) != 3 or parts[2] not in {"-1", "0", "1", "2", "3"}:
        return Reply(spans=plain(words("judge.usage")))
    lesson_id, item_id = LessonId(parts[0]), ItemId(parts[1])
    if _lesson(turn, lesson_id) is None:
        return Reply(spans=plain(words("rule.no_lesson", lesson=parts[0][:60])))
    if item_id not in turn.engine.catalogue.items_by_id:
        return Reply(spans=plain(words("rule.no_item", item=parts[1][:60])))
    record_grade(turn, lesson_id, item_id, int(parts[2]))
    return Reply(spans=plain(words("judge.done", grade=parts[2], item=item_id)))


def _lesson(turn: Turn, lesson_id: LessonId) -> Lesson | None:
    return turn.engine.catalogue.lessons_by_id.get(lesson_id)


def _open_preview(turn: Turn, source: str, *, edits: bool) -> list[Reply]:
    ask = ask_named(turn, source)
    if ask is None:
        return [Reply(notice=turn.words("pair.expired"))]
    page = preview_page(turn, ask)
    return [as_edit(page) if edits else page]


def _press_item(turn: Turn, argument: str) -> list[Reply]:
    """Open the menu of an item, or carry out what was pressed in it."""
    return _on_item(turn, argument, lambda ask, item, value: "")


def _press_rule(turn: Turn, argument: str, kind: RuleKind, *, everywhere: bool) -> list[Reply]:
    def carry_out(ask: Ask, item: Item, value: str) -> str:
        if not everywhere and not ask.lesson_id:
            return turn.words("press.unknown")
        is_on = value == "1"
        set_rule(
            turn, kind, EVERYWHERE if everywhere else ask.lesson_id, item.item_id, is_on=is_on
        )
        key = f"{kind}.set" if is_on else f"{kind}.lifted"
        return turn.words(key, item=turn.words.name(item))

    return _on_item(turn, argument, carry_out)


def _press_grade(turn: Turn, argument: str) -> list[Reply]:
    def carry_out(ask: Ask, item: Item, value: str) -> str:
        if not ask.lesson_id or value not in {str(grade) for grade in GRADES}:
            return turn.words("press.unknown")
        record_grade(turn, ask.lesson_id, item.item_id, int(value))
        return turn.words("judge.noted", grade=grade_words(turn, int(value)))

    return _on_item(turn, argument, carry_out)


def _on_item(turn: Turn, argument: str, carry_out: Callable[[Ask, Item, str], str]) -> list[Reply]:
    source, _, rest = argument.partition(":")
    handle, _, value = rest.partition(":")
    ask = ask_named(turn, source)
    if ask is None:
        return [Reply(notice=turn.words("pair.expired"))]
    item = turn.services.desk.item(turn.engine.catalogue, handle)
    if item is None:
        return [as_edit(preview_page(turn, ask), turn.words("rule.item_gone"))]
    notice = carry_out(ask, item, value)
    return [item_menu(turn, ask, item, notice[:200])]


PRESSES: Mapping[str, Callable[[Turn, str], list[Reply]]] = {
    "pshow": lambda turn, argument: _open_preview(turn, argument, edits=False),
    "pback": lambda turn, argument: _open_preview(turn, argument, edits=True),
    "pitem": _press_item,
    "ppin": lambda turn, a: _press_rule(turn, a, RuleKind.PIN, everywhere=False),
    "pban": lambda turn, a: _press_rule(turn, a, RuleKind.BAN, everywhere=False),
    "pbanall": lambda turn, a: _press_rule(turn, a, RuleKind.BAN, everywhere=True),
    "pgrade": _press_grade,
}
"""What the buttons under a preview do, by the action they are signed for."""
