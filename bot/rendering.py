"""Turn slates and items into messages. Reads records, so that an old slate renders like a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.describing import describe_wishes, has_wishes
from bot.messages import (
    CAPTION_UNITS,
    Button,
    Picture,
    Reply,
    Rich,
    Span,
    as_rows,
    cut,
    units,
)
from bot.picturing import card_of, item_picture, wants_pictures
from bot.turn import Turn
from data.catalogue import Item, ItemId, LessonId
from data.events import Placement, ReplyKind, SlateRecord
from recommender.constraints import Constraints, HiddenReason
from recommender.profile import standing
from recommender.safety import safety_reason

_HIDDEN_TOLD = (
    HiddenReason.ALLERGEN,
    HiddenReason.ALLERGEN_TRACES,
    HiddenReason.ALLERGEN_UNKNOWN,
    HiddenReason.AVOIDED,
    HiddenReason.DIET,
    HiddenReason.DIET_UNKNOWN,
)


_QUOTING = frozenset({"lesson", "deep_link", "ask", "more"})
"""Triggers whose items answer the lesson alone, so that its sentence says why they are here."""

_REASON_UNITS = (CAPTION_UNITS, 160, 110, 70, 40)
"""How long the sentence of an item may be under a picture: the first at which everything fits."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A placement with its item, as it may be shown to this person now."""

    placement: Placement
    item: Item

    @property
    def number(self) -> int:
        """What people call it: 1, 2, 3."""
        return self.placement.position + 1


def allowed(turn: Turn, slate: SlateRecord) -> list[Shown]:
    """The slate's items that may be shown now; rules said since then count too."""
    constraints = turn.profile().constraints.merged(turn.dialog.wishes)
    strict = Constraints(
        allergens=constraints.allergens,
        avoid=constraints.avoid,
        diets=constraints.diets,
        merchants=constraints.merchants,
    )
    shown: list[Shown] = []
    for placement in slate.placements:
        item = turn.item(placement.item_id)
        if item is not None and safety_reason(item, strict, at=turn.at) is None:
            shown.append(Shown(placement, item))
    return shown


def render_slate(turn: Turn, slate: SlateRecord, *, heading: str = "") -> Reply:
    """The slate as one message with its buttons, and with a picture of its items where it fits."""
    shown = allowed(turn, slate)
    return Reply(
        spans=_slate_words(turn, slate, shown, heading=heading),
        buttons=slate_buttons(turn, slate, shown),
        picture=slate_picture(turn, slate, shown, heading=heading),
        slate_id=slate.slate_id,
        item_ids=tuple(entry.item.item_id for entry in shown),
    )


def slate_picture(
    turn: Turn, slate: SlateRecord, shown: list[Shown], *, heading: str = ""
) -> Picture | None:
    """The slate's cards with the words under them; None when they are not wanted or too long."""
    if not shown or not wants_pictures(turn):
        return None
    for most in _REASON_UNITS:
        caption = _slate_words(turn, slate, shown, heading=heading, most=most)
        if units("".join(span.text for span in caption)) <= CAPTION_UNITS:
            break
    else:
        return None
    names = turn.words.several(turn.words.name(entry.item) for entry in shown)
    cards = tuple(
        card_of(
            entry.item,
            turn.words.language,
            number=entry.number,
            reason=cut(_reason(turn, slate, entry), most),
        )
        for entry in shown
    )
    return Picture(cards=cards, caption=caption, alternative=names)


def _slate_words(
    turn: Turn,
    slate: SlateRecord,
    shown: list[Shown],
    *,
    heading: str,
    most: int = CAPTION_UNITS,
) -> tuple[Span, ...]:
    words = turn.words
    rich = Rich().line(heading or _heading(turn, slate), bold=True)
    wishes_hold = has_wishes(turn) and slate.trigger != "search"
    if wishes_hold and (told := _wishes_line(turn)):
        rich.line(told, italic=True)
    rich.line()
    for entry in shown:
        _item_lines(turn, slate, entry, rich, most=most)
    if len(shown) < len(slate.placements):
        rich.line(words("slate.some_hidden", n=len(slate.placements) - len(shown)), italic=True)
    told = hidden_line(turn, slate.filters)
    if told:
        rich.line(told, italic=True)
    rich.line(words("slate.ask"))
    return rich.done()


def quotes_lesson(slate: SlateRecord) -> bool:
    """Whether the lesson's sentences stand beside the items, rather than their descriptions."""
    return slate.lesson_id is not None and slate.trigger in _QUOTING


def _wishes_line(turn: Turn) -> str:
    dialog = turn.dialog
    if dialog.wishes == Constraints() and not dialog.words:
        return ""
    return turn.words("slate.wishes", wishes=describe_wishes(turn, dialog.wishes, dialog.words))


def _heading(turn: Turn, slate: SlateRecord) -> str:
    if slate.trigger == "similar" and turn.dialog.like:
        names = [turn.words.name(i) for like in turn.dialog.like if (i := turn.item(like))]
        if names:
            return turn.words("like.more", item=turn.words.several(names))
    lesson = turn.engine.catalogue.lessons_by_id.get(slate.lesson_id or LessonId(""))
    if lesson is not None:
        return turn.words("slate.intro", lesson=lesson.title)
    if slate.query:
        return turn.words("slate.topic", topic=slate.query[:60])
    return turn.words("slate.plain")


def _item_lines(turn: Turn, slate: SlateRecord, entry: Shown, rich: Rich, *, most: int) -> None:
    words, item = turn.words, entry.item
    rich.add(f"{entry.number}. {words.name(item)}", bold=True)
    rich.line(f" · {words.price(item)}" + (f" · {words('item.ad')}" if item.sponsored else ""))
    rich.line(words.allergen_line(item))
    reason = cut(_reason(turn, slate, entry), most)
    if reason and _is_quoted(slate, entry):
        rich.quote(words("item.evidence", sentence=reason))
    elif reason:
        rich.line(reason)
    rich.line()


def _reason(turn: Turn, slate: SlateRecord, entry: Shown) -> str:
    """The lesson's sentence where it explains the item, else the item's description."""
    if _is_quoted(slate, entry):
        return entry.placement.evidence
    return entry.item.description(turn.words.language)


def _is_quoted(slate: SlateRecord, entry: Shown) -> bool:
    return quotes_lesson(slate) and bool(entry.placement.evidence)


def hidden_line(turn: Turn, filters: Mapping[str, int]) -> str:
    """How many items a declared allergy or diet hid, and why; empty when none.

    A group is not told why: the counts would give an allergy away.
    """
    parts = [
        turn.words(f"hidden.{reason}", n=filters[str(reason)])
        for reason in _HIDDEN_TOLD
        if filters.get(str(reason))
    ]
    if parts and turn.is_group:
        return turn.words("hidden.in_group")
    return turn.words("hidden.line", parts=turn.words.several(parts)) if parts else ""


def slate_buttons(
    turn: Turn, slate: SlateRecord, shown: list[Shown]
) -> tuple[tuple[Button, ...], ...]:
    answers = _answers(turn, slate)
    rows = [_item_buttons(turn, slate, entry, answers.get(entry.item.item_id)) for entry in shown]
    last = [
        turn.button("button.why", "why", slate.slate_id),
        turn.button("button.others", "others", slate.slate_id),
    ]
    if slate.replaces is not None:
        last.append(turn.button("button.back", "show", slate.replaces))
    if has_wishes(turn) and slate.trigger != "search":
        last.append(turn.button("button.clear_wishes", "clear", ""))
    return (*rows, *as_rows(last, 3))


def _item_buttons(
    turn: Turn, slate: SlateRecord, entry: Shown, answer: ReplyKind | None
) -> tuple[Button, ...]:
    place = f"{slate.slate_id}:{entry.placement.position}"
    n = entry.number
    like = "button.liked" if answer in (ReplyKind.LIKE, ReplyKind.SAVE) else "button.like"
    dislike = "button.disliked" if answer is ReplyKind.DISLIKE else "button.dislike"
    return (
        turn.labelled(turn.words(like, number=n), "like", place),
        turn.labelled(turn.words(dislike, number=n), "dislike", place),
        turn.labelled(turn.words("button.buy", number=n), "buy", place),
    )


def _answers(turn: Turn, slate: SlateRecord) -> Mapping[ItemId, ReplyKind]:
    """The last standing like or dislike per item of this slate."""
    found: dict[ItemId, ReplyKind] = {}
    for reply in standing(turn.store.replies(user_key=turn.sender.user_key)):
        if (
            reply.slate_id == slate.slate_id
            and reply.item_id is not None
            and reply.kind in (ReplyKind.LIKE, ReplyKind.DISLIKE, ReplyKind.SAVE)
        ):
            found[reply.item_id] = reply.kind
    return found


def render_item(turn: Turn, slate: SlateRecord, entry: Shown) -> Reply:
    """One item in full, with the way to buy it."""
    words, item = turn.words, entry.item
    rich = Rich().add(words.name(item), bold=True)
    rich.line(f" · {words.price(item)}" + (f" · {words('item.ad')}" if item.sponsored else ""))
    rich.line(words.allergen_line(item))
    rich.line()
    if item.description(words.language):
        rich.line(item.description(words.language))
    if item.origin:
        rich.line(words("item.origin", origin=item.origin))
    if item.merchant:
        rich.line(words("item.merchant", merchant=item.merchant))
    if _is_quoted(slate, entry):
        rich.quote(words("item.evidence", sentence=entry.placement.evidence))
    place = f"{slate.slate_id}:{entry.placement.position}"
    buttons: list[tuple[Button, ...]] = []
    if item.buy_url:
        buttons.append((Button(label=words("button.shop"), url=item.buy_url),))
    else:
        rich.line(words("item.no_shop"))
    buttons.append((turn.button("button.bought", "bought", place),))
    if item.merchant:
        buttons.append((turn.button("button.hide_merchant", "hide", place),))
    buttons.append((turn.button("button.back", "show", slate.slate_id),))
    return Reply(
        spans=rich.done(),
        buttons=tuple(buttons),
        picture=item_picture(turn, item),
        item_ids=(item.item_id,),
    )


def as_edit(reply: Reply, notice: str = "") -> Reply:
    """The same message in the place of the one whose button was pressed."""
    return replace(reply, is_edit=True, notice=notice)
