"""The form of one item: edit, add or take out, with a confirmation where a label says less of a risk."""

from __future__ import annotations

from dataclasses import fields as record_fields
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.studio.item_rows import TEXTS, ItemFields, check
from bot.studio.shelf import Shelf
from bot.studio.visit import Visit, to
from data.catalogue import Item, ItemId, content_hash
from data.validation import Complaint
from data.vocabulary import FOOD_CATEGORIES, Allergen, AllergenState, Diet

_HINTS = {
    "item_id": "id",
    "name": "name",
    "price": "price",
    "currency": "currency",
    "image_url": "url",
    "buy_url": "url",
    "available_from": "day",
    "stock": "count",
    "category": "category",
    "audience": "choice",
}
"""Field -> the sentence that says what it should hold; every other one is a text."""


async def show(visit: Visit) -> Response:
    """The form of an item, or an empty one."""
    wanted = visit.asked("id")
    item = visit.engine.catalogue.items_by_id.get(ItemId(wanted))
    if wanted and item is None:
        return visit.refusal("refused.gone", status=404)
    return _page(visit, item, ItemFields.of(item) if item else _empty())


async def save(visit: Visit) -> Response:
    """Check, write the catalogue file, publish."""
    shelf = Shelf(visit.studio.wired)
    known = visit.engine.catalogue.items_by_id
    before = known.get(ItemId(visit.text("id")))
    told = _told(visit, before)
    found = check(told, before, today=visit.at.date())
    complaints = list(found.complaints)
    if before is None and ItemId(told.texts["item_id"].strip()) in known:
        complaints.append(
            Complaint(field="item_id", value=told.texts["item_id"], expected="an id of its own")
        )
    item = found.item
    if item is None or complaints:
        return _page(visit, before, told, complaints=complaints, status=422)
    if found.cleared and visit.text("confirmed") != "1":
        return _page(visit, before, told, cleared=found.cleared)
    changed = _changed(before, item)
    if not changed:
        return to(f"/catalogue?done=unchanged&q={quote(item.item_id)}")
    await run_in_threadpool(
        shelf.rewrite, item.item_id, told.cells(), expected=visit.text("version", limit=16)
    )
    visit.audit("catalogue.edit", f"{item.item_id}: {', '.join(changed)}")
    return to(f"/catalogue?done=saved&q={quote(item.item_id)}")


async def remove(visit: Visit) -> Response:
    item_id = ItemId(visit.text("id"))
    if item_id not in visit.engine.catalogue.items_by_id:
        return visit.refusal("refused.gone", status=404)
    await run_in_threadpool(
        Shelf(visit.studio.wired).rewrite, item_id, None, expected=visit.text("version", limit=16)
    )
    visit.audit("catalogue.remove", item_id)
    return to("/catalogue?done=taken_out")


def _empty() -> ItemFields:
    return ItemFields(texts={"currency": "CNY", "audience": "all", "vertical": "food"})


def _told(visit: Visit, before: Item | None) -> ItemFields:
    texts = {name: visit.text(name, limit=6_000) for name in TEXTS}
    if before is not None:
        texts["item_id"] = before.item_id
    months = visit.texts("season")
    states = {
        allergen: AllergenState(state)
        for allergen in Allergen
        if (state := visit.text(f"allergen_{allergen}")) in set(AllergenState)
        and state != AllergenState.UNKNOWN
    }
    diets = frozenset(Diet(value) for value in visit.texts("diet") if value in set(Diet))
    return ItemFields(
        texts=texts,
        tags=visit.text("tags", limit=4_000),
        season=frozenset(int(m) for m in months if m.isdecimal() and 1 <= int(m[:2]) <= 12),
        states=states,
        diets=diets if diets or visit.text("diets_known") == "1" else None,
        is_sponsored=visit.text("sponsored") == "1",
    )


def _changed(before: Item | None, after: Item) -> list[str]:
    if before is None:
        return ["new"]
    return [
        f.name for f in record_fields(Item) if getattr(before, f.name) != getattr(after, f.name)
    ]


def _page(
    visit: Visit,
    item: Item | None,
    told: ItemFields,
    *,
    complaints: list[Complaint] | None = None,
    cleared: tuple[Allergen, ...] = (),
    status: int = 200,
) -> Response:
    problems = {c.field: _hint(visit, c) for c in complaints or ()}
    if "name" in problems:
        problems["name_zh"] = problems.pop("name")
    category = told.texts.get("category", "")
    own = (category,) if category and category not in FOOD_CATEGORIES else ()
    return visit.page(
        "item_form.html",
        status=status,
        item=item,
        told=told,
        text=lambda name: told.texts.get(name, ""),
        problems=problems,
        cleared=[visit.words.shared.allergen(allergen) for allergen in cleared],
        version=content_hash([item]) if item else "",
        categories=(*FOOD_CATEGORIES, *own),
        allergens=tuple(Allergen),
        states=tuple(AllergenState),
        diets=tuple(Diet),
        fixed=visit.studio.wired.settings.catalogue,
    )


def _hint(visit: Visit, complaint: Complaint) -> str:
    name = complaint.field
    if name == "allergens_checked_on":
        return visit.words("edit.expect_label_day")
    if name == "available_until":
        is_order = "before" in complaint.expected
        return visit.words("edit.expect_order" if is_order else "edit.expect_day")
    if name in (
        "name_zh",
        "name_en",
        "description_zh",
        "description_en",
        "unit",
        "origin",
        "merchant",
    ):
        return visit.words("edit.expect_text")
    return visit.words(f"edit.expect_{_HINTS.get(name, 'text')}")
