"""The menu of one item of a preview: how it stands, and what a creator can fix or say about it."""

from __future__ import annotations

from bot.creators_desk import handle_of
from bot.messages import Button, Reply, Rich, cut
from bot.pair_preview import LONGEST_NAME, LONGEST_QUOTE, PREVIEWED, scores, source_of
from bot.studio.previewing import Ask, preview
from bot.turn import Turn
from bot.verdicts import EVERYWHERE, grade_rows, grade_words, latest_grade, rules_about
from data.catalogue import Item
from data.events import RuleKind


def item_menu(turn: Turn, ask: Ask, item: Item, notice: str = "") -> Reply:
    """One item of a preview: how it stands, and what the creator can fix or say about it."""
    words = turn.words
    found = preview(turn.engine, ask, turn.store.rules(), at=turn.at, shown=PREVIEWED)
    rich = Rich().line(f"{words.name(item)}  [{item.item_id}]", bold=True)
    row = next((row for row in found.rows if row.item.item_id == item.item_id), None)
    if row is not None:
        rich.line(scores(turn, row))
        if row.hit.evidence:
            rich.quote(cut(row.hit.evidence, 2 * LONGEST_QUOTE))
    rules = rules_about(turn, item.item_id)
    for lesson_id, kind in sorted(rules):
        if lesson_id in (ask.lesson_id, EVERYWHERE):
            rich.line(words(f"pair.is_{kind}" if lesson_id else "pair.is_ban_everywhere"))
    lesson = turn.engine.catalogue.lessons_by_id.get(ask.lesson_id)
    grade = latest_grade(turn, ask.lesson_id, item.item_id) if lesson else None
    if grade is not None:
        rich.line(words("pair.your_grade", grade=grade_words(turn, grade.grade)))
    rich.line()
    rich.line(
        words("pair.menu_for", lesson=cut(lesson.title, LONGEST_NAME))
        if lesson
        else words("pair.not_a_lesson")
    )
    return Reply(
        spans=rich.done(),
        buttons=_menu_rows(turn, ask, item, grade.grade if grade else None),
        is_edit=True,
        notice=notice,
    )


def _menu_rows(
    turn: Turn, ask: Ask, item: Item, grade: int | None
) -> tuple[tuple[Button, ...], ...]:
    source = source_of(turn, ask)
    target = f"{source}:{handle_of(item.item_id)}"
    rules = rules_about(turn, item.item_id)

    def switch(name: str, action: str, *, is_on: bool) -> Button:
        # A button says what shall hold afterwards, so that a double tap changes nothing twice.
        key = f"button.un{name}" if is_on else f"button.{name}"
        return turn.button(key, action, f"{target}:{int(not is_on)}")

    rows: list[tuple[Button, ...]] = []
    if ask.lesson_id:
        rows.append(
            (
                switch("pin", "ppin", is_on=(ask.lesson_id, RuleKind.PIN) in rules),
                switch("ban", "pban", is_on=(ask.lesson_id, RuleKind.BAN) in rules),
            )
        )
        rows += grade_rows(turn, "pgrade", target, given=grade)
    everywhere = (EVERYWHERE, RuleKind.BAN) in rules
    rows.append((switch("ban_everywhere", "pbanall", is_on=everywhere),))
    rows.append((turn.button("button.back_to_list", "pback", source),))
    return tuple(rows)
