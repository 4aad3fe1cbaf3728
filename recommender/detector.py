"""Read allergens out of an item's words. A detector can prove presence, never absence.

Ingredients count wherever they stand in names, tags and descriptions; prepared foods only for what
they cannot be made without (a pesto has nuts, a cake need not have milk). Words of serving and of
comparison are taken out first by `recommender.servings`. The label decides about everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from data.catalogue import Item
from data.food_knowledge import load_false_friends, load_foods
from data.mentions import MentionScanner, normalised
from data.vocabulary import Allergen
from recommender.servings import without_comparisons, without_servings

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

_BY_NATURE = frozenset(
    {
        "vegetable", "herb_spice", "fish", "shellfish", "egg", "dairy", "grain", "bean", "soy",
        "nut", "oil_condiment",
    }
)  # fmt: skip
"""Categories of the lexicon in which a food's allergens are its own, whoever made it."""

_BY_HABIT: Mapping[str, frozenset[Allergen]] = {
    # Usual recipes, but not the only ones: what remains is what the food cannot be without.
    "curry paste": frozenset(),
    "curry powder": frozenset(),
    "curry roux": frozenset({Allergen.GLUTEN}),
    "salad dressing": frozenset(),
    "relish": frozenset(),
    "cooking wine": frozenset(),
    "rice wine lees": frozenset(),
    "pasta sauce": frozenset(),
    "hot pot base": frozenset(),
    "hot pot dipping sauce": frozenset(),
    "dumpling sauce": frozenset(),
    "bbq sauce": frozenset(),
    "barbecue spice mix": frozenset(),
    "meat sauce": frozenset(),
    "vegetable stock": frozenset(),
    "chicken bouillon": frozenset(),
    "plant milk": frozenset(),
    "pudding": frozenset(),
    "custard powder": frozenset(),
    "chili crisp": frozenset(),
    "multigrain powder": frozenset(),
    "granola": frozenset({Allergen.GLUTEN}),
    "muesli": frozenset({Allergen.GLUTEN}),
    "breakfast cereal": frozenset(),
    "cake mix": frozenset({Allergen.GLUTEN}),
    "pancake mix": frozenset({Allergen.GLUTEN}),
    "textured vegetable protein": frozenset({Allergen.SOYBEANS}),
    "miso": frozenset({Allergen.SOYBEANS}),
    # Prepared foods that have an allergen by definition.
    "bread": frozenset({Allergen.GLUTEN}),
    "toast": frozenset({Allergen.GLUTEN}),
    "whole wheat bread": frozenset({Allergen.GLUTEN}),
    "rye bread": frozenset({Allergen.GLUTEN}),
    "sourdough": frozenset({Allergen.GLUTEN}),
    "baguette": frozenset({Allergen.GLUTEN}),
    "ciabatta": frozenset({Allergen.GLUTEN}),
    "focaccia": frozenset({Allergen.GLUTEN}),
    "brioche": frozenset({Allergen.GLUTEN, Allergen.EGGS, Allergen.MILK}),
    "croissant": frozenset({Allergen.GLUTEN, Allergen.MILK}),
    "bagel": frozenset({Allergen.GLUTEN}),
    "pita": frozenset({Allergen.GLUTEN}),
    "naan": frozenset({Allergen.GLUTEN}),
    "flour tortilla": frozenset({Allergen.GLUTEN}),
    "pizza dough": frozenset({Allergen.GLUTEN}),
    "breadcrumb": frozenset({Allergen.GLUTEN}),
    "panko": frozenset({Allergen.GLUTEN}),
    "crouton": frozenset({Allergen.GLUTEN}),
    "mantou": frozenset({Allergen.GLUTEN}),
    "baozi": frozenset({Allergen.GLUTEN}),
    "youtiao": frozenset({Allergen.GLUTEN}),
    "shaobing": frozenset({Allergen.GLUTEN}),
    "filo": frozenset({Allergen.GLUTEN}),
    "puff pastry": frozenset({Allergen.GLUTEN}),
    "pie crust": frozenset({Allergen.GLUTEN}),
    "egg tart shell": frozenset({Allergen.GLUTEN, Allergen.EGGS}),
    "graham cracker": frozenset({Allergen.GLUTEN}),
    "ladyfinger": frozenset({Allergen.GLUTEN, Allergen.EGGS}),
    "scone": frozenset({Allergen.GLUTEN}),
    "waffle": frozenset({Allergen.GLUTEN}),
    "panettone": frozenset({Allergen.GLUTEN, Allergen.EGGS}),
    "noodle": frozenset({Allergen.GLUTEN}),
    "dried noodle": frozenset({Allergen.GLUTEN}),
    "egg noodle": frozenset({Allergen.GLUTEN, Allergen.EGGS}),
    "alkaline noodle": frozenset({Allergen.GLUTEN}),
    "ramen": frozenset({Allergen.GLUTEN}),
    "udon": frozenset({Allergen.GLUTEN}),
    "somen": frozenset({Allergen.GLUTEN}),
    "instant noodle": frozenset({Allergen.GLUTEN}),
    "knife-cut noodle": frozenset({Allergen.GLUTEN}),
    "wonton wrapper": frozenset({Allergen.GLUTEN}),
    "dumpling wrapper": frozenset({Allergen.GLUTEN}),
    "spring roll wrapper": frozenset({Allergen.GLUTEN}),
    "pasta": frozenset({Allergen.GLUTEN}),
    "spaghetti": frozenset({Allergen.GLUTEN}),
    "linguine": frozenset({Allergen.GLUTEN}),
    "fettuccine": frozenset({Allergen.GLUTEN}),
    "penne": frozenset({Allergen.GLUTEN}),
    "macaroni": frozenset({Allergen.GLUTEN}),
    "fusilli": frozenset({Allergen.GLUTEN}),
    "farfalle": frozenset({Allergen.GLUTEN}),
    "lasagna": frozenset({Allergen.GLUTEN}),
    "ravioli": frozenset({Allergen.GLUTEN}),
    "frozen dumpling": frozenset({Allergen.GLUTEN}),
    "dumpling": frozenset({Allergen.GLUTEN}),
    "wonton": frozenset({Allergen.GLUTEN}),
    "pizza": frozenset({Allergen.GLUTEN}),
    "cheeseburger": frozenset({Allergen.GLUTEN, Allergen.MILK}),
    "sandwich": frozenset({Allergen.GLUTEN}),
    "tempura": frozenset({Allergen.GLUTEN}),
    "cookie": frozenset({Allergen.GLUTEN}),
    "energy bar": frozenset(),
    "latiao": frozenset({Allergen.GLUTEN}),
    "mahua": frozenset({Allergen.GLUTEN}),
    "pretzel": frozenset({Allergen.GLUTEN}),
    "beer": frozenset({Allergen.GLUTEN}),
    "barley tea": frozenset({Allergen.GLUTEN}),
    "maltose": frozenset({Allergen.GLUTEN}),
    "malted milk": frozenset({Allergen.GLUTEN, Allergen.MILK}),
    "ice cream": frozenset({Allergen.MILK}),
    "custard": frozenset({Allergen.EGGS}),
    "lemon curd": frozenset({Allergen.EGGS}),
    "meringue": frozenset({Allergen.EGGS}),
    "macaron": frozenset({Allergen.EGGS, Allergen.NUTS}),
    "egg tart": frozenset({Allergen.EGGS, Allergen.GLUTEN}),
    "cheesecake": frozenset({Allergen.MILK}),
    "tiramisu": frozenset({Allergen.EGGS, Allergen.MILK, Allergen.GLUTEN}),
    "brownie": frozenset({Allergen.GLUTEN, Allergen.EGGS}),
    "donut": frozenset({Allergen.GLUTEN}),
    "cream puff": frozenset({Allergen.GLUTEN, Allergen.EGGS, Allergen.MILK}),
    "baklava": frozenset({Allergen.GLUTEN, Allergen.NUTS}),
    "nougat": frozenset({Allergen.NUTS}),
    "halva": frozenset({Allergen.SESAME}),
    "dulce de leche": frozenset({Allergen.MILK}),
    "milk chocolate": frozenset({Allergen.MILK}),
    "white chocolate": frozenset({Allergen.MILK}),
    "milk tea": frozenset({Allergen.MILK}),
    "butter tea": frozenset({Allergen.MILK}),
    "latte": frozenset({Allergen.MILK}),
    "eggnog": frozenset({Allergen.EGGS, Allergen.MILK}),
    "irish cream": frozenset({Allergen.MILK}),
    "amaretto": frozenset({Allergen.NUTS}),
    "trail mix": frozenset({Allergen.NUTS}),
    "roasted nuts": frozenset({Allergen.NUTS}),
    "prawn cracker": frozenset({Allergen.CRUSTACEANS}),
    "fish jerky": frozenset({Allergen.FISH}),
    "sashimi": frozenset({Allergen.FISH}),
    "canned fish": frozenset({Allergen.FISH}),
    "omelette": frozenset({Allergen.EGGS}),
    "steamed egg custard": frozenset({Allergen.EGGS}),
    "fondue": frozenset({Allergen.MILK}),
    "mac and cheese": frozenset({Allergen.GLUTEN, Allergen.MILK}),
    "fish and chips": frozenset({Allergen.FISH, Allergen.GLUTEN}),
    "hot dog": frozenset({Allergen.GLUTEN}),
    "roujiamo": frozenset({Allergen.GLUTEN}),
    "buddha jumps over the wall": frozenset({Allergen.MOLLUSCS}),
    "luosifen": frozenset({Allergen.MOLLUSCS}),
    "meatball": frozenset(),
    "ham sausage": frozenset(),
}
"""Foods, by their first English name, that say less or more than their category would."""

_PLAIN_MEANINGS: Mapping[str, frozenset[Allergen]] = {
    "soy": frozenset({Allergen.SOYBEANS}),
    "sweet soy": frozenset({Allergen.SOYBEANS, Allergen.GLUTEN}),
    "light soy": frozenset({Allergen.SOYBEANS, Allergen.GLUTEN}),
    "dark soy": frozenset({Allergen.SOYBEANS, Allergen.GLUTEN}),
    "soy glaze": frozenset({Allergen.SOYBEANS, Allergen.GLUTEN}),
    "rushan": frozenset(),
    "乳山": frozenset(),
    "小黄花": frozenset(),
    "roll": frozenset(),
    "loaf": frozenset({Allergen.GLUTEN}),
    "bun": frozenset({Allergen.GLUTEN}),
    "pastry": frozenset({Allergen.GLUTEN}),
    "biscuit": frozenset({Allergen.GLUTEN}),
    "cracker": frozenset(),
    "奶": frozenset({Allergen.MILK}),
    "tart": frozenset(),
    "brittle": frozenset(),
    "nibble": frozenset(),
    "派": frozenset(),
    "tortilla": frozenset(),
    "sorbet": frozenset(),
    "雪芭": frozenset(),
    "卤水": frozenset(),
    "火烧至": frozenset(),
    "云南乳饼": frozenset({Allergen.MILK}),
    "金黄油": frozenset(),
    "奶白": frozenset(),
    "至奶黄": frozenset(),
    "熏干的": frozenset(),
    "微甜不辣": frozenset(),
    "海味鲜甜": frozenset(),
    "almond drink": frozenset({Allergen.NUTS}),
    "巴旦木奶": frozenset({Allergen.NUTS}),
    "soy milk": frozenset({Allergen.SOYBEANS}),
    "tamari": frozenset({Allergen.SOYBEANS}),
}
"""Single phrases whose meaning on a shelf differs from the lexicon's."""

_WITHOUT_WHEAT = (
    "corn tortilla", "玉米薄饼", "rice noodle", "glass noodle", "cellophane noodle",
    "sweet potato noodle", "konjac noodle", "shirataki noodle", "mung bean noodle",
    "lentil penne", "red lentil penne", "lentil pasta", "chickpea pasta", "rice pasta",
    "rice paper", "米纸", "米粉", "河粉", "粉丝", "粉条", "红扁豆通心粉", "扁豆通心粉", "鹰嘴豆意面",
    "扁豆意面", "pasta of red lentil", "noodles of sweet potato", "rice cracker", "rice cake", "茶饼", "tea cake", "rice bread",
)  # fmt: skip
"""Staples of the kind that is made without wheat; the grain in the name says so."""

_GLUTEN_FREE = re.compile(r"gluten[- ]free|free (?:of|from) gluten|无麸质|不含麸质|零麸质")
_STARCH = re.compile("|".join(re.escape(phrase) for phrase in _WITHOUT_WHEAT))
_TAMARI = re.compile(r"\btamari\b|溜酱油")
_SOFT_CATEGORIES = frozenset({"bread", "noodle", "sweet", "snack", "frozen", "ready_to_eat"})
_SOFT_GLUTEN = frozenset({
    "oat", "oat bran", "oat flour", "rolled oat", "oat milk", "燕麦", "燕麦奶", "燕麦片", "燕麦麸皮", "loaf",
    "bun", "pastry", "biscuit", "面包", "udon", "ramen", "breadcrumb", "filo", "puff pastry", "面粉",
})  # fmt: skip
"""Words that usually mean wheat, and may not when the item itself claims to be without gluten."""
_PASTA = frozenset({"noodle", "pasta", "penne", "通心粉", "面条", "意面"})
"""The soft words that a starch in the name explains: noodles of sweet potato."""

_DENIED_ZH = "麸质|小麦|牛奶|乳糖|乳制品|乳|奶|鸡蛋|蛋|花生|坚果|大豆|黄豆|芝麻|亚硫酸盐|二氧化硫|海鲜|鱼|虾|甲壳类|贝类|芹菜|芥末"
_FREE_CLAIM = re.compile(
    rf"(?:不含|无添加|未添加|零|无)(?:任何)?\s*(?:{_DENIED_ZH})(?:[、和与及或](?:{_DENIED_ZH}))*"
    r"|(?<!not )(?<!never )(?<!longer )\b[a-z]+[- ]free\b"
    r"|\b(?:no|without|(?<!not )free (?:of|from))\s+(?:added\s+)?[a-z]+"
)


def words_of(item: Item, *, with_tags: bool = True) -> str:
    """The text that says what the item *is*: names, tags, and descriptions without servings."""
    descriptions = (
        without_servings(normalised(text)) for text in (item.description_zh, item.description_en)
    )
    tags = item.tags if with_tags else ()
    return "\n".join((item.name_zh, item.name_en, *tags, *descriptions))


def detect(text: str) -> frozenset[Allergen]:
    """Allergens that the words of `text` speak of; denials such as "milk-free" do not count."""
    scanner, meanings = _lexicon()
    folded = normalised(text)
    claims_no_gluten = _GLUTEN_FREE.search(folded) is not None
    is_starch = _STARCH.search(folded) is not None
    if claims_no_gluten and _TAMARI.search(folded):
        folded = folded.replace("溜酱油", "酱油").replace("酱油", "溜酱油")
    found: set[Allergen] = set()
    for mention in scanner.find(_FREE_CLAIM.sub(" | ", without_comparisons(folded))):
        meaning = meanings[mention.phrase]
        found |= meaning.allergens
        if not (claims_no_gluten or (is_starch and mention.phrase in _PASTA)):
            found |= meaning.usual
    return frozenset(found)


def detect_in_item(item: Item) -> frozenset[Allergen]:
    """Allergens that an item's own words speak of."""
    return detect(words_of(item))


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a phrase stands for; `usual` counts unless the item claims otherwise."""

    allergens: frozenset[Allergen] = frozenset()
    usual: frozenset[Allergen] = frozenset()


@lru_cache(maxsize=1)
def _lexicon() -> tuple[MentionScanner, Mapping[str, _Meaning]]:
    said: dict[str, frozenset[Allergen]] = {}
    soft: set[str] = {normalised(phrase) for phrase in _SOFT_GLUTEN}

    def say(phrases: Iterable[str], allergens: frozenset[Allergen]) -> None:
        for phrase in phrases:
            key = normalised(phrase)
            said[key] = said.get(key, frozenset()) | allergens

    for allergen, phrases in _EXTRA_WORDS.items():
        say(phrases, frozenset({allergen}))
    ingredients = MentionScanner(said)
    for food in load_foods().values():
        by_habit = _BY_HABIT.get(food.en[0]) if food.en else None
        for phrase in (*food.zh, *food.en):
            if food.category in _BY_NATURE and by_habit is None:
                say((phrase,), food.allergens)
                continue
            # A dish says what it cannot be without, and every ingredient that its name spells out.
            spelled = [said[normalised(m.phrase)] for m in ingredients.find(phrase)]
            inside = frozenset().union(*spelled) & food.allergens
            say((phrase,), (by_habit or frozenset()) | inside)
            if food.category in _SOFT_CATEGORIES and Allergen.GLUTEN not in inside:
                soft.add(normalised(phrase))
    for friend in load_false_friends():
        say((friend.phrase,), frozenset())
    for phrase in (*_FALSE_FRIENDS, *_WITHOUT_WHEAT):
        said[normalised(phrase)] = _STILL_MEANS.get(phrase, frozenset())
    for phrase, allergens in _PLAIN_MEANINGS.items():
        said[normalised(phrase)] = allergens
    gluten = frozenset({Allergen.GLUTEN})
    meanings = {
        phrase: _Meaning(allergens - gluten, allergens & gluten)
        if phrase in soft
        else _Meaning(allergens)
        for phrase, allergens in said.items()
    }
    return MentionScanner(meanings), meanings
