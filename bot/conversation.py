"""The conversation core: what came in -> what goes out. Knows no transport."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bot import (
    admin,
    course_tools,
    creators,
    hearing,
    judging,
    lessons,
    personal,
    pressing,
    telling,
)
from bot.dialog import from_row, to_row
from bot.lesson_files import UnreadableFile, read_lesson_file
from bot.messages import (
    ButtonPress,
    Command,
    FileMessage,
    Incoming,
    Reply,
    Sender,
    TextMessage,
    plain,
)
from bot.turn import Services, Turn
from bot.understanding.meaning import Meaning
from bot.wording import Words, language_for
from data.catalogue import ItemId
from data.events import FactKind, ProfileFact, RuleKind, UserKey
from data.vocabulary import Language
from recommender.guard import Refusal, refusals

_PERSONAL_COMMANDS = frozenset({"me", "mydata", "forget", "settings"})


class Conversation:
    """Handles one exchange at a time per person; different people may be handled in parallel."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._meanings: dict[str, Meaning] = {}
        """Understood ahead and not handled yet, by incoming id; `handle` takes them out."""
        self._lesson_texts: dict[str, str | UnreadableFile] = {}
        """The same for uploaded files."""

    def prepare(self, incoming: Incoming) -> None:
        """Do what takes long and needs no store, so that `handle` holds the writer briefly.

        Calling it is never needed: `handle` does by itself what was not prepared.
        """
        number = incoming.incoming_id
        if isinstance(incoming, FileMessage) and number not in self._lesson_texts:
            if self._wants_pairs(incoming):
                text = self._lesson_texts[number] = _lesson_text(incoming)
                if isinstance(text, str):
                    course_tools.read_ahead(self.services, text)
        elif isinstance(incoming, TextMessage) and number not in self._meanings:
            meaning = hearing.understood(self.services.understanding, incoming)
            if meaning is not None:
                self._meanings[number] = meaning
        elif isinstance(incoming, Command | ButtonPress) and self._is_creator(incoming.sender):
            course_tools.get_ready(self.services, incoming)

    def handle(self, incoming: Incoming) -> list[Reply]:
        """Answer, and store what follows from it, all or nothing."""
        meaning = self._meanings.pop(incoming.incoming_id, None)
        with self.services.store.transaction():
            turn = self._open(incoming)
            turn.meaning = meaning
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
                return _command(turn, command)
            case ButtonPress() as press:
                return pressing.press(turn, press)
            case TextMessage() as message:
                return hearing.hear(turn, message)
            case FileMessage() as file:
                return [self._read(turn, file)]
            case _:
                return [Reply(spans=plain(turn.words("press.unknown")))]

    def _wants_pairs(self, file: FileMessage) -> bool:
        return self._is_creator(file.sender) and _is_pair(file.caption)

    def _is_creator(self, sender: Sender) -> bool:
        """As `Turn.is_creator`, before there is a turn."""
        rights = self.services.creators | self.services.admins
        return sender.numeric_id in rights and sender.chat_kind == "private"

    def _read(self, turn: Turn, file: FileMessage) -> Reply:
        """Preview what goes with a creator's file."""
        text = self._lesson_texts.pop(file.incoming_id, None)
        if not turn.is_creator:
            return Reply(spans=plain(turn.words("file.not_read")))
        if not self._wants_pairs(file):
            return Reply(spans=plain(turn.words("file.how_to_pair")))
        if file.problem == "unavailable":
            return Reply(spans=plain(turn.words("file.unavailable", name=file.file_name[:80])))
        if text is None:
            text = _lesson_text(file)
        if isinstance(text, UnreadableFile):
            return Reply(spans=plain(text.told(turn.words.language)))
        return creators.pair(turn, text)


def _is_pair(caption: str) -> bool:
    first = caption.casefold().split(maxsplit=1)[:1]
    return bool(first) and first[0].partition("@")[0] == "/pair"


def _lesson_text(file: FileMessage) -> str | UnreadableFile:
    if file.problem == "large":
        return UnreadableFile("large", file.file_name[:80])
    try:
        return read_lesson_file(file.file_name, file.content).text
    except UnreadableFile as error:
        return error


def _command(turn: Turn, command: Command) -> list[Reply]:
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
            return hearing.why(turn, None)
        case "undo":
            return telling.undo(turn)
        case "stop":
            return personal.give_consent(turn, "send_tips:0")
        case _ if name in admin.COMMANDS:
            may = turn.is_admin
            return [admin.command(turn, name, argument) if may else creators.refuse(turn)]
        case "pair" | "pin" | "ban" | "judge" | "coverage" | "link":
            if not turn.is_creator:
                return [creators.refuse(turn)]
            quoted = command.quoted if name == "pair" else ""
            return [_creator_command(turn, name, argument or quoted)]
        case _:
            return [Reply(spans=plain(turn.words("command.unknown", name=name[:32])))]


def _creator_command(turn: Turn, name: str, argument: str) -> Reply:
    match name:
        case "pair":
            return creators.pair(turn, argument)
        case "judge":
            return creators.judge(turn, argument) if argument else judging.serve(turn)
        case "coverage":
            return course_tools.coverage(turn, argument)
        case "link":
            return course_tools.link(turn, argument)
        case _:
            return creators.rule(turn, RuleKind(name), argument)


def _for_group(turn: Turn, reply: Reply) -> Reply:
    if reply.is_private:
        return Reply(spans=plain(turn.words("group.private_only")))
    return reply
