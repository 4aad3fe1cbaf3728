"""Varied texts for the built-in checks of an encoder: languages, lengths, scripts, symbols. Pure."""

from __future__ import annotations

_SENTENCES: tuple[str, ...] = (
    "番茄炒蛋要先炒蛋再下番茄。",
    "地中海饮食以橄榄油、鱼和豆类为主。",
    "冬吃萝卜夏吃姜，说的是顺着时令吃。",
    "丝绸之路把石榴、葡萄和核桃带到了长安。",
    "马拉松前一晚应当吃够碳水化合物。",
    "孩子不肯吃青菜，先让他自己挑一种来洗。",
    "复利的力量要很多年以后才看得见。",
    "普鲁斯特把玛德莱娜蛋糕浸到椴花茶里。",
    "发酵是微生物替人做的烹调。",
    "焦虑的时候，先把呼吸放慢。",
    "有機蕃茄、蘿蔔與雞蛋，產地直送。",
    "新疆阿克苏苹果，脆甜多汁，5 斤装 ￥39.90",
    "鲜活基围虾 ２５０ｇ／盒（冷链）",
    "不要海鲜，便宜一点，谢谢！",
    "债券价格与利率反方向变动。",
    "唐代诗人爱写酒，也爱写荔枝。",
    "A slow cooker turns cheap cuts into a tender stew.",
    "The periodic table arranges elements by atomic number.",
    "Olive oil, chickpeas and lemon are the base of hummus.",
    "Interval training alternates hard efforts with easy jogging.",
    "Fresh Atlantic salmon fillet, skin on, 200 g",
    "Organic bananas, Ecuador, bunch of 6",
    "Compound interest rewards those who start early.",
    "Hemingway drank coffee in small Parisian cafes.",
    "Toddlers accept a new vegetable after ten tries.",
    "Sourdough needs flour, water, salt and patience.",
    "The Roman legions marched on grain and vinegar.",
    "Anything cheaper, without nuts?",
    "Photosynthesis stores sunlight in sugar.",
    "NOT TODAY!!! maybe tomorrow :)",
    "Wi-Fi 6E router, dual band, 2.4/5/6 GHz",
    "def mean(xs): return sum(xs) / len(xs)",
    "Der Käse reift sechs Monate im Keller.",
    "La soupe à l'oignon se sert bien chaude.",
    "El aguacate combina con lima y cilantro.",
    "寿司には新鮮な魚と酢飯を使います。",
    "김치는 배추와 고춧가루로 담급니다.",
    "Борщ варят из свёклы и капусты.",
    "الحمص يُصنع من الطحينة والليمون",
    "दाल चावल रोज़ का खाना है।",
    "Phở bò nấu với quế, hồi và gừng.",
    "🍅🥚 今晚吃什么？🤔",
    "3.14159 26535 89793 23846",
    "https://example.org/lessons?id=42&lang=zh",
    "盐",
    "egg",
    "  spaces\tand\nnew lines  ",
    "Zero\u200bwidth and non\u00a0breaking",
    "ｆｕｌｌ　ｗｉｄｔｈ　ＴＥＸＴ",
    "<b>bold</b> &amp; 'quoted' \"text\"",
)


def varied_texts(n_texts: int) -> list[str]:
    """Give `n_texts` different texts of 1 to about 450 tokens, always the same ones.

    The first 50 are single sentences; after them each text joins 2, 4, 8, 16 or 24 sentences that
    start at another place of the list.
    """
    texts = list(_SENTENCES[:n_texts])
    lengths = (2, 4, 8, 16, 24)
    for number in range(n_texts - len(texts)):
        length = lengths[number % len(lengths)]
        start = 7 * number
        step = 1 + number // len(_SENTENCES)
        chosen = [_SENTENCES[(start + step * i) % len(_SENTENCES)] for i in range(length)]
        texts.append(" ".join(chosen))
    return texts
