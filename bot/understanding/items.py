"""Which of the three shown items a message means. Pure."""

from __future__ import annotations

import re

from bot.understanding.text import Text

_ZH_NUMBERS = {"一": 1, "二": 2, "两": 2, "三": 3, "1": 1, "2": 2, "3": 3}
_COURSE = r"(?:次|课|节|章|讲|集|单元|堂|期|季|回|天|周|步|遍|部分|阶段|门|模块|时间|口|眼|顿|名|学期|小节|篇)"
_LESSON = r"(?:\s*(?:lesson|class|course|chapter|module|unit|time|week|day|night|month|year|session|lecture|video|step|part|episode|thing|bite|quiz|trimester|sip|floor|line|course|section|place|timer|of all))"
_COUNT = r"(?:个|款|样|种|项|号|道|盘|份|件|条|盒|选|张|位|只|行|排|包|瓶|碗|锅|#)"

_PATTERNS: tuple[tuple[re.Pattern[str], int | None], ...] = (
    (re.compile(rf"倒数第一{_COUNT}?"), 3),
    (re.compile(rf"倒数第二{_COUNT}?"), 2),
    (re.compile(rf"(?<!倒数)第\s*([一二两三123])(?!\s*{_COURSE})(?![十百零\d])"), None),
    (re.compile(r"(?<![\d第月\-])([123一二三])号(?!线|楼|店|那天|以|之|前|后|晚|早|下午)"), None),
    (
        re.compile(
            r"(?:编号|号码|选项|选|要|拿|来|就|换|no\.?|number|num|option|item|pick|choice|#|＃|nr\.?)\s*(?:了|第)?([123])(?![\d十百]|\s*(?:个|块|元|份|斤|盒|刀|样|人|天|分|小时|种|位|款|包|瓶|\$|bucks|dollars|more|other|people|days|ideas|items|things|minutes|recipes|suggestions|kids))"
        ),
        None,
    ),
    (re.compile(r"(?:number|option|item|no\.?|choice|pick) (one|two|three)\b"), None),
    (
        re.compile(
            r"^\W*([123])(?:\W*$|(?=\s*(?:不要|不行|可以|不错|吧|好|pass|please|pls|plz|it is|is|looks?|sounds?|for me|我|太|有点|号|也|都|就|换|和|跟|&|and|要|，|,|还|行|拿|走起|！|!|\?|？|看着|没|啦|呢|then)))"
        ),
        None,
    ),
    (
        re.compile(
            r"(?:改成|改为|改|还是|不对|make (?:that|it)|go with|take|want|say|mean|meant|go for|like|love|get|order|have|swap|replace|change|ditch|drop|skip|but|than|prefer|try|i'll do|and|hate|about|no|actually|hmm|um)\s+(?:#)?([123])(?![\d.,]*\d|\s*(?:bucks|dollars|more|other|people|days|ideas|items|things|minutes|mins|kids|个|yuan|kuai|recipes|suggestions|of us|hours|weeks|pm|am|%|kg|x|times|years|guests|friends|usd|rmb|packs))"
        ),
        None,
    ),
    (
        re.compile(
            r"(?:改成|改为|改|还是|不对|算了|不是|而是|喜欢|把|和|跟|比|用|对|[，,。…!！ ])\s*([123一二三])(?=号|吧|[^\d十百千]?$|[，,。!！~～]|换|不|我|可|香|才|更|的|还|要|太|还凑合)(?!个|块|元|分|点)"
        ),
        None,
    ),
    (re.compile(r"(?:是|，|,)\s*([123])(?=号?\W*$|号?[，,。])"), None),
    (
        re.compile(
            r"\b(?:swap|change|switch|replace|say|nah,?|no,?|take|i'd go|go with|make it|love|want) (one|two|three)\b(?=\s*(?:for|with|to|please|$|[,.!]))"
        ),
        None,
    ),
    (re.compile(r"\b([123]) (?:it is|please|pls|is|looks|sounds|for me)\b"), None),
    (
        re.compile(
            rf"(?<!\ba )(?<!\bper )(?<!\bevery )\b(first|1st|second|2nd|third|3rd)(?!{_LESSON})(?!\s*(?:,? ?(?:i|thing|of|helping|thought|thoughts|hand|nature|opinion|guess|rate|class)\b))\b"
        ),
        None,
    ),
    (
        re.compile(
            rf"(?:the|that|number|ur|your|this) (last|final|bottom)(?: one| item| option| pick| choice| two| suggestion| product)?(?!{_LESSON})(?=(?: one| item| option| pick| choice| suggestion| product)|'s|\W|$| is| was| looks| made| seems| sounds| please| pls| anymore| again| in)"
        ),
        3,
    ),
    (
        re.compile(
            r"\b(last|final|bottom) (?:one|item|option|pick|choice|suggestion)\b(?! (?:you|i|from|time|week))"
        ),
        3,
    ),
    (re.compile(r"\b(?:choose|pick|take|want|go with) (?:the )?last(?=\W*$)"), 3),
    (
        re.compile(
            r"\b(?:the |that )?(?:middle|centre|center)(?: one| item| option| pick)?\b(?! of)"
        ),
        2,
    ),
    (re.compile(r"\b(?:the )?(?:top|leftmost|left) (?:one|item|option|pick|choice)\b"), 1),
    (re.compile(r"\b(?:the )?(?:rightmost|right|third) (?:one|item|option)\b(?=.*)"), 3),
    (re.compile(rf"中间(?:的|那|这|哪|一)?(?:一)?{_COUNT}?(?!商)"), 2),
    (
        re.compile(
            rf"(?:最后|末尾|最末|尾巴|末了|最末尾|排最后|排末尾|末)(?:的|那|这|面)?(?:一)?(?:的)?{_COUNT}(?!{_COURSE})"
        ),
        3,
    ),
    (
        re.compile(
            r"(?:最后那(?!段|节|课|集|讲|章|次|天|道题|部分|个知识)|(?:选|要|换|是|留|拿|把|对|那个)最后的?(?=$|[，,。！!吧换的])|尾一个|垫底|最后一个|压轴|殿后|殿底|收尾)(?:个|款|样)?"
        ),
        3,
    ),
    (
        re.compile(
            r"打头|排第一|排头|首个|(?<!老)头一(?:个|款|样|道|盘|份)|最前(?:面|头)?|第1|开头(?:那|的|第)?(?:个|款|样)|最上面|(?<![旁两])左边|头(?:里)?(?:那|这)(?:个|款|样)"
        ),
        1,
    ),
    (re.compile(r"^\W*(?:我)?(?:选|要|拿)\s*([一二三])(?=\W*$)"), None),
    (re.compile(r"右边(?:的|那|这)?|最下面"), 3),
    (re.compile(r"老(二)(?=不|太|可|换|好)"), 2),
)
_EN_NUMBERS = {
    "first": 1,
    "1st": 1,
    "one": 1,
    "second": 2,
    "2nd": 2,
    "two": 2,
    "third": 3,
    "3rd": 3,
    "three": 3,
    "last": 3,
    "final": 3,
    "bottom": 3,
}
_EARLIER = re.compile(
    r"上次|上回|之前|前天|昨天|last time|yesterday|earlier|the other day|previously"
)
_NOT_THIS = re.compile(
    r"(?:不是(?:说)?|没说|并非|不要|别给|而不是|除了|比|not|isn'?t|wasn'?t|rather than|instead of|than|forget|scratch|no longer|instead)\s*(?:要|说|指|the|number|item|#|no\.?|option|that)?\s*$"
)
_NOT_THIS_AFTER = re.compile(
    r"(?:号|个|款|样)?\s*(?:不对|说错|打错|错了|算了|还是算|…?算了|no\b|wait|sorry|scratch that|oops|not that|,? ?no,|er,|hmm|——不|不不)"
)
_BAD = re.compile(
    r"不喜欢|不要|不行|不好|讨厌|难吃|pass|不感兴趣|差|拿走|别|没食欲|嫌|no\b|not\b|hate|don'?t|never|yuck|ew|gross|awful|bad|hard no|sick of|remove|rid|nope|terrible|worst|disgust"
)
_FINE = re.compile(
    r"可以|还行|不错|凑合|挺好|fine|ok\b|okay|good|nice|great|love|like the|留着|行|喜欢"
)


def find_item(text: Text, *, rejecting: bool = False, replacing: bool = False) -> int | None:
    """Give the item meant, 1 to 3, or None. Of a correction the last value counts.

    Args:
        text: The message.
        rejecting: The message rejects something: the rejected item counts.
        replacing: The message changes the slate: the item to be replaced counts.
    """
    found = _mentions(text.folded)
    if not found:
        return None
    folded = text.folded
    kept = [
        (start, end, value)
        for start, end, value in found
        if not _NOT_THIS_AFTER.match(folded, end)
        and (
            rejecting
            or not _NOT_THIS.search(folded[:start])
            or _is_plain_negative(folded, start, replacing)
        )
    ]
    if rejecting:
        kept = [
            m
            for m in kept
            if not re.search(r"(?:不是(?:说)?|not|isn'?t)\s*(?:the |number )?$", folded[: m[0]])
        ] or kept
        bad = [
            mention
            for mention in kept
            if _BAD.search(_around(text, mention)) and not _only_fine(text, mention)
        ]
        kept = bad or kept
        return (kept or found)[-1][2]
    if not kept:
        return found[-1][2]
    if replacing:
        liked = [
            m for m in kept if _FINE.search(_around(text, m)) and not _BAD.search(_around(text, m))
        ]
        others = [m for m in kept if m not in liked]
        return (others or kept)[-1][2]
    wanted = [
        m
        for m in kept
        if not re.search(r"不要|pass|don'?t|no thanks|算了|不行|不太", _around(text, m))
    ]
    return (wanted or kept)[-1][2]


def _is_plain_negative(folded: str, start: int, replacing: bool) -> bool:
    """Whether a negation before the item rejects the item and corrects nothing."""
    before = folded[:start]
    return replacing and re.search(r"(?:不要|别给)\s*$", before) is not None


def _only_fine(text: Text, mention: tuple[int, int, int]) -> bool:
    around = _around(text, mention)
    return (
        _FINE.search(around) is not None
        and re.search(r"不喜欢|不行|no\b|not\b|don'?t|hate", around) is None
    )


def _around(text: Text, mention: tuple[int, int, int]) -> str:
    start, end = text.clause_at(mention[0])
    return text.folded[start:end]


def _mentions(folded: str) -> list[tuple[int, int, int]]:
    """Give (start, end, value) of each mention, in order, none overlapping."""
    found: list[tuple[int, int, int]] = []
    for pattern, fixed in _PATTERNS:
        for match in pattern.finditer(folded):
            group = 1 if match.re.groups and match.group(1) else 0
            start, end = match.start(group), match.end(group)
            if fixed is not None:
                start, end = match.start(), match.end()
                value = fixed
            else:
                word = match.group(1)
                value = _ZH_NUMBERS.get(word) or _EN_NUMBERS[word]
            if not any(other[0] < end and start < other[1] for other in found):
                found.append((match.start(), end, value))
    if _EARLIER.search(folded):
        found = [
            m
            for m in found
            if m[2] != 3 or re.search(r"第三|3|third|three|three", folded[m[0] : m[1]])
        ]
    return sorted(found)
