"""The crowd's view of one person against worked answers and planted tastes."""

from __future__ import annotations

import numpy as np
import pytest

from recommender.crowd import CrowdTaste, category_transfer


def test_a_stranger_has_the_crowds_taste_and_its_spread() -> None:
    crowd = CrowdTaste(np.array([0.2, 0.5]), np.array([[0.04, 0.0], [0.0, 0.09]]))

    taste, doubt = crowd.posterior(np.zeros(2), np.zeros(2))

    assert taste.tolist() == [0.0, 0.0]
    assert doubt == pytest.approx([0.2, 0.3])


def test_one_category_by_hand() -> None:
    # Shrinkage C / (C + p(1-p)/n) of the observed deviation; its companion follows by C12 / C11.
    crowd = CrowdTaste(np.array([0.5, 0.5]), np.array([[0.04, 0.03], [0.03, 0.05]]))

    taste, doubt = crowd.posterior(np.array([4.0, 0.0]), np.array([5.0, 0.0]))

    inner = 0.04 + 0.25 / 5
    assert taste == pytest.approx([0.04 / inner * 0.3, 0.03 / inner * 0.3])
    assert doubt**2 == pytest.approx([0.04 - 0.04**2 / inner, 0.05 - 0.03**2 / inner])


def planted(
    n_users: int, *, seed: int, shown_more_of_the_liked: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two kinds of people: one likes the first half of six categories, one the second."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n_users)
    truth = np.where((np.arange(6) < 3)[None, :] == (kind == 0)[:, None], 0.5, 0.1)
    weights = truth if shown_more_of_the_liked else np.ones_like(truth)
    shares = weights / weights.sum(axis=1, keepdims=True)
    shown = np.stack([rng.multinomial(12, share) for share in shares]).astype(float)
    return rng.binomial(shown.astype(int), truth).astype(float), shown, truth


@pytest.mark.parametrize(
    ("adaptive", "share"),
    [
        pytest.param(False, 0.75, id="shown at random"),
        # Five times more of the liked half: little is known of the other.
        pytest.param(True, 0.97, id="shown what is liked"),
    ],
)
def test_the_crowd_tells_what_a_persons_own_counts_cannot(adaptive: bool, share: float) -> None:
    liked, shown, _ = planted(600, seed=1, shown_more_of_the_liked=adaptive)
    crowd = category_transfer(liked, shown)
    new_liked, new_shown, truth = planted(300, seed=2, shown_more_of_the_liked=False)
    # Known of the new people: the first and the fourth category alone.
    only = np.array([1.0, 0, 0, 1.0, 0, 0])

    rates = np.stack(
        [
            crowd.means + crowd.posterior(own * only, n * only)[0]
            for own, n in zip(new_liked, new_shown, strict=True)
        ]
    )

    unseen = [1, 2, 4, 5]
    error = np.abs(rates - truth)[:, unseen].mean()
    blind = np.abs(crowd.means - truth)[:, unseen].mean()
    assert error < share * blind
    # Liked together, and apart from the other half.
    assert crowd.covariance[0, 1] > 0.002
    assert crowd.covariance[0, 4] < -0.002


def test_people_without_impressions_and_an_empty_crowd_do_no_harm() -> None:
    liked, shown = np.zeros((3, 4)), np.zeros((3, 4))

    crowd = category_transfer(liked, shown)

    assert np.isfinite(crowd.covariance).all()
    assert (np.linalg.eigvalsh(crowd.covariance) > 0).all()
    assert ((crowd.means > 0) & (crowd.means < 1)).all()
