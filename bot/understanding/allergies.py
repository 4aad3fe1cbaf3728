"""Allergies and emergencies in a message. Safety outranks accuracy: when in doubt, say so. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.understanding.lexicon import FoodHit
from bot.understanding.text import Text
from data.vocabulary import Allergen

_CERTAIN = re.compile(
    r"过敏(?!原(?:列表|有哪)|科)|致敏|敏感(?!词)|荨麻疹|風疹|风疹|起(?:了)?(?:一身|满身|好多|红)?(?:红)?(?:疹|包|疙瘩|风团|癣)|(?:浑身|全身|身上|皮肤|一身|满身)(?:就|会|都|会发|马上)?(?:发)?(?:痒|红|疙瘩|疹)|哮喘|休克|(?:嘴|唇|舌|喉|嗓|脸|眼|脖|咽|手|身上|全身|头)[^，。,]{0,8}(?:肿|发麻|麻|痒|紧|堵)|肿(?:成|得|起来|了|一圈|脸|嘴)|会肿|(?:就|一定|准|立马|马上|会)肿|喘不(?:上|过)|(?:会|就|要)喘|呼吸困难|肾上腺素|救护车|打(?:了)?120|呼吸急促|进(?:了|过)?(?:医院|急诊|抢救|icu|ICU)|抢救室|刺挠|(?:让|害|使)(?:我|他|她|它|娃|孩子).{0,4}喘|咳个不停|(?:喉咙|嗓子)(?:痒|疼|紧|发紧|难受)|送医|(?:去|上|进|住)(?:了)?(?:医院|急诊)|要(?:了)?(?:我|他|她)?(?:的)?命|(?:我|他|她|娃)(?:半条|一条|小)命|会死人?|出人命|红点|红斑|红一片|发红|变红|泛红|起泡|皮疹|湿疹|发痒|瘙痒"
    r"|\b(?:allerg\w*|alergic|alergy|allegic|anaphyla\w*|hives|rash(?:es)?|epi-?pens?|swell(?:s|ing|ed)?|swollen|itch(?:y|es|ing)?|wheez\w+|asthma|break(?:s)? out|broke out|breaking out|throat (?:close|closes|closing|tight\w*|swell\w*|shuts?|itch\w*|burns?|goes? (?:tight|scratchy|numb))|airway|close(?:s)? (?:up )?my throat|closes my airways?|airways?|intolerant to|intolerance to|puff(?:s|y)? up|puffy|numb|tingl\w+|"
    r"can'?t breathe|cannot breathe|trouble breathing|hospital|er visit|the er|ambulance|covered in (?:spots|bumps|welts)|welts|blotch\w*|react(?:s|ed|ion|ions)?(?: badly)?|antihistamine|benadryl|eczema|balloons?|turns? (?:\w+ ){1,2}red|red all over|comes? (?:me |him |her )?out in|out in a rash|burns? (?:my|his|her) (?:gums|lips|throat)|a&e|killed (?:me|him|her)|could (?:kill|die)|kill(?:s)? (?:me|him|her|us)|deadly|lethal|might die|i'?ll die)\b"
)
_POSSIBLE = re.compile(
    r"肿|痒|疹|喘|发麻|起包|咳个不停|送命|没命|出人命|急救|抢救|进医院|不舒服|拉肚子|肚子疼|肚子痛|胃疼|胃痛|反胃|想吐|恶心|吐了|就吐|会吐|吐(?:得|一)|腹泻|难受|受不了(?:刺激)?|碰不得|碰都不能碰|吃不得|不能吃|不能碰|吃了(?:会|就|要)(?:出事|倒霉|完蛋|进)|不耐受|不耐|身体不行|吃完(?:就)?(?:拉|吐|疼|痒|不)|忌(?:食|口)|(?:不行|不可以|出事|要命|命)|反应(?:很|挺|特别|大)"
    r"|\b(?:swell\w*|swollen|itch\w*|hives|rash\w*|sneez\w+|cough\w*|faint\w*|collapse\w*|dangerous|emergency|flare\w*|red patches|flush\w*|sets? (?:me|him|her|us) off|(?:won'?t|doesn'?t|don'?t) end well|ends? badly|can'?t be near|makes? (?:me|him|her|us|my \w+) (?:sick|ill|feel|throw|vomit|unwell|nauseous|queasy)|feel(?:s)? (?:sick|ill|funny|weird) after|upset(?:s)? (?:my|his|her) (?:stomach|tummy)|stomach ?ache|cramps|bloat\w*|can'?t (?:eat|have|tolerate|touch|digest|handle|do)|cannot (?:eat|have|tolerate|touch)|not allowed|off limits|disagrees? with|don'?t get along|don'?t agree with|doesn'?t agree with|intoleran\w+|throw(?:s)? up|vomit\w*|sick from|sensitive to|sensitivity|bad for me|must avoid|no good for)\b"
)
_EMERGENCY = re.compile(
    r"(?:喘不(?:上|过)(?:来)?气|呼吸(?:不了|困难|不上来|急促|不过来)|上不来气|上气不接下气|气上不来|憋气|憋得(?:慌|喘)|胸(?:口)?(?:闷|发紧)得|叫不醒|没(?:有)?意识|失去意识|意识模糊|口吐白沫|嘴唇?发紫|脸色?发(?:紫|青)|没法呼吸|不能呼吸|透不过气|窒息|过敏性休克|休克(?!疗法)|(?:喉咙|喉头|嗓子|嗓子眼|咽喉|气管)(?:正在|在|好像|都|已经|开始|感觉|突然|有点|很|越来越)*(?:水?肿|堵|发?紧|锁)|(?:嘴巴?|嘴唇|唇|舌头|脸|眼睛|眼皮)(?:正在|在|已经|突然|好像|都|开始|越来越|全)*肿(?:起来|了|得|着|成|大)|肾上腺素笔|打120|救护车|噎(?:住|到|着)|喘(?:得(?:厉害|不行|慌)|起来|成)|(?:嘴|唇|舌)[^，。]{0,4}麻[^。]{0,8}(?:喉|嗓|喘|气)|^\W*救命[啊呀\W]*$|120[！!]|昏(?:倒|过去|迷)|晕(?:倒|过去|厥)|快晕|倒(?:下|地)(?:了|不起|上)|epipen|急救针|肾上腺素|快不行了|救命.{0,10}(?:过敏|吃了)|刚吃(?:了|完).{0,16}(?:肿|喘|晕|全身痒|起疹|呼吸)|误食|脸都肿|嘴都肿)"
    r"|(?:\b(?:can'?t|cannot|can not|cant|hard to|struggling to|unable to|trouble|difficulty|couldn'?t|isn'?t|not) breath\w*|anaphyla\w+|throat (?:is |has |feels (?:like it'?s )?)?(?:\w+ and |all |so |really |getting |going )?(?:clos\w+|swell\w+|tight\w*|swollen)|(?:tongue|lips?|face|throat|mouth|eyes?)(?: is| are|'s| have| has)?(?: all| really| badly| getting| now| started| starting to| just)* (?:swell(?:ing)?|swollen|swelled|puffing|going numb)|epi-?pens?|call (?:911|999|112|an ambulance|120)|ambulance|(?:can'?t|cannot|hard to|trouble) swallow\w*|tongue (?:feels|is|got|getting) (?:so |really |too )?(?:big|thick|huge|fat|heavy)|hives.{0,25}wheez\w*|wheez\w*.{0,25}hives|passed out|passing out|fainted|fainting|collapsed?|collapsing|unconscious|unresponsive|won'?t wake|gasping|short(?:ness)? of breath|out of breath|chest (?:is |feels )?(?:tight|tightening)|wheezing (?:badly|now|and)|hives (?:and|all over).{0,30}(?:breath|wheez|dizzy|throat)|lips (?:are )?(?:blue|turning blue)|going blue|severe reaction|allergic reaction|"
    r"(?:just|accidentally) (?:ate|had|swallowed|eaten).{0,40}(?:swell\w*|hives|breath\w*|throat|itch\w*|dizzy|rash|allerg\w+)|going into shock|choking|turning blue)"
)
_HABIT = re.compile(
    r"=|上回|沾一点|沾一口|(?:不能|不可以|别)碰|以后|每次|一吃|一碰|一沾|一喝|只要|从小|向来|会(?:肿|喘|起|让)|吃(?:了|到)?(?:就|会)|记(?:一下|住|下)|曾经|上次|以前|小时候|去年|(?:打|进|住|休克|肿|犯|有)过(?!去|来)|体质|容易|过敏(?!性休克)史|别(?:推|给)|不要推|不能(?:推|吃)|忌"
    r"|\b(?:every time|whenever|always|when(?:ever)? (?:i|he|she) (?:eat|eats|have|has|drink)|if (?:i|he|she)|makes?|gives?|carry|carries|from now|remember|never|used to|last (?:year|time|week)|once|would|could|can'?t (?:eat|have)|allergic to|due to|because of|don'?t|avoid|no \w+ for me|history|please note|in (?:19|20)\d\d)\b"
)
_NOW = re.compile(
    r"现在|正在|刚(?:刚|才|吃)|救命|快|怎么办|已经|突然|马上|急|\bnow\b|\bjust\b|help|right now|suddenly|is (?:closing|swelling)|are swelling|what (?:do|should) i do|emergency|!"
)
_DENIED = re.compile(
    r"(?:不|没|没有|并不|不再|不会|无)(?:对[^，。]{0,6})?过敏|过敏(?:好了|没了|已经好|消失|是误诊)|脱敏|误诊|乌龙|搞错|不是过敏|并非过敏"
    r"|查(?:出来|过).{0,6}(?:没事|假的|不是|不过敏)|复查(?:过|了|没事|正常)|指标正常|(?:wrong|mistaken) diagnosis|test(?:ed)? negative|\b(?:not|no longer|isn'?t|never|wasn'?t|aren'?t|don'?t have (?:an?|any)|no|without) (?:\w+ )?allerg|outgr[eo]w|false alarm|was a mistake|test (?:was|came back) negative|misdiagnos|(?:doc|doctor) cleared|cleared (?:me|him|her)|mix-?up"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allergies:
    """What a message says about bodies that react to food."""

    allergens: tuple[Allergen, ...] = ()
    words: tuple[str, ...] = ()
    """Causes outside the 14, as the person wrote them."""
    is_certain: bool = False
    is_possible: bool = False
    is_emergency: bool = False


def find_allergies(text: Text, foods: list[FoodHit]) -> Allergies:
    """Read allergies; without a named food the marks alone are set."""
    folded = text.folded
    emergency = is_emergency(text)
    certain = _CERTAIN.search(folded) is not None
    possible = _POSSIBLE.search(folded) is not None
    if _DENIED.search(folded):
        certain = possible = False
    causes = _causes(text, foods)
    allergens = dict.fromkeys(allergen for hit in causes for allergen in hit.food.allergens)
    words = dict.fromkeys(
        text.original[hit.start : hit.end] for hit in causes if not hit.food.allergens
    )
    return Allergies(
        allergens=tuple(allergens),
        words=tuple(words),
        is_certain=certain or emergency,
        is_possible=possible,
        is_emergency=emergency,
    )


def is_emergency(text: Text) -> bool:
    """Whether someone may be reacting severely right now.

    A habit ("whenever I eat nuts my throat swells") is an allergy; anything that may be
    happening now is an emergency, also when both readings are open.
    """
    folded = text.folded
    if not _EMERGENCY.search(folded):
        return False
    return not _HABIT.search(folded) or _NOW.search(folded) is not None


def speaks_of_allergy(text: Text) -> bool:
    """Whether a word for an allergic reaction is there and not denied."""
    return _CERTAIN.search(text.folded) is not None and _DENIED.search(text.folded) is None


def mentions_allergy(text: Text) -> bool:
    """Whether a word for allergy is there, denied or not."""
    return _CERTAIN.search(text.folded) is not None or _DENIED.search(text.folded) is not None


def may_speak_of_allergy(text: Text) -> bool:
    """Whether the body reacts, in words that also fit dislike or upset."""
    return _POSSIBLE.search(text.folded) is not None


def _causes(text: Text, foods: list[FoodHit]) -> list[FoodHit]:
    """Of 海鲜过敏，鱼虾蟹贝 all; of "allergic to nuts, want fruit" only what is not asked for."""
    if len(foods) <= 1:
        return foods
    wanted = re.compile(
        r"(?:想吃|想要|要|来点|推荐|换成|改成|可以吃|能吃|喜欢|爱吃|\bwant|\blike|\blove|\bprefer|\bgive me|\bsome|\brecommend|\bfine with|\bcan eat|\bare fine|\bis fine)[^，。,.;；]{0,8}$"
    )
    kept = [
        hit
        for hit in foods
        if not wanted.search(text.folded[: hit.start])
        and not re.match(r"里面?的?", text.folded[hit.end :])
    ]
    return kept or foods
