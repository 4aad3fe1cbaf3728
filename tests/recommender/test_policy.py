from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.catalogue import ItemId
from recommender.exploration import (
    LEARNING_PHASE,
    LEARNING_PHASE_SLATES,
    PolicyParameters,
    parameters_for,
)
from recommender.policy import (
    GreedyPolicy,
    Policy,
    Pool,
    SlotDistribution,
    SoftmaxPolicy,
    UniformPolicy,
    best,
    marginal_propensities,
    placing,
)

N_DRAWS = 20_000


def a_pool(scores: list[float], seed: int = 5) -> Pool:
    vectors = np.random.default_rng(seed).normal(size=(len(scores), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Pool(
        item_ids=tuple(ItemId(f"i{n}") for n in range(len(scores))),
        scores=np.array(scores, dtype=np.float64),
        similarities=vectors @ vectors.T,
    )


def by_definition(
    pool: Pool, parameters: PolicyParameters, placed: tuple[int, ...]
) -> dict[int, float]:
    """The module's formula with plain loops."""
    scores = [float(s) for s in pool.scores]
    mean = sum(scores) / len(scores)
    spread = math.sqrt(sum((s - mean) ** 2 for s in scores) / len(scores))
    remaining = [i for i in range(len(scores)) if i not in placed]
    weight: dict[int, float] = {}
    for i in remaining:
        nearest = max((pool.similarities[i, j] for j in placed), default=0.0)
        utility = scores[i] - parameters.diversity_penalty * spread * nearest
        weight[i] = math.exp(utility / (parameters.temperature_in_sd * spread))
    total = sum(weight.values())
    rate = parameters.exploration_rate
    return {i: (1 - rate) * weight[i] / total + rate / len(remaining) for i in remaining}


@pytest.mark.parametrize(
    "policy",
    [
        SoftmaxPolicy(LEARNING_PHASE),
        SoftmaxPolicy(PolicyParameters(diversity_penalty=2.0)),
    ],
    ids=["learning", "diverse"],
)
def test_twenty_thousand_slates_agree_with_the_logged_propensities(policy: Policy) -> None:
    pool = a_pool([0.9, 0.8, 0.75, 0.5, 0.4, 0.1])
    rng = np.random.default_rng(11)
    first: Counter[ItemId] = Counter()
    after_first: Counter[tuple[ItemId, ItemId]] = Counter()
    at_position: Counter[tuple[ItemId, int]] = Counter()
    p_first: dict[ItemId, float] = {}
    p_second: dict[tuple[ItemId, ItemId], float] = {}
    p_marginal: dict[tuple[ItemId, int], float] = {}

    for _ in range(N_DRAWS):
        a, b, c = policy.choose(pool, size=3, rng=rng).placements
        first[a.item_id] += 1
        after_first[a.item_id, b.item_id] += 1
        p_first[a.item_id] = a.propensity
        p_second[a.item_id, b.item_id] = b.propensity
        for placement in (a, b, c):
            at_position[placement.item_id, placement.position] += 1
            p_marginal[placement.item_id, placement.position] = placement.marginal_propensity

    def within_four_standard_errors(count: int, n: int, p: float) -> bool:
        return abs(count / n - p) <= 4 * math.sqrt(p * (1 - p) / n)

    for item_id, count in first.items():
        assert within_four_standard_errors(count, N_DRAWS, p_first[item_id])
    for pair, count in after_first.items():
        if first[pair[0]] * p_second[pair] > 5:  # the normal approximation needs a few expected
            assert within_four_standard_errors(count, first[pair[0]], p_second[pair])
    for spot, count in at_position.items():
        assert within_four_standard_errors(count, N_DRAWS, p_marginal[spot])
    assert len(first) == 6, "under exploration every candidate comes first at some time"


scores_of_a_pool = st.lists(
    st.floats(-50, 50, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=10
)


@given(
    scores=scores_of_a_pool,
    rate=st.floats(0.05, 1.0),
    temperature=st.floats(0.05, 5.0),
    penalty=st.floats(0.0, 3.0),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_probabilities_sum_to_one_and_none_is_zero(
    scores: list[float], rate: float, temperature: float, penalty: float, seed: int
) -> None:
    pool = a_pool(scores)
    policy = SoftmaxPolicy(
        PolicyParameters(
            exploration_rate=rate, temperature_in_sd=temperature, diversity_penalty=penalty
        )
    )

    draw = policy.choose(pool, size=3, rng=np.random.default_rng(seed))

    slot = SlotDistribution.of(best(pool, 10), policy.parameters)
    size = min(3, len(scores))
    marginals = marginal_propensities(slot, n=len(scores), size=size)
    np.testing.assert_allclose(marginals.sum(axis=0), 1.0, atol=1e-12)
    assert (marginals > 0).all()
    placed: tuple[int, ...] = ()
    for placement in draw.placements:
        probabilities = slot.probabilities(placed)
        remaining = np.setdiff1d(np.arange(len(scores)), placed)
        assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)
        assert (probabilities[remaining] >= rate / len(remaining) * (1 - 1e-9)).all()
        assert (probabilities[list(placed)] == 0).all()
        assert 0 < placement.propensity <= 1
        assert 0 < placement.marginal_propensity <= 1 + 1e-12
        row = best(pool, 10).item_ids.index(placement.item_id)
        assert placement.propensity == pytest.approx(probabilities[row])
        placed = (*placed, row)
    assert len({p.item_id for p in draw.placements}) == len(draw.placements) == size


def test_every_slot_follows_the_formula() -> None:
    pool = a_pool([0.9, 0.6, 0.5, 0.1])
    parameters = PolicyParameters(exploration_rate=0.2, diversity_penalty=0.7)

    slot = SlotDistribution.of(pool, parameters)

    for placed in ((), (1,), (1, 3), (2, 0)):
        expected = by_definition(pool, parameters, placed)
        probabilities = slot.probabilities(placed)
        assert {i: probabilities[i] for i in expected} == pytest.approx(expected)


def test_marginals_are_the_sums_over_all_ordered_slates() -> None:
    pool = a_pool([0.9, 0.6, 0.5, 0.1, 0.0])
    parameters = PolicyParameters(diversity_penalty=1.0)
    expected = np.zeros((5, 3))
    for slate in itertools.permutations(range(5), 3):
        mass = 1.0
        for position in range(3):
            mass *= by_definition(pool, parameters, slate[:position])[slate[position]]
        for position in range(3):
            expected[slate[position], position] += mass

    marginals = marginal_propensities(SlotDistribution.of(pool, parameters), n=5, size=3)

    np.testing.assert_allclose(marginals, expected, atol=1e-12)


def test_an_equal_pool_of_two_is_a_fair_coin() -> None:
    draw = SoftmaxPolicy().choose(a_pool([0.3, 0.3]), size=2, rng=np.random.default_rng(1))

    first, second = draw.placements
    assert (first.propensity, second.propensity) == (pytest.approx(0.5), pytest.approx(1.0))
    assert first.marginal_propensity == second.marginal_propensity == pytest.approx(0.5)


def test_a_near_copy_of_the_placed_item_becomes_less_likely() -> None:
    pool = Pool(
        item_ids=(ItemId("a"), ItemId("a2"), ItemId("b")),
        scores=np.array([1.0, 0.5, 0.5]),
        similarities=np.array([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    )

    slot = SlotDistribution.of(pool, PolicyParameters(diversity_penalty=0.5))

    before, after = slot.probabilities(()), slot.probabilities((0,))
    assert before[1] == pytest.approx(before[2])
    assert after[1] < after[2]


def test_the_same_seed_gives_the_same_slate() -> None:
    pool = a_pool([0.1 * n for n in range(10)])

    draws = [SoftmaxPolicy().choose(pool, size=3, rng=np.random.default_rng(7)) for _ in "ab"]

    assert draws[0] == draws[1]


def test_placing_gives_what_the_policy_itself_logs() -> None:
    pool = a_pool([0.9, 0.8, 0.3, 0.2, 0.1])
    policy = SoftmaxPolicy(LEARNING_PHASE)
    draw = policy.choose(pool, size=3, rng=np.random.default_rng(3))
    ordered = best(pool, 10)

    told = placing(
        SlotDistribution.of(ordered, LEARNING_PHASE),
        [ordered.item_ids.index(p.item_id) for p in draw.placements],
    )

    assert told.conditional == pytest.approx([p.propensity for p in draw.placements])
    assert told.marginal == pytest.approx([p.marginal_propensity for p in draw.placements])


def test_exploration_is_wide_while_learning_and_never_ends() -> None:
    never = PolicyParameters(exploration_rate=0.0)

    assert parameters_for(0).exploration_rate == 0.20
    assert parameters_for(LEARNING_PHASE_SLATES - 1).temperature_in_sd == 0.8
    assert parameters_for(LEARNING_PHASE_SLATES).exploration_rate == 0.10
    assert parameters_for(LEARNING_PHASE_SLATES, never).exploration_rate == 0.05


def test_what_is_paid_for_answers_falls_as_the_log_grows_but_not_below_the_floor() -> None:
    served = [parameters_for(n) for n in (2_000, 3_999, 4_000, 8_000, 10_000_000)]

    assert [p.exploration_rate for p in served] == pytest.approx([0.10, 0.10, 0.07, 0.05, 0.05])
    assert [p.temperature_in_sd for p in served] == pytest.approx([0.5, 0.5, 0.425, 0.35, 0.35])
    assert {p.unproven_share for p in served} == {0.15}


def test_greedy_shows_the_best_and_says_that_it_had_no_choice() -> None:
    draw = GreedyPolicy().choose(a_pool([0.1, 0.9, 0.5]), size=2, rng=np.random.default_rng(0))

    assert [p.item_id for p in draw.placements] == ["i1", "i2"]
    assert {p.propensity for p in draw.placements} == {1.0}


def test_only_the_best_of_a_long_list_take_part() -> None:
    pool = a_pool([float(n) for n in range(40)])
    rng = np.random.default_rng(2)

    shown = {
        p.item_id
        for _ in range(300)
        for p in UniformPolicy().choose(pool, size=3, rng=rng).placements
    }

    assert shown == {f"i{n}" for n in range(30, 40)}


def a_pool_of_newcomers(unproven: list[int], n: int = 10) -> Pool:
    # The newcomers score best, as an optimistic prior would have it.
    scores = [2.0 if i in unproven else 1.0 - i / 20 for i in range(n)]
    flags = np.isin(np.arange(n), unproven)
    return replace(a_pool(scores), unproven=flags)


def test_newcomers_get_at_most_their_share_of_every_slot() -> None:
    pool = a_pool_of_newcomers([2, 5, 6])
    slot = SlotDistribution.of(pool, PolicyParameters(exploration_rate=0.2))

    marginals = marginal_propensities(slot, n=10, size=3)

    for placed in ((), (2,), (0, 5), (1, 3)):
        left = [i for i in (2, 5, 6) if i not in placed]
        probabilities = slot.probabilities(placed)
        assert probabilities[left].sum() == pytest.approx(0.15)
        assert probabilities.sum() == pytest.approx(1.0)
        assert (probabilities[np.setdiff1d(np.arange(10), placed)] > 0).all()
    # The last of them may have less than its share by itself.
    assert 0.14 < marginals[[2, 5, 6]].sum() / 3 <= 0.15 + 1e-12


def test_the_bound_leaves_the_order_among_newcomers_and_among_the_others() -> None:
    pool = a_pool_of_newcomers([2, 5, 6])
    free = SlotDistribution.of(pool, PolicyParameters(exploration_rate=0.0, unproven_share=1.0))
    held = SlotDistribution.of(pool, PolicyParameters(exploration_rate=0.0))

    ratios = held.probabilities(()) / free.probabilities(())

    assert ratios[[2, 5, 6]] == pytest.approx([ratios[2]] * 3)
    assert ratios[[0, 1, 3, 4]] == pytest.approx([ratios[0]] * 4)
    assert ratios[2] < 1 < ratios[0]


@pytest.mark.parametrize(
    ("unproven", "parameters"),
    [
        pytest.param(list(range(8)), PolicyParameters(), id="fewer proven than a slate holds"),
        pytest.param([], PolicyParameters(), id="nobody new"),
        pytest.param([1, 2], LEARNING_PHASE, id="learning phase"),
        pytest.param([9], PolicyParameters(), id="below the share anyway"),
    ],
)
def test_where_nothing_is_to_be_held_back_the_draw_is_as_without(
    unproven: list[int], parameters: PolicyParameters
) -> None:
    pool = replace(
        a_pool([1.0 - i / 20 for i in range(10)]), unproven=np.isin(np.arange(10), unproven)
    )

    with_flags = SoftmaxPolicy(parameters).choose(pool, size=3, rng=np.random.default_rng(8))
    without = SoftmaxPolicy(parameters).choose(
        replace(pool, unproven=None), size=3, rng=np.random.default_rng(8)
    )

    assert [p.item_id for p in with_flags.placements] == [p.item_id for p in without.placements]
    assert [p.propensity for p in with_flags.placements] == pytest.approx(
        [p.propensity for p in without.placements]
    )


def test_logged_propensities_are_the_frequencies_where_newcomers_are_held_back() -> None:
    pool = a_pool_of_newcomers([0, 4], n=6)
    policy = SoftmaxPolicy(PolicyParameters(exploration_rate=0.2))
    slot = SlotDistribution.of(best(pool, 10), policy.parameters)
    rng = np.random.default_rng(11)
    n = 6_000
    names = best(pool, 10).item_ids
    counts = np.zeros((6, 3))

    for _ in range(n):
        for placement in policy.choose(pool, size=3, rng=rng).placements:
            counts[names.index(placement.item_id), placement.position] += 1

    expected = marginal_propensities(slot, n=6, size=3)
    error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(counts / n - expected) <= 4 * error).all()
    newcomers = [names.index(name) for name in ("i0", "i4")]
    assert counts[newcomers].sum() / counts.sum() <= 0.15 + 4 * np.sqrt(0.15 * 0.85 / (3 * n))


def test_a_vanished_weight_of_the_proven_does_not_open_the_bound() -> None:
    pool = a_pool_of_newcomers([0, 1], n=8)
    parameters = PolicyParameters(exploration_rate=0.0, temperature_in_sd=1e-4)

    probabilities = SlotDistribution.of(pool, parameters).probabilities(())

    assert probabilities[[0, 1]].sum() == pytest.approx(0.15)
    assert probabilities.sum() == pytest.approx(1.0)
