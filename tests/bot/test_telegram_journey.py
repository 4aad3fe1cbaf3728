"""The whole way of a learner through Telegram, with the real conversation, catalogue and store."""

from __future__ import annotations

import asyncio

import pytest

from bot.understanding.meaning import Intent
from data.sqlite_store import SqliteEventStore
from data.vocabulary import Allergen, AllergenState
from tests import fakes
from tests.bot.telegram_world import label_like, pressed, running_bot, words_of
from tests.emulator.process import installed_or_skip, running_emulator
from tests.fake_telegram.server import FakeTelegram

SECRET = fakes.SECRET


def interpreter() -> fakes.ScriptedInterpreter:
    understood = fakes.ScriptedInterpreter()
    understood.means("cheaper please", Intent.CRITIQUE, price_max=15)
    understood.means("I am allergic to milk", Intent.SET_CONSTRAINT, allergens=["milk"])
    return understood


def facts_of(store: SqliteEventStore, table: str) -> int:
    return int(store._file.value(f"SELECT count(*) FROM {table}"))


async def test_a_learner_goes_from_a_lesson_to_erasure(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, "en", first_name="Wanda")
    conversation = fakes.build_conversation(store=store, understanding=interpreter())

    async with running_bot(conversation, store, telegram, secret=SECRET):
        person.send_command("/start wok-heat")
        slate = await person.wait_reply()
        liked = await pressed(person, slate, "Like 1")
        why = await pressed(person, liked, "Why")
        back = await pressed(person, why, "Back")
        person.send_text("cheaper please")
        cheaper = await person.wait_reply()
        person.send_text("I am allergic to milk")
        noted = await person.wait_reply()
        while True:
            try:
                noted = await person.wait_reply(timeout=1)
            except TimeoutError:
                break
        person.send_command("/me")
        profile = await person.wait_reply()
        person.send_command("/forget")
        asked = await person.wait_reply()
        erased = await pressed(person, asked, "Erase")

    assert "reply_markup" in slate
    assert slate["message_id"] == back["message_id"]
    assert "✓" in " ".join(person.labels(message=liked)) or words_of(liked) != words_of(slate)
    assert slate["photo"]
    assert back["photo"]
    assert "lesson" in words_of(why).lower()
    assert cheaper["message_id"] > slate["message_id"]
    assert noted
    assert "milk" in profile["text"].lower()
    assert "Receipt" in erased["text"]
    for table in ("slates", "impressions", "replies", "facts", "addresses"):
        assert facts_of(store, table) == 0
    assert facts_of(store, "outbox WHERE payload <> ''") == 0


async def test_slates_leave_impressions_and_no_violation_for_who_declared_an_allergy(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, "en")
    conversation = fakes.build_conversation(store=store, understanding=interpreter())
    items = conversation.services.engine().catalogue.items_by_id

    async with running_bot(conversation, store, telegram, secret=SECRET):
        person.send_text("I am allergic to milk")
        await person.wait_reply()
        for lesson in ("wok-heat", "wok-heat"):
            person.send_command(f"/start {lesson}")
            await person.wait_reply()
        await asyncio.sleep(0.3)

    impressions = store.impressions()
    assert impressions
    assert store.safety_violations() == 0
    for impression in impressions:
        assert items[impression.item_id].allergen_state(Allergen.MILK) is AllergenState.FREE_FROM
        assert impression.message_id


async def test_another_person_s_button_does_nothing(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    group = telegram.group(-100, "Learners")
    person, stranger = telegram.person(7), telegram.person(8)
    conversation = fakes.build_conversation(store=store)

    async with running_bot(conversation, store, telegram, secret=SECRET):
        person.send_text("/start@zhiwei_test_bot wok-heat", chat=group)
        slate = await person.wait_reply(chat=group)
        payload = slate["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        n_before = facts_of(store, "replies")
        answer = await stranger.wait_answer(stranger.press_payload(slate, payload))

    assert answer["text"] == "I can't read that button. Please use the newest message."
    assert facts_of(store, "replies") == n_before


async def test_a_button_works_after_a_restart(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)

    async with running_bot(fakes.build_conversation(store=store), store, telegram, secret=SECRET):
        person.send_command("/start wok-heat")
        slate = await person.wait_reply()
    async with running_bot(fakes.build_conversation(store=store), store, telegram, secret=SECRET):
        edited = await pressed(person, slate, "Why")

    assert words_of(edited) != words_of(slate)


@pytest.mark.emulator
async def test_a_journey_through_a_third_party_s_telegram(store: SqliteEventStore) -> None:
    installed_or_skip()
    conversation = fakes.build_conversation(store=store)

    async with running_emulator() as emulator:
        user = emulator.user(7, language_code="en")
        async with running_bot(conversation, store, emulator, secret=SECRET):  # type: ignore[arg-type]
            await user.send_command("/start wok-heat")
            slate = await user.wait_reply()
            labels = [
                button["text"]
                for row in slate["reply_markup"]["inline_keyboard"]
                for button in row
            ]
            await user.press(slate, label_like(labels, "Why"))
            why = await user.wait_edit(slate)
            await user.wait_answers(1)

    assert why["message_id"] == slate["message_id"]
    assert why["text"] != slate["text"]
    assert emulator.gateway.unknown_methods == []
