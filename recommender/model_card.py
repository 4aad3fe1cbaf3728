"""The model card: what a model was trained on, how good and how honest it is, and its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recommender.metrics import Interval
from recommender.promotion import MAX_CALIBRATION_ERROR, MAX_MEAN_GAP, Gate
from recommender.training import Bin, TrainingReport


def model_card(version: str, report: TrainingReport, gate: Gate, *, plot: str) -> str:
    """Write the card in Markdown; `plot` is the file name of the reliability plot beside it."""
    h = report.hyperparameters
    lines = [
        f"# Model {version}",
        "",
        f"Predicts the probability that a person likes, saves or buys an item shown to them. "
        f"Kind: {h.family}. Seed {report.seed}.",
        "",
        "## Data",
        "",
        f"{report.n_labelled} impressions with {report.n_liked} likes of {report.n_users} people "
        f"who agreed that we learn from their answers, {report.first_day} to {report.last_day}. "
        f"Fitted on the earlier slates of four users in five, calibrated on the fifth; all "
        f"figures below are of the latest {report.n_test} impressions, which no fit has seen "
        f"({report.n_test_new_users} of them of people whom it has not seen either).",
        "",
        "## Figures",
        "",
        "| figure | value |",
        "|---|---|",
        f"| AUC | {_interval(report.auc)} |",
        f"| AUC, new people | {_interval(report.auc_new_users)} |",
        f"| expected calibration error | {report.calibration_error:.4f} "
        f"(gate: {MAX_CALIBRATION_ERROR}) |",
        f"| mean predicted - observed | {report.mean_gap:+.4f} (gate: {MAX_MEAN_GAP}) |",
        f"| Brier | {report.brier:.4f} (constant: {report.brier_constant:.4f}, in force: "
        f"{_number(report.brier_in_force)}) |",
        "",
        f"![Reliability: predicted against observed like rate]({plot})",
        "",
        "| predicted | observed | n |",
        "|---|---|---|",
        *(f"| {b.predicted:.3f} | {b.observed:.3f} | {b.n} |" for b in report.reliability),
        "",
        "## What it looks at",
        "",
        "AUC lost when a feature is shuffled; below 0.001 is noise.",
        "",
        "| feature | loss |",
        "|---|---|",
        *(
            f"| {name} | {loss:.4f} |"
            for name, loss in sorted(report.effects.items(), key=lambda pair: -pair[1])
        ),
        "",
        "## Search",
        "",
        *([f"- {what}: log loss {loss:.4f}" for what, loss in report.trials] or ["Defaults."]),
        "",
        "## Gate",
        "",
        *(
            ["May serve."]
            if gate.is_open
            else ["Stays in shadow:", *(f"- {reason}" for reason in gate.reasons)]
        ),
        *_value_line(gate),
        "",
        "## Limits",
        "",
        "It knows nothing of allergens and must never decide who may eat what: eligibility does, "
        "before and after it. It was trained on what earlier policies showed; what they never "
        "showed it only extrapolates. Not for prices, credit or anything beside ranking food.",
        "",
    ]
    return "\n".join(lines)


def _value_line(gate: Gate) -> list[str]:
    estimate = gate.candidate
    if estimate is None or estimate.is_refused:
        return []
    return [
        "",
        f"Estimated like rate {estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f}, "
        f"{estimate.method}, {estimate.n} placements); in force {_number(gate.in_force)}.",
    ]


def _interval(found: Interval) -> str:
    if math.isnan(found.value):
        return "not enough rows"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.4f}"


def reliability_plot(bins: Sequence[Bin]) -> str:
    """Draw predicted (x) against observed (y) like rate as SVG; the diagonal is perfect."""
    side, edge = 320, 40
    top = max([b.predicted for b in bins] + [b.observed for b in bins] + [0.05]) * 1.1

    def x(value: float) -> str:
        return f"{edge + value / top * side:.1f}"

    def y(value: float) -> str:
        return f"{edge + side - value / top * side:.1f}"

    points = " ".join(f"{x(b.predicted)},{y(b.observed)}" for b in bins)
    size = side + 2 * edge
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" role="img" '
            'aria-label="Reliability: predicted against observed like rate">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<path d="M{x(0)} {y(top)}V{y(0)}H{x(top)}" fill="none" stroke="#333"/>',
            f'<path d="M{x(0)} {y(0)}L{x(top)} {y(top)}" stroke="#999" stroke-dasharray="4"/>',
            f'<polyline points="{points}" fill="none" stroke="#1b6f5c" stroke-width="2"/>',
            *(
                f'<circle cx="{x(b.predicted)}" cy="{y(b.observed)}" r="4" fill="#1b6f5c"/>'
                for b in bins
            ),
            '<g font-family="sans-serif" font-size="12" fill="#333">',
            f'<text x="{size / 2}" y="{size - 8}" text-anchor="middle">predicted</text>',
            f'<text transform="translate(14 {size / 2}) rotate(-90)" text-anchor="middle">'
            "observed</text>",
            f'<text x="{x(top)}" y="{edge + side + 16}" text-anchor="end">{top:.2f}</text>',
            "</g>",
            "</svg>",
            "",
        ]
    )
