"""The word lists of `data/understanding` as matchers: which words a message holds, and where.

Edge only in that it reads package files on first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from bot.understanding.text import Text
from data.food_knowledge import load_foods, read_table
from data.vocabulary import Allergen

_AMBIGUOUS = frozenset({
    "may", "bar", "roll", "rolls", "date", "mint", "stock", "gram", "bite", "sub", "club",
    "punch", "shot", "hot", "main", "side", "base", "starter", "lemon", "balm", "mix",
    "plain", "light", "dry", "fresh", "other", "whole", "wing", "leg", "rocket", "bay",
    "cut", "chop", "dip", "spread", "面", "汤", "花", "丝", "片", "块", "水", "火", "开心", "白", "黄",
    "红", "绿", "素", "茶", "料", "味", "生", "干", "菜", "果", "米", "蛋白", "冰", "肝", "大冰", "里面", "早餐",
    "早点", "drink", "drinks", "骨头", "开水", "kidney", "kidneys", "clip"
})  # fmt: skip
"""Names in the knowledge file that in chat more often mean something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordHit:
    """A word that sets a closed slot value."""

    slot: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoodWord:
    """What one food word stands for in chat."""

    category: str
    is_plain: bool
    """A listed category or a plain word for it; narrower words are kept as products."""
    allergens: tuple[Allergen, ...]
    """What an allergy to the word means; empty when none of the 14 fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoodHit:
    """A food word in a message; [start, end) in characters."""

    word: str
    food: FoodWord
    start: int
    end: int


def find_words(text: Text) -> list[WordHit]:
    """Find slot words; of overlapping ones in the same slot the longest stays."""
    hits = [
        WordHit(slot=slot, value=value, start=match.start(), end=match.end())
        for slot, value, pattern in _word_patterns()
        for match in pattern.finditer(text.folded)
        if match.end() > match.start()
    ]
    hits.sort(key=lambda hit: (hit.start - hit.end, hit.start))
    kept: list[WordHit] = []
    for hit in hits:
        if not any(
            other.slot == hit.slot and other.start < hit.end and hit.start < other.end
            for other in kept
        ):
            kept.append(hit)
    return sorted(kept, key=lambda hit: (hit.start, hit.end))


_NO_FOOD = re.compile(
    r"(?:not|isn't) (?:\w+ )?cup of tea|not my bread|piece of cake|big cheese|couch potato|full of beans|bad apple|"
    r"恰饭|吃饭|做饭|高蛋白|优质蛋白|蛋白质|血糖|喜羊羊|菜鸟|菜单|小菜一碟|吹牛|牛逼|买菜|做菜|点菜|炒鱿鱼|咸鱼|摸鱼|鱼和熊掌|"
    r"酱紫|吃瓜|瓜分|吃醋|吃土|豆瓣评分|奶奶|老奶|鸡毛|鸡肋|饭点|头脑|我的菜|你的菜|路由|吃豆腐|豆腐渣|面试|面子|下饭|肝(?=完|了|到)|蚕豆病|风味|饭盒|带饭|下酒|(?:是|个|场)乌龙|乌龙一场|吃素|外卖"
)


def find_foods(text: Text) -> list[FoodHit]:
    """Find food words from left to right, the longest at each place, none inside another.

    Words inside a closed slot value (无糖, 下午茶, "gluten free") are no foods of their own.
    """
    taken = [(hit.start, hit.end) for hit in find_words(text) if hit.slot != "include"]
    taken += [match.span() for match in _NO_FOOD.finditer(text.folded)]
    return [
        hit
        for hit in _all_foods(text)
        if not any(start <= hit.start and hit.end <= end for start, end in taken)
    ]


def _all_foods(text: Text) -> list[FoodHit]:
    words = food_words()
    hits = []
    for match in _food_pattern().finditer(text.folded):
        word = match.group()
        hits.append(
            FoodHit(word=word, food=words[_known(word)], start=match.start(), end=match.end())
        )
    return hits


@lru_cache(maxsize=1)
def food_words() -> dict[str, FoodWord]:
    """Every food word, folded. The chat list wins over the knowledge file."""
    words: dict[str, FoodWord] = {}
    for food in load_foods().values():
        if food.category in {"ready_to_eat", "frozen"}:
            continue  # Dishes such as hot pot: to name one is not to ask for a ready meal.
        meaning = FoodWord(
            category=food.category,
            is_plain=False,
            allergens=tuple(sorted(food.allergens)),
        )
        for name in (*food.zh, *food.en):
            if (
                name not in _AMBIGUOUS
                and not name.endswith((" back", " neck"))
                and len(name) > (2 if name.isascii() else 1)
            ):
                words.setdefault(name.lower(), meaning)
    chat_rows = resources.files("data.understanding") / "foods.tsv"
    for _, row in read_table(chat_rows):
        meaning = FoodWord(
            category=row["category"],
            is_plain=row["plain"] == "yes",
            allergens=tuple(Allergen(key) for key in _terms(row["allergens"], ",")),
        )
        for name in (*_terms(row["zh"]), *_terms(row["en"])):
            words[name.lower()] = meaning
    return words


def starts_with_food(folded: str) -> bool:
    """Whether the text begins with a food word."""
    return _food_pattern().match(folded) is not None


@lru_cache(maxsize=1)
def _food_pattern() -> re.Pattern[str]:
    # 面 in 里面, 豆 in 土豆 and "egg" in "veggie" are no foods: longest first, and false friends.
    return re.compile(
        r"(?<!里)(?<!外)(?<!上)(?<!下)(?<!方)(?<!全)(?<!对)(?<!见)(?<!海)面(?!食|包|条|粉|前|对|子|膜|积|试|的|上|向|临)|"
        + any_of(
            name
            for name in food_words()
            if name
            not in {
                "面",
                "蛋",
                "饭",
                "奶",
                "酱",
                "牛",
                "鸡",
                "羊",
                "菇",
                "螺",
                "糖",
                "酒",
                "盐",
                "蚝",
                "想喝",
                "猪",
                "和牛",
            }
        )
        + r"|(?<!笨)(?<!滚)(?<!完)(?<!坏)蛋(?!白)|(?<!早)(?<!午)(?<!晚)(?<!吃)(?<!做)(?<!夜)饭(?!点|局|店|馆|桌|后|前)"
        + r"|(?<!奶)奶(?!奶)|酱|(?<!蜗)(?<!真)(?<!吹)牛(?!逼|批|人|油果|掰)|(?<!田)鸡(?!汤|毛|肋)|(?<!喜)羊|菇|(?<!陀)螺(?!旋)"
        + r"|(?<!血)糖(?!尿|分|友|高)|酒(?!店|吧)|盐|蚝|想喝(?!.{0,3}[汤粥奶羹糊])|猪(?!头)|和牛(?![奶肉羊腩排油杂筋柳腱])"
    )


def any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words: whole words in Latin letters, anywhere in Chinese.

    A Latin noun may carry a regular plural.
    """
    latin: list[str] = []
    chinese: list[str] = []
    for word in words:
        (latin if re.search(r"[a-z]", word) else chinese).append(word)
    parts = []
    for group, wrap in ((chinese, "(?:{})"), (latin, r"(?<![a-z])(?:{})(?:es|s)?(?![a-z])")):
        if group:
            longest_first = sorted(group, key=lambda word: (-len(word), word))
            parts.append(wrap.format("|".join(re.escape(word) for word in longest_first)))
    return "|".join(parts)


@lru_cache(maxsize=1)
def _word_patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    patterns = []
    for _, row in read_table(resources.files("data.understanding") / "words.tsv"):
        terms = (*_cells(row["zh"]), *_cells(row["en"]))
        plain = any_of(term.lower() for term in terms if not term.startswith("~"))
        special = [_special(term[1:]) for term in terms if term.startswith("~")]
        patterns.append(
            (
                row["slot"],
                row["value"],
                re.compile("|".join(part for part in (*special, plain) if part)),
            )
        )
    return tuple(patterns)


def _special(expression: str) -> str:
    has_latin_start = re.match(r"(?:\\b|\(\?[:<!]*)*[a-z]", expression) is not None
    return rf"(?<![a-z])(?:{expression})" if has_latin_start else f"(?:{expression})"


def _cells(cell: str) -> Sequence[str]:
    """Split at bars outside brackets, since expressions have bars of their own."""
    terms, depth, current = [], 0, ""
    for character in cell:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            terms.append(current.strip())
            current = ""
        else:
            current += character
    return [term for term in (*terms, current.strip()) if term]


def _known(word: str) -> str:
    words = food_words()
    for ending in ("", "s", "es"):
        stem = word.removesuffix(ending) if ending else word
        if stem in words:
            return stem
    raise KeyError(word)


def _terms(cell: str, separator: str = "|") -> list[str]:
    return [term.strip() for term in cell.split(separator) if term.strip()]
