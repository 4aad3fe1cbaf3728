"""Two models or weightings side by side, blind: names come after the vote, and votes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.studio.pairings import asked_pairing, pairing_page, ranked
from bot.studio.previewing import Ask, Preview, Weighting, evidence_of
from bot.studio.previewing import preview as rank
from bot.studio.rivals import IN_FORCE, OWN, PRESETS, Rivals, models, rivals
from bot.studio.state_files import StateFile
from bot.studio.visit import Visit

COMPARED = 5
"""So many items a side stand in a comparison."""


async def compare(visit: Visit) -> Response:
    """Two models or weightings side by side; which is which is told only after the vote."""
    ask = await asked_pairing(visit)
    if not ask.text.strip():
        return pairing_page(visit, ask, None, problem=visit.words("pairings.nothing"))
    first, second = _side(visit, "first", IN_FORCE), _side(visit, "second", "meaning")
    if first == second:
        return pairing_page(visit, ask, None, problem=visit.words("compare.same"))
    round_id = secrets.token_hex(8)
    left, right = _sides(visit, round_id, first, second)
    found = await run_in_threadpool(lambda: [_rank_as(visit, ask, name) for name in (left, right)])
    shown = [row.hit.row for side in found for row in side.rows[:COMPARED]]
    evidence = await run_in_threadpool(evidence_of, visit.engine, ask, shown)
    return visit.page(
        "compare.html" if visit.is_htmx else "compare_page.html",
        ask=ask,
        left=found[0],
        right=found[1],
        compared=COMPARED,
        evidence=evidence,
        round_id=round_id,
        first=first,
        second=second,
    )


def _rank_as(visit: Visit, ask: Ask, name: str) -> Preview:
    """Rank as one side of a comparison would, for the same person."""
    if name in rivals(visit.studio.wired.settings):
        built: Rivals = visit.studio.remembered(Rivals)
        matcher = built.matcher(name, visit.studio.wired, visit.engine)
        engine = replace(visit.engine, matcher=matcher)
        return rank(engine, replace(ask, weighting=Weighting()), visit.store.rules(), at=visit.at)
    weighting = ask.weighting if name == OWN else PRESETS.get(name, Weighting())
    return ranked(visit, replace(ask, weighting=weighting))


async def vote(visit: Visit) -> Response:
    first, second = _side(visit, "first", IN_FORCE), _side(visit, "second", "meaning")
    round_id, side = visit.text("round", limit=16), visit.text("side")
    left, right = _sides(visit, round_id, first, second)
    winner = {"left": left, "right": right}.get(side, "tie")
    file = StateFile(visit.studio.wired.settings.state, "comparisons.json")
    rows = await run_in_threadpool(
        file.change,
        lambda rows: [
            *(row for row in rows if row.get("round") != round_id),
            {
                "round": round_id,
                "at": visit.at.isoformat(),
                "pair": sorted((first, second)),
                "winner": winner,
            },
        ],
    )
    visit.audit("compare", f"{first} {second} {winner}")
    same = [row for row in rows if row.get("pair") == sorted((first, second))]
    tally = {
        name: sum(row.get("winner") == name for row in same) for name in (first, second, "tie")
    }
    return visit.page(
        "vote.html" if visit.is_htmx else "vote_page.html",
        left=left, right=right, winner=winner, tally=tally,
    )  # fmt: skip


def _sides(visit: Visit, round_id: str, first: str, second: str) -> tuple[str, str]:
    """Which of the two stands where: drawn by the round's id, so that no field of the form tells it."""
    drawn = hmac.new(visit.studio.secret, f"round:{round_id}".encode(), hashlib.sha256).digest()
    return (first, second) if drawn[0] & 1 else (second, first)


def _side(visit: Visit, name: str, default: str) -> str:
    told = visit.text(name, default)
    known = (OWN, *PRESETS, *models(visit.studio.wired.settings))
    return told if told in known else default
