"""What is remembered of an item is what the rules over one item say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.catalogue import Catalogue, Item
from data.vocabulary import Diet
from recommender.candidates import CatalogueTable, eligibility
from recommender.constraints import Constraints
from recommender.profile import UserProfile
from recommender.rule_columns import RuleColumns
from recommender.safety import safety_reason, wish_reason
from tests.fakes import NOON, sample_catalogue

ITEMS = sample_catalogue().items[::9]
EVERY = np.arange(len(ITEMS))

WISHES = {
    "one diet": Constraints(diets=frozenset({Diet.VEGAN})),
    "two diets": Constraints(diets=frozenset({Diet.VEGETARIAN, Diet.GLUTEN_FREE})),
    "words that overlap": Constraints(avoid=frozenset({"芒果", "芒果干", "mango"})),
    "excluded": Constraints(exclude=frozenset({"meat", "tofu", "soy sauce"})),
    "included": Constraints(include=frozenset({"fruit", "breakfast"})),
    "all at once": Constraints(
        avoid=frozenset({"rice"}),
        diets=frozenset({Diet.VEGETARIAN}),
        exclude=frozenset({"dairy"}),
        include=frozenset({"vegetable", "soup", "grain"}),
    ),
}


@pytest.mark.parametrize("wishes", WISHES.values(), ids=WISHES.keys())
def test_many_values_decide_as_they_do_together(wishes: Constraints) -> None:
    hidden = RuleColumns(ITEMS).hidden_by(wishes, EVERY)

    found = {int(row): reason for reason, rows in hidden.items() for row in rows}
    grown_up = replace(wishes, is_adult=True)
    expected = {
        row: reason
        for row, item in enumerate(ITEMS)
        if (reason := safety_reason(item, grown_up, at=NOON) or wish_reason(item, wishes))
    }
    assert found == expected


class Counted(list[Item]):
    """Items that note who is read."""

    def __init__(self, items: Iterable[Item]) -> None:
        super().__init__(items)
        self.read: list[int] = []

    def __getitem__(self, row: Any) -> Any:
        self.read.append(row)
        return super().__getitem__(row)


def test_an_item_is_read_once_and_never_passed_unread() -> None:
    items = Counted(ITEMS)
    columns = RuleColumns(items)

    columns.hidden_by(WISHES["one diet"], EVERY[:5])
    columns.hidden_by(WISHES["one diet"], EVERY[:8])

    assert items.read == list(range(8))


def test_what_cannot_be_read_stops_the_request() -> None:
    class Broken:
        audience = "all"

    columns = RuleColumns([Broken()])  # type: ignore[list-item]

    for _ in range(2):
        with pytest.raises(AttributeError):
            columns.hidden_by(Constraints(exclude=frozenset({"meat"})), np.array([0]))


def test_old_values_are_forgotten_and_read_again() -> None:
    columns = RuleColumns(ITEMS, most_bytes=1)
    words = [f"word{n}" for n in range(30)]
    expected = columns.hidden_by(WISHES["excluded"], EVERY)

    for word in words:
        columns.hidden_by(Constraints(exclude=frozenset({word})), EVERY[:2])
    again = columns.hidden_by(WISHES["excluded"], EVERY)

    assert len(columns._columns) <= 8
    assert {k: v.tolist() for k, v in again.items()} == {
        k: v.tolist() for k, v in expected.items()
    }


def test_an_adult_who_keeps_a_diet_sees_items_for_adults() -> None:
    vegan = next(i for i in ITEMS if safety_reason(i, WISHES["one diet"], at=NOON) is None)
    table = CatalogueTable(Catalogue.of([replace(vegan, audience="adults")]))
    wishes = replace(WISHES["one diet"], is_adult=True)

    may = eligibility(table, UserProfile(user_key="ann"), wishes, at=NOON)  # type: ignore[arg-type]

    assert may.n_eligible == 1
