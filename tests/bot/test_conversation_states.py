"""A stateful walk through the conversation: no dead button, no dead end, nothing that must not be shown.

`WALKS` sets how many walks are made.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.messages import ButtonPress, Command, FileMessage, Incoming, Reply, TextMessage
from bot.understanding.meaning import Intent, Meaning
from data.events import FactKind
from data.vocabulary import Allergen, AllergenState, Diet
from recommender.detector import detect_in_item
from tests.fakes import (
    FakeClock,
    Person,
    ScriptedInterpreter,
    build_conversation,
    emergency,
    sample_catalogue,
)

LESSONS = [lesson.lesson_id for lesson in sample_catalogue().lessons[:6]]
COMMANDS = [
    "start", f"start {LESSONS[0]}", f"start {LESSONS[1]}", "start nothing", "lessons", "lessons 3",
    "lessons bread", "lessons 99999999999", "help", "me", "settings", "mydata", "forget", "privacy",
    "language", "language zh", "language en", "language xx", "why", "undo", "stop", "stats", "pair x",
    "pin a b", "nonsense", "",
]  # fmt: skip


def understanding() -> ScriptedInterpreter:
    """Texts whose name says what they mean."""
    scripted = ScriptedInterpreter()
    means = scripted.means
    means("finished", Intent.FINISHED_LESSON, lesson=sample_catalogue().lessons[2].title)
    means("finished unknown", Intent.FINISHED_LESSON, lesson="quantum gravity of cats")
    means(
        "finished allergic",
        Intent.FINISHED_LESSON,
        lesson=sample_catalogue().lessons[3].title,
        allergens=["milk"],
    )
    means("cheaper", Intent.CRITIQUE, price="cheaper")
    means("pricier", Intent.CRITIQUE, price="pricier")
    means("under 9", Intent.CRITIQUE, price_max=9, currency="CNY")
    means("under 0", Intent.CRITIQUE, price_max=0, currency="USD")
    means("no seafood", Intent.CRITIQUE, exclude=["seafood"])
    means("fruit", Intent.RECOMMEND, include=["fruit"], season="summer")
    means("dragon meat", Intent.RECOMMEND, include=["dragon"])
    means("topic", Intent.RECOMMEND)
    means("vegan now", Intent.CRITIQUE, diet=["vegan"])
    means("others", Intent.CRITIQUE)
    means("search", Intent.SEARCH_PRODUCT, product="tofu")
    means("search nothing", Intent.SEARCH_PRODUCT, product="xylophone")
    means("why", Intent.WHY)
    means("why 2", Intent.WHY, item_ref=2)
    means("like 2", Intent.LIKE, item_ref=2)
    means("like 3, not the 2", Intent.LIKE, item_ref=3)
    means("more like 1", Intent.LIKE, item_ref=1)
    means("more like these", Intent.LIKE)
    means("great", Intent.LIKE)
    means("dislike 1", Intent.DISLIKE, item_ref=1)
    means("never 1", Intent.DISLIKE, item_ref=1)
    means("no coriander", Intent.DISLIKE, product="coriander")
    means("bad", Intent.DISLIKE)
    for allergen in ("nuts", "milk", "gluten", "peanuts", "soybeans", "fish"):
        means(f"allergic {allergen}", Intent.SET_CONSTRAINT, allergens=[allergen])
    means("allergic nothing", Intent.SET_CONSTRAINT)
    means("vegetarian", Intent.SET_CONSTRAINT, diet=["vegetarian"])
    means("no pork ever", Intent.SET_CONSTRAINT, exclude=["pork"])
    means("not allergic", Intent.UNSET_CONSTRAINT, allergens=["nuts"])
    means("pork again", Intent.UNSET_CONSTRAINT, exclude=["pork"])
    for intent in (
        Intent.SHOW_PROFILE, Intent.DELETE_DATA, Intent.EXPORT_DATA, Intent.PAUSE, Intent.RESUME,
        Intent.HELP, Intent.GREET, Intent.THANKS, Intent.OUT_OF_SCOPE,
    ):  # fmt: skip
        means(str(intent), intent)
    scripted.meanings["mango allergy"] = Meaning(
        intent=Intent.SET_CONSTRAINT, confidence=0.4, maybe_allergy=True, allergy_words=("mango",)
    )
    scripted.meanings["maybe"] = Meaning(
        intent=Intent.RECOMMEND, confidence=0.4, maybe_allergy=True
    )
    scripted.meanings["help me breathe"] = emergency()
    return scripted


TEXTS = [
    *understanding().meanings, "undo", "back", "start over", "重新开始", "换一批", "返回", "", "   ", "x" * 5000, "🍐",
    "<b>&amp;", "{n}", "%s",
]  # fmt: skip


class Walk(RuleBasedStateMachine):
    """One person, and a twin in a world of the same seeds who does the same."""

    @initialize(language=st.sampled_from(["zh-hans", "en", "fr", ""]))
    def begin(self, language: str) -> None:
        self.clock = FakeClock()
        self.people = [
            Person(build_conversation(understanding=understanding(), creators=[7]), clock=self.clock,
                   language=language, numeric_id=7, name="walker", _run=1)
            for _ in range(2)
        ]  # fmt: skip
        self.number = 0

    def _do(self, make: type[Incoming], **fields: object) -> list[Reply]:
        self.number += 1
        answers: list[list[Reply]] = []
        for person in self.people:
            incoming = make(
                incoming_id=f"w:{self.number}", sender=person.sender, at=self.clock(), **fields
            )
            now = self.clock.now
            answers.append(person.sends(incoming))
            self.clock.now = now
        self.clock.advance(seconds=5)
        mine, twins = answers
        assert [_comparable(r) for r in mine] == [_comparable(r) for r in twins]
        self._check(mine)
        return mine

    @rule(text=st.sampled_from(TEXTS))
    def say(self, text: str) -> None:
        self._do(TextMessage, text=text)

    @rule(line=st.sampled_from(COMMANDS))
    def command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        self._do(Command, name=name, argument=argument)

    @rule(which=st.integers(0, 10**6))
    def press_any_button(self, which: int) -> None:
        buttons = [b for b in self.people[0].buttons() if b.payload]
        if buttons:
            self._do(ButtonPress, payload=buttons[which % len(buttons)].payload)

    @rule(which=st.integers(0, 30))
    def press_a_new_button(self, which: int) -> None:
        buttons = [
            b
            for reply in self.people[0].replies
            for row in reply.buttons
            for b in row
            if b.payload
        ]
        if buttons:
            replies = self._do(ButtonPress, payload=buttons[which % len(buttons)].payload)
            unknown = {
                "I can't read that button. Please use the newest message.",
                "我读不懂这个按钮，请用最新一条消息。",
            }
            assert not unknown & {reply.notice for reply in replies}

    @rule(payload=st.text(max_size=80))
    def press_nonsense(self, payload: str) -> None:
        (reply,) = self._do(ButtonPress, payload=payload)
        assert reply.notice

    @rule()
    def send_a_file(self) -> None:
        self._do(FileMessage, file_name="x.pdf", content=b"x")

    @rule(hours=st.sampled_from([1, 25, 24 * 8]))
    def wait(self, hours: int) -> None:
        self.clock.advance(hours=hours)

    def _check(self, replies: list[Reply]) -> None:
        assert replies
        person = self.people[0]
        conversation = person.conversation
        for reply in replies:
            assert reply.text.strip() or reply.notice.strip()
            for row in reply.buttons:
                for button in row:
                    assert button.label.strip()
                    assert len(button.payload.encode()) <= 64
                    if button.payload:
                        read = conversation.services.signer.read(person.user_key, button.payload)
                        assert read is not None
            if reply.item_ids:
                self._check_items(reply)
        at = self.clock()
        assert conversation.services.store.safety_violations(since=at - timedelta(days=4000)) == 0

    def _check_items(self, reply: Reply) -> None:
        person = self.people[0]
        facts = person.conversation.services.store.facts(person.user_key, at=self.clock())
        by_id = sample_catalogue().items_by_id
        for item in (by_id[item_id] for item_id in reply.item_ids):
            for fact in facts:
                if fact.kind is FactKind.ALLERGEN:
                    allergen = Allergen(fact.value)
                    assert item.allergen_state(allergen) is AllergenState.FREE_FROM
                    assert allergen not in detect_in_item(item)
                if fact.kind is FactKind.DIET:
                    assert Diet(fact.value) in (item.diets or ())
                if fact.kind is FactKind.AVOID:
                    assert "mango" not in f"{item.name_en} {item.description_en}".lower()

    @invariant()
    def there_is_a_way_out(self) -> None:
        """Whatever was said, the last turn offered a button or the lessons are one command away."""
        if not hasattr(self, "people"):
            return
        person = self.people[0]
        probe = replace(person, replies=[], history=list(person.history))
        turn = Command(incoming_id="probe", sender=probe.sender, at=self.clock(), name="help")
        with person.conversation.services.store.transaction():
            assert person.conversation.handle(turn)[0].buttons


def _comparable(reply: Reply) -> object:
    """A reply without the receipt of an erasure, which is random on purpose."""
    text = reply.text.partition("Receipt")[0].partition("回执")[0]
    return (text, reply.buttons, reply.notice, reply.item_ids, reply.is_edit, reply.slate_id)


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=int(os.environ.get("WALKS", "15")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
