"""Commands of learning: train, models, evaluate policy, simulate."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from bot.console import AsJson, out, print_json, wired
from bot.wiring import Wired
from data.model_registry import ModelRegistry, ModelRow

models_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Predictors: list, promote, roll back."
)


def register(app: typer.Typer, evaluate_app: typer.Typer) -> None:
    """Mount the commands of this file."""
    app.add_typer(models_app, name="models")
    app.command("train")(train_command)
    app.command("simulate")(simulate_command)
    evaluate_app.command("policy")(evaluate_policy)


def model_registry(parts: Wired) -> ModelRegistry:
    """The registry of the state folder."""
    return ModelRegistry(parts.settings.state / "models")


def train_command(
    seed: Annotated[int, typer.Option(help="Same data and seed give the same file.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train a predictor on the answers of people who agreed to it; it starts in shadow.

    Example:
      zhiwei train --seed 7
    """
    from bot.learning import train_from_store

    with wired() as parts:
        row, gate = train_from_store(parts, model_registry(parts), seed=seed, at=_now())
        if as_json:
            print_json({**asdict(row), "gate_reasons": list(gate.reasons)})
            return
        out.print(f"model {row.version} trained on {row.n_labelled} impressions")
        folder = model_registry(parts).folder
        out.print(Text(f"card: {folder / (row.version + '.md')}"))
        _print_gate(row, gate.reasons)


def _print_gate(row: ModelRow, reasons: tuple[str, ...]) -> None:
    if reasons:
        out.print("It stays in shadow:")
        for reason in reasons:
            out.print(Text(f"  - {reason}"))
    else:
        out.print(f"It may serve: zhiwei models promote {row.version}")


@models_app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """List the trained predictors and which one serves.

    Example:
      zhiwei models list
    """
    with wired() as parts:
        rows = model_registry(parts).rows()
        if as_json:
            print_json([asdict(row) for row in rows])
            return
        if not rows:
            out.print("No model yet; matching alone ranks. Train one: zhiwei train")
            return
        table = Table("version", "status", "trained", "impressions", "AUC", "calibration error")
        for row in rows:
            figures = row.metrics
            table.add_row(
                row.version,
                row.status,
                row.created_at[:16],
                str(row.n_labelled),
                _figure((figures.get("auc") or {}).get("value")),
                _figure(figures.get("calibration_error")),
            )
        out.print(table)


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-"


@models_app.command("promote")
def models_promote(
    version: Annotated[str, typer.Argument(help="The version, or how it begins.")],
) -> None:
    """Let a predictor serve, if the log says that it is as good and as safe.

    Example:
      zhiwei models promote 3f9a
    """
    from bot.learning import judge_model

    with wired() as parts:
        registry = model_registry(parts)
        row = registry.row(version)
        gate = judge_model(parts, registry, row, at=_now())
        if gate.reasons:
            _print_gate(row, gate.reasons)
            raise typer.Exit(1)
        registry.promote(row.version, at=_now())
        parts.store.audit(at=_now(), actor="cli", action="promote", detail=row.version)
        out.print(f"model {row.version} serves now; back with: zhiwei models rollback")


@models_app.command("rollback")
def models_rollback() -> None:
    """Go back to what served before.

    Example:
      zhiwei models rollback
    """
    with wired() as parts:
        row = model_registry(parts).rollback(at=_now())
        detail = row.version if row else "match-only"
        parts.store.audit(at=_now(), actor="cli", action="rollback", detail=detail)
        out.print(f"model {row.version} serves again" if row else "matching alone ranks again")


def evaluate_policy(
    policy: Annotated[
        str, typer.Option("--policy", help="uniform, logged, popular; without --log also a model.")
    ] = "uniform",
    log: Annotated[
        Path | None, typer.Option(help="CSV of placements; default is the event store.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Estimate what a policy would have earned, from the log of another one.

    Examples:
      zhiwei evaluate policy --log men.csv.gz --policy uniform
      zhiwei evaluate policy --policy match-only --json
    """
    from recommender.policy_log import evaluate_log, read_placement_log

    with wired() as parts:
        rng = np.random.default_rng(seed)
        if log is not None:
            estimates = dict(evaluate_log(read_placement_log(log), policy, rng=rng))
        else:
            from bot.learning import evaluate_from_store

            estimates = evaluate_from_store(
                parts, model_registry(parts), policy, at=_now(), rng=rng
            )
        if as_json:
            print_json(
                {
                    name: {
                        **{k: v for k, v in asdict(e).items() if k != "verdict"},
                        "refused": e.is_refused,
                        "trust": e.verdict.trust if e.verdict else None,
                        "reason": e.verdict.reason if e.verdict else "",
                    }
                    for name, e in estimates.items()
                }
            )
            return
        table = Table("method", "value", "95 % interval", "trust")
        for name, e in estimates.items():
            trust = f"{e.verdict.trust}: {e.verdict.reason}" if e.verdict else "no weights"
            table.add_row(
                name,
                "refused" if e.is_refused else f"{e.value:.5f}",
                "" if e.is_refused else f"{e.low:.5f} to {e.high:.5f}",
                trust,
            )
        out.print(table)


def simulate_command(
    users: Annotated[int, typer.Option(min=1, max=100_000, help="Simulated people.")] = 2_000,
    rounds: Annotated[int, typer.Option(min=1, max=500, help="Lessons each finishes.")] = 20,
    seed: Annotated[int, typer.Option(help="Same seed, same people and luck.")] = 0,
    processes: Annotated[int, typer.Option(min=0, help="0: as many as cores, at most 5.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop against people with hidden tastes, beside simpler policies.

    Example:
      zhiwei simulate --users 2000 --rounds 20 --seed 1 --json
    """
    from recommender.simulated_world import World
    from recommender.simulation import simulate
    from recommender.simulation_report import summary

    with wired() as parts:
        engine = parts.engines.current()
        results = simulate(
            World.of(engine.catalogue, engine.matcher),
            n_users=users,
            n_rounds=rounds,
            seed=seed,
            n_processes=processes or min(os.cpu_count() or 1, 5),
            tell=parts.tell,
        )
        figures = summary(results)
        if as_json:
            print_json(figures)
            return
        _print_simulation(figures)


def _print_simulation(figures: dict[str, Any]) -> None:
    arms = list(figures["last_five"])
    table = Table("round", *(arm.replace("_", " ") for arm in arms), "regime")
    for entry in figures["rounds"]:
        table.add_row(
            str(entry["round"] + 1),
            *(
                f"{entry[arm]['rate']:.3f} ({entry[arm]['low']:.3f}-{entry[arm]['high']:.3f})"
                for arm in arms
            ),
            entry["stage"].replace("_", " "),
        )
    out.print(table)
    for name in ("uplift_over_match_only", "share_of_oracle", "ope_coverage"):
        value = figures[name]
        shown = "-" if value is None else f"{value:.3f}"
        out.print(f"{name.replace('_', ' ')}: {shown}")
    out.print(f"safety violations: {figures['safety_violations']}")


def _now() -> datetime:
    return datetime.now(UTC)
