"""Random catalogues and people whose allergen data are missing, stale, contradicting or hostile.

The generator knows what it put in, so that the truth it is judged by shares no code with the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from data.catalogue import Item, ItemId
from data.events import FactKind, ProfileFact, UserKey
from data.vocabulary import Allergen, AllergenState, Diet
from tests.fakes import NOON

SPOKEN: dict[Allergen, tuple[str, ...]] = {
    Allergen.GLUTEN: ("wheat biscuits", "barley soup", "小麦面包", "酱油鸡"),
    Allergen.CRUSTACEANS: ("prawn bisque", "crab roll", "鲜虾云吞", "蟹黄豆腐"),
    Allergen.EGGS: ("egg salad", "meringue nests", "咸蛋黄饼", "鹌鹑蛋"),
    Allergen.FISH: ("tuna bake", "anchovy paste", "三文鱼饭", "鱼露拌菜"),
    Allergen.PEANUTS: ("peanut brittle", "satay skewers", "花生酥", "无糖花生酱"),
    Allergen.SOYBEANS: ("tofu cubes", "miso broth", "豆腐干", "味噌汤"),
    Allergen.MILK: ("cheese sticks", "butter cookies", "酸奶杯", "芝士条"),
    Allergen.NUTS: ("almond bar", "walnut loaf", "核桃糕", "腰果仁"),
    Allergen.CELERY: ("celery juice", "celeriac mash", "芹菜汁", "西芹百合"),
    Allergen.MUSTARD: ("mustard dip", "dijon mustard", "黄芥末", "芥末酱"),
    Allergen.SESAME: ("sesame bar", "tahini sauce", "芝麻糊", "麻酱"),
    Allergen.SULPHITES: ("wine with sulphites", "sulphur dioxide", "亚硫酸盐", "二氧化硫"),
    Allergen.LUPIN: ("lupin flour", "lupin beans", "羽扇豆", "羽扇豆粉"),
    Allergen.MOLLUSCS: ("squid rings", "clam chowder", "蚝油菜", "扇贝柱"),
}
_NEUTRAL = (
    "crisp greens",
    "fresh pears",
    "rice cup",
    "嫩豌豆苗",
    "脆苹果",
    "糙米",
    "coconut water",
    "荞麦",
)
_FRAMES = ("{}", "A snack with {}", "contains {}", "Serve cold. Made with {}.", "{},适合早餐")


@dataclass(frozen=True, slots=True)
class Made:
    """An item with the allergens that its words speak of."""

    item: Item
    spoken: frozenset[Allergen]


def random_item(random: Random, number: int) -> Made:
    """One row of a shop that nobody checked."""
    spoken: set[Allergen] = set()
    words = [random.choice(_NEUTRAL)]
    if random.random() < 0.35:
        allergen = random.choice(list(Allergen))
        words.append(random.choice(SPOKEN[allergen]))
        spoken.add(allergen)
    in_name = random.random() < 0.5
    name = " ".join(words) if in_name else words[0]
    rest = "" if in_name else random.choice(_FRAMES).format(words[-1])
    is_clean = random.random() < 0.6
    states = {
        allergen: AllergenState.FREE_FROM if is_clean else random.choice(list(AllergenState))
        for allergen in Allergen
        if random.random() < 0.97
    }
    checked = random.choice(
        (None, -400, -366, -365, -364, -30, -30, -30, -30, -1, 0, 1, 2, 30, -4000)
    )
    diets = None if random.random() < 0.2 else frozenset(d for d in Diet if random.random() < 0.7)
    zh = any("一" <= c <= "鿿" for c in name)
    return Made(
        Item(
            item_id=ItemId(f"i{number}"),
            name_zh=name if zh else "",
            name_en="" if zh else name,
            description_en=rest,
            description_zh=rest if random.random() < 0.5 else "",
            category=random.choice(("vegetable", "snack", "pork", "fish", "dairy", "fruit", "")),
            allergens=states,
            allergens_checked_on=None
            if checked is None
            else NOON.date() + timedelta(days=checked),
            diets=diets,
            audience=random.choice(("all", "all", "all", "adults")),
            tags=random.choice(((), ("snack",), ("peanut",), ("mango",))),
        ),
        frozenset(spoken),
    )


def random_facts(random: Random) -> list[ProfileFact]:
    """What somebody declared; now and then in words of no vocabulary."""
    told: list[tuple[FactKind, str]] = [
        (FactKind.ALLERGEN, str(a))
        for a in random.sample(list(Allergen), random.choice((1, 1, 2, 5)))
    ]
    if random.random() < 0.4:
        told.append((FactKind.DIET, str(random.choice(list(Diet)))))
    if random.random() < 0.3:
        told.append(
            (
                random.choice((FactKind.AVOID, FactKind.ALLERGEN)),
                random.choice(("mango", "梨", "pear")),
            )
        )
    if random.random() < 0.3:
        told = told[1:]
    return [
        ProfileFact(
            fact_id=str(n), user_key=UserKey("u"), at=NOON, kind=kind, value=value, source="said"
        )
        for n, (kind, value) in enumerate(told)
    ]


def must_not_be_shown(made: Made, facts: list[ProfileFact]) -> str:
    """Why the person must not see the item, read from the raw row; empty when they may."""
    item = made.item
    for fact in facts:
        if fact.kind is FactKind.ALLERGEN and fact.value in set(Allergen):
            allergen = Allergen(fact.value)
            if str(item.allergens.get(allergen, "unknown")) != "free_from":
                return f"label: {allergen}"
            checked = item.allergens_checked_on
            if checked is None or not -1 <= (NOON.date() - checked).days <= 365:
                return f"date: {allergen}"
            if allergen in made.spoken:
                return f"words: {allergen}"
        elif fact.kind is FactKind.DIET:
            if item.diets is None or Diet(fact.value) not in item.diets:
                return f"diet: {fact.value}"
        else:
            everything = f"{item.name_zh}{item.name_en}{item.description_en}{item.tags}"
            if fact.value in everything:
                return f"avoid: {fact.value}"
    return ""
