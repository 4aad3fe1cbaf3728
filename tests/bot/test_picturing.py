"""What the pictures of slates say: only what their messages say, and never more than fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.messages import CAPTION_UNITS, Card, Picture, Reply, Span, units
from data.catalogue import Catalogue
from data.events import FactKind, ProfileFact
from data.vocabulary import Allergen, AllergenState, Language
from tests.fakes import Person, build_conversation, sample_catalogue

LESSONS = [
    lesson.lesson_id for lesson in sample_catalogue().lessons if lesson.audience != "minors"
]


def text_of(spans: tuple[Span, ...]) -> str:
    return "".join(span.text for span in spans)


def parts_of(card: Card) -> tuple[str, ...]:
    return card.name, card.price, card.label, card.reason


def small(*, text: str = "", **changes: object) -> Catalogue:
    """Forty of the samples with every item, or the lesson's text, changed in the same way."""
    samples = sample_catalogue()
    items = [replace(item, **changes) for item in samples.items[:40]]  # type: ignore[arg-type]
    lessons = [replace(le, text=text or le.text) for le in samples.lessons[:1]]
    return Catalogue.of(items, lessons)


def slate_for(person: Person, lesson_id: str = LESSONS[0]) -> Reply:
    return person.command(f"/start {lesson_id}")[0]


def picture_for(person: Person, lesson_id: str = LESSONS[0]) -> Picture:
    picture = slate_for(person, lesson_id).picture
    assert picture is not None
    return picture


@pytest.mark.parametrize("language", Language)
def test_all_that_a_picture_says_stands_under_it(language: Language) -> None:
    conversation = build_conversation()
    n_slates = 0
    for lesson_id in LESSONS[::5]:
        reply = slate_for(Person(conversation, language=language), lesson_id)
        if reply.slate_id is None:
            continue
        n_slates += 1
        assert reply.picture is not None
        caption = text_of(reply.picture.caption)
        assert 0 < units(caption) <= CAPTION_UNITS
        assert len(reply.picture.cards) == len(reply.item_ids)
        for card in reply.picture.cards:
            assert f"{card.number}. {card.name}" in caption
            for part in parts_of(card):
                assert part in caption
    assert n_slates >= 12


def test_long_reasons_are_cut_under_the_picture_and_whole_in_the_text() -> None:
    sentence = "Stir the greens " + "until they are bright and the pan is dry and hot, " * 14
    person = Person(build_conversation(catalogue=small(text=f"{sentence.strip(', ')}.")))

    reply = slate_for(person)

    assert reply.picture is not None
    caption = text_of(reply.picture.caption)
    assert units(caption) <= CAPTION_UNITS < units(reply.text)
    assert any(card.reason.endswith("…") for card in reply.picture.cards)
    for card in reply.picture.cards:
        assert card.reason in caption
        assert card.reason.removesuffix("…") in reply.text


def test_words_that_can_get_no_shorter_go_without_a_picture() -> None:
    person = Person(build_conversation(catalogue=small(name_en="Plum " * 300)))

    reply = slate_for(person)

    assert reply.slate_id is not None
    assert reply.picture is None
    assert units(reply.text) > CAPTION_UNITS


def test_a_hidden_item_leaves_the_picture_and_the_others_keep_their_numbers() -> None:
    free = dict.fromkeys(Allergen, AllergenState.FREE_FROM)
    catalogue = small(allergens=free)
    first = slate_for(Person(build_conversation(catalogue=catalogue))).item_ids[0]
    items = [
        replace(item, allergens=free | {Allergen.MUSTARD: AllergenState.CONTAINS})
        if item.item_id == first
        else item
        for item in catalogue.items
    ]
    person = Person(build_conversation(catalogue=Catalogue.of(items, catalogue.lessons)))
    before = picture_for(person)
    assert first in person.item_ids, "the allergen alone must not change the choice"
    place = person.item_ids.index(str(first))
    why = person.button("Why")

    person.conversation.services.store.put_fact(
        ProfileFact(
            fact_id="f-1", user_key=person.user_key, at=person.clock(), kind=FactKind.ALLERGEN,
            value=Allergen.MUSTARD, source="test",
        )
    )  # fmt: skip
    after = person.presses_payload(why.payload)[0].picture

    assert after is not None
    assert [c.number for c in after.cards] == [
        card.number for n, card in enumerate(before.cards) if n != place
    ]
    assert before.cards[place].name not in {card.name for card in after.cards}


def test_the_page_of_an_item_has_its_photo_else_its_card() -> None:
    bare = Person(build_conversation())
    slate_for(bare)
    with_photo = Person(
        build_conversation(catalogue=small(image_url="https://shop.example/plum.jpg"))
    )
    slate_for(with_photo)

    card = bare.presses("Buy 1")[0].picture
    photo = with_photo.presses("Buy 1")[0].picture

    assert card is not None
    assert [c.number for c in card.cards] == [0]
    assert photo is not None
    assert photo.url == "https://shop.example/plum.jpg"
    assert photo.cards == ()


def test_whoever_turns_pictures_off_gets_none_until_they_turn_them_on() -> None:
    person = Person(build_conversation())
    assert slate_for(person).picture is not None
    person.command("/settings")
    person.presses("Turn off: Pictures")
    assert "Pictures with suggestions: off" in person.text
    assert slate_for(person, LESSONS[1]).picture is None
    assert person.presses("Buy 1")[0].picture is None

    person.command("/settings")
    person.presses("Turn on: Pictures")

    assert slate_for(person, LESSONS[2]).picture is not None


def test_the_choice_about_pictures_outlives_the_session_and_is_forgotten_with_the_rest() -> None:
    person = Person(build_conversation())
    person.command("/settings")
    person.presses("Turn off: Pictures")
    person.clock.advance(days=40)
    assert slate_for(person).picture is None

    person.command("/forget")
    person.presses("Erase")

    assert slate_for(person).picture is not None


def test_a_made_up_value_of_the_switch_changes_nothing() -> None:
    person = Person(build_conversation())
    signer = person.conversation.services.signer

    (reply,) = person.presses_payload(signer.sign(person.user_key, "pictures", "sideways"))

    assert reply.notice
    assert slate_for(person).picture is not None


def test_groups_get_words() -> None:
    assert slate_for(Person(build_conversation(), chat_kind="group")).picture is None
