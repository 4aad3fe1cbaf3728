"""What course creators do in the chat: preview a pairing, pin, ban, judge."""

from __future__ import annotations

import numpy as np

from bot.messages import Reply, Rich, plain
from bot.turn import Turn
from data.catalogue import ItemId, LessonId
from data.events import CreatorRule, Judgement, RuleKind
from index.matches import Hit, Query
from recommender.candidates import Eligibility, eligibility
from recommender.constraints import Constraints
from recommender.profile import UserProfile

PREVIEWED = 8
MAX_CHARACTERS = 4_000


def refuse(turn: Turn) -> Reply:
    """A stranger gets a polite line that tells nothing about who may."""
    return Reply(spans=plain(turn.words("admin.refused")))


def pair(turn: Turn, text: str) -> Reply:
    """`/pair TEXT`: a ranked preview with every stage's score and what was filtered."""
    words = turn.words
    text = text.strip()
    if not text:
        return Reply(spans=plain(words("pair.usage")))
    lesson = turn.engine.catalogue.lessons_by_id.get(LessonId(text))
    query = Query.of(lesson) if lesson else Query(text=text)
    may = _everybody(turn)
    matches = turn.engine.matcher.match(query, eligible=may.mask, top_k=PREVIEWED)
    rich = Rich().line(
        words("pair.heading", title=(lesson.title if lesson else text)[:60]), bold=True
    )
    if matches.is_silent:
        rich.line(words("pair.silent", floor=f"{matches.floor:.2f}"))
    for rank, hit in enumerate(matches.hits, start=1):
        _preview_line(turn, rank, hit, rich, is_below=hit.score < matches.floor)
    rich.line()
    hidden = [words(f"hidden.{reason}", n=count) for reason, count in may.hidden.items() if count]
    rich.line(
        words("pair.hidden", parts=words.several(hidden)) if hidden else words("pair.none_hidden")
    )
    rich.line(words("pair.mode", mode=str(matches.mode), version=turn.engine.matcher.version))
    turn.store.audit(at=turn.at, actor=turn.sender.user_key, action="pair")
    return Reply(spans=rich.done())


def _everybody(turn: Turn) -> Eligibility:
    """Eligibility for a person who told us nothing."""
    return eligibility(
        turn.engine.table,
        UserProfile(user_key=turn.sender.user_key),
        Constraints(),
        at=turn.at,
        creator_rules=turn.store.rules(),
    )


def _preview_line(turn: Turn, rank: int, hit: Hit, rich: Rich, *, is_below: bool) -> None:
    item = turn.engine.catalogue.items[hit.row]
    rich.line(f"{rank}. {turn.words.name(item)}  [{item.item_id}]", bold=not is_below)
    rich.line(
        turn.words(
            "pair.scores",
            final=f"{hit.score:.3f}",
            dense=f"{hit.dense:.3f}",
            lexical=f"{hit.lexical:.3f}",
            knowledge=f"{hit.knowledge:.3f}",
        )
        + (f" · {turn.words('pair.below')}" if is_below else "")
    )
    if hit.evidence:
        rich.quote(hit.evidence)


def rule(turn: Turn, kind: RuleKind, argument: str) -> Reply:
    """`/pin LESSON ITEM`, `/ban LESSON ITEM` (`*` for all lessons); again to take it back."""
    words = turn.words
    parts = argument.split()
    if len(parts) != 2:
        return Reply(spans=plain(words(f"{kind}.usage")))
    lesson_id, item_id = LessonId("" if parts[0] == "*" else parts[0]), ItemId(parts[1])
    if lesson_id and lesson_id not in turn.engine.catalogue.lessons_by_id:
        return Reply(spans=plain(words("rule.no_lesson", lesson=parts[0][:60])))
    if item_id not in turn.engine.catalogue.items_by_id:
        return Reply(spans=plain(words("rule.no_item", item=parts[1][:60])))
    if kind is RuleKind.PIN and not lesson_id:
        return Reply(spans=plain(words("pin.usage")))
    turn.store.audit(
        at=turn.at, actor=turn.sender.user_key, action=str(kind), detail=f"{parts[0]} {item_id}"
    )
    if turn.store.remove_rule(lesson_id, item_id, kind):
        return Reply(spans=plain(words(f"{kind}.lifted", item=item_id)))
    turn.store.put_rule(
        CreatorRule(
            lesson_id=lesson_id, item_id=item_id, kind=kind, at=turn.at,
            creator=turn.sender.user_key,
        )
    )  # fmt: skip
    return Reply(spans=plain(words(f"{kind}.set", item=item_id)))


def judge(turn: Turn, argument: str) -> Reply:
    """`/judge LESSON ITEM GRADE`: 3 delightful, 2 good, 1 loose, 0 wrong, -1 harmful."""
    words = turn.words
    parts = argument.split()
    if len(parts) != 3 or parts[2] not in {"-1", "0", "1", "2", "3"}:
        return Reply(spans=plain(words("judge.usage")))
    lesson_id, item_id = LessonId(parts[0]), ItemId(parts[1])
    if lesson_id not in turn.engine.catalogue.lessons_by_id:
        return Reply(spans=plain(words("rule.no_lesson", lesson=parts[0][:60])))
    if item_id not in turn.engine.catalogue.items_by_id:
        return Reply(spans=plain(words("rule.no_item", item=parts[1][:60])))
    turn.store.record_judgement(
        Judgement(
            judgement_id=f"{turn.incoming.incoming_id}:judge",
            at=turn.at,
            lesson_id=lesson_id,
            item_id=item_id,
            grade=int(parts[2]),
            creator=turn.sender.user_key,
        )
    )
    return Reply(spans=plain(words("judge.done", grade=parts[2], item=item_id)))


def unknown_share(turn: Turn) -> float:
    """Share of items whose label says nothing of at least one of the 14 allergens."""
    states = turn.engine.table.states
    return float(np.mean((states == 0).any(axis=1))) if len(states) else 0.0
