"""Commands of learning: train, models, evaluate policy, simulate, profile, replay, import behaviour."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from bot.buttons import user_key_for
from bot.console import err, errors_in_one_line, out, progress_board
from bot.settings import load_settings
from bot.wiring import Wired
from data.errors import InvalidInput
from data.events import ConsentKind, SlateId, UserKey
from data.model_registry import ModelRegistry, ModelRow, ModelStatus

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
models_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Predictors: list, promote, roll back."
)


def register(app: typer.Typer, import_app: typer.Typer, evaluate_app: typer.Typer) -> None:
    """Mount the commands of this file."""
    app.add_typer(models_app, name="models")
    app.command("train")(train_command)
    app.command("simulate")(simulate_command)
    app.command("profile")(profile_command)
    app.command("replay")(replay_command)
    import_app.command("behaviour")(import_behaviour)
    evaluate_app.command("policy")(evaluate_policy)


@contextmanager
def _wired() -> Iterator[Wired]:
    with errors_in_one_line(), progress_board() as board:
        parts = Wired(load_settings(), tell=board.tell)
        try:
            yield parts
        finally:
            if "store" in parts.__dict__:
                parts.store.close()


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(_finite(value), ensure_ascii=False, default=str) + "\n")


def _finite(value: object) -> object:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


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

    with _wired() as parts:
        row, gate = train_from_store(parts, model_registry(parts), seed=seed, at=_now())
        if as_json:
            _print_json({**asdict(row), "gate_reasons": list(gate.reasons)})
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
    with _wired() as parts:
        rows = model_registry(parts).rows()
        if as_json:
            _print_json([asdict(row) for row in rows])
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

    with _wired() as parts:
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
    with _wired() as parts:
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

    with _wired() as parts:
        rng = np.random.default_rng(seed)
        if log is not None:
            estimates = dict(evaluate_log(read_placement_log(log), policy, rng=rng))
        else:
            from bot.learning import evaluate_from_store

            estimates = evaluate_from_store(
                parts, model_registry(parts), policy, at=_now(), rng=rng
            )
        if as_json:
            _print_json(
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
    from recommender.simulation import World, simulate, summary

    with _wired() as parts:
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
            _print_json(figures)
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


def profile_command(
    user: Annotated[str, typer.Argument(help="User key (32 hex digits), or CHANNEL:ID.")],
    language: Annotated[str, typer.Option(help="zh or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Print what is known of a person, as they may see it themselves.

    Examples:
      zhiwei profile telegram:12345
      zhiwei profile 0123456789abcdef0123456789abcdef --language zh
    """
    from bot.learning import describe_profile, profile_figures

    with _wired() as parts:
        key = _user_key(parts, user)
        figures = profile_figures(parts, key, at=_now())
        if as_json:
            _print_json(figures)
            return
        for line in describe_profile(figures, language=language):
            out.print(Text(line))


def _user_key(parts: Wired, user: str) -> UserKey:
    channel, colon, number = user.partition(":")
    if colon:
        return user_key_for(parts.settings.secret_bytes(), channel, number)
    if len(user) != 32 or set(user) - set("0123456789abcdef"):
        raise InvalidInput(
            f"{user!r} is no user key; expected 32 hex digits, or a channel and id such as "
            "telegram:12345"
        )
    return UserKey(user)


def replay_command(
    slate_id: Annotated[str, typer.Argument(help="Id of a past slate.")],
    as_json: AsJson = False,
) -> None:
    """Draw a past slate again from its row, and say whether it is the same byte for byte.

    Example:
      zhiwei replay Ab3dEf6hIj9kLm0n
    """
    from bot.wiring import read_catalogue
    from recommender.replay import replay

    with _wired() as parts:
        slate = parts.store.slate(SlateId(slate_id))
        if slate is None:
            raise InvalidInput(f"no slate {slate_id!r} is stored; it may have been erased")
        catalogue, _ = read_catalogue(parts.settings)
        now = {"catalogue_version": catalogue.version}
        snapshot = _snapshot_name(parts)
        if snapshot:
            now["index_version"] = snapshot
        found = replay(slate, in_force=now)
        if as_json:
            _print_json(
                {
                    "slate_id": slate_id,
                    "equal": found.is_equal,
                    "gone": list(found.gone),
                    "placements": json.loads(found.replayed),
                }
            )
        else:
            digest = hashlib.sha256(found.replayed).hexdigest()[:16]
            same = "the same, byte for byte" if found.is_equal else "NOT the same"
            out.print(f"slate {slate_id}: {same} ({digest})")
            for version in found.gone:
                out.print(Text(f"  not in force any more: {version}"))
        if not found.is_equal:
            raise typer.Exit(1)


def _snapshot_name(parts: Wired) -> str:
    from data.errors import SnapshotError

    try:
        return parts.snapshots.current().name
    except SnapshotError:
        return ""


def import_behaviour(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or JSONL.")],
    channel: Annotated[str, typer.Option(help="Channel whose ids stand in `user`.")] = "telegram",
    as_json: AsJson = False,
) -> None:
    """Import browsing, purchases, searches and reviews: user, time, kind, item|lesson|text, value.

    Only rows of people who agreed that we learn from their answers are kept.

    Example:
      zhiwei import behaviour november.csv --channel telegram
    """
    from data.behaviour import read_behaviour, replies_of

    with _wired() as parts:
        found = read_behaviour(file, now=_now())
        for problem in found.problems:
            err.print(f"problem: {problem}", style="yellow", markup=False)
        secret = parts.settings.secret_bytes()
        consenting = parts.store.consenting_users(ConsentKind.LEARN_FROM_ANSWERS)
        counts = {"rows": len(found.records), "new": 0, "known": 0, "without_consent": 0}
        with parts.store.transaction():
            for behaviour in found.records:
                key = user_key_for(secret, channel, behaviour.user)
                if key not in consenting:
                    counts["without_consent"] += 1
                    continue
                fresh = [parts.store.record_reply(r) for r in replies_of(behaviour, key)]
                counts["new" if any(fresh) else "known"] += 1
        counts["problems"] = len(found.problems)
        if as_json:
            _print_json(counts)
        else:
            out.print(
                f"{counts['new']} acts imported, {counts['known']} known already, "
                f"{counts['without_consent']} of people without consent left out, "
                f"{counts['problems']} problems"
            )
        if not found.records:
            raise InvalidInput(f"{file} has no usable row, so nothing was imported")


def _now() -> datetime:
    return datetime.now(UTC)


__all__ = ["ModelStatus", "model_registry", "models_app", "register"]
