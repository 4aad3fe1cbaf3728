"""`zhiwei doctor`: what a support person would look at first, each with what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bot.terminal import utc_now
from bot.wiring import Wired, read_catalogue
from data.catalogue import Catalogue
from data.errors import ZhiweiError
from data.vocabulary import Allergen, AllergenState
from recommender.safety import is_label_fresh

LOW_DISK_BYTES = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    subject: str
    fact: str
    is_ok: bool = True
    remedy: str = ""


def examine(parts: Wired) -> list[Finding]:
    """Look at everything; a check that itself fails is a finding, not a crash."""
    checks: tuple[tuple[str, Callable[[Wired], Iterator[Finding]]], ...] = (
        ("database", _database),
        ("catalogue", _catalogue),
        ("model", _model),
        ("index", _index),
        ("disk", _disk),
        ("telegram", _telegram),
    )
    findings: list[Finding] = []
    for subject, check in checks:
        try:
            findings += check(parts)
        except ZhiweiError as error:
            findings.append(Finding(subject=subject, fact=str(error), is_ok=False))
    return findings


def _database(parts: Wired) -> Iterator[Finding]:
    problems = parts.store.check()
    if problems:
        for problem in problems:
            yield Finding(subject="database", fact=problem, is_ok=False)
    else:
        yield Finding(subject="database", fact=f"{parts.settings.database_path} is sound")
    backlog = parts.store.backlog(at=utc_now())
    yield Finding(
        subject="backlog",
        fact=(
            f"inbox {backlog.inbox}, outbox {backlog.outbox}, parked {backlog.parked}, "
            f"oldest {backlog.oldest_seconds:.0f} s"
        ),
        is_ok=backlog.oldest_seconds < 300 and backlog.parked == 0,
        remedy=""
        if backlog.oldest_seconds < 300 and backlog.parked == 0
        else "start the bot to work it off; parked updates are listed in the log",
    )


def _catalogue(parts: Wired) -> Iterator[Finding]:
    catalogue, problems = read_catalogue(parts.settings)
    yield Finding(
        subject="catalogue",
        fact=f"{len(catalogue)} items, {len(catalogue.lessons)} lessons, {len(problems)} problems",
        is_ok=not problems,
        remedy=f"first: {problems[0]}" if problems else "",
    )
    yield from _labels(catalogue)


def _labels(catalogue: Catalogue) -> Iterator[Finding]:
    stale = sum(not is_label_fresh(item, at=utc_now()) for item in catalogue)
    yield Finding(
        subject="labels",
        fact=f"{stale} items without a label check within a year",
        is_ok=stale <= len(catalogue) // 2,
        remedy="set allergens_checked_on; such items are hidden from people with allergies"
        if stale
        else "",
    )
    unknown = np.mean(
        [
            any(item.allergen_state(a) is AllergenState.UNKNOWN for a in Allergen)
            for item in catalogue
        ]
    )
    yield Finding(
        subject="allergens", fact=f"{unknown:.0%} of items have an unknown allergen",
        is_ok=bool(unknown < 0.5),
        remedy="complete the allergens column" if unknown >= 0.5 else "",
    )  # fmt: skip


def _model(parts: Wired) -> Iterator[Finding]:
    yield Finding(subject="model", fact=parts.embedder.name)


def _index(parts: Wired) -> Iterator[Finding]:
    engine = parts.engines.current()
    yield Finding(subject="index", fact=f"{engine.matcher.version} is sound")


def _disk(parts: Wired) -> Iterator[Finding]:
    parts.settings.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(parts.settings.state).free
    is_ok = free > LOW_DISK_BYTES
    yield Finding(
        subject="disk",
        fact=f"{free / 1e9:.1f} GB free",
        is_ok=is_ok,
        remedy="" if is_ok else "free some space; with a full disk nothing can be stored",
    )


def _telegram(parts: Wired) -> Iterator[Finding]:
    has_token = parts.settings.telegram_token is not None
    yield Finding(
        subject="telegram",
        fact="a token is set" if has_token else "no token is set; the terminal chat is used",
    )
