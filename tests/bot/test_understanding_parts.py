"""The parts that need no encoder: numbers, prices, items, negation, tastes, slots, allergies."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.understanding.allergies import find_allergies, is_emergency, speaks_of_allergy
from bot.understanding.items import find_item
from bot.understanding.lexicon import find_foods, food_words
from bot.understanding.meaning import LIST_SLOTS, WITHOUT_SLOTS, Intent
from bot.understanding.numerals import value_of
from bot.understanding.polarity import is_refused
from bot.understanding.prices import find_price
from bot.understanding.slots import find_slots
from bot.understanding.tastes import find_tastes
from bot.understanding.text import fold
from data.vocabulary import FOOD_CATEGORIES, Allergen

ANY_MESSAGE = st.text(
    alphabet=st.one_of(
        st.sampled_from("不要别太辣甜虾鱼豆腐第一二三个块钱以内过敏，。？我吃想换成「《》"),
        st.sampled_from(string.ascii_lowercase + string.digits + " .,!?'$"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("30", 30), ("三十", 30), ("二三十", 30), ("一百五", 150), ("两百", 200), ("一百零五", 105),
        ("十五", 15), ("百八十", 100), ("twenty", 20), ("twenty-five", 25), ("a hundred", 100),
        ("two hundred and fifty", 250), ("1,200", 1200), ("2k", 2000), ("三千五", 3500),
    ],
)  # fmt: skip
def test_numbers_in_words_have_their_value(written: str, value: float) -> None:
    assert value_of(written) == value


@given(st.integers(min_value=1, max_value=9999))
def test_a_written_out_chinese_number_is_read_back(number: int) -> None:
    digits, units = "零一二三四五六七八九", ["", "十", "百", "千"]
    places = [int(digit) for digit in str(number)]
    written = ""
    for position, digit in enumerate(places):
        unit = units[len(places) - position - 1]
        if digit:
            written += digits[digit] + unit
        elif written and not written.endswith("零") and any(places[position:]):
            written += "零"

    assert value_of(written) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("三十块以内", {"price_max": 30, "currency": "CNY"}),
        ("别超过五十元", {"price_max": 50, "currency": "CNY"}),
        ("twenty bucks tops", {"price_max": 20, "currency": "USD"}),
        ("something under a tenner", {"price_max": 10}),
        ("between 15 and 25 dollars", {"price_min": 15, "price_max": 25, "currency": "USD"}),
        ("一百以上的", {"price_min": 100}),
        ("至少八十块", {"price_min": 80, "currency": "CNY"}),
        ("太贵了吧", {"price": "cheaper"}),
        ("不太贵的", {"price": "cheaper"}),
        ("something more upscale", {"price": "pricier"}),
        ("十分钟以内能吃上", {}),
        ("I have 20 minutes", {}),
        ("三个人吃", {}),
        (
            "between eight and fifteen dollars",
            {"price_min": 8, "price_max": 15, "currency": "USD"},
        ),
        ("最多掏三十", {"price_max": 30}),
        ("I fancy beef", {}),
        ("便宜是便宜，可太辣了", {}),
    ],
)
def test_prices_are_read_with_limit_and_currency(text: str, expected: dict[str, object]) -> None:
    assert find_price(fold(text)) == expected


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("第二个", 2), ("就要中间的", 2), ("the last one", 3), ("最后那个", 3), ("number three", 3),
        ("不是第二个，是第三个", 3), ("not the first, the second one", 2), ("2号吧", 2), ("打头那个", 1),
        ("第三课学完了", None), ("the first time I tried it", None), ("just a second", None),
        ("三个都不错", None), ("上次那个", None),
    ],
)  # fmt: skip
def test_items_are_found_and_corrections_count_last(text: str, item: int | None) -> None:
    assert find_item(fold(text)) == item


@pytest.mark.parametrize(
    ("text", "word", "refused"),
    [
        ("不要海鲜", "海鲜", True), ("想吃海鲜", "海鲜", False), ("海鲜就算了", "海鲜", True),
        ("anything but fish", "fish", True), ("no mushrooms please", "mushrooms", True),
        ("I'd rather have fish", "fish", False), ("want beef not pork", "beef", False),
        ("want beef not pork", "pork", True), ("把牛肉换成鸡肉", "牛肉", True),
        ("把牛肉换成鸡肉", "鸡肉", False), ("有没有面条", "面条", False),
        ("没有豆腐的", "豆腐", True), ("不想吃肉，来点水果", "水果", False),
        ("fish instead of meat", "meat", True), ("除了鱼都行", "鱼", True),
        ("有没有无糖的饮料", "饮料", False), ("a sugar free drink", "drink", False),
        ("能来点零食不", "零食", False), ("不要无糖饮料", "饮料", True),
        ("no fish, shrimp, crab", "crab", True), ("不要鱼，虾，蟹", "蟹", True),
    ],
)  # fmt: skip
def test_negation_reaches_the_right_foods(text: str, word: str, refused: bool) -> None:
    folded = fold(text)
    start = folded.folded.index(word)

    assert is_refused(folded, start, start + len(word)) is refused


@pytest.mark.parametrize(
    ("text", "tastes"),
    [
        ("别太甜", []), ("第一个好甜啊", []), ("想吃甜的", ["sweet"]), ("太油了", ["light"]),
        ("not too spicy", ["not_spicy"]), ("spicier please", ["spicy"]), ("一点都不辣，不过瘾", ["spicy"]),
        ("too bland", ["rich"]), ("来点清淡的", ["light"]), ("something sour", ["sour"]),
    ],
)  # fmt: skip
def test_taste_is_what_is_wanted_and_not_what_is_complained_of(
    text: str, tastes: list[str]
) -> None:
    assert find_tastes(fold(text), lifting=False) == tastes


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("我对花生过敏", "set_constraint", {"allergens": ["peanuts"]}),
        ("我家娃一吃虾就起疹子", "set_constraint", {"allergens": ["crustaceans"]}),
        ("吃了芒果嘴唇会肿", "set_constraint", {"product": "芒果"}),
        ("no more cilantro, ever", "set_constraint", {"product": "cilantro"}),
        ("以后别推羊肉", "set_constraint", {"exclude": ["lamb"]}),
        ("我們對蝦過敏", "set_constraint", {"allergens": ["crustaceans"]}),
        ("do you sell smoked tofu", "search_product", {"product": "smoked tofu"}),
        ("请问有没有鲜竹笋卖", "search_product", {"product": "鲜竹笋"}),
        ("想吃虾", "critique", {"include": ["shellfish"]}),
        ("把第二个换成水果", "critique", {"item_ref": 2, "include": ["fruit"]}),
        ("上次的芒果干真香", "like", {"product": "芒果干"}),
        ("刚学完《面点基础》，想吃面", "finished_lesson", {"lesson": "面点基础", "include": ["noodle"]}),
        ("学完「減糖甜點」了", "finished_lesson", {"lesson": "減糖甜點"}),
        ("可以吃辣了", "unset_constraint", {"taste": ["not_spicy"]}),
        ("要🥦不要🥩", "critique", {"include": ["vegetable"], "exclude": ["meat"]}),
        ("🦐过敏", "set_constraint", {"allergens": ["crustaceans"]}),
        ("低温慢煮，学会了", "finished_lesson", {"lesson": "低温慢煮"}),
        ("老师讲完啦 给娃来点吃的", "finished_lesson", {"occasion": ["kids"]}),
        ("broth basics ✅", "finished_lesson", {"lesson": "broth basics"}),
        ("第二个什么时候送到", "out_of_scope", {}),
    ],
)  # fmt: skip
def test_slots_follow_the_labelling_rules(
    text: str, intent: str, slots: dict[str, object]
) -> None:
    assert find_slots(fold(text), Intent(intent)) == slots


@given(ANY_MESSAGE, st.sampled_from(sorted(Intent)))
def test_any_message_gives_slots_of_the_schema(text: str, intent: Intent) -> None:
    slots = find_slots(fold(text), intent)

    if intent in WITHOUT_SLOTS:
        assert slots == {}
    for key, value in slots.items():
        if key in LIST_SLOTS:
            assert isinstance(value, list)
            assert value
            assert len(set(value)) == len(value)
        elif key in {"lesson", "product"}:
            assert isinstance(value, str)
            assert value.strip()
            assert value in text
    assert slots.get("item_ref") in (None, 1, 2, 3)
    assert "currency" not in slots or {"price_max", "price_min"} & set(slots)


@given(ANY_MESSAGE)
def test_folding_keeps_every_position(text: str) -> None:
    assert len(fold(text).folded) == len(text)


def test_half_a_surrogate_pair_does_no_harm() -> None:
    assert fold("虾\ud800").folded == "虾?"


@given(
    st.sampled_from(sorted(word for word, food in food_words().items() if food.allergens)),
    st.sampled_from(
        ["我对{}过敏", "一吃{}就起疹子", "{}吃了嘴会肿", "i'm allergic to {}", "{} gives me hives"]
    ),
)
def test_a_named_food_with_a_reaction_is_always_an_allergy(word: str, frame: str) -> None:
    text = fold(frame.format(word))

    assert speaks_of_allergy(text)
    found = find_allergies(text, find_foods(text))
    assert set(found.allergens) >= set(food_words()[word].allergens) or found.words


@pytest.mark.parametrize(
    "text",
    [
        "I can't breathe", "过敏性休克了怎么办", "my throat is closing up", "刚吃了虾，现在喘不上气",
        "where is my epipen", "anaphylaxis!!", "嘴唇肿起来了，救命", "她休克了",
        "just ate a peanut and my tongue is swelling", "呼吸困难", "喉咙发紧", "嘴唇肿起来了",
        "她晕过去了", "气上不来", "我爸倒地上了", "EpiPen where", "he collapsed", "lips swelling up",
        "hives everywhere and wheezing", "my tongue feels big", "need ambulance", "小孩噎住了",
        "stop, my face is puffing up", "救命！", "吃完嘴麻，喉咙不舒服",
    ],
)  # fmt: skip
def test_an_emergency_is_seen(text: str) -> None:
    assert is_emergency(fold(text))


@pytest.mark.parametrize(
    "text",
    ["我对花生过敏", "太辣了受不了", "I love shrimp", "每次吃虾喉咙都会肿", "breathtaking soup",
        "生蚝害我打过肾上腺素", "peanuts and me = ambulance", "救命，晚饭吃什么", "憋死我了"],
)  # fmt: skip
def test_a_habit_or_a_taste_is_no_emergency(text: str) -> None:
    assert not is_emergency(fold(text))


@pytest.mark.parametrize("text", ["我对虾不过敏", "花生过敏是误诊", "I'm not allergic to nuts"])
def test_a_denied_allergy_is_not_taken_for_one(text: str) -> None:
    assert not speaks_of_allergy(fold(text))


def test_food_words_use_the_closed_vocabularies() -> None:
    categories = {food.category for food in food_words().values()}

    assert categories <= {*FOOD_CATEGORIES, "seafood", "meat", "organic"}
    assert {a for food in food_words().values() for a in food.allergens} <= set(Allergen)
