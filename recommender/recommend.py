"""recommend(U): filter, retrieve, score, choose, check; from top to bottom."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from data.catalogue import Item
from data.errors import SafetyViolation
from data.events import CreatorRule, Placement, RuleKind, SlateId, SlateRecord
from index.matches import Hit, Matcher, Matches
from recommender.candidates import CatalogueTable, Cooldowns, Eligibility, eligibility
from recommender.constraints import Constraints, HiddenReason
from recommender.exposure import MERCHANT_CAP, crowding, within_share
from recommender.policy import Draw, Policy, Pool, SoftmaxPolicy
from recommender.profile import UserProfile
from recommender.safety import DEFAULT_RULES, SafetyRules, safety_reason
from recommender.scoring import MatchScorer, Scored, Scorer
from recommender.slate import Request, Slate

NEAR_BEST = 0.3
"""A hit below this share of the best hit's score takes no part."""
RETRIEVED = 60
"""Hits per request; the policy draws from the best of them."""


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """Chooses slates from one catalogue. The same inputs and seed give the same slate."""

    table: CatalogueTable
    matcher: Matcher
    scorer: Scorer = field(default_factory=MatchScorer)
    policy: Policy = field(default_factory=SoftmaxPolicy)
    cooldowns: Cooldowns = field(default_factory=Cooldowns)
    rules: SafetyRules = DEFAULT_RULES
    merchant_cap: int = MERCHANT_CAP
    experiment: str = ""
    arm: str = ""

    def recommend(
        self,
        profile: UserProfile,
        request: Request,
        *,
        at: datetime,
        seed: int,
        slate_id: SlateId,
        creator_rules: Collection[CreatorRule] = (),
    ) -> Slate:
        """Choose a slate; it may be empty, and then says what emptied it.

        Raises:
            SafetyViolation: an item that must not be shown came through the filter; nothing
                is returned then, and the caller counts it.
        """
        may = self._eligible(profile, request, at=at, creator_rules=creator_rules)
        matches = self._retrieve(request, may)
        pinned = self._pinned(request, may, creator_rules, matches)
        hits = (
            []
            if matches.is_silent and not request.like
            else _worth_showing(matches, is_pointed=bool(request.like))
        )
        hits = [h for h in hits if h.item_id not in {p.item_id for p in pinned}]
        items = [self.table.catalogue.items[hit.row] for hit in hits]
        scored = self.scorer.score(profile, request, hits, items, at=at)
        pool, n_held_back = self._pool(hits, scored)
        hidden = {**may.hidden, HiddenReason.MERCHANT_SHARE: n_held_back}
        hidden = {reason: count for reason, count in hidden.items() if count}
        draw = self._choose(pool, size=request.size - len(pinned), seed=seed)
        placements = (*_as_pins(pinned), *_below(draw.placements, len(pinned)))
        by_id = {hit.item_id: hit for hit in (*pinned, *hits)}
        shown = tuple(by_id[p.item_id] for p in placements)
        chosen = tuple(self.table.catalogue.items[hit.row] for hit in shown)
        self._assert_allowed(chosen, profile.constraints.merged(request.wishes), at=at)
        record = SlateRecord(
            slate_id=slate_id,
            at=at,
            user_key=profile.user_key,
            placements=tuple(replace(p, evidence=by_id[p.item_id].evidence) for p in placements),
            chat_kind=request.chat_kind,
            language=request.language,
            lesson_id=request.lesson_id,
            query=request.text,
            trigger=request.trigger,
            context=_context(pool, scored, matches),
            policy=self.policy.name,
            policy_version=self.policy.version,
            model_version=scored.model_version,
            catalogue_version=self.table.catalogue.version,
            index_version=self.matcher.version,
            experiment=self.experiment,
            arm=self.arm,
            candidates=pool.item_ids,
            scores=tuple(float(s) for s in pool.scores),
            n_eligible=may.n_eligible,
            exploration_rate=draw.exploration_rate,
            temperature=draw.temperature,
            seed=seed,
            filters={str(reason): count for reason, count in hidden.items()},
            stage=scored.stage,
            mode=matches.mode,
            ope_valid=not pinned and bool(placements),
            replaces=request.replaces,
        )
        return Slate(
            record=record,
            items=chosen,
            hits=shown,
            hidden=hidden,
            is_silent=not chosen and may.n_eligible > 0,
        )

    def _eligible(
        self,
        profile: UserProfile,
        request: Request,
        *,
        at: datetime,
        creator_rules: Collection[CreatorRule],
    ) -> Eligibility:
        cooldowns = self.cooldowns
        if request.wishes.include:
            # Who asks for more fruit shall have it, whatever the day's quota of fruit says.
            cooldowns = replace(cooldowns, category_impressions_a_day=10**6)
        may = eligibility(
            self.table,
            profile,
            request.wishes,
            at=at,
            lesson_id=request.lesson_id,
            creator_rules=creator_rules,
            commerce_allowed=request.lesson is None or request.lesson.audience != "minors",
            cooldowns=cooldowns,
            rules=self.rules,
        )
        for item_id in request.without:
            row = self.table.rows_by_id.get(item_id)
            if row is not None:
                may.mask[row] = False
        return may

    def _retrieve(self, request: Request, may: Eligibility) -> Matches:
        if may.n_eligible == 0:
            return Matches(hits=(), floor=0.0, is_silent=False)
        matches = self.matcher.match(request.query, eligible=may.mask, top_k=RETRIEVED)
        others = self._without_crowd(request, may.mask, matches)
        if others is None:
            return matches
        return self.matcher.match(request.query, eligible=others, top_k=RETRIEVED)

    def _without_crowd(
        self, request: Request, mask: np.ndarray, matches: Matches
    ) -> np.ndarray | None:
        """Where few merchants took every hit: who may be found so that others are, too, else None.

        The bound on the candidates alone would leave the draw with nobody but them.
        """
        hits = _worth_showing(matches, is_pointed=bool(request.like))
        if len(hits) < RETRIEVED:
            return None
        codes = self.table.merchant_codes
        rows = np.array([hit.row for hit in hits], dtype=np.int64)
        crowd = crowding(codes[rows], size=_pool_size(self.policy), most=self.merchant_cap)
        others = mask & ~np.isin(codes, crowd)
        if not len(crowd) or not others.any():
            return None
        room = RETRIEVED // (len(crowd) + 1)
        for merchant in crowd:
            others[rows[codes[rows] == merchant][:room]] = True
        return others

    def _pinned(
        self,
        request: Request,
        may: Eligibility,
        creator_rules: Collection[CreatorRule],
        matches: Matches,
    ) -> list[Hit]:
        """Pins obey every filter; a pin never brings back an item that must not be shown."""
        by_id = {hit.item_id: hit for hit in matches.hits}
        pinned: list[Hit] = []
        for rule in creator_rules:
            if rule.kind is not RuleKind.PIN or rule.lesson_id != request.lesson_id:
                continue
            row = self.table.rows_by_id.get(rule.item_id)
            if row is not None and may.mask[row]:
                pinned.append(
                    by_id.get(rule.item_id)
                    or Hit(
                        item_id=rule.item_id, row=row, score=1.0, dense=0.0, lexical=0.0,
                        knowledge=0.0,
                    )
                )  # fmt: skip
        return pinned[: request.size]

    def _pool(self, hits: Sequence[Hit], scored: Scored) -> tuple[Pool, int]:
        """The candidates of the draw, and how many of the best gave way for their merchant's share."""
        size = _pool_size(self.policy)
        order = np.argsort(-scored.scores, kind="stable")
        rows = np.array([hit.row for hit in hits], dtype=np.int64)[order]
        kept = within_share(self.table.merchant_codes[rows], size=size, most=self.merchant_cap)
        top, rows = order[kept], rows[kept]
        # Rounded as they are logged, so that a replay from the row alone draws the same slate.
        cosines = np.round(self.matcher.similarities(rows), 4) if len(rows) else np.zeros((0, 0))
        pool = Pool(
            item_ids=tuple(hits[i].item_id for i in top),
            scores=np.round(scored.scores[top], 6),
            similarities=cosines,
            unproven=None if scored.unproven is None else scored.unproven[top],
        )
        return pool, min(size, len(hits)) - int((kept < size).sum())

    def _choose(self, pool: Pool, *, size: int, seed: int) -> Draw:
        if not pool.item_ids or size <= 0:
            return Draw(placements=(), temperature=0.0, exploration_rate=0.0)
        return self.policy.choose(pool, size=size, rng=np.random.default_rng(seed))

    def _assert_allowed(
        self, items: Sequence[Item], constraints: Constraints, *, at: datetime
    ) -> None:
        for item in items:
            reason = safety_reason(item, constraints, at=at, rules=self.rules)
            if reason is not None:
                raise SafetyViolation(
                    f"item {item.item_id!r} passed the filter although {reason}; "
                    "the slate was withheld"
                )


def _worth_showing(matches: Matches, *, is_pointed: bool) -> list[Hit]:
    """Hits at the floor or above, and not far behind the best: exploration stays among the good."""
    if not matches.hits:
        return []
    best_score = matches.hits[0].score
    least = 0.0 if is_pointed else matches.floor
    return [h for h in matches.hits if h.score >= max(least, NEAR_BEST * best_score)]


def _pool_size(policy: Policy) -> int:
    return policy.parameters.pool_size if isinstance(policy, SoftmaxPolicy) else 10


def _as_pins(pinned: Sequence[Hit]) -> list[Placement]:
    return [
        Placement(
            item_id=hit.item_id,
            position=position,
            propensity=1.0,
            marginal_propensity=1.0,
            score=hit.score,
        )
        for position, hit in enumerate(pinned)
    ]


def _below(placements: Sequence[Placement], n_above: int) -> list[Placement]:
    return [replace(p, position=p.position + n_above) for p in placements]


def _context(pool: Pool, scored: Scored, matches: Matches) -> Mapping[str, object]:
    unproven = () if pool.unproven is None else np.flatnonzero(pool.unproven).tolist()
    return {
        "floor": round(matches.floor, 6),
        "similarities": [[round(float(x), 4) for x in row] for row in pool.similarities],
        "features": dict(scored.features),
        "unproven": list(unproven),
    }
