"""What a message shows on its face, as numbers for the intent model: cue words and found slots. Pure."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from bot.understanding.allergies import (
    is_emergency,
    may_speak_of_allergy,
    mentions_allergy,
    speaks_of_allergy,
)
from bot.understanding.items import find_item
from bot.understanding.lexicon import find_foods, find_words
from bot.understanding.polarity import is_refused
from bot.understanding.prices import find_price
from bot.understanding.tastes import find_tastes
from bot.understanding.text import Text

_CUES: tuple[tuple[str, str], ...] = (
    (
        "suggestion",
        r"推荐|安利|吃啥|吃什么|吃点?(?:啥|什么)|整点啥|有(?:啥|什么)好|建议|主意|介绍|种草|支招|灵感|(?:帮|给|替)我?.{0,3}(?:挑|选|想|配|拿)|\brec(?:s|ommend\w*)?\b|\bsuggest\w*|what (?:should|could|can|do|to|shall)|\bideas?\b|\badvise|inspir|what'?s good|pick (?:something|one|me|out)|\bchoose\b",
    ),
    (
        "your_choice",
        r"你定|你来定|看着办|随便|随意|你说了算|听你的|决定|surprise|惊喜|your (?:call|choice)|you (?:choose|decide|pick)|up to you|dealer|whatever you|trust you",
    ),
    (
        "no_suggestion",
        r"(?:别|不要|不准|甭|少|停止|勿|莫)(?:再|给我|老|总)*(?:推|荐|给|看|出现|显示|来)|(?:don'?t|do not|stop|never|quit|no more) (?:ever )?(?:show|recommend|suggest|give|offer|push|send|put)",
    ),
    (
        "why",
        r"为什么|为何|为啥|凭什?么|凭啥|理由|原因|依据|根据|点解|道理|逻辑|怎么(?:会|想到|又|老|总)|咋(?:会|老|又)|\bwhy\b|how come|\breason|based on|what made|rationale|justify|explain|on what|\by tho",
    ),
    (
        "suspicion",
        r"广告|提成|恰饭|赞助|收了?.{0,4}钱|商家|回扣|偷看|监听|sponsor|commission|\bpaid\b|\bpay you|ads?\b|spying|kickback|earn",
    ),
    ("relation", r"关系|相干|联系|关联|有关|related|connection|to do with|link"),
    (
        "sale",
        r"卖|多少钱|几钱|几块|有货|货|哪(?:里|儿|家).{0,4}(?:买|有)|价位|什么价|啥价|价格|上架|\bsell|\bstock|how much|where (?:can|do|could|to|is|'s)|looking for|\bprice\b|\bcarry\b|\bcost|available|\bbuy\b|in store",
    ),
    (
        "find",
        r"找|搜|查|有没有|有木有|有冇|\bfind\b|\bsearch|\blook(?:ing)? (?:up|for)|\bgot any|do you have|have you got|any .{2,20}\?",
    ),
    (
        "lasting",
        r"以后|永远|从今|今后|从此|一直|长期|永久|再也|每次|从不|从来|一律|默认|记住|记一?下|往后|向来|一辈子|这辈子|始终|全部都?要|平时|从现在|日后|终身|牢记|备注|from now|never|always|forever|permanent|in (?:the )?future|going forward|for good|as a rule|from (?:today|here|this)|every time|whenever|anymore|remember|please note|make a note|henceforth|long term|\bever\b",
    ),
    (
        "one_off",
        r"今天|这次|今晚|这顿|客人|这回|今儿|一次|暂时|明天|周末|待会|等下|同事|朋友|today|this time|tonight|guest|for once|visiting|coming over|right now|a friend|my friend",
    ),
    (
        "lifting",
        r"不用再|不用(?:管|避|只|少)|取消|恢复|解除|撤|作废|解禁|放开|又(?:能|可以|开始|吃上|碰)|收回|拿掉|划掉|解封|解了|放出来|不作数|不算数|作罢|开荤|到期|不(?:再)?(?:吃素|控糖|减肥|减脂|戒)了|以前(?:说|设)|之前(?:说|设)|不再|(?:可以|能|行|好).{0,6}了$|误诊|去掉|删掉|移除|加回|改口味|清空|关掉|no longer|not .{0,20}any ?more|\bagain\b|\blift|\bremove|\bdrop\b|undo|cancel|scrap|turns? out|fine now|back on|reset|delete|unblock|re-?allow|allow|take back|off the list|no longer|stopped|(?:is|are|'s) (?:welcome|back)|was a mistake|wrong diagnosis|came back (?:clear|negative)|needn'?t|don'?t bother|outgrew|forget (?:about|what|the)|take .{0,20}off|clear",
    ),
    (
        "rule_word",
        r"限制|忌口|上限|预算|要求|条件|规矩|禁令|那条|restriction|constraint|\brule|\bcap\b|limit|\bban\b|setting|budget",
    ),
    (
        "i_do_not_eat",
        r"我?(?:们|家)?(?:从来?|都|也|是)?不(?:吃|喝|碰|沾|能吃|能喝)|唔食|忌|戒|i (?:don'?t|do not|never|can'?t|cannot) (?:eat|drink|have|touch|do)|stay away from|allergic|i'?m (?:a )?(?:vegan|vegetarian)|we keep|gave up",
    ),
    (
        "finished",
        r"(?:学|看|听|上|刷|肝|啃|补|读|做|搞|整)(?:习|课)?完|(?:学|课|视频|节|讲|集|章).{0,8}(?:完|结束|done|打卡|搞定|通关|收官|告一段落|拉满|结尾|到底|尾声|✅|✔|☑)|毕业|结业|下课|打卡|完成|(?:finish|complet|wrapp?ed|passed|watched|graduat)\w*|\bdone\b|caught up|through with|got through|end of the|is over",
    ),
    (
        "lesson",
        r"课|《|「|章|lesson|course|class|module|chapter|lecture|video|unit|tutorial|\bquiz",
    ),
    (
        "data",
        r"数据|资料|信息|记录|账号|账户|历史|档案|隐私|\bdata\b|history|account|records?\b|\binfo|profile|file\b|personal",
    ),
    (
        "delete",
        r"删|清空|清除|抹|注销|销毁|销号|忘(?:了|掉|记)我|移除|格式化|一条不留|delete|erase|wipe|forget (?:me|everything)|purge|close my|remove me|scrub|trace|unregister",
    ),
    (
        "export",
        r"导出|汇出|下载|备份|副本|拷贝|拷|打包|一份|带走|存档|csv|json|表格|export|download|\bcopy\b|backup|back up|archive|zip|spreadsheet|portab|access request|take my data",
    ),
    (
        "show",
        r"看看|看下|查看|显示|列出|列表|记了|存了|知道我|了解我|设(?:了|过|置)|我的(?:资料|档案|忌口|偏好|口味|设置|预算|限制)|小本|show|list|view|what .{0,30}(?:know|have|stored|saved|remember)|do you (?:still )?(?:have|remember|know)|my (?:settings|profile|preferences|restrictions|allergies)|am i|on file|marked|is my|check my",
    ),
    (
        "pause",
        r"停|暂停|别发|别烦|打扰|骚扰|退订|闭嘴|安静|歇|消停|别再来|免打扰|先不|等我|td$|^td|pause|unsubscribe|stop|mute|quiet|leave me|break\b|hold off|opt out|busy|not now|shut up|silent|snooze|notifications? off|buzzing|cut it out|\bshh?\b|嘘|清净|改天|改日|回头|睡了|到此|没空|不方便|later|not a good time|enough|suspend",
    ),
    (
        "resume",
        r"继续|接着|恢复|重新|回来|取消暂停|重启|开启|打开|复工|开工|开始|resume|start|i'm back|unpause|continue|again|back|keep going|unmute|carry on|restart|wake|reactivat|no longer busy|turn .{0,16}on|ready|(?:忙|考|闲|放|出差|睡)(?:完|下来|回来)|解除|解禁|pick up where",
    ),
    ("messages", r"消息|推送|通知|发(?:给)?我|联系|订阅|messag|notif|ping|text|subscri|send"),
    (
        "help",
        r"怎么(?:用|设|取消|改|切|告诉|跟你|让你|操作)|如何|使用|说明|功能|教程|指令|命令|菜单|会(?:干|做|些)|能(?:干|做)(?:啥|什么)|帮助|新手|help|how (?:do|does|can|to|would)|what can (?:you|i)|command|instruction|manual|tutorial|guide|features|menu",
    ),
    (
        "greeting",
        r"^(?:你好|您好|嗨|哈喽|hello|hi\b|hey|早|晚上好|下午好|中午好|在吗|在不在|有人|good (?:morning|evening|afternoon)|yo\b|howdy|sup\b|greetings|喂|哈啰)",
    ),
    (
        "thanks",
        r"谢|感恩|感激|辛苦|多亏|费心|有劳|3q|thx|thank|\bty\b|cheers|appreciat|grateful|merci|tysm|owe you",
    ),
    (
        "praise",
        r"喜欢|爱了|爱吃|真香|好吃|不错|棒|绝了|yyds|可以可以|赞|合(?:我)?(?:心意|胃口|口味)|种草|巴适|中意|香疯|太可了|封神|对味|舔|抢着吃|停不下来|\blove|\blike\b|great|amazing|yum|perfect|delicious|favou?rite|awesome|nice|enjoy|obsessed|fan of|digging|phenomenal|unreal|insane(?:ly)?|hooked|addict|devour|slap(?:s|ped)|nailed it|spot on|tasty|👌|😋|🤤|👍|😍|❤",
    ),
    (
        "choosing",
        r"我要|就(?:它|他|这|要|第)|选|下单|拿下|加购|购物车|买了|订|来一份|i'?ll (?:take|have|go)|go with|i want|order|basket|cart|sold|give me|for me\b|it is\b",
    ),
    (
        "more_like",
        r"类似|这样的|这种的|差不多|同款|更多|多来|再来|more (?:like|of)|similar|same (?:again|kind)|keep .{0,10}coming",
    ),
    (
        "bad",
        r"不喜欢|讨厌|难吃|踩雷|差评|无感|没兴趣|不感兴趣|垃圾|失望|恶心|嫌弃|拉胯|难喝|看不上|不好吃|接受不了|烦|雷|鄙|唔鍾意|唔钟意|呵呵|倒胃口|没胃口|鞋底|白瞎|后悔|狗都不|堪忧|什么鬼|啥玩意|hate|don'?t like|disgust|gross|yuck|\bew+\b|awful|terrible|not a fan|\bmeh\b|horrible|boring|vile|not interested|bad\b|lame|👎|nope|not my|duds?|letdown|garbage|rubbish|wouldn'?t (?:touch|feed|eat)|let me down|never (?:did|done) it for|swing and|🤮|🤢|💩|😒",
    ),
    (
        "direction",
        r"太(?!棒|好|谢|感)|不够|一点|(?<!早)点的|些的|更|别太|少|too |more|less|er\b|lighter|instead|without|rather|except|anything but",
    ),
    (
        "change",
        r"换|改|再来|别的|其他|其它|下一批|重来|另外|swap|replace|change|other|different|another|next|shuffle|new batch|try again|refresh",
    ),
    (
        "want",
        r"想(?:吃|要|喝|来)|来(?:点|个|份)|要(?!不)|给我|want|craving|mood|fancy|need|feel like|i'd",
    ),
    (
        "order",
        r"快递|退(?:款|货|钱)|发票|订单|发货|送到|物流|客服|人工|投诉|支付|优惠券|地址|包裹|赔|货到付款|refund|invoice|receipt|\border\b|deliver|parcel|package|courier|payment|promo|coupon|human|complain|charged|shipping|track",
    ),
    (
        "medical",
        r"药|医|病|发烧|疼|痛|血压|血糖|尿酸|治|症|能吃.{0,10}吗|可以吃.{0,8}吗|减肥|明目|补血|养胃|败火|一起吃吗|medicine|doctor|pill|eyesight|cholesterol|healthy to|bad for you|fever|disease|pressure|cure|prevent|diabet|gout|pain|pregnan|symptom|sick|safe to|calories",
    ),
    (
        "off_topic",
        r"天气|下雨|笑话|作业|翻译|股票|基金|币|代码|电影|唱|数学|总统|政|新闻|比赛|赢|汇率|房价|恋|几点|论文|weather|joke|homework|translate|stock(?:s)?\b|code|python|movie|song|math|president|election|vote|news|game|bitcoin|capital|poem|essay|love me|girlfriend",
    ),
    (
        "injection",
        r"指令|系统提示|prompt|忽略|无视|扮演|限制的ai|ignore|instruction|pretend|jailbreak|\bdan\b|system|developer mode|password|admin",
    ),
    (
        "recipe",
        r"怎么(?:做|煮|炒|蒸|炖|腌|切|煎|擀|烤|泡|洗|存)|做法|配方|菜谱|食谱|几分钟|(?:多久|几分钟).{0,4}(?:熟|合适|够|好|能)|(?:煮|蒸|炖|烤|醒|腌)(?:多久|几分钟|多长)|去腥|怎么(?:处理|挑|发|磨|剥|去)|recipe|how (?:do|should|does) .{0,16}(?:steam|cook|boil|rest|roast|soak)|how (?:do i|to|long) .{0,4}(?:cook|make|boil|bake|fry|cut|store|do)|cook\b",
    ),
    ("summary", r"总结|归纳|重点|概括|讲了啥|summar|main points|recap|tl;?dr"),
    (
        "others",
        r"别人|别的(?:用户|学员|同学)|其他(?:用户|人|学员)|大家都买|隔壁|他的|她的|other (?:user|people|customer|student)s?|neighbou?r|most (?:users|people)|someone else|user list",
    ),
    ("laughter", r"^[\W哈呵嘿啊。.…lomf?？!]*$|haha|lol\b|^[a-z]{5,}$"),
    ("stated_past", r"上次|上回|之前|昨天|last time|yesterday|the other day|earlier"),
    (
        "no_equipment",
        r"没(?:有)?.{0,3}(?:灶|锅|炉|烤箱|冰箱|火|厨房)|微波炉|only have|don'?t (?:have|own)|no (?:oven|stove|kitchen)|microwave",
    ),
    (
        "for_whom",
        r"给(?:我)?(?:爸|妈|奶|爷|孩|娃|老|孙|女|儿|朋友|领导)|送|for my|for the|present|gift",
    ),
    (
        "question_word",
        r"吗|么\b|呢|什么|啥|哪|怎么|咋|多少|几|是不是|能不能|有没有|\?|？|^(?:what|which|who|how|where|when|is|are|do|does|did|can|could|would|will|should)\b",
    ),
    (
        "not_item",
        r"不要(?:这|那|第)|(?:这|那)(?:个|款|样).{0,4}(?:不|别|算了)|don'?t want (?:this|that|it|these|any)|not (?:this|that) one|none of",
    ),
)
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _CUES)

_FOUND = [
    "item",
    "price_limit",
    "price_wish",
    "food",
    "plain_food",
    "narrow_food",
    "refused_food",
    "wanted_food",
    "diet",
    "taste",
    "meal",
    "occasion",
    "season",
    "allergy",
    "may_be_allergy",
    "allergy_word",
    "emergency",
]
_SHAPE = [
    "question",
    "exclamation",
    "chinese",
    "short",
    "medium",
    "long",
    "bare_food",
    "quoted",
    "starts_i",
    "latin_in_chinese",
]
CUE_NAMES: tuple[str, ...] = (*(name for name, _ in _PATTERNS), *_FOUND, *_SHAPE)
"""The meaning of each column of `cue_vector`."""


def cue_vector(text: Text) -> NDArray[np.float32]:
    """Give (len(CUE_NAMES),) float32 in [0, 1]: which cues a message shows."""
    folded = text.folded
    values = {name: pattern.search(folded) is not None for name, pattern in _PATTERNS}
    foods = find_foods(text)
    refused = [is_refused(text, hit.start, hit.end) for hit in foods]
    slots = {hit.slot for hit in find_words(text)}
    price = find_price(text)
    values |= {
        "item": find_item(text) is not None,
        "price_limit": "price_max" in price or "price_min" in price,
        "price_wish": "price" in price,
        "food": bool(foods),
        "plain_food": any(hit.food.is_plain for hit in foods),
        "narrow_food": any(not hit.food.is_plain for hit in foods),
        "refused_food": any(refused),
        "wanted_food": not all(refused),
        "taste": bool(find_tastes(text, lifting=False)),
        "allergy": speaks_of_allergy(text),
        "may_be_allergy": may_speak_of_allergy(text),
        "allergy_word": mentions_allergy(text),
        "emergency": is_emergency(text),
    }
    values |= {slot: slot in slots for slot in ("diet", "meal", "occasion", "season")}
    size = len(folded) if text.is_chinese else len(folded.split()) * 2
    named = sum(hit.end - hit.start for hit in foods)
    values |= {
        "question": "?" in folded or "？" in folded,
        "exclamation": "!" in folded or "！" in folded,
        "chinese": text.is_chinese,
        "short": size <= 5,
        "medium": 5 < size <= 12,
        "long": size > 20,
        "bare_food": bool(foods) and named >= len(folded.strip()) - 1,
        "quoted": re.search(r"[《「『\"]", folded) is not None,
        "starts_i": re.match(r"\W*(?:我|俺|咱|本人|i\b|i'|my\b|im\b)", folded) is not None,
        "latin_in_chinese": text.is_chinese and re.search(r"[a-z]{3}", folded) is not None,
    }
    return np.array([values[name] for name in CUE_NAMES], dtype=np.float32)
