"""A past slate again, from its row alone: byte for byte, or which version is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from data.errors import InvalidInput
from data.events import Placement, SlateRecord
from recommender.exploration import PolicyParameters
from recommender.logged import unproven_of
from recommender.policy import GreedyPolicy, Policy, Pool, SoftmaxPolicy, UniformPolicy

_SOFTMAX_VERSION = re.compile(
    r"e([\d.e+-]+?)-t([\d.e+-]+?)-d([\d.e+-]+?)-m(\d+)(?:-u([\d.e+-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The outcome of drawing a slate again."""

    original: bytes
    """The placements as JSON, as they were logged."""
    replayed: bytes
    gone: tuple[str, ...]
    """Versions the row names that are not in force any more."""

    @property
    def is_equal(self) -> bool:
        return self.original == self.replayed


def policy_of(slate: SlateRecord) -> Policy:
    """Rebuild the policy that a row names.

    Raises:
        InvalidInput: this version does not know the policy.
    """
    match slate.policy:
        case "softmax":
            found = _SOFTMAX_VERSION.fullmatch(slate.policy_version)
            if found:
                return SoftmaxPolicy(
                    PolicyParameters(
                        exploration_rate=float(found[1]),
                        temperature_in_sd=float(found[2]),
                        diversity_penalty=float(found[3]),
                        pool_size=int(found[4]),
                        # Rows of versions before the bound do not name it.
                        unproven_share=float(found[5] or 1.0),
                    )
                )
        case "uniform" if slate.policy_version == UniformPolicy().version:
            return UniformPolicy()
        case "greedy" if slate.policy_version == GreedyPolicy().version:
            return GreedyPolicy()
    raise InvalidInput(
        f"slate {slate.slate_id} was made by policy {slate.policy} {slate.policy_version}, which "
        "this version does not have; install the version that made it"
    )


def replay(slate: SlateRecord, *, in_force: Mapping[str, str] | None = None) -> Replay:
    """Draw a slate again from its row.

    Candidates, scores, similarities, policy and seed are all in the row, so that neither the
    catalogue nor the model is needed; what of them has changed since is named.

    Args:
        slate: The row.
        in_force: Today's `catalogue_version`, `index_version` and `model_version`.

    Raises:
        InvalidInput: the row lacks what is needed, or its policy is gone.
    """
    similarities = slate.context.get("similarities")
    if slate.placements and not isinstance(similarities, list):
        raise InvalidInput(
            f"slate {slate.slate_id} was logged without similarities; it was made by an older "
            "version and cannot be replayed"
        )
    pins = [
        p for p in slate.placements if p.propensity == 1.0 and p.item_id not in slate.candidates
    ]
    drawn: tuple[Placement, ...] = ()
    if slate.candidates and len(slate.placements) > len(pins):
        pool = Pool(
            item_ids=slate.candidates,
            scores=np.array(slate.scores),
            similarities=np.array(similarities, dtype=np.float64),
            unproven=unproven_of(slate),
        )
        drawn = (
            policy_of(slate)
            .choose(
                pool,
                size=len(slate.placements) - len(pins),
                rng=np.random.default_rng(slate.seed),
            )
            .placements
        )
    evidence = {p.item_id: p.evidence for p in slate.placements}
    again = (
        *pins,
        *(
            # The sentence is of the lesson's text and not of the draw; it is taken over.
            replace(p, position=p.position + len(pins), evidence=evidence.get(p.item_id, ""))
            for p in drawn
        ),
    )
    gone = tuple(
        f"{name} {getattr(slate, name)} (now {now})"
        for name, now in (in_force or {}).items()
        if getattr(slate, name) and getattr(slate, name) != now
    )
    return Replay(original=_bytes(slate.placements), replayed=_bytes(again), gone=gone)


def _bytes(placements: tuple[Placement, ...]) -> bytes:
    return json.dumps([asdict(p) for p in placements], ensure_ascii=False).encode()
