"""Take out of a description what goes beside the food, or what it is compared with. Pure.

"Serve with eggs", "tear over tomatoes and cheese", 配面包 speak of other foods; "custard-soft" and
奶油般 of none. A serving stretch begins at a word of serving and ends with the sentence, or where the
text comes back to the food itself ("contains", "made with", 含, 制成): from there on words count again.

Doubt keeps the words: "roast peanuts", 撒满花生碎 and "a mix of nuts" say what the food is made of.
"""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"[^。；！？.;!?\n]+[。；！？.;!?\n]*")

_VERBS = (
    "serve|eat|toss|tuck|stir|add|spread|drizzle|scatter|simmer|braise|bake|try|crumble|grate|sprinkle"
    "|enjoy|melt|swirl|spoon|pour|shave|scrape|drape|tear|pound|scoop|grind|drink|poach|scramble|mash"
    "|snap|chop|shred|steep|soak|sear|dice|marinate|throw|slide|whip|wilt|blanch|use|cook|rinse|taste"
    "|grab|nibble|finish|whisk|thin|loosen"
)
_VERBS_OR_NOUNS = (
    "roast|fry|grill|steam|slice|top|dust|roll|toast|dry-toast|crisp|boil|drop|layer|pile|fold|dress|wrap"
    "|stuff|shell|blend|mix|dip|butter|char"
)
_ON_IT_GOES = (
    r"(?=\s*,|\s+(?:and|or|it|them|into|over|with|in|on|through|for|a|an|the|to|until|round|around|under|thick"
    r"|thin|plain|whole|lightly|gently|well|yoghurt|five|overnight)\b)"
)
_SERVING_EN = (
    rf"(?:^\W*|[,:]\s*|\b(?:to|can|simply|just|raw|then)\s+)(?:(?:{_VERBS})\b|(?:{_VERBS_OR_NOUNS})\b{_ON_IT_GOES})"
    rf"|\b(?:and|or)\s+(?:{_VERBS}|{_VERBS_OR_NOUNS})\b{_ON_IT_GOES}"
    r"|\bserved?\b|\bpairs? (?:well )?with\b|\bgoes with\b"
    r"|\b(?:good|great|excellent|perfect|ideal|lovely|best|suited|at home) (?:with|in|on|over|beside)\b"
    r"|^\W*an? (?:pinch|spoonful|splash|few drops|few pieces|small piece|drizzle|handful)\b"
    r"|\b(?:beside|alongside)\b|\bmelts? into (?=pasta|pizza|sauces?|dressings?)"
    r"|\bcooked in (?=congee|mash|soup)|\bperfumes? (?=cakes|steamed)|\bdance over\b"
    r"|\ba (?:simple|quick|match-night|colourful)(?= [a-z]+ (?:starch|nibble|filling|topping|snack))"
    r"|\bfor\b"
)
_CLAUSE = r"(?:^\W*|[,，、:：—]\s*|(?<=[或再可能宜干软开]))"
_NOT_ON_IT = r"(?![料方比心含])(?![上满有着了过][^、，。]*)(?![^,，。；、]*的)"
_SERVING_ZH = (
    rf"{_CLAUSE}(?:可|能|宜|用来|拿来|用于|直接|最宜|常|也可|再|单吃|一勺|几滴|少许|随手)?"
    rf"(?:[淋撒浇涂抹加配夹铺冲滴拌蘸佐卷盖]|[做炒炖煮煎烤焖烩熬煲涮蒸焯烧炸卤腌捏打泡裹包]|清蒸|红烧|香煎|爆炒|大火爆炒|用于|卧){_NOT_ON_IT}"
    rf"|(?:配(?!成)|蘸|烫熟淋|[灼香]后淋|冷食浇){_NOT_ON_IT}"
    r"|刮出|铺在(?!表面)|搭配|适合|适宜|可与|落在|刨在|香透|点缀|提味|收尾|兑温|下清|烫火锅|滑入|沥干|泡软|泡一夜|掺入|代替|挤汁|榨汁"
    r"|擦丝|切[厚薄]?[片丝丁块段碎开细]|切成|磨粉做|低温慢烤|橄榄油慢烤|慢慢加|做成(?:馅|饼|汤)|用[一-鿿]{1,4}[煎炒烤煮]"
    r"|冲拿铁|手冲|岭南人炒|拌意面|给(?=[^。；]{0,20}(?:添|提|增|上色))|与(?=[一-鿿]{1,8}同[煮炖炒扣烧])"
)
_SERVING = re.compile(f"{_SERVING_EN}|{_SERVING_ZH}")

_COMPOSITION_EN = (
    r"\b(?:contain(?:s|ing)?|includ(?:es|ing)|ingredients?|made (?:with|of|from)|full of|rich in|packed"
    r"|loaded|blend of|mix of|with real|comes? with|traces?|line that|lines? handling|facility|handles"
    r"|(?!serv|pair|cook|steam|mari)[a-z]+ed (?:with|by|from))\b"
)
_COMPOSITION_ZH = (
    r"(?<!不)含|配料|原料|内有|制成|夹心|包心|腌制|外裹|裹着|裹有|同线|生产线|痕量|可能有"
)
_COMPOSITION = re.compile(f"{_COMPOSITION_EN}|{_COMPOSITION_ZH}")
_COMPOSITION_OR_WITH = re.compile(rf"{_COMPOSITION_EN}|{_COMPOSITION_ZH}|\bwith\b")
"""After a bare "for" also "with" comes back: "a bar for hikers with peanuts"."""

_ALIKE = "坚果|果仁|奶油|黄油|奶|焦糖|蛋糕|布丁|芝士|卡仕达|冰淇淋|果冻|枫糖|豆腐"
_COMPARISON = re.compile(
    r"\b[a-z]+-(?:like|soft|smooth|sweet|tart)\b"
    r"|\b(?:like|reminiscent of|notes? of|hints? of)\s+(?:an?\s+|the\s+)?(?:ocean\s+|soft\s+)?[a-z]+\b"
    r"|\b(?:(?:hazelnut|nut|butter|sour cream|cream|caramel|malt|bread|toast|raisin|cocoa|biscuit|honey"
    r"|milk)(?:,| and)? )+notes\b"
    r"|\b(?:milled|ground|whipped|beaten|blended) to an? (?:[a-z]+ )?cream\b"
    rf"|(?:入口)?(?:似|如|像)(?:海味)?(?:{_ALIKE})|(?:{_ALIKE})(?:般|质感|似的)"
    r"|(?:坚果|果仁|奶|黄油|奶油)(?:[与和、][一-鿿]{1,3}){0,3}(?:香|调|味儿?)(?!的?[面饼糖酱])"
)


def without_servings(text: str) -> str:
    """Give the text without its serving stretches; what stands before them stays."""
    return "".join(_own_words(match.group()) for match in _SENTENCE.finditer(text))


def _own_words(sentence: str) -> str:
    kept: list[str] = []
    position = 0
    while (cue := _SERVING.search(sentence, position)) is not None:
        kept.append(sentence[position : cue.start()])
        comes_back = _COMPOSITION_OR_WITH if cue.group() == "for" else _COMPOSITION
        back = comes_back.search(sentence, cue.end())
        if back is None:
            return "".join(kept) + "\n"
        kept.append(f" {back.group()}")
        position = back.end()
    return "".join(kept) + sentence[position:]


def without_comparisons(text: str) -> str:
    """Give the text without words that only compare: "custard-soft", 奶油般, "notes of butter"."""
    return _COMPARISON.sub(" ", text)
