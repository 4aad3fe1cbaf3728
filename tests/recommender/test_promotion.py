from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput
from recommender.exploration import PolicyParameters
from recommender.logged import LoggedSlates, placings, slate_log
from recommender.policy import Pool, SlotDistribution, placing
from recommender.promotion import (
    Gate,
    RewardModel,
    arm_of,
    estimate_value,
    gate,
    sample_ratio,
    users_needed,
)
from recommender.rescoring import rescored
from recommender.training import Trained, judge_again, train
from tests.recommender.learning_world import a_log, like_truth

PARAMETERS = PolicyParameters(exploration_rate=0.3, temperature_in_sd=1.0)


@cache
def learned() -> tuple[LoggedSlates, Trained]:
    # 1 000 slates are held out: |mean p - mean y| then has a standard error of 0.008 beside the 0.02.
    log = a_log(5_000)
    return log, train(log, seed=1)


def judged(**changes: object) -> Gate:
    _, trained = learned()
    holdout = trained.holdout
    arguments: dict[str, object] = {
        "report": trained.report,
        "log": holdout,
        "candidate_scores": rescored(holdout, trained.predictor, 0.95),
        "in_force_scores": rescored(holdout, None, 0.0),
        "parameters": PARAMETERS,
        "safety_violations": 0,
        "rng": np.random.default_rng(2),
    }
    return gate(**{**arguments, **changes})  # type: ignore[arg-type]


def test_a_model_that_found_the_planted_signal_may_serve() -> None:
    _, trained = learned()

    verdict = judged()

    assert trained.report.auc.low > 0.6
    assert verdict.reasons == ()
    assert verdict.candidate is not None
    assert verdict.candidate.value > verdict.in_force


def test_one_safety_violation_keeps_any_model_back() -> None:
    verdict = judged(safety_violations=1)

    assert not verdict.is_open
    assert any("safety" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"calibration_error": 0.06}, "calibration error"),
        ({"mean_gap": -0.03}, "predicts"),
        ({"brier_in_force": 0.01}, "Brier"),
        ({"n_liked": 49}, "needed are"),
        ({"calibration_error": math.nan}, "calibration error"),
    ],
    ids=["calibration", "mean", "brier", "few", "unknown"],
)
def test_each_calibration_gate_says_what_is_wrong(change: dict[str, float], word: str) -> None:
    report = replace(learned()[1].report, **change)

    assert any(word in reason for reason in judged(report=report).reasons)


def test_a_worse_ranking_stays_in_shadow_with_the_numbers() -> None:
    _, trained = learned()
    holdout = trained.holdout

    verdict = judged(
        candidate_scores=-rescored(holdout, trained.predictor, 0.95),
        in_force_scores=rescored(holdout, trained.predictor, 0.95),
    )

    assert any("stays in shadow" in reason for reason in verdict.reasons)


def test_the_estimates_find_the_planted_value() -> None:
    log = a_log(3_000, seed=8)
    truth = like_truth(log.features, 1.5)
    rng = np.random.default_rng(4)

    found = estimate_value(log, truth, PARAMETERS, rng=rng)

    target = placings(log, truth, PARAMETERS)
    value = float((target.all_marginals * truth[:, :, None]).sum(axis=1).mean())
    # Five standard errors: a right estimator fails once in two million runs.
    assert abs(found.value - value) < 5 * found.standard_error
    assert found.method == "dr-per-position"
    assert (
        estimate_value(log.rows(slice(0, 1_000)), truth[:1_000], PARAMETERS, rng=rng).method
        == "snips-per-position"
    )


def test_batched_placings_agree_with_the_policy_itself() -> None:
    log = a_log(30)
    rng = np.random.default_rng(6)
    scores = rng.normal(size=log.scores.shape)
    vectors = rng.normal(size=(30, 10, 4))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    alike = np.einsum("nif,njf->nij", vectors, vectors).astype(np.float32)
    log = replace(log, similarities=alike)
    parameters = PolicyParameters(diversity_penalty=0.8)

    found = placings(log, scores, parameters)

    for row in range(30):
        pool = Pool(item_ids=(), scores=scores[row], similarities=alike[row].astype(np.float64))
        told = placing(SlotDistribution.of(pool, parameters), list(log.chosen[row]))
        assert found.conditional[row] == pytest.approx(told.conditional)
        assert found.marginal[row] == pytest.approx(told.marginal)
        assert found.all_marginals[row] == pytest.approx(told.all_marginals)


def test_placings_of_the_logging_policy_are_the_logged_propensities() -> None:
    log = a_log(60, parameters=PARAMETERS)

    arrays = slate_log(log, placings(log, log.scores, PARAMETERS))

    assert arrays.target_conditional == pytest.approx(arrays.conditional)
    assert arrays.target_marginal == pytest.approx(arrays.marginal)


def test_the_reward_model_has_not_seen_the_user() -> None:
    log = a_log(400, n_users=40)
    upset = replace(log, rewards=np.where(log.users[:, None] == 0, 1.0, log.rewards))

    calm, changed = RewardModel(log), RewardModel(upset)

    mine = log.users == 0
    np.testing.assert_array_equal(calm.q[mine], changed.q[mine])
    assert (calm.q[~mine] != changed.q[~mine]).any()


def test_a_finished_model_can_be_judged_by_a_newer_log() -> None:
    log, trained = learned()

    report, holdout = judge_again(log, trained.predictor, in_force=None, seed=1)

    assert report.auc == trained.report.auc
    assert len(holdout) == len(trained.holdout)


def test_arms_are_fixed_fair_and_independent() -> None:
    users = [f"{n:032x}" for n in range(20_000)]
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}

    first = [arm_of(user, "one", shares) for user in users]
    second = [arm_of(user, "two", shares) for user in users]

    assert first == [arm_of(user, "one", shares) for user in users]
    counts = Counter(first)
    for arm, share in shares.items():
        # Four standard errors of a share.
        assert abs(counts[arm] / 20_000 - share) < 4 * math.sqrt(share * (1 - share) / 20_000)
    together = Counter(zip(first, second, strict=True))
    assert abs(together["a", "a"] / 20_000 - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 20_000)


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(InvalidInput):
        arm_of("ada", "one", {"a": 0.5, "b": 0.4})


def test_the_power_calculation_by_hand() -> None:
    # p = 0.2, q = 0.25, mean 0.225: 1.95996 * sqrt(2 * 0.225 * 0.775) = 1.15745;
    # 0.84162 * sqrt(0.16 + 0.1875) = 0.49613; (1.65358 / 0.05)^2 = 1093.7.
    assert users_needed(0.2, 0.25) == 1_094
    assert users_needed(0.2, 0.125) > users_needed(0.2, 0.25)
    with pytest.raises(InvalidInput):
        users_needed(0.2, 0.0)


def test_a_sample_ratio_mismatch_raises_the_alarm() -> None:
    shares = {"a": 0.5, "b": 0.5}

    # 5200 to 4800: chi-squared 16 with one degree of freedom, p = 6.3e-5.
    broken = sample_ratio({"a": 5_200, "b": 4_800}, shares)

    assert broken.p_value == pytest.approx(math.erfc(math.sqrt(8)), rel=1e-6)
    assert broken.is_mismatch
    assert not sample_ratio({"a": 5_050, "b": 4_950}, shares).is_mismatch
    assert sample_ratio({"a": 5, "ghost": 1}, shares).is_mismatch


@given(st.text(max_size=40), st.text(max_size=20), st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_everybody_gets_an_arm(user: str, experiment: str, share: float) -> None:
    shares = {"new": share, "old": 1.0 - share}

    assert arm_of(user, experiment, shares) in shares
