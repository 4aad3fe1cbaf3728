"""What a text says of food, for and against; the catalogues are made here."""

from __future__ import annotations

import pytest

from data.catalogue import Catalogue
from data.food_knowledge import FoodId
from data.topic_knowledge import MAX_WEIGHT, load_topics
from index.knowledge import MAIN_LINK, SIDE_LINK, KnowledgeIndex, Reading
from index.matching import HybridMatcher
from index.passages import sentences
from tests.index.small_worlds import item, lesson, matcher, names, score_of, shop


@pytest.fixture(scope="module")
def over() -> HybridMatcher:
    return matcher(shop())


def read(text: str, title: str = "") -> Reading:
    return KnowledgeIndex(Catalogue.of(shop())).read(title, text, sentences(text), None)


def links_of(name_en: str, name_zh: str = "", category: str = "") -> dict[str, float]:
    catalogue = Catalogue.of([item(name_en, name_zh, category)])
    return {str(food): link for food, link in KnowledgeIndex(catalogue).links[0].items()}


@pytest.mark.parametrize(
    ("name_en", "name_zh", "category", "is_a", "has"),
    [
        ("Anchovy Fillets in Oil", "油浸凤尾鱼", "fish", "anchovy", "oil"),
        ("Yirgacheffe Beans", "耶加雪菲咖啡豆", "tea_drink", "coffee", "bean"),
        ("Potato and Cheese Pierogi", "", "frozen", None, "cheese"),
        ("Ready Mapo Tofu", "麻婆豆腐", "ready_to_eat", None, "tofu"),
        ("Chicken Noodles", "鸡肉面条", "", "noodle", "chicken"),
        ("Alcohol-Free Ginger Beer", "无酒精姜汁汽水", "tea_drink", "ginger_ale", None),
    ],
)
def test_an_item_is_its_head_and_has_its_parts(
    name_en: str, name_zh: str, category: str, is_a: str | None, has: str | None
) -> None:
    links = links_of(name_en, name_zh, category)

    assert [food for food, link in links.items() if link == MAIN_LINK] == ([is_a] if is_a else [])
    if has is not None:
        assert links[has] == SIDE_LINK
    assert "alcohol" not in links


def test_the_more_exact_of_two_names_speaks_for_the_wider() -> None:
    assert links_of("Silver Pomfret", "银鲳鱼", "fish") == {"pomfret": MAIN_LINK}


def test_a_shape_is_no_food() -> None:
    assert "jujube" not in links_of("Datterini Tomatoes", "枣形小番茄", "vegetable")
    assert "beef" not in links_of("Buffalo Mozzarella", "水牛马苏里拉", "dairy")


def test_a_dish_makes_its_ingredients_active() -> None:
    active = read("Tonight we cook.", title="Mapo tofu").active["dish"]

    assert active["tofu"] > 0.5  # type: ignore[index]


def test_a_food_named_often_is_more_active_than_one_named_once() -> None:
    active = read("Carrots. More carrots. Grate the carrots. One tomato.").active["text"]

    assert active["carrot"] > active["tomato"] > 0  # type: ignore[index]


def test_a_food_that_is_only_denied_speaks_against_itself() -> None:
    denied = read("We cook without tomatoes.")
    both = read("Some cook without tomatoes. We take ripe tomatoes.")

    assert "tomato" in denied.against
    assert "tomato" not in denied.pieces_by_food
    assert "tomato" not in both.against


def test_values_of_a_reading_lie_between_zero_and_one() -> None:
    reading = read(
        "The Silk Road, caffeine, pregnancy and a stew of carrots, onions, garlic and lamb.",
        title="Mapo tofu on the Silk Road",
    )

    values = [v for foods in reading.active.values() for v in foods.values()]
    values += [*reading.topics.values(), *reading.against.values(), reading.cooking]
    assert all(0.0 <= value <= 1.0 for value in values)


def test_common_foods_are_discounted_against_rare_ones() -> None:
    # Eggs stand in hundreds of topics, so that even weight 3 speaks in a lower voice.
    clock = next(t for t in load_topics() if t.topic_id == "circadian")
    assert clock.foods[FoodId("egg")] == MAX_WEIGHT
    reading = read("", title=clock.en[0])

    share = reading.active["topic"][FoodId("egg")] / reading.topics["circadian"]

    assert 0.3 < share < 0.75


MEAT_AND_FISH = [
    "salmon-fillet",
    "prawns",
    "oysters",
    "pork-belly",
    "beef-shank",
    "chicken-thighs",
]

OBJECTIONS = [
    pytest.param(
        "Vegetarian cooking",
        "A vegetarian eats no meat and no fish. Going meatless is easy with pulses, and "
        "vegetarianism has a long history.",
        MEAT_AND_FISH,
        id="vegetarian-en",
    ),
    pytest.param(
        "素食者的一周", "吃素的人不吃肉也不吃鱼。素食怎样吃得均衡？用豆类和豆腐。", MEAT_AND_FISH,
        id="vegetarian-zh",
    ),
    pytest.param(
        "Deep sleep and melatonin",
        "Sleep hygiene decides over sleep quality: a dark room, a cool room, the same hour.",
        ["coffee-beans", "red-wine", "dark-chocolate"],
        id="sleep-en",
    ),
    pytest.param(
        "怎样睡得更好", "失眠的人要注意睡眠卫生。深睡和褪黑素都怕灯光。睡眠质量要靠规律。",
        ["coffee-beans", "red-wine", "dark-chocolate"],
        id="sleep-zh",
    ),
    pytest.param(
        "Eating in the second trimester",
        "Pregnant women need folate and iron. Prenatal care begins early in pregnancy.",
        ["oysters", "red-wine", "coffee-beans", "smoked-salmon"],
        id="pregnancy-en",
    ),
    pytest.param(
        "孕期怎么吃", "怀孕以后，孕妇需要叶酸和铁。孕期营养从孕早期开始。",
        ["oysters", "red-wine", "coffee-beans", "smoked-salmon"],
        id="pregnancy-zh",
    ),
    pytest.param(
        "First foods",
        "Weaning starts at six months. Complementary feeding and baby-led weaning.",
        ["honey", "walnuts", "grapes", "red-wine", "coffee-beans"],
        id="infants-en",
    ),
    pytest.param(
        "宝宝辅食第一步", "六个月添加辅食，婴儿辅食从泥糊开始。",
        ["honey", "walnuts", "grapes", "red-wine", "coffee-beans"],
        id="infants-zh",
    ),
    pytest.param(
        "Nutrition for the elderly",
        "Elderly nutrition: dysphagia and swallowing difficulty are common in older adults.",
        ["red-wine", "walnuts"],
        id="elderly-en",
    ),
    pytest.param(
        "老年营养", "老人饮食要软。吞咽困难的长辈需要适老餐。", ["red-wine", "walnuts"],
        id="elderly-zh",
    ),
    pytest.param(
        "Islamic culture",
        "Muslims pray five times. The Quran and the mosque shape Islamic culture; Ramadan is near.",
        ["pork-belly", "red-wine"],
        id="islam-en",
    ),
    pytest.param(
        "伊斯兰文化", "穆斯林每日礼拜，古兰经与清真寺，斋月将至。", ["pork-belly", "red-wine"],
        id="islam-zh",
    ),
    pytest.param(
        "A Buddhist temple", "The Buddhist monks of the temple meditate. Buddhism came from India.",
        MEAT_AND_FISH,
        id="buddhism-en",
    ),
    pytest.param(
        "寺院一日", "佛教寺院里僧人打坐，素斋清淡。", MEAT_AND_FISH, id="buddhism-zh"
    ),
    pytest.param(
        "Ancient Rome", "The Roman Empire under Augustus and Caesar: ancient Rome at table.",
        ["tomatoes", "potatoes", "pumpkin", "dark-chocolate"],
        id="anachronism-en",
    ),
    pytest.param(
        "古罗马的一天", "罗马帝国，凯撒与奥古斯都的时代。", ["tomatoes", "potatoes", "pumpkin", "dark-chocolate"],
        id="anachronism-zh",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("title", "text", "unwelcome"), OBJECTIONS)
def test_what_a_subject_objects_to_is_not_offered(
    over: HybridMatcher, title: str, text: str, unwelcome: list[str]
) -> None:
    found = lesson(over, title, text)

    assert {name for name in unwelcome if score_of(found, name) > 0} == set()
    assert not set(unwelcome) & set(names(found)[:3])


def test_without_objections_the_same_items_would_be_offered() -> None:
    deaf = matcher(shop())
    deaf = type(deaf)(
        catalogue=deaf.catalogue,
        index=deaf.index,
        embedder=None,
        knowledge=KnowledgeIndex(deaf.catalogue, objects=False),
    )

    found = lesson(deaf, "Ancient Rome", "The Roman Empire under Augustus; ancient Rome.")

    assert score_of(found, "tomatoes") > 0


def test_a_stronger_wish_outweighs_an_objection(over: HybridMatcher) -> None:
    found = lesson(
        over,
        "Coffee",
        "Coffee roasting, espresso, arabica and a coffee tasting: how coffee is roasted and "
        "brewed. Napping after lunch is another matter.",
    )

    assert score_of(found, "coffee-beans") > 0
    assert "coffee-beans" in names(found)[:3]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("A caffeine audit", "Caffeine intake and the caffeine half-life: how much is too much?"),
        ("咖啡因盘点", "咖啡因的半衰期约五小时，咖啡因摄入要算一算。"),
    ],
    ids=["en", "zh"],
)
def test_a_lesson_on_caffeine_gets_drinks_without_it(
    over: HybridMatcher, title: str, text: str
) -> None:
    best = names(lesson(over, title, text))[:3]

    assert set(best) == {"decaf-coffee", "barley-tea", "rooibos"}


def test_alcohol_that_nobody_asked_for_steps_back(over: HybridMatcher) -> None:
    party = lesson(over, "A party for friends", "Invite friends, choose music, set the table.")
    wine = lesson(over, "Red wine", "Red wine ages in oak; red wine needs air.")

    assert "red-wine" not in names(party)[:3]
    assert names(wine)[0] == "red-wine"
