"""Tiny catalogues in which the right answer is known by construction."""

from __future__ import annotations

from collections.abc import Sequence

from data.catalogue import Catalogue, Item, ItemId
from index.embedding import Embedder, HashingEmbedder
from index.fusion import Fusion
from index.knowledge import KnowledgeIndex
from index.matches import Matches, Query
from index.matching import SMALL, HybridMatcher
from index.unsaved_index import build_unsaved


def item(name_en: str, name_zh: str = "", category: str = "", **more: object) -> Item:
    """An item whose id is its English (else its Chinese) name."""
    return Item(
        item_id=ItemId((name_en or name_zh).lower().replace(" ", "-")),
        name_en=name_en,
        name_zh=name_zh,
        category=category,
        **more,  # type: ignore[arg-type]
    )


def shop() -> list[Item]:
    """Thirty foods that have nothing in common with each other."""
    return [
        item("Tomatoes", "番茄", "vegetable"),
        item("Eggs", "鸡蛋", "egg"),
        item("Eggplant", "茄子", "vegetable"),
        item("Whole Milk", "鲜牛奶", "dairy"),
        item("Coconut Milk", "椰浆", "oil_condiment"),
        item("Pomegranates", "石榴", "fruit"),
        item("Grapes", "葡萄", "fruit"),
        item("Walnuts", "核桃", "nut"),
        item("Bananas", "香蕉", "fruit"),
        item("Salmon Fillet", "三文鱼", "fish"),
        item("Prawns", "鲜虾", "shellfish"),
        item("Oysters", "生蚝", "shellfish"),
        item("Pork Belly", "五花肉", "pork"),
        item("Beef Shank", "牛腱子", "beef"),
        item("Chicken Thighs", "鸡腿", "poultry"),
        item("Firm Tofu", "北豆腐", "soy"),
        item("Red Lentils", "红扁豆", "bean"),
        item("Spinach", "菠菜", "vegetable"),
        item("Carrots", "胡萝卜", "vegetable"),
        item("Pumpkin", "南瓜", "vegetable"),
        item("Potatoes", "土豆", "vegetable"),
        item("Olive Oil", "橄榄油", "oil_condiment"),
        item("Honey", "蜂蜜", "oil_condiment"),
        item("Coffee Beans", "咖啡豆", "tea_drink"),
        item("Decaf Coffee", "低因咖啡", "tea_drink"),
        item("Barley Tea", "大麦茶", "tea_drink"),
        item("Rooibos", "路易波士茶", "tea_drink"),
        item("Red Wine", "红酒", "tea_drink", audience="adults"),
        item("Dark Chocolate", "黑巧克力", "sweet"),
        item("Medjool Dates", "椰枣", "fruit"),
        item("Oats", "燕麦", "grain"),
        item("Smoked Salmon", "烟熏三文鱼", "fish"),
    ]


def matcher(
    items: Sequence[Item],
    *,
    encoder: Embedder | None = None,
    small: int = SMALL,
) -> HybridMatcher:
    """A matcher over items; without an encoder only words and food knowledge speak."""
    catalogue = Catalogue.of(items)
    return HybridMatcher(
        catalogue=catalogue,
        index=build_unsaved(catalogue, encoder or HashingEmbedder(dim=64)),
        embedder=encoder,
        knowledge=KnowledgeIndex(catalogue, encoder),
        fusion=Fusion(),
        small=small,
    )


def lesson(over: HybridMatcher, title: str, text: str, *, top_k: int = 100) -> Matches:
    return over.match(Query(title=title, text=text), eligible=None, top_k=top_k)


def names(matches: Matches) -> list[str]:
    return [str(hit.item_id) for hit in matches.hits]


def score_of(matches: Matches, item_id: str) -> float:
    """The score of an item that is among the hits."""
    return next(hit.score for hit in matches.hits if hit.item_id == item_id)
