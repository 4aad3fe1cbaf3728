"""What the tastes of many people say about one person: an empirical-Bayes view of categories.

Each person's like rate in each category is the crowd's rate plus a deviation; the deviations of one
person go together as they do in the crowd. A few likes then tell which kind of eater somebody is,
and how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_PRIOR_SHOWN, _PRIOR_RATE = 10.0, 0.2
_PRIOR_SHOWN_EACH = 3.0
_PRIOR_PEOPLE, _PRIOR_SD = 10.0, 0.15
"""The covariance begins as that of so many people with independent deviations of this size."""
_LEAST_NOISE = 0.02
_STEPS = 20
_MOST_PEOPLE = 4_000
"""Beyond this the covariance hardly changes; those with the most impressions are read."""


@dataclass(frozen=True)
class CrowdTaste:
    """The crowd's like rates by category and how deviations from them go together."""

    means: Floats
    """(n_categories,) like rates in (0, 1)."""
    covariance: Floats
    """(n_categories, n_categories) of people's deviations; symmetric, positive definite."""

    def __len__(self) -> int:
        return len(self.means)

    @cached_property
    def noise(self) -> Floats:
        """(n_categories,) variance of one answer."""
        return np.maximum(self.means * (1 - self.means), _LEAST_NOISE)

    def posterior(self, liked: Floats, shown: Floats) -> tuple[Floats, Floats]:
        """Give one person's deviations and their standard deviations, (n_categories,) each.

        With d ~ N(0, C) and like rates y = mean + d + noise / shown, the answer is the usual
        conditional normal over the categories that were shown; without any it is 0 and the
        crowd's own spread.

        Args:
            liked: (n_categories,) impressions that were liked.
            shown: (n_categories,) impressions; at least `liked`.
        """
        seen = np.flatnonzero(shown > 0)
        spread = np.diag(self.covariance)
        if not len(seen):
            return np.zeros(len(self)), np.sqrt(spread)
        across = self.covariance[:, seen]
        inner = across[seen] + np.diag(self.noise[seen] / shown[seen])
        away = liked[seen] / shown[seen] - self.means[seen]
        weights = np.linalg.solve(inner, np.column_stack([away, across.T]))
        left = spread - np.einsum("ij,ji->i", across, weights[:, 1:])
        return across @ weights[:, 0], np.sqrt(np.maximum(left, 0.0))


def category_transfer(liked: Floats, shown: Floats) -> CrowdTaste:
    """Learn from the crowd what a taste for some categories says of the others.

    Expectation-maximisation: each person's deviations are estimated under the present covariance,
    then the covariance of all estimates with their doubt is taken. Unlike plain averages it does
    not mind that a policy shows everybody what they seem to like.

    Args:
        liked: (n_users, n_categories) likes of people who agreed that we learn from them.
        shown: (n_users, n_categories) impressions; at least `liked`.

    Source: Dempster, Laird and Rubin (1977); the prior is an inverse Wishart's.
    """
    totals = shown.sum(axis=1)
    most = np.argsort(-totals, kind="stable")[:_MOST_PEOPLE]
    liked, shown = liked[most][totals[most] > 0], shown[most][totals[most] > 0]
    n_categories = liked.shape[1]
    rates = np.divide(liked, shown, out=np.zeros_like(liked), where=shown > 0)
    # By people and not by impressions: who is shown much of something because they like it does
    # not speak for the others.
    votes = shown / (shown + _PRIOR_SHOWN_EACH)
    usual = (liked.sum() + _PRIOR_SHOWN * _PRIOR_RATE) / (shown.sum() + _PRIOR_SHOWN)
    means = ((votes * rates).sum(axis=0) + _PRIOR_SHOWN * usual) / (
        votes.sum(axis=0) + _PRIOR_SHOWN
    )
    prior = np.eye(n_categories) * _PRIOR_SD**2
    covariance = prior.copy()
    if not len(liked):
        return CrowdTaste(means=means, covariance=covariance)
    for _ in range(_STEPS):
        # Precisions of the answers; what was never shown says nothing.
        told = shown / np.maximum(means * (1 - means), _LEAST_NOISE)
        doubt = np.linalg.inv(
            np.linalg.inv(covariance)[None] + told[:, :, None] * np.eye(n_categories)[None]
        )
        deviations = np.einsum("uij,uj->ui", doubt, told * (rates - means))
        moved = deviations.mean(axis=0) * len(deviations) / (len(deviations) + _PRIOR_PEOPLE)
        means = np.clip(means + moved, 0.005, 0.995)
        deviations -= moved
        covariance = (doubt.sum(axis=0) + deviations.T @ deviations + _PRIOR_PEOPLE * prior) / (
            len(deviations) + _PRIOR_PEOPLE
        )
    return CrowdTaste(means=means, covariance=(covariance + covariance.T) / 2)
