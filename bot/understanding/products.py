"""The goods that a message names, cut from the text without verbs and fillers. Pure."""

from __future__ import annotations

import re

from bot.understanding.lexicon import FoodHit
from bot.understanding.numerals import NUMBER
from bot.understanding.text import Text

Span = tuple[int, int]

_UNIT = r"(?:块钱?|元|刀|美元|美金|人民币|yuan|kuai|rmb|dollars?|bucks?|usd|cny|quid)"
_PRICE = rf"(?:\$|¥|￥)?\s*{NUMBER}\s*(?:{_UNIT}\s*(?:以内|以下|之内|之下|左右|上下|封顶|以里)?|以内|以下|之内|之下|左右|封顶)的?"
_HEAD_ZH = re.compile(
    rf"^(?:\s|[:：、\"“《「]|请问一?下?|问一?下|问问|想问问?|想知道|唔知|贵店|贵司|售卖|不有|哪个(?:区|分类|柜|货架)|区|分类|能?找[着到]|你们?(?:家|店|这儿?|那儿?|这里|那里|平台|店里|商城)?(?:里|上)?|您(?:们|家)?(?:这儿?|那儿?)?|咱们?(?:家|这儿?|店)?|我们?|俺|店里|店铺|平台上?|商城|超市|这儿|那儿|这里|那里|想|要(?!素)|能不能|能否|能|可不可以|可以|可否|是否|帮我|帮忙|帮|替我|给我|麻烦|劳驾|找一?下|找找|找个|找(?!补)|搜一?下|搜索一?下?|搜搜|搜|查一?下|查查|查询|查|看一?下|看看|瞧瞧|瞅瞅|一下|有没有得?|有木有|有冇|有无|没有|有(?!机)|卖不卖|卖(?!油)|得卖|得(?!克)|哪里|哪儿|哪家|哪(?!吒)|边度|边处|去(?!皮|骨|核|壳|腥)|能买|买得?到|买点|买些|买个|买|到底|入手|收|囤|求购|求|现在|今天|今儿|目前|还|那个|那种|那款|这个|这种|这款|课里|课上|视频里|老师|提到|说到|讲到|讲|用到|用|里(?!脊)|说|的|个|[一几两](?:罐|瓶|盒|袋|包|斤|份|点|些|条|箱|桶|个|块|只|把|颗)|罐(?!头|装)|瓶(?!装)|点(?!心)|些|上次|是不是|价格|价钱|什么牌子|啥牌子|什么|啥|关于|诶|哎|欸|嗨|嘿|哈喽|你好|老板|亲|那|请|劳烦|新鲜的|便宜的?|实惠的?|好的|正宗的|地道的|关键词|链接|给个|来(?!菔)|整|唔该|想搵|搵|卖卖|一(?!品|根|口)|比较|有得|会|做|店|不知道?|知道|晓得|听说|{_PRICE}|"
    rf"请|想知道|多少钱|怎么卖|请帮|打算|准备|家里|家(?=有)|缺|没|需要|急需|急|急寻|寻|在|库存|卖得?|有售|售|和|跟|里面|有啥|牌子|几种|哪些|哪种|什么样)"
)
_TAIL_ZH = re.compile(
    rf"(?:\s|[?？!！。.,，~～、:：\"”》」]|吗|么|嘛|呢|吧|啊|呀|哇|哈|咩|呗|啦|哦|喔|耶|欸|不(?!老)|没有?|有没有|有木有|有冇|有卖|有货|有无|有存货|有售|有现货|现货|库存|存货|货|卖得?|在卖|多少钱?|多钱|几多钱?|几钱|什么价位?钱?格?|啥价位?|价位|价格|价钱|行情|怎么卖|咋卖|点卖|怎么个卖法|搜不[到着出]|找不[到着]|搜|怎么|咋|在哪个分类|哪个分类|现成|这边|那边|[一每](?:斤|盒|袋|包|只|个|罐|把|条|箱|桶|颗|块|两)|一斤|一盒|一袋|一瓶|一公斤|一份|每斤|几块钱?|几元|现在|目前|今天|上架|下架|了|还|哪有|哪里有|哪儿有|哪里能?|哪儿能?|哪里|哪儿|哪家|哪|去|能买|买得?到|可以买|能|可以|买|到|得|卖完|卖光|断货|缺货|你们?(?:家|店|这儿?|那儿?|这里|那里|平台)?(?:里|上)?|你家|店里|这里|这儿|的|一下|进货|补货|要|装|贵|便宜|是|卖几|几|在哪|在|什么|啥|牌子|推荐|链接|新鲜|有|会|谢谢|谢了|好|整|货源|还剩|剩|剩下|呗|想买|想要|我|找不|找|下单|{_PRICE})$"
)
_HEAD_EN = re.compile(
    r"^(?:\s|[:\-\"'(]|hi|hey|hello|ok|okay|so|um|please|pls|excuse me|sorry|just|also|quick question|do|does|did|you(?:'ve|'d|r)?|u|ur|ya|y'?all|guys|your (?:shop|store|site)|the shop|the store|sell|sells|selling|sold|have|has|had|having|stock|stocks|stocking|carry|carries|carrying|offer|got|get|getting|is|are|was|were|there|any(?:thing like|thing called|where|body|one)?|some(?:thing called|thing like|where)?|where(?:'s|s)?|who|what(?:'s|s)?|how|much|many|expensive|cheap|about|would|could|can|should|may|might|i|i'm|im|i'd|id|i've|we|we're|me|to|a|an|the|that|those|these|this|of|on|for|in|at|up|out|find|finding|found|buy|buying|purchase|order|price|prices|pricing|cost|costs|costing|going rate|looking|look|lookin|hunt|hunting|search|searching|searched|seek|seeking|need|needing|want|wanna|wanting|would like|like|try|trying|after|check|checking|see|tell|know|if|whether|wonder|wondering|keep|keeps|show|possible|available|chance|kilo|kilos|kg|pound|pounds|lb|bag|bags|box|boxes|bottle|jar|pack|packet|bunch|dozen|tin|can of|carton|loaf of|way|still|charge|charging|all|here|from|with|by|called|named|it|'s|got|gotten|hold|hands on|my hands on|fresh(?! (?:pasta|cheese|cream))|good|decent|nice|proper|real|maybe|go for|run|brand|brands|kind|kinds|sort|sorts|type|types|and|or|cheaper|cheapest|affordable|in stock|stock of|source|pick up|grab|score|locate|link|links|today|now|currently|right now|lesson|mentioned|hiya|yo|luck|urgently|there's|there're|anyone|dear|lot|lads|folks|people|team|shop|store|can't|cannot|can|seem|yo|then|as|such|thing|exist|help|section|aisle)(?![a-z0-9'])"
)
_TAIL_EN = re.compile(
    rf"(?:(?<![a-z0-9])(?:in stock|out of stock|in|stock|available|availability|here|for sale|on sale|still|sold|please|pls|plz|cost|costs|costing|go for|going for|go|right now|now|today|at all|anywhere|in your (?:shop|store)|your|shop|store|from last time|from|last time|from the lesson|lesson|do|you|u|have|has|it|them|that|those|any|how|much|is|are|was|where|guys|got|sell|carry|stocked|for|less|than|under|below|at|the|a|an|i|me|my|this|anyone|around|left|by|chance|online|to buy|buy|thanks|thx|thank|or|not|price|prices|priced|set|back|would|be|of|on|with|up|per|kilo|kg|pound|lb|each|a piece|piece|can|get|find|please\?|there|these days|days|per kilo|yet|again|site|website|catalogue|catalog|range|run|running|and|if|so|need|want|max|tops|or less|about|around|up to|something|no more|more|maximum|cheaper|over|between|within|budget|mine|which|what|brand|brands|near|nearby|somewhere|currently|listed|off the shelf|as well|too|hey|selling|instock|what's|whats|cheap|cheaply|charge|called|{_PRICE})|\s|[?？!！.,:;~\"')\-–—]|🙏|😊)$"
)
_GENERIC = re.compile(
    r"^(?:东西|这个|那个|它|它们|货|商品|产品|啥|什么|哪里|一下|价格|牌子|you|it|that|this|them|one|ones|stuff|things|something|anything|product|item|items|shop|store|thing|i|no|yes|stock|sale|food|eat|good|new|吃的|好吃的|别的|其他|店|超市|我|你|他|她|新鲜|便宜|these|those|me|us|cheaper|options?)$"
)
_AFTER_FOOD_ZH = re.compile(
    r"^(?:干(?!嘛|啥|什么|净)|酱|汁|片|粉|汤|糕|饼|糖|酥|茶|面|丝|条|皮|丸|油|碎|段|块(?!钱|以)|卷|串|饭|粥|奶昔|冻|罐头|罐|脯|露|酒|排|棒|泥|沙拉|水|包|馅|醋|仁|米|奶|肉|串儿|煲|锅|羹|酪|派|塔|挞|球|饺子?|馄饨|盒|花|苗|心|根|头(?!疼|痛)|籽|粒|核|脆|圈|饮|浆|膏|蛋糕|月饼|包子|炒饭|火锅|寿司)"
)
_BEFORE_FOOD_ZH = re.compile(
    r"(?:有机|新鲜|鲜|活|冷冻|速冻|冰冻|无糖|低糖|低脂|脱脂|全脂|低钠|无盐|原味|干|腌|烤|炸|卤|酱|炒|蒸|煮|红烧|清蒸|水煮|麻辣|香辣|酸辣|蒜蓉|糖醋|椒盐|五香|手工|即食|进口|国产|土|野生|散养|农家|生|熟|白|红|黑|紫|青|绿|黄|小|大|嫩|老|甜|酸|辣|咸|糯|脆|冻|薄荷|云南|四川|东北|新疆|内蒙|日式|韩式|泰式|意式|法式|川味|凉拌|拍|碳烤|炭烤|无麸质|全麦|草饲|纯|香|低温|臭|醉|糟|腊|熏|醋|油焖|干煸|爆炒)+$"
)
_WORD_EN = re.compile(r"[a-z0-9][a-z0-9'&-]*")


def find_product(text: Text, foods: list[FoodHit], *, asking: bool) -> Span | None:
    """Give [start, end) of the goods named, or None.

    Args:
        text: The message.
        foods: The food words in it.
        asking: The message asks for goods, so that unknown names count too; else only food words
            do.
    """
    if not asking:
        return food_span(text, foods[0]) if foods else None
    rests = [rest for part in _parts(text) if (rest := _strip(text.folded, part)) is not None]
    for rest in rests:
        if any(rest[0] <= hit.start < rest[1] for hit in foods) and _is_short(text.folded, rest):
            return rest
    if foods:
        return food_span(text, foods[0])
    short = [rest for rest in rests if _is_short(text.folded, rest)]
    return max(short, key=lambda span: span[1] - span[0], default=None)


def food_span(text: Text, hit: FoodHit) -> Span:
    """Widen a food word to the whole name: 芒果 to 芒果干, "mango" to "dried mango"."""
    folded = text.folded
    start, end = hit.start, hit.end
    if re.search(r"[a-z]", hit.word):
        return _english_name(folded, start, end)
    more = _AFTER_FOOD_ZH.match(folded[end:])
    while more:
        end += more.end()
        more = _AFTER_FOOD_ZH.match(folded[end:])
    before = _BEFORE_FOOD_ZH.search(folded[:start])
    if before:
        start = before.start()
    return start, end


def _english_name(folded: str, start: int, end: int) -> Span:
    for word in reversed(list(_WORD_EN.finditer(folded[:start]))):
        if folded[word.end() : start].strip(" ") or not _modifies(word.group()):
            break
        start = word.start()
    follow = re.match(
        r"(?:\s+(?:sticky rice|sauce|soup|oil|butter|powder|juice|bread|cake|cakes|salad|seeds?|flour|paste|chips|crackers|noodles|rice|tea|milk|cheese|pie|dip|spread|jerky|skin|curry|stew|dumplings|sandwich(?:es)?|roll|rolls|wine|vinegar|leaves|leaf|roots?|steaks?|fillets?|wings|balls?|pudding|jam|syrup|toast|smoothie|dressing|burgers?|broth|pancakes?|buns?|candy|bars?|cookies|thingy|thing))+(?![a-z])",
        folded[end:],
    )
    if follow and not follow.group().strip().endswith(("thing", "thingy")):
        end += follow.end()
    return start, end


_MODIFIERS = frozenset(
    [
        "dried",
        "smoked",
        "pickled",
        "fried",
        "deep-fried",
        "stir-fried",
        "roasted",
        "salted",
        "unsalted",
        "grilled",
        "baked",
        "canned",
        "tinned",
        "frozen",
        "stuffed",
        "braised",
        "steamed",
        "candied",
        "cured",
        "glazed",
        "toasted",
        "aged",
        "sliced",
        "minced",
        "shredded",
        "unsweetened",
        "flavoured",
        "flavored",
        "boiled",
        "poached",
        "pulled",
        "whipped",
        "fermented",
        "marinated",
        "crushed",
        "ground",
        "mashed",
        "fresh",
        "raw",
        "cooked",
        "black",
        "white",
        "red",
        "green",
        "yellow",
        "purple",
        "brown",
        "dark",
        "golden",
        "pink",
        "sweet",
        "sour",
        "spicy",
        "salty",
        "bitter",
        "hot",
        "cold",
        "iced",
        "warm",
        "baby",
        "mini",
        "wild",
        "organic",
        "whole",
        "free-range",
        "low-fat",
        "sugar-free",
        "gluten-free",
        "lactose-free",
        "skimmed",
        "full-fat",
        "chinese",
        "japanese",
        "korean",
        "thai",
        "italian",
        "french",
        "greek",
        "sichuan",
        "mexican",
        "indian",
        "vegan",
        "vegetarian",
        "crispy",
        "crunchy",
        "creamy",
        "crusty",
        "chunky",
        "smooth",
        "plain",
        "instant",
        "homemade",
        "wholegrain",
        "wholemeal",
        "wholewheat",
        "multigrain",
        "rolled",
        "sticky",
        "sparkling",
        "herbal",
        "oat",
        "almond",
        "rice",
        "coconut",
        "soy",
        "rye",
        "wheat",
        "corn",
        "sesame",
        "peanut",
        "walnut",
        "hazelnut",
        "lemon",
        "lime",
        "honey",
        "ginger",
        "garlic",
        "apple",
        "orange",
        "mango",
        "plum",
        "chicken",
        "beef",
        "pork",
        "fish",
        "egg",
        "tomato",
        "potato",
        "pumpkin",
        "mushroom",
        "cream",
        "cheese",
    ]
)


def _modifies(word: str) -> bool:
    """Whether an English word before a food belongs to its name: "dried mango", not "hate mango"."""
    return word in _MODIFIERS


_PART_BREAK = re.compile(
    rf"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])|、|(?<![a-z])(?:for |under |below |less than |cheaper than |up to |max |within )+(?=[$¥￥\d]|{NUMBER})(?:[$¥￥]\s?)?{NUMBER}\s*{_UNIT}?"
    rf"|(?:\$|¥|￥)\s?{NUMBER}|(?:预算|不超过|低于|不到)?{NUMBER}\s*(?:{_UNIT}(?!肉)|(?=以|之))(?:钱)?(?:以内|以下|之内|之下|左右|上下|封顶|以里)?的?"
)


def _parts(text: Text) -> list[Span]:
    parts: list[Span] = []
    for start, end in text.clauses():
        cut = start
        for mark in re.finditer(_PART_BREAK, text.folded[start:end]):
            parts.append((cut, start + mark.start()))
            cut = start + mark.end()
        parts.append((cut, end))
    return parts


def _strip(folded: str, span: Span) -> Span | None:
    start, end = span
    changed = True
    while changed and start < end:
        changed = False
        for pattern in (_HEAD_ZH, _HEAD_EN):
            head = pattern.match(folded[start:end])
            if head and head.end():
                start, changed = start + head.end(), True
        for pattern in (_TAIL_ZH, _TAIL_EN):
            tail = pattern.search(folded[start:end])
            if tail and tail.group():
                end, changed = end - len(tail.group()), True
    if end - start < 1 or _GENERIC.fullmatch(folded[start:end]):
        return None
    return start, end


def _is_short(folded: str, span: Span) -> bool:
    rest = folded[slice(*span)]
    return len(rest) <= 10 if re.search(r"[\u3400-\u9fff]", rest) else len(rest.split()) <= 5
