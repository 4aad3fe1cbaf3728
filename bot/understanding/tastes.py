"""What taste is asked for: the one wanted, never the one complained of. Pure."""

from __future__ import annotations

import re

from bot.understanding.text import Text

_TASTES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (value, re.compile(pattern))
    for value, pattern in (
        (
            "spicy",
            r"🌶|麻辣|香辣|酸辣|重辣|爆辣|特辣|变态辣|辛辣|辣(?!条|椒酱|酱|白菜)|辣椒|过瘾|\b(?:spic(?:y|ier|e it|iness)|fiery|hot stuff|chilli|chil[iy]|hotter|kick|heat(?!wave| wave| up| it| and)|mala|hot(?= (?:and|food|please|enough|dishes|things|one|sauce))|(?<=too )hot(?! (?:out|today|for|to))|(?<=that )hot|sets? my mouth on fire|peppery|tongue[- ]numbing)",
        ),
        (
            "sour",
            r"(?<!硫)(?<!氨基)(?<!尿)酸(?!奶|菜|辣(?:粉|汤|土豆丝|鱼)|酶|梅|乳|笋|豆|面包|痛|了)|\b(?:sour(?!dough| cream)|tangy|tart(?!s)|acidic|acid|zesty|vinegary|citrusy)\b",
        ),
        (
            "sweet",
            r"甜(?!品|食|点(?!的|儿)|面酱|瓜|菜|椒|玉米|东西)|\bsweet(?:er|ish)?\b(?!\s*(?:potato|of you|corn|dreams|treat|stuff|soup|chilli|pea|home|bot))|\bsugary\b|\bsweet tooth\b",
        ),
        ("bitter", r"苦(?!瓜|夏|了|于|练|荞|恼|菊|苣)|\bbitter\b(?! melon| gourd)"),
        ("salty", r"咸(?!鸭|蛋|菜|鱼|肉|阳)|\b(?:salty|saltier|savou?ry)\b"),
        (
            "light",
            r"清淡|清爽|爽口|素淡|再清|清(?:一)?些|解腻|清口|淡(?:一|口)?(?:点|些|的)|寡淡的|清清爽爽|没胃口的|轻食|不(?:要太|太|想太|要|那么|会)?(?:油|腻)(?!菜)|别(?:太|那么|这么)?(?:油|腻|重口)|\b(?:light(?:er|ish)?(?! (?:up|on my wallet|to (?:carry|pack)|weight))|refreshing|plain(?:er)?|easy on (?:the|my) (?:stomach|tummy)|clean[- ]tasting|fresher|gentle on|mild(?:er)? flavou?r)\b",
        ),
        (
            "rich",
            r"浓郁|重口(?:味)?|味(?:道)?(?:要|再|更)?(?:重|浓|厚)|(?:吃|来)(?:点|些)重的|浓(?:一)?(?:点|些|的|香)|够味|醇厚|下饭|口味重|浓稠|香浓|肥美|入味|有味(?:道)?|\b(?:rich(?:er)?(?! in)|creamy|creamier|hearty|heartier|bold(?:er)?|flavou?rful|more flavou?r|decadent|indulgent|umami|stronger|robust|comfort food|stick to your ribs|punchier|savory punch)\b",
        ),
    )
)
_TOO_HEAVY = re.compile(
    r"(?:太|有点|有些|过于|好|这么|那么|偏|超级?|真|挺|忒|老|都|也|很|非常|巨|贼|略|全是)(?:的)?(?:油|腻|重口|荤|肥)(?!菜|麦)|油(?:乎乎|汪汪|滋滋|腻腻)|油腻(?!的不)|(?<!看)(?<!吃)(?<!听)腻(?:得|死|歪|味|了|人|啊|歪歪)|齁腻|咸腻|(?:吃|口味)?太重(?!要)|油(?:大|太大|太多)|(?<!不)(?<!看)(?<!吃)腻$"
    r"|\b(?:too|so|really|very|quite|a bit|bit|pretty|rather|kinda|kind of|way too|a little|awfully|all|super|such)\s+(?:too )?(?:heavy|greasy|oily|fatty|rich|stodgy|filling|creamy)|\b(?:greasy|stodgy|oily)\b|sits? heavy|weighs? me down|\bheavy\b(?! (?:and|please|is fine))"
)
_TOO_BLAND = re.compile(
    r"(?:太|有点|有些|过于|好|这么)(?:清?淡|没味|寡)|没(?:什么)?味(?:道|儿)?|嘴里没味|淡出鸟|\b(?:bland|boring taste|tasteless|too plain|too light|too mild)\b"
)
_TOO_HOT = re.compile(
    r"(?:太|有点|有些|过于|好|这么|那么|死|偏|贼|巨)辣|辣(?:得|死|哭|到|坏)|不(?:能|要|吃|想|想吃|敢|爱|太|会|可以|碰|放|得|耐|来)*(?:太|那么)?辣|(?:别|少|免|莫|唔|去|忌|无|戒|(?<!有)没有?)(?:要|食|吃|放|太|给|给我|推|再|来|碰|那么|加|咁|整|搞|弄|带|有|点|推荐|口|得|搞太|做)*(?:麻|香|辛|重|酸)?辣|吃不(?:了|得|来|惯)(?:太)?辣|微微?辣|辣(?:的|椒)?(?:也|都|就|我|通通|统统|一律|一点|全)*(?:不(?!够|错)|别|吃不|受不|免|过敏|碰不)|怕辣|辣度(?:要)?(?:低|小|减|降)|(?:低|减|降)辣|🌶\ufe0f?.{0,4}(?:太多|不行|受不了|不要|别)|(?:别|不要|不吃|少|no|less|without|too much|too many|not?)\s*🌶|辣(?:味)?(?:减|少)"
    r"|\b(?:too|so|way too|really|super|a bit|bit)\s+(?:too )?(?:spicy|hot(?= for (?:me|my|us|the kids)|[.!,]|$)|fiery)|\b(?:no|not|never|non|less|without|avoid(?:ing)?|isn'?t|won'?t|don'?t|dont|can'?t|cant|cannot|nothing|hate|tone down|dial down|cut|skip|hold|go easy on|easy on|stop)\b(?:[- ](?:\w+[- ]){0,4}?|-)(?:the )?(?:spic(?:y|e|es|iness)(?! rack)|hot(?! (?:dog|sauce|choc|meal|food))|heat(?!ed)|chill?i|fiery)|\b(?:mild|milder|not_spicy|non-spicy)\b|spice[- ]free|can'?t (?:handle|take|do|stand) (?:\w+ )?(?:spic|heat|hot)"
)
_TOO_MILD = re.compile(
    r"(?:一点儿?(?:都|也)|完全|根本|并|怎么(?:都)?|压根|居然|竟然|又)不辣|不够辣|不怎么辣|辣不够|not spicy (?:at all|enough)"
)
_ANY_REFUSAL = re.compile(
    r"戒|拉黑|屏蔽|不|别|忌|免|拒|\\b(?:no|not|never|avoid|stop|ban|block|skip|without|can't|don't)\\b"
)
_COMPLAINT = re.compile(
    r"(?:太|有点|有些|过于|好|这么|那么|偏|死|老|又|齁|一股|带股|有股|都|都是|净是|全是|多|腻|这样|挺|巨|忒|too|so|overly|way too|a bit|bit too|is|was|are|tastes?|bit|very|really|awfully|far too)\s*$"
)
_NOT_ENOUGH = re.compile(
    r"(?:不够|没(?:有)?(?:那么|多|什么|啥)?|不太够|不怎么|一点(?:都|也|儿也)?不|完全不|根本不|not|isn'?t|aren'?t|wasn'?t|not very|not that|barely|hardly)\s*$"
)
_REFUSED_BEFORE = re.compile(
    r"(?:不(?:要|想|吃|爱|喜欢|太|能|想吃|要太|想要|用|放|那么|是|是要|是想)*|减|别(?:太|那么|给|这么|再|放|来|整|搞)*|少|免|无|怕|没|戒|忌|莫|唔(?:要|好|食|想)*(?:太|咁)?|讨厌|腻了|把|"
    r"\bno|\bnot|\bnot (?:so|too|that|as|very|overly)|\bless|\bnothing (?:too|so|that)?|\bnever|\bwithout|\bdon'?t (?:want|like|do|eat|need) (?:it |anything |them )?(?:so|too|that)?|\bisn'?t (?:so|too|that)?|\bavoid|\btoo|\bfewer|\bhate|instead of|rather than|\bcan'?t (?:have|stand|do|take)|\bdial down the|\btone down the)\s*$"
)


def find_tastes(text: Text, *, lifting: bool, ruling: bool = False) -> list[str]:
    """Give the tastes wanted, in the order of the closed list.

    Args:
        text: The message.
        ruling: The message sets a rule; then any refusal beside a word for spicy means `not_spicy`.
        lifting: The message lifts a rule; then any word for spicy means the rule `not_spicy`.
    """
    folded = text.folded
    wanted: list[str] = []
    spicy = _TASTES[0][1]
    by_rule = lifting or (ruling and _ANY_REFUSAL.search(folded) is not None)
    if (by_rule and spicy.search(folded)) or any(
        not _TOO_MILD.search(folded[max(0, match.start() - 8) : match.end()])
        for match in _TOO_HOT.finditer(folded)
    ):
        wanted.append("not_spicy")
    if _TOO_HEAVY.search(folded):
        wanted.append("light")
    if _TOO_BLAND.search(folded):
        wanted.append("rich")
    for value, pattern in _TASTES:
        for match in pattern.finditer(folded):
            if _is_wanted(folded, match.start(), match.end(), value):
                if value == "spicy" and "not_spicy" in wanted:
                    break
                if not (value == "rich" and "light" in wanted) and not (
                    value == "light" and "rich" in wanted
                ):
                    wanted.append(value)
                break
    return list(dict.fromkeys(wanted))


def _is_wanted(folded: str, start: int, end: int, value: str) -> bool:
    before, after = folded[max(0, start - 24) : start], folded[end:]
    if re.search(r"(?:不够|嫌不够|缺点|差点)\s*$", before) or (
        re.match(r"\s*enough", after) and re.search(r"not|n'?t\s*(?:\w+\s*)?$", before)
    ):
        return True
    if value == "spicy" and _NOT_ENOUGH.search(before) and re.search(r"一点|完全|根本|够", before):
        return True
    if value in {"light", "rich"} and not re.search(r"(?:太|不|别|too|not|less|no)\s*$", before):
        return not (value == "rich" and re.search(r"(?:太|腻)", before[-3:]))
    if _REFUSED_BEFORE.search(before):
        return False
    if re.match(
        r"\s*(?:的)?(?:我)?(?:也|都|就|一律)?(?:不(?!够|错)|别|少(?:推|给|来|放)|吃不|免|算了|腻|除外|戒)",
        after,
    ):
        return False
    if re.search(r"\bsaid\s*$", before) and re.search(r"\b(?:i )?meant?\b", after):
        return False
    if _COMPLAINT.search(before):
        return False
    return not re.match(r"\s*(?:死|过头|得(?:慌|要命))", after)
