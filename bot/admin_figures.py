"""Figures, estimates and reasons in words for admins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.learning import WhatIf
from bot.messages import Rich, Span
from bot.wording import Words
from data.engagement import Measure
from data.summary_tables import FEWEST
from recommender.evaluation import Estimate
from recommender.promotion import Reason
from recommender.trust import REFUSE_EFFECTIVE_N, REFUSE_SHARE, Trust, Verdict

LIGHTS: Mapping[Trust, str] = {Trust.GREEN: "🟢", Trust.AMBER: "🟡", Trust.REFUSED: "🔴"}


def reasons_told(words: Words, reasons: Iterable[Reason]) -> list[str]:
    """Why a model may not serve, one sentence each."""
    return [_reason(words, reason) for reason in reasons]


def _reason(words: Words, reason: Reason) -> str:
    verdict = reason.facts.get("verdict")
    if isinstance(verdict, Verdict):
        return words("gate.unjudged", why=verdict_told(words, verdict))
    facts: dict[str, Any] = {
        name: f"{value:.3f}" if isinstance(value, float) else value
        for name, value in reason.facts.items()
    }
    return words(f"gate.{reason.kind}", **facts)


def verdict_told(words: Words, verdict: Verdict) -> str:
    """What the weights say of an estimate, in one sentence."""
    share = verdict.effective_n / verdict.n if verdict.n else 0.0
    facts: dict[str, Any] = {
        "n": verdict.n,
        "size": f"{verdict.effective_n:.0f}",
        "share": f"{share:.1%}",
    }
    if verdict.propensities_look_wrong:
        return words(
            "trust.wrong",
            mean=f"{verdict.mean_weight:.3f}",
            error=f"{verdict.mean_weight_error:.3f}",
        )
    if verdict.trust is Trust.REFUSED:
        return words(
            "trust.refused",
            more=verdict.n_more,
            need=f"{REFUSE_EFFECTIVE_N:.0f}",
            need_share=f"{REFUSE_SHARE:.0%}",
            **facts,
        )
    return words(f"trust.{verdict.trust}", **facts)


def whatif_told(words: Words, found: WhatIf) -> tuple[Span, ...]:
    """The estimate to go by with its light and reason, what was served beside it, and the others."""
    estimate = found.estimate
    trust = estimate.verdict.trust if estimate.verdict is not None else Trust.AMBER
    rich = Rich().line(words("whatif.heading", policy=found.policy, n=found.n_slates), bold=True)
    if estimate.is_refused:
        rich.line(f"{LIGHTS[trust]} {words('whatif.no_number')}", bold=True)
    else:
        told = words("whatif.value", method=_method(words, estimate), **_interval(estimate))
        rich.line(f"{LIGHTS[trust]} {told}", bold=True)
    if estimate.verdict is not None:
        rich.line(verdict_told(words, estimate.verdict))
    rich.line(measure_told(words, words("whatif.served"), found.served))
    others = [other for other in found.others if not other.is_refused]
    if others:
        rich.line()
        rich.line(words("whatif.others"))
        for other in others:
            rich.line(words("whatif.other", method=_method(words, other), **_interval(other)))
    rich.line()
    rich.line(words("whatif.limits"), italic=True)
    return rich.done()


def measure_told(words: Words, name: str, measure: Measure, *, as_share: bool = True) -> str:
    """One figure with its interval, or why there is none."""
    if measure.value is None or measure.low is None or measure.high is None:
        key = "stats.few" if measure.n else "stats.nothing"
        return words(key, name=name, fewest=FEWEST)
    value, low, high = (
        f"{number:.1%}" if as_share else f"{number:.3f}"
        for number in (measure.value, measure.low, measure.high)
    )
    return words("stats.measure", name=name, value=value, low=low, high=high, n=measure.n)


def _interval(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": f"{estimate.value:.1%}",
        "low": f"{estimate.low:.1%}",
        "high": f"{estimate.high:.1%}",
    }


def _method(words: Words, estimate: Estimate) -> str:
    return words(f"method.{estimate.method}")
