"""The detector proves presence, is not fooled by friends, and lets servings be."""

from __future__ import annotations

import pytest

from data.catalogue import Item, ItemId
from data.vocabulary import Allergen, AllergenState
from recommender.detector import detect, detect_in_item
from tests.fakes import sample_catalogue

HOSTILE = [
    ("crunchy bar with peanuts", Allergen.PEANUTS),
    ("crunchy bar with peanuts, good with tea", Allergen.PEANUTS),
    ("A bar for hikers with peanuts and honey", Allergen.PEANUTS),
    ("Perfect for hikers, full of peanuts", Allergen.PEANUTS),
    ("roast peanuts in caramel", Allergen.PEANUTS),
    ("oats and roast almonds", Allergen.NUTS),
    ("top quality peanut clusters", Allergen.PEANUTS),
    ("a mix of cashews and raisins", Allergen.NUTS),
    ("Serve cold; contains milk powder", Allergen.MILK),
    ("Serve cold, may contain traces of sesame", Allergen.SESAME),
    ("chicken fried in peanut oil", Allergen.PEANUTS),
    ("noodles tossed with sesame and chilli", Allergen.SESAME),
    ("glazed with soy sauce", Allergen.SOYBEANS),
    ("glazed with soy sauce", Allergen.GLUTEN),
    ("Serve with rice. Filled with shrimp and pork.", Allergen.CRUSTACEANS),
    ("packed on a line that also handles tree nuts", Allergen.NUTS),
    ("not free from milk", Allergen.MILK),
    ("gluten-free noodles with barley malt", Allergen.GLUTEN),
    ("brioche with raisins", Allergen.EGGS),
    ("slow-cooked with celery", Allergen.CELERY),
    ("dressed with Dijon mustard", Allergen.MUSTARD),
    ("with lupin flour", Allergen.LUPIN),
    ("preserved with sulphur dioxide", Allergen.SULPHITES),
    ("squid ink risotto", Allergen.MOLLUSCS),
    ("酥脆花生棒", Allergen.PEANUTS),
    ("饼干表面撒满花生碎,香脆可口", Allergen.PEANUTS),
    ("淋巧克力花生酱的饼干", Allergen.PEANUTS),
    ("无糖花生酱", Allergen.PEANUTS),
    ("不含糖的芝麻糊", Allergen.SESAME),
    ("适合早餐,含牛奶与鸡蛋", Allergen.MILK),
    ("适合早餐,含牛奶与鸡蛋", Allergen.EGGS),
    ("蚝油腌制的牛肉", Allergen.MOLLUSCS),
    ("酱油腌制", Allergen.GLUTEN),
    ("虾皮提鲜的紫菜", Allergen.CRUSTACEANS),
    ("香油拌匀的凉菜包", Allergen.SESAME),
    ("麻酱糖饼", Allergen.SESAME),
    ("杏仁奶", Allergen.NUTS),
    ("配料:小麦粉、白砂糖", Allergen.GLUTEN),
    ("夹心是榛子酱", Allergen.NUTS),
    ("与腰果同一生产线,可能有痕量坚果", Allergen.NUTS),
    ("芹菜猪肉馅", Allergen.CELERY),
    ("黄芥末腌鸡胸", Allergen.MUSTARD),
    ("羽扇豆粉制成", Allergen.LUPIN),
    ("用二氧化硫护色", Allergen.SULPHITES),
    ("鳕鱼肠", Allergen.FISH),
    ("咸蛋黄酥", Allergen.EGGS),
]


@pytest.mark.parametrize(("text", "allergen"), HOSTILE)
def test_a_description_that_names_an_allergen_is_found(text: str, allergen: Allergen) -> None:
    item = Item(item_id=ItemId("x"), name_en="Thing", description_en=text, description_zh=text)
    assert allergen in detect_in_item(item)


@pytest.mark.parametrize(
    ("text", "allergen"),
    [
        ("coconut cream", Allergen.MILK),
        ("nutmeg", Allergen.NUTS),
        ("coconut", Allergen.NUTS),
        ("butternut squash", Allergen.NUTS),
        ("buckwheat groats", Allergen.GLUTEN),
        ("water chestnut", Allergen.NUTS),
        ("eggplant", Allergen.EGGS),
        ("king oyster mushroom", Allergen.MOLLUSCS),
        ("oat milk", Allergen.MILK),
        ("peanut butter", Allergen.MILK),
        ("peanut butter", Allergen.NUTS),
        ("butter lettuce", Allergen.MILK),
        ("荞麦", Allergen.GLUTEN),
        ("鱼香草", Allergen.FISH),
        ("鱼腥草", Allergen.FISH),
        ("杏鲍菇", Allergen.MOLLUSCS),
        ("蟹味菇", Allergen.CRUSTACEANS),
        ("椰奶", Allergen.MILK),
        ("螺丝椒", Allergen.MOLLUSCS),
        ("高蛋白", Allergen.EGGS),
        ("牛油果", Allergen.MILK),
        ("milk-free", Allergen.MILK),
        ("不含牛奶和鸡蛋", Allergen.EGGS),
        ("custard-soft tofu", Allergen.EGGS),
        ("奶油般绵密的榴莲", Allergen.MILK),
        ("Gluten-Free Seeded Loaf", Allergen.GLUTEN),
        ("玉米薄饼", Allergen.GLUTEN),
        ("普洱茶饼", Allergen.EGGS),
        ("芒果布丁", Allergen.EGGS),
    ],
)
def test_a_false_friend_is_not_taken_for_the_food(text: str, allergen: Allergen) -> None:
    assert allergen not in detect(text)


@pytest.mark.parametrize(
    ("text", "allergen"),
    [
        ("Crisp leaves; serve with eggs and cheese.", Allergen.EGGS),
        ("Firm tomatoes to tear over mozzarella", Allergen.MILK),
        ("Ripe, dense fruit; slice with cheese or eat plain.", Allergen.MILK),
        ("秦岭百花蜜,淋酸奶、涂吐司", Allergen.MILK),
        ("熟度适中,或压泥做松饼,配牛奶", Allergen.MILK),
    ],
)
def test_what_goes_beside_the_food_is_not_in_it(text: str, allergen: Allergen) -> None:
    item = Item(item_id=ItemId("x"), name_en="Thing", description_en=text)
    assert allergen not in detect_in_item(item)


@pytest.mark.parametrize(
    ("item", "allergen"),
    [
        (
            Item(item_id=ItemId("x"), name_zh="crisp greens 羽扇豆", tags=("mango",)),
            Allergen.LUPIN,
        ),
        (
            Item(
                item_id=ItemId("x"), name_en="bar", tags=("peanut",), description_en="butter rolls"
            ),
            Allergen.MILK,
        ),
        (Item(item_id=ItemId("x"), name_en="coconut, milk rolls"), Allergen.MILK),
    ],
)
def test_words_of_two_places_are_never_read_as_one_phrase(item: Item, allergen: Allergen) -> None:
    assert allergen in detect_in_item(item)


def test_the_detector_rarely_contradicts_the_labels_of_the_samples() -> None:
    """Over-blocking is bounded: at most 4 % of the items, and none by name alone."""
    wrong = {
        item.item_id
        for item in sample_catalogue()
        if any(item.allergen_state(a) is AllergenState.FREE_FROM for a in detect_in_item(item))
    }
    assert len(wrong) <= 0.04 * len(sample_catalogue())


def test_the_detector_finds_what_the_labels_of_the_samples_declare_by_name() -> None:
    """Most items that contain peanuts, sesame, egg ... say so in their name; few are missed."""
    named = [
        (item, allergen)
        for item in sample_catalogue()
        for allergen in detect(f"{item.name_zh}\n{item.name_en}")
    ]
    right = [i for i, a in named if i.allergen_state(a) is not AllergenState.FREE_FROM]
    assert len(named) > 150
    assert len(right) >= 0.97 * len(named)
