"""The title of the lesson that a message names, cut from the text. Pure."""

from __future__ import annotations

import re

from bot.understanding.lexicon import starts_with_food
from bot.understanding.text import Text

Span = tuple[int, int]

_HAN = r"[\u3400-\u9fff]"
_NO_PAUSE = rf"(?!(?<={_HAN})\s+{_HAN})"
"""Between Chinese characters a space is a pause, as in messages that were spoken."""

_QUOTED = re.compile(
    r"《([^》]{2,40})》|「([^」]{2,40})」|『([^』]{2,40})』|【([^】]{2,40})】|\"([^\"]{2,60})\"|(?<![a-z])'([^']{3,60})'(?![a-z])"
)
_NUMBERED = re.compile(
    r"第\s*[\d一二三四五六七八九十百零两]+\s*(?:课|讲|节课?|章|单元|集|期|部分|堂课?|模块|回|天(?=课|的课))"
    r"|\b(?:lesson|module|unit|chapter|class|part|session|episode|lecture|week|day|step|video|course)\s*#?(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
)
_ABOUT_ZH = re.compile(
    r"(?:讲|关于|介绍|有关|教)(?:的)?(?:怎么|如何|怎样)?(?P<title>[^，。,.!！?？~\s]{1,16}?)(?:的)?(?:那|这)?(?:一)?(?:节课?|课程?|堂课?|章节?|段|期|讲|集|门课?|个视频|视频|个(?=我|终于|总算|也|都|看|学|听|已|$|[，,。！!]))(?!一)"
)
_VERB_DONE = r"(?:学习?|看|听|上|刷|啃|肝|补|搞|弄|读|跟|撸|拿|通|整|做|过|修|追|磕|念|走|练|攻)(?:完|掉|懂|透|下|好|关|过|定|毕|到底|到头|一遍|了一遍|完一遍)(?:了|咯|啦|喽)?"
_OBJECT_ZH = re.compile(
    rf"把(?P<title>(?:{_NO_PAUSE}[^，。,.!！?？~]){{1,24}}?)(?:全部?|都|也|给|终于|总算|一口气|彻底|已经|从头到尾|好好)*(?:{_VERB_DONE}|搞定|拿下|结束|完成|KO|ko|干掉|done|finish|(?:看|学|听|上|刷)了)"
)
_AFTER_VERB_ZH = re.compile(
    rf"(?:{_VERB_DONE}|完成(?:了)?|结束(?:了)?|毕业于?|结业|通过了?|拿下(?:了)?|搞定(?:了)?|finish(?:ed)?(?:了)?|done(?:了)?|听了|看了|学了|上了|学的是|已(?:学习?|看|听|上|阅|完成)完?(?=[:：]))(?:一下|一遍|整个|全部|这|那|节|堂|门|一|本|套|你们|咱们|我们|的|个)*\s*[:：]?\s*(?P<title>(?:{_NO_PAUSE}[^，。,.!！?？~；;…✅]){{1,20}})"
)
_OF_COURSE_ZH = re.compile(
    r"(?:那个|这个|那|这|节|堂|门|把|学了|上了|看了|听了|学完|看完|听完|上完|^)(?:一)?(?:节|堂|门|个)?(?P<title>[^，。,.!！?？~\s]{1,12}?)的(?:那|这)?(?:一)?(?:节|堂|门)?(?:课程|课|视频)"
)
_BEFORE_VERB_ZH = re.compile(
    rf"(?P<title>(?:{_NO_PAUSE}[^，。,.!！?？~；;:：]){{1,24}}?)(?:这|那)?(?:一)?(?:节课?|门课?|堂课?|章节?|系列课?|课程?|讲座?|单元|视频|专题)?\s*(?:我|俺|咱|人家|终于|总算|已经|刚刚?|已经?|也|都|全部?|今天|昨天|昨晚|算|一口气|顺利|全|可算)*(?:{_VERB_DONE}|完成|结束|搞定|打卡|结业|毕业|过(?=[!！。,，]|$)|通关|下课|收工|完结|完事|完了|到手|过了|告一段落|收官|画上句号|拜拜|看到(?:结尾|最后|底)|补齐|(?<![a-z])(?:over|done|get|finish(?:ed)?|complete[d]?)(?![a-z])|学到了|播完|✅|☑️|✔️)"
)
_THAT_ZH = re.compile(
    r"(?P<title>[^，。,.!！?？~；;:：\s]{1,16}?)(?:的)?(?:那|这)(?:一|几|两)?(?:个(?=课)|节|门|堂|章|讲|集|课|系列|期)(?:课)?"
)
_CLAUSE_ZH = re.compile(
    rf"^\W*(?P<title>[^，,。！!？?\s]{{2,20}})[，,]\s*(?:我|俺|咱)?(?:全|都|已经|终于|总算|也)*(?:{_VERB_DONE}|学会了|已阅|已学|已看|拿下|搞定|ok|done)"
)
_KIND_EN = r"(?:lessons?|courses?|class(?:es)?|modules?|units?|chapters?|videos?|series|lectures?|sessions?|workshops?|tutorials?|one|bit|part|episode|masterclass|section|talk|training|bootcamp|livestream|webinar)"
_STOP_EN = rf"(?=\s+(?:{_KIND_EN})\b|\s*[,.!?;:…(\"✅🎉]|\s+[-–—]\s*|\s+(?:and|so|now|today|yesterday|tonight|during|but|is|was|are|what|this|just|finally|btw|with|last|in one|at last|already|yay|woo\w*|then|which|over|before|after|while|a (?:minute|moment|second)|got|any|anything|please|pls|lol|omg|haha|phew|\U0001f389|can|need|want|looking|i'm|im|i've|ive|we've|to the end|i|for me|done|finished|completed|about to|really|loved|quite|from start|all the way|earlier|morning|to the end|quiz|test|exam|ok|hungry|show|give|recommend|suggest|here|course|feeling|under)\b|\s*$)"
_LEAD_EN = r"(?:(?:the whole|the entire|whole of|the|that|this|my|your|our|a|an|all|of|up|on|today's|watching|reading|listening to|last|final|video|lesson|lecture|chapter|class|course|module|unit|session|thing|about|with|test|quiz|for|series|doing|taking|studying|going through|working through|learning|end|part|one|on|called|titled|named|part of|bits?|your|:|-)\s+)*"
_AFTER_VERB_EN = re.compile(
    rf"\b(?:finish\w*|finsh\w*|fini\w*shed|complet\w+|done with|done|wrapp?ed up|wrapped|wrapping up|through with|through|watched|sat through|end of|caught up (?:with|on)|passed|knocked out|binged|graduated from|marked|ticked off|clicked through|learnt|learned|learning about|studied|took|wrap on|put|done w/|one down|tick(?:ed)? off|nailed|aced|conquered|crushed|polished off|powered through|worked through|went through|gone through|listened to|wrapped on|concluded|got through|reached the end of|made it through|finishing|did|clear(?:ed)?|closed out|smashed|survived|checked off|came out of|out of|just left|turned in|back from)[:\s]+{_LEAD_EN}(?P<title>[a-z0-9\u3400-\u9fff][^,.!?;:…(\"]*?){_STOP_EN}"
)
_BEFORE_VERB_EN = re.compile(
    rf"\b(?:the|that|that's the|my|your|this)\s+(?P<title>[a-z0-9][^,.!?;:…\"]{{1,40}}?)\s+{_KIND_EN}(?:\s+\w+){{0,3}}?\s*(?:,|is|was|has been|'s|took|-|—|:|as|really|just)?\s*(?:in the bag|done|finished|over|complete[d]?|all done|wrapped|watched|checked|behind me|down|through|finally|took|✅|as complete)"
)
_BARE_EN = re.compile(
    rf"^\W*(?!(?:all|just|i|we|i'?ve|did|watched|finished|completed|caught|done)\b)(?P<title>[a-z0-9][^,.!?;:…\"]{{1,40}}?)(?:\s+{_KIND_EN})?\s*(?:\s|:|-|—|–|=|,)+\s*(?:is |was |all |both )?(?:(?:done|finished|complete|completed|finito|check|over|wrapped|watched|nailed it|aced it)\b|✅|✔|☑)"
)
_GOT_EN = re.compile(
    r"\bgot\s+(?:the |my )?(?P<title>[a-z][^,.!?;:…\"]{1,40}?)\s+(?:done|finished|out of the way|over with)\b"
)
_NAMED_EN = re.compile(
    r"\b(?:the|that|this|my|your|today's|an?)\s+(?P<title>(?!(?:related|connect|link|anything|something)\w* )[a-z0-9][a-z0-9'&-]*(?: (?!to |the |with |in |is |do |we |i |me |you |just |(?:complet|finish|watch|did|took|pass)\w* )[a-z0-9'&-]+){0,4}?)\s+(?:lesson|course|class|module|unit|chapter|lecture|session|video|series|masterclass|workshop|seminar)\b"
)
_ABOUT_EN = re.compile(
    r"\b(?:lesson|course|class|module|unit|chapter|lecture|session|video|one)\s+(?:on|about|called)\s+(?P<title>[a-z0-9][^,.!?;:…\"]{1,40}?)(?=\s+(?:and|so|is|was|that|i|you|done|now|today|what|but|we|just|finally)\b|\s*[,.!?;:…]|\s*$)"
)

_HEAD = re.compile(
    r"^(?:\s|那个|这个|刚刚?才?|终于|总算|今天的?|昨天的?|昨晚|今晚|今儿|[啦咯喽]|[^\w《「『\"']|我|俺|咱们?|已经|报告|老师|哈+|啊+|呀|嗯|熬夜|一口气|打卡|把|也|都|全部?|整个|了|完|(?:这|那|一|整)(?:节|堂|门|本|套|个)?|ok|okay|hey|hi|so|yes|just|finally|now|today|the|that's|that|my|your|this|a|an|i|we|have|done|all|of|watching|reading|about|on|i've|ive|lesson on|好了|好啦|跟着做?|看|听|学|你们的?|知味|小味|嗨|哈喽|呼|天哪|课程|课|终於|刚才|才|在|里|的|：|:|「|《|\"|'|讲)"
)
_TAIL = re.compile(
    r"(?:\s|了|啦|咯|喽|的|到此|(?:有点|好|肚子).{0,2}饿.?|(?:这|那|一)(?:节|堂|门|本|套|个)?|我已|课程|课|学习|全部?|都|也|我|终于|总算|已经|刚刚?|给|系列|视频|看|学|听|上|刷|done|今天|今晚|整个|从头到尾|啊|呀|呢|吧|耶|哦|噢|哈|嘿|嘻|章节?|单元|专题|讲座|lessons?|courses?|class|module|unit|chapter|video|lecture|session|one|series|masterclass|workshop|tutorial|thing|behind me|finally|just|is|was|、|》|」|\"|'|,|-|✅|打卡)$"
)
_GENERIC = re.compile(
    r"^(?:最后|最后一?|所有|全|作业|测验|测试|考试|一遍|一?个?|内容|这些|那些|东西|你|它|这里|那里|上面|下面|第?|到|好|任务|学习|进度|今日份?|今日份学习|今日|新|本|本周|这周|上周|本节|该|某|几|三|两|半天|半|练习|笔记|题|作业也交|晚饭|早饭|午饭|饭|it|everything|that|this|them|lesson|lessons|course|class|classes|homework|quiz|test|today|whole thing|thing|the|whole|all|video|videos|learning|studying|watching|school|work|last|final|first|next|latest|new|whole lot|lot|my homework|and|with|up|now|here|my|for today|one|previous|current|entire|recommended|today's|listening|reading|eating|dinner|lunch|breakfast|cooking|a|an|i|me|you|\\d+%|两遍|一遍|三遍|finally|on|of|in|yet|already|exam|assignment|lecture|lectures|end|to|too|well|老师|报告|你好|哈喽|嗨|证书|just got|got|have|结课证书|课时|我的?|你的?|根据我?的?|收工|自己|i'm|im|i've|ive|we've|to the end|we're|it's|100%|lesson's|class's|clip|today's video|video to|quiz passed|food|班|毕业|结束|完成|twice|语音|线上课?|[两二三]倍速|打完?卡|视频放|不过还是坚持|还是坚持|坚持|[一二两三四五六七八九十百千\\d]+(?:块|元|上下|左右|以内)?|wife.*|懂.*)$"
)


def find_lesson(text: Text, *, finished: bool, asked_why: bool = False) -> Span | None:
    """Give [start, end) of the lesson's title, or None.

    Args:
        text: The message.
        finished: The message reports a finished lesson; else only a title in quotes or one
            that stands beside the word lesson counts.
        asked_why: The message asks for a reason; then "because I did knife skills" counts too.
    """
    folded = text.folded
    quoted = _QUOTED.search(folded)
    if quoted and (finished or re.search(r"《|「|『|课|lesson|course|class|module", folded)):
        return quoted.span(quoted.lastindex or 0)
    patterns = (
        (
            _ABOUT_ZH,
            _OBJECT_ZH,
            _OF_COURSE_ZH,
            _AFTER_VERB_ZH,
            _THAT_ZH,
            _BEFORE_VERB_ZH,
            _CLAUSE_ZH,
            _ABOUT_EN,
            _GOT_EN,
            _BEFORE_VERB_EN,
            _BARE_EN,
            _NAMED_EN,
            _AFTER_VERB_EN,
        )
        if finished
        else (*_MENTIONS, *(_REASONS if asked_why else ()))
    )
    for pattern in patterns:
        if pattern in _CHINESE and not text.is_chinese:
            continue
        for match in pattern.finditer(folded):
            group = "ticked" if "ticked" in pattern.groupindex and match["ticked"] else "title"
            start, end = match.span(group)
            if not finished:
                start = _after_head(folded, start, end)
            span = _trim(folded, (start, end))
            if span is not None:
                return span
    titled = _TITLE_CASE.search(text.original) if finished or asked_why else None
    if titled:
        return titled.span("title")
    numbered = _NUMBERED.search(folded)
    return (
        numbered.span()
        if numbered and (finished or "lesson" in numbered.group() or "课" in numbered.group())
        else None
    )


_MENTION_ZH = re.compile(
    r"(?P<title>[^，。,.!！?？~；;:：\s]{1,20}?)(?:的)?"
    r"(?:(?:那|这)(?:一)?(?:节|门|堂|集|章)课?|节课|门课|堂课|课程|课(?!上|后|里|前|堂)|章节?|期视频|视频)"
)
_MENTION_VERB_ZH = re.compile(
    r"(?:(?:学|看|上|听|刷)(?:完|过|了)|(?:刚|才|在)(?:学|上|看|听)的?|(?:学|上)的(?:是)?|(?<![科放同大小开入自数])学(?!生|校|习|员|到|完|过|了))"
    r"(?P<title>(?!的)[^，。,.!！?？~\s给推为怎咋就吗嘛我你跟有]{2,10}?)"
    r"(?=给|推|为|怎|咋|就|吗|嘛|跟|有|$|[，。,.!！?？])"
)
_MENTION_VERB_EN = re.compile(
    r"(?:\b(?:i|we)(?:'ve|'m|'d)?\s+(?:just |have |recently |only |been |was |am |had )*"
    r"(?:did|doing|took|taking|learn(?:ed|t|ing)(?: about| how to)?|studied|studying|watched|finished|completed|went through|read)"
    r"|\blearning about|\b(?:is|was) (?:this|that|it) from)\s+"
    rf"(?:the |a |an |my |that )?(?P<title>[a-z][^,.!?;:…\"]{{1,30}}?)(?:{_STOP_EN}|(?=\s+(?:trigger|make|cause|lead|get|right|or)\b))"
)
_TITLE_CASE = re.compile(
    r"(?:^|(?<=[a-z,:] ))(?P<title>[A-Z][a-z]+(?: (?:[A-Z0-9][\w'-]*|for|of|and|the|with|to))* [A-Z0-9][\w'-]+)"
)
_MENTION_HEAD = re.compile(
    r"^(?:难道|不会|莫非|是不是|是|就|因为|由于|根据|按照?|凭|跟|和|与|同|对|从|我们?|咱|刚刚?|才|刚才|昨天|今天|上次|"
    r"上(?:完|了|过|的)|学(?:完|了|过|的|到的|习)|看(?:完|了|过|的)|听(?:完|了|过|的)|刷(?:完|了)|的|了|那|这|个|节|堂|门|为什么|为啥|凭什么|凭啥|"
    r"第[一二三]个|什么|哪|一|你|它|他们?|推荐?|给|这个|那个|这些|以|说|来自|属于|基于|结合|配合|按|讲)"
)


_MENTIONS = (_ABOUT_ZH, _MENTION_ZH, _ABOUT_EN, _NAMED_EN)
_REASONS = (_MENTION_VERB_ZH, _MENTION_VERB_EN)
_CHINESE = frozenset(
    {
        _ABOUT_ZH,
        _OF_COURSE_ZH,
        _OBJECT_ZH,
        _AFTER_VERB_ZH,
        _THAT_ZH,
        _BEFORE_VERB_ZH,
        _CLAUSE_ZH,
        _MENTION_ZH,
        _MENTION_VERB_ZH,
    }
)


def _after_head(folded: str, start: int, end: int) -> int:
    """Skip what stands before a mentioned title: 因为我刚学了泡菜 gives 泡菜."""
    while start < end:
        head = _MENTION_HEAD.match(folded[start:end])
        if head is None:
            break
        start += head.end()
    return start


def _trim(folded: str, span: Span) -> Span | None:
    start, end = span
    if _NUMBERED.fullmatch(folded[start:end].strip()):
        stripped = folded[start:end]
        return start + len(stripped) - len(stripped.lstrip()), end - len(stripped) + len(
            stripped.rstrip()
        )
    changed = True
    while changed and start < end:
        changed = False
        head = _HEAD.match(folded[start:end])
        if head and head.end() and _may_cut(folded, start, start + head.end(), end):
            start, changed = start + head.end(), True
        tail = _TAIL.search(folded[start:end])
        if tail and tail.group() and _may_cut(folded, end - len(tail.group()), end, start):
            end, changed = end - len(tail.group()), True
    for numbered in _NUMBERED.finditer(folded):
        if numbered.start() <= start and end <= numbered.end():
            return numbered.span()
    led = _NUMBERED.match(folded[start:end])
    if led and end - start - led.end() <= 4:
        return start, start + led.end()
    title = folded[start:end]
    if (
        not title
        or (len(title) < 2 and not starts_with_food(title))
        or _GENERIC.fullmatch(title)
        or _GENERIC.fullmatch(title.strip("的了 "))
    ):
        return None
    return start, end


def _may_cut(folded: str, cut_start: int, cut_end: int, other: int) -> bool:
    """Latin fillers are cut as whole words only."""
    piece = folded[cut_start:cut_end]
    if not re.search(r"[a-z]", piece):
        return True
    if cut_start < other < cut_end:
        return False
    before = folded[cut_start - 1 : cut_start]
    after = folded[cut_end : cut_end + 1]
    starts_word = not re.match(r"[a-z0-9']", before) if before else True
    ends_word = not re.match(r"[a-z0-9']", after) if after else True
    return starts_word and ends_word
