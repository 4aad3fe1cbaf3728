"""The last look before a message leaves, on a path of its own.

This module shares no code with the filter or the ranker on purpose: a mistake there must not repeat
here. It reads the catalogue row and the declared facts only, and refuses on any doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from data.catalogue import Item, ItemId
from data.events import FactKind, ProfileFact
from data.vocabulary import Diet

_RISKY_WORDS: Mapping[str, tuple[str, ...]] = {
    "gluten": ("wheat", "barley", "rye ", "gluten", "小麦", "大麦", "面筋", "酱油", "soy sauce"),
    "crustaceans": ("shrimp", "prawn", "crab", "lobster", "crayfish", "虾", "蟹"),
    "eggs": ("egg ", "eggs", "mayo", "鸡蛋", "蛋黄", "鸭蛋", "皮蛋", "鹌鹑蛋"),
    "fish": ("salmon", "tuna", "anchov", "fish sauce", "鱼露", "三文鱼", "金枪鱼", "鳕鱼"),
    "peanuts": ("peanut", "花生"),
    "soybeans": ("soy", "tofu", "miso", "豆腐", "大豆", "黄豆", "酱油", "豆浆", "味噌"),
    "milk": ("cheese", "yogurt", "yoghurt", "牛奶", "奶酪", "芝士", "酸奶", "黄油", "奶油"),
    "nuts": (
        "almond",
        "walnut",
        "hazelnut",
        "cashew",
        "pistachio",
        "核桃",
        "腰果",
        "榛子",
        "开心果",
    ),
    "celery": ("celery", "celeriac", "芹菜", "西芹"),
    "mustard": ("mustard", "黄芥末", "芥末酱"),
    "sesame": ("sesame", "tahini", "芝麻", "麻酱", "香油"),
    "sulphites": ("sulphite", "sulfite", "亚硫酸"),
    "lupin": ("lupin", "羽扇豆"),
    "molluscs": (
        "squid",
        "octopus",
        "clam",
        "mussel",
        "scallop",
        "鱿鱼",
        "蛤",
        "扇贝",
        "蚝油",
        "生蚝",
    ),
}
"""Words that stand for the allergen in an item's *name*; few, blunt, and not the detector's."""

_MASKS = (
    "buckwheat", "eggplant", "oyster mushroom", "荞麦", "egg-free", "soy-free", "wheat-free",
    "gluten-free", "gluten free", "peanut-free", "sesame-free", "egg free", "soy free", "crab apple",
    "nutmeg", "无麸质", "溜酱油", "奶豆腐", "杏仁豆腐", "米豆腐", "蟹味菇", "鲍鱼菇", "虾青素",
)  # fmt: skip
"""Parts of names in which a risky word means another food, or its absence."""

_DIETS = frozenset(str(diet) for diet in Diet)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One item that must not leave, and why."""

    item_id: ItemId
    reason: str


def refusals(
    item_ids: Iterable[ItemId],
    items_by_id: Mapping[ItemId, Item],
    facts: Iterable[ProfileFact],
    *,
    at: datetime,
    max_label_age_days: int = 365,
) -> list[Refusal]:
    """Give the items that must not be shown to the person who stated these facts.

    An item that is not in the catalogue any more is refused when the person declared anything.
    """
    told = list(facts)
    refused: list[Refusal] = []
    for item_id in item_ids:
        item = items_by_id.get(item_id)
        if item is None:
            if told:
                refused.append(Refusal(item_id, "not in the catalogue"))
            continue
        reason = _doubt(item, told, at=at, max_label_age_days=max_label_age_days)
        if reason:
            refused.append(Refusal(item_id, reason))
    return refused


def _doubt(
    item: Item, facts: Iterable[ProfileFact], *, at: datetime, max_label_age_days: int
) -> str:
    for fact in facts:
        reason = ""
        if fact.kind is FactKind.ALLERGEN and fact.value in _RISKY_WORDS:
            reason = _allergen_doubt(item, fact.value, at, max_label_age_days)
        elif fact.kind is FactKind.DIET and fact.value in _DIETS:
            if item.diets is None or fact.value not in {str(diet) for diet in item.diets}:
                reason = f"not declared {fact.value}"
        elif fact.kind in (FactKind.ALLERGEN, FactKind.AVOID, FactKind.DIET):
            # A value of no vocabulary is a word to avoid: no label can answer for it.
            reason = _word_doubt(item, fact.value)
        elif fact.kind is FactKind.MERCHANT and _one_line(item.merchant) == _one_line(fact.value):
            reason = "of a merchant that the person hid"
        if reason:
            return reason
    return ""


def _one_line(name: str) -> str:
    return " ".join(name.lower().split())


def _allergen_doubt(item: Item, allergen: str, at: datetime, max_label_age_days: int) -> str:
    label = {str(name): str(state) for name, state in item.allergens.items()}
    if label.get(allergen) != "free_from":
        return f"{allergen}: the label does not say free from"
    checked = item.allergens_checked_on
    if checked is None:
        return f"{allergen}: the label check is missing"
    age = (at.date() - checked).days
    if age > max_label_age_days or age < -1:
        return f"{allergen}: the label check is too old, or lies in the future"
    names = _names(item)
    if any(word in names for word in _RISKY_WORDS[allergen]):
        return f"{allergen}: the name speaks of it"
    return ""


def _word_doubt(item: Item, word: str) -> str:
    wanted = word.casefold().strip()
    texts = (item.name_zh, item.name_en, item.description_zh, item.description_en, *item.tags)
    if wanted and wanted in "\n".join(texts).casefold():
        return "names a food that the person avoids"
    return ""


def _names(item: Item) -> str:
    names = f" {item.name_zh} {item.name_en} ".casefold()
    for mask in _MASKS:
        names = names.replace(mask, " ")
    return names
