"""Prices in a message: limits, currency, and cheaper or pricier. Pure."""

from __future__ import annotations

import re

from bot.understanding.numerals import NUMBER, value_of
from bot.understanding.text import Text

_CNY = r"块钱|块|元|圆|人民币|软妹币|大洋|块儿|¥|￥|yuan|kuai|rmb|cny|renminbi|蚊"
_USD = r"\$|usd|us dollars?|dollars?|bucks?|刀乐|刀|美元|美金|美刀|dollah|us\$"
_OTHER = r"quid|pounds?(?! of)|£|euros?|€"
_UNIT = rf"(?:{_CNY}|{_USD}|{_OTHER})"
_FRONT = r"(?:us\$|\$|¥|￥|rmb|usd|cny)"

_AMOUNT = re.compile(
    rf"(?P<front>{_FRONT})?\s*(?P<number>{NUMBER})(?:多|来|几)?\s*(?P<back>-?{_UNIT}(?![a-z]))?"
    rf"(?P<note>张?(?:红票子|毛爷爷|红钞|大钞))?"
)
_SLANG = re.compile(
    r"(?:an?|one|two)?\s*(?<![a-z])(?P<word>tenner|fiver|twenny|benjamin|c-note)(?![a-z])"
)
_SLANG_VALUES = {"tenner": 10, "fiver": 5, "twenny": 20, "benjamin": 100, "c-note": 100}
_NOTE = re.compile(r"(?P<number>[一两三四五六七八九\d]+)?张(?:红票子|毛爷爷|红钞|大钞|红的)")

_NOT_PRICE_AFTER = re.compile(
    r"\s*(?:-|–)?\s*(?:分钟|小时|个小时|天|周|个月|月|年|斤|公斤|克|千克|两(?!百)|个|位|口|人|岁|公里|里路|卡|大卡|页|节|课|讲|章|集|集|"
    r"种|样|盒|袋|瓶|份|度|次|遍|点(?!以)|号|款|杯|只|条|双|件|包|碗|顿|道|批|楼|层|minutes?|mins?|min|"
    r"hours?|hrs?|days?|weeks?|months?|years?|kg|kgs|kilos?|g(?![a-z])|grams?|lbs?|pounds? of|oz|calories|kcal|cal(?![a-z])|people|persons?|guests|"
    r"friends|kids|items?|things|options|of us|servings|times|st(?![a-z])|nd(?![a-z])|rd(?![a-z])|th(?![a-z])|%|am(?![a-z])|pm(?![a-z])|percent|degrees|"
    r"ones?(?![a-z])|year|yo(?![a-z])|km|miles|k run|packs?|more(?! than)|different|other|for me|please$)"
)
_MAX_AFTER = re.compile(
    r"(?:人民币|钱|的)?\s*(?:以内|以下|之内|之下|内(?!容)|以里|封顶|上下|左右|到顶|顶天|为限|打住|以內|搞定|就行|的预算|预算|够吗|能买|买|出头|的样子|的吧?$|差不多|"
    r"\s*(?:or less|or under|or below|max|tops|at most|maximum|and under|limit|budget|cap|at the most|ish|is (?:all|my|the)|to spend|left|and below|ceiling|at max|or so|or cheaper|or lower))"
)
_MIN_AFTER = re.compile(
    r"(?:钱|的)?\s*(?:以上|之上|起(?!司)|起步|打底|往上|朝上|\s*(?:or more|and up|or above|minimum|min(?![a-z])|at least|plus|and above|\+|upwards?))"
)
_MAX_BEFORE = re.compile(
    r"(?:不要超过|不能超过|别超过|不超过|不要超|别超|不超|不得超过|不能超|没超过|不到|低于|少于|最多|顶多|上限|预算(?:只有|是|在|就|大概|大约|改成|定在|设成|设为|压到)?|至多|不高于|不大于|最高|"
    r"控制在|控制到|压在|限制在|限价|就剩|只有|只剩|只带了?|手头|身上|人均|每人|单价|(?:提|涨|加|升|调|改|放宽|降|减|压|砍)(?:高|低)?(?:到|成|为|至)|上限(?:是不是|还是)|小于|没过|封顶|超过|超出|过了?|贵过|高于|"
    r"under|below|less than|max(?:imum)?(?: of)?|up to|at most|no more than|not more than|not over|nothing over|nothing above|within|budget(?: is| of|:|'s)?(?: about| around)?|"
    r"cheaper than|limit(?: is| of| to| me to| it to|'s)?|cap(?: is| of| at| it at|ped at| me at|'s)?|only have|only got|i have|i've got|i got|got|just|no higher than|stay under|keep (?:it|everything|things) (?:under|below|to)|"
    r"spend(?: about| around| up to)?|around|about|over|above|more than|beyond|exceed(?:s|ing)?|past|not exceed(?:ing)?|for|a max of|maximum of|set to|=|left with|costs?|"
    r"less then|undr|lower than|ceiling of|roughly|don't go over|not go over|inside|at)\s*(?:就|只|在|是|：|:|[，,]\s*|花|掏|出|付|给|用|about|around|the|a|my)?[\s-]*$"
)
_MIN_BEFORE = re.compile(
    r"(?:至少|最少|起码|不低于|不少于|不小于|(?<!不)(?<!别)(?<!要)(?<!能)高于|(?<!不)(?<!别)(?<!要)(?<!能)(?<!得)超过|(?<!不)大于|"
    r"at least|minimum(?: of)?|min|no less than|not less than|starting (?:at|from)|not under|not below|nothing under|nothing below|from)\s*(?:about|around|the)?\s*$"
)
_NEGATED_OVER = re.compile(
    r"(?:no|not|nothing|never|don'?t|won'?t|without|isn'?t|ain'?t|anything|stop|hide|skip|avoid|不|别|没|莫|勿|甭|再也|拒绝|屏蔽|过滤|排除|凡是|只要|一旦)"
)
_RANGE_LINK = re.compile(r"\s*(?:到|至|-|–|~|～|—|to|and)\s*(?:¥|￥|\$|us\$)?\s*$")

_CHEAPER = re.compile(
    r"(?<!便宜是)便宜(?!是便宜)|实惠|划算|平价|太贵|贵了|好贵|真贵|超预算|超出预算|省钱|经济(?:点|实|型)|性价比|穷|(?:掏|花|出)(?:这么|那么)多(?:的)?钱|划不来|抢钱|不(?:要|用)?(?:太|那么|这么|怎么|要太)?贵|贵的(?:就|都|一律)?(?:别|不|免)|就是贵|(?:去掉|拿掉|删掉|除掉)[^，。]{0,4}贵|砍(?:一半|价|掉)|压(?:一)?压|往下压|别(?:太|那么|这么|整太|搞太|给我太)?贵|(?:有点|有些|偏|这么|那么|死|忒|老|挺|贼|也太|过于|略|嫌|咋这么|都)贵|贵得|贵死|贵(?:啊|呀|哇|欸|耶|吧|咯|喽|哦)|平(?:啲|d)|降降价|低价|价(?:格|钱)?(?:要|得)?(?:再)?低|价(?:格)?(?:太|有点)?高|买不起|吃不起|吃土|囊中羞涩|肉疼|肉痛|打折|特价|亲民|钱包(?:在)?(?:哭|受不了|疼)|不值这?个?(?:价|钱)|贵咗|太烧钱|省着|白菜价|没(?:什么)?钱|月底|预算(?:不高|不多|有限|很?紧|低|不够)|价格打|伤不起|唔(?:好|要)?(?:咁|太)贵"
    r"|(?<!how )\b(?:cheap\w*|(?:half|cut|halve|lower|drop) (?:that|the|my) price|price in half|(?:more than|over what) (?:i|we) can|(?:i'?m|we'?re|am|so|bit|kinda|totally|flat|dead) broke|affordable|inexpensive|less expensive|less pricey|less money|economical|bargains?|budget[- ]friendly|on a budget|tight budget|(?:small|low|limited) budget|budget (?:is |'s )?(?:\w+ )?(?:low|small|tight|limited|doesn'?t (?:stretch|allow)|won'?t stretch)|over (?:my |the )?budget|"
    r"out of my (?:budget|price range)|pricey|costly|save money|overpriced|cost(?:s)? (?:less|too much|a fortune)|a rip[- ]?off|steep|lower (?:the )?price\w*|low[- ]cost|"
    r"too (?:\w+ )?expensive|so expensive|not (?:too |so |that |very )?expensive|expensive for me|nothing expensive|don'?t want (?:anything )?expensive|can'?t afford|more reasonable|thrifty|price\w* (?:is |are )?(?:too |so )?(?:crazy|insane|high|mad)|wallet|rich for (?:my|our) (?:blood|wallet|taste)|better value|good value|"
    r"expensive(?! (?:is|ones? (?:is|are) (?:ok|fine)))|arm and a leg|break the bank|dear for|bit dear|too dear|too much money|penny|pennies|skint|cheaply|frugal)"
)
_PRICIER = re.compile(
    r"贵(?:一)?(?:点|些)(?:儿)?(?:的)?(?:也|没|都|无|可|$|的|，|,)|贵点|再贵|更贵|高档|上档次|档次|高级|高端|豪华|不差钱|奢侈|(?:不怕|不嫌|不在乎|无所谓|别怕)贵|贵(?:的|也)?(?:没事|没关系|也行|无妨|也可以|都行|也无所谓)|精品|预算(?:可以)?(?:往上|提高|加|多|高|充足)|加(?:点)?预算|多花(?:点|些)|想要贵|(?<!不)要贵的|要(?:买)?贵(?:一)?(?:点|些)|名贵|好一点的牌子|顶级|讲究(?:点|些|一点)|更好的|加钱|大方点|不缺钱|拿不出手|升级"
    r"|钱不是(?:问题|事)|\b(?:(?<!\bi )(?<!\bwe )(?<!you )(?<!i'd )(?<!'t )(?<!really )(?<!also )fanc(?:y|ier)(?! (?:a|some|the|something|anything|noodles|fish|it|that))|upscale|premium|posh\w*|splurge|(?<!less )(?<!too )more expensive|pricier|high[- ]?end|spend (?:a bit |a little |some )?more|more to spend|luxur\w+|top[- ]shelf|more upmarket|upmarket|"
    r"money (?:is no|isn'?t an?|no) (?:object|issue|problem)|gourmet|deluxe|class(?:y|ier)|swanky|bigger budget|top quality|pay (?:a bit |a little )?more|fancier|budget (?:is |can )?(?:go )?(?:higher|bigger)|higher budget|nicer and pricier|step up|don'?t mind (?:paying|spending)|more high class|expensive (?:is|ones? (?:is|are)) (?:ok|fine)|extra cash|extra money|cost(?:s)? more|raise (?:the|my) budget)"
)


def find_price(text: Text) -> dict[str, object]:
    """Give the slots price_max, price_min, currency and price, as far as they are said."""
    folded = text.folded
    slots: dict[str, object] = {}
    amounts = _amounts(folded)
    currency = ""
    for position, (start, end, value, unit) in enumerate(amounts):
        before, after = folded[:start], folded[end:]
        if position + 1 < len(amounts) and _RANGE_LINK.fullmatch(
            folded[end : amounts[position + 1][0]]
        ):
            following = amounts[position + 1]
            if unit or following[3] or _is_price_context(folded, before, folded[following[1] :]):
                slots["price_min"], slots["price_max"] = _number(value), _number(following[2])
                currency = unit or following[3] or currency
            break
        role = _role(before, after, bool(unit))
        if role:
            slots[role] = _number(value)
            currency = unit or currency
    if currency in {"CNY", "USD"}:
        slots["currency"] = currency
    wish = price_wish(folded)
    if wish:
        slots["price"] = wish
    return slots


def price_wish(folded: str) -> str | None:
    """Give "cheaper" or "pricier" when the words ask for it."""
    pricier = _PRICIER.search(folded)
    cheaper = _CHEAPER.search(folded)
    if pricier and cheaper and pricier.start() <= cheaper.start() < pricier.end():
        cheaper = None
    if pricier and not re.search(
        r"(?:不要|别|太|不用|no|not|too|less)\s*(?:那么|这么|so|that)?\s*$",
        folded[: pricier.start()],
    ):
        return "pricier" if not cheaper or pricier.start() > cheaper.start() else "cheaper"
    return "cheaper" if cheaper or pricier else None


def _amounts(folded: str) -> list[tuple[int, int, float, str]]:
    found: list[tuple[int, int, float, str]] = []
    for match in _NOTE.finditer(folded):
        count = value_of(match["number"] or "一") or 1
        found.append((match.start(), match.end(), count * 100, "CNY"))
    found.extend(
        (match.start(), match.end(), float(_SLANG_VALUES[match["word"]]), "")
        for match in _SLANG.finditer(folded)
    )
    for match in _AMOUNT.finditer(folded):
        if any(start < match.end() and match.start() < end for start, end, _, _ in found):
            continue
        value = value_of(match["number"])
        unit_word = (match["back"] or match["front"] or "").removeprefix("-")
        if not value or re.search(r"第\s*$", folded[: match.start()]):
            continue
        if not unit_word and (value <= 3 or re.fullmatch(r"[一-九]", match["number"])):
            continue
        if not unit_word and _NOT_PRICE_AFTER.match(folded, match.end()):
            continue
        # 一块豆腐 is a piece, 一块钱 a price.
        if (
            unit_word == "块"
            and value <= 3
            and re.match(r"(?!钱|以|之|左|上|内|的)[\u3400-\u9fff]", folded[match.end() :])
        ):
            continue
        found.append((match.start(), match.end(), value, _currency(unit_word)))
    return sorted(found)


def _currency(unit_word: str) -> str:
    if not unit_word:
        return ""
    if re.fullmatch(_CNY, unit_word):
        return "CNY"
    return "USD" if re.fullmatch(_USD, unit_word) else "other"


def _role(before: str, after: str, has_unit: bool) -> str | None:
    before = re.sub(r"(?:us\$|\$|¥|￥)\s*$", "", before)
    if _MIN_AFTER.match(after):
        return (
            "price_min"
            if not re.search(r"(?:别|不要|不能|没)[^，,。]{0,6}$", before)
            else "price_max"
        )
    over = re.search(
        r"(?:超过|超出|超|过|高于|贵过|over|above|more than|beyond|exceed\w*|past)\s*(?:的|the)?\s*$",
        before,
    )
    if over:
        if (
            _NEGATED_OVER.search(before[max(0, over.start() - 24) : over.start()])
            or "的" in after[:4]
        ):
            return "price_max"
        return (
            "price_min"
            if has_unit or over.group().strip() in {"超过", "高于", "above", "more than"}
            else None
        )
    if _MIN_BEFORE.search(before):
        return "price_min"
    if _MAX_AFTER.match(after) and (
        has_unit or not re.match(r"\s*(?:的吧?$|就行|买|ish|差不多)", after)
    ):
        return "price_max"
    match = _MAX_BEFORE.search(before)
    if match:
        weak = re.match(
            r"(?:just|got|for|about|around|i have|at|过|=|roughly|inside|costs?|只有|only have|only got|i got|手头|身上)",
            match.group(),
        )
        return "price_max" if has_unit or not weak else None
    return "price_max" if has_unit else None


def _is_price_context(folded: str, before: str, after: str) -> bool:
    return bool(
        re.search(r"预算|价|钱|budget|price|range|between|spend|之间|区间|cost", folded)
        or _MAX_AFTER.match(after)
        or re.match(r"\s*的(?!人|老|孩|年|学)", after)
        or _MAX_BEFORE.search(before)
    )


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value
