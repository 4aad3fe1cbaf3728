"""The catalogue page: search, label completeness, import with a preview, publish, roll back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.engine import Engine
from bot.studio.expectations import expected_in
from bot.studio.shelf import Difference, Shelf, difference
from bot.studio.visit import Visit, to
from data.catalogue import Item
from data.csv_safety import Cell, csv_bytes
from data.importing import Import, read_items
from data.mentions import normalised
from data.vocabulary import Allergen
from recommender.safety import DEFAULT_RULES

PER_PAGE = 30
LISTED = 100
"""So many rows of a difference or of the problems are shown; the download has all problems."""

_DONE = frozenset({"published", "rolled_back", "saved", "unchanged", "taken_out"})


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit,
    *,
    digest: str = "",
    found: Import[Item] | None = None,
    changes: Difference | None = None,
    problem: str = "",
) -> Response:
    engine, query = visit.engine, visit.asked("q", limit=100)
    only_open = visit.asked("open") == "1"
    items = await run_in_threadpool(search, engine, query, only_open=only_open)
    number = visit.asked("page", "1")
    page = max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 6 else 1
    return visit.page(
        "catalogue.html",
        query=query,
        only_open=only_open,
        items=items[(page - 1) * PER_PAGE : page * PER_PAGE],
        n_found=len(items),
        page=page,
        n_pages=max(1, -(-len(items) // PER_PAGE)),
        completeness=completeness(engine),
        n_items=len(engine.catalogue),
        n_fresh=fresh_labels(engine, at=visit.at),
        digest=digest,
        found=found,
        expected=lambda told: expected_in(visit.language, told),
        changes=changes,
        listed=LISTED,
        problem=problem,
        before=Shelf(visit.studio.wired).before(),
        done=visit.asked("done") if visit.asked("done") in _DONE else "",
    )


def search(engine: Engine, query: str, *, only_open: bool) -> list[Item]:
    """Items whose id, names, category or tags hold every word; with `only_open`, with an open label."""
    words = normalised(query).split()
    table = engine.table
    is_open = (table.states == 0).any(axis=1)
    return [
        item
        for row, item in enumerate(engine.catalogue.items)
        if (not only_open or is_open[row]) and all(word in _searched(item) for word in words)
    ]


def _searched(item: Item) -> str:
    parts = (item.item_id, item.name_zh, item.name_en, item.category, *item.tags)
    return normalised(" ".join(parts))


def completeness(engine: Engine) -> list[tuple[Allergen, int, int, int, int]]:
    """(allergen, contains, may contain, free from, unknown) counts of items."""
    states = engine.table.states
    counts = [np.bincount(states[:, i], minlength=4) for i in range(states.shape[1])]
    return [
        (allergen, int(c[3]), int(c[2]), int(c[1]), int(c[0]))
        for allergen, c in zip(Allergen, counts, strict=True)
    ]


def fresh_labels(engine: Engine, *, at: datetime) -> int:
    """Items whose label was checked recently enough to answer somebody with an allergy."""
    age = at.date().toordinal() - engine.table.checked_days
    longest: timedelta = DEFAULT_RULES.label_max_age
    return int(((age >= -1) & (age <= longest.days)).sum())


async def preview(visit: Visit) -> Response:
    """Show what a file would change, and every problem in it; nothing is put into force."""
    uploaded = await visit.upload("file")
    if uploaded is None:
        return await _page(visit, problem=visit.words("catalogue.no_file"))
    name, content = uploaded
    digest, found = await run_in_threadpool(Shelf(visit.studio.wired).look, name, content)
    changes = difference(visit.engine.catalogue, found.records)
    visit.audit("catalogue.look", f"{name} {digest}")
    return await _page(visit, digest=digest, found=found, changes=changes)


async def problems(visit: Visit) -> Response:
    """Every problem of an uploaded file as CSV."""
    path = Shelf(visit.studio.wired).upload(str(visit.request.path_params["digest"]))
    found = await run_in_threadpool(read_items, path)
    rows: Sequence[Sequence[Cell]] = [
        (
            p.line,
            p.field,
            p.value,
            expected_in(visit.language, p.expected),
            "yes" if p.row_kept else "no",
        )
        for p in found.problems
    ]
    return Response(
        csv_bytes(("line", "field", "value", "expected", "row_kept"), rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="zhiwei-problems.csv"'},
    )


async def publish(visit: Visit) -> Response:
    digest = visit.text("digest", limit=16)
    n = await run_in_threadpool(Shelf(visit.studio.wired).publish, digest)
    visit.audit("catalogue.publish", f"{digest} {n} items")
    return to("/catalogue?done=published")


async def rollback(visit: Visit) -> Response:
    await run_in_threadpool(Shelf(visit.studio.wired).roll_back)
    visit.audit("catalogue.rollback")
    return to("/catalogue?done=rolled_back")
