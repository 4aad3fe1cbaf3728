"""The crowd's view of one person against worked answers and planted tastes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recommender.crowd import Answers, CrowdTaste, category_transfer

TWO_KINDS = CrowdTaste(
    shares=np.array([0.5, 0.5]),
    favours=np.array([[0.9, 0.9], [0.1, 0.1]]),
    like_rates=np.array([[0.1, 0.2], [0.5, 0.6]]),
    dislike_rates=np.array([[0.4, 0.3], [0.1, 0.1]]),
)


def told(liked: list[float], disliked: list[float], shown: list[float]) -> Answers:
    return Answers(np.array(liked), np.array(disliked), np.array(shown))


def test_a_stranger_has_the_crowds_taste_and_its_spread() -> None:
    favour, doubt = TWO_KINDS.posterior(told([0, 0], [0, 0], [0, 0]))

    assert TWO_KINDS.means == pytest.approx([0.3, 0.4])
    assert favour == pytest.approx([0.0, 0.0])
    # Half of them like it, and the two halves lie 0.4 apart.
    assert doubt == pytest.approx([0.2, 0.2])


def test_one_like_by_hand() -> None:
    # A like is five times as probable of who likes the first category. Of the first kind 0.9 do:
    # 0.9 * 0.5 + 0.1 * 0.1 = 0.46; of the second 0.1 * 0.5 + 0.9 * 0.1 = 0.14.
    favour, _ = TWO_KINDS.posterior(told([1, 0], [0, 0], [1, 0]))

    first = 0.46 / (0.46 + 0.14)
    likes_shown = first * 0.45 / 0.46 + (1 - first) * 0.05 / 0.14
    likes_other = first * 0.9 + (1 - first) * 0.1
    assert favour == pytest.approx([0.4 * (likes_shown - 0.5), 0.4 * (likes_other - 0.5)])


def test_a_dislike_says_more_than_silence() -> None:
    silent, _ = TWO_KINDS.posterior(told([0, 0], [0, 0], [1, 0]))
    disliked, _ = TWO_KINDS.posterior(told([0, 0], [1, 0], [1, 0]))

    assert (disliked < silent).all()
    assert (silent < 0).all()


def planted(
    n_users: int, *, seed: int, shown_more_of_the_liked: bool
) -> tuple[Answers, np.ndarray]:
    """Two kinds of people: one likes the first half of six categories, one the second."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n_users)
    truth = np.where((np.arange(6) < 3)[None, :] == (kind == 0)[:, None], 0.5, 0.1)
    weights = truth if shown_more_of_the_liked else np.ones_like(truth)
    shares = weights / weights.sum(axis=1, keepdims=True)
    shown = np.stack([rng.multinomial(12, share) for share in shares])
    liked = rng.binomial(shown, truth)
    disliked = rng.binomial(shown - liked, 0.25 * (1 - truth))
    return Answers(*(part.astype(np.float64) for part in (liked, disliked, shown))), truth


@pytest.mark.parametrize("adaptive", [False, True], ids=["at random", "what is liked"])
def test_the_crowd_tells_what_a_persons_own_counts_cannot(adaptive: bool) -> None:
    answers, _ = planted(600, seed=1, shown_more_of_the_liked=adaptive)
    crowd = category_transfer(answers)
    fresh, truth = planted(300, seed=2, shown_more_of_the_liked=False)
    # Known of the new people: the first and the fourth category alone.
    only = np.array([1.0, 0, 0, 1.0, 0, 0])

    rates = np.stack(
        [
            crowd.means + crowd.posterior(Answers(*(part * only for part in own)))[0]
            for own in map(Answers, *fresh)
        ]
    )

    unseen = [1, 2, 4, 5]
    error = np.abs(rates - truth)[:, unseen].mean()
    blind = np.abs(crowd.means - truth)[:, unseen].mean()
    assert error < 0.75 * blind


def test_planted_rates_are_found_again() -> None:
    answers, truth = planted(2_000, seed=3, shown_more_of_the_liked=False)

    crowd = category_transfer(answers)

    assert crowd.like_rates[0] == pytest.approx(np.full(6, 0.1), abs=0.03)
    assert crowd.like_rates[1] == pytest.approx(np.full(6, 0.5), abs=0.05)
    assert crowd.means == pytest.approx(truth.mean(axis=0), abs=0.02)


def test_the_same_answers_give_the_same_crowd() -> None:
    answers, _ = planted(100, seed=4, shown_more_of_the_liked=True)

    assert (category_transfer(answers).favours == category_transfer(answers).favours).all()


counts = arrays(np.float64, (5, 3), elements=st.integers(0, 6).map(float))


@given(counts, counts, counts)
def test_whatever_was_answered_rates_stay_probabilities(
    liked: np.ndarray, disliked: np.ndarray, silent: np.ndarray
) -> None:
    answers = Answers(liked, disliked, liked + disliked + silent)

    crowd = category_transfer(answers)

    assert crowd.shares.sum() == pytest.approx(1.0)
    assert ((crowd.favours > 0) & (crowd.favours < 1)).all()
    assert (crowd.like_rates + crowd.dislike_rates < 1).all()
    assert (crowd.like_rates[0] < crowd.like_rates[1]).all()
    for own in map(Answers, *answers):
        favour, doubt = crowd.posterior(own)
        rates = crowd.means + favour
        assert ((rates > 0) & (rates < 1)).all()
        assert ((doubt >= 0) & (doubt <= 0.5)).all()
