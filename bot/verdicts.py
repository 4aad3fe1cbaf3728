"""What a creator decided about an item and a lesson: pinned, banned, graded."""

from __future__ import annotations

from bot.messages import Button
from bot.studio.words import StudioWords
from bot.turn import Turn
from data.catalogue import ItemId, LessonId
from data.events import CreatorRule, Judgement, RuleKind

GRADES = (3, 2, 1, 0)
EVERYWHERE = LessonId("")
_OPPOSITE = {RuleKind.PIN: RuleKind.BAN, RuleKind.BAN: RuleKind.PIN}


def rules_about(turn: Turn, item_id: ItemId) -> set[tuple[LessonId, RuleKind]]:
    """What holds for an item; the lesson is `EVERYWHERE` for a ban in all of them."""
    return {(r.lesson_id, r.kind) for r in turn.store.rules() if r.item_id == item_id}


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
