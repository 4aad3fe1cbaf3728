"""The preview of a pairing in the chat: every stage's score, and what was left out and why."""

from __future__ import annotations

from bot.creators_desk import handle_of
from bot.messages import Button, Reply, Rich, cut
from bot.studio.previewing import Ask, Preview, Row, attached_lesson, preview
from bot.turn import Turn
from data.catalogue import Catalogue, Item, LessonId
from data.vocabulary import AllergenState

PREVIEWED = 8
LONGEST_NAME = 60
LONGEST_QUOTE = 160
_BANNED_SHOWN = 5


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
    title = cut(" ".join((ask.title or ask.text[:200]).split()), LONGEST_NAME)
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
    name = cut(words.name(row.item), LONGEST_NAME)
    rich.line(f"{row.rank}. {name}  [{row.item.item_id}]", bold=not row.is_below or row.is_pinned)
    rich.line(scores(turn, row))
    if row.hit.evidence:
        rich.quote(cut(row.hit.evidence, LONGEST_QUOTE))


def scores(turn: Turn, row: Row) -> str:
    """One line of what each stage thought of an item, and where it stands for that."""
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
    words, source = turn.words, source_of(turn, ask)
    labels = [
        (row.item, f"{row.rank}. {words.name(row.item)}"
         + (f" · {words('pair.pinned')}" if row.is_pinned else ""))
        for row in found.rows
    ] + [
        (item, words("pair.banned_item", item=words.name(item)))
        for item in found.banned[:_BANNED_SHOWN]
    ]  # fmt: skip
    return tuple(
        (turn.labelled(cut(label, LONGEST_NAME), "pitem", f"{source}:{handle_of(item.item_id)}"),)
        for item, label in labels
    )


def source_of(turn: Turn, ask: Ask) -> str:
    """What buttons call the previewed text: a lesson for good, a pasted text while it is kept."""
    if ask.lesson_id:
        return "l" + handle_of(ask.lesson_id)
    return "t" + turn.services.desk.keep_text(ask.text)


def ask_named(turn: Turn, source: str) -> Ask | None:
    """The previewed text that buttons call so; None when it is no longer kept."""
    desk = turn.services.desk
    if source.startswith("l"):
        lesson = desk.lesson(turn.engine.catalogue, source[1:])
        return Ask().of_lesson(lesson) if lesson else None
    text = desk.text(source[1:])
    return Ask(text=text) if text is not None else None
