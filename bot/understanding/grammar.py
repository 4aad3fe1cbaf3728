"""Write the grammar-made utterances: `python -m bot.understanding.grammar`.

Templates lie in `data/understanding/templates.tsv`; fillings are chosen by a fixed rotation, so the
same templates give the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from data.food_knowledge import read_table

PER_TEMPLATE = 6
OUT = "utterances_grammar.jsonl"

_LISTS = ("include", "exclude", "allergens", "diet")
_FILLINGS: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("plain", "zh"): (
        ("猪肉", "pork"), ("牛肉", "beef"), ("海鲜", "seafood"), ("蘑菇", "mushroom"),
        ("鸡蛋", "egg"), ("面条", "noodle"), ("水果", "fruit"), ("豆制品", "soy"),
        ("零食", "snack"), ("鱼", "fish"), ("面包", "bread"), ("羊肉", "lamb"),
        ("奶制品", "dairy"), ("甜品", "sweet"), ("坚果", "nut"), ("蔬菜", "vegetable"),
    ),
    ("plain", "en"): (
        ("pork", "pork"), ("beef", "beef"), ("seafood", "seafood"), ("mushrooms", "mushroom"),
        ("eggs", "egg"), ("noodles", "noodle"), ("fruit", "fruit"), ("soy", "soy"),
        ("snacks", "snack"), ("fish", "fish"), ("bread", "bread"), ("lamb", "lamb"),
        ("dairy", "dairy"), ("desserts", "sweet"), ("nuts", "nut"), ("vegetables", "vegetable"),
    ),
    ("narrow", "zh"): tuple(
        (word, word)
        for word in (
            "香菜", "苦瓜", "牛排", "豆腐", "奶酪", "芒果", "燕麦片", "三文鱼", "咸鸭蛋", "腐乳",
            "银耳", "巧克力", "山药", "辣酱", "绿茶", "香肠", "荞麦面", "核桃", "虾仁", "南瓜",
        )
    ),
    ("narrow", "en"): tuple(
        (word, word)
        for word in (
            "kale", "salmon", "tofu", "cheddar", "mango", "granola", "miso", "duck", "olives",
            "chocolate", "oat milk", "kimchi", "walnuts", "prawns", "honey", "ramen", "okra",
            "green tea", "bacon", "quinoa",
        )
    ),
    ("allergen", "zh"): (
        ("花生", "peanuts"), ("虾", "crustaceans"), ("鸡蛋", "eggs"), ("牛奶", "milk"),
        ("芝麻", "sesame"), ("小麦", "gluten"), ("腰果", "nuts"), ("鱿鱼", "molluscs"),
        ("三文鱼", "fish"), ("大豆", "soybeans"), ("芹菜", "celery"), ("芥末", "mustard"),
    ),
    ("allergen", "en"): (
        ("peanuts", "peanuts"), ("shrimp", "crustaceans"), ("eggs", "eggs"), ("milk", "milk"),
        ("sesame", "sesame"), ("wheat", "gluten"), ("cashews", "nuts"), ("squid", "molluscs"),
        ("fish", "fish"), ("soy", "soybeans"), ("celery", "celery"), ("mustard", "mustard"),
    ),
    ("diet", "zh"): (
        ("素食", "vegetarian"), ("纯素", "vegan"), ("清真", "halal"), ("无麸质", "gluten_free"),
        ("低糖", "low_sugar"), ("低盐", "low_salt"), ("低脂", "low_fat"), ("高蛋白", "high_protein"),
        ("无乳糖", "lactose_free"),
    ),
    ("diet", "en"): (
        ("vegetarian", "vegetarian"), ("vegan", "vegan"), ("halal", "halal"),
        ("gluten-free", "gluten_free"), ("low sugar", "low_sugar"), ("low salt", "low_salt"),
        ("low fat", "low_fat"), ("high protein", "high_protein"), ("kosher", "kosher"),
    ),
    ("title", "zh"): tuple(
        (word, word)
        for word in ("刀工基础", "家常川菜", "发酵入门", "认识香料", "早餐搭配", "煲汤", "茶艺", "包饺子")
    ),
    ("title", "en"): tuple(
        (word, word)
        for word in (
            "knife basics", "bread baking", "fermentation", "spice", "tea tasting", "soup", "dumpling",
            "meal prep",
        )
    ),
}  # fmt: skip


def utterances() -> Iterator[dict[str, object]]:
    """Give the rows, `PER_TEMPLATE` for each template, in the order of the templates."""
    source = resources.files("data.understanding") / "templates.tsv"
    for number, (_, row) in enumerate(read_table(source)):
        fillings = _FILLINGS[row["filling"], row["lang"]]
        for turn in range(min(PER_TEMPLATE, len(fillings))):
            word, value = fillings[(number * 5 + turn * 3) % len(fillings)]
            slot = row["slots"].partition("=")[0]
            slots: dict[str, object] = {}
            if slot != "-":
                slots[slot] = [value] if slot in _LISTS else value
            yield {
                "text": row["template"].replace("{}", word),
                "lang": row["lang"],
                "intent": row["intent"],
                "slots": slots,
                "group": f"template:{number}",
            }


def main() -> None:
    """Write the file beside the hand-written utterances."""
    folder = Path(str(resources.files("data.understanding")))
    seen: dict[str, dict[str, object]] = {}
    for row in utterances():
        seen.setdefault(str(row["text"]), row)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in seen.values())
    (folder / OUT).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
