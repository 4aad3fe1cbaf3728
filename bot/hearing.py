"""What free text leads to: emergencies first, then safety, then what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from bot import lessons, personal, pressing, reacting, telling
from bot.messages import Reply, TextMessage, plain
from bot.offering import explain, follow, offer, others, search
from bot.rendering import render_slate
from bot.turn import Turn
from bot.understanding.meaning import Intent, Interpreter, Meaning
from data.events import ReplyKind
from data.mentions import normalised

MAX_TEXT = 2_000
"""Longer messages are read up to here, and the person is told."""

_ENDS = " .!?。！？~～"
_SURE = 0.6
_SURE_OF_A_TASTE = 0.55
_LONGEST_WISH = 60

_CLAUSE = re.compile(r"[，,。；;.!！?？\n]+|\b(?:and|but)\b|但是?|而且")

_STEERING: dict[str, tuple[str, ...]] = {
    "undo": ("undo", "take that back", "take it back", "撤销", "撤回", "取消上一步"),
    "back": ("back", "go back", "previous", "返回", "上一批", "上一页", "回去", "刚才那批"),
    "clear": ("start over", "start again", "reset", "重新开始", "从头来", "重来", "清空要求"),
    "others": ("others", "show me others", "something else", "next", "换一批", "换一组", "别的", "换"),
    "show": (
        "how do i buy it", "how can i buy it", "where can i buy it", "how to buy", "buy", "show them again",
        "怎么买", "在哪买", "哪里买", "怎么下单", "购买", "下单", "再看一遍",
    ),
}  # fmt: skip
"""Whole messages that steer the conversation; no guess is needed for them."""
_STEERS = {word: action for action, words in _STEERING.items() for word in words}

_ALSO_ANSWERED = frozenset(
    {
        Intent.FINISHED_LESSON,
        Intent.RECOMMEND,
        Intent.CRITIQUE,
        Intent.SEARCH_PRODUCT,
        Intent.WHY,
        Intent.LIKE,
        Intent.DISLIKE,
    }
)
"""Intents that get their answer in the same turn in which an allergy was said by the way."""


def understood(interpreter: Interpreter, message: TextMessage) -> Meaning | None:
    """Give what free text means; None where it steers or is empty, which needs no guess."""
    text = message.text.strip()
    if not text or normalised(text).strip(_ENDS) in _STEERS:
        return None
    return interpreter.understand(text[:MAX_TEXT])


def hear(turn: Turn, message: TextMessage) -> list[Reply]:
    """Answer free text; whatever it says, there is an answer."""
    text = message.text.strip()
    if not text:
        return [Reply(spans=plain(turn.words("text.empty")), buttons=lessons.way_on(turn))]
    action = _STEERS.get(normalised(text).strip(_ENDS))
    if action is not None:
        return _steer(turn, action)
    meaning = turn.meaning or turn.services.understanding.understand(text[:MAX_TEXT])
    if meaning.is_emergency:
        return [Reply(spans=plain(turn.words("emergency")))]
    replies = _meant(turn, meaning, text[:MAX_TEXT])
    if len(text) > MAX_TEXT:
        return [Reply(spans=plain(turn.words("text.too_long", n=MAX_TEXT))), *replies]
    return replies


def _steer(turn: Turn, action: str) -> list[Reply]:
    match action:
        case "undo":
            return telling.undo(turn)
        case "back":
            return pressing.step_back(turn)
        case "clear":
            return pressing.start_over(turn)
        case "show":
            slate = turn.current_slate()
            # Every item of a slate has its button for buying.
            return [render_slate(turn, slate)] if slate is not None else [lessons.welcome(turn)]
        case _:
            slate = turn.current_slate()
            if slate is None:
                return [lessons.welcome(turn)]
            return [replace(reply, is_edit=False) for reply in others(turn, slate)]


def _meant(turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
    if meaning.intent is Intent.UNSET_CONSTRAINT:
        return telling.unset_constraint(turn, meaning.slots, text=text)
    is_set = meaning.intent is Intent.SET_CONSTRAINT
    if meaning.maybe_allergy or (is_set and meaning.slots.get("allergens")):
        return _allergy(turn, meaning, text)
    if is_set:
        return telling.set_constraint(turn, meaning.slots, text=text)
    return _intended(turn, meaning, text)


def _allergy(turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
    """Store what may be an allergy before anything is shown, then answer the rest."""
    told: dict[str, object] = {
        name: value
        for name, value in meaning.slots.items()
        if meaning.intent is Intent.SET_CONSTRAINT or name in ("allergens", "diet")
    }
    if meaning.allergy_words and not told.get("allergens"):
        told["product"] = list(meaning.allergy_words)
    is_sure = meaning.intent is Intent.SET_CONSTRAINT and meaning.confidence > 0.5
    rest = _beside_the_allergy(turn, meaning, text)
    replies = telling.set_constraint(
        turn, told, text=text, is_allergy=True, is_sure=is_sure, shows=rest is None
    )
    if rest is None:
        return replies
    if not told:
        return [*replies, *_intended(turn, rest, text)]
    undo = turn.dialog.undo
    replies += _intended(turn, rest, text)
    # The allergy is the step that the Undo button under its confirmation means.
    turn.move(undo=undo)
    return replies


def _beside_the_allergy(turn: Turn, meaning: Meaning, text: str) -> Meaning | None:
    """What else the message wants: its own intent, or that of another part of the sentence."""
    parts = [meaning]
    if meaning.intent not in _ALSO_ANSWERED:
        clauses = [part for part in _CLAUSE.split(text) if part.strip()]
        parts = turn.services.understanding.understand_all(clauses) if len(clauses) > 1 else []
    for part in parts:
        is_sure = part is meaning or (part.confidence >= _SURE and not part.maybe_allergy)
        if part.intent in _ALSO_ANSWERED and is_sure:
            slots = {k: v for k, v in part.slots.items() if k not in ("allergens", "exclude")}
            return replace(part, slots=slots, maybe_allergy=False)
    return None


def _intended(turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
    slots = meaning.slots
    corrected = reacting.corrected(turn, meaning, text)
    if corrected is not None:
        return corrected
    is_guess = not slots and meaning.confidence < _SURE_OF_A_TASTE
    match meaning.intent:
        case Intent.LIKE | Intent.DISLIKE if is_guess:
            # A guess must not be kept as what somebody thinks of three items.
            return _page(turn, Intent.OUT_OF_SCOPE)
        case Intent.FINISHED_LESSON:
            wishes, words = telling.wishes_from(turn, slots)
            title = str(slots.get("lesson", ""))
            return lessons.finished(turn, title, text=text, wishes=wishes, words=words)
        case Intent.RECOMMEND | Intent.CRITIQUE:
            return _wish(turn, meaning, text)
        case Intent.SEARCH_PRODUCT:
            turn.log(ReplyKind.TEXT, value="search", text=text)
            return search(turn, str(slots.get("product", text))[:80])
        case Intent.WHY:
            return why(turn, slots.get("item_ref"))
        case Intent.LIKE:
            return reacting.liked(turn, meaning, text)
        case Intent.DISLIKE:
            return reacting.disliked(turn, meaning, text)
        case Intent.SHOW_PROFILE | Intent.DELETE_DATA | Intent.EXPORT_DATA if turn.is_group:
            return [Reply(spans=plain(turn.words("group.private_only")))]
        case _:
            return _page(turn, meaning.intent)


def _page(turn: Turn, intent: Intent) -> list[Reply]:
    pages: dict[Intent, Callable[[], list[Reply]]] = {
        Intent.SHOW_PROFILE: lambda: [personal.show_profile(turn)],
        Intent.DELETE_DATA: lambda: [personal.ask_forget(turn)],
        Intent.EXPORT_DATA: lambda: [personal.export(turn)],
        Intent.PAUSE: lambda: personal.pause(turn),
        Intent.RESUME: lambda: personal.resume(turn),
        Intent.HELP: lambda: [lessons.help_page(turn)],
        Intent.GREET: lambda: [lessons.welcome(turn)],
        Intent.THANKS: lambda: [
            Reply(spans=plain(turn.words("thanks")), buttons=lessons.way_on(turn))
        ],
    }
    page = pages.get(intent)
    if page is not None:
        return page()
    return [Reply(spans=plain(turn.words("out_of_scope")), buttons=lessons.way_on(turn))]


def _wish(turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
    wishes, words = telling.wishes_from(turn, meaning.slots)
    turn.log(ReplyKind.CRITIQUE, value=str(meaning.intent), text=text)
    slate = turn.current_slate()
    if slate is not None and meaning.intent is Intent.CRITIQUE:
        follow(turn, slate)
    is_open = turn.dialog.lesson_id is not None or bool(turn.dialog.topic)
    is_critique = meaning.intent is Intent.CRITIQUE and bool(turn.dialog.slates)
    if not meaning.slots and is_open:
        if is_critique and meaning.confidence >= _SURE:
            return offer(turn, trigger="similar" if turn.dialog.like else "more")
        words = (text[:_LONGEST_WISH],)
    if not is_open:
        says_what = not meaning.slots or bool(words or wishes.include or wishes.diets)
        if not says_what:
            turn.dialog = turn.dialog.wishing(wishes, words)
            return [Reply(spans=plain(turn.words("wish.of_what")), buttons=lessons.way_on(turn))]
        turn.dialog = turn.dialog.about(text[:200])
    turn.dialog = turn.dialog.wishing(wishes, words)
    return offer(turn, trigger="critique" if is_critique else "ask")


def why(turn: Turn, number: object) -> list[Reply]:
    """Explain the current slate, or one item of it."""
    slate = turn.current_slate()
    if slate is None or not slate.placements:
        return [Reply(spans=plain(turn.words("why.nothing")), buttons=lessons.way_on(turn))]
    turn.log(ReplyKind.WHY)
    return [explain(turn, slate, number if isinstance(number, int) else None)]
