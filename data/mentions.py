"""Find known phrases in running text, longest first, in Chinese and English. Pure.

Chinese is scanned by character, English by word with a light plural rule, so that "tomatoes" finds
"tomato" and "eggplant" does not find "egg".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_LATIN_WORD = re.compile(r"[a-z0-9à-öø-ÿœ]+(?:['’][a-z]+)?")
_JOINT = re.compile(r"[ \t\u00a0\-‐'’&/]*")
_HAN = re.compile(r"[㐀-鿿]")


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase found in a text: `text[start:end]` after `normalised`."""

    start: int
    end: int
    phrase: str
    """The phrase as it stands in the scanner, not as it is written in the text."""


def normalised(text: str) -> str:
    """Fold width and case without changing the length of what people usually write."""
    return unicodedata.normalize("NFKC", text).lower()


def has_han(text: str) -> bool:
    """Whether the text has at least one Chinese character."""
    return _HAN.search(text) is not None


@lru_cache(maxsize=100_000)
def singular(word: str) -> str:
    """Give the singular of a regular English plural; other words come back as they are."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("oes", "ches", "shes", "xes", "sses")):
        return word[:-2]
    if word.endswith("ves") and len(word) > 4:
        return word[:-3] + "f"
    return word[:-1]


class MentionScanner:
    """Longest, leftmost, non-overlapping phrases of a fixed set.

    A phrase with a Chinese character matches anywhere; a Latin phrase matches whole words.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._han: dict[str, str] = {}
        self._han_lengths: dict[str, tuple[int, ...]] = {}
        self._latin: dict[tuple[str, ...], str] = {}
        self._latin_lengths: dict[str, tuple[int, ...]] = {}
        han_lengths: dict[str, set[int]] = {}
        latin_lengths: dict[str, set[int]] = {}
        for phrase in phrases:
            text = normalised(phrase).strip()
            if not text:
                continue
            if has_han(text):
                self._han.setdefault(text, phrase)
                han_lengths.setdefault(text[0], set()).add(len(text))
                continue
            words = tuple(singular(m.group()) for m in _LATIN_WORD.finditer(text))
            if words:
                self._latin.setdefault(words, phrase)
                latin_lengths.setdefault(words[0], set()).add(len(words))
        self._han_lengths = _longest_first(han_lengths)
        self._latin_lengths = _longest_first(latin_lengths)

    def find(self, text: str) -> list[Mention]:
        """Give the mentions of `text` in order; offsets refer to `normalised(text)`."""
        folded = normalised(text)
        found = [*self._find_han(folded), *self._find_latin(folded)]
        return _without_overlaps(found)

    def _find_han(self, text: str) -> Iterator[Mention]:
        position = 0
        while position < len(text):
            for length in self._han_lengths.get(text[position], ()):
                # Near the end a slice is shorter than asked, and may be another phrase.
                phrase = self._han.get(text[position : position + length])
                if phrase is not None and position + length <= len(text):
                    yield Mention(position, position + length, phrase)
                    position += length - 1
                    break
            position += 1

    def _find_latin(self, text: str) -> Iterator[Mention]:
        matches = list(_LATIN_WORD.finditer(text))
        words = [singular(m.group()) for m in matches]
        position = 0
        while position < len(words):
            for length in self._latin_lengths.get(words[position], ()):
                phrase = self._latin.get(tuple(words[position : position + length]))
                named = matches[position : position + length]
                if phrase is not None and len(named) == length and _are_joined(text, named):
                    last = named[-1]
                    yield Mention(matches[position].start(), last.end(), phrase)
                    position += length - 1
                    break
            position += 1


def _are_joined(text: str, words: list[re.Match[str]]) -> bool:
    """Whether nothing but blanks and hyphens stands between the words: no line, no other script."""
    return all(_JOINT.fullmatch(text, one.end(), other.start()) for one, other in pairwise(words))


def _longest_first(lengths: Mapping[str, set[int]]) -> dict[str, tuple[int, ...]]:
    return {head: tuple(sorted(found, reverse=True)) for head, found in lengths.items()}


def _without_overlaps(found: list[Mention]) -> list[Mention]:
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda m: (m.start, m.start - m.end)):
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept
