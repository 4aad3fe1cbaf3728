"""Likes, dislikes and purchases of items: logged, answered, taken back or corrected."""

from __future__ import annotations

from bot import lessons, telling
from bot.messages import Reply, plain
from bot.offering import is_named, offer
from bot.rendering import Shown, allowed, as_edit, render_item, render_slate
from bot.turn import Turn
from bot.understanding.meaning import Meaning
from data.catalogue import ItemId
from data.events import FactKind, ReplyKind, SlateRecord
from recommender.constraints import Constraints

_MORE_LIKE = (
    "more like",
    "similar",
    "类似",
    "像第",
    "像这",
    "同款",
    "再来点",
    "多来点",
    "差不多的",
)
_NEVER = ("never", "别再", "再也", "不要再", "永远", "don't show", "dont show")
_CORRECTING = ("不是", "说错", "i meant", "i mean ", "not the ", "not number", "not no.", "sorry,")


def pressed(turn: Turn, slate: SlateRecord, entry: Shown, action: str) -> list[Reply]:
    """Answer a button under one item."""
    match action:
        case "like":
            log_item(turn, ReplyKind.LIKE, entry)
            return [_edited_slate(turn, slate, "press.liked", entry)]
        case "dislike":
            log_item(turn, ReplyKind.DISLIKE, entry)
            return [_edited_slate(turn, slate, "press.disliked", entry)]
        case "buy":
            turn.log(ReplyKind.CLICK, slate_id=slate.slate_id, item_id=entry.item.item_id)
            return [as_edit(render_item(turn, slate, entry))]
        case "bought":
            log_item(turn, ReplyKind.PURCHASE, entry)
            return [_edited_slate(turn, slate, "press.bought", entry)]
        case "hide" if entry.item.merchant:
            return _hide_merchant(turn, slate, entry.item.merchant)
        case _:
            return [Reply(notice=turn.words("press.unknown"))]


def _edited_slate(turn: Turn, slate: SlateRecord, key: str, entry: Shown) -> Reply:
    notice = turn.words(key, item=turn.words.name(entry.item))
    return as_edit(render_slate(turn, slate), notice)


def _hide_merchant(turn: Turn, slate: SlateRecord, merchant: str) -> list[Reply]:
    """Nothing of this merchant any more, in old slates either, until it is taken back."""
    fact = turn.remember(FactKind.MERCHANT, merchant, turn.words("button.hide_merchant"))
    notice = turn.words("press.merchant_hidden", merchant=merchant)
    if allowed(turn, slate):
        replies = [as_edit(render_slate(turn, slate), notice)]
    else:
        replies = [as_edit(reply, notice) for reply in offer(turn, trigger="critique")]
    turn.move(undo=f"facts:{fact.fact_id}")
    # A group is not told who hid what; the notice reaches only the one who pressed.
    return replies if turn.is_group else [*replies, telling.confirm(turn, [fact])]


def log_item(turn: Turn, kind: ReplyKind, entry: Shown, *, text: str = "") -> None:
    """Append what somebody thinks of an item; "undo" takes exactly this back."""
    slate = turn.current_slate()
    reply_id = turn.log(
        kind,
        slate_id=slate.slate_id if slate else None,
        item_id=entry.item.item_id,
        text=text,
    )
    turn.move(undo=f"reply:{reply_id}")


def liked(turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
    """Answer "I like the second", "more like 2", "I love fruit", "great"."""
    entry = pointed(turn, meaning)
    include = telling.strings(meaning.slots.get("include"))
    if any(cue in text.lower() for cue in _MORE_LIKE):
        return _more_like(turn, meaning, entry, text)
    slate = turn.current_slate()
    if entry is not None and slate is not None:
        log_item(turn, ReplyKind.LIKE, entry, text=text)
        return [_answer_like(turn, slate, entry)]
    if "item_ref" in meaning.slots:
        return [_no_such_item(turn, slate)]
    if include:
        for category in include:
            turn.remember(FactKind.PREFER, category, text)
        told = turn.words.several(turn.words.category(c) for c in include)
        return [Reply(spans=plain(turn.words("like.category", what=told)))]
    if slate is None:
        return [Reply(spans=plain(turn.words("thanks")), buttons=lessons.way_on(turn))]
    for shown in allowed(turn, slate):
        log_item(turn, ReplyKind.LIKE, shown, text=text)
    return [Reply(spans=plain(turn.words("like.slate")))]


def disliked(turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
    """Answer "not the first", "never show me 2 again", "no coriander", "none of these"."""
    kind = ReplyKind.NEVER if any(c in text.lower() for c in _NEVER) else ReplyKind.DISLIKE
    heading = turn.words("dislike.instead")
    entry = pointed(turn, meaning)
    if entry is not None:
        log_item(turn, kind, entry, text=text)
        return offer(turn, trigger="critique", heading=heading)
    if "item_ref" in meaning.slots:
        return [_no_such_item(turn, turn.current_slate())]
    exclude = frozenset(
        (
            *telling.strings(meaning.slots.get("exclude")),
            *telling.strings(meaning.slots.get("product")),
        )
    )
    if exclude:
        turn.log(ReplyKind.CRITIQUE, value="dislike", text=text)
        turn.dialog = turn.dialog.wishing(Constraints(exclude=exclude))
        return offer(turn, trigger="critique", heading=heading)
    slate = turn.current_slate()
    if slate is None:
        return [Reply(spans=plain(turn.words("ref.nothing")), buttons=lessons.way_on(turn))]
    for shown in allowed(turn, slate):
        log_item(turn, kind, shown, text=text)
    return offer(turn, trigger="critique", heading=heading)


def corrected(turn: Turn, meaning: Meaning, text: str) -> list[Reply] | None:
    """Move the last answer to another item: "not the second, the third"; None when it is no such.

    The other item gets the same answer, whatever intent the words alone would suggest.
    """
    what, _, reply_id = turn.dialog.undo.partition(":")
    if what != "reply" or not any(cue in text.lower() for cue in _CORRECTING):
        return None
    entry, slate = pointed(turn, meaning), turn.current_slate()
    replies = turn.store.replies(user_key=turn.sender.user_key)
    earlier = next((reply for reply in replies if reply.reply_id == reply_id), None)
    if entry is None or slate is None or earlier is None:
        return None
    if earlier.item_id == entry.item.item_id:
        return None
    turn.log(ReplyKind.UNDO, value=reply_id)
    log_item(turn, earlier.kind, entry, text=text)
    if earlier.kind is ReplyKind.LIKE:
        return [_answer_like(turn, slate, entry)]
    return offer(turn, trigger="critique", heading=turn.words("dislike.instead"))


def pointed(turn: Turn, meaning: Meaning) -> Shown | None:
    """The item of the current slate that the words point at."""
    slate = turn.current_slate()
    if slate is None:
        return None
    shown = allowed(turn, slate)
    number = meaning.slots.get("item_ref")
    if isinstance(number, int):
        return next((entry for entry in shown if entry.number == number), None)
    named = telling.strings(meaning.slots.get("product"))
    return next((e for e in shown for name in named if is_named(e.item, name)), None)


def _no_such_item(turn: Turn, slate: SlateRecord | None) -> Reply:
    """Somebody counts further than we do; guessing would log a like that nobody gave."""
    shown = allowed(turn, slate) if slate is not None else []
    if not shown:
        return Reply(spans=plain(turn.words("ref.nothing")), buttons=lessons.way_on(turn))
    numbers = turn.words.several(str(entry.number) for entry in shown)
    text = turn.words("ref.no_such", numbers=numbers)
    return Reply(spans=plain(text), buttons=lessons.way_on(turn))


def _answer_like(turn: Turn, slate: SlateRecord, entry: Shown) -> Reply:
    place = f"{slate.slate_id}:{entry.placement.position}"
    return Reply(
        spans=plain(turn.words("like.item", item=turn.words.name(entry.item))),
        buttons=(
            (
                turn.labelled(turn.words("button.buy", number=entry.number), "buy", place),
                turn.button("button.undo", "undo", ""),
            ),
        ),
    )


def _more_like(turn: Turn, meaning: Meaning, entry: Shown | None, text: str) -> list[Reply]:
    slate = turn.current_slate()
    if slate is None:
        return [Reply(spans=plain(turn.words("like.more_of_what")), buttons=lessons.way_on(turn))]
    if entry is None and "item_ref" in meaning.slots:
        return [_no_such_item(turn, slate)]
    before = turn.dialog
    likes: tuple[ItemId, ...] = tuple(p.item_id for p in slate.placements)
    heading = ""
    if entry is None:
        turn.dialog = before.liking(likes)
    else:
        log_item(turn, ReplyKind.LIKE, entry, text=text)
        taken_back = turn.dialog.undo.partition(":")[2]
        turn.dialog = before.liking((entry.item.item_id,))
        turn.move(undo=f"wishes:{taken_back}")
        heading = turn.words("like.more", item=turn.words.name(entry.item))
    return offer(turn, trigger="similar", heading=heading)
