"""The log as arrays: what was known, what was placed, what came back. Training and judging read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from data.events import Impression, Reply, ReplyKind, SlateId, SlateRecord, UserKey
from data.rewards import LIKED_BY, PURCHASE_WINDOW, REPLY_WINDOW
from recommender.exploration import PolicyParameters
from recommender.features import FEATURE_VERSION, FEATURES
from recommender.policy import bounded, is_bounded
from recommender.profile import standing
from recommender.slate_evaluation import SlateLog

Floats = npt.NDArray[np.float64]
POOL, SIZE = 10, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSlates:
    """Slates with known propensities. n slates, M = 10 candidates, L = 3 positions."""

    users: npt.NDArray[np.int64]
    """(n,) numbers of the people."""
    moments: Floats
    """(n,) seconds since 1970."""
    features: npt.NDArray[np.float32]
    """(n, M, F) as served; NaN rows where the pool was smaller."""
    scores: Floats
    """(n, M) as served; NaN where the pool was smaller."""
    similarities: npt.NDArray[np.float32]
    """(n, M, M)."""
    chosen: npt.NDArray[np.int64]
    """(n, L) candidate numbers; -1 where the slate was shorter."""
    conditional: Floats
    """(n, L)."""
    marginal: Floats
    """(n, L)."""
    rewards: Floats
    """(n, L) 1 for liked, 0 for not, NaN where nothing was shown."""
    wanted: Floats
    """(n, L) 1 where the person answered at all, for and against, 0 where silent."""
    unproven: npt.NDArray[np.bool_]
    """(n, M) candidates that had hardly been shown; True beyond the pool."""

    def __len__(self) -> int:
        return len(self.users)

    @property
    def is_shown(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.rewards)

    def rows(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> LoggedSlates:
        return LoggedSlates(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def impressions(self) -> ImpressionRows:
        """One row per item shown."""
        slate, position = np.nonzero(self.is_shown)
        return ImpressionRows(
            features=self.features[slate, self.chosen[slate, position]],
            positions=position.astype(np.int64),
            labels=self.rewards[slate, position],
            users=self.users[slate],
            moments=self.moments[slate],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpressionRows:
    """Labelled impressions, one row each."""

    features: npt.NDArray[np.float32]
    positions: npt.NDArray[np.int64]
    labels: Floats
    users: npt.NDArray[np.int64]
    moments: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> ImpressionRows:
        return ImpressionRows(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def joined(parts: Sequence[LoggedSlates]) -> LoggedSlates:
    """Put logs one after the other."""
    return LoggedSlates(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(LoggedSlates)
        }
    )


def no_slates() -> LoggedSlates:
    return _assemble([], {}, {}, frozenset(), {})


def logged_slates(
    slates: Iterable[SlateRecord],
    impressions: Iterable[Impression],
    replies: Iterable[Reply],
    *,
    users: Collection[UserKey],
    until: datetime,
    user_numbers: Mapping[UserKey, int] | None = None,
) -> LoggedSlates:
    """Join what was served to what came back, for people who agreed that we learn from it.

    A slate counts when it was delivered, its propensities are usable, its features are of this
    version and its reply window was over at `until`; so silence is a fact and not a wait.

    Args:
        slates: As logged.
        impressions: What was shown; slates without any are left out.
        replies: What came back; undone ones do not count.
        users: The people whose rows may be read.
        until: Moment of the look.
        user_numbers: Fixed numbers of people, when several logs will be joined.
    """
    delivered: dict[SlateId, datetime] = {}
    for impression in impressions:
        delivered[impression.slate_id] = impression.delivered_at
    usable = [
        slate
        for slate in slates
        if slate.user_key in users
        and slate.ope_valid
        and slate.placements
        and slate.slate_id in delivered
        and until - delivered[slate.slate_id] >= REPLY_WINDOW
        and _features_of(slate) is not None
    ]
    numbers = user_numbers or {
        key: n for n, key in enumerate(sorted({slate.user_key for slate in usable}))
    }
    liked, answered = _answers(replies, delivered)
    return _assemble(usable, numbers, liked, answered, delivered)


def _answers(
    replies: Iterable[Reply], delivered: Mapping[SlateId, datetime]
) -> tuple[dict[tuple[SlateId, str], bool], frozenset[tuple[SlateId, str]]]:
    liked: dict[tuple[SlateId, str], bool] = {}
    answered: set[tuple[SlateId, str]] = set()
    for reply in standing(replies):
        if reply.slate_id is None or reply.item_id is None or reply.slate_id not in delivered:
            continue
        waited = reply.at - delivered[reply.slate_id]
        window = PURCHASE_WINDOW if reply.kind is ReplyKind.PURCHASE else REPLY_WINDOW
        if not timedelta(0) <= waited <= window:
            continue
        key = (reply.slate_id, str(reply.item_id))
        answered.add(key)
        if reply.kind in LIKED_BY:
            liked[key] = True
    return liked, frozenset(answered)


def _features_of(slate: SlateRecord) -> Mapping[str, object] | None:
    logged = slate.context.get("features")
    if not isinstance(logged, Mapping) or logged.get("version") != FEATURE_VERSION:
        return None
    return logged if list(logged.get("item_ids", ())) == list(slate.candidates) else None


def _assemble(
    slates: Sequence[SlateRecord],
    numbers: Mapping[UserKey, int],
    liked: Mapping[tuple[SlateId, str], bool],
    answered: frozenset[tuple[SlateId, str]],
    delivered: Mapping[SlateId, datetime],
) -> LoggedSlates:
    n = len(slates)
    features = np.full((n, POOL, len(FEATURES)), np.nan, dtype=np.float32)
    scores = np.full((n, POOL), np.nan)
    similarities = np.zeros((n, POOL, POOL), dtype=np.float32)
    chosen = np.full((n, SIZE), -1, dtype=np.int64)
    conditional, marginal = np.full((n, SIZE), np.nan), np.full((n, SIZE), np.nan)
    rewards, wanted = np.full((n, SIZE), np.nan), np.zeros((n, SIZE))
    unproven = np.ones((n, POOL), dtype=bool)
    for row, slate in enumerate(slates):
        k = min(len(slate.candidates), POOL)
        features[row, :k] = np.asarray(slate.context["features"]["rows"], np.float32)[:k]  # type: ignore[index]
        scores[row, :k] = slate.scores[:k]
        similarities[row, :k, :k] = np.asarray(slate.context["similarities"], np.float32)[:k, :k]
        unproven[row, :k] = unproven_of(slate)[:k]
        place = {item_id: i for i, item_id in enumerate(slate.candidates[:k])}
        for placement in slate.placements[:SIZE]:
            at = placement.position
            chosen[row, at] = place[placement.item_id]
            conditional[row, at] = placement.propensity
            marginal[row, at] = placement.marginal_propensity
            key = (slate.slate_id, str(placement.item_id))
            rewards[row, at] = float(liked.get(key, False))
            wanted[row, at] = float(key in answered)
    return LoggedSlates(
        users=np.array([numbers[slate.user_key] for slate in slates], dtype=np.int64),
        moments=np.array([delivered[slate.slate_id].timestamp() for slate in slates]),
        features=features,
        scores=scores,
        similarities=similarities,
        chosen=chosen,
        conditional=conditional,
        marginal=marginal,
        rewards=rewards,
        wanted=wanted,
        unproven=unproven,
    )


def unproven_of(slate: SlateRecord) -> npt.NDArray[np.bool_]:
    """Give (n_candidates,) bool: which of a slate's candidates had hardly been shown."""
    found = np.zeros(len(slate.candidates), dtype=bool)
    numbers = slate.context.get("unproven", ())
    if isinstance(numbers, Sequence):
        found[[int(number) for number in numbers]] = True
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Placings:
    """How likely an evaluation policy is to make the logged slates."""

    conditional: Floats
    """(n, L) NaN where nothing was shown."""
    marginal: Floats
    """(n, L)."""
    all_marginals: Floats
    """(n, M, L) the same for every candidate of the logged pool; 0 beyond the pool."""


def placings(log: LoggedSlates, scores: Floats, parameters: PolicyParameters) -> Placings:
    """Give the propensities of a softmax policy with other scores over the logged pools.

    The same numbers as `policy.placing` slate by slate, for all slates of one shape at once.

    Args:
        log: The slates.
        scores: (n, M) the evaluation policy's scores of the logged candidates.
        parameters: Its exploration and temperature.
    """
    n = len(log)
    conditional, marginal = np.full((n, SIZE), np.nan), np.full((n, SIZE), np.nan)
    everything = np.zeros((n, POOL, SIZE))
    pools = (~np.isnan(log.scores)).sum(axis=1)
    sizes = (log.chosen >= 0).sum(axis=1)
    for pool, size in sorted(set(zip(pools.tolist(), sizes.tolist(), strict=True))):
        if size == 0:
            continue
        rows = np.flatnonzero((pools == pool) & (sizes == size))
        slots = _Slots.of(
            scores[rows, :pool],
            log.similarities[rows, :pool, :pool].astype(np.float64),
            log.unproven[rows, :pool],
            parameters,
        )
        marginals = slots.marginals(size)
        everything[rows, :pool, :size] = marginals
        here = log.chosen[rows, :size]
        each = np.arange(len(rows))
        for position in range(size):
            probabilities = slots.after(here[:, None, :position])[:, 0]
            conditional[rows, position] = probabilities[each, here[:, position]]
            marginal[rows, position] = marginals[each, here[:, position], position]
    return Placings(conditional=conditional, marginal=marginal, all_marginals=everything)


@dataclass(frozen=True, slots=True)
class _Slots:
    """`policy.SlotDistribution` for many pools of one size."""

    scores: Floats
    similarities: Floats
    temperature: Floats
    penalty: Floats
    rate: float
    held_back: npt.NDArray[np.bool_]
    """(n, 1, M) unproven candidates, in the pools where they are held back."""
    share: float

    @classmethod
    def of(
        cls,
        scores: Floats,
        similarities: Floats,
        unproven: npt.NDArray[np.bool_],
        parameters: PolicyParameters,
    ) -> _Slots:
        spread = scores.std(axis=1)
        unit = np.where(spread > 1e-12, spread, 1.0)
        return cls(
            scores,
            similarities,
            parameters.temperature_in_sd * unit,
            parameters.diversity_penalty * unit,
            parameters.exploration_rate,
            (unproven & is_bounded(unproven, parameters.unproven_share)[:, None])[:, None, :],
            parameters.unproven_share,
        )

    def after(self, prefixes: npt.NDArray[np.int64]) -> Floats:
        """(n, P, k) prefixes -> (n, P, M) probabilities of the next slot."""
        n, n_prefixes, length = prefixes.shape
        logits = np.repeat(self.scores[:, None, :], n_prefixes, axis=1)
        uniform = np.ones_like(logits)
        if length:
            each = np.arange(n)[:, None, None]
            nearest = self.similarities[each, prefixes].max(axis=2)
            logits -= self.penalty[:, None, None] * nearest
        logits /= self.temperature[:, None, None]
        if length:
            np.put_along_axis(logits, prefixes, -np.inf, axis=2)
            np.put_along_axis(uniform, prefixes, 0.0, axis=2)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        uniform /= uniform.sum(axis=2, keepdims=True)
        if self.held_back.any():
            left = np.isfinite(logits)
            weights = bounded(weights, left, self.held_back, self.share)
            uniform = bounded(uniform, left, self.held_back, self.share)
        return np.asarray((1 - self.rate) * weights + self.rate * uniform)

    def marginals(self, size: int) -> Floats:
        """(n, M, size)."""
        n, m = self.scores.shape
        found = np.zeros((n, m, size))
        prefixes = np.zeros((1, 0), dtype=np.int64)
        mass = np.ones((n, 1))
        for position in range(size):
            many = np.broadcast_to(prefixes, (n, *prefixes.shape))
            probabilities = mass[:, :, None] * self.after(np.ascontiguousarray(many))
            found[:, :, position] = probabilities.sum(axis=1)
            if position + 1 < size:
                free = np.ones((len(prefixes), m), dtype=bool)
                np.put_along_axis(free, prefixes, False, axis=1)
                which, added = np.nonzero(free)
                prefixes = np.column_stack([prefixes[which], added])
                mass = probabilities[:, which, added]
        return found


def slate_log(log: LoggedSlates, target: Placings) -> SlateLog:
    """Give the arrays that the estimators of `recommender.evaluation` read."""
    return SlateLog(
        rewards=log.rewards,
        conditional=log.conditional,
        marginal=log.marginal,
        target_conditional=target.conditional,
        target_marginal=target.marginal,
        clusters=log.users,
    )
