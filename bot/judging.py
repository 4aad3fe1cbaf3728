"""`/judge` without arguments: the pairs that teach most, one after another, with buttons.

A round is a list of pairs in memory; everything else follows from the store and from the pair that a
button names. So a press that comes twice, late, or after a restart does the same as one that comes once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.creators_desk import handle_of
from bot.messages import Button, Reply, Rich, cut
from bot.rendering import as_edit
from bot.turn import Turn
from bot.unsure_pairs import Pair, decided_by, questions
from bot.verdicts import GRADES, grade_rows, grade_words, latest_grade, record_grade
from data.events import UserKey
from index.passages import sentences

_LONGEST_TEXT = 300


def serve(turn: Turn) -> Reply:
    """`/judge`: begin a round and ask about its first pair."""
    return _next(turn, _begin(turn), -1)


def _begin(turn: Turn) -> tuple[Pair, ...]:
    """A new round of what nobody judged; what was skipped comes last."""
    desk, key = turn.services.desk, turn.sender.user_key
    unsure = desk.unsure(turn.engine, at=turn.at)
    judgements, rules = turn.store.judgements(), turn.store.rules()
    pairs = questions(unsure, judgements, rules, without=desk.skipped(key))
    if not pairs and desk.skipped(key):
        desk.forget_skips(key)
        pairs = questions(unsure, judgements, rules)
    desk.begin(key, pairs)
    return pairs


def _next(turn: Turn, pairs: tuple[Pair, ...], after: int) -> Reply:
    """Ask about the next open pair behind position `after`, or say that the round is over."""
    catalogue = turn.engine.catalogue
    judged = {Pair(j.lesson_id, j.item_id) for j in turn.store.judgements()}
    is_decided = decided_by(turn.store.rules())
    for position in range(after + 1, len(pairs)):
        pair = pairs[position]
        is_there = (
            pair.lesson_id in catalogue.lessons_by_id and pair.item_id in catalogue.items_by_id
        )
        if is_there and pair not in judged and not is_decided(pair):
            return _question(turn, pairs, position)
    return _over(turn, pairs)


def _question(turn: Turn, pairs: tuple[Pair, ...], position: int) -> Reply:
    words, pair = turn.words, pairs[position]
    lesson = turn.engine.catalogue.lessons_by_id[pair.lesson_id]
    item = turn.engine.catalogue.items_by_id[pair.item_id]
    opening = next((s for s in sentences(lesson.text) if s.strip() != lesson.title.strip()), "")
    rich = Rich().line(words("judge.progress", n=position + 1, of=len(pairs)), italic=True)
    rich.line(cut(lesson.title, _LONGEST_TEXT), bold=True)
    if opening:
        rich.quote(cut(opening, _LONGEST_TEXT))
    rich.line().line(cut(words.name(item), _LONGEST_TEXT), bold=True)
    description = item.description(words.language)
    if description:
        rich.line(cut(description, _LONGEST_TEXT))
    rich.line().line(words("judge.question"))
    target = _target(pair)
    steps: list[Button] = [turn.button("button.skip", "jskip", target)]
    last = _last_graded(turn, pairs, position)
    if last is not None:
        steps.append(turn.button("button.undo_grade", "jundo", _target(last)))
    steps.append(turn.button("button.stop", "jstop", target))
    return Reply(
        spans=rich.done(),
        buttons=(*grade_rows(turn, "jgrade", target), tuple(steps)),
    )


def _over(turn: Turn, pairs: tuple[Pair, ...]) -> Reply:
    """The end of a round, or of everything there is to ask."""
    words, key = turn.words, turn.sender.user_key
    unsure = turn.services.desk.unsure(turn.engine, at=turn.at)
    has_more = bool(questions(unsure, turn.store.judgements(), turn.store.rules(), n=1))
    rich = Rich()
    if pairs:
        rich.line(words("judge.over", n=_n_graded(turn, pairs), of=len(pairs)))
    rich.line(words("judge.more" if has_more else "judge.empty"))
    steps: list[Button] = []
    last = _last_graded(turn, pairs, len(pairs))
    if last is not None:
        steps.append(turn.button("button.undo_grade", "jundo", _target(last)))
    if has_more:
        steps.append(turn.button("button.judge_more", "jmore", handle_of(key)))
    return Reply(spans=rich.done(), buttons=(tuple(steps),) if steps else ())


def _target(pair: Pair) -> str:
    return f"{handle_of(pair.lesson_id)}:{handle_of(pair.item_id)}"


def _graded_by(turn: Turn, key: UserKey) -> set[Pair]:
    return {Pair(j.lesson_id, j.item_id) for j in turn.store.judgements() if j.creator == key}


def _n_graded(turn: Turn, pairs: tuple[Pair, ...]) -> int:
    return len(_graded_by(turn, turn.sender.user_key) & set(pairs))


def _last_graded(turn: Turn, pairs: tuple[Pair, ...], before: int) -> Pair | None:
    """The pair in front of a position that this creator graded last in the round."""
    own = _graded_by(turn, turn.sender.user_key)
    return next((pair for pair in reversed(pairs[:before]) if pair in own), None)


def _pressed_pair(turn: Turn, argument: str) -> tuple[Pair | None, str]:
    """The pair that a button names, None when it left the catalogue; and what stands behind it."""
    lesson_handle, _, rest = argument.partition(":")
    item_handle, _, value = rest.partition(":")
    desk, catalogue = turn.services.desk, turn.engine.catalogue
    lesson, item = desk.lesson(catalogue, lesson_handle), desk.item(catalogue, item_handle)
    pair = Pair(lesson.lesson_id, item.item_id) if lesson and item else None
    return pair, value


def _round_with(turn: Turn, pair: Pair | None) -> tuple[tuple[Pair, ...], int]:
    """The round under way and the position of a pair in it; a new round after a restart."""
    pairs = turn.services.desk.rounds.get(turn.sender.user_key)
    if pairs is None or (pair is not None and pair not in pairs):
        return _begin(turn), -1
    return pairs, pairs.index(pair) if pair is not None else -1


def _grade(turn: Turn, argument: str) -> list[Reply]:
    pair, value = _pressed_pair(turn, argument)
    if value not in {str(grade) for grade in GRADES}:
        return [Reply(notice=turn.words("press.unknown"))]
    if pair is None:
        pairs, position = _round_with(turn, None)
        return [as_edit(_next(turn, pairs, position), turn.words("judge.gone"))]
    record_grade(turn, pair.lesson_id, pair.item_id, int(value))
    pairs, position = _round_with(turn, pair)
    notice = turn.words("judge.noted", grade=grade_words(turn, int(value)))
    return [as_edit(_next(turn, pairs, position), notice)]


def _skip(turn: Turn, argument: str) -> list[Reply]:
    pair, _ = _pressed_pair(turn, argument)
    if pair is not None:
        turn.services.desk.skip(turn.sender.user_key, pair)
    pairs, position = _round_with(turn, pair)
    return [as_edit(_next(turn, pairs, position))]


def _undo(turn: Turn, argument: str) -> list[Reply]:
    """Take this creator's grade of the named pair back and ask about it again."""
    pair, _ = _pressed_pair(turn, argument)
    if pair is None:
        return [Reply(notice=turn.words("judge.gone"))]
    judgement = latest_grade(turn, pair.lesson_id, pair.item_id)
    if judgement is not None and turn.store.remove_judgement(judgement.judgement_id):
        turn.store.audit(
            at=turn.at,
            actor=turn.sender.user_key,
            action="judge.undo",
            detail=f"{pair.lesson_id} {pair.item_id} {judgement.grade}",
        )
    pairs = turn.services.desk.rounds.get(turn.sender.user_key) or ()
    if pair not in pairs:
        pairs = (pair, *(other for other in _begin(turn) if other != pair))
        turn.services.desk.begin(turn.sender.user_key, pairs)
    return [as_edit(_question(turn, pairs, pairs.index(pair)), turn.words("judge.undone"))]


def _stop(turn: Turn, argument: str) -> list[Reply]:
    pairs = turn.services.desk.rounds.get(turn.sender.user_key) or ()
    rich = Rich().line(turn.words("judge.stopped", n=_n_graded(turn, pairs)))
    more = turn.button("button.judge_more", "jmore", handle_of(turn.sender.user_key))
    return [Reply(spans=rich.done(), buttons=((more,),), is_edit=True)]


def _more(turn: Turn, argument: str) -> list[Reply]:
    return [as_edit(serve(turn))]


PRESSES: Mapping[str, Callable[[Turn, str], list[Reply]]] = {
    "jgrade": _grade,
    "jskip": _skip,
    "jundo": _undo,
    "jstop": _stop,
    "jmore": _more,
}
"""What the buttons under a question do, by the action they are signed for."""
