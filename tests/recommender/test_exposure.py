"""No merchant crowds out the others, however many items it has and however its texts are stuffed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId, merchant_key
from data.events import CreatorRule, RuleKind, SlateId, UserKey
from index.matches import Hit, Matches, Query
from recommender.candidates import CatalogueTable
from recommender.constraints import Constraints, HiddenReason
from recommender.exposure import MERCHANT_CAP, NO_MERCHANT, crowding, within_share
from recommender.policy import (
    GreedyPolicy,
    Policy,
    Pool,
    SlotDistribution,
    SoftmaxPolicy,
    UniformPolicy,
)
from recommender.profile import UserProfile
from recommender.recommend import RETRIEVED, Recommender
from recommender.replay import policy_of, replay
from recommender.slate import Request, Slate
from tests.fakes import NOON, engine_over, hashing

LESSON = Lesson(lesson_id=LessonId("l"), title="Pears", text="A lesson on pears.")
ANN = UserProfile(user_key=UserKey("ann"))

merchants_of_candidates = st.lists(st.integers(NO_MERCHANT, 5), max_size=60).map(
    lambda codes: np.array(codes, dtype=np.int64)
)


@dataclass
class InOrder:
    """Finds the eligible items in the order of the catalogue, with falling scores."""

    catalogue: Catalogue
    n_asked: int = 0
    version: str = "test-index"

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        self.n_asked += 1
        n = len(self.catalogue)
        rows = np.arange(n) if eligible is None else np.flatnonzero(eligible)
        hits = tuple(
            Hit(
                item_id=self.catalogue.items[row].item_id, row=int(row), score=1.0 - 0.5 * row / n,
                dense=0.5, lexical=0.1, knowledge=0.2,
            )
            for row in rows[:top_k]
        )  # fmt: skip
        return Matches(hits=hits, floor=0.0, is_silent=not hits)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        return np.eye(len(rows))


def shop(merchants: Sequence[str]) -> Catalogue:
    """One item for each merchant named, best first."""
    return Catalogue.of(
        Item(item_id=ItemId(f"i{n:03}"), name_en=f"Pear {n}", category=f"c{n}", merchant=merchant)
        for n, merchant in enumerate(merchants)
    )


def choose(
    catalogue: Catalogue,
    *,
    seed: int = 1,
    matcher: InOrder | None = None,
    wishes: Constraints | None = None,
    creator_rules: Sequence[CreatorRule] = (),
    policy: Policy | None = None,
) -> Slate:
    recommender = Recommender(
        table=CatalogueTable(catalogue),
        matcher=matcher or InOrder(catalogue),
        policy=policy or SoftmaxPolicy(),
    )
    return recommender.recommend(
        ANN,
        Request(lesson=LESSON, wishes=wishes or Constraints()),
        at=NOON,
        seed=seed,
        slate_id=SlateId("s" * 16),
        creator_rules=creator_rules,
    )


def merchants_in(catalogue: Catalogue, slate: Slate) -> Counter[str]:
    by_id = catalogue.items_by_id
    return Counter(merchant_key(by_id[i].merchant) for i in slate.record.candidates)


@given(merchants=merchants_of_candidates, size=st.integers(1, 12), most=st.integers(1, 5))
def test_nobody_has_more_than_the_bound_beside_others(
    merchants: np.ndarray, size: int, most: int
) -> None:
    kept = within_share(merchants, size=size, most=most)
    counts = Counter(merchants[kept].tolist())
    counts.pop(NO_MERCHANT, None)
    if len(set(merchants.tolist())) > 1:
        assert max(counts.values(), default=0) <= most
    else:
        assert len(kept) == min(size, len(merchants))


@given(merchants=merchants_of_candidates, size=st.integers(1, 12), most=st.integers(1, 5))
def test_the_order_stays_and_only_who_has_its_share_gives_way(
    merchants: np.ndarray, size: int, most: int
) -> None:
    kept = within_share(merchants, size=size, most=most).tolist()
    assert kept == sorted(set(kept))
    assert len(kept) <= size
    last = len(merchants) if len(kept) < size else kept[-1]
    for candidate in set(range(last)) - set(kept):
        better = [k for k in kept if k < candidate and merchants[k] == merchants[candidate]]
        assert merchants[candidate] != NO_MERCHANT
        assert len(better) == most


@given(merchants=merchants_of_candidates, size=st.integers(1, 12), most=st.integers(1, 5))
def test_who_crowds_is_told_exactly_when_the_bound_leaves_too_few(
    merchants: np.ndarray, size: int, most: int
) -> None:
    bounded = np.concatenate([merchants, [6]])  # somebody else, so that the bound holds
    n_kept = len(within_share(bounded, size=len(bounded), most=most)) - 1
    assert bool(len(crowding(merchants, size=size, most=most))) is (
        n_kept < min(size, len(merchants))
    )


@settings(deadline=None, max_examples=40)
@given(
    merchants=st.lists(st.sampled_from(["", "A", "B", "C"]), min_size=1, max_size=90),
    policy=st.sampled_from([None, GreedyPolicy(), UniformPolicy()]),
)
def test_for_every_catalogue_the_draw_holds_no_more_than_the_bound(
    merchants: list[str], policy: Policy | None
) -> None:
    catalogue = shop(merchants)
    slate = choose(catalogue, policy=policy)
    counts = merchants_in(catalogue, slate)
    counts.pop("", None)
    if len(set(merchants)) > 1:
        assert max(counts.values(), default=0) <= MERCHANT_CAP
    candidates = list(slate.record.candidates)
    assert candidates == sorted(candidates)  # the ids rise as the scores fall
    assert len(slate.items) == min(3, len(merchants))


def test_items_without_a_merchant_are_never_held_back() -> None:
    slate = choose(shop([""] * 20))
    assert len(slate.record.candidates) == 10
    assert HiddenReason.MERCHANT_SHARE not in slate.hidden
    assert choose(shop([""] * 9 + ["A"])).record.candidates == tuple(f"i{n:03}" for n in range(10))


def test_a_merchant_who_is_alone_keeps_all_places() -> None:
    slate = choose(shop(["A"] * 20))
    assert len(slate.record.candidates) == 10
    assert str(HiddenReason.MERCHANT_SHARE) not in slate.record.filters


def test_the_record_counts_who_gave_way() -> None:
    slate = choose(shop(["A"] * 8 + ["B"] * 3 + ["C"] * 9))
    assert slate.record.candidates == tuple(f"i{n:03}" for n in (0, 1, 2, 3, 8, 9, 10, 11, 12, 13))
    # Of the ten best, eight are A's.
    assert slate.record.filters == {"merchant_share": 4}
    assert slate.hidden == {HiddenReason.MERCHANT_SHARE: 4}


def test_another_spelling_is_the_same_merchant() -> None:
    spellings = ["Acme", "ACME", " acme ", "Ａｃｍｅ", "Ac\u200bme", "acme"]
    assert {merchant_key(name) for name in spellings} == {"acme"}
    assert merchant_key("\u200b ") == ""
    catalogue = shop([*spellings, *("B" * 12)])
    assert merchants_in(catalogue, choose(catalogue))["acme"] == MERCHANT_CAP


@pytest.mark.parametrize("n_items", [50, 70, 500])
def test_a_merchant_with_many_stuffed_items_gets_its_share_and_no_more(n_items: int) -> None:
    stuffed = "pear pears 梨 pear lesson pear orchard pear season pear"
    rows = [
        Item(
            item_id=ItemId(f"s{n:03}"), name_en=f"Pear pear {n}", name_zh=f"梨 {n}",
            description_en=stuffed, category="fruit", merchant="Stuffers",
        )
        for n in range(n_items)
    ]  # fmt: skip
    rows += [
        Item(
            item_id=ItemId(f"o{n}"), name_en=f"Pear of the {n} orchard", name_zh="梨",
            description_en="A pear.", category="fruit", merchant=f"Orchard {n}",
        )
        for n in range(8)
    ]  # fmt: skip
    lesson = Lesson(
        lesson_id=LessonId("pears"), title="Pears", lang="en",
        text="The pear came from the east. A ripe pear is soft at its neck. Pears keep in the cold.",
    )  # fmt: skip
    catalogue = Catalogue.of(rows, [lesson])
    engine = engine_over(catalogue, hashing())
    for seed in range(4):
        slate = engine.recommender.recommend(
            ANN, Request(lesson=lesson), at=NOON, seed=seed, slate_id=SlateId("s")
        )
        counts = merchants_in(catalogue, slate)
        assert counts["stuffers"] <= MERCHANT_CAP
        # A place in the draw for everybody else, although each of these fills the hits alone.
        assert sum(counts.values()) - counts["stuffers"] >= 6
        assert slate.record.filters["merchant_share"] >= 1


def test_whoever_fills_all_hits_is_asked_to_make_room_once() -> None:
    catalogue = shop(["A"] * 200 + ["B"] * 200 + ["C"] * 3)
    matcher = InOrder(catalogue)
    slate = choose(catalogue, matcher=matcher)
    assert matcher.n_asked == 2
    assert merchants_in(catalogue, slate) == {"a": 4, "b": 4}
    assert slate.record.n_eligible == 403  # who makes room was eligible all the same


def test_nobody_is_asked_twice_where_others_are_there_or_there_are_none() -> None:
    for merchants in (["A"] * 200, [""] * 200, ["A", "B", "C"] * 60, [""] * 20 + ["A"] * 100):
        catalogue = shop(merchants)
        matcher = InOrder(catalogue)
        assert len(choose(catalogue, matcher=matcher).record.candidates) == 10
        assert matcher.n_asked == 1
    assert RETRIEVED < 100  # so that the hits above are all taken


def test_a_creators_pin_is_outside_the_share() -> None:
    catalogue = shop(["A"] * 8 + ["B"] * 8)
    pins = [
        CreatorRule(
            lesson_id=LESSON.lesson_id, item_id=ItemId(f"i{n:03}"), kind=RuleKind.PIN, at=NOON,
            creator=ANN.user_key,
        )
        for n in (6, 7)
    ]  # fmt: skip
    slate = choose(catalogue, creator_rules=pins)
    assert [item.item_id for item in slate.items[:2]] == ["i006", "i007"]
    assert merchants_in(catalogue, slate) == {"a": 4, "b": 4}


def test_propensities_are_those_of_the_candidates_that_took_part() -> None:
    catalogue = shop(["A"] * 8 + ["B"] * 3 + ["C"] * 2)
    for seed in range(10):
        record = choose(catalogue, seed=seed).record
        assert len(record.candidates) == 9
        policy = policy_of(record)
        assert isinstance(policy, SoftmaxPolicy)
        slot = SlotDistribution.of(
            Pool(
                item_ids=record.candidates,
                scores=np.array(record.scores),
                similarities=np.array(record.context["similarities"]),
            ),
            policy.parameters,
        )
        placed: tuple[int, ...] = ()
        for placement in record.placements:
            chosen = record.candidates.index(placement.item_id)
            assert slot.probabilities(placed)[chosen] == pytest.approx(placement.propensity)
            placed = (*placed, chosen)
        assert slot.probabilities(()).sum() == pytest.approx(1.0)


def test_a_slate_with_held_back_candidates_replays_byte_for_byte() -> None:
    for seed in range(10):
        record = choose(shop(["A"] * 30 + ["B"] * 30), seed=seed).record
        assert record.filters["merchant_share"]
        assert replay(record).is_equal


def test_the_same_inputs_and_seed_give_the_same_slate() -> None:
    catalogue = shop(["A"] * 90 + ["B"] * 30)
    assert choose(catalogue, seed=5).record == choose(catalogue, seed=5).record
