"""The conversation core: what people send in, and what they get."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bot.messages import Command, FileMessage, Incoming, Reply, TextMessage
from bot.understanding.meaning import Intent, Meaning
from data.catalogue import Catalogue
from data.errors import StoreError
from data.events import FactKind, ReplyKind
from data.sqlite_store import SqliteEventStore
from tests.fakes import (
    FakeClock,
    Person,
    ScriptedInterpreter,
    build_conversation,
    build_services,
    emergency,
    sample_catalogue,
)

LESSON = sample_catalogue().lessons[0]


def person_with(script: ScriptedInterpreter | None = None, **choices: object) -> Person:
    return Person(build_conversation(understanding=script or ScriptedInterpreter(), **choices))


def finished(**choices: object) -> Person:
    person = person_with(**choices)
    person.command(f"/start {LESSON.lesson_id}")
    return person


def scripted(text: str, intent: Intent, **slots: object) -> ScriptedInterpreter:
    script = ScriptedInterpreter()
    script.means(text, intent, **slots)
    return script


def test_a_deep_link_opens_the_lesson_with_three_items() -> None:
    person = finished()
    assert LESSON.title in person.text
    assert len(person.item_ids) == 3
    assert "Why these?" in person.labels


@pytest.mark.parametrize("payload", ["no-such", "x" * 65, "../../etc", "lesson_", "<b>"])
def test_an_unknown_link_says_so_and_goes_on(payload: str) -> None:
    person = person_with()
    person.command(f"/start {payload}")
    assert "names no lesson I know" in person.text
    assert "Lessons" in person.labels


def test_the_language_of_the_client_decides_until_one_is_chosen() -> None:
    person = Person(build_conversation(), language="zh-hans")
    person.command("/help")
    assert "过敏" in person.text
    person.command("/language en")
    person.command("/help")
    assert "What I can do" in person.text
    person.command("/language xx")
    assert "Which language?" in person.text
    assert {"中文", "English"} <= set(person.labels)


def test_an_emergency_outranks_everything_and_shows_no_items() -> None:
    script = ScriptedInterpreter()
    script.meanings["help"] = emergency()
    person = finished(script=script)
    person.says("help")
    assert "112" in person.text
    assert not person.item_ids


def test_an_allergy_said_by_the_way_is_stored_and_the_lesson_answered() -> None:
    script = ScriptedInterpreter()
    script.meanings["done, allergic"] = Meaning(
        intent=Intent.FINISHED_LESSON,
        slots={"lesson": LESSON.title, "allergens": ["nuts"]},
        confidence=0.7,
        maybe_allergy=True,
    )
    person = person_with(script)
    first, second = person.says("done, allergic")
    assert "tree nuts" in first.text
    assert LESSON.title in second.text
    assert "Hidden for you" in second.text
    assert second.item_ids
    person.says("undo")
    assert not person.conversation.services.store.facts(person.user_key, at=person.clock())


def test_what_may_be_an_allergy_holds_and_is_asked_about() -> None:
    script = ScriptedInterpreter()
    script.meanings["hm"] = Meaning(
        intent=Intent.OUT_OF_SCOPE, confidence=0.4, maybe_allergy=True, allergy_words=("mango",)
    )
    person = person_with(script)
    person.says("hm")
    assert "To be careful" in person.text
    (fact,) = person.conversation.services.store.facts(person.user_key, at=person.clock())
    assert (fact.kind, fact.value) == (FactKind.AVOID, "mango")


def test_a_session_fact_ends_after_a_day_and_a_remembered_one_does_not() -> None:
    script = scripted("allergic", Intent.SET_CONSTRAINT, allergens=["nuts"])
    for remembers, n_left in ((False, 0), (True, 1)):
        person = person_with(script)
        person.says("allergic")
        if remembers:
            person.presses("Remember it")
        person.clock.advance(hours=25)
        facts = person.conversation.services.store.facts(person.user_key, at=person.clock())
        assert len(facts) == n_left


def test_a_wish_that_holds_stands_under_the_heading_with_start_over() -> None:
    person = finished(script=scripted("no fish", Intent.CRITIQUE, exclude=["seafood"]))
    person.says("no fish")
    assert "With your wishes: without seafood." in person.text
    assert "Start over" in person.labels
    person.presses("Start over")
    assert "With your wishes" not in person.text


def test_a_critique_shows_descriptions_and_the_lessons_own_slate_its_sentences() -> None:
    person = finished(script=scripted("like 1", Intent.LIKE, item_ref=1))
    assert "The lesson: “" in person.text
    script = person.conversation.services.understanding
    assert isinstance(script, ScriptedInterpreter)
    script.means("more like 1", Intent.LIKE, item_ref=1)
    person.says("more like 1")
    assert "More like" in person.text
    assert "The lesson: “" not in person.text


def test_a_word_that_no_item_is_filed_under_empties_no_page() -> None:
    person = finished(script=scripted("x", Intent.CRITIQUE, include=["dragonfruit_jam"]))
    person.says("x")
    assert person.item_ids


def test_undo_takes_back_one_wish_at_a_time() -> None:
    script = scripted("no fish", Intent.CRITIQUE, exclude=["seafood"])
    script.means("no meat", Intent.CRITIQUE, exclude=["meat"])
    person = finished(script=script)
    person.says("no fish")
    person.says("no meat")
    assert "meat" in person.text
    person.says("undo")
    assert "seafood" in person.text
    assert "meat" not in person.text.partition("1.")[0]


def test_a_number_that_is_not_on_show_is_asked_about_and_likes_nothing() -> None:
    person = finished(script=scripted("like 9", Intent.LIKE, item_ref=9))
    person.says("like 9")
    assert "Which one do you mean?" in person.text
    assert not person.conversation.services.store.replies(user_key=person.user_key)


def test_a_correction_moves_the_like() -> None:
    script = scripted("like 1", Intent.LIKE, item_ref=1)
    script.means("not the 1st, the 2nd", Intent.DISLIKE, item_ref=2)
    person = finished(script=script)
    first, second = person.item_ids[:2]
    person.says("like 1")
    person.says("not the 1st, the 2nd")
    replies = person.conversation.services.store.replies(user_key=person.user_key)
    kinds = [(r.kind, r.item_id) for r in replies if r.kind is not ReplyKind.UNDO]
    assert (ReplyKind.LIKE, second) in kinds
    assert ReplyKind.DISLIKE not in {kind for kind, _ in kinds}
    undone = {r.value for r in replies if r.kind is ReplyKind.UNDO}
    assert {r.item_id for r in replies if r.reply_id in undone} == {first}


def test_a_long_message_is_read_in_part_and_said_so() -> None:
    person = person_with()
    person.says("x" * 5000)
    assert "2000" in person.text.replace(",", "")
    script = person.conversation.services.understanding
    assert isinstance(script, ScriptedInterpreter)
    assert len(script.heard[0]) == 2000


@pytest.mark.parametrize(
    "payload", ["", "x" * 70, "1|like|s:0|AAAAAAAAAAA", "||||", "1|help||", "猫" * 20]
)
def test_a_payload_that_is_not_ours_gets_a_notice(payload: str) -> None:
    (reply,) = person_with().presses_payload(payload)
    assert "can't read that button" in reply.notice


def test_a_stranger_cannot_press_another_persons_button() -> None:
    ann = finished()
    bob = Person(ann.conversation, name="bob")
    (reply,) = bob.presses_payload(ann.button("Like 1").payload)
    assert "can't read that button" in reply.notice
    assert not ann.conversation.services.store.replies()


def test_an_unknown_action_that_we_signed_gets_a_notice() -> None:
    person = finished()
    signer = person.conversation.services.signer
    slate_id = person.replies[0].slate_id
    (reply,) = person.presses_payload(signer.sign(person.user_key, "fly", f"{slate_id}:0"))
    assert reply.notice


def test_an_old_button_works_after_months() -> None:
    person = finished()
    label = person.button("Like 1")
    person.clock.advance(days=200)
    person.presses_payload(label.payload)
    assert "Noted: you like" in person.text


def test_an_old_button_does_not_bring_back_what_must_not_be_shown() -> None:
    person = finished(
        script=scripted(
            "allergic",
            Intent.SET_CONSTRAINT,
            allergens=[
                "gluten",
                "milk",
                "eggs",
                "nuts",
                "soybeans",
                "crustaceans",
                "molluscs",
                "fish",
                "celery",
            ],
        )
    )
    old = [person.button(f"Buy {n}") for n in (1, 2, 3)]
    person.says("allergic")
    shown = {item for button in old for item in _items(person.presses_payload(button.payload))}
    states = [sample_catalogue().items_by_id[i].allergens for i in shown]  # type: ignore[index]
    assert all(
        str(s) == "free_from" for state in states for a, s in state.items() if a == "gluten"
    )
    assert "does not meet what you told me" in "\n".join(r.notice for r in person.history)


def _items(replies: list[Reply]) -> set[str]:
    return {item_id for reply in replies for item_id in reply.item_ids}


@pytest.mark.parametrize("command", ["me", "mydata", "forget", "settings"])
def test_personal_pages_stay_out_of_groups(command: str) -> None:
    person = Person(build_conversation(), chat_kind="group")
    person.command(command)
    assert "private chat" in person.text


def test_an_allergy_said_in_a_group_is_kept_but_not_repeated_there() -> None:
    script = scripted("allergic", Intent.SET_CONSTRAINT, allergens=["nuts"])
    person = Person(build_conversation(understanding=script), chat_kind="group")
    person.says("allergic")
    assert "tree nuts" not in person.text
    assert person.conversation.services.store.facts(person.user_key, at=person.clock())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_slate_and_its_reasons_give_no_allergy_away_in_a_group(language: str) -> None:
    script = scripted("allergic", Intent.SET_CONSTRAINT, allergens=["nuts"])
    alone = Person(build_conversation(understanding=script), language=language)
    alone.says("allergic")
    in_group = replace(alone, chat_kind="group")

    alone.command(f"/start {LESSON.lesson_id}")
    assert re.search("with a declared allergen|含你声明的过敏原", alone.text)
    in_group.command(f"/start {LESSON.lesson_id}")
    assert in_group.item_ids
    assert re.search("in private|私下", in_group.text)
    assert not re.search("declared allergen|may contain it|声明的过敏原", in_group.text)

    in_group.command("/why")
    assert re.search("ask me in private|私聊问我", in_group.text)
    assert not re.search("tree nuts|坚果", in_group.text)


@pytest.mark.parametrize("command", ["stats", "pair x", "pin a b", "ban a b", "judge a b 1"])
def test_a_stranger_is_politely_refused_what_is_for_admins(command: str) -> None:
    person = Person(build_conversation(admins=[1], creators=[2]), numeric_id=3)
    person.command(command)
    assert "not for this account" in person.text


def test_an_unknown_command_and_a_file_are_answered() -> None:
    person = person_with()
    person.command("/fly me")
    assert "/fly" in person.text
    replies = person.sends(
        FileMessage(
            incoming_id="f", sender=person.sender, at=person.clock(), file_name="x", content=b""
        )
    )
    assert "can't read files" in replies[0].text


def test_something_of_no_known_kind_is_answered() -> None:
    person = person_with()
    (reply,) = person.sends(Incoming(incoming_id="z", sender=person.sender, at=person.clock()))
    assert reply.text


def test_a_shop_without_a_fitting_item_says_so_and_leads_on() -> None:
    items = sample_catalogue().items[:1]
    person = person_with(
        scripted("allergic", Intent.SET_CONSTRAINT, allergens=["nuts"]),
        catalogue=Catalogue.of(items, sample_catalogue().lessons[:2]),
    )
    person.command(f"/start {LESSON.lesson_id}")
    assert person.text
    assert person.labels


def test_a_shop_without_lessons_says_so() -> None:
    person = person_with(catalogue=Catalogue.of(sample_catalogue().items[:20], ()))
    person.command("/lessons")
    assert "no lessons here yet" in person.text


def test_the_same_update_twice_stores_nothing_twice() -> None:
    person = finished(script=scripted("like 1", Intent.LIKE, item_ref=1))
    message = TextMessage(
        incoming_id="same", sender=person.sender, at=person.clock(), text="like 1"
    )
    person.sends(message)
    person.sends(message)
    assert len(person.conversation.services.store.replies(user_key=person.user_key)) == 1


def test_nothing_is_stored_when_an_answer_fails() -> None:
    class Broken(ScriptedInterpreter):
        def understand(self, text: str) -> Meaning:
            raise RuntimeError("broken")

    person = person_with(Broken())
    with pytest.raises(RuntimeError):
        person.says("hello")
    assert person.conversation.services.store.dialog(person.user_key, at=person.clock()) is None


def test_a_locked_database_is_a_clear_error(tmp_path: Path) -> None:
    store = SqliteEventStore(tmp_path / "z.db", busy_timeout_seconds=0.1)
    person = person_with(store=store)
    person.command("/help")
    other = SqliteEventStore(tmp_path / "z.db", busy_timeout_seconds=0.1)
    with other.transaction():
        other.audit(at=person.clock(), actor="x", action="holds the lock")
        with ThreadPoolExecutor(1) as pool, pytest.raises(StoreError) as error:
            pool.submit(person.command, "/help").result()
    assert "lock" in str(error.value) or "busy" in str(error.value)
    other.close()
    person.command("/help")
    assert person.text
    store.close()


def test_a_delivered_slate_becomes_impressions_and_an_undelivered_one_does_not() -> None:
    person = finished()
    store = person.conversation.services.store
    assert len(store.impressions(user_key=person.user_key)) == 3
    clock = FakeClock()
    conversation = build_conversation()
    conversation.handle(
        Command(
            incoming_id="c",
            sender=person.sender,
            at=clock(),
            name="start",
            argument=LESSON.lesson_id,
        )
    )
    assert not conversation.services.store.impressions()
    assert len(conversation.services.store.slates()) == 1


def test_the_last_check_replaces_what_must_not_be_sent_and_counts_it() -> None:
    person = finished(script=scripted("allergic", Intent.SET_CONSTRAINT, allergens=["milk"]))
    person.says("allergic")
    milky = next(i for i in sample_catalogue() if str(i.allergens.get("milk")) == "contains")  # type: ignore[call-overload]
    incoming = Command(incoming_id="q", sender=person.sender, at=person.clock(), name="help")
    checked = person.conversation.checked(Reply(item_ids=(milky.item_id,)), incoming)
    assert not checked.item_ids
    assert "last check" in checked.text
    assert person.conversation.services.store.safety_violations() == 1


def test_services_have_random_ids_of_their_own_by_default() -> None:
    services = build_services()
    assert services.new_slate_id() != services.new_slate_id()


def test_a_guess_is_not_kept_as_a_taste() -> None:
    script = ScriptedInterpreter()
    script.meanings["hm"] = Meaning(intent=Intent.DISLIKE, confidence=0.4)
    person = finished(script=script)
    person.says("hm")
    assert "Back to the food" in person.labels
    assert not person.conversation.services.store.replies(user_key=person.user_key)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("undo", "nothing to take back"), ("back", "nothing before this"), ("start over", "You finished"),
        ("others", "You finished"), ("how do I buy it?", "You finished"), ("怎么买", "You finished"),
    ],
)  # fmt: skip
def test_words_that_steer_need_no_understanding(text: str, said: str) -> None:
    person = finished()
    person.says(text)
    assert said in person.text
    script = person.conversation.services.understanding
    assert isinstance(script, ScriptedInterpreter)
    assert not script.heard


@pytest.mark.parametrize("text", ["undo", "back", "start over", "others", "how do I buy it?"])
def test_words_that_steer_lead_on_when_there_is_nothing_to_steer(text: str) -> None:
    person = person_with()
    person.says(text)
    assert person.text
    assert person.labels
