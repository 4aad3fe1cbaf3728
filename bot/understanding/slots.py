"""From a message and its intent to the slots, by the labelling rules of docs/understanding.md. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bot.understanding.allergies import Allergies, find_allergies, mentions_allergy
from bot.understanding.items import find_item
from bot.understanding.lessons import find_lesson
from bot.understanding.lexicon import FoodHit, WordHit, find_foods, find_words, starts_with_food
from bot.understanding.meaning import WITHOUT_SLOTS, Intent
from bot.understanding.polarity import is_fine, is_refused
from bot.understanding.prices import find_price
from bot.understanding.products import find_product, food_span
from bot.understanding.tastes import find_tastes
from bot.understanding.text import Text

Span = tuple[int, int]

_SAYS_LESSON = re.compile(r"课|《|lesson|course|class|module")

_CONSTRAINT = frozenset({Intent.SET_CONSTRAINT, Intent.UNSET_CONSTRAINT, Intent.SHOW_PROFILE})
_BY_CATEGORY = frozenset({Intent.RECOMMEND, Intent.CRITIQUE, Intent.FINISHED_LESSON})
_ALLERGEN_NAMES = frozenset(
    ["gluten", "麸质", "麦麸", "sulphite", "sulphites", "sulfite", "sulfites", "亚硫酸盐", "lupin"]
)
"""Substances rather than foods: a rule about them is a rule about an allergen."""
_HOT_FOODS = frozenset(["辣椒", "辣味", "香辣味", "chilli", "chili", "pepper", "spice", "spices"])
"""Where a taste is asked for, these words say how hot, and name no food."""
_READY_GOODS = frozenset(
    ["即食", "熟食", "现成", "预制菜", "方便食品", "半成品", "instant", "premade", "pre-made"]
)
_ORDER = [
    "lesson",
    "product",
    "item_ref",
    "price_max",
    "price_min",
    "price",
    "currency",
    "include",
    "exclude",
    "allergens",
    "diet",
    "taste",
    "meal",
    "occasion",
    "season",
]


def find_slots(text: Text, intent: Intent) -> dict[str, object]:
    """Give the slots of a message whose intent is known; empty for intents without slots."""
    if intent in WITHOUT_SLOTS:
        return {}
    slots: dict[str, object] = {}
    hidden: list[Span] = []
    if intent in {Intent.FINISHED_LESSON, Intent.WHY, Intent.RECOMMEND, Intent.CRITIQUE}:
        lesson = find_lesson(
            text, finished=intent is Intent.FINISHED_LESSON, asked_why=intent is Intent.WHY
        )
        if intent is Intent.CRITIQUE and not _SAYS_LESSON.search(text.folded):
            lesson = None
        if lesson:
            slots["lesson"] = text.original[slice(*lesson)]
            hidden.append(lesson)
    foods = [hit for hit in find_foods(text) if not _inside(hit.start, hit.end, hidden)]
    if intent in {Intent.SEARCH_PRODUCT, Intent.WHY}:
        product = find_product(
            text, _asked_for(text, foods, intent), asking=intent is Intent.SEARCH_PRODUCT
        )
        if product:
            slots["product"] = text.original[slice(*product)]
            hidden.append(product)
    elif intent in _BY_CATEGORY:
        _add_categories(slots, text, [hit for hit in foods if not _is_blamed(text, hit)])
    else:
        _add_opinion(slots, text, foods, intent, hidden)
    _add_closed(slots, text, intent, hidden)
    item = find_item(text, rejecting=intent is Intent.DISLIKE, replacing=intent is Intent.CRITIQUE)
    if item is not None and intent is not Intent.FINISHED_LESSON:
        slots["item_ref"] = item
    return {key: slots[key] for key in _ORDER if key in slots}


def _asked_for(text: Text, foods: list[FoodHit], intent: Intent) -> list[FoodHit]:
    """Of "I never said I like fish, so why salmon" the food behind the last "why"."""
    if intent is not Intent.WHY or len(foods) < 2:
        return foods
    asked = max(
        text.folded.rfind(cue) for cue in ("why", "how come", "为什么", "为啥", "凭啥", "咋")
    )
    return [hit for hit in foods if hit.start > asked >= 0] or foods


def _add_categories(slots: dict[str, object], text: Text, foods: list[FoodHit]) -> None:
    """Rule 2: a named food becomes its category, wanted or refused."""
    allergies = find_allergies(text, foods)
    if allergies.is_certain and (allergies.allergens or allergies.words):
        guilty = set(allergies.allergens)
        slots_allergens = [str(allergen) for allergen in allergies.allergens]
        if slots_allergens:
            slots["allergens"] = slots_allergens
        foods = [hit for hit in foods if not guilty & set(hit.food.allergens)]
    if find_tastes(text, lifting=False):
        foods = [hit for hit in foods if hit.word not in _HOT_FOODS]
    refused = {hit.word for hit in foods if is_refused(text, hit.start, hit.end)}
    include = [hit.food.category for hit in foods if hit.word not in refused]
    exclude = [hit.food.category for hit in foods if hit.word in refused]
    # 要茶，不要咖啡: what is wanted names the category, what is refused is a part of it.
    _extend(slots, "include", include)
    _extend(slots, "exclude", (value for value in exclude if value not in include))


_BLAMED = re.compile(
    r"(?:的|也|都|里|实在|真是|真|这么|做得)*(?:太|有点|有些|过于|不够|不新鲜|好(?=咸|油|甜|辣|贵|腻))(?!多|少)"
    r"|(?: \w+)?(?:'s| is| are| was| were| looks?| seems?| tastes?) (?:way |a bit |much |really |far )?"
    r"(?:too|so|quite|bland|dry)\b(?! (?:many|much))"
)


def _is_blamed(text: Text, hit: FoodHit) -> bool:
    """Whether the food is only what a complaint is about: 红烧肉太肥, "the soup is too salty"."""
    return _BLAMED.match(text.folded[hit.end :]) is not None


def _add_opinion(
    slots: dict[str, object], text: Text, foods: list[FoodHit], intent: Intent, hidden: list[Span]
) -> None:
    """Rules 3 and 4: allergens for allergies, else plain words as categories, narrow as product."""
    if intent in _CONSTRAINT and mentions_allergy(text):
        _add_allergens(slots, text, foods, find_allergies(text, foods), hidden)
        return
    if intent in _CONSTRAINT and find_tastes(text, lifting=True):
        foods = [hit for hit in foods if hit.word not in _HOT_FOODS]
    side = "include" if intent is Intent.LIKE else "exclude"
    named = {hit for hit in foods if _is_narrow(text, hit)}
    plain = [hit for hit in foods if hit not in named]
    narrow = [hit for hit in foods if hit in named]
    by_law = [hit for hit in foods if hit.food.allergens and hit.word in _ALLERGEN_NAMES]
    if by_law and intent in _CONSTRAINT:
        _extend(slots, "allergens", (str(a) for hit in by_law for a in hit.food.allergens))
        plain, narrow = [[h for h in hits if h not in by_law] for hits in (plain, narrow)]
    for hit in plain:
        if hit.food.category in {"organic", "ready_to_eat"}:
            continue
        if intent is Intent.SET_CONSTRAINT and not is_refused(text, hit.start, hit.end):
            if _only_wish(text, hit):
                _extend(slots, "include", [hit.food.category])
                continue
            if is_fine(text, hit.end):
                continue
        _extend(slots, side, [hit.food.category])
    if narrow:
        span = food_span(text, narrow[0])
        slots["product"] = text.original[slice(*span)]
        hidden.append(span)


def _is_narrow(text: Text, hit: FoodHit) -> bool:
    """Narrower than a category by itself, or by what follows: 鱼 is not, 鱼汤 and "egg salad" are."""
    if not hit.food.is_plain:
        return True
    end = food_span(text, hit)[1]
    return end > hit.end and not starts_with_food(text.folded[hit.end :])


def _only_wish(text: Text, hit: FoodHit) -> bool:
    before = text.folded[: hit.start]
    return any(
        cue in before[-16:]
        for cue in ("只要", "只吃", "只推", "多推", "多给", "优先", "only ", "always ", "more ")
    )


def _add_allergens(
    slots: dict[str, object],
    text: Text,
    foods: list[FoodHit],
    allergies: Allergies,
    hidden: list[Span],
) -> None:
    _extend(slots, "allergens", (str(allergen) for allergen in allergies.allergens))
    if allergies.words:
        first = next(hit for hit in foods if not hit.food.allergens)
        span = food_span(text, first)
        slots["product"] = text.original[slice(*span)]
        hidden.append(span)
    elif not foods:
        cause = find_product(text, [], asking=False)
        if cause:
            slots["product"] = text.original[slice(*cause)]
            hidden.append(cause)


def _add_closed(slots: dict[str, object], text: Text, intent: Intent, hidden: list[Span]) -> None:
    words = [hit for hit in find_words(text) if not _inside(hit.start, hit.end, hidden)]
    visible = _without(text, hidden)
    if intent is not Intent.WHY:
        lesson = [span for span in hidden[:1] if "lesson" in slots]
        slots.update(find_price(_without(text, lesson)))
    for slot in ("diet", "occasion"):
        _extend(slots, slot, (hit.value for hit in words if hit.slot == slot))
    if intent in _CONSTRAINT or (mentions_allergy(text) and "allergens" in slots):
        slots.pop("occasion", None)
    if intent in {Intent.LIKE, Intent.DISLIKE}:
        _drop(slots, "occasion", {"kids", "elderly"})
    if "postpartum_or_pregnant" in (slots.get("occasion") or []) and "kids" in slots["occasion"]:  # type: ignore[operator]
        slots["occasion"] = ["postpartum_or_pregnant"]
    for slot in ("meal", "season"):
        said = [hit for hit in words if hit.slot == slot]
        meant = [hit for hit in said if not is_refused(text, hit.start, hit.end)] or said
        if meant:
            slots[slot] = meant[-1].value
    _extend(
        slots,
        "taste",
        find_tastes(
            visible,
            lifting=intent is Intent.UNSET_CONSTRAINT,
            ruling=intent is Intent.SET_CONSTRAINT,
        ),
    )
    _add_forms(slots, text, words, intent)
    if intent in {Intent.SEARCH_PRODUCT, Intent.WHY}:
        for slot in ("include", "exclude", "taste", "diet"):
            slots.pop(slot, None)
    if "gluten_free" in _listed(slots, "diet") and not mentions_allergy(text):
        _drop(slots, "allergens", {"gluten"})
    if intent is Intent.UNSET_CONSTRAINT and "diet" in slots:
        # 不吃素了，恢复吃肉: the meat follows from the diet that ends; it was no rule of its own.
        slots.pop("exclude", None)
    if intent is Intent.WHY:
        for slot in ("meal", "occasion", "season"):
            slots.pop(slot, None)


def _add_forms(slots: dict[str, object], text: Text, words: list[WordHit], intent: Intent) -> None:
    """Organic, frozen and ready-to-eat: said as words of any kind, not only as foods."""
    for hit in words:
        if hit.slot != "include":
            continue
        word = text.folded[hit.start : hit.end]
        needs = hit.value == "ready_to_eat" and word not in _READY_GOODS
        refused = not needs and is_refused(text, hit.start, hit.end)
        side = "exclude" if refused else "include"
        if intent is Intent.UNSET_CONSTRAINT:
            side = "exclude" if hit.value == "frozen" else "include"
        other = "include" if side == "exclude" else "exclude"
        if hit.value not in (slots.get(other) or []):  # type: ignore[operator]
            _extend(slots, side, [hit.value])


def _extend(slots: dict[str, object], slot: str, values: Iterable[str]) -> None:
    present = slots.get(slot)
    merged = list(dict.fromkeys([*(present if isinstance(present, list) else []), *values]))
    if merged:
        slots[slot] = merged


def _listed(slots: dict[str, object], slot: str) -> list[str]:
    values = slots.get(slot)
    return list(values) if isinstance(values, list) else []


def _drop(slots: dict[str, object], slot: str, values: set[str]) -> None:
    present = slots.pop(slot, None)
    kept = [value for value in present if value not in values] if isinstance(present, list) else []
    if kept:
        slots[slot] = kept


def _inside(start: int, end: int, spans: list[Span]) -> bool:
    return any(span_start < end and start < span_end for span_start, span_end in spans)


def _without(text: Text, spans: list[Span]) -> Text:
    """The same text with the spans blanked, so that no word inside them is read again."""
    folded = text.folded
    for start, end in spans:
        folded = folded[:start] + " " * (end - start) + folded[end:]
    return Text(original=text.original, folded=folded)
