"""Slates as pictures on Telegram: one message, nothing forbidden in it, uploaded once, words always."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from telegram import Bot

from bot.cards import banner, item_card, slate_card
from bot.messages import Card, Incoming, Picture, Reply, Span, plain, units
from bot.send_errors import RefusedError
from bot.telegram_pictures import Pictures, UndrawnError, cards_of, rows_of
from bot.telegram_render import Place, render
from bot.telegram_sending import CallbackAnswers, TelegramTransport
from bot.understanding.meaning import Intent
from data.catalogue import ItemId
from data.events import SlateId
from data.sqlite_store import SqliteEventStore
from data.vocabulary import Allergen, AllergenState
from tests import fakes
from tests.bot.telegram_world import ScriptedConversation, keyboard, running_bot, says, words_of
from tests.fake_telegram.faults import Fault
from tests.fake_telegram.people import Person
from tests.fake_telegram.server import FakeTelegram
from tests.fake_telegram.state import Json

PEAR = Card(number=1, name="Pear", category="fruit", price="¥3.00", label="no allergens declared")
NUTS = Card(number=2, name="Walnuts", category="nut", price="¥9.00", label="contains nuts")
HERE = Place(chat_id=7)
PRESSED = Place(chat_id=7, pressed_id=5, pressed_has_media=True)
CANNOT_DRAW = "a picture could not be drawn"


def reply_with(*cards: Card, text: str = "Pear and walnuts", **fields: Any) -> Reply:
    return Reply(spans=plain(text), picture=Picture(cards=cards), **fields)


def content_of(telegram: FakeTelegram, message: Json) -> bytes:
    """The picture that a message shows."""
    return telegram.state.files[message["photo"][-1]["file_id"]].content


def uploads(telegram: FakeTelegram) -> list[bytes]:
    """Pictures in the order in which they came."""
    return [file.content for file in telegram.state.files.values()]


async def pressed(person: Person, message: Json, part: str) -> Json:
    """Press the button whose label contains `part`, and give the edited message."""
    label = next(label for label in person.labels(message=message) if part in label)
    await person.wait_answer(person.press(label, message=message))
    return await person.wait_edit(message)


# rendering


def test_a_reply_with_cards_is_one_message_that_says_what_to_draw() -> None:
    reply = reply_with(PEAR, NUTS, buttons=keyboard("Like"), item_ids=(ItemId("pear"),))

    (payload,) = render(reply, HERE)

    assert payload["method"] == "sendPhoto"
    assert payload["params"]["caption"] == "Pear and walnuts"
    assert payload["params"]["reply_markup"]["inline_keyboard"][0][0]["text"] == "Like"
    assert cards_of(payload["draw"]) == (PEAR, NUTS)
    assert payload["item_ids"] == ["pear"]
    assert "photo" not in payload["params"]


@pytest.mark.parametrize(
    ("text", "method"),
    [("a" * 1024, "sendPhoto"), ("a" * 1025, "sendMessage"), ("🍐" * 513, "sendMessage")],
    ids=["fits", "one too long", "pairs count twice"],
)
def test_words_that_do_not_fit_under_a_picture_go_without_it(text: str, method: str) -> None:
    payloads = render(reply_with(PEAR, text=text, buttons=keyboard("Like")), HERE)

    assert [payload["method"] for payload in payloads] == [method]
    assert "reply_markup" in payloads[0]["params"]


def test_a_caption_of_its_own_stands_under_the_picture_and_the_whole_text_elsewhere() -> None:
    picture = Picture(cards=(PEAR,), caption=(Span("short", is_bold=True),))
    reply = Reply(spans=plain("long" * 400), picture=picture, is_edit=True)

    (sent,) = render(reply, HERE)
    (edited,) = render(reply, PRESSED)
    (text,) = render(reply, replace(PRESSED, pressed_has_media=False))

    assert sent["params"]["caption"] == "<b>short</b>"
    assert edited["params"]["media"]["caption"] == "<b>short</b>"
    assert text["params"]["text"] == "long" * 400


def test_an_edit_of_a_picture_renews_it_and_without_cards_shows_a_banner() -> None:
    (renewed,) = render(reply_with(PEAR, is_edit=True), PRESSED)
    (bare,) = render(Reply(spans=plain("settings"), is_edit=True), PRESSED)
    (file,) = render(
        Reply(spans=plain("x"), picture=Picture(content=b"PNG"), is_edit=True), PRESSED
    )

    assert {p["method"] for p in (renewed, bare, file)} == {"editMessageMedia"}
    assert cards_of(renewed["draw"]) == (PEAR,)
    assert bare["draw"] == []
    assert "draw" not in file
    assert file["upload"]["field"] == "media"


def test_an_edit_that_is_too_long_for_a_caption_goes_on_in_a_message() -> None:
    text = "\n\n".join(["word " * 100] * 4).strip()

    edit, more = render(
        reply_with(PEAR, text=text, is_edit=True, buttons=keyboard("Back")), PRESSED
    )

    caption = edit["params"]["media"]["caption"]
    assert units(caption) <= 1024
    assert more["method"] == "sendMessage"
    assert f"{caption} {more['params']['text']}".split() == text.split()
    assert "reply_markup" in more["params"]
    assert "reply_markup" not in edit["params"]


def test_cards_survive_the_outbox_and_rows_of_an_older_version() -> None:
    assert cards_of(rows_of((PEAR, NUTS))) == (PEAR, NUTS)
    assert cards_of([[1, "fruit", "Pear"]]) == (Card(number=1, category="fruit", name="Pear"),)


# sending


@dataclass
class Drawing:
    """Draws like the real one, notes what, and fails when told to."""

    drawn: list[tuple[Card, ...]] = field(default_factory=list)
    is_broken: bool = False

    def __call__(self, cards: Sequence[Card]) -> bytes:
        if self.is_broken:
            raise OSError("no such font")
        self.drawn.append(tuple(cards))
        return slate_card(tuple(cards)) if cards else banner()


@dataclass
class Wire:
    """A transport to the fake Telegram, and one person in front of it."""

    transport: TelegramTransport
    drawing: Drawing
    pictures: Pictures
    person: Person

    async def send(self, reply: Reply, place: Place = HERE) -> Json:
        """Send the first payload and give the message as it is now."""
        number = await self.transport.send(render(reply, place)[0], "7")
        return next(m for m in self.person.bot_messages() if str(m["message_id"]) == number)


@pytest.fixture
async def wire(telegram: FakeTelegram) -> AsyncIterator[Wire]:
    drawing = Drawing()
    pictures = Pictures(drawing)
    person = telegram.person(7)
    bot = Bot(telegram.token, base_url=f"{telegram.api_root}/bot")
    async with bot:
        transport = TelegramTransport(bot, CallbackAnswers(bot), pictures)
        yield Wire(transport=transport, drawing=drawing, pictures=pictures, person=person)


async def test_a_picture_is_drawn_and_uploaded_once_for_everybody(
    wire: Wire, telegram: FakeTelegram
) -> None:
    first = await wire.send(reply_with(PEAR, NUTS, text="one"))
    second = await wire.send(reply_with(PEAR, NUTS, text="two", buttons=keyboard("Like")))
    edited = await wire.send(
        reply_with(PEAR, NUTS, text="three", is_edit=True),
        replace(PRESSED, pressed_id=second["message_id"]),
    )

    assert wire.drawing.drawn == [(PEAR, NUTS)]
    assert uploads(telegram) == [slate_card((PEAR, NUTS))]
    assert first["photo"] == second["photo"] == edited["photo"]
    assert [m["caption"] for m in (first, second, edited)] == ["one", "two", "three"]


async def test_a_picture_that_telegram_no_longer_knows_is_uploaded_again(
    wire: Wire, telegram: FakeTelegram
) -> None:
    telegram.expect_refusal("wrong file identifier")
    await wire.send(reply_with(PEAR))
    telegram.state.files.clear()

    again = await wire.send(reply_with(PEAR))

    assert content_of(telegram, again) == slate_card((PEAR,))
    assert len(wire.drawing.drawn) == 2


async def test_ids_used_longest_ago_make_room() -> None:
    pictures = Pictures(keep=2)
    pictures.remember((PEAR,), "pear")
    pictures.remember((NUTS,), "nuts")
    assert pictures.known((PEAR,)) == "pear"
    pictures.remember((PEAR, NUTS), "both")

    assert pictures.known((NUTS,)) == ""
    assert pictures.known((PEAR,)) == "pear"


async def test_what_cannot_be_drawn_goes_out_as_words_with_its_buttons(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.drawing.is_broken = True

    message = await wire.send(reply_with(PEAR, text="Pear & co", buttons=keyboard("Like")))

    assert message["text"] == "Pear & co"
    assert wire.person.labels(message=message) == ["Like"]
    assert CANNOT_DRAW in caplog.text


async def test_an_edit_that_cannot_be_drawn_becomes_a_new_message(wire: Wire) -> None:
    photo = await wire.send(reply_with(PEAR))
    wire.drawing.is_broken = True

    message = await wire.send(
        reply_with(NUTS, text="walnuts", is_edit=True),
        replace(PRESSED, pressed_id=photo["message_id"]),
    )

    assert message["text"] == "walnuts"
    assert message["message_id"] != photo["message_id"]


@pytest.mark.parametrize(
    "description",
    [
        "Bad Request: IMAGE_PROCESS_FAILED",
        "Bad Request: PHOTO_INVALID_DIMENSIONS",
        "Bad Request: not enough rights to send photos to the chat",
        "Bad Request: CHAT_SEND_PHOTOS_FORBIDDEN",
        "Bad Request: message caption is too long",
    ],
)
async def test_a_picture_that_is_refused_leaves_the_words(
    description: str, wire: Wire, telegram: FakeTelegram
) -> None:
    telegram.faults.add(
        Fault(kind="refuse", method="sendPhoto", status=400, description=description)
    )

    message = await wire.send(reply_with(PEAR, text="a <pear>", buttons=keyboard("Like")))

    assert message["text"] == "a <pear>"
    assert wire.person.labels(message=message) == ["Like"]


async def test_a_refused_picture_in_an_edit_gives_way_to_the_banner(
    wire: Wire, telegram: FakeTelegram
) -> None:
    photo = await wire.send(reply_with(PEAR))
    telegram.faults.add(
        Fault(
            kind="refuse",
            method="editMessageMedia",
            status=400,
            description="Bad Request: IMAGE_PROCESS_FAILED",
        )
    )

    edited = await wire.send(
        reply_with(NUTS, text="walnuts", is_edit=True),
        replace(PRESSED, pressed_id=photo["message_id"]),
    )

    assert edited["message_id"] == photo["message_id"]
    assert edited["caption"] == "walnuts"
    assert content_of(telegram, edited) == banner()


async def test_an_edit_of_a_message_that_is_gone_is_sent_anew_with_its_picture(
    wire: Wire, telegram: FakeTelegram
) -> None:
    telegram.expect_refusal("message to edit not found")

    message = await wire.send(
        reply_with(PEAR, is_edit=True, buttons=keyboard("Like")), replace(PRESSED, pressed_id=99)
    )

    assert content_of(telegram, message) == slate_card((PEAR,))
    assert wire.person.labels(message=message) == ["Like"]


async def test_the_same_edit_twice_is_no_error(wire: Wire, telegram: FakeTelegram) -> None:
    telegram.expect_refusal("message is not modified")
    photo = await wire.send(reply_with(PEAR))
    edit = reply_with(PEAR, text="again", is_edit=True)
    place = replace(PRESSED, pressed_id=photo["message_id"])

    once = await wire.send(edit, place)
    twice = await wire.send(edit, place)

    assert once == twice


async def test_captions_whose_html_is_refused_go_out_plain(
    wire: Wire, telegram: FakeTelegram
) -> None:
    refused = "Bad Request: can't parse entities: Unsupported start tag"
    for method in ("sendPhoto", "editMessageMedia"):
        telegram.faults.add(Fault(kind="refuse", method=method, status=400, description=refused))
    bold = Picture(cards=(PEAR,), caption=(Span("1 < 2", is_bold=True),))

    photo = await wire.send(Reply(spans=plain("x"), picture=bold))
    edited = await wire.send(
        Reply(spans=plain("x"), picture=replace(bold, cards=(NUTS,)), is_edit=True),
        replace(PRESSED, pressed_id=photo["message_id"]),
    )

    assert photo["caption"] == "1 < 2"
    assert edited["caption"] == "1 < 2"
    assert content_of(telegram, edited) == slate_card((NUTS,))


async def test_other_refusals_stay_refusals(wire: Wire, telegram: FakeTelegram) -> None:
    telegram.faults.add(
        Fault(kind="refuse", method="sendPhoto", status=400, description="Bad Request: strange")
    )

    with pytest.raises(RefusedError, match=r"(?i)strange"):
        await wire.send(reply_with(PEAR))


async def test_one_picture_is_drawn_after_the_other() -> None:
    under_way, most = 0, 0

    def draw(cards: Sequence[Card]) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.01)
        under_way -= 1
        return b"PNG"

    pictures = Pictures(draw)
    await asyncio.gather(*(pictures.drawn((PEAR,)) for _ in range(8)))

    assert most == 1


async def test_every_failure_to_draw_is_told_as_one_kind() -> None:
    def broken(cards: Sequence[Card]) -> bytes:
        raise ZeroDivisionError("odd")

    with pytest.raises(UndrawnError, match="ZeroDivisionError: odd"):
        await Pictures(broken).drawn((PEAR,))


# the last check, erasure, restart


async def test_a_picture_of_what_the_last_check_refuses_is_neither_drawn_nor_sent(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    both = (ItemId("pear"), ItemId("nuts"))
    picture = Picture(cards=(PEAR, NUTS))
    conversation = ScriptedConversation(
        answers={
            "start": says("pear", picture=Picture(cards=(PEAR,)), buttons=keyboard("L")),
            "L": says("nuts!", picture=picture, item_ids=both, is_edit=True),
            "nuts": says("nuts!", picture=picture, item_ids=both, slate_id=SlateId("s1")),
        },
        forbidden={"nuts"},
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        pear = await person.wait_reply()
        person.press("L")
        edited = await person.wait_edit(pear)
        person.send_command("/nuts")
        withheld = await person.wait_reply()

    assert content_of(telegram, edited) == banner()
    assert "last check" in edited["caption"]
    assert "last check" in withheld["text"]
    assert uploads(telegram) == [slate_card((replace(PEAR),)), banner()]
    assert store.safety_violations() == 2 * len({"nuts"})
    assert conversation.deliveries == []
    store.close()


async def test_an_old_picture_loses_what_was_forbidden_since(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, "en")
    understood = fakes.ScriptedInterpreter()
    understood.means("no gluten", Intent.SET_CONSTRAINT, allergens=["gluten"])
    conversation = fakes.build_conversation(store=store, understanding=understood)
    catalogue = conversation.services.engine().catalogue
    lessons = [lesson.lesson_id for lesson in catalogue.lessons if lesson.audience != "minors"]

    async with running_bot(conversation, store, telegram, secret=fakes.SECRET, quotas=None):
        for lesson_id in lessons:
            person.send_command(f"/start {lesson_id}")
            old = await person.wait_reply()
            slate = store.slate(store.slates()[-1].slate_id) if "photo" in old else None
            items = [catalogue.items_by_id[p.item_id] for p in slate.placements] if slate else []
            states = [i.allergen_state(Allergen.GLUTEN) is AllergenState.FREE_FROM for i in items]
            if any(states) and not all(states):
                break
        else:
            pytest.fail("no lesson of the samples gives a slate with and without gluten")
        person.send_text("no gluten")
        await person.wait_reply()
        why = await pressed(person, old, "Why")
        back = await pressed(person, why, "Back")

    gone = [i.name_en for i, is_free in zip(items, states, strict=True) if not is_free]
    kept = [i.name_en for i, is_free in zip(items, states, strict=True) if is_free]
    shown = telegram.calls_of("editMessageMedia")
    assert shown
    assert content_of(telegram, why) == content_of(telegram, back) != content_of(telegram, old)
    for message in (why, back):
        assert all(name in words_of(message) for name in kept)
        assert not any(name in words_of(message) for name in gone)
    store.close()


async def test_a_picture_that_waits_for_somebody_who_erased_everything_is_never_sent(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(answers={"start": lambda _: [reply_with(PEAR)]})

    def erase(incoming: Incoming) -> list[Reply]:
        store.forget(incoming.sender.user_key, at=datetime.now(UTC))
        return [Reply(spans=plain("all gone"))]

    conversation.answers["forget"] = erase
    telegram.faults.add(Fault(kind="refuse", method="sendPhoto", retry_after=1))

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        await telegram.wait_until(lambda: telegram.calls_of("sendPhoto"))
        person.send_command("/forget")
        await person.wait_reply()
        # What came before would have been sent before this.
        person.send_text("still there?")
        await person.wait_reply()

    assert [words_of(m) for m in person.bot_messages()] == ["all gone", "echo still there?"]
    assert store._file.value("SELECT count(*) FROM outbox WHERE payload <> ''") == 0
    store.close()


async def test_a_picture_decided_before_a_restart_is_drawn_after_it(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, "en")
    telegram.faults.add(Fault(kind="refuse", method="sendPhoto", status=502, times=1000))

    async with running_bot(
        fakes.build_conversation(store=store), store, telegram, secret=fakes.SECRET,
        drain_seconds=0.1,
    ):  # fmt: skip
        person.send_command("/start wok-heat")
        await telegram.wait_until(lambda: telegram.calls_of("sendPhoto"))
    telegram.faults.clear()
    assert person.bot_messages() == []
    async with running_bot(
        fakes.build_conversation(store=store), store, telegram, secret=fakes.SECRET
    ):
        slate = await person.wait_reply(timeout=30)

    assert slate["photo"]
    assert len(uploads(telegram)) == 1
    assert store._file.value("SELECT count(*) FROM outbox WHERE payload <> ''") == 0
    store.close()


# the way of a learner


JOURNEYS = {
    "en": ("Like 1", "Why", "Back", "Buy 2", "Back", "Others"),
    "zh": ("喜欢 1", "为什么", "返回", "买 2", "返回", "换"),
}


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_learner_sees_one_picture_all_along(
    language: str, telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, language)
    conversation = fakes.build_conversation(store=store)
    names = conversation.services.engine().catalogue.items_by_id
    seen: list[Json] = []

    async with running_bot(conversation, store, telegram, secret=fakes.SECRET):
        person.send_command("/start wok-heat")
        seen.append(await person.wait_reply())
        for part in JOURNEYS[language]:
            seen.append(await pressed(person, seen[-1], part))
            await asyncio.sleep(0)

    slate, liked, why, back, item, again, others = seen
    assert {message["message_id"] for message in seen} == {slate["message_id"]}
    assert all(message["photo"] for message in seen)
    assert slate["photo"] == liked["photo"] == why["photo"] == back["photo"] == again["photo"], (
        "the same items are the same picture"
    )
    assert content_of(telegram, item) != content_of(telegram, slate)
    assert content_of(telegram, others) != content_of(telegram, slate)
    # One upload each for the slate, the item and the other slate.
    assert len(uploads(telegram)) == 3
    first = store.slates()[0]
    for placement in first.placements:
        shown = names[placement.item_id]
        assert (shown.name_zh if language == "zh" else shown.name_en) in slate["caption"]
    bought = names[first.placements[1].item_id]
    assert (bought.name_zh if language == "zh" else bought.name_en) in item["caption"]
    assert len(store.impressions()) == 2 * len(first.placements)
    store.close()


async def test_an_item_without_photo_has_its_card_on_its_page(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    from bot.picturing import card_of
    from data.vocabulary import Language

    person = telegram.person(7, "en")
    conversation = fakes.build_conversation(store=store)

    async with running_bot(conversation, store, telegram, secret=fakes.SECRET):
        person.send_command("/start wok-heat")
        page = await pressed(person, await person.wait_reply(), "Buy 1")

    item_id = store.slates()[0].placements[0].item_id
    item = conversation.services.engine().catalogue.items_by_id[item_id]
    assert content_of(telegram, page) == item_card(card_of(item, Language.EN))
    store.close()


async def test_pictures_are_turned_off_and_on_again_in_the_settings(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, "en")
    conversation = fakes.build_conversation(store=store)

    async with running_bot(conversation, store, telegram, secret=fakes.SECRET):
        person.send_command("/settings")
        page = await person.wait_reply()
        off = await pressed(person, page, "Turn off: Pictures")
        person.send_command("/start wok-heat")
        words = await person.wait_reply()
        liked = await pressed(person, words, "Like 1")
        person.send_command("/me")
        profile = await person.wait_reply()
        await pressed(person, off, "Turn on: Pictures")
        person.send_command("/start wok-heat")
        picture = await person.wait_reply()

    assert "text" in words
    assert "text" in liked
    assert "Pictures with suggestions: off" in profile["text"]
    assert "photo" in picture
    store.close()


async def test_groups_and_a_deployment_without_pictures_get_words(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    group = telegram.group(-100, "Learners")
    person = telegram.person(7, "en")
    bare = fakes.build_conversation(store=store, has_pictures=False)

    async with running_bot(
        fakes.build_conversation(store=store), store, telegram, secret=fakes.SECRET
    ):
        person.send_text("/start@zhiwei_test_bot wok-heat", chat=group)
        in_group = await person.wait_reply(chat=group)
    async with running_bot(bare, store, telegram, secret=fakes.SECRET):
        person.send_command("/start wok-heat")
        alone = await person.wait_reply()
        person.send_command("/settings")
        page = await person.wait_reply()

    assert "text" in in_group
    assert "text" in alone
    assert not any("Pictures" in label for label in person.labels(message=page))
    assert uploads(telegram) == []
    store.close()
