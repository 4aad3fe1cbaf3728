"""Made-up product texts, queries and a million vectors: the same on every machine. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SEED = 20261124

_FOODS: tuple[tuple[str, str], ...] = (
    ("番茄", "tomatoes"),
    ("黄瓜", "cucumbers"),
    ("胡萝卜", "carrots"),
    ("土豆", "potatoes"),
    ("菠菜", "spinach"),
    ("西兰花", "broccoli"),
    ("香菇", "shiitake mushrooms"),
    ("洋葱", "onions"),
    ("大蒜", "garlic"),
    ("生姜", "ginger"),
    ("苹果", "apples"),
    ("香蕉", "bananas"),
    ("石榴", "pomegranates"),
    ("葡萄", "grapes"),
    ("草莓", "strawberries"),
    ("蓝莓", "blueberries"),
    ("柠檬", "lemons"),
    ("牛油果", "avocados"),
    ("荔枝", "lychees"),
    ("芒果", "mangoes"),
    ("三文鱼", "salmon fillet"),
    ("鳕鱼", "cod fillet"),
    ("基围虾", "shrimp"),
    ("大闸蟹", "hairy crab"),
    ("生蚝", "oysters"),
    ("五花肉", "pork belly"),
    ("牛腱", "beef shank"),
    ("羊排", "lamb chops"),
    ("鸡腿", "chicken thighs"),
    ("鸭胸", "duck breast"),
    ("鸡蛋", "eggs"),
    ("酸奶", "yoghurt"),
    ("奶酪", "cheese"),
    ("豆腐", "tofu"),
    ("鹰嘴豆", "chickpeas"),
    ("核桃", "walnuts"),
    ("杏仁", "almonds"),
    ("燕麦", "oats"),
    ("糙米", "brown rice"),
    ("荞麦面", "soba noodles"),
    ("全麦面包", "wholemeal bread"),
    ("橄榄油", "olive oil"),
    ("蜂蜜", "honey"),
    ("绿茶", "green tea"),
    ("咖啡豆", "coffee beans"),
    ("黑巧克力", "dark chocolate"),
    ("海带", "kelp"),
    ("莲藕", "lotus root"),
    ("山药", "Chinese yam"),
    ("紫薯", "purple sweet potatoes"),
)
_ORIGINS = (
    ("云南", "Yunnan"),
    ("山东", "Shandong"),
    ("新疆", "Xinjiang"),
    ("广西", "Guangxi"),
    ("福建", "Fujian"),
    ("甘肃", "Gansu"),
    ("智利", "Chile"),
    ("挪威", "Norway"),
    ("西班牙", "Spain"),
    ("新西兰", "New Zealand"),
)
_QUALITIES = (
    ("有机", "organic"),
    ("当季", "in season"),
    ("冷链配送", "delivered chilled"),
    ("产地直发", "straight from the farm"),
    ("无添加", "no additives"),
    ("精选大果", "hand-picked, large"),
    ("家庭装", "family pack"),
    ("即食", "ready to eat"),
)
_USES = (
    ("适合清炒或做汤", "good in a stir-fry or a soup"),
    ("早餐搭配最方便", "easy at breakfast"),
    ("做沙拉清爽开胃", "fresh in a salad"),
    ("孩子也爱吃", "children like it"),
    ("炖煮后香气浓郁", "fragrant when stewed"),
    ("健身后补充能量", "for after a training session"),
    ("节日餐桌常见", "often on a festive table"),
    ("蒸着吃保留原味", "steamed, it keeps its taste"),
)
_TOPICS = (
    "刚学完地中海饮食那一课，想试试",
    "How the Silk Road changed what people ate:",
    "跑完马拉松之后身体需要什么？",
    "A lesson on compound interest, and then",
    "给孩子准备一周的早餐",
    "The chemistry of caramel and browning:",
    "古人在秋天吃什么",
    "Reading Proust with something sweet:",
)


def product_texts(n_texts: int) -> list[str]:
    """Describe `n_texts` different products, half in Chinese, half in English, 15-35 tokens each."""
    return [_product(number) for number in range(n_texts)]


def query_texts(n_texts: int) -> list[str]:
    """Give different queries: half product names, half lines of a lesson, of varied length."""
    queries = []
    for number in range(n_texts):
        zh, en = _FOODS[(number * 7) % len(_FOODS)]
        if number % 2:
            queries.append(
                f"{_TOPICS[number // 2 % len(_TOPICS)]} {zh if number % 4 == 1 else en}"
            )
        else:
            origin = _ORIGINS[number // 2 % len(_ORIGINS)]
            queries.append(f"{origin[0]}{zh}" if number % 4 == 0 else f"{en} from {origin[1]}")
    return [
        f"{text} {number // 50}" if number >= 50 else text for number, text in enumerate(queries)
    ]


def lesson_text(n_sentences: int, start: int = 0) -> str:
    """Join sentences about food and study into one long text, about 16 tokens a sentence."""
    return " ".join(
        f"{_TOPICS[(start + i) % len(_TOPICS)]} {_product(start * 31 + i * 17)}"
        for i in range(n_sentences)
    )


def _product(number: int) -> str:
    language = number % 2
    picks = number // 2
    food = _FOODS[picks % len(_FOODS)][language]
    picks //= len(_FOODS)
    origin = _ORIGINS[picks % len(_ORIGINS)][language]
    picks //= len(_ORIGINS)
    quality = _QUALITIES[picks % len(_QUALITIES)][language]
    use = _USES[(picks // len(_QUALITIES) + number) % len(_USES)][language]
    grams = 100 + 50 * ((number * 13) % 37)
    lot = picks // (len(_QUALITIES) * len(_USES))
    if language == 0:
        return f"{origin}{food} {quality} {grams}克 {use}" + (f" 批次{lot}" if lot else "")
    return f"{origin} {food}, {quality}, {grams} g; {use}" + (f" (lot {lot})" if lot else "")


def grown_vectors(
    real: NDArray[np.float32], n_vectors: int, *, block: int = 50_000
) -> Iterator[NDArray[np.float32]]:
    """Grow real embeddings to any number, with neighbours as close as real ones.

    Each vector is a real one moved up to 70 % of the way to one of its 20 nearest, with Gaussian
    noise of length 0.15 added, and normalised. Blocks are (block, dim) float32 unit rows.
    """
    rng = np.random.default_rng(SEED)
    nearest = _nearest(real, 20)
    for start in range(0, n_vectors, block):
        size = min(block, n_vectors - start)
        origins = rng.integers(len(real), size=size)
        targets = nearest[origins, rng.integers(20, size=size)]
        share = rng.uniform(0, 0.7, size=(size, 1)).astype(np.float32)
        moved = real[origins] * (1 - share) + real[targets] * share
        noise = rng.normal(size=moved.shape).astype(np.float32)
        moved += noise * (0.15 / np.sqrt(moved.shape[1]))
        yield moved / np.linalg.norm(moved, axis=1, keepdims=True)


def _nearest(real: NDArray[np.float32], n_nearest: int) -> NDArray[np.int64]:
    found = np.empty((len(real), n_nearest), dtype=np.int64)
    for start in range(0, len(real), 1000):
        similar = real[start : start + 1000] @ real.T
        rows = np.arange(len(similar))
        similar[rows, start + rows] = -2
        found[start : start + 1000] = np.argpartition(-similar, n_nearest, axis=1)[:, :n_nearest]
    return found
