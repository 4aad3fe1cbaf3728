"""The creators' tools on their way through Telegram: buttons, edits in place, a QR code as a photo."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from bot.telegram_app import TelegramRuntime
from data.events import RuleKind
from data.sqlite_store import SqliteEventStore
from tests import fakes
from tests.bot.telegram_world import pressed, running_bot
from tests.fake_telegram.server import FakeTelegram

CREATOR, STRANGER = 5, 6
LESSON = fakes.sample_catalogue().lessons[0]


def a_bot(
    store: SqliteEventStore, telegram: FakeTelegram
) -> AbstractAsyncContextManager[TelegramRuntime]:
    conversation = fakes.build_conversation(
        store=store, creators=[CREATOR], bot_name=lambda: "zhiwei_test_bot"
    )
    return running_bot(
        conversation, store, telegram, secret=fakes.SECRET, creators=frozenset({CREATOR})
    )


async def test_from_a_preview_to_a_pin_a_grade_and_back(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator = telegram.person(CREATOR, "en")

    async with a_bot(store, telegram):
        creator.send_command(f"/pair {LESSON.lesson_id}")
        listed = await creator.wait_reply()
        menu = await pressed(creator, listed, "1. ")
        pinned = await pressed(creator, menu, "Pin")
        graded = await pressed(creator, pinned, "3 delightful")
        unpinned = await pressed(creator, graded, "Unpin")
        back = await pressed(creator, unpinned, "Back to the list")

    assert listed["text"].startswith("Pairing preview")
    assert "Pinned to this lesson." in pinned["text"]
    assert "Your grade: 3 delightful" in graded["text"]
    assert back["text"] == listed["text"]
    assert store.rules() == []
    assert [judgement.grade for judgement in store.judgements()] == [3]
    actions = [action for _, _, action, _ in reversed(store.audits())]
    assert actions == ["pair", "pin.on", "judge", "pin.off"]
    assert len(creator.bot_messages()) == 1


async def test_a_message_is_previewed_by_answering_it_with_pair(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator = telegram.person(CREATOR, "en")

    async with a_bot(store, telegram):
        sent = creator.send_text("Ripe tomatoes want olive oil and basil. And then some salt.")
        assert sent is not None
        await creator.wait_reply()
        creator.send_text("/pair", reply_to_message=sent["message"])
        whole = await creator.wait_reply()
        creator.send_text(
            "/pair",
            reply_to_message=sent["message"],
            quote={"text": "And then some salt.", "position": 40},
        )
        part = await creator.wait_reply()

    assert whole["text"].startswith("Pairing preview: Ripe tomatoes want")
    assert part["text"].startswith("Pairing preview: And then some salt.")


async def test_judging_goes_on_in_one_message_until_it_is_stopped(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator = telegram.person(CREATOR, "zh-hans")

    async with a_bot(store, telegram):
        creator.send_command("/judge")
        first = await creator.wait_reply()
        second = await pressed(creator, first, "2 不错")
        third = await pressed(creator, second, "跳过")
        undone = await pressed(creator, third, "撤回")
        stopped = await pressed(creator, undone, "结束")

    assert first["text"].startswith("第 1 对，共 20 对")
    assert second["text"].startswith("第 2 对")
    assert third["text"].startswith("第 3 对")
    assert undone["text"] == first["text"]
    assert "这一轮评了 0 对" in stopped["text"]
    assert store.judgements() == []
    assert len(creator.bot_messages()) == 1


async def test_while_lessons_are_read_for_a_creator_others_are_answered(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator, other = telegram.person(CREATOR, "en"), telegram.person(STRANGER, "en")

    async with a_bot(store, telegram):
        creator.send_command("/judge")
        other.send_command("/help")
        helped = await other.wait_reply()
        question = await creator.wait_reply()

    assert "/lessons" in helped["text"]
    assert "1 of 20" in question["text"]


async def test_coverage_is_chosen_by_buttons(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator = telegram.person(CREATOR, "en")

    async with a_bot(store, telegram):
        creator.send_command("/coverage")
        courses = await creator.wait_reply()
        shown = await pressed(creator, courses, "Books That Stay")

    assert "Coverage: Books That Stay" in shown["text"]


async def test_a_link_comes_as_a_photo_with_its_words_under_it(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator = telegram.person(CREATOR, "en")

    async with a_bot(store, telegram):
        creator.send_command("/link wok-heat")
        answer = await creator.wait_reply()

    assert answer["photo"]
    assert "https://t.me/zhiwei_test_bot?start=wok-heat" in answer["caption"]


async def test_a_stranger_gets_no_tool_and_a_creator_s_old_button_no_stranger(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    creator, stranger = telegram.person(CREATOR, "en"), telegram.person(STRANGER, "en")

    async with a_bot(store, telegram):
        creator.send_command(f"/pair {LESSON.lesson_id}")
        listed = await creator.wait_reply()
        menu = await pressed(creator, listed, "1. ")
        payload = menu["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        stranger.send_command("/judge")
        refused = await stranger.wait_reply()
        callback = stranger.press_payload(refused, payload)
        await stranger.wait_answer(callback)
        # Handled in order: when this is answered, so is the press.
        stranger.send_command("/help")
        await stranger.wait_reply()

    assert "not for this account" in refused["text"]
    assert [r for r in store.rules() if r.kind is RuleKind.PIN] == []
