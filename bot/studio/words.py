"""The studio's sentences, from `locale/*/studio.po`. Shared words (allergens, prices) come from the chat's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from babel.messages.catalog import Catalog

from bot.wording import Words, said, sentences
from data.errors import InvalidInput
from data.vocabulary import Language


def studio_sentences(language: Language) -> Catalog:
    """Give the studio's sentences of a language."""
    return sentences(language, "studio")


@dataclass(frozen=True, slots=True)
class StudioWords:
    """Says things of the studio in one language."""

    language: Language

    @property
    def shared(self) -> Words:
        """The words of the conversation, in the same language."""
        return Words(self.language)

    @property
    def tag(self) -> str:
        """The language as `<html lang>` wants it."""
        return "zh-Hans" if self.language is Language.ZH else "en"

    def __call__(self, key: str, n: int | None = None, **values: object) -> str:
        """Give the sentence for `key`; with `n` the plural form that fits. See `wording.said`."""
        return said(studio_sentences(self.language), key, n, values)


class Refused(InvalidInput):
    """Something that cannot be done, with a sentence in each language: the fact and the remedy."""

    def __init__(self, key: str, **values: object) -> None:
        """Take the sentence's key and what stands in its places."""
        self.key = key
        self._values = values
        super().__init__(self.told(Language.EN))

    def told(self, language: Language) -> str:
        """Say it in that language."""
        return said(studio_sentences(language), self.key, None, self._values)


@runtime_checkable
class Told(Protocol):
    """An error that knows its sentence in each language."""

    def told(self, language: Language) -> str:
        """Say it in that language."""
        ...


def told_in(error: Exception, language: Language) -> str:
    """The error in that language where it knows its words, else as it is."""
    return error.told(language) if isinstance(error, Told) else str(error)
