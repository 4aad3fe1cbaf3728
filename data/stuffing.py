"""Texts that repeat a word to be found by it. Pure."""

from __future__ import annotations

import re
from collections import Counter

MANY_TIMES = 6
LARGE_SHARE = 0.15
"""Prose on one food says its name often, but not in every sixth word."""

_WORD = re.compile(r"[^\W\d_]{3,}")
_HAN_RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]{2,}")
_COMMON = frozenset({"and", "the", "with", "for", "from", "that", "are", "you", "your"})


def stuffed_word(text: str) -> tuple[str, int] | None:
    """Give the word that a text repeats beyond all prose, and how often; None for prose.

    A word counts from three letters on, in Chinese any two characters that stand together.
    """
    folded = text.casefold()
    pairs = [run[at : at + 2] for run in _HAN_RUN.findall(folded) for at in range(len(run) - 1)]
    words = [word for word in _WORD.findall(_HAN_RUN.sub(" ", folded)) if word not in _COMMON]
    for found in (words, pairs):
        if not found:
            continue
        word, count = Counter(found).most_common(1)[0]
        if count >= MANY_TIMES and count >= LARGE_SHARE * len(found):
            return word, count
    return None
