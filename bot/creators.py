"""What course creators do in the chat: preview a pairing, pin, ban, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.creators_desk import handle_of
from bot.messages import Button, Reply, Rich, cut, plain
from bot.rendering import as_edit
from bot.studio.previewing import Ask, Preview, Row, attached_lesson, preview
from bot.studio.words import StudioWords
from bot.turn import Turn
from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from data.events import CreatorRule, Judgement, RuleKind
from data.vocabulary import AllergenState

PREVIEWED = 8
GRADES = (3, 2, 1, 0)
EVERYWHERE = LessonId("")
_BANNED_SHOWN = 5
_LONGEST_QUOTE = 160
_LONGEST_NAME = 60
_OPPOSITE = {RuleKind.PIN: RuleKind.BAN, RuleKind.BAN: RuleKind.PIN}


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


def ask_about(catalogue: Catalogue, text: str) -> Ask:
    """The lesson that is named or pasted, else the text by itself."""
    lesson = catalogue.lessons_by_id.get(LessonId(text)) or attached_lesson(
        catalogue.lessons, text
    )
    return Ask().of_lesson(lesson) if lesson else Ask(text=text)


def preview_page(turn: Turn, ask: Ask) -> Reply:
    """The ranked items, each with a button that opens its menu."""
    words = turn.words
    found = preview(turn.engine, ask, turn.store.rules(), at=turn.at, shown=PREVIEWED)
    lesson = turn.engine.catalogue.lessons_by_id.get(ask.lesson_id)
    title = cut(" ".join((ask.title or ask.text[:200]).split()), _LONGEST_NAME)
    rich = Rich().line(words("pair.heading", title=title), bold=True)
    if lesson is not None and lesson.audience == "minors":
        rich.line(words("pair.minors"))
    if found.is_silent:
        rich.line(words("pair.silent", floor=f"{found.floor:.2f}"))
    for row in found.rows:
        _preview_line(turn, row, rich)
    rich.line()
    for line in _what_is_hidden(turn, found):
        rich.line(line)
    rich.line(words("pair.mode", mode=found.mode, version=turn.engine.matcher.version))
    if found.rows:
        rich.line(words("pair.press"), italic=True)
    return Reply(spans=rich.done(), buttons=_item_rows(turn, ask, found))


def _preview_line(turn: Turn, row: Row, rich: Rich) -> None:
    words = turn.words
    name = cut(words.name(row.item), _LONGEST_NAME)
    rich.line(f"{row.rank}. {name}  [{row.item.item_id}]", bold=not row.is_below or row.is_pinned)
    rich.line(_scores(turn, row))
    if row.hit.evidence:
        rich.quote(cut(row.hit.evidence, _LONGEST_QUOTE))


def _scores(turn: Turn, row: Row) -> str:
    words = turn.words
    parts = [
        words(
            "pair.scores",
            final=f"{row.hit.score:.3f}",
            dense=f"{row.hit.dense:.3f}",
            lexical=f"{row.hit.lexical:.3f}",
            knowledge=f"{row.hit.knowledge:.3f}",
        )
    ]
    if row.is_pinned:
        parts.append(words("pair.pinned"))
    if row.is_below:
        parts.append(words("pair.below"))
    return " · ".join(parts)


def _what_is_hidden(turn: Turn, found: Preview) -> list[str]:
    """What nobody gets, and what some people would not get of the items above."""
    words = turn.words
    counted = found.counts.items()
    hidden = [words(f"hidden.{reason}", n=count) for reason, count in counted if count]
    lines = [
        words("pair.hidden", parts=words.several(hidden)) if hidden else words("pair.none_hidden")
    ]
    notes: list[str] = []
    unlabelled = sum(_has_unknown_allergens(row.item) for row in found.rows)
    if unlabelled:
        notes.append(words("pair.unlabelled", n=unlabelled))
    late = sum(not row.is_in_season for row in found.rows)
    if late:
        notes.append(words("hidden.out_of_season", n=late))
    if notes:
        lines.append(words("pair.of_these", parts=words.several(notes)))
    return lines


def _has_unknown_allergens(item: Item) -> bool:
    states = set(item.allergens.values())
    return len(item.allergens) < 14 or AllergenState.UNKNOWN in states


def _item_rows(turn: Turn, ask: Ask, found: Preview) -> tuple[tuple[Button, ...], ...]:
    words, source = turn.words, _source(turn, ask)
    labels = [
        (row.item, f"{row.rank}. {words.name(row.item)}"
         + (f" · {words('pair.pinned')}" if row.is_pinned else ""))
        for row in found.rows
    ] + [
        (item, words("pair.banned_item", item=words.name(item)))
        for item in found.banned[:_BANNED_SHOWN]
    ]  # fmt: skip
    return tuple(
        (turn.labelled(cut(label, _LONGEST_NAME), "pitem", f"{source}:{handle_of(item.item_id)}"),)
        for item, label in labels
    )


def _source(turn: Turn, ask: Ask) -> str:
    """What buttons call the previewed text: a lesson for good, a pasted text while it is kept."""
    if ask.lesson_id:
        return "l" + handle_of(ask.lesson_id)
    return "t" + turn.services.desk.keep_text(ask.text)


def _ask_of(turn: Turn, source: str) -> Ask | None:
    desk = turn.services.desk
    if source.startswith("l"):
        lesson = desk.lesson(turn.engine.catalogue, source[1:])
        return Ask().of_lesson(lesson) if lesson else None
    text = desk.text(source[1:])
    return Ask(text=text) if text is not None else None


def _open_preview(turn: Turn, source: str, *, edits: bool) -> list[Reply]:
    ask = _ask_of(turn, source)
    if ask is None:
        return [Reply(notice=turn.words("pair.expired"))]
    page = preview_page(turn, ask)
    return [as_edit(page) if edits else page]


def item_menu(turn: Turn, ask: Ask, item: Item, notice: str = "") -> Reply:
    """One item of a preview: how it stands, and what the creator can fix or say about it."""
    words = turn.words
    found = preview(turn.engine, ask, turn.store.rules(), at=turn.at, shown=PREVIEWED)
    rich = Rich().line(f"{words.name(item)}  [{item.item_id}]", bold=True)
    row = next((row for row in found.rows if row.item.item_id == item.item_id), None)
    if row is not None:
        rich.line(_scores(turn, row))
        if row.hit.evidence:
            rich.quote(cut(row.hit.evidence, 2 * _LONGEST_QUOTE))
    rules = _rules_about(turn, item.item_id)
    for lesson_id, kind in sorted(rules):
        if lesson_id in (ask.lesson_id, EVERYWHERE):
            rich.line(words(f"pair.is_{kind}" if lesson_id else "pair.is_ban_everywhere"))
    lesson = turn.engine.catalogue.lessons_by_id.get(ask.lesson_id)
    grade = latest_grade(turn, ask.lesson_id, item.item_id) if lesson else None
    if grade is not None:
        rich.line(words("pair.your_grade", grade=grade_words(turn, grade.grade)))
    rich.line()
    rich.line(
        words("pair.menu_for", lesson=cut(lesson.title, _LONGEST_NAME))
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
    source = _source(turn, ask)
    target = f"{source}:{handle_of(item.item_id)}"
    rules = _rules_about(turn, item.item_id)

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


def grade_rows(
    turn: Turn, action: str, target: str, *, given: int | None = None
) -> list[tuple[Button, ...]]:
    """Two rows of two: on a phone four labels in one row cannot be read."""
    buttons = [
        turn.labelled(
            ("✓ " if grade == given else "") + grade_words(turn, grade),
            action,
            f"{target}:{grade}",
        )
        for grade in GRADES
    ]
    return [tuple(buttons[:2]), tuple(buttons[2:])]


def grade_words(turn: Turn, grade: int) -> str:
    """A grade as the studio says it: its number and a word."""
    return StudioWords(turn.words.language)(f"grade.{grade}")


def _rules_about(turn: Turn, item_id: ItemId) -> set[tuple[LessonId, RuleKind]]:
    return {(r.lesson_id, r.kind) for r in turn.store.rules() if r.item_id == item_id}


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
    ask = _ask_of(turn, source)
    if ask is None:
        return [Reply(notice=turn.words("pair.expired"))]
    item = turn.services.desk.item(turn.engine.catalogue, handle)
    if item is None:
        return [as_edit(preview_page(turn, ask), turn.words("rule.item_gone"))]
    notice = carry_out(ask, item, value)
    return [item_menu(turn, ask, item, notice[:200])]


def set_rule(
    turn: Turn, kind: RuleKind, lesson_id: LessonId, item_id: ItemId, *, is_on: bool
) -> None:
    """Pin or ban, or take it back; a pin ends a ban for the same lesson, and the other way round."""
    if is_on:
        turn.store.put_rule(
            CreatorRule(
                lesson_id=lesson_id, item_id=item_id, kind=kind, at=turn.at,
                creator=turn.sender.user_key,
            )
        )  # fmt: skip
        if lesson_id and turn.store.remove_rule(lesson_id, item_id, _OPPOSITE[kind]):
            _audit_rule(turn, _OPPOSITE[kind], lesson_id, item_id, is_on=False)
    else:
        turn.store.remove_rule(lesson_id, item_id, kind)
    _audit_rule(turn, kind, lesson_id, item_id, is_on=is_on)


def _audit_rule(
    turn: Turn, kind: RuleKind, lesson_id: LessonId, item_id: ItemId, *, is_on: bool
) -> None:
    turn.store.audit(
        at=turn.at,
        actor=turn.sender.user_key,
        action=f"{kind}.{'on' if is_on else 'off'}",
        detail=f"{lesson_id or '*'} {item_id}",
    )


def record_grade(turn: Turn, lesson_id: LessonId, item_id: ItemId, grade: int) -> None:
    """Store what this creator thinks; the same grade again, as by a double tap, is one grade."""
    before = latest_grade(turn, lesson_id, item_id)
    if before is not None and before.grade == grade:
        return
    turn.store.record_judgement(
        Judgement(
            judgement_id=f"{turn.incoming.incoming_id}:judge",
            at=turn.at,
            lesson_id=lesson_id,
            item_id=item_id,
            grade=grade,
            creator=turn.sender.user_key,
        )
    )
    turn.store.audit(
        at=turn.at,
        actor=turn.sender.user_key,
        action="judge",
        detail=f"{lesson_id} {item_id} {grade}",
    )


def latest_grade(turn: Turn, lesson_id: LessonId, item_id: ItemId) -> Judgement | None:
    """This creator's latest judgement of a pair."""
    key = turn.sender.user_key
    return next(
        (
            j
            for j in reversed(turn.store.judgements())
            if (j.lesson_id, j.item_id, j.creator) == (lesson_id, item_id, key)
        ),
        None,
    )


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
    is_on = (lesson_id, kind) not in _rules_about(turn, item_id)
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
