"""Read allergens out of an item's words. A detector can prove presence, never absence.

The lexicon is the project's food knowledge; false friends (coconut, nutmeg, buckwheat) are
phrases that mask the food word inside them. Serving suggestions ("stir-fry with egg") do not count:
they say what goes beside the item, not what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from data.catalogue import Item
from data.food_knowledge import load_false_friends, load_foods
from data.mentions import MentionScanner, normalised
from data.vocabulary import Allergen

_EXTRA_WORDS: Mapping[Allergen, tuple[str, ...]] = {
    Allergen.GLUTEN: (
        "gluten",
        "wheat",
        "barley",
        "rye",
        "spelt",
        "semolina",
        "durum",
        "malt",
        "breadcrumb",
        "seitan",
        "couscous",
        "bulgur",
        "udon",
        "ramen",
        "filo",
        "puff pastry",
        "麸质",
        "小麦",
        "大麦",
        "黑麦",
        "麦芽",
        "面粉",
        "面筋",
        "麸皮",
        "面包糠",
        "酱油",
        "豆瓣酱",
    ),
    Allergen.CRUSTACEANS: (
        "crustacean",
        "shrimp",
        "prawn",
        "crab",
        "lobster",
        "crayfish",
        "krill",
        "langoustine",
        "甲壳",
        "虾",
        "蟹",
        "龙虾",
        "虾皮",
        "虾米",
        "虾酱",
        "蟹黄",
        "磷虾",
    ),
    Allergen.EGGS: ("egg", "albumen", "mayonnaise", "meringue", "蛋", "蛋黄", "蛋白", "蛋黄酱"),
    Allergen.FISH: (
        "fish",
        "anchovy",
        "tuna",
        "salmon",
        "cod",
        "sardine",
        "bonito",
        "fish sauce",
        "surimi",
        "鱼",
        "鱼露",
        "鱼糜",
        "鲣节",
        "木鱼花",
        "凤尾鱼",
    ),
    Allergen.PEANUTS: ("peanut", "groundnut", "satay", "花生", "沙嗲"),
    Allergen.SOYBEANS: (
        "soy",
        "soya",
        "soybean",
        "tofu",
        "miso",
        "tempeh",
        "edamame",
        "natto",
        "大豆",
        "黄豆",
        "豆腐",
        "豆浆",
        "豆干",
        "腐竹",
        "毛豆",
        "酱油",
        "味噌",
        "纳豆",
        "豆豉",
        "豆瓣酱",
    ),
    Allergen.MILK: (
        "milk",
        "cheese",
        "butter",
        "cream",
        "yogurt",
        "yoghurt",
        "whey",
        "casein",
        "ghee",
        "lactose",
        "奶酪",
        "牛奶",
        "奶油",
        "黄油",
        "乳清",
        "酪蛋白",
        "酸奶",
        "芝士",
        "奶粉",
        "炼乳",
    ),
    Allergen.NUTS: (
        "tree nut",
        "almond",
        "hazelnut",
        "walnut",
        "cashew",
        "pecan",
        "brazil nut",
        "pistachio",
        "macadamia",
        "praline",
        "marzipan",
        "pesto",
        "坚果",
        "杏仁",
        "巴旦木",
        "榛子",
        "核桃",
        "腰果",
        "碧根果",
        "开心果",
        "夏威夷果",
    ),
    Allergen.CELERY: ("celery", "celeriac", "芹菜", "西芹", "芹"),
    Allergen.MUSTARD: ("mustard", "芥末酱", "芥末籽", "黄芥末", "芥子"),
    Allergen.SESAME: ("sesame", "tahini", "halva", "芝麻", "麻酱", "香油", "麻油"),
    Allergen.SULPHITES: (
        "sulphite",
        "sulfite",
        "sulphur dioxide",
        "sulfur dioxide",
        "亚硫酸盐",
        "二氧化硫",
    ),
    Allergen.LUPIN: ("lupin", "lupine", "羽扇豆"),
    Allergen.MOLLUSCS: (
        "mollusc",
        "mollusk",
        "squid",
        "octopus",
        "cuttlefish",
        "oyster",
        "clam",
        "mussel",
        "scallop",
        "snail",
        "abalone",
        "软体动物",
        "鱿鱼",
        "章鱼",
        "墨鱼",
        "牡蛎",
        "生蚝",
        "蛤蜊",
        "青口",
        "扇贝",
        "蚝油",
        "鲍鱼",
        "螺",
    ),
}
_FALSE_FRIENDS: tuple[str, ...] = (
    "coconut", "nutmeg", "butternut", "buckwheat", "water chestnut", "coconut milk", "oat milk",
    "coconut cream", "cocoa butter", "shea butter", "peanut butter", "almond milk", "rice milk",
    "doughnut", "eggplant", "butter bean", "butterhead", "cream of tartar", "oyster mushroom",
    "king oyster mushroom", "butter lettuce", "crab apple", "fish mint", "egg-free", "goldfish",
    "荞麦", "椰奶", "椰浆", "燕麦奶", "杏仁奶", "米奶", "花生酱", "鱼香", "鱼腥草", "蟹味菇", "鲍鱼菇",
    "杏鲍菇", "蚝菇", "虾青素", "蛋白质", "马蹄", "荸荠", "无花果", "牛油果", "鱼尾葵", "蟹爪兰", "蛋茄",
    "豆蔻", "可可脂", "螺旋藻", "螺丝椒", "高蛋白", "优质蛋白", "植物蛋白", "植物奶", "蛋白含量", "香芹",
)  # fmt: skip
"""Phrases inside which a food word does not mean that food. 花生酱, peanut butter: see below."""

_STILL_MEANS: Mapping[str, frozenset[Allergen]] = {
    "花生酱": frozenset({Allergen.PEANUTS}),
    "peanut butter": frozenset({Allergen.PEANUTS}),
    "almond milk": frozenset({Allergen.NUTS}),
    "杏仁奶": frozenset({Allergen.NUTS}),
    "oat milk": frozenset({Allergen.GLUTEN}),
    "燕麦奶": frozenset({Allergen.GLUTEN}),
}

_FREE_CLAIM = re.compile(
    r"(?:不含|无添加|未添加|零|无)\s*(?P<zh>[一-鿿]{1,4})"
    r"|(?P<en>[a-z]+)[- ]free\b|\b(?:no|without|free (?:of|from))\s+(?P<en2>[a-z]+)"
)
_SERVING = re.compile(
    r"搭配|配[上着以]?|佐|蘸|拌|炒|炖|煮|煎|烤|焖|烩|熬|煲|涮|蒸|焯|烧|做成|做馅|可与|适合|加入|加点|撒|浇|夹|卷|包|泡|一起|同"
    r"|\b(?:serve|served|pair|pairs|toss|tuck|stir|add|stuff|wrap|spread|drizzle|scatter|simmer|braise"
    r"|steam|fry|grill|roast|bake|try|good with|great with|goes with|dip|dress|fold|drop|layer|pile"
    r"|cook|use|crumble|grate|sprinkle|blend|mix|enjoy|excellent with|perfect with|made for|for)\b"
)
_SENTENCE = re.compile(r"[^。；！？.;!?\n]+")


def words_of(item: Item) -> str:
    """The text that says what the item *is*: names, tags, and descriptions without servings."""
    descriptions = (
        sentence.group()
        for text in (item.description_zh, item.description_en)
        for sentence in _SENTENCE.finditer(normalised(text))
        if not _SERVING.search(sentence.group())
    )
    return "\n".join((item.name_zh, item.name_en, *item.tags, *descriptions))


def detect(text: str) -> frozenset[Allergen]:
    """Allergens that the words of `text` speak of; denials such as "milk-free" do not count."""
    scanner, allergens_by_phrase = _lexicon()
    folded = _FREE_CLAIM.sub(" ", normalised(text))
    found: set[Allergen] = set()
    for mention in scanner.find(folded):
        found |= allergens_by_phrase[mention.phrase]
    return frozenset(found)


def detect_in_item(item: Item) -> frozenset[Allergen]:
    """Allergens that an item's own words speak of."""
    return detect(words_of(item))


@lru_cache(maxsize=1)
def _lexicon() -> tuple[MentionScanner, Mapping[str, frozenset[Allergen]]]:
    meanings: dict[str, set[Allergen]] = {}

    def say(phrases: Iterable[str], allergens: Iterable[Allergen]) -> None:
        for phrase in phrases:
            meanings.setdefault(normalised(phrase), set()).update(allergens)

    for allergen, phrases in _EXTRA_WORDS.items():
        say(phrases, {allergen})
    for food in load_foods().values():
        # Foods without allergens go in too: "coconut milk" must win over "milk".
        say((*food.zh, *food.en), food.allergens)
    for friend in load_false_friends():
        say((friend.phrase,), ())
    for phrase in _FALSE_FRIENDS:
        meanings[normalised(phrase)] = set(_STILL_MEANS.get(phrase, ()))
    return MentionScanner(meanings), {p: frozenset(a) for p, a in meanings.items()}
