"""What people tell us about themselves: taken over at once, confirmed in a line, undone in a tap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from bot.describing import fact_words
from bot.messages import Button, Reply, Rich, plain
from bot.offering import offer
from bot.personal import show_profile
from bot.rendering import render_slate
from bot.turn import Turn
from data.events import MANNERS, FactKind, ProfileFact, ReplyKind
from data.vocabulary import Allergen, Diet, expand_category
from recommender.constraints import Constraints

SAFETY_FACTS = (FactKind.ALLERGEN, FactKind.AVOID, FactKind.DIET)


def strings(value: object) -> list[str]:
    """A slot's values as a list of texts, whatever form they came in."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Sequence):
        return [str(entry) for entry in value]
    return []


def money(turn: Turn, slots: Mapping[str, object], name: str) -> Decimal | None:
    """A price slot in CNY; the rate for another currency is the deployment's."""
    value = slots.get(name)
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    rates = dict(turn.services.cny_per_unit)
    return amount * Decimal(rates.get(str(slots.get("currency", "CNY")), "1"))


def set_constraint(
    turn: Turn,
    slots: Mapping[str, object],
    *,
    text: str,
    is_allergy: bool = False,
    is_sure: bool = True,
    shows: bool = True,
) -> list[Reply]:
    """Store what must hold, confirm it with an undo button, and show what fits from now on.

    With `shows` false nothing is shown: the caller answers another wish of the same message.
    """
    facts: list[ProfileFact] = [
        turn.remember(kind, value, text)
        for kind, value in _facts_in(turn, slots, is_allergy=is_allergy)
    ]
    if not facts:
        return [Reply(spans=plain(turn.words("told.unclear")), buttons=_help_row(turn))]
    turn.log(ReplyKind.CRITIQUE, value="set_constraint", text=text)
    turn.move(undo="facts:" + ",".join(fact.fact_id for fact in facts))
    replies = [confirm(turn, facts, is_sure=is_sure)]
    if shows and turn.dialog.slates:
        replies += offer(turn, trigger="ask", again=True)
        turn.move(undo="facts:" + ",".join(fact.fact_id for fact in facts))
    return replies


def _facts_in(
    turn: Turn, slots: Mapping[str, object], *, is_allergy: bool
) -> list[tuple[FactKind, str]]:
    found = [
        (FactKind.ALLERGEN if value in set(Allergen) else FactKind.AVOID, value)
        for value in strings(slots.get("allergens"))
    ]
    found += [(FactKind.DIET, v) for v in strings(slots.get("diet")) if v in set(Diet)]
    found += [(FactKind.EXCLUDE, v) for v in strings(slots.get("exclude"))]
    named = FactKind.AVOID if is_allergy else FactKind.EXCLUDE
    found += [(named, v) for v in strings(slots.get("product"))]
    limit = money(turn, slots, "price_max")
    if limit is not None:
        found.append((FactKind.PRICE_MAX, str(limit)))
    found += [(FactKind.PREFER, v) for v in strings(slots.get("include"))]
    return found


def confirm(turn: Turn, facts: Sequence[ProfileFact], *, is_sure: bool = True) -> Reply:
    """One line that says what we understood, for how long, and how to take it back."""
    words = turn.words
    told = words.several(fact_words(turn, fact.kind, fact.value) for fact in facts)
    rich = Rich().line(words("told.noted" if is_sure else "told.unsure", facts=told))
    buttons: list[Button] = [turn.button("button.undo", "undo", "")]
    if any(fact.kind in SAFETY_FACTS for fact in facts):
        rich.line(words("told.label_note"))
    if any(fact.expires_at is not None for fact in facts):
        rich.line(words("told.session_only"))
        buttons.append(turn.button("button.remember", "consent", "remember_diet:1"))
    return Reply(spans=rich.done(), buttons=(tuple(buttons),), is_private=True)


def _help_row(turn: Turn) -> tuple[tuple[Button, ...], ...]:
    return ((turn.button("button.help", "help", ""), turn.button("button.me", "me", "")),)


def unset_constraint(turn: Turn, slots: Mapping[str, object], *, text: str) -> list[Reply]:
    """Lift what was named; ask once more before an allergy or a diet goes."""
    wanted = {
        *strings(slots.get("allergens")), *strings(slots.get("diet")),
        *strings(slots.get("exclude")), *strings(slots.get("product")),
        *strings(slots.get("include")),
    }  # fmt: skip
    facts = [f for f in turn.facts() if f.kind not in MANNERS]
    named = [f for f in facts if f.value in wanted]
    if slots.get("price_max") is not None:
        named += [f for f in facts if f.kind is FactKind.PRICE_MAX]
    turn.log(ReplyKind.CRITIQUE, value="unset_constraint", text=text)
    if not named:
        turn.dialog = turn.dialog.without_wishes()
        # The profile page is also the list to choose from.
        return [show_profile(turn)]
    guarded = [f for f in named if f.kind in SAFETY_FACTS]
    for fact in named:
        if fact not in guarded:
            turn.store.delete_fact(turn.sender.user_key, fact.fact_id)
    replies: list[Reply] = []
    lifted = [f for f in named if f not in guarded]
    if lifted:
        told = turn.words.several(fact_words(turn, f.kind, f.value) for f in lifted)
        replies.append(Reply(spans=plain(turn.words("told.lifted", facts=told)), is_private=True))
    replies += [ask_before_lifting(turn, fact) for fact in guarded]
    return replies


def ask_before_lifting(turn: Turn, fact: ProfileFact) -> Reply:
    told = fact_words(turn, fact.kind, fact.value)
    return Reply(
        spans=plain(turn.words("told.lift_ask", fact=told)),
        buttons=(
            (
                turn.button("button.keep", "keep", ""),
                turn.button("button.lift", "unfact", fact.fact_id),
            ),
        ),
        is_private=True,
    )


def undo(turn: Turn) -> list[Reply]:
    """Take back the last thing that was taken over."""
    what, _, rest = turn.dialog.undo.partition(":")
    match what:
        case "facts":
            for fact_id in rest.split(","):
                turn.store.delete_fact(turn.sender.user_key, fact_id)
        case "reply":
            turn.log(ReplyKind.UNDO, value=rest)
        case "wishes":
            turn.dialog = turn.dialog.undone()
            if rest:
                turn.log(ReplyKind.UNDO, value=rest)
        case _:
            return [Reply(spans=plain(turn.words("undo.nothing")), buttons=_help_row(turn))]
    turn.move(undo="", before="")
    slate = turn.current_slate()
    if slate is None:
        return [Reply(spans=plain(turn.words("undo.done")), buttons=_help_row(turn))]
    return [Reply(spans=plain(turn.words("undo.done"))), render_slate(turn, slate)]


def wishes_from(turn: Turn, slots: Mapping[str, object]) -> tuple[Constraints, tuple[str, ...]]:
    """One-off wishes of a message: what must hold now, and soft words that move the query."""
    slate = turn.current_slate()
    prices = [
        item.price
        for p in (slate.placements if slate else ())
        if (item := turn.item(p.item_id)) is not None and item.price is not None
    ]
    reference = _reference_price(turn, slots, prices)
    direction = slots.get("price")
    diets = frozenset(Diet(d) for d in strings(slots.get("diet")) if d in set(Diet))
    allergens = strings(slots.get("allergens"))
    include = strings(slots.get("include"))
    # A word that no item of this catalogue is filed under cannot be demanded, only looked for.
    known = [word for word in include if expand_category(word) & turn.engine.table.filed_under]
    constraints = Constraints(
        allergens=frozenset(Allergen(a) for a in allergens if a in set(Allergen)),
        avoid=frozenset(a for a in allergens if a not in set(Allergen)),
        diets=diets,
        exclude=frozenset(strings(slots.get("exclude"))),
        include=frozenset(known),
        price_max=money(turn, slots, "price_max"),
        price_min=money(turn, slots, "price_min"),
        price_below=reference if direction == "cheaper" else None,
        price_above=reference if direction == "pricier" else None,
    )
    soft = [
        turn.words(f"soft.{value}")
        for name in ("taste", "meal", "occasion", "season")
        for value in strings(slots.get(name))
    ]
    unknown = [
        turn.words.category(word).replace("_", " ") for word in include if word not in known
    ]
    return constraints, (*soft, *unknown, *strings(slots.get("product")))


def _reference_price(
    turn: Turn, slots: Mapping[str, object], prices: list[Decimal]
) -> Decimal | None:
    """What "cheaper" compares with: the item pointed at, else the middle one of those shown."""
    slate = turn.current_slate()
    number = slots.get("item_ref")
    if slate is not None and isinstance(number, int) and 1 <= number <= len(slate.placements):
        item = turn.item(slate.placements[number - 1].item_id)
        if item is not None and item.price is not None:
            return item.price
    return sorted(prices)[len(prices) // 2] if prices else None
