"""Find health claims in words about food, in Chinese and English.

EU Regulation 1169/2011 art. 7(3) and China's Food Safety Law art. 71 and 73 forbid to ascribe to a food
the property of preventing, treating or curing a disease. The linter looks at feed texts, creators'
notes and our own sentences.
"""

from __future__ import annotations

import re

from data.catalogue import Item

_DISEASES_ZH = (
    "癌|肿瘤|糖尿病|高血压|血压|血脂|血糖|胆固醇|痛风|关节炎|心脏病|冠心病|中风|脑梗|失眠|抑郁|焦虑症|"
    "哮喘|感冒|流感|便秘|贫血|骨质疏松|肝炎|脂肪肝|肾病|胃病|胃炎|溃疡|炎症|过敏症|老年痴呆|阳痿|早泄|疾病|百病|病毒"
)
_ACTS_ZH = (
    "治疗|治愈|医治|根治|预防|防治|抵抗|对抗|抗|防|治|降低?|稳定|控制|缓解|消除|改善|逆转|疗愈"
)
_CLAIM_ZH = re.compile(
    rf"(?:{_ACTS_ZH})(?:[^，。；,.;\n]{{0,4}})(?:{_DISEASES_ZH})"
    r"|包治|药到病除|疗效|特效药|降[三血]?[高压脂糖尿酸]{1,2}|抗癌|防癌|抗肿瘤|壮阳|排毒养颜|减肥神器|延年益寿"
)
_DISEASES_EN = (
    r"(?:cancers?|tumou?rs?|diabetes|hypertension|(?:high )?blood pressure|(?:high )?cholesterol|blood sugar|gout|"
    r"arthritis|heart (?:disease|attacks?)|strokes?|insomnia|depression|anxiety|asthma|colds?|flu|"
    r"constipation|an[a]?emia|osteoporosis|hepatitis|ulcers?|inflammation|dementia|alzheimer'?s|"
    r"infections?|disease|diseases|illness(?:es)?|viruses|covid)"
)
_CLAIM_EN = re.compile(
    r"\b(?:cures?|treats?|heals?|prevents?|fights?|reverses?|lowers?|reduces?|relieves?|combats?|"
    r"protects? (?:you )?(?:against|from)|wards? off|guards? against|remedy for|eases?|eliminates?)\b"
    rf"(?:\W+\w+){{0,4}}?\W+{_DISEASES_EN}\b"
    rf"|\banti[- ]?(?:cancer|tumou?r|diabet\w*|viral)\b|\b{_DISEASES_EN}[- ](?:cure|remedy|fighting|fighter)\b"
    r"|\bmiracle cure\b|\bdetox(?:es|ifies)? (?:your|the) (?:body|liver|blood)\b",
    re.IGNORECASE,
)


def health_claims(text: str) -> tuple[str, ...]:
    """Give the wordings in `text` that claim an effect on a disease; empty when clean."""
    return tuple(m.group() for pattern in (_CLAIM_ZH, _CLAIM_EN) for m in pattern.finditer(text))


def has_health_claim(item: Item) -> bool:
    """Whether any word that we would show of the item claims an effect on a disease."""
    return any(
        health_claims(text)
        for text in (item.name_zh, item.name_en, item.description_zh, item.description_en)
        if text
    )
