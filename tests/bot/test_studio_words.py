"""The studio's sentences: complete in both languages, with the same places, and all of them used."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from bot.studio.words import StudioWords, studio_sentences
from data.vocabulary import Language

ROOT = Path(__file__).parents[2] / "bot"


def _keys(language: Language) -> set[str]:
    return {
        str(m.id if isinstance(m.id, str) else m.id[0]) for m in studio_sentences(language) if m.id
    }


def _texts(language: Language, key: str) -> list[str]:
    message = studio_sentences(language).get(key)
    assert message is not None
    return [message.string] if isinstance(message.string, str) else list(message.string)


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things() -> None:
    assert _keys(Language.EN) == _keys(Language.ZH)
    for key in _keys(Language.EN):
        places = {frozenset(_places(text)) for lang in Language for text in _texts(lang, key)}
        assert len(places) == 1, key
        assert all(text for lang in Language for text in _texts(lang, key)), key


def test_chinese_sentences_are_chinese() -> None:
    for key in _keys(Language.ZH):
        for text in _texts(Language.ZH, key):
            assert re.search(r"[\u4e00-\u9fff]", text), (key, text)


def test_every_sentence_that_a_page_asks_for_exists() -> None:
    asked = set()
    for file in (*ROOT.glob("studio/**/*.html"), *ROOT.glob("studio/*.py")):
        asked |= set(
            re.findall(
                r"""(?:\bt|words)\(\s*["']([a-z_]+\.[a-z_0-9]+)["']\s*[,)]""", file.read_text()
            )
        )

    assert len(asked) > 100
    assert asked <= _keys(Language.EN)


@pytest.mark.parametrize("language", Language)
def test_no_sentence_promises_safety_or_health(language: Language) -> None:
    bad = re.compile(
        r"\bsafe\b|\btreats?\b|\bcures?\b|\bprevents?\b|安全的|治疗|预防|降血压", re.IGNORECASE
    )

    for key in _keys(language):
        assert not any(bad.search(text) for text in _texts(language, key)), key


def test_plural_forms_follow_the_number() -> None:
    words = StudioWords(Language.EN)

    assert words("catalogue.problems", n=1) == "1 problem"
    assert words("catalogue.problems", n=2) == "2 problems"
    assert StudioWords(Language.ZH)("catalogue.problems", n=1) == "1 个问题"
