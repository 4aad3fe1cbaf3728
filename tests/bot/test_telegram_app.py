"""People talk to the bot through Telegram's rules, and through what goes wrong between them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bot.messages import Command, Document, Picture, Reply, Span, TextMessage, plain
from bot.telegram_app import TelegramConflict, run_polling
from data.catalogue import ItemId
from data.errors import SettingsError, StoreError
from data.events import SlateId
from data.sqlite_store import SqliteEventStore
from data.store import InboxEntry, MessageClass, OutboxEntry
from tests.bot.telegram_world import (
    ScriptedConversation,
    keyboard,
    options_for,
    running_bot,
    says,
)
from tests.fake_telegram.faults import Fault, RateLimits
from tests.fake_telegram.server import FakeTelegram
from tests.fake_telegram.state import Json

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (640).to_bytes(4) + (480).to_bytes(4)
PROMPT = 0.6
"""Seconds in which a first retry of a failed send is over."""


@pytest.fixture
def store() -> Iterator[SqliteEventStore]:
    opened = SqliteEventStore(":memory:")
    yield opened
    opened.close()


def texts(messages: list[Json]) -> list[str]:
    return [message.get("text", message.get("caption", "")) for message in messages]


async def settled(telegram: FakeTelegram, store: SqliteEventStore) -> None:
    """Wait until nothing waits any more."""

    async with asyncio.timeout(10):
        while True:
            waiting = store.backlog(at=datetime.now(UTC))
            if not telegram.state.updates and not waiting.inbox and not waiting.outbox:
                return
            await asyncio.sleep(0.02)


# talk


async def test_a_text_is_answered_and_leaves_nothing_behind(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7, "zh")
    conversation = ScriptedConversation()

    async with running_bot(conversation, store, telegram):
        person.send_text("你好 <b> & </i>")
        reply = await person.wait_reply()

    assert reply["text"] == "echo 你好 <b> & </i>"
    assert store.pending() == []
    assert store.backlog(at=datetime.now(UTC)).outbox == 0
    (incoming,) = conversation.handled
    assert incoming.sender.language_code == "zh"
    assert incoming.sender.numeric_id == 7
    assert incoming.sender.user_key != "7"
    assert store.address(incoming.sender.user_key, "telegram") == "7"


async def test_a_deep_link_brings_its_lesson(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation()

    async with running_bot(conversation, store, telegram):
        person.send_command("/start lesson_1-a")
        await person.wait_reply()

    (incoming,) = conversation.handled
    assert isinstance(incoming, Command)
    assert (incoming.name, incoming.argument) == ("start", "lesson_1-a")


async def test_a_press_is_answered_with_the_notice_and_edits_its_message(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "start": says("three things", buttons=keyboard("Like")),
            "Like": says("liked", is_edit=True, notice="Noted", buttons=keyboard("Undo")),
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        message = await person.wait_reply()
        callback = person.press("Like")
        edited = await person.wait_edit(message)
        answer = await person.wait_answer(callback)

    assert edited["text"] == "liked"
    assert person.labels(message=edited) == ["Undo"]
    assert answer["text"] == "Noted"
    assert len(person.bot_messages()) == 1


async def test_only_the_first_of_two_edits_takes_the_message_s_place(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "start": says("slate", buttons=keyboard("Others")),
            "Others": lambda _: [
                Reply(spans=plain("first"), is_edit=True),
                Reply(spans=plain("second"), is_edit=True),
            ],
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        await person.wait_reply()
        person.press("Others")
        await person.wait_reply()

    assert texts(person.bot_messages()) == ["first", "second"]


async def test_an_edit_that_changes_nothing_is_a_success(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.expect_refusal("message is not modified")
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={"Same": says("slate", buttons=keyboard("Same"), is_edit=True)}
        | {"start": says("slate", buttons=keyboard("Same"))}
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        await person.wait_reply()
        callback = person.press("Same")
        await person.wait_answer(callback)
        await settled(telegram, store)

    assert texts(person.bot_messages()) == ["slate"]


async def test_a_deleted_message_cannot_be_edited_so_the_answer_comes_anew(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "start": says("slate", buttons=keyboard("Like")),
            "Like": says("liked", is_edit=True),
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        message = await person.wait_reply()
        del person.chat.messages[message["message_id"]]
        person.press_payload(message, "Like")
        reply = await person.wait_reply()

    assert reply["text"] == "liked"


async def test_a_message_deleted_after_the_press_is_answered_anew_too(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.expect_refusal("message to edit not found")
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "start": says("slate", buttons=keyboard("Like")),
            "Like": says("<liked>", is_edit=True, buttons=keyboard("Undo")),
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        message = await person.wait_reply()
        conversation.seconds = 0.2
        person.press("Like")
        await asyncio.sleep(0.1)
        del person.chat.messages[message["message_id"]]
        reply = await person.wait_reply()

    assert reply["text"] == "<liked>"
    assert person.labels(message=reply) == ["Undo"]


async def test_a_slow_press_is_answered_within_300_ms_and_its_words_follow(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "start": says("slate", buttons=keyboard("Old")),
            "Old": lambda _: [Reply(notice="That is gone already.")],
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        await person.wait_reply()
        conversation.seconds = 0.8
        pressed = time.monotonic()
        callback = person.press("Old")
        answer = await person.wait_answer(callback)
        waited = time.monotonic() - pressed
        reply = await person.wait_reply()

    assert "text" not in answer
    assert waited < 0.6
    assert reply["text"] == "That is gone already."


async def test_an_unknown_payload_and_one_of_70_bytes_get_a_notice(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(answers={"start": says("slate", buttons=keyboard("A"))})

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        message = await person.wait_reply()
        for payload in ("x" * 70, "1|like|a:0|forged", "\x00", "知" * 40):
            answer = await person.wait_answer(person.press_payload(message, payload))
            assert answer["text"] == "unknown"


async def test_typing_shows_when_an_answer_takes_long(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation()

    async with running_bot(conversation, store, telegram):
        person.send_text("quick")
        await person.wait_reply()
        assert telegram.calls_of("sendChatAction") == []
        conversation.seconds = 0.7
        person.send_text("slow")
        await person.wait_reply()

    (call,) = telegram.calls_of("sendChatAction")
    assert call.parameters["action"] == "typing"


async def test_a_text_of_5000_characters_is_handled_and_a_long_answer_is_split(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    paragraph = "字" * 1500 + "🍅" * 100
    conversation = ScriptedConversation(
        answers={"long": says("\n\n".join([paragraph] * 4), buttons=keyboard("Like"))}
    )

    async with running_bot(conversation, store, telegram):
        person.send_text("长" * 5000)
        echoes = [await person.wait_reply() for _ in range(3)]
        person.send_text("long")
        parts = [await person.wait_reply(), await person.wait_reply()]

    assert sum(echo["text"].count("长") for echo in echoes) == 5000
    assert [part["text"] for part in parts] == [f"{paragraph}\n\n{paragraph}"] * 2
    assert "reply_markup" not in parts[0]
    assert person.labels(message=parts[1]) == ["Like"]


async def test_pictures_and_files_arrive_with_their_captions_and_buttons(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    soup = Picture(url="https://example.org/soup.png", alternative="soup")
    conversation = ScriptedConversation(
        answers={
            "photo": says("soup", picture=soup, buttons=keyboard("Like")),
            "Like": says("liked soup", picture=soup, is_edit=True, buttons=keyboard("Why")),
            "Why": says("because", is_edit=True),
            "chart": says("figures", picture=Picture(content=PNG)),
            "long": says("x" * 2000, picture=soup, buttons=keyboard("Far")),
            "file": says("yours", document=Document(file_name="me.json", content=b"{}")),
        }
    )

    async with running_bot(conversation, store, telegram):
        person.send_text("photo")
        photo = await person.wait_reply()
        person.press("Like")
        liked = await person.wait_edit(photo)
        person.press("Why")
        because = await person.wait_edit(liked)
        person.send_text("chart")
        chart = await person.wait_reply()
        person.send_text("long")
        alone, words = await person.wait_reply(), await person.wait_reply()
        person.send_text("file")
        document = await person.wait_reply()

    assert photo["photo"]
    assert photo["caption"] == "soup"
    assert liked["caption"] == "liked soup"
    assert because["caption"] == "because"
    assert (chart["caption"], bool(chart["photo"])) == ("figures", True)
    assert alone["caption"] == "soup"
    assert words["text"] == "x" * 2000
    assert person.labels(message=words) == ["Far"]
    assert document["document"]["file_name"] == "me.json"


async def test_a_picture_that_telegram_cannot_fetch_leaves_the_words(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={
            "photo": says(
                "soup & bread",
                picture=Picture(url="https://example.org/gone.png"),
                buttons=keyboard("Like"),
            )
        }
    )
    telegram.faults.add(
        Fault(
            kind="refuse",
            method="sendPhoto",
            status=400,
            description="Bad Request: failed to get HTTP URL content",
        )
    )

    async with running_bot(conversation, store, telegram):
        person.send_text("photo")
        reply = await person.wait_reply()

    assert reply["text"] == "soup & bread"
    assert person.labels(message=reply) == ["Like"]


async def test_html_that_telegram_cannot_read_goes_out_plain(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    refused = "Bad Request: can't parse entities: Unsupported start tag"
    telegram.faults.add(
        Fault(kind="refuse", method="sendMessage", status=400, description=refused)
    )

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("1 < 2")
        reply = await person.wait_reply()

    assert reply["text"] == "echo 1 < 2"


async def test_an_edited_text_is_answered_like_a_new_one(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)

    async with running_bot(ScriptedConversation(), store, telegram):
        sent = person.send_text("helo")
        await person.wait_reply()
        assert sent is not None
        person.edit(sent["message"]["message_id"], "hello")
        reply = await person.wait_reply()

    assert reply["text"] == "echo hello"


# safety and delivery


async def test_what_the_last_check_refuses_is_never_sent(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    nuts = (ItemId("nuts"), ItemId("pear"))
    conversation = ScriptedConversation(
        answers={
            "start": says("nuts!", item_ids=nuts, slate_id=SlateId("s1"), buttons=keyboard("L")),
            "L": says("nuts again!", item_ids=nuts, is_edit=True, buttons=keyboard("L")),
            "fine": says("pear", item_ids=(ItemId("pear"),), slate_id=SlateId("s2")),
        },
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        message = await person.wait_reply()
        conversation.forbidden = {"nuts"}
        person.press("L")
        edited = await person.wait_edit(message)
        person.send_command("/start")
        withheld = await person.wait_reply()
        person.send_text("fine")
        await person.wait_reply()

    assert message["text"] == "nuts!"
    assert "last check" in edited["text"]
    assert "reply_markup" not in edited
    assert "last check" in withheld["text"]
    assert "nuts" not in json.dumps(person.bot_messages())
    assert store.safety_violations() == 2
    assert [slate_id for slate_id, _ in conversation.deliveries] == ["s1", "s2"]


async def test_a_slate_is_delivered_only_when_its_send_succeeded(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(
        answers={"start": says("slate", item_ids=(ItemId("a"),), slate_id=SlateId("s1"))}
    )

    async with running_bot(conversation, store, telegram):
        person.send_command("/start")
        person.user.has_blocked_the_bot = True
        await settled(telegram, store)
        assert conversation.deliveries == []
        person.unblock()
        person.send_command("/start")
        message = await person.wait_reply()

    assert conversation.deliveries == [("s1", str(message["message_id"]))]


async def test_who_blocked_the_bot_is_unreachable_until_they_write_again(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("hi")
        await person.wait_reply()
        person.block()
        await settled(telegram, store)
        was_reachable = store.is_reachable("telegram", "7")
        person.unblock()
        person.send_text("back")
        await person.wait_reply()

    assert not was_reachable
    assert store.is_reachable("telegram", "7")


async def test_whoever_had_everything_erased_gets_no_older_answer(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation()

    def erase(incoming: object) -> list[Reply]:
        store.forget(conversation.handled[-1].sender.user_key, at=datetime.now(UTC))
        return [Reply(spans=plain("all gone"))]

    conversation.answers["forget"] = erase
    telegram.faults.add(Fault(kind="refuse", method="sendMessage", retry_after=1))

    async with running_bot(conversation, store, telegram):
        person.send_text("a secret")
        await telegram.wait_until(lambda: telegram.calls_of("sendMessage"))
        person.send_command("/forget")
        reply = await person.wait_reply()
        await settled(telegram, store)

    assert texts(person.bot_messages()) == ["all gone"]
    assert reply["text"] == "all gone"


# faults


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "refuse", "malformed"])
async def test_an_answer_arrives_in_spite_of(
    kind: str, telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    telegram.faults.add(Fault(kind=kind, method="sendMessage"))  # type: ignore[arg-type]

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("hi")
        await person.wait_reply()
        await settled(telegram, store)

    heard = texts(person.bot_messages())
    assert heard in (["echo hi"], ["echo hi"] * 2)
    # Only an answer whose outcome is unclear may come twice.
    assert len(heard) == (2 if kind in ("drop_after", "malformed") else 1)


@pytest.mark.parametrize(
    ("kind", "n_arrived"), [("drop_after", 1), ("refuse", 0), ("drop_before", 0)]
)
async def test_a_promotion_never_goes_twice(
    kind: str, n_arrived: int, telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    telegram.faults.add(Fault(kind=kind, method="sendMessage"))  # type: ignore[arg-type]
    tip = {"method": "sendMessage", "params": {"chat_id": 7, "text": "tip"}, "plain": "tip"}
    store.queue(
        [
            OutboxEntry(
                outbox_id="tip:1",
                address="7",
                payload=json.dumps(tip),
                message_class=MessageClass.PROMOTION,
                user_key=conversation_key(),
                created_at=datetime.now(UTC),
            )
        ]
    )

    async with running_bot(ScriptedConversation(), store, telegram):
        await settled(telegram, store)
        await asyncio.sleep(PROMPT)

    assert len(person.bot_messages()) == n_arrived


def conversation_key() -> str:  # type: ignore[misc]
    return "0" * 32


async def test_a_flood_refusal_is_obeyed_for_its_chat_alone(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    slow, quick = telegram.person(7), telegram.person(8)
    telegram.faults.add(Fault(kind="refuse", method="sendMessage", retry_after=1, chat_id=7))

    async with running_bot(ScriptedConversation(), store, telegram):
        started = time.monotonic()
        slow.send_text("a")
        slow.send_text("b")
        await telegram.wait_until(lambda: telegram.calls_of("sendMessage"))
        quick.send_text("c")
        await quick.wait_reply()
        quick_seconds = time.monotonic() - started
        await slow.wait_reply()
        slow_seconds = time.monotonic() - started
        await slow.wait_reply()

    assert quick_seconds < 0.9 < 1.0 <= slow_seconds
    assert texts(slow.bot_messages()) == ["echo a", "echo b"]


async def test_telegram_s_own_limits_delay_answers_and_lose_none(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    telegram.rate_limits = RateLimits(clock=time.monotonic, per_chat=4.0, chat_burst=2)

    async with running_bot(ScriptedConversation(), store, telegram):
        for number in range(5):
            person.send_text(f"{number}")
        replies = [await person.wait_reply(timeout=10) for _ in range(5)]

    assert [reply["text"] for reply in replies] == [f"echo {number}" for number in range(5)]


async def test_repeated_and_reordered_updates_are_handled_once(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation()
    telegram.faults.duplicate_probability = 0.5
    telegram.faults.reorder_probability = 0.5

    async with running_bot(conversation, store, telegram):
        for number in range(20):
            person.send_text(f"{number}")
            if number % 5 == 0:
                await asyncio.sleep(0.02)
        for _ in range(20):
            await person.wait_reply(timeout=10)
        await settled(telegram, store)

    handled = [i.text for i in conversation.handled if isinstance(i, TextMessage)]
    assert sorted(handled) == sorted(f"{number}" for number in range(20))
    assert len(person.bot_messages()) == 20


async def test_polling_survives_what_the_network_does(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    for kind in ("refuse", "drop_before", "drop_after", "malformed"):
        telegram.faults.add(Fault(kind=kind, method="getUpdates"))  # type: ignore[arg-type]
    telegram.faults.add(Fault(kind="refuse", method="getMe", status=502))

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("hi")
        reply = await person.wait_reply(timeout=15)

    assert reply["text"] == "echo hi"


async def test_an_update_of_an_unknown_shape_does_not_stop_the_others(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)

    async with running_bot(ScriptedConversation(), store, telegram):
        telegram.queue("message", {"nonsense": True, "chat": {"id": "x"}})
        person.send_text("hi")
        reply = await person.wait_reply()

    assert reply["text"] == "echo hi"


async def test_a_poison_update_is_parked_with_a_polite_line_and_a_note_to_admins(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person, admin = telegram.person(7), telegram.person(1)
    conversation = ScriptedConversation()

    def fail(incoming: object) -> list[Reply]:
        raise ZeroDivisionError("about the secret text")

    conversation.answers["poison"] = fail

    async with running_bot(conversation, store, telegram, admins=frozenset({1})):
        sent = person.send_text("poison")
        person.send_text("next")
        sorry = await person.wait_reply(timeout=10)
        following = await person.wait_reply()
        told = await admin.wait_reply()

    assert sent is not None
    assert sorry["text"].startswith("Sorry, I could not handle that message")
    assert following["text"] == "echo next"
    assert f"tg:{sent['update_id']}" in told["text"]
    assert "poison" not in told["text"]
    (parked,) = store.parked()
    assert parked.attempts == 3


async def test_a_chat_that_got_a_new_id_is_followed(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.expect_refusal("group chat was upgraded")
    group = telegram.group(-100, "Learners", kind="group")
    person = telegram.person(7)
    conversation = ScriptedConversation()

    async with running_bot(conversation, store, telegram):
        conversation.seconds = 0.2
        person.send_text("/help@zhiwei_test_bot", chat=group)
        await asyncio.sleep(0.1)
        upgraded = telegram.migrate(group, -1000100)
        reply = await person.wait_reply(chat=upgraded)

    assert reply["text"] == "command help"


# groups


async def test_in_a_group_only_what_is_meant_for_the_bot_is_answered(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.has_privacy_mode = False
    group = telegram.group(-100, "Learners")
    person = telegram.person(7)
    conversation = ScriptedConversation()

    async with running_bot(conversation, store, telegram):
        person.send_text("what is for dinner?", chat=group)
        person.send_text("/weather", chat=group)
        person.send_text("/start@another_bot", chat=group)
        person.send_text("/help@zhiwei_test_bot", chat=group)
        reply = await person.wait_reply(chat=group)
        person.send_text("and why?", chat=group, reply_to_message=reply)
        second = await person.wait_reply(chat=group)
        person.send_text("@zhiwei_test_bot soup", chat=group)
        third = await person.wait_reply(chat=group)

    assert reply["text"] == "command help"
    assert second["text"] == "echo and why?"
    assert third["text"] == "echo soup"
    assert {incoming.sender.chat_kind for incoming in conversation.handled} == {"group"}
    assert len(conversation.handled) == 3


async def test_nobody_gets_rights_through_a_chat_or_forwarded_words(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.has_privacy_mode = False
    group = telegram.group(-100, "Learners")
    person = telegram.person(7)
    conversation = ScriptedConversation()

    async with running_bot(conversation, store, telegram):
        person.send_text(
            "/stats@zhiwei_test_bot", chat=group, sender_chat={"id": -100, "type": "supergroup"}
        )
        person.send_text("/stats", forward_origin={"type": "user", "date": 1})
        person.send_text("/stats")
        await telegram.wait_until(lambda: len(conversation.handled) == 3)
        await settled(telegram, store)

    by_id = [incoming.sender.numeric_id for incoming in conversation.handled]
    assert sorted(by_id, key=str) == [7, None, None]


# start, stop and errors of the set-up


async def test_what_an_earlier_run_left_is_done_at_the_start(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation()
    update = {
        "update_id": 900,
        "message": {
            "message_id": 1,
            "date": 1,
            "chat": {"id": 7, "type": "private"},
            "from": {"id": 7, "is_bot": False},
            "text": "from before",
        },
    }
    store.receive(
        InboxEntry(
            update_id="tg:900",
            lane="left",
            payload=json.dumps(update),
            received_at=datetime.now(UTC),
        )
    )

    async with running_bot(conversation, store, telegram):
        reply = await person.wait_reply()

    assert reply["text"] == "echo from before"


async def test_stopping_lets_the_answers_out_that_were_asked_for(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    person = telegram.person(7)
    conversation = ScriptedConversation(seconds=0.1)

    async with running_bot(conversation, store, telegram) as runtime:
        for number in range(5):
            person.send_text(f"{number}")
        await telegram.wait_until(lambda: runtime.inbox.counts.received == 5)

    assert texts(person.bot_messages()) == [f"echo {number}" for number in range(5)]


async def test_a_wrong_token_ends_with_a_sentence(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    options = options_for(telegram, token="123456:wrong")

    with pytest.raises(SettingsError, match="does not know this bot token"):
        await run_polling(ScriptedConversation(), store, options, stop=asyncio.Event())


async def test_a_second_poller_ends_with_a_sentence(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.faults.add(
        Fault(
            kind="refuse",
            method="getUpdates",
            times=None,
            status=409,
            description="Conflict: terminated by other getUpdates request",
        )
    )

    with pytest.raises(TelegramConflict, match="another program fetches"):
        await run_polling(
            ScriptedConversation(), store, options_for(telegram), stop=asyncio.Event()
        )


async def test_menus_stand_for_each_language_and_scope(
    telegram: FakeTelegram, store: SqliteEventStore
) -> None:
    telegram.person(1)

    async with running_bot(
        ScriptedConversation(), store, telegram, registers_menu=True, admins=frozenset({1})
    ):
        await telegram.wait_until(lambda: len(telegram.state.commands) == 9)

    names = {
        key: [command["command"] for command in commands]
        for key, commands in telegram.state.commands.items()
    }
    for scope, chat, language in names:
        assert "privacy" in names[scope, chat, language]
    assert {language for _, _, language in names} == {"", "zh", "en"}
    assert "stats" in names["chat", 1, "zh"]
    assert not any("stats" in names[key] for key in names if key[0] != "chat")
    described = {language for field, language in telegram.state.words if "description" in field}
    assert described == {"", "zh", "en"}


class FailingStore(SqliteEventStore):
    """A store that is down while told so."""

    is_down = False

    def receive(self, entry: InboxEntry) -> bool:
        if self.is_down:
            raise StoreError("the disk is full")
        return super().receive(entry)

    def mark_done(self, update_id: str, *, at: datetime) -> None:
        if self.is_down:
            raise StoreError("the disk is full")
        super().mark_done(update_id, at=at)

    def mark_sent(self, outbox_id: str, *, at: datetime, message_id: str) -> None:
        if self.is_down:
            raise StoreError("the disk is full")
        super().mark_sent(outbox_id, at=at, message_id=message_id)


async def test_while_the_store_is_down_nothing_is_lost_and_nothing_doubled(
    telegram: FakeTelegram,
) -> None:
    store = FailingStore(":memory:")
    person = telegram.person(7)

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("before")
        await person.wait_reply()
        store.is_down = True
        person.send_text("during")
        await asyncio.sleep(0.3)
        assert len(person.bot_messages()) == 1
        store.is_down = False
        reply = await person.wait_reply(timeout=10)
        await settled(telegram, store)
    store.close()

    assert reply["text"] == "echo during"
    assert len(person.bot_messages()) == 2


async def test_the_token_is_in_no_log_line(
    telegram: FakeTelegram, store: SqliteEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    person = telegram.person(7, first_name="Wanda")
    telegram.faults.add(Fault(kind="refuse", method="sendMessage"))
    caplog.set_level(logging.DEBUG)

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("my private words")
        await person.wait_reply()

    logged = caplog.text
    assert logged
    assert telegram.token not in logged
    assert telegram.token.replace(":", "%3A") not in logged


async def test_the_inbox_holds_no_names(telegram: FakeTelegram) -> None:
    kept: list[str] = []

    class Watching(SqliteEventStore):
        def receive(self, entry: InboxEntry) -> bool:
            kept.append(entry.payload)
            return super().receive(entry)

    store = Watching(":memory:")
    person = telegram.person(7, first_name="Wanda")

    async with running_bot(ScriptedConversation(), store, telegram):
        person.send_text("hi")
        await person.wait_reply()
    store.close()

    assert kept
    assert "Wanda" not in "".join(kept)


def test_quotes_stand_in_a_block_of_their_own() -> None:
    from bot.telegram_text import html_of

    spans = (Span("Why", is_bold=True), Span("\n"), Span("a < b", is_quote=True))

    assert html_of(spans) == "<b>Why</b>\n<blockquote>a &lt; b</blockquote>"
