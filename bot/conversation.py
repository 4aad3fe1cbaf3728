"""The conversation core: what came in -> what goes out. Knows no transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from bot import admin, creators, lessons, personal, telling
from bot.dialog import from_row, to_row
from bot.messages import (
    ButtonPress,
    Command,
    FileMessage,
    Incoming,
    Reply,
    Rich,
    TextMessage,
    plain,
)
from bot.offering import explain, offer, others, search, start_lesson
from bot.rendering import Shown, allowed, as_edit, render_item, render_slate
from bot.turn import Services, Turn
from bot.understanding.meaning import Intent, Meaning
from bot.wording import Words, language_for
from data.catalogue import ItemId, LessonId
from data.events import (
    FactKind,
    ProfileFact,
    ReplyKind,
    RuleKind,
    SlateId,
    SlateRecord,
    UserKey,
)
from data.links import lesson_for
from data.vocabulary import Language
from recommender.guard import Refusal, refusals

MAX_TEXT = 2_000
"""Longer messages are read up to here, and the person is told."""

_PERSONAL_COMMANDS = frozenset({"me", "mydata", "forget", "settings"})
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


class Conversation:
    """Handles one exchange at a time per person; different people may be handled in parallel."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def handle(self, incoming: Incoming) -> list[Reply]:
        """Answer, and store what follows from it, all or nothing."""
        with self.services.store.transaction():
            turn = self._open(incoming)
            replies = self._dispatch(turn)
            if turn.is_group:
                replies = [_for_group(turn, reply) for reply in replies]
            self.services.store.put_dialog(
                to_row(turn.dialog, incoming.sender.user_key, at=incoming.at)
            )
        return replies

    def delivered(self, reply: Reply, *, at: datetime, message_id: str = "") -> None:
        """The send succeeded: only now the slate's placements are impressions."""
        if reply.slate_id is not None:
            self.services.store.record_delivery(reply.slate_id, at=at, message_id=message_id)

    def may_send(
        self, user_key: UserKey, item_ids: Iterable[ItemId], *, at: datetime
    ) -> list[Refusal]:
        """The last look: items that must not reach this person, whatever chose them.

        What was said in the conversation counts like what is stored.
        """
        wishes = from_row(self.services.store.dialog(user_key, at=at)).wishes
        facts = self.services.store.facts(user_key, at=at)
        said = (
            [(FactKind.ALLERGEN, str(a)) for a in wishes.allergens]
            + [(FactKind.DIET, str(d)) for d in wishes.diets]
            + [(FactKind.AVOID, word) for word in wishes.avoid]
        )
        facts += [
            ProfileFact(fact_id="", user_key=user_key, at=at, kind=kind, value=value, source="")
            for kind, value in said
        ]
        return refusals(item_ids, self.services.engine().catalogue.items_by_id, facts, at=at)

    def checked(self, reply: Reply, incoming: Incoming) -> Reply:
        """The reply if it may be sent, else a sentence in its place; the case is counted."""
        if not reply.item_ids:
            return reply
        refused = self.may_send(incoming.sender.user_key, reply.item_ids, at=incoming.at)
        if not refused:
            return reply
        for refusal in refused:
            self.services.store.count_safety_violation(
                at=incoming.at, where="send", item_id=refusal.item_id
            )
        return Reply(spans=plain(Words(self.language_of(incoming))("slate.withheld")))

    def language_of(self, incoming: Incoming) -> Language:
        """The language the person chose, else the client's, else the deployment's."""
        for fact in reversed(self.services.store.facts(incoming.sender.user_key, at=incoming.at)):
            if fact.kind is FactKind.LANGUAGE and fact.value in set(Language):
                return Language(fact.value)
        return language_for(incoming.sender.language_code, self.services.default_language)

    def _open(self, incoming: Incoming) -> Turn:
        row = self.services.store.dialog(incoming.sender.user_key, at=incoming.at)
        return Turn(
            services=self.services,
            incoming=incoming,
            words=Words(self.language_of(incoming)),
            dialog=from_row(row),
        )

    def _dispatch(self, turn: Turn) -> list[Reply]:
        match turn.incoming:
            case Command() as command:
                return self._command(turn, command)
            case ButtonPress() as press:
                return self._press(turn, press)
            case TextMessage() as message:
                return self._text(turn, message)
            case FileMessage():
                return [Reply(spans=plain(turn.words("file.not_read")))]
            case _:
                return [Reply(spans=plain(turn.words("press.unknown")))]

    # commands

    def _command(self, turn: Turn, command: Command) -> list[Reply]:
        name, argument = command.name.lower(), command.argument.strip()
        if turn.is_group and name in _PERSONAL_COMMANDS:
            return [Reply(spans=plain(turn.words("group.private_only")))]
        match name:
            case "start":
                return lessons.start(turn, argument)
            case "lessons":
                return [lessons.browse(turn, argument)]
            case "help":
                return [lessons.help_page(turn)]
            case "me":
                return [personal.show_profile(turn)]
            case "settings":
                return [personal.settings(turn)]
            case "mydata":
                return [personal.export(turn)]
            case "forget":
                return [personal.ask_forget(turn)]
            case "privacy":
                return [personal.privacy(turn)]
            case "language":
                if argument:
                    return personal.speak(turn, argument.lower()[:2])
                return [personal.choose_language(turn)]
            case "why":
                return self._why(turn, None)
            case "undo":
                return telling.undo(turn)
            case "stop":
                return personal.give_consent(turn, "send_tips:0")
            case "stats":
                return [admin.stats(turn, argument) if turn.is_admin else creators.refuse(turn)]
            case "pair" | "pin" | "ban" | "judge":
                if not turn.is_creator:
                    return [creators.refuse(turn)]
                return [_creator_command(turn, name, argument or command.quoted)]
            case _:
                return [Reply(spans=plain(turn.words("command.unknown", name=name[:32])))]

    # buttons

    def _press(self, turn: Turn, press: ButtonPress) -> list[Reply]:
        read = self.services.signer.read(turn.sender.user_key, press.payload)
        if read is None:
            return [Reply(notice=turn.words("press.unknown"))]
        pages: dict[str, Callable[[], list[Reply]]] = {
            "help": lambda: [lessons.help_page(turn)],
            "me": lambda: [personal.show_profile(turn)],
            "settings": lambda: [as_edit(personal.settings(turn))],
            "privacy": lambda: [personal.privacy(turn)],
            "export": lambda: [personal.export(turn)],
            "language": lambda: [as_edit(personal.choose_language(turn))],
            "speak": lambda: personal.speak(turn, read.argument),
            "consent": lambda: personal.give_consent(turn, read.argument),
            "forget": lambda: [as_edit(personal.ask_forget(turn))],
            "erase": lambda: [as_edit(personal.erase(turn))],
            "keep": lambda: [as_edit(Reply(spans=plain(turn.words("kept"))))],
            "undo": lambda: telling.undo(turn),
            "clear": lambda: _clear_wishes(turn),
            "relax": lambda: _relax(turn, read.argument),
            "unfact": lambda: _delete_fact(turn, read.argument),
            "lessons": lambda: [as_edit(lessons.browse(turn, read.argument))],
            "lesson": lambda: _open_lesson(turn, read.argument),
        }
        if read.action in pages:
            return pages[read.action]()
        return self._press_on_slate(turn, read.action, read.argument)

    def _press_on_slate(self, turn: Turn, action: str, argument: str) -> list[Reply]:
        slate_id, _, position = argument.partition(":")
        slate = self.services.store.slate(SlateId(slate_id))
        if slate is None or slate.user_key != turn.sender.user_key:
            return [Reply(notice=turn.words("press.gone"))]
        _make_current(turn, slate)
        match action:
            case "why":
                return [as_edit(explain(turn, slate))]
            case "others":
                return others(turn, slate)
            case "show":
                return [as_edit(render_slate(turn, slate))]
        entry = next(
            (e for e in allowed(turn, slate) if str(e.placement.position) == position), None
        )
        if entry is None:
            return [Reply(notice=turn.words("press.hidden_now"))]
        return _answer_item(turn, slate, entry, action)

    # free text

    def _text(self, turn: Turn, message: TextMessage) -> list[Reply]:
        text = message.text.strip()
        if not text:
            return [Reply(spans=plain(turn.words("text.empty")))]
        too_long = len(text) > MAX_TEXT
        meaning = self.services.understanding.understand(text[:MAX_TEXT])
        if meaning.is_emergency:
            return [Reply(spans=plain(turn.words("emergency")))]
        replies = self._meant(turn, meaning, text[:MAX_TEXT])
        if too_long:
            notice = Reply(spans=plain(turn.words("text.too_long", n=MAX_TEXT)))
            return [notice, *replies]
        return replies

    def _meant(self, turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
        slots = meaning.slots
        is_allergy = bool(slots.get("allergens")) or meaning.maybe_allergy
        if meaning.maybe_allergy and meaning.intent is not Intent.UNSET_CONSTRAINT:
            told = dict(slots)
            if meaning.allergy_words and not told.get("allergens"):
                told["product"] = list(meaning.allergy_words)
            sure = meaning.intent is Intent.SET_CONSTRAINT and meaning.confidence > 0.5
            return telling.set_constraint(turn, told, text=text, is_allergy=True, is_sure=sure)
        match meaning.intent:
            case Intent.FINISHED_LESSON:
                wishes, words = telling.wishes_from(turn, slots)
                title = str(slots.get("lesson", ""))
                return lessons.finished(turn, title, text=text, wishes=wishes, words=words)
            case Intent.RECOMMEND | Intent.CRITIQUE:
                return self._wish(turn, meaning, text)
            case Intent.SEARCH_PRODUCT:
                turn.log(ReplyKind.TEXT, value="search", text=text)
                return search(turn, str(slots.get("product", text))[:80])
            case Intent.WHY:
                return self._why(turn, slots.get("item_ref"))
            case Intent.LIKE:
                return self._like(turn, meaning, text)
            case Intent.DISLIKE:
                return self._dislike(turn, meaning, text)
            case Intent.SET_CONSTRAINT:
                return telling.set_constraint(turn, slots, text=text, is_allergy=is_allergy)
            case Intent.UNSET_CONSTRAINT:
                return telling.unset_constraint(turn, slots, text=text)
            case Intent.SHOW_PROFILE | Intent.DELETE_DATA | Intent.EXPORT_DATA if turn.is_group:
                return [Reply(spans=plain(turn.words("group.private_only")))]
            case Intent.SHOW_PROFILE:
                return [personal.show_profile(turn)]
            case Intent.DELETE_DATA:
                return [personal.ask_forget(turn)]
            case Intent.EXPORT_DATA:
                return [personal.export(turn)]
            case Intent.PAUSE:
                return personal.pause(turn)
            case Intent.RESUME:
                return personal.resume(turn)
            case Intent.HELP:
                return [lessons.help_page(turn)]
            case Intent.GREET:
                return [lessons.welcome(turn)]
            case Intent.THANKS:
                return [Reply(spans=plain(turn.words("thanks")))]
            case _:
                return self._out_of_scope(turn)

    def _wish(self, turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
        wishes, words = telling.wishes_from(turn, meaning.slots)
        turn.log(ReplyKind.CRITIQUE, value=str(meaning.intent), text=text)
        if turn.dialog.lesson_id is None and not turn.dialog.topic:
            turn.dialog = turn.dialog.opened(topic=" ".join(words) or text[:200])
        turn.dialog = turn.dialog.wishing(wishes, words)
        return offer(turn, trigger="critique" if meaning.intent is Intent.CRITIQUE else "ask")

    def _why(self, turn: Turn, number: object) -> list[Reply]:
        slate = turn.current_slate()
        if slate is None or not slate.placements:
            return [Reply(spans=plain(turn.words("why.nothing")))]
        turn.log(ReplyKind.WHY)
        return [explain(turn, slate, number if isinstance(number, int) else None)]

    def _like(self, turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
        entry = _pointed(turn, meaning)
        include = telling.strings(meaning.slots.get("include"))
        if any(cue in text.lower() for cue in _MORE_LIKE):
            return _more_like(turn, entry, text)
        if entry is not None:
            slate = turn.current_slate()
            if slate is not None:
                _log_item(turn, ReplyKind.LIKE, entry, text=text)
                return [_liked(turn, slate, entry)]
        if include:
            for category in include:
                turn.remember(FactKind.PREFER, category, text)
            told = turn.words.several(turn.words.category(c) for c in include)
            return [Reply(spans=plain(turn.words("like.category", what=told)))]
        slate = turn.current_slate()
        if slate is None:
            return [Reply(spans=plain(turn.words("thanks")))]
        for shown in allowed(turn, slate):
            _log_item(turn, ReplyKind.LIKE, shown, text=text)
        return [Reply(spans=plain(turn.words("like.slate")))]

    def _dislike(self, turn: Turn, meaning: Meaning, text: str) -> list[Reply]:
        entry = _pointed(turn, meaning)
        is_never = any(cue in text.lower() for cue in _NEVER)
        exclude = (
            *telling.strings(meaning.slots.get("exclude")),
            *telling.strings(meaning.slots.get("product")),
        )
        if entry is not None:
            _log_item(turn, ReplyKind.NEVER if is_never else ReplyKind.DISLIKE, entry, text=text)
            return offer(turn, trigger="critique", heading=turn.words("dislike.instead"))
        if exclude:
            from recommender.constraints import Constraints

            turn.dialog = turn.dialog.wishing(Constraints(exclude=frozenset(exclude)))
            turn.log(ReplyKind.CRITIQUE, value="dislike", text=text)
            return offer(turn, trigger="critique", heading=turn.words("dislike.instead"))
        slate = turn.current_slate()
        if slate is None:
            return [lessons.welcome(turn)]
        for shown in allowed(turn, slate):
            _log_item(turn, ReplyKind.NEVER if is_never else ReplyKind.DISLIKE, shown, text=text)
        return offer(turn, trigger="critique", heading=turn.words("dislike.instead"))

    def _out_of_scope(self, turn: Turn) -> list[Reply]:
        buttons = ((turn.button("button.lessons", "lessons", "0"),),)
        slate = turn.current_slate()
        if slate is not None:
            buttons = (
                (
                    turn.button("button.back_to_slate", "show", slate.slate_id),
                    turn.button("button.lessons", "lessons", "0"),
                ),
            )  # type: ignore[assignment]
        return [Reply(spans=plain(turn.words("out_of_scope")), buttons=buttons)]


def _for_group(turn: Turn, reply: Reply) -> Reply:
    if reply.is_private:
        return Reply(spans=plain(turn.words("group.private_only")))
    return reply


def _creator_command(turn: Turn, name: str, argument: str) -> Reply:
    match name:
        case "pair":
            return creators.pair(turn, argument)
        case "judge":
            return creators.judge(turn, argument)
        case _:
            return creators.rule(turn, RuleKind(name), argument)


def _make_current(turn: Turn, slate: SlateRecord) -> None:
    """A press on an older slate brings it back as the one we talk about."""
    if slate.slate_id != turn.dialog.slate_id:
        others_ = tuple(s for s in turn.dialog.slates if s != slate.slate_id)
        turn.move(
            slates=(*others_, slate.slate_id),
            lesson_id=slate.lesson_id or turn.dialog.lesson_id,
        )


def _answer_item(turn: Turn, slate: SlateRecord, entry: Shown, action: str) -> list[Reply]:
    match action:
        case "like":
            _log_item(turn, ReplyKind.LIKE, entry)
            return [_edited_slate(turn, slate, "press.liked", entry)]
        case "dislike":
            _log_item(turn, ReplyKind.DISLIKE, entry)
            return [_edited_slate(turn, slate, "press.disliked", entry)]
        case "buy":
            _log_item(turn, ReplyKind.CLICK, entry)
            return [as_edit(render_item(turn, slate, entry))]
        case "bought":
            _log_item(turn, ReplyKind.PURCHASE, entry)
            return [_edited_slate(turn, slate, "press.bought", entry)]
        case _:
            return [Reply(notice=turn.words("press.unknown"))]


def _edited_slate(turn: Turn, slate: SlateRecord, key: str, entry: Shown) -> Reply:
    notice = turn.words(key, item=turn.words.name(entry.item))
    return as_edit(render_slate(turn, slate), notice)


def _log_item(turn: Turn, kind: ReplyKind, entry: Shown, *, text: str = "") -> None:
    slate = turn.current_slate()
    reply_id = turn.log(
        kind,
        slate_id=slate.slate_id if slate else None,
        item_id=entry.item.item_id,
        text=text,
    )
    turn.move(undo=f"reply:{reply_id}")


def _liked(turn: Turn, slate: SlateRecord, entry: Shown) -> Reply:
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


def _pointed(turn: Turn, meaning: Meaning) -> Shown | None:
    """The item of the current slate that the words point at."""
    slate = turn.current_slate()
    if slate is None:
        return None
    shown = allowed(turn, slate)
    number = meaning.slots.get("item_ref")
    if isinstance(number, int):
        return next((entry for entry in shown if entry.number == number), None)
    named = telling.strings(meaning.slots.get("product"))
    from bot.offering import is_named

    return next((e for e in shown for name in named if is_named(e.item, name)), None)


def _more_like(turn: Turn, entry: Shown | None, text: str) -> list[Reply]:
    slate = turn.current_slate()
    likes: tuple[ItemId, ...] = (entry.item.item_id,) if entry else ()
    if entry is not None:
        _log_item(turn, ReplyKind.LIKE, entry, text=text)
    elif slate is not None:
        likes = tuple(p.item_id for p in slate.placements)
    turn.move(like=likes)
    heading = turn.words("like.more", item=turn.words.name(entry.item)) if entry else ""
    return offer(turn, trigger="critique", heading=heading)


def _clear_wishes(turn: Turn) -> list[Reply]:
    turn.dialog = replace(turn.dialog.without_wishes(), slates=())
    if turn.lesson is None and not turn.dialog.topic:
        return [as_edit(lessons.browse(turn, "0"))]
    return [as_edit(reply) for reply in offer(turn, trigger="ask")]


def _relax(turn: Turn, argument: str) -> list[Reply]:
    """Lift one wish of the conversation; profile rules and safety stay as they are."""
    from decimal import Decimal, InvalidOperation

    what, _, value = argument.partition(":")
    wishes = turn.dialog.wishes
    if what == "price":
        try:
            limit = Decimal(value)
        except InvalidOperation:
            return [Reply(notice=turn.words("press.unknown"))]
        wishes = replace(
            wishes, price_max=limit, price_min=None, price_below=None, price_above=None
        )
    elif what == "include":
        wishes = replace(wishes, include=frozenset())
    elif what == "exclude":
        wishes = replace(wishes, exclude=wishes.exclude - {value})
    turn.move(wishes=wishes)
    return [as_edit(reply) for reply in offer(turn, trigger="critique")]


def _delete_fact(turn: Turn, fact_id: str) -> list[Reply]:
    is_gone = turn.store.delete_fact(turn.sender.user_key, fact_id)
    notice = turn.words("me.deleted" if is_gone else "press.gone")
    return [as_edit(personal.show_profile(turn), notice)]


def _open_lesson(turn: Turn, payload: str) -> list[Reply]:
    lesson_id = lesson_for(payload, turn.engine.catalogue.lessons)
    if lesson_id is None:
        return [Reply(notice=turn.words("lesson.unknown"))]
    return start_lesson(turn, LessonId(lesson_id))


__all__ = ["Conversation", "Rich"]
