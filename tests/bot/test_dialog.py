"""The dialogue's state: pure steps, one undo, and a row that survives."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.dialog import LIFETIME, MAX_HISTORY, Dialog, from_json, from_row, to_json, to_row
from data.catalogue import ItemId, LessonId
from data.events import SlateId, UserKey
from data.store import DialogRow
from data.vocabulary import Allergen, Diet
from recommender.constraints import Constraints
from tests.fakes import NOON

FULL = Dialog(
    lesson_id=LessonId("l"),
    topic="t",
    slates=(SlateId("a"), SlateId("b")),
    wishes=Constraints(
        allergens=frozenset({Allergen.NUTS}),
        avoid=frozenset({"mango"}),
        diets=frozenset({Diet.VEGAN}),
        exclude=frozenset({"meat"}),
        include=frozenset({"fruit"}),
        price_max=Decimal("9.90"),
        price_min=Decimal(1),
        price_below=Decimal(8),
        price_above=Decimal(2),
    ),
    words=("sour",),
    like=(ItemId("x"),),
    asked="forget",
    undo="wishes",
    before=to_json(Dialog(topic="earlier")),
)


def test_a_state_survives_its_row() -> None:
    assert from_json(to_json(FULL)) == FULL
    row = to_row(FULL, UserKey("u"), at=NOON)
    assert from_row(row) == FULL
    assert row.expires_at == NOON + LIFETIME


@pytest.mark.parametrize(
    "state", ["", "[]", "{}", '{"wishes": 1}', to_json(FULL).replace("nuts", "nothing")]
)
def test_an_unreadable_row_is_a_fresh_start(state: str) -> None:
    row = to_row(FULL, UserKey("u"), at=NOON)
    broken = DialogRow(
        user_key=row.user_key, state=state, version=row.version, expires_at=row.expires_at
    )
    assert from_row(broken) == Dialog()


def test_a_missing_or_older_row_is_a_fresh_start() -> None:
    assert from_row(None) == Dialog()
    old = DialogRow(
        user_key=UserKey("u"), state=to_json(FULL), version=1, expires_at=NOON + timedelta(1)
    )
    assert from_row(old) == Dialog()


def test_wishes_add_up_and_the_latest_word_counts() -> None:
    dialog = Dialog().wishing(Constraints(exclude=frozenset({"fish"})), ("sour",))
    dialog = dialog.wishing(Constraints(include=frozenset({"fruit"})), ("sour", "light"))
    assert dialog.wishes.exclude == {"fish"}
    assert dialog.wishes.include == {"fruit"}
    assert dialog.words == ("sour", "light")
    assert not dialog.wishing(Constraints(include=frozenset({"fish"}))).wishes.exclude
    assert not dialog.wishing(Constraints(exclude=frozenset({"fruit"}))).wishes.include


def test_undo_goes_back_one_wish() -> None:
    first = Dialog(topic="t").wishing(Constraints(exclude=frozenset({"fish"})))
    second = first.wishing(Constraints(exclude=frozenset({"meat"})))
    assert second.undone().wishes == first.wishes
    assert second.undone().undo == ""
    assert first.liking((ItemId("x"),)).undone().like == ()
    assert Dialog(undo="wishes").undone() == Dialog()


def test_the_way_back_does_not_grow_with_every_wish() -> None:
    dialog = Dialog()
    for number in range(30):
        dialog = dialog.wishing(Constraints(exclude=frozenset({f"w{number % 3}"})))
    assert len(to_json(dialog)) < 2_000


def test_a_history_is_kept_within_bounds() -> None:
    dialog = Dialog()
    for number in range(40):
        dialog = dialog.showing(SlateId(str(number)))
    assert len(dialog.slates) == MAX_HISTORY
    assert dialog.slate_id == "39"
    assert dialog.back().slate_id == "38"
    assert Dialog().back().slate_id is None
    assert Dialog(slates=(SlateId("a"),)).back().slate_id == "a"


def test_starting_over_keeps_the_subject_only() -> None:
    dialog = FULL.without_wishes()
    assert (dialog.lesson_id, dialog.topic) == ("l", "t")
    assert dialog.wishes == Constraints()
    assert not dialog.words
    assert not dialog.like
    assert dialog.undone().wishes == FULL.wishes


def test_a_new_subject_ends_the_wishes_and_a_topic_keeps_them() -> None:
    assert FULL.opened(lesson_id=LessonId("m")) == Dialog(lesson_id=LessonId("m"))
    about = FULL.about("pears")
    assert about.wishes == FULL.wishes
    assert (about.topic, about.lesson_id, about.slates) == ("pears", None, ())
