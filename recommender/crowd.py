"""What the tastes of many people say about one person: kinds of eaters, and who is of which kind.

People come in kinds that the crowd's answers tell apart, and a person likes a category or does not
care for it. A few answers then tell which kind somebody is of, so also what they would say to
categories that they were never offered, and how sure that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_N_KINDS = (2, 5, 10)
"""Tried one after the other, and the likeliest is kept. More kinds than there are do little harm,
since what is left over keeps few people; but from many a crowd that has only two is found late."""
_MOST_PEOPLE = 4_000
"""Beyond this the kinds hardly change; those with the most impressions are read."""
_STEPS = 150
_ENOUGH = 1e-5
"""Gain of log-likelihood per person below which fitting ends."""
_FAVOURED_AT_FIRST, _SPREAD_AT_FIRST = 0.3, 0.1
_CARELESS_AT_FIRST, _CARING_AT_FIRST = 0.25, 1.2
"""Where fitting begins: how many categories somebody likes, and the like rates of who does not care
and of who does, as multiples of all people's."""
_KIND_PRIOR = 2.0
_FAVOUR_PRIOR = 4.0
_CATEGORY_PRIOR = 8.0
_ANSWERS_PRIOR = 30.0
"""Pseudo-counts: of people in a kind, of favours in a kind's category and in a category, and of
answers in a category, drawn to what holds for all of them."""
_LEAST, _MOST = 0.01, 0.99
_LARGEST_LOGIT = 50.0


class Answers(NamedTuple):
    """Counts of impressions by category, of one person or of many; arrays (..., n_categories)."""

    liked: Floats
    disliked: Floats
    shown: Floats

    @property
    def silent(self) -> Floats:
        return np.maximum(self.shown - self.liked - self.disliked, 0.0)

    def of(self, people: npt.NDArray[Any]) -> Answers:
        """Those of some of the people, by number or by a mask."""
        return Answers(self.liked[people], self.disliked[people], self.shown[people])


@dataclass(frozen=True)
class CrowdTaste:
    """Kinds of people by the categories that they like, and how those who like one answer."""

    shares: Floats
    """(n_kinds,) of people; they sum to 1."""
    favours: Floats
    """(n_kinds, n_categories) probability in (0, 1) that one of the kind likes the category."""
    like_rates: Floats
    """(2, n_categories) in (0, 1): of who does not care for the category, and of who likes it."""
    dislike_rates: Floats
    """(2, n_categories) the same for saying that one does not like it."""

    def __len__(self) -> int:
        return len(self.favours[0])

    @cached_property
    def means(self) -> Floats:
        """(n_categories,) the like rate of a stranger."""
        return self._rates(self.shares @ self.favours)

    def posterior(self, answers: Answers) -> tuple[Floats, Floats]:
        """Give one person's like rates beyond a stranger's and their standard deviations.

        Bayes' rule over kinds and, given the kind, over liking each category. Without any answer
        it is 0 and the crowd's own spread.

        Args:
            answers: (n_categories,) each.

        Returns:
            (n_categories,) each.
        """
        kinds, likings, _ = self._responsibilities(Answers(*(part[None] for part in answers)))
        likes = np.clip((kinds[0][:, None] * likings[0]).sum(axis=0), 0.0, 1.0)
        doubt = np.sqrt(likes * (1 - likes)) * (self.like_rates[1] - self.like_rates[0])
        return self._rates(likes) - self.means, doubt

    def _rates(self, likes: Floats) -> Floats:
        return np.asarray(likes * self.like_rates[1] + (1 - likes) * self.like_rates[0])

    @cached_property
    def _log_rates(self) -> tuple[Floats, Floats, Floats]:
        """(2, n_categories) logarithms of liking, disliking and saying nothing."""
        rest = 1 - self.like_rates - self.dislike_rates
        return np.log(self.like_rates), np.log(self.dislike_rates), np.log(rest)

    def _responsibilities(self, answers: Answers) -> tuple[Floats, Floats, float]:
        """Give P(kind), P(likes the category | kind) and the log-likelihood of all answers.

        Returns:
            (n_users, n_kinds), (n_users, n_kinds, n_categories) and a number.
        """
        told = (answers.liked, answers.disliked, answers.silent)
        caring, careless = (
            sum(count * log[state] for count, log in zip(told, self._log_rates, strict=True))
            for state in (1, 0)
        )
        odds = np.exp(np.clip(caring - careless, -_LARGEST_LOGIT, _LARGEST_LOGIT))
        liking = self.favours[None] * odds[:, None, :]
        either = liking + 1 - self.favours[None]
        by_kind = np.log(either).sum(axis=2) + np.log(self.shares)
        top = by_kind.max(axis=1, keepdims=True)
        kinds = np.exp(by_kind - top)
        total = kinds.sum(axis=1, keepdims=True)
        likelihood = float((np.log(total) + top).sum() + careless.sum())
        return kinds / total, liking / either, likelihood


def category_transfer(answers: Answers) -> CrowdTaste:
    """Learn from the crowd which kinds of people there are, by expectation-maximisation.

    What was never shown says nothing, so a policy that shows everybody what they seem to like
    does no harm, as it does to ratios of counts.

    Args:
        answers: (n_users, n_categories) each, of people who agreed that we learn from them.

    Source: latent class analysis (Lazarsfeld and Henry, 1968; Goodman, 1974) fitted by Dempster,
    Laird and Rubin (1977); that an answer is a noisy sign of a state that one has or has not is
    the model of Haertel (1989).
    """
    totals = answers.shown.sum(axis=1)
    most = np.argsort(-totals, kind="stable")[:_MOST_PEOPLE]
    most = most[totals[most] > 0]
    answers = answers.of(most)
    fitted = [_fitted(answers, n_kinds) for n_kinds in _N_KINDS]
    return max(fitted, key=lambda pair: pair[1])[0]


def _fitted(answers: Answers, n_kinds: int) -> tuple[CrowdTaste, float]:
    """Give the crowd and its log-likelihood, 0 without anybody."""
    crowd = _beginning(answers, n_kinds)
    n_people = len(answers.shown)
    before, likelihood = -np.inf, 0.0
    for _ in range(_STEPS if n_people else 0):
        kinds, likings, likelihood = crowd._responsibilities(answers)
        if likelihood - before < _ENOUGH * n_people:
            break
        before = likelihood
        crowd = _maximised(answers, kinds, likings)
    return crowd, likelihood


def _beginning(answers: Answers, n_kinds: int) -> CrowdTaste:
    n_categories = answers.shown.shape[1]
    n_shown = answers.shown.sum()
    liked = (answers.liked.sum() + 1) / (n_shown + 5)
    disliked = (answers.disliked.sum() + 0.25) / (n_shown + 5)
    # Seeded: the same answers give the same crowd. Kinds that began alike would stay alike.
    rng = np.random.default_rng(0)
    favours = rng.normal(_FAVOURED_AT_FIRST, _SPREAD_AT_FIRST, (n_kinds, n_categories))
    like_rates = liked * np.array([_CARELESS_AT_FIRST, _CARING_AT_FIRST])
    return CrowdTaste(
        shares=np.full(n_kinds, 1 / n_kinds),
        favours=np.clip(favours, 0.05, 0.95),
        like_rates=np.outer(np.minimum(like_rates, [0.3, 0.8]), np.ones(n_categories)),
        dislike_rates=np.full((2, n_categories), min(disliked, 0.15)),
    )


def _maximised(answers: Answers, kinds: Floats, likings: Floats) -> CrowdTaste:
    n_users, n_kinds = kinds.shape
    likings = kinds[:, :, None] * likings
    was_shown = (answers.shown > 0).astype(np.float64)
    # Means of Dirichlet and beta posteriors; the priors lie at what holds for all.
    favouring = np.einsum("ukc,uc->kc", likings, was_shown)
    asked = kinds.T @ was_shown
    usual = favouring.sum() / asked.sum()
    of_category = (favouring.sum(axis=0) + _CATEGORY_PRIOR * usual) / (
        asked.sum(axis=0) + _CATEGORY_PRIOR
    )
    favours = (favouring + _FAVOUR_PRIOR * of_category) / (asked + _FAVOUR_PRIOR)
    likes = np.clip(likings.sum(axis=1), 0.0, 1.0)
    states = np.stack([1 - likes, likes])
    counts = np.einsum("suc,auc->sac", states, np.stack([*answers[:2], answers.silent]))
    everywhere = counts.sum(axis=2) + np.array([0.2, 0.2, 1.0])
    everywhere /= everywhere.sum(axis=1, keepdims=True)
    rates = (counts + _ANSWERS_PRIOR * everywhere[:, :, None]) / (
        counts.sum(axis=1, keepdims=True) + _ANSWERS_PRIOR
    )
    # Who likes a category likes more of it than who does not: else the two would be one name.
    rates[0, 0] = np.minimum(rates[0, 0], 0.9 * rates[1, 0])
    return CrowdTaste(
        shares=(kinds.sum(axis=0) + _KIND_PRIOR) / (n_users + n_kinds * _KIND_PRIOR),
        favours=np.clip(favours, _LEAST, _MOST),
        like_rates=rates[:, 0],
        dislike_rates=rates[:, 1],
    )
