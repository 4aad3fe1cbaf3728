"""Rules of two sources hold together; the tighter price wins."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from data.vocabulary import Allergen, Diet
from recommender.constraints import SAFETY_REASONS, Constraints, HiddenReason

PRICES = st.none() | st.integers(0, 100).map(Decimal)
CONSTRAINTS = st.builds(
    Constraints,
    allergens=st.frozensets(st.sampled_from(list(Allergen)), max_size=3),
    avoid=st.frozensets(st.sampled_from(["mango", "pear"])),
    diets=st.frozensets(st.sampled_from(list(Diet)), max_size=2),
    exclude=st.frozensets(st.sampled_from(["meat", "fish"])),
    include=st.frozensets(st.sampled_from(["fruit", "nut"])),
    price_max=PRICES,
    price_min=PRICES,
    price_below=PRICES,
    price_above=PRICES,
)


@given(CONSTRAINTS, CONSTRAINTS)
def test_merging_never_loosens(one: Constraints, other: Constraints) -> None:
    both = one.merged(other)
    for side in (one, other):
        assert both.allergens >= side.allergens
        assert both.avoid >= side.avoid
        assert both.diets >= side.diets
        assert both.exclude >= side.exclude
        for name, tighter in (
            ("price_max", min),
            ("price_below", min),
            ("price_min", max),
            ("price_above", max),
        ):
            limit, merged = getattr(side, name), getattr(both, name)
            assert limit is None or tighter(merged, limit) == merged


@given(CONSTRAINTS)
def test_nothing_added_is_nothing_changed(constraints: Constraints) -> None:
    assert constraints.merged(Constraints()) == constraints
    assert constraints.merged(constraints) == constraints


def test_what_was_asked_for_last_replaces_what_was_asked_for_before() -> None:
    before = Constraints(include=frozenset({"fruit"}))
    assert before.merged(Constraints(include=frozenset({"nut"}))).include == {"nut"}


def test_safety_wishes_are_told_from_tastes() -> None:
    assert Constraints(diets=frozenset({Diet.VEGAN})).has_safety_wishes
    assert Constraints(avoid=frozenset({"mango"})).has_safety_wishes
    assert not Constraints(exclude=frozenset({"meat"}), price_max=Decimal(1)).has_safety_wishes


def test_price_and_taste_may_be_relaxed_and_safety_may_not() -> None:
    assert HiddenReason.PRICE not in SAFETY_REASONS
    assert HiddenReason.EXCLUDED not in SAFETY_REASONS
    for reason in HiddenReason:
        if reason.startswith(("allergen", "diet", "avoid", "claim", "never")):
            assert reason in SAFETY_REASONS
