"""What an import expected of a cell, in the reader's language. The import itself speaks English."""

from __future__ import annotations

import re

from bot.studio.words import studio_sentences
from bot.wording import said
from data.vocabulary import Language

_KEYS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), f"expected.{key}")
    for pattern, key in (
        (r"a text", "text"),
        (r"prose; it has the word (?P<word>\S+) (?P<count>\d+) times", "prose"),
        (r"at most (?P<most>\d+) characters, not (?P<got>\d+)", "shorter"),
        (r"an id of 1 to (?P<most>\d+) bytes without spaces", "id"),
        (r"an id of its own, because line (?P<line>\d+) has this one", "own_id"),
        (r"a list such as .*", "list"),
        (r"well-formed JSON.*", "json_cell"),
        (r"a decimal number such as 12\.90", "price"),
        (r"a currency such as .*", "currency"),
        (r"months such as .*", "months"),
        (r"a date such as .*", "day"),
        (r"true or false", "boolean"),
        (r"a whole number such as .*", "count"),
        (r"a web address that begins with https://", "url"),
        (r"a name in name_zh, name_en or name", "name"),
        (r"a day not before available_from \((?P<day>[\d-]+)\)", "order"),
        (r"a price in (?P<currency>\w+)", "price_in"),
        (r"one currency, not both (?P<one>\w+) and (?P<other>\w+)", "one_currency"),
        (r"diets among (?P<known>.*); the others are left out", "diets"),
        (r"one of (?P<known>.*); it is kept as a tag, not as a category", "category"),
        (r"one of (?P<known>[^;]*)", "choice"),
        (r"allergens among (?P<known>.*); all its allergens now count as unknown", "allergens"),
        (r"a state among (?P<known>.*); all its allergens now count as unknown", "states"),
        (
            r"(?P<name>\S+) only once, not (?P<one>\w+) and (?P<other>\w+); (?P<counts>\w+) counts",
            "allergen_once",
        ),
        (r"one JSON object in the line.*", "json_line"),
        (r"each key only once", "key_once"),
        (r"a quote to be closed, and doubled inside a cell", "quote"),
        (r"(?P<wanted>\d+) cells, as the header has, not (?P<got>\d+)", "cells"),
        (r"(?P<encoding>\S+) text", "encoding"),
    )
)


def expected_in(language: Language, expected: str) -> str:
    """Say what was expected; a sentence that we do not know stays as it is."""
    if language is Language.EN:
        return expected
    for pattern, key in _KEYS:
        found = pattern.fullmatch(expected)
        if found is not None:
            return said(studio_sentences(language), key, None, found.groupdict())
    return expected
