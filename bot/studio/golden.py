"""Golden pairings: what must stay as it is, kept as JSON in the state folder and run as a regression."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.engine import Engine
from bot.studio.pairings import asked_pairing
from bot.studio.previewing import Ask, preview
from bot.studio.state_files import Rows, StateFile
from bot.studio.visit import Visit, to
from data.catalogue import ItemId, LessonId
from data.events import CreatorRule
from data.vocabulary import Allergen, Diet

NO_ITEM = ItemId("")
KEPT = 3
MOST = 5
"""An expected item may move, but not out of the first five."""
FILE = "golden.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a golden pairing does not hold; the key of a sentence and what it names."""

    key: str
    item_id: ItemId = NO_ITEM
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One golden pairing after a run."""

    golden_id: str
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        return not self.findings


def as_row(ask: Ask, expected: Sequence[ItemId], *, at: datetime) -> dict[str, Any]:
    """Give the record of a pairing; the same ask replaces its earlier record."""
    key = "\n".join([ask.title, ask.text, *sorted(ask.allergens), *sorted(ask.diets)])
    return {
        "id": hashlib.sha256(key.encode()).hexdigest()[:12],
        "lesson_id": ask.lesson_id,
        "title": ask.title,
        "text": ask.text,
        "allergens": sorted(ask.allergens),
        "diets": sorted(ask.diets),
        "expected": list(expected),
        "saved_at": at.isoformat(),
    }


def ask_of(row: dict[str, Any]) -> Ask:
    return Ask(
        title=str(row.get("title", "")),
        text=str(row.get("text", "")),
        lesson_id=LessonId(str(row.get("lesson_id", ""))),
        allergens=frozenset(Allergen(v) for v in row.get("allergens", ()) if v in set(Allergen)),
        diets=frozenset(Diet(v) for v in row.get("diets", ()) if v in set(Diet)),
    )


def check(
    engine: Engine, row: dict[str, Any], rules: Sequence[CreatorRule], *, at: datetime
) -> Outcome:
    """Run one golden pairing against the engine in force."""
    found = preview(engine, ask_of(row), rules, at=at, shown=20)
    offered = found.offered
    expected = [ItemId(str(item_id)) for item_id in row.get("expected", ())]
    findings: list[Finding] = []
    if not expected and offered:
        findings.append(Finding(key="golden.not_silent", item_id=offered[0].item.item_id))
    if expected and found.is_silent:
        findings.append(Finding(key="golden.now_silent"))
    ranks = {r.item.item_id: r.rank for r in found.rows}
    for item_id in expected:
        if item_id not in engine.catalogue.items_by_id:
            findings.append(Finding(key="golden.gone", item_id=item_id))
        elif item_id not in ranks:
            findings.append(Finding(key="golden.absent", item_id=item_id))
        elif ranks[item_id] > MOST:
            findings.append(Finding(key="golden.dropped", item_id=item_id, rank=ranks[item_id]))
    return Outcome(golden_id=str(row.get("id", "")), findings=tuple(findings))


def _file(visit: Visit) -> StateFile:
    return StateFile(visit.studio.wired.settings.state, FILE)


async def show(visit: Visit) -> Response:
    return _page(visit, await run_in_threadpool(_file(visit).read), {})


async def run(visit: Visit) -> Response:
    rows = await run_in_threadpool(_file(visit).read)
    outcomes = await run_in_threadpool(_check_all, visit, rows)
    visit.audit("golden.run", f"{sum(o.holds for o in outcomes.values())} of {len(rows)}")
    return _page(visit, rows, outcomes)


def _check_all(visit: Visit, rows: Rows) -> dict[str, Outcome]:
    engine, rules = visit.engine, visit.store.rules()
    return {str(row.get("id")): check(engine, row, rules, at=visit.at) for row in rows}


async def save(visit: Visit) -> Response:
    ask = await asked_pairing(visit)
    found = await run_in_threadpool(preview, visit.engine, ask, visit.store.rules(), at=visit.at)
    offered = [row.item for row in found.offered[:KEPT]]
    row = as_row(ask, [item.item_id for item in offered], at=visit.at)
    await run_in_threadpool(
        _file(visit).change, lambda rows: [*(r for r in rows if r.get("id") != row["id"]), row]
    )
    visit.audit("golden.save", str(row["id"]))
    if not visit.is_htmx:
        return to("/golden")
    words = visit.words.shared
    told = (
        visit.words("golden.saved", items=words.several(words.name(item) for item in offered))
        if offered
        else visit.words("golden.saved_silent")
    )
    return visit.page("note.html", note=told)


async def delete(visit: Visit) -> Response:
    wanted = visit.text("golden", limit=12)
    await run_in_threadpool(
        _file(visit).change, lambda rows: [r for r in rows if r.get("id") != wanted]
    )
    visit.audit("golden.delete", wanted)
    return to("/golden")


def _page(visit: Visit, rows: Rows, outcomes: dict[str, Outcome]) -> Response:
    items, words = visit.engine.catalogue.items_by_id, visit.words

    def name(item_id: str) -> str:
        item = items.get(ItemId(item_id))
        return words.shared.name(item) if item else item_id

    def why(outcome: Outcome) -> list[str]:
        return [
            words(f.key, item=name(f.item_id), rank=f.rank, most=MOST) for f in outcome.findings
        ]

    return visit.page(
        "golden.html",
        rows=rows,
        outcomes=outcomes,
        name=name,
        why=why,
        day=lambda moment: words.shared.day(datetime.fromisoformat(str(moment)).date()),
        n_ok=sum(outcome.holds for outcome in outcomes.values()),
    )
