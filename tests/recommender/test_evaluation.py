from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput, MissingPropensity
from recommender.evaluation import direct_method, doubly_robust, ips, ratio, snips
from recommender.metrics import auc, brier, calibration_error, hit_at, ndcg_at, reciprocal_rank
from recommender.slate_evaluation import SlateLog, cascade, cross_fit, folds_of, per_position
from recommender.trust import Trust, effective_n, importance_weights, judge

OBD = Path(__file__).parents[3] / "shared" / "bench" / "obd"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


def repeated(values: list[float], times: int = 300) -> np.ndarray:
    """The hand-worked table many times over, so that the trust rules let a number out."""
    return np.tile(np.array(values), times)


# Four impressions: rewards 1 0 1 0, shown with 1/2 1/2 1/4 3/4, wanted with 3/4 1/4 1/2 1/2.
# Weights 3/2, 1/2, 2, 2/3; their sum is 14/3, the weighted rewards add up to 7/2.
REWARDS, LOGGED, WANTED = [1.0, 0.0, 1.0, 0.0], [0.5, 0.5, 0.25, 0.75], [0.75, 0.25, 0.5, 0.5]


def hand_worked() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return repeated(REWARDS), repeated(LOGGED), repeated(WANTED)


def test_weights_of_the_hand_worked_table() -> None:
    weights = importance_weights(np.array(LOGGED), np.array(WANTED))

    assert weights == pytest.approx([1.5, 0.5, 2.0, 2 / 3])
    # (14/3)^2 / (9/4 + 1/4 + 4 + 4/9) = (196/9) / (125/18) = 392/125
    assert effective_n(weights) == pytest.approx(392 / 125)


def test_the_estimators_of_the_hand_worked_table(rng: np.random.Generator) -> None:
    # The mean weight 7/6 is not 1, so `judge` would refuse; `ratio` without weights lets it out.
    r, p, t = np.array(REWARDS), np.array(LOGGED), np.array(WANTED)
    w = importance_weights(p, t)

    plain = ratio("ips", w * r, np.ones(4), rng=rng)
    normalised = ratio("snips", w * r, w, rng=rng)

    assert plain.value == pytest.approx(3.5 / 4)
    assert normalised.value == pytest.approx(3.5 / (14 / 3))


def test_ips_snips_and_dr_by_hand_where_the_weights_are_fair(rng: np.random.Generator) -> None:
    # Two actions, behaviour 3/4 and 1/4, target 1/4 and 3/4: weights 1/3 (three times) and 3.
    r = repeated([1.0, 0.0, 0.0, 1.0])
    p = repeated([0.75, 0.75, 0.75, 0.25])
    t = repeated([0.25, 0.25, 0.25, 0.75])
    q_logged = repeated([0.5, 0.5, 0.5, 0.8])
    q_target = repeated([0.725] * 4)  # 1/4 * 0.5 + 3/4 * 0.8

    by_ips = ips(r, p, t, rng=rng)
    by_snips = snips(r, p, t, rng=rng)
    by_dm = direct_method(q_target, rng=rng)
    by_dr = doubly_robust(r, p, t, q_logged=q_logged, q_target=q_target, rng=rng)

    assert by_ips.value == pytest.approx((1 / 3 + 3) / 4)
    assert by_snips.value == pytest.approx((1 / 3 + 3) / 4)  # the weights add up to 4
    assert by_dm.value == pytest.approx(0.725)
    # 0.725 + (1/3 * (0.5 - 0.5 - 0.5) + 3 * 0.2) / 4
    assert by_dr.value == pytest.approx(0.725 + (-0.5 / 3 + 0.6) / 4)
    assert by_ips.verdict is not None
    assert by_ips.verdict.trust is Trust.AMBER  # 1200 * 16 / (3/9 + 9) / 4 = 514 effective rows
    assert by_ips.effective_n == pytest.approx(1200 * 16 / 4 / (1 / 3 + 9))


def test_a_large_weight_is_clipped_in_the_number_and_seen_by_the_rules(
    rng: np.random.Generator,
) -> None:
    r, p, t = np.ones(3000), np.full(3000, 0.5), np.full(3000, 0.5)
    p[:3], t[:3] = 0.01, 0.9

    estimate = ips(r, p, t, rng=rng, clip=20.0)

    assert estimate.value == pytest.approx((3 * 20 + 2997) / 3000)
    assert estimate.verdict is not None
    assert estimate.verdict.mean_weight == pytest.approx((3 * 90 + 2997) / 3000)


@pytest.mark.parametrize("bad", [0.0, math.nan, -0.1, 1.5], ids=str)
def test_a_propensity_that_nobody_logged_is_an_error(bad: float) -> None:
    with pytest.raises(MissingPropensity, match="row 1"):
        importance_weights(np.array([0.5, bad]), np.array([0.5, 0.5]))


def test_a_target_that_is_no_probability_is_an_error() -> None:
    with pytest.raises(InvalidInput):
        importance_weights(np.array([0.5]), np.array([1.2]))


def world(
    rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Two contexts, three actions with known rewards; gives the log and the target's true value."""
    truth = np.array([[0.1, 0.4, 0.7], [0.6, 0.3, 0.2]])
    behaviour = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    target = np.array([[0.1, 0.2, 0.7], [0.7, 0.2, 0.1]])
    context = rng.integers(2, size=n)
    action = (rng.random(n)[:, None] > behaviour.cumsum(axis=1)[context]).sum(axis=1)
    rewards = (rng.random(n) < truth[context, action]).astype(float)
    value = float((target * truth).sum(axis=1).mean())
    return (
        rewards,
        behaviour[context, action],
        target[context, action],
        np.stack([context, action], axis=1),
        value,
    )


def test_the_estimators_find_the_known_value(rng: np.random.Generator) -> None:
    rewards, logged, wanted, _, value = world(rng, 20_000)

    for estimate in (
        ips(rewards, logged, wanted, rng=rng),
        snips(rewards, logged, wanted, rng=rng),
    ):
        # Five standard errors: a correct estimator fails here once in two million runs.
        assert abs(estimate.value - value) < 5 * estimate.standard_error
        assert estimate.verdict is not None
        assert estimate.verdict.trust is Trust.GREEN


def test_dr_is_right_when_the_model_is_wrong_and_tighter_when_it_is_right(
    rng: np.random.Generator,
) -> None:
    rewards, logged, wanted, pairs, value = world(rng, 20_000)
    truth = np.array([[0.1, 0.4, 0.7], [0.6, 0.3, 0.2]])
    target = np.array([[0.1, 0.2, 0.7], [0.7, 0.2, 0.1]])
    q_target = (target * truth).sum(axis=1)[pairs[:, 0]]
    q_logged = truth[pairs[:, 0], pairs[:, 1]]

    right = doubly_robust(rewards, logged, wanted, q_logged=q_logged, q_target=q_target, rng=rng)
    wrong = doubly_robust(
        rewards, logged, wanted,
        q_logged=np.full(len(rewards), 0.9), q_target=np.full(len(rewards), 0.9), rng=rng,
    )  # fmt: skip
    plain = ips(rewards, logged, wanted, rng=rng)

    assert abs(right.value - value) < 5 * right.standard_error
    assert abs(wrong.value - value) < 5 * wrong.standard_error
    assert right.standard_error < plain.standard_error


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        rewards, logged, wanted, _, value = world(rng, 1_500)
        found = snips(rewards, logged, wanted, rng=rng)
        covered += found.low <= value <= found.high
    # 200 trials at 95 %: below 180 happens less than once in a thousand runs.
    assert covered >= 180


def test_rows_of_one_user_widen_the_interval(rng: np.random.Generator) -> None:
    users = np.repeat(np.arange(100), 50)
    rewards = np.repeat((rng.random(100) < 0.5).astype(float), 50)
    half = np.full(5_000, 0.5)

    alone = ips(rewards, half, half, rng=rng)
    together = ips(rewards, half, half, clusters=users, rng=rng)

    # 50 equal rows of a user are one observation: the error grows by the root of 50.
    assert together.standard_error / alone.standard_error == pytest.approx(math.sqrt(50), rel=0.15)


def test_a_log_that_says_nothing_of_the_policy_gets_no_number(rng: np.random.Generator) -> None:
    wanted = np.full(5_000, 0.0)
    wanted[:5] = 1.0

    estimate = ips(np.ones(5_000), np.full(5_000, 0.001), wanted, rng=rng)

    assert estimate.is_refused
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.low)
    assert estimate.verdict is not None
    assert estimate.verdict.n_more > 0
    assert str(estimate.verdict.n_more) in estimate.verdict.reason


def test_trust_follows_the_effective_size() -> None:
    def of(n: int) -> Trust:
        return judge(np.tile([0.5, 1.5], n // 2)).trust  # 0.8 effective rows a row

    assert of(200) is Trust.REFUSED
    assert of(1_000) is Trust.AMBER
    assert of(1_300) is Trust.GREEN
    assert judge(np.empty(0)).trust is Trust.REFUSED


def test_wrong_propensities_are_noticed(rng: np.random.Generator) -> None:
    _, logged, wanted, _, _ = world(rng, 5_000)

    verdict = judge(wanted / np.minimum(logged * 1.3, 1.0))

    assert verdict.propensities_look_wrong
    assert verdict.trust is Trust.REFUSED
    assert "propensities are wrong" in verdict.reason


def slates(rng: np.random.Generator, n: int, *, cascades: bool) -> tuple[SlateLog, float]:
    """Ordered pairs from three items; exact truth by enumeration."""
    behaviour, target = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    base, examined = np.array([0.2, 0.5, 0.8]), (1.0, 0.5)

    def pair_probability(p: np.ndarray, a: int, b: int) -> float:
        return float(p[a] * p[b] / (1 - p[a]))

    def reward(a: int, b: int) -> tuple[float, float]:
        second = base[b] * examined[1]
        return float(base[a]), float(second * (0.2 if cascades and a == 2 else 1.0))

    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]

    def marginal(p: np.ndarray, position: int, item: int) -> float:
        return sum(pair_probability(p, *s) for s in pairs if s[position] == item)

    truth = sum(pair_probability(target, *s) * sum(reward(*s)) for s in pairs) / 2
    chosen = rng.choice(6, p=[pair_probability(behaviour, *s) for s in pairs], size=n)
    made = [pairs[i] for i in chosen]
    expected = np.array([reward(*s) for s in made])
    tables = {
        name: np.array([[marginal(p, k, i) for i in range(3)] for k in (0, 1)])
        for name, p in (("b", behaviour), ("t", target))
    }

    def conditional(p: np.ndarray) -> np.ndarray:
        return np.array([[p[a], p[b] / (1 - p[a])] for a, b in made])

    def marginals(name: str) -> np.ndarray:
        return np.array([[tables[name][0, a], tables[name][1, b]] for a, b in made])

    return (
        SlateLog(
            rewards=(rng.random(expected.shape) < expected).astype(float),
            conditional=conditional(behaviour),
            marginal=marginals("b"),
            target_conditional=conditional(target),
            target_marginal=marginals("t"),
            clusters=np.arange(n),
        ),
        truth,
    )


def test_positions_suffice_when_items_do_not_disturb_each_other(rng: np.random.Generator) -> None:
    log, truth = slates(rng, 20_000, cascades=False)

    found = per_position(log, rng=rng)

    assert abs(found.value - truth) < 5 * found.standard_error
    assert found.method == "ips-per-position"


def test_only_the_cascade_is_right_when_the_first_item_spoils_the_second(
    rng: np.random.Generator,
) -> None:
    log, truth = slates(rng, 40_000, cascades=True)

    right, wrong = cascade(log, rng=rng), per_position(log, rng=rng)

    assert abs(right.value - truth) < 5 * right.standard_error
    assert abs(wrong.value - truth) > 5 * wrong.standard_error


def test_missing_places_of_short_slates_do_not_count(rng: np.random.Generator) -> None:
    log, _ = slates(rng, 3_000, cascades=False)
    short = log.rewards.copy()
    short[::2, 1] = math.nan
    cut = SlateLog(
        rewards=short, conditional=log.conditional, marginal=log.marginal,
        target_conditional=log.conditional, target_marginal=log.marginal, clusters=log.clusters,
    )  # fmt: skip

    found = per_position(cut, rng=rng)

    assert found.n == 4_500
    assert found.value == pytest.approx(float(np.nanmean(short)))


def test_nobody_is_predicted_by_a_model_that_saw_them() -> None:
    users = np.array([7, 7, 8, 9, 9, 10, 11])
    features = np.arange(7.0)[:, None]
    seen: list[set[int]] = []

    def fit(rows: np.ndarray, rewards: np.ndarray):  # type: ignore[no-untyped-def]
        mine = {int(users[int(row)]) for row in rows[:, 0]}
        seen.append(mine)
        return lambda asked: np.array([float(users[int(r)] in mine) for r in asked[:, 0]])

    (answers,) = cross_fit(fit, features, np.zeros(7), users, [(features, np.arange(7))])

    assert (answers == 0).all()
    assert len(seen) == 3
    assert set(folds_of(users)) == {0, 1, 2}


@given(
    st.lists(st.tuples(st.floats(0.01, 1.0), st.booleans()), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_evaluating_the_logging_policy_itself_gives_the_mean(
    rows: list[tuple[float, bool]], seed: int
) -> None:
    p = np.tile([row[0] for row in rows], 250)
    r = np.tile([float(row[1]) for row in rows], 250)
    rng = np.random.default_rng(seed)

    found = ratio("ips", importance_weights(p, p) * r, np.ones(len(r)), rng=rng, n_resamples=50)

    assert found.value == pytest.approx(float(r.mean()))
    assert found.low <= found.value + 1e-9
    assert found.high >= found.value - 1e-9


def test_auc_by_hand() -> None:
    found = auc(np.array([0.9, 0.4, 0.5, 0.4]), np.array([1.0, 1.0, 0.0, 0.0]))

    # 0.9 beats both; 0.4 loses to 0.5 and ties with 0.4: (2 + 0.5) / 4.
    assert found.value == pytest.approx(0.625)
    assert found.low < 0.5 < found.high
    assert math.isnan(auc(np.ones(3), np.ones(3)).value)


def test_calibration_error_and_brier_by_hand() -> None:
    predicted, observed = np.array([0.2, 0.2, 0.8, 0.8]), np.array([0.0, 1.0, 1.0, 1.0])

    # Two bins: |0.2 - 0.5| and |0.8 - 1.0|, half the rows each.
    assert calibration_error(predicted, observed, n_bins=2) == pytest.approx(0.25)
    assert brier(predicted, observed) == pytest.approx((0.04 + 0.64 + 0.04 + 0.04) / 4)


def test_ranking_figures_by_hand() -> None:
    relevance = np.array([0.0, 2.0, 0.0, 1.0])

    # DCG@3 = 2 / log2(3); ideal = 2 + 1 / log2(3).
    assert ndcg_at(relevance, 3) == pytest.approx((2 / math.log2(3)) / (2 + 1 / math.log2(3)))
    assert math.isnan(ndcg_at(np.zeros(3), 3))
    assert reciprocal_rank(relevance) == 0.5
    assert hit_at(relevance, 1) == 0.0
    assert hit_at(relevance, 2) == 1.0


@pytest.mark.skipif(not OBD.exists(), reason="the Open Bandit sample is not here")
def test_the_open_bandit_sample_agrees_with_the_definitions(rng: np.random.Generator) -> None:
    with gzip.open(OBD / "bts" / "men.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    n_items = 34
    total_weighted, total_weight, total_dr, squares = 0.0, 0.0, 0.0, 0.0
    click_rate = sum(float(row["click"]) for row in rows) / len(rows)
    for row in rows:
        weight = (1 / n_items) / float(row["propensity_score"])
        squares += weight**2
        total_weight += weight
        clipped = min(weight, 20.0)
        total_weighted += clipped * float(row["click"])
        total_dr += click_rate + clipped * (float(row["click"]) - click_rate)
    clicks = np.array([float(row["click"]) for row in rows])
    logged = np.array([float(row["propensity_score"]) for row in rows])
    uniform = np.full(len(rows), 1 / n_items)
    weights = importance_weights(logged, uniform)
    clipped_weights = np.minimum(weights, 20.0)
    constant = np.full(len(rows), click_rate)

    by_ips = ratio("ips", clipped_weights * clicks, np.ones(len(rows)), rng=rng)
    by_snips = ratio("snips", weights * clicks, weights, rng=rng)
    by_dr = ratio(
        "dr", constant + clipped_weights * (clicks - constant), np.ones(len(rows)), rng=rng
    )

    assert by_ips.value == pytest.approx(total_weighted / len(rows), rel=1e-9)
    weighted = sum(float(r["click"]) / n_items / float(r["propensity_score"]) for r in rows)
    assert by_snips.value == pytest.approx(weighted / total_weight, rel=1e-9)
    assert by_dr.value == pytest.approx(total_dr / len(rows), rel=1e-9)
    assert effective_n(weights) == pytest.approx(total_weight**2 / squares, rel=1e-9)
    assert ips(clicks, logged, uniform, rng=rng).effective_n == pytest.approx(
        total_weight**2 / squares, rel=1e-9
    )


@pytest.mark.skipif(not OBD.exists(), reason="the Open Bandit sample is not here")
def test_thompson_sampling_log_and_random_log_agree_on_the_uniform_policy(
    rng: np.random.Generator,
) -> None:
    def clicks_and_propensities(policy: str) -> tuple[np.ndarray, np.ndarray]:
        with gzip.open(OBD / policy / "men.csv.gz", "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return (
            np.array([float(row["click"]) for row in rows]),
            np.array([float(row["propensity_score"]) for row in rows]),
        )

    on_policy, _ = clicks_and_propensities("random")
    clicks, logged = clicks_and_propensities("bts")
    truth = ratio("mean", on_policy, np.ones(len(on_policy)), rng=rng)

    weights = importance_weights(logged, np.full(len(logged), 1 / 34))
    found = ratio("snips", weights * clicks, weights, rng=rng)

    # Few clicks, wide intervals: they must overlap.
    assert found.low <= truth.high
    assert truth.low <= found.high
