"""Numbers as people write them: 30, 三十, 一百五, 二三十, twenty, a hundred and fifty. Pure."""

from __future__ import annotations

import re

_DIGITS = dict(
    zip("零〇一二两俩三仨四五六七八九", (0, 0, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9), strict=True)
)
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10000}

_ONES = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ],
        range(20),
        strict=True,
    )
)
_TENS = dict(
    zip(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
        range(20, 100, 10),
        strict=True,
    )
)
_ENGLISH = {**_ONES, **_TENS, "fourty": 40, "hundred": 100, "thousand": 1000, "grand": 1000}

_WORD = "|".join(sorted(_ENGLISH, key=lambda word: -len(word)))
NUMBER = (
    r"(?:(?:\d+(?:,\d{3})*(?:\.\d+)?\s?[k千百万](?![a-z])|\d+(?:,\d{3})*(?:\.\d+)?"
    r"|[一二两三四五六七八九](?:[二三四五六七八九])?[十百千万](?:[零〇一二两三四五六七八九十百千]*)"
    r"|[百千]八十|[百千][来把]|十[来几]?[一二三四五六七八九]?|[一二两三四五六七八九])"
    rf"|(?:(?<![a-z])(?:an?\s+)?(?:{_WORD})(?:(?:(?:(?<=hundred)|(?<=thousand)|(?<=grand))\s+and\s+|[\s-]+)(?:{_WORD}))*(?![a-z])))"
)
"""Matches one number; of a spread such as 二三十 (twenty or thirty) the whole."""


def value_of(written: str) -> float | None:
    """Give the number that was written; the upper end of a spread. None when it is no number."""
    written = written.strip().lower()
    if re.fullmatch(r"\d+(?:,\d{3})*(?:\.\d+)?", written):
        return float(written.replace(",", ""))
    scaled = re.fullmatch(r"(\d+(?:,\d{3})*(?:\.\d+)?)\s?([k千百万])", written)
    if scaled:
        factor = {"k": 1000, "千": 1000, "百": 100, "万": 10000}[scaled[2]]
        return float(scaled[1].replace(",", "")) * factor
    if re.search(r"[a-z]", written):
        return _english(written)
    return _chinese(written)


def _english(written: str) -> float | None:
    total = current = 0
    words = [word for word in re.split(r"[\s-]+", written) if word not in {"a", "an", "and", ""}]
    if not words or any(word not in _ENGLISH for word in words):
        return None
    for word in words:
        value = _ENGLISH[word]
        if word in {"thousand", "grand"}:
            total += max(current, 1) * value
            current = 0
        elif word == "hundred":
            current = max(current, 1) * value
        else:
            current += value
    return float(total + current)


def _chinese(written: str) -> float | None:
    if written == "百八十":
        return 100.0
    written = re.sub(r"[来几把]", "", written)
    # 二三十 is a spread: its upper end counts.
    written = re.sub(r"^[一二两三四五六七八](?=[二三四五六七八九][十百千万])", "", written)
    total = section = digit = 0
    last_unit = 1
    for character in written:
        if character in _DIGITS:
            digit = _DIGITS[character]
            if character in "零〇":
                last_unit = 10
        elif character in _UNITS:
            unit = _UNITS[character]
            section += max(digit, 1) * unit if unit < 10000 else 0
            if unit == 10000:
                total += max(section + digit, 1) * unit
                section = 0
            digit, last_unit = 0, unit
        else:
            return None
    # 一百五 is 150: a last digit without a unit counts in the next lower one.
    section += digit * (last_unit // 10 if last_unit >= 100 else 1)
    return float(total + section)
