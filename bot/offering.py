"""Offer slates, explain them, search, and say which wish emptied the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from bot.describing import describe_wishes, fact_words, has_wishes, taste_lines
from bot.messages import Button, Reply, Rich, plain
from bot.rendering import allowed, as_edit, hidden_line, render_slate
from bot.turn import Turn
from data.catalogue import Item, ItemId, LessonId
from data.errors import SafetyViolation
from data.events import MANNERS, ReplyKind, SlateRecord
from data.mentions import MentionScanner, normalised
from recommender.constraints import Constraints, HiddenReason
from recommender.policy import GreedyPolicy
from recommender.recommend import Recommender
from recommender.slate import Request, Slate

_NO_TIME = timedelta(0)
UNQUOTED = frozenset({"similar", "search"})
"""Triggers whose items were not chosen for the lesson; its sentences explain nothing there."""


def offer(
    turn: Turn,
    *,
    trigger: str,
    heading: str = "",
    without: Iterable[ItemId] = (),
    again: bool = False,
) -> list[Reply]:
    """Make a slate for where the dialogue stands, log it, and show it.

    Items not seen yet come first; when none is left that fits, or with `again`, those seen in the
    last days may come back, and the answer says so.
    """
    request = _request(turn, trigger=trigger, without=without)
    slate = None if again else _choose(turn, turn.engine.recommender, request)
    if again or (slate is not None and slate.is_empty):
        repeated = replace(request, without=frozenset(without))
        second = _choose(turn, _without_cooldown(turn), repeated)
        if second is not None and not second.is_empty:
            heading = heading or ("" if again else turn.words("slate.seen_again"))
            slate = second
        elif slate is None:
            slate = second
    if slate is None:
        return [Reply(spans=plain(turn.words("slate.withheld")), buttons=_lesson_buttons(turn))]
    turn.store.record_slate(slate.record)
    if slate.is_empty:
        return [explain_empty(turn, request, slate)]
    turn.dialog = turn.dialog.showing(slate.record.slate_id)
    return [render_slate(turn, slate.record, heading=heading)]


def _without_cooldown(turn: Turn) -> Recommender:
    """The same recommender for items that were shown lately; what was refused stays away."""
    recommender = turn.engine.recommender
    return replace(
        recommender,
        cooldowns=replace(
            recommender.cooldowns, after_impression=_NO_TIME, category_impressions_a_day=10**6
        ),
    )


def _choose(turn: Turn, recommender: Recommender, request: Request) -> Slate | None:
    """None when the last check of the ranker found what must not be shown; that is counted."""
    try:
        return recommender.recommend(
            turn.profile(),
            request,
            at=turn.at,
            seed=turn.services.new_seed(),
            slate_id=turn.services.new_slate_id(),
            creator_rules=turn.store.rules(),
        )
    except SafetyViolation:
        turn.store.count_safety_violation(
            at=turn.at, where="recommend", item_id=ItemId(request.lesson_id or "")
        )
        return None


def _request(turn: Turn, *, trigger: str, without: Iterable[ItemId] = ()) -> Request:
    dialog = turn.dialog
    return Request(
        lesson=turn.lesson,
        text="" if turn.lesson else dialog.topic,
        wishes=dialog.wishes,
        words=" ".join(dialog.words),
        like=dialog.like,
        without=frozenset({*without, *_shown_before(turn)}),
        language=turn.words.language,
        trigger=trigger,
        chat_kind=turn.sender.chat_kind,
        replaces=dialog.slate_id,
    )


def _shown_before(turn: Turn) -> set[ItemId]:
    shown: set[ItemId] = set()
    for slate_id in turn.dialog.slates:
        slate = turn.store.slate(slate_id)
        if slate is not None:
            shown |= {p.item_id for p in slate.placements}
    return shown


def start_lesson(turn: Turn, lesson_id: LessonId, *, wishes: Constraints | None = None,
                 words: tuple[str, ...] = (), trigger: str = "lesson") -> list[Reply]:  # fmt: skip
    """Open the conversation about a finished lesson."""
    earlier = turn.dialog
    turn.dialog = earlier.opened(lesson_id=lesson_id)
    if earlier.lesson_id is None and not earlier.topic:
        # Wishes said before any subject was open were meant for the one that comes.
        turn.dialog = replace(turn.dialog, wishes=earlier.wishes, words=earlier.words)
    lesson = turn.lesson
    if lesson is None:
        turn.dialog = earlier
        return [Reply(spans=plain(turn.words("lesson.unknown")), buttons=_lesson_buttons(turn))]
    if lesson.audience == "minors":
        return [
            Reply(
                spans=plain(turn.words("lesson.minors", lesson=lesson.title)),
                buttons=_lesson_buttons(turn),
            )
        ]
    if wishes is not None or words:
        turn.dialog = replace(turn.dialog.wishing(wishes or Constraints(), words), undo="")
    return offer(turn, trigger=trigger)


def _lesson_buttons(turn: Turn) -> tuple[tuple[Button, ...], ...]:
    return ((turn.button("button.lessons", "lessons", "0"),),)


def explain_empty(turn: Turn, request: Request, slate: Slate) -> Reply:
    """Nothing to show: say why, and offer the smallest step that is not about safety."""
    words = turn.words
    rich = Rich()
    buttons: list[tuple[Button, ...]] = []
    wishes = request.wishes
    blocked = _blocking(slate)
    if blocked & {HiddenReason.PRICE, HiddenReason.CATEGORY, HiddenReason.EXCLUDED}:
        rich.line(words("empty.wishes", wishes=describe_wishes(turn, wishes, turn.dialog.words)))
        buttons += [(button,) for button in relaxations(turn, request)]
    elif slate.is_silent and request.lesson is not None and not slate.record.candidates:
        rich.line(words("empty.silent", lesson=request.lesson.title))
    elif slate.is_silent:
        rich.line(words("empty.nothing_near"))
    else:
        rich.line(words("empty.all_hidden"))
    told = hidden_line(turn, slate.record.filters)
    if told:
        rich.line(told)
    if _misses_merchants(turn, slate):
        rich.line(words("empty.merchants", n=slate.hidden[HiddenReason.MERCHANT]))
        buttons.append((turn.button("button.me", "me", ""),))
    if has_wishes(turn):
        buttons.append((turn.button("button.clear_wishes", "clear", ""),))
    if slate.record.replaces is not None:
        buttons.append((turn.button("button.back", "show", slate.record.replaces),))
    buttons.append((turn.button("button.lessons", "lessons", "0"),))
    return Reply(spans=rich.done(), buttons=tuple(buttons))


def _misses_merchants(turn: Turn, slate: Slate) -> bool:
    """Whether items stay away because the person hid their merchants; not told in a group."""
    return HiddenReason.MERCHANT in slate.hidden and not turn.is_group


def _blocking(slate: Slate) -> set[HiddenReason]:
    return {HiddenReason(reason) for reason in slate.record.filters}


def relaxations(turn: Turn, request: Request) -> list[Button]:
    """Buttons that lift one wish each, cheapest step first; never a safety rule.

    The new price limit is the lowest price at which something fits.
    """
    words = turn.words
    buttons: list[Button] = []
    free = _without_price(request.wishes)
    if free != request.wishes:
        found = _candidates(turn, replace(request, wishes=free))
        prices = sorted(item.price for item in found if item.price is not None)
        limit = _next_limit(prices, request.wishes)
        if limit is not None:
            currency = next(item.currency for item in found if item.price is not None)
            label = words("button.relax_price", price=words.amount(limit, currency))
            buttons.append(turn.labelled(label, "relax", f"price:{limit}"))
    if request.wishes.include and _candidates(
        turn, replace(request, wishes=replace(request.wishes, include=frozenset()))
    ):
        names = words.several(words.category(c) for c in sorted(request.wishes.include))
        buttons.append(
            turn.labelled(words("button.relax_include", what=names), "relax", "include")
        )
    for word in sorted(request.wishes.exclude)[:2]:
        less = replace(request.wishes, exclude=request.wishes.exclude - {word})
        if _candidates(turn, replace(request, wishes=less)):
            label = words("button.relax_exclude", what=words.category(word))
            if len(word.encode()) <= 24:
                buttons.append(turn.labelled(label, "relax", f"exclude:{word}"))
    return buttons[:3]


def _next_limit(prices: list[Decimal], wishes: Constraints) -> Decimal | None:
    limits = [p for p in (wishes.price_max, wishes.price_below) if p is not None]
    if not limits:
        return prices[0] if prices else None
    return next((price for price in prices if price >= min(limits)), None)


def _without_price(wishes: Constraints) -> Constraints:
    return replace(wishes, price_max=None, price_min=None, price_below=None, price_above=None)


def _candidates(turn: Turn, request: Request) -> list[Item]:
    slate = _choose(turn, _without_cooldown(turn), replace(request, without=frozenset()))
    if slate is None:
        return []
    by_id = turn.engine.catalogue.items_by_id
    return [by_id[item_id] for item_id in slate.record.candidates]


def explain(turn: Turn, slate: SlateRecord, number: int | None = None) -> Reply:
    """Why these items: the lesson's sentence, the person's own words, and how we choose."""
    words = turn.words
    profile = turn.profile()
    rich = Rich().line(words("why.heading"), bold=True)
    for entry in allowed(turn, slate):
        if number is not None and entry.number != number:
            continue
        rich.line()
        rich.line(f"{entry.number}. {words.name(entry.item)}", bold=True)
        if entry.placement.evidence and slate.trigger not in UNQUOTED:
            rich.line(words("why.evidence"))
            rich.quote(words("item.evidence", sentence=entry.placement.evidence))
        else:
            rich.line(words("why.no_evidence"))
        for line in taste_lines(turn, profile, entry.item):
            rich.line(line)
        if entry.placement.explored:
            rich.line(words("why.explored"))
        if entry.item.sponsored:
            rich.line(words("why.sponsored"))
    told = [fact_words(turn, f.kind, f.value) for f in turn.facts() if f.kind not in MANNERS]
    rich.line()
    if told and turn.is_group:
        # An allergy is nobody's business but the person's own.
        rich.line(words("why.facts_private"))
    elif told:
        rich.line(words("why.facts", facts=words.several(told)))
    if has_wishes(turn):
        told_wishes = describe_wishes(turn, turn.dialog.wishes, turn.dialog.words)
        rich.line(words("why.wishes", wishes=told_wishes))
    rich.line(words("why.how"))
    back = (turn.button("button.back", "show", slate.slate_id),)
    return Reply(
        spans=rich.done(),
        buttons=(back,),
        item_ids=tuple(entry.item.item_id for entry in allowed(turn, slate)),
    )


def follow(turn: Turn, slate: SlateRecord) -> None:
    """What is said about a search result is about what was searched for, not about the lesson."""
    if slate.trigger == "search" and slate.query:
        turn.dialog = replace(turn.dialog, topic=slate.query, lesson_id=None)


def others(turn: Turn, slate: SlateRecord) -> list[Reply]:
    """Three more, none of them seen in this conversation."""
    follow(turn, slate)
    turn.log(ReplyKind.SKIP, slate_id=slate.slate_id)
    trigger = "similar" if turn.dialog.like else "more"
    return [as_edit(reply) for reply in offer(turn, trigger=trigger)]


def search(turn: Turn, product: str) -> list[Reply]:
    """What is on sale under that name, or the nearest things; and say which it is."""
    recommender = replace(
        turn.engine.recommender,
        policy=GreedyPolicy(),
        cooldowns=replace(
            turn.engine.recommender.cooldowns,
            after_impression=_NO_TIME,
            after_dislike=_NO_TIME,
            after_purchase=_NO_TIME,
            category_impressions_a_day=10**6,
        ),
    )
    request = Request(
        text=product, language=turn.words.language, trigger="search",
        chat_kind=turn.sender.chat_kind, replaces=turn.dialog.slate_id,
    )  # fmt: skip
    slate = _choose(turn, recommender, request)
    if slate is None:
        return [Reply(spans=plain(turn.words("slate.withheld")), buttons=_lesson_buttons(turn))]
    turn.store.record_slate(slate.record)
    if slate.is_empty:
        rich = Rich().line(turn.words("search.none", product=product))
        told = hidden_line(turn, slate.record.filters)
        if told:
            rich.line(told)
        buttons = _lesson_buttons(turn)
        if _misses_merchants(turn, slate):
            rich.line(turn.words("empty.merchants", n=slate.hidden[HiddenReason.MERCHANT]))
            buttons = ((turn.button("button.me", "me", ""),), *buttons)
        return [Reply(spans=rich.done(), buttons=buttons)]
    turn.dialog = turn.dialog.showing(slate.record.slate_id)
    key = "search.exact" if any(is_named(item, product) for item in slate.items) else "search.near"
    return [render_slate(turn, slate.record, heading=turn.words(key, product=product))]


def is_named(item: Item, product: str) -> bool:
    """Whether the item goes by that name."""
    names = f"{item.name_zh}\n{item.name_en}"
    return normalised(product).strip() in normalised(names) or bool(
        MentionScanner([product]).find(names)
    )
