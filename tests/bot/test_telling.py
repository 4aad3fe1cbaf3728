"""What people tell about themselves: taken over, confirmed, undone, lifted in two steps."""

from __future__ import annotations

import pytest

from bot.understanding.meaning import Intent
from data.events import FactKind, ProfileFact
from tests.fakes import Person, ScriptedInterpreter, build_conversation


def person(**scripts: tuple[Intent, dict[str, object]]) -> Person:
    script = ScriptedInterpreter()
    for text, (intent, slots) in scripts.items():
        script.means(text, intent, **slots)
    return Person(build_conversation(understanding=script))


def facts(ann: Person) -> list[ProfileFact]:
    return ann.conversation.services.store.facts(ann.user_key, at=ann.clock())


ALLERGIC = (Intent.SET_CONSTRAINT, {"allergens": ["milk"]})


@pytest.mark.parametrize(
    ("slots", "kind", "value", "said"),
    [
        ({"allergens": ["milk"]}, FactKind.ALLERGEN, "milk", "allergic to milk"),
        ({"diet": ["halal"]}, FactKind.DIET, "halal", "diet: halal"),
        ({"exclude": ["pork"]}, FactKind.EXCLUDE, "pork", "no pork"),
        ({"product": "coriander"}, FactKind.EXCLUDE, "coriander", "no coriander"),
        ({"include": ["fruit"]}, FactKind.PREFER, "fruit", "likes fruit"),
        ({"price_max": 30}, FactKind.PRICE_MAX, "30", "at most CN¥30.00"),
        ({"price_max": 10, "currency": "USD"}, FactKind.PRICE_MAX, "71.0", "at most CN¥71.00"),
    ],
)
def test_every_kind_of_rule_is_stored_and_confirmed(
    slots: dict[str, object], kind: FactKind, value: str, said: str
) -> None:
    ann = person(told=(Intent.SET_CONSTRAINT, slots))
    ann.says("told")
    (fact,) = facts(ann)
    assert (fact.kind, fact.value, fact.source) == (kind, value, "told")
    assert said in ann.text
    assert "Undo" in ann.labels


def test_a_rule_without_words_is_asked_for() -> None:
    ann = person(told=(Intent.SET_CONSTRAINT, {}))
    ann.says("told")
    assert "did not get what to avoid" in ann.text
    assert not facts(ann)


def test_undo_takes_a_rule_back_once() -> None:
    ann = person(told=ALLERGIC)
    ann.says("told")
    ann.presses("Undo")
    assert not facts(ann)
    ann.command("/undo")
    assert "nothing to take back" in ann.text


def test_a_protecting_rule_is_lifted_in_two_steps() -> None:
    ann = person(told=ALLERGIC, lift=(Intent.UNSET_CONSTRAINT, {"allergens": ["milk"]}))
    ann.says("told")
    ann.says("lift")
    assert facts(ann)
    assert "This rule protects you" in ann.text
    ann.presses("Lift it")
    assert not facts(ann)


def test_a_taste_is_lifted_at_once() -> None:
    ann = person(
        told=(Intent.SET_CONSTRAINT, {"exclude": ["pork"]}),
        lift=(Intent.UNSET_CONSTRAINT, {"exclude": ["pork"]}),
    )
    ann.says("told")
    ann.says("lift")
    assert not facts(ann)
    assert "Lifted: no pork" in ann.text


def test_lifting_what_was_never_said_shows_what_was() -> None:
    ann = person(told=ALLERGIC, lift=(Intent.UNSET_CONSTRAINT, {"allergens": ["nuts"]}))
    ann.says("told")
    ann.says("lift")
    assert "What I know about you" in ann.text
    assert "allergic to milk" in ann.text
    assert facts(ann)


def test_remembering_keeps_and_withdrawing_gives_back_the_end() -> None:
    ann = person(told=ALLERGIC)
    ann.says("told")
    ann.presses("Remember it")
    assert facts(ann)[0].expires_at is None
    ann.command("/settings")
    ann.presses("Turn off: Remember my diet")
    assert facts(ann)[0].expires_at is not None
