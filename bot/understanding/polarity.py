"""Whether a word in a message is wanted or refused: negation and its reach. Pure."""

from __future__ import annotations

import re

from bot.understanding.lexicon import starts_with_food
from bot.understanding.text import Text

_REFUSE_ZH = (
    r"不(?:太|怎么|是很|大|能|可以|要|想|爱|喜欢|吃|喝|碰|沾|含|带|放|加|用|买|感兴趣|来|推|看|推荐|给|准|许|会|敢|该|宜|适合|用再|必|搞|整|食|鐘意|钟意|中意|好|行|需要|考虑)+(?!错)"
    r"|别(?:再|要|想|碰|给|老|总|又|推|来|放|有|让|整|是|带|加|搞|弄|吃|看|显示|出现|的)*(?!的)|甭|莫(?:要|得)|勿|唔(?:好|要|想|食|钟意|中意|得|饮|爱)*|冇|毋|无(?!所谓|论|.{1,3}不欢)"
    r"|(?<!有)没有?(?!什么|问题|关系|事)|免(?!费)|去掉|去除|除了|除(?!夕)|除去|除开|抛开|避开|避免|忌(?:口)?|戒(?:掉|了)?|少(?:点|放|来|吃|推|一点|些)?|拒绝|讨厌|受不了|过滤|屏蔽|拉黑|排除|剔除|删掉|减掉|扣掉|远离|停掉|禁(?:止|掉|了)?|踢掉|"
    r"太多|都是|全是|老是|总是|又是|怎么又|净是|还推|又推|老推|总推|还给我|又给我|尽是|清一色|腻了|吃腻|吃够|够了|取代|代替(?!品)|过敏|反感|恶心|怕|嫌"
)
_NO_REFUSAL_ZH = (
    r"不如|不妨|不得不|不要紧|不仅|不只|不光|不错|不介意|不反对|没(?:有)?问题|要不要|要不(?!得)|"
    r"能不能|可不可以|是不是|有没有|想不想|好不好|会不会|来不来|有冇|离不开|少不了|"
    r"就不能|怎么不|咋不|为啥不|为什么不|干嘛不|何不|不用(?:再)?(?:避|忌|过滤|屏蔽)"
)
_WANT_ZH = (
    r"想要|想吃|想喝|要|来(?:点|份|个|些)?|换成|换作|改成|改为|换|给(?:我)?|整|喜欢|爱|"
    r"多(?:点|来|放|一点|些)?|加(?:点|些)?|最好|有|只(?:要|吃|想)|还是|配|就|能吃|恢复|"
    r"可以(?:有|吃)|中意|想|求|偏向"
)
_REFUSE_EN = (
    r"(?:(?:don'?t|dont|do not|doesn'?t|doesnt|does not|didn'?t|can'?t|cant|cannot|can not|won'?t|wont|wouldn'?t|shouldn'?t|mustn'?t|isn'?t|aren'?t|ain'?t|never|not|no|none of|nor|neither|hardly|nothing|without|w/o|stop|quit)"
    r"(?:\s+(?:really|ever|want|wanting|need|like|have|having|eat|eating|drink|touch|any|show|showing|give|giving|me|us|to|recommend|recommending|suggest|suggesting|feel|feeling|fancy|fancying|in|the|mood|for|get|getting|anything|that|has|contains|containing|with|more|do|send|sending|offer|care|a|fan|into|so much|much|too|keen|on|of|these|this|those|all|crazy|about|consume|include|including|other|add|put|serve|see|seeing|please|big|allowed|able|handle|stand|up|pushing|push|contain|use|using|made|from|keep))*)"
    r"|anything but|anything except|everything but|everything except|all but|except(?: for)?|other than|apart from|aside from|besides|skip(?:ping)?|hold the|drop(?:ping)?|avoid(?:ing|s)?|minus|"
    r"instead of|rather than|less|fewer|enough(?: with)?|sick of|tired of|fed up with|hate|hates|stand|can'?t stand|free from|free of|(?<!sugar )(?<!gluten )(?<!fat )(?<!dairy )(?<!lactose )(?<!salt )(?<!sugar-)(?<!gluten-)(?<!fat-)(?<!lactose-)free|cut(?:ting)? (?:out|back on|down on)|leave (?:out|off)|ditch(?:ing)?|nix|"
    r"remove|exclude|excluding|lay off|lose the|lose|gave up|given up|giving up|give up|off limits|(?:is|are|'re|'s|those|these) all(?: just)?|all (?:are|just|about|three are|of (?:them|these|those) are)|enough with|(?:that's|it's|such|this is) a lot of|so much|so many|too much|too many|allergic to|allergy to|allergies to|ban(?:ned)?|block(?:ed)?|forbid|filter(?:ing)? out|"
    r"(?:swap|switch|change|trade|exchange)(?:ping|ing)? (?:out )?(?:the|my|that|this)|replac(?:e|ing) (?:the|my|that)?|over(?: the)?|stay(?:ing)? away from|steer clear of|refuse|despise|loathe|dislike|detest|clear of|hates|sworn off|swore off|went off|gone off|sans|zero|keep out|out with"
)
_NO_REFUSAL_EN = (
    r"why not|not only|don'?t mind|do not mind|wouldn'?t mind|can'?t get enough(?: of)?|don'?t you have|do you not have|not bad|no problem with|not enough|not sure|no idea|couldn'?t live without|can'?t live without|can'?t beat|never get enough(?: of)?|"
    r"don'?t have to avoid|no need to avoid|you can stop"
)
_WANT_EN = (
    r"wants?|love|loves|like|likes|prefer|prefers|some|craving|crave|make it|give me|show me|more|rather have|rather|fancy|need|how about|what about|maybe|please add|add|"
    r"instead (?:give|show|i)|for|with(?!out)|into|favou?rite|mood for|feel like|feel for|feeling like|enjoy|but|just|let'?s have|i'll have|looking for|go for|switch to|bring|i'd go|only|use|with a|also|plus|perhaps|got any|any(?!thing)|to|instead"
)
_ZH = re.compile(rf"(?:{_NO_REFUSAL_ZH})|(?P<refuse>{_REFUSE_ZH})|(?:{_WANT_ZH})")
_EN = re.compile(rf"\b(?:(?:{_NO_REFUSAL_EN})|(?P<refuse>{_REFUSE_EN})|(?:{_WANT_EN}))\b")

_AFTER_ZH = re.compile(
    r"(?:类|的东西|制品|那些|什么的|的|这类|之类|[和、,，及跟与]|肉|干|味)*(?:我|也|都|就|通通|统统|一律|全部?|真的?|实在|先|可以|是|一口|一点|一点儿|碰|吃|算|这种|今天|今晚|这次|那种|那一类)*"
    r"(?:不(?!错|赖|欢|贵|辣|如|够|过|知道|限|用忌)|别(?!的)|甭|莫|除外|以外|之外|算了|免了|免谈|吃不[了得惯]|碰不得|受不了|拉黑|屏蔽|少的|少点|(?:的)?(?:口感|味道|质量)?(?:太)?(?:差|难吃|腥|膻)|过敏|跳过|pass|no|out|太多|吃吐|吃伤|吃腻|吃够|换成|换作|换掉|改成|唔|冇|忌|减半|滚|去掉|禁|NG|ng|\s*❌|💀|腻了|就免)"
)
_AFTER_EN = re.compile(
    r"\s*(?:-| )?(?:free\b|allergy|allergies|intoleran\w+|is out\b|are out\b|is off|are off|is a no|are a no|isn'?t|aren'?t|ain'?t|is not|are not|makes? me|make me|gives? me|is forbidden|are forbidden|is banned|off (?:my|the)|ban\b|"
    r"(?:\w+ ){0,2}(?:disagrees?|don'?t agree|doesn'?t agree|excluded|aside|swapped|replaced|\bout\b)|\? no\b|\? nope|\? ew|:? no(?:pe)?\b|never\b|again\?|❌)"
)
_WITHOUT = re.compile(
    r"(?:无|低|少|免|脱|零|0|减|不含|不加|不放|没)(?:添加)?(?:蔗糖|乳糖|糖|盐|油|脂|钠|麸质?|辣)"
    r"|(?<![a-z])(?:(?:sugar|gluten|fat|lactose|dairy|salt|nut|meat|oil)[- ]free"
    r"|(?:low|less|reduced|no|zero|no added|lower)[- ](?:in )?(?:sugar|salt|fat|sodium|carb))(?![a-z])"
)
"""What a thing is without says nothing about the thing: 无糖的饮料 is a wish for a drink."""
_ASKS_AT_END = re.compile(r"[不没](?:呀|啊|呢)?\W*$")
_LONGEST_TAIL = 4
_LONGEST_LISTED = 16
_FINE = re.compile(
    r"\s*(?:(?:is|are|'s|'re) (?:totally |perfectly |all |also )?(?:fine|ok|okay|good|great|allowed|alright|welcome)\b|(?:倒是|还是|是)?(?:可以|没问题|没事|没关系|还行|OK|ok|也行|能接受))"
)
_INHERIT = re.compile(r"^[\s,，、和及跟与或or/&and]*$")


def is_refused(text: Text, start: int, end: int) -> bool:
    """Whether the word at [start, end) is refused, or wanted as things are by default."""
    folded = text.folded
    clause_start, clause_end = text.clause_at(start)
    before, after = folded[clause_start:start], folded[end:clause_end]
    before = _WITHOUT.sub(lambda match: " " * len(match.group()), before)
    if _ASKS_AT_END.fullmatch(after) and re.search(r"有|能|可以|卖|会|是", before):
        return False
    if _FINE.match(after):
        return False
    if _refused_behind(after):
        return True
    if re.search(r"把[^把]*$", before) and re.search(
        r"换|改|替|撤|去掉|拿[走掉下]|删|除|下架|剔", after
    ):
        return True
    cue = "refuse" if re.search(r"\btoo\s*$", before) else _last_cue(before)
    if cue is None and clause_start > 0 and re.fullmatch(r"[\s\w]{0,6}", before):
        return _inherits(text, clause_start, start, end)
    if cue == "refuse" and re.search(
        r"(?:怎么|为什么|why).{0,8}(?:不|没|don'?t|no)\s*\S{0,6}$", before
    ):
        return False
    return cue == "refuse"


def is_fine(text: Text, end: int) -> bool:
    """Whether the word that ends there is said to be fine: "but eggs are fine"."""
    return _FINE.match(text.folded[end:]) is not None


def _refused_behind(after: str) -> bool:
    """海鲜不要 refuses the food before; 鱼不想吃肉 without a comma refuses the one behind."""
    match = _AFTER_ZH.match(after)
    if match:
        if re.search(r"(?:换成|换作|换掉|改成)$", match.group()):
            return True
        rest = re.sub(
            r"^(?:想|要|好|再|给)*(?:吃|食|喝|饮|要|来|推)?(?:点|些)?", "", after[match.end() :]
        )
        return starts_with_food(rest) is False
    return _AFTER_EN.match(after) is not None


def _last_cue(before: str) -> str | None:
    cue: str | None = None
    position = -1
    for pattern in (_ZH, _EN):
        for match in pattern.finditer(before):
            if match.start() >= position:
                position = match.start()
                cue = "refuse" if match["refuse"] else "want"
    return cue


def _inherits(text: Text, clause_start: int, start: int, end: int) -> bool:
    """In a list (no fish, shrimp, crab) a bare word takes the refusal that opened the list."""
    folded = text.folded
    before = folded[clause_start:start].strip()
    if before and not _INHERIT.fullmatch(before):
        return False
    _, clause_end = text.clause_at(start)
    if len(folded[end:clause_end].strip()) > _LONGEST_TAIL:
        return False
    later = clause_start
    for part_start, part_end in reversed(text.clauses()):
        if part_start >= later:
            continue
        if folded[part_end:later].strip() not in {",", "，", "、"}:
            return False
        part = folded[part_start:part_end]
        cue = _last_cue(part)
        if cue is not None:
            return cue == "refuse"
        if len(part.split()) > 2 or len(part.strip()) > _LONGEST_LISTED:
            return False
        later = part_start
    return False
