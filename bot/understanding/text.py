"""A message in the form that is matched: simplified, folded, and as long as the original. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from opencc import OpenCC

_QUOTES = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u02bc": "'"}
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_BREAK = re.compile(
    r"[,，.。;；!！?？\n~～…—:：（）()]+(?!\d)|(?<!\w)-(?!\w)|(?<!thing)(?<!all)\s+but\s+|但是?|不过|可是|然后|而是"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One message and its folded form; position i means the same character in both."""

    original: str
    folded: str
    """Simplified characters, half-width, lower case; len(folded) == len(original)."""

    @property
    def is_chinese(self) -> bool:
        """Whether it holds at least one Chinese character."""
        return _HAN.search(self.folded) is not None

    def clauses(self) -> list[tuple[int, int]]:
        """Give (start, end) of the parts between punctuation and contrast words, in order."""
        cuts = [0]
        parts: list[tuple[int, int]] = []
        for mark in _BREAK.finditer(self.folded):
            parts.append((cuts[-1], mark.start()))
            cuts.append(mark.end())
        parts.append((cuts[-1], len(self.folded)))
        return [(start, end) for start, end in parts if self.folded[start:end].strip()]

    def clause_at(self, position: int) -> tuple[int, int]:
        """Give (start, end) of the clause around a position; of the whole text if there is none."""
        for start, end in self.clauses():
            if start <= position < end:
                return start, end
        return 0, len(self.folded)


def fold(original: str) -> Text:
    """Fold a message for matching, character by character where lengths would differ.

    Half surrogate pairs, which no encoder accepts, become question marks.
    """
    original = original.encode("utf-8", "replace").decode()
    folded = _simplified(original)
    folded = "".join(_fold_character(character) for character in folded).translate(_QUOTES)
    return Text(original=original, folded=folded)


def _simplified(text: str) -> str:
    converted: str = _converter().convert(text)
    if len(converted) == len(text):
        return converted
    return "".join(_one(_converter().convert(character), character) for character in text)


def _fold_character(character: str) -> str:
    return _one(unicodedata.normalize("NFKC", character).lower(), character)


def _one(candidate: str, otherwise: str) -> str:
    return candidate if len(candidate) == 1 else otherwise


@lru_cache(maxsize=1)
def _converter() -> OpenCC:
    return OpenCC("t2s")
