"""How much a draw explores, and how that falls as the log grows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyParameters:
    """The numbers of one draw, logged with the slate."""

    exploration_rate: float = 0.10
    temperature_in_sd: float = 0.5
    """Temperature as a multiple of the standard deviation of the candidates' scores."""
    diversity_penalty: float = 0.15
    """Taken off a score per unit of cosine to the nearest item already placed, in sd of scores."""
    pool_size: int = 10
    """M: only the best M candidates take part."""
    unproven_share: float = 0.15
    """Largest probability that a slot goes to an item that was hardly shown yet; holds where at
    least three of the pool are proven, so that a young catalogue is not narrowed to a few."""


LEARNING_PHASE = PolicyParameters(exploration_rate=0.20, temperature_in_sd=0.8, unproven_share=1.0)
STEADY = PolicyParameters()
LEARNING_PHASE_SLATES = 2_000
MINIMUM_EXPLORATION = 0.05
_SETTLING = ((1, 1.0, 1.0), (2, 0.7, 0.85), (4, 0.5, 0.7))
"""From how many learning phases on, the shares that are left of exploration and of temperature.

What another answer tells falls with the square root of the log, so what is paid for it does too.
In steps, so that few versions of the policy stand in the log.
"""


def parameters_for(n_slates: int, base: PolicyParameters = STEADY) -> PolicyParameters:
    """Explore most while fewer than 2 000 slates were served, then less, and never not at all."""
    if n_slates < LEARNING_PHASE_SLATES:
        return replace(
            base,
            exploration_rate=LEARNING_PHASE.exploration_rate,
            temperature_in_sd=LEARNING_PHASE.temperature_in_sd,
            unproven_share=LEARNING_PHASE.unproven_share,
        )
    exploration, temperature = next(
        (rate, width)
        for phases, rate, width in reversed(_SETTLING)
        if n_slates >= phases * LEARNING_PHASE_SLATES
    )
    return replace(
        base,
        exploration_rate=max(base.exploration_rate * exploration, MINIMUM_EXPLORATION),
        temperature_in_sd=base.temperature_in_sd * temperature,
    )
