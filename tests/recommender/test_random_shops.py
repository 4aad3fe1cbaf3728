"""No path shows an excluded item, whatever the shop's data are like.

`SAFETY_CASES` sets how many (person, item) decisions are made; a million takes some minutes.
"""

from __future__ import annotations

import os
from random import Random

import numpy as np

from data.catalogue import Catalogue, ItemId
from data.events import FactKind, SlateId, UserKey
from data.vocabulary import Allergen
from index.matches import Hit, Matches, Query
from recommender.candidates import CatalogueTable, eligibility
from recommender.constraints import Constraints
from recommender.guard import refusals
from recommender.profile import fold_profile
from recommender.recommend import Recommender
from recommender.safety import safety_reason
from recommender.slate import Request
from tests.fakes import NOON
from tests.recommender.random_shop import Made, must_not_be_shown, random_facts, random_item

CASES = int(os.environ.get("SAFETY_CASES", "20000"))
SHOP = 100


class EverythingMatches:
    """A matcher that would offer any eligible item."""

    version = "test"

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        rows = np.flatnonzero(eligible if eligible is not None else np.ones(len(self._catalogue)))
        hits = tuple(
            Hit(
                item_id=self._catalogue.items[row].item_id, row=int(row), score=0.9, dense=0.9,
                lexical=0.0, knowledge=0.0,
            )
            for row in rows[:top_k]
        )  # fmt: skip
        return Matches(hits=hits, floor=0.1, is_silent=not hits)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        return np.eye(len(rows))


def test_no_path_shows_an_excluded_item() -> None:
    decisions = slates = shown = 0
    shop_number = 0
    while decisions < CASES:
        shop_number += 1
        random = Random(shop_number)
        made = {ItemId(f"i{n}"): random_item(random, n) for n in range(SHOP)}
        catalogue = Catalogue.of(m.item for m in made.values())
        table = CatalogueTable(catalogue)
        recommender = Recommender(table=table, matcher=EverythingMatches(catalogue))
        for seed in range(20):
            facts = random_facts(random)
            profile = fold_profile(UserKey("u"), facts=facts, at=NOON)
            mask = eligibility(table, profile, Constraints(), at=NOON).mask
            for row, item in enumerate(catalogue):
                forbidden = must_not_be_shown(made[item.item_id], facts)
                reason = safety_reason(item, profile.constraints, at=NOON)
                guarded = refusals([item.item_id], catalogue.items_by_id, facts, at=NOON)
                assert not (forbidden and mask[row]), (item, forbidden)
                assert not (forbidden and reason is None), (item, forbidden)
                assert bool(mask[row]) == (reason is None), (item, reason)
                if forbidden and not forbidden.startswith("words"):
                    assert guarded, (item, forbidden)
                decisions += 1
            slate = recommender.recommend(
                profile, Request(text="x"), at=NOON, seed=seed, slate_id=SlateId(f"s{seed}")
            )
            slates += 1
            for item in slate.items:
                shown += 1
                assert not must_not_be_shown(made[item.item_id], facts), item
    print(f"{decisions} decisions, {slates} slates, {shown} items shown, 0 excluded items")
    assert shown > 0


def test_wishes_of_the_conversation_count_like_facts() -> None:
    random = Random(99)
    made = {ItemId(f"i{n}"): random_item(random, n) for n in range(SHOP)}
    catalogue = Catalogue.of(m.item for m in made.values())
    recommender = Recommender(
        table=CatalogueTable(catalogue), matcher=EverythingMatches(catalogue)
    )
    nobody = fold_profile(UserKey("u"), at=NOON)
    for allergen in Allergen:
        fact = next(
            fact
            for seed in range(500)
            for fact in random_facts(Random(seed))
            if fact.kind is FactKind.ALLERGEN and fact.value == allergen
        )
        request = Request(text="x", wishes=Constraints(allergens=frozenset({allergen})))
        slate = recommender.recommend(nobody, request, at=NOON, seed=1, slate_id=SlateId("s"))
        for item in slate.items:
            made_item: Made = made[item.item_id]
            assert not must_not_be_shown(made_item, [fact])
