"""The studio's sentences, from `locale/*/studio.po`. Shared words (allergens, prices) come from the chat's."""

from __future__ import annotations

from dataclasses import dataclass

from babel.messages.catalog import Catalog

from bot.wording import Words, said, sentences
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
