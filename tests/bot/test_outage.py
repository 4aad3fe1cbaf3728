"""While the store is down: silence for a moment, then one sentence, and advice at once."""

from __future__ import annotations

from bot.messages import Sender, TextMessage
from bot.outage import PATIENCE_SECONDS, QUIET_SECONDS, OutageNotes
from data.events import UserKey
from data.vocabulary import Language
from tests.bot.telegram_world import ScriptedConversation, running_bot
from tests.bot.test_telegram_app import FailingStore
from tests.fake_telegram.server import FakeTelegram
from tests.fakes import NOON


def said(text: str, number: int = 1, code: str = "en") -> TextMessage:
    sender = Sender(user_key=UserKey("u"), language_code=code, channel="telegram")
    return TextMessage(incoming_id=f"tg:{number}", sender=sender, at=NOON, text=text)


def test_a_short_outage_is_passed_over_in_silence() -> None:
    notes = OutageNotes(Language.EN)

    assert notes.note(7, said("hi"), now=0.0) is None
    assert notes.note(7, said("hi"), now=PATIENCE_SECONDS - 1) is None


def test_in_a_long_outage_each_person_is_told_once_in_their_language() -> None:
    notes = OutageNotes(Language.EN)
    notes.note(7, said("hi"), now=0.0)
    later = PATIENCE_SECONDS + 1

    told = [notes.note(7, said("hi", n), now=later) for n in (1, 1, 2)]
    other = notes.note(8, said("hi", 3, "zh-hans"), now=later)

    assert "not lost" in str(told[0])
    assert told[1:] == [None, None]
    assert "没有丢" in str(other)


def test_another_outage_is_told_of_again() -> None:
    notes = OutageNotes(Language.EN)
    notes.note(7, said("hi"), now=0.0)
    notes.note(7, said("hi"), now=PATIENCE_SECONDS + 1)
    begin = PATIENCE_SECONDS + QUIET_SECONDS + 10

    first = notes.note(7, said("hi", 2), now=begin)
    second = notes.note(7, said("hi", 2), now=begin + PATIENCE_SECONDS + 1)

    assert first is None
    assert second is not None


def test_advice_in_an_emergency_goes_at_once_and_once() -> None:
    notes = OutageNotes(Language.EN)
    message = said("I just ate peanuts and my throat is swelling, help")

    assert "112" in str(notes.note(7, message, now=0.0))
    assert notes.note(7, message, now=1.0) is None


async def test_on_telegram_the_advice_arrives_although_nothing_can_be_stored() -> None:
    async with FakeTelegram() as telegram:
        store = FailingStore(":memory:")
        person = telegram.person(7)
        async with running_bot(ScriptedConversation(), store, telegram):
            person.send_text("before")
            await person.wait_reply()
            store.is_down = True
            person.send_text("刚吃了花生，喘不上气，救命")
            advice = await person.wait_reply(timeout=10)
            store.is_down = False
            later = await person.wait_reply(timeout=20)
        store.close()

    assert "120" in advice["text"]
    assert later["text"].startswith("echo")
