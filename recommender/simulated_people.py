"""People with hidden tastes, diets, fatigue and position bias. The only invented part of a simulation.

Given examination, a person likes an item with probability

    sigmoid(base + fit * match + taste(category, tags, price) + quality - fatigue),

and looks at position k with a probability that falls with k. Tastes come in a few kinds plus what
is each person's own. Nothing here is read by the recommender; it sees impressions and replies only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from data.catalogue import Catalogue
from data.events import FactKind, ProfileFact, UserKey

Floats = npt.NDArray[np.float64]

EXAMINED = (1.0, 0.8, 0.65)
"""Probability that a person looks at position 0, 1, 2."""
_BASE = -4.0
_FIT = 0.6
_N_KINDS = 6
_FAVOURITES, _KEPT, _ADDED, _FAVOUR = 0.3, 0.8, 0.08, 4.5
"""Share of categories that a kind favours; chances that one of its people keeps one of these, or
has one of the others as well; what a favourite adds to the logit."""
_ITEM_FATIGUE, _CATEGORY_FATIGUE = 0.4, 0.05
_RECOVERY = 0.85
"""Share of a fatigue that is left after one round."""
_DISLIKES, _BUYS = 0.25, 0.15
_CONSENTING = 0.9

_TOLD: tuple[tuple[float, tuple[tuple[FactKind, str], ...]], ...] = (
    (0.62, ()),
    (0.08, ((FactKind.DIET, "vegetarian"),)),
    (0.05, ((FactKind.DIET, "vegan"),)),
    (0.05, ((FactKind.DIET, "halal"),)),
    (0.05, ((FactKind.ALLERGEN, "milk"),)),
    (0.04, ((FactKind.ALLERGEN, "nuts"), (FactKind.ALLERGEN, "peanuts"))),
    (0.04, ((FactKind.ALLERGEN, "crustaceans"), (FactKind.ALLERGEN, "molluscs"))),
    (0.03, ((FactKind.ALLERGEN, "gluten"),)),
    (0.02, ((FactKind.ALLERGEN, "eggs"),)),
    (0.02, ((FactKind.EXCLUDE, "pork"),)),
)
"""Shares of people by what they declared; the first declared nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person did with one placement."""

    is_liked: bool
    is_disliked: bool
    is_bought: bool


@dataclass(frozen=True)
class Population:
    """The people of one simulation; the same seed gives the same people."""

    keys: tuple[UserKey, ...]
    facts: tuple[tuple[ProfileFact, ...], ...]
    consents: npt.NDArray[np.bool_]
    taste: Floats
    """(n_users, n_items) logit of everything but fit and fatigue."""
    category_codes: npt.NDArray[np.int64]
    hours: npt.NDArray[np.int64]
    """(n_users,) hour of the day at which each person learns."""
    lessons: npt.NDArray[np.int64]
    """(n_users, n_rounds) number of the lesson that is finished."""
    luck: npt.NDArray[np.float32]
    """(n_users, n_rounds, 3, 4) uniform numbers shared by all policies."""

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        *,
        n_users: int,
        n_rounds: int,
        n_lessons: int,
        seed: int,
        start: datetime,
    ) -> Population:
        rng = np.random.default_rng([seed, 1])
        kinds = rng.choice(len(_TOLD), p=[share for share, _ in _TOLD], size=n_users)
        keys = tuple(UserKey(f"{seed:08x}{n:024x}") for n in range(n_users))
        categories = sorted({item.category for item in catalogue})
        codes = np.array([categories.index(item.category) for item in catalogue], dtype=np.int64)
        return cls(
            keys=keys,
            facts=tuple(
                _facts(key, _TOLD[kind][1], start) for key, kind in zip(keys, kinds, strict=True)
            ),
            consents=rng.random(n_users) < _CONSENTING,
            taste=_tastes(catalogue, codes, n_users=n_users, rng=rng),
            category_codes=codes,
            hours=rng.integers(1, 14, size=n_users),
            lessons=rng.integers(0, n_lessons, size=(n_users, n_rounds)),
            luck=rng.random((n_users, n_rounds, len(EXAMINED), 4), dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.keys)


def _facts(
    key: UserKey, told: Sequence[tuple[FactKind, str]], start: datetime
) -> tuple[ProfileFact, ...]:
    return tuple(
        ProfileFact(
            fact_id=f"{key}:{n}",
            user_key=key,
            at=start - timedelta(days=1),
            kind=kind,
            value=value,
            source="simulation",
        )
        for n, (kind, value) in enumerate(told)
    )


def _tastes(
    catalogue: Catalogue, codes: npt.NDArray[np.int64], *, n_users: int, rng: np.random.Generator
) -> Floats:
    tags = sorted({tag for item in catalogue for tag in item.tags})
    columns = {tag: n for n, tag in enumerate(tags)}
    worn = np.zeros((len(catalogue), len(tags)))
    for row, item in enumerate(catalogue):
        for tag in item.tags:
            worn[row, columns[tag]] = 1 / np.sqrt(len(item.tags))
    n_categories = int(codes.max(initial=0)) + 1
    kind = rng.integers(_N_KINDS, size=n_users)
    # A person has a handful of favourite kinds of food, most of them shared with their like.
    of_kind = rng.random((_N_KINDS, n_categories)) < _FAVOURITES
    kept = rng.random((n_users, n_categories))
    favourite = np.where(of_kind[kind], kept < _KEPT, kept < _ADDED)
    by_category = _FAVOUR * favourite + rng.normal(0, 0.4, (n_users, n_categories))
    by_tag = rng.normal(0, 0.4, (_N_KINDS, len(tags)))[kind] + rng.normal(
        0, 0.2, (n_users, len(tags))
    )
    prices = np.array(
        [np.log1p(float(i.price)) if i.price is not None else np.nan for i in catalogue]
    )
    dearness = np.nan_to_num(prices - np.nanmean(prices)) if len(prices) else prices
    thrift = rng.normal(0.25, 0.25, n_users)
    quality = rng.normal(0, 0.4, len(catalogue))
    own = rng.normal(0, 0.3, (n_users, len(catalogue)))
    return np.asarray(
        by_category[:, codes] + by_tag @ worn.T - np.outer(thrift, dearness) + quality + own
    )


class Weariness:
    """How tired each person is of items and categories, under one policy."""

    def __init__(self, population: Population) -> None:
        n_users, n_items = population.taste.shape
        self._codes = population.category_codes
        self._items = np.zeros((n_users, n_items), dtype=np.float32)
        self._categories = np.zeros(
            (n_users, int(self._codes.max(initial=0)) + 1), dtype=np.float32
        )

    def of(self, user: int, rows: npt.NDArray[np.int64]) -> Floats:
        """(k,) logits to take off."""
        return np.asarray(
            _ITEM_FATIGUE * self._items[user, rows]
            + _CATEGORY_FATIGUE * self._categories[user, self._codes[rows]],
            dtype=np.float64,
        )

    def show(self, user: int, rows: npt.NDArray[np.int64]) -> None:
        self._items[user, rows] += 1
        np.add.at(self._categories[user], self._codes[rows], 1)

    def rest(self) -> None:
        """Let one round pass."""
        self._items *= _RECOVERY
        self._categories *= _RECOVERY


def like_probabilities(
    population: Population,
    weariness: Weariness,
    user: int,
    rows: npt.NDArray[np.int64],
    match: Floats,
) -> Floats:
    """(k,) hidden probability that the person likes each item once they look at it."""
    logits = _BASE + _FIT * match + population.taste[user, rows] - weariness.of(user, rows)
    return np.asarray(1 / (1 + np.exp(-logits)))


def answer(population: Population, user: int, round_: int, position: int, p_like: float) -> Answer:
    """Draw what the person does with an item at a position."""
    looks, likes, dislikes, buys = population.luck[user, round_, position]
    if looks >= EXAMINED[position]:
        return Answer(is_liked=False, is_disliked=False, is_bought=False)
    is_liked = bool(likes < p_like)
    return Answer(
        is_liked=is_liked,
        is_disliked=not is_liked and bool(dislikes < _DISLIKES * (1 - p_like)),
        is_bought=is_liked and bool(buys < _BUYS),
    )
