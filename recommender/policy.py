"""Policies: scores in, an ordered slate with exact probabilities out.

A slate is filled slot by slot. With remaining candidates R and already placed items S,

    p(a | S) = (1 - e) * softmax((s_a - penalty * max_{j in S} cos(a, j)) / temperature) + e / |R|

so diversity is part of the distribution. So is the bound on items that have not proved themselves
yet: both parts are scaled until such items have at most their share of a slot. A swap after sampling would make every logged
propensity wrong: inverse-propensity estimates on such logs were off by a factor of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Protocol

import numpy as np

from data.catalogue import ItemId
from data.events import Placement
from recommender.exploration import STEADY, PolicyParameters

SLATE_SIZE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The candidates of one draw, best first."""

    item_ids: tuple[ItemId, ...]
    scores: np.ndarray
    """(n,) float64, any scale; higher is better."""
    similarities: np.ndarray
    """(n, n) float64 cosine between items; the diagonal is not used."""
    unproven: np.ndarray | None = None
    """(n,) bool: shown too seldom to have proved themselves; None when all are proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a policy placed and how likely that was."""

    placements: tuple[Placement, ...]
    temperature: float
    exploration_rate: float


class Policy(Protocol):
    """Chooses an ordered slate and says with what probability."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes with every parameter that changes a probability."""

    def choose(self, pool: Pool, *, size: int, rng: np.random.Generator) -> Draw: ...


@dataclass(frozen=True, slots=True)
class SoftmaxPolicy:
    """Softmax with uniform exploration and diversity inside the sampling."""

    parameters: PolicyParameters = STEADY
    name: str = "softmax"

    @property
    def version(self) -> str:
        p = self.parameters
        return (
            f"e{p.exploration_rate:g}-t{p.temperature_in_sd:g}"
            f"-d{p.diversity_penalty:g}-m{p.pool_size}-u{p.unproven_share:g}"
        )

    def choose(self, pool: Pool, *, size: int, rng: np.random.Generator) -> Draw:
        pool = best(pool, self.parameters.pool_size)
        slot = SlotDistribution.of(pool, self.parameters)
        return draw(pool, slot, size=size, rng=rng)


@dataclass(frozen=True, slots=True)
class UniformPolicy:
    """Every eligible candidate with equal probability: the yardstick of evaluations."""

    pool_size: int = 10
    name: str = "uniform"
    version: str = "1"

    def choose(self, pool: Pool, *, size: int, rng: np.random.Generator) -> Draw:
        pool = best(pool, self.pool_size)
        parameters = PolicyParameters(
            exploration_rate=1.0, pool_size=self.pool_size, unproven_share=1.0
        )
        return draw(pool, SlotDistribution.of(pool, parameters), size=size, rng=rng)


@dataclass(frozen=True, slots=True)
class GreedyPolicy:
    """The best first, always; propensity 1, so its log says nothing about other policies."""

    name: str = "greedy"
    version: str = "1"

    def choose(self, pool: Pool, *, size: int, rng: np.random.Generator) -> Draw:
        pool = best(pool, size)
        placements = tuple(
            Placement(
                item_id=item_id,
                position=position,
                propensity=1.0,
                marginal_propensity=1.0,
                score=float(pool.scores[position]),
            )
            for position, item_id in enumerate(pool.item_ids)
        )
        return Draw(placements=placements, temperature=0.0, exploration_rate=0.0)


def best(pool: Pool, n: int) -> Pool:
    """Keep the n best candidates; ties fall to the earlier one."""
    order = np.argsort(-pool.scores, kind="stable")[:n]
    return Pool(
        item_ids=tuple(pool.item_ids[i] for i in order),
        scores=pool.scores[order],
        similarities=pool.similarities[np.ix_(order, order)],
        unproven=None if pool.unproven is None else pool.unproven[order],
    )


def is_bounded(unproven: np.ndarray, share: float) -> np.ndarray:
    """Give (...) bool from (..., n): whether the pools have unproven items to be held back.

    Args:
        unproven: Which candidates are unproven; what is beyond a pool counts as unproven.
        share: Largest share of a slot that they may have.
    """
    n_proven = (~unproven).sum(axis=-1)
    return np.asarray(unproven.any(axis=-1) & (n_proven >= SLATE_SIZE) & (share < 1.0))


def bounded(
    probabilities: np.ndarray, left: np.ndarray, unproven: np.ndarray, share: float
) -> np.ndarray:
    """Scale distributions until unproven items have at most `share` of each.

    Args:
        probabilities: (..., n) of one slot; they sum to 1.
        left: (..., n) bool: not placed yet.
        unproven: (..., n) bool, broadcast.
        share: In (0, 1).

    Returns:
        (..., n); they sum to 1, and what was above 0 still is.
    """
    theirs = np.where(unproven, probabilities, 0.0)
    ours = probabilities - theirs
    # A trace for every proven item that is left, should their own weights have vanished.
    ours = np.where(~unproven & left, np.maximum(ours, 1e-12), 0.0)
    mass = theirs.sum(axis=-1, keepdims=True)
    rest = ours.sum(axis=-1, keepdims=True)
    binds = (mass > share) & (rest > 0)
    safe_mass, safe_rest = np.where(binds, mass, 1.0), np.where(binds, rest, 1.0)
    held = theirs * (share / safe_mass) + ours * ((1 - share) / safe_rest)
    return np.asarray(np.where(binds, held, probabilities))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDistribution:
    """The distribution of one slot given the items placed above it."""

    scores: np.ndarray
    similarities: np.ndarray
    temperature: float
    penalty: float
    exploration_rate: float
    unproven: np.ndarray | None = None
    """(n,) bool, where unproven items must be held back; None where not."""
    unproven_share: float = 1.0

    @classmethod
    def of(cls, pool: Pool, parameters: PolicyParameters) -> SlotDistribution:
        spread = float(np.std(pool.scores)) if len(pool.scores) > 1 else 0.0
        # Equal scores carry no preference: any positive temperature gives the uniform slot.
        unit = spread if spread > 1e-12 else 1.0
        share = parameters.unproven_share
        holds = pool.unproven is not None and bool(is_bounded(pool.unproven, share))
        return cls(
            scores=np.asarray(pool.scores, dtype=np.float64),
            similarities=np.asarray(pool.similarities, dtype=np.float64),
            temperature=parameters.temperature_in_sd * unit,
            penalty=parameters.diversity_penalty * unit,
            exploration_rate=parameters.exploration_rate,
            unproven=pool.unproven if holds else None,
            unproven_share=share if holds else 1.0,
        )

    def softmax(self, placed: tuple[int, ...]) -> np.ndarray:
        """(n,) probabilities of the softmax part; 0 for placed items."""
        return np.asarray(self._softmax(_prefixes([placed]))[0])

    def probabilities(self, placed: tuple[int, ...]) -> np.ndarray:
        """(n,) probabilities of the slot; they sum to 1, and only placed items have 0."""
        return np.asarray(self.after(_prefixes([placed]))[0])

    def after(self, prefixes: np.ndarray) -> np.ndarray:
        """Probabilities of the next slot after each of several prefixes.

        Args:
            prefixes: (n_prefixes, length) int64 rows of candidate numbers, already placed.

        Returns:
            (n_prefixes, n) float64; rows sum to 1, and only placed items have 0.
        """
        return self.parts(prefixes)[2]

    def parts(self, prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(n_prefixes, n) softmax part, exploring part and their mixture, computed together."""
        soft, uniform = self._softmax(prefixes), self._uniform(prefixes)
        return soft, uniform, self._mixed(soft, uniform)

    def _uniform(self, prefixes: np.ndarray) -> np.ndarray:
        n = len(self.scores)
        uniform = np.full((len(prefixes), n), 1.0 / (n - prefixes.shape[1]))
        if prefixes.shape[1]:
            uniform[np.arange(len(prefixes))[:, None], prefixes] = 0.0
        return self._held_back(uniform, uniform > 0)

    def _mixed(self, soft: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        mixed = (1 - self.exploration_rate) * soft + self.exploration_rate * uniform
        return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))

    def _held_back(self, probabilities: np.ndarray, left: np.ndarray) -> np.ndarray:
        if self.unproven is None:
            return probabilities
        return bounded(probabilities, left, self.unproven, self.unproven_share)

    def _softmax(self, prefixes: np.ndarray) -> np.ndarray:
        logits = np.tile(self.scores, (len(prefixes), 1))
        if prefixes.shape[1]:
            logits -= self.penalty * self.similarities[:, prefixes].max(axis=2).T
        logits /= self.temperature
        if prefixes.shape[1]:
            logits[np.arange(len(prefixes))[:, None], prefixes] = -np.inf
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return self._held_back(weights / weights.sum(axis=1, keepdims=True), np.isfinite(logits))


def _prefixes(placed: list[tuple[int, ...]]) -> np.ndarray:
    return np.array(placed, dtype=np.int64).reshape(len(placed), len(placed[0]))


@lru_cache(maxsize=64)
def _ordered(n: int, length: int) -> np.ndarray:
    """(n! / (n - length)!, length) int64: all ordered choices without repetition, in order."""
    rows = list(permutations(range(n), length))
    prefixes = np.array(rows, dtype=np.int64).reshape(len(rows), length)
    prefixes.flags.writeable = False
    return prefixes


def _row_of(placed: tuple[int, ...], n: int) -> int:
    """Give the row of `placed` in `_ordered(n, len(placed))`."""
    row = 0
    for depth, candidate in enumerate(placed):
        row = row * (n - depth) + candidate - sum(before < candidate for before in placed[:depth])
    return row


def draw(pool: Pool, slot: SlotDistribution, *, size: int, rng: np.random.Generator) -> Draw:
    """Sample a slate slot by slot and give exact conditional and marginal propensities."""
    n = len(pool.item_ids)
    size = min(size, n)
    tree = [slot.parts(_ordered(n, position)) for position in range(size)]
    marginals = _marginals([probabilities for *_, probabilities in tree], n=n)
    placed: tuple[int, ...] = ()
    placements: list[Placement] = []
    for position, (soft, uniform, probabilities) in enumerate(tree):
        row = _row_of(placed, n)
        explored = bool(rng.random() < slot.exploration_rate)
        if explored and slot.unproven is not None:
            chosen = int(rng.choice(n, p=uniform[row]))
        elif explored:
            remaining = [i for i in range(n) if i not in placed]
            chosen = remaining[int(rng.integers(len(remaining)))]
        else:
            chosen = int(rng.choice(n, p=soft[row]))
        placements.append(
            Placement(
                item_id=pool.item_ids[chosen],
                position=position,
                propensity=float(probabilities[row, chosen]),
                marginal_propensity=float(marginals[chosen, position]),
                explored=explored,
                score=float(pool.scores[chosen]),
            )
        )
        placed = (*placed, chosen)
    return Draw(
        placements=tuple(placements),
        temperature=slot.temperature,
        exploration_rate=slot.exploration_rate,
    )


def marginal_propensities(slot: SlotDistribution, *, n: int, size: int) -> np.ndarray:
    """Exact P(item at position), by enumerating all ordered prefixes.

    Returns:
        (n, size) float64; every column sums to 1. At most 10 * 9 prefixes for a slate of three.
    """
    return _marginals([slot.after(_ordered(n, position)) for position in range(size)], n=n)


def _marginals(tree: Sequence[np.ndarray], *, n: int) -> np.ndarray:
    """(n, size) from the probabilities of each slot after every ordered prefix."""
    marginals = np.zeros((n, len(tree)))
    mass = np.ones(1)
    for position, slot in enumerate(tree):
        probabilities = mass[:, None] * slot
        marginals[:, position] = probabilities.sum(axis=0)
        if position + 1 < len(tree):
            prefixes = _ordered(n, position + 1)
            above = np.repeat(np.arange(len(slot)), n - position)
            mass = probabilities[above, prefixes[:, position]]
    return marginals


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """How likely a policy is to make a given slate."""

    conditional: np.ndarray
    """(size,) P(item at position | items above)."""
    marginal: np.ndarray
    """(size,) P(item at position)."""
    all_marginals: np.ndarray
    """(n, size) the same for every candidate."""


def placing(slot: SlotDistribution, slate: Sequence[int]) -> Placing:
    """Give the propensities that `slot` would have logged for a slate that another policy made.

    Args:
        slot: The evaluation policy over the logged candidates (`SlotDistribution.of`).
        slate: Candidate numbers in the order of the positions.
    """
    chosen = tuple(slate)
    marginals = marginal_propensities(slot, n=len(slot.scores), size=len(chosen))
    return Placing(
        conditional=np.array(
            [slot.probabilities(chosen[:k])[chosen[k]] for k in range(len(chosen))]
        ),
        marginal=marginals[list(chosen), range(len(chosen))],
        all_marginals=marginals,
    )
