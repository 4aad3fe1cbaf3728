"""The studio's sentences, from `locale/*/studio.po`. Shared words (allergens, prices) come from the chat's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from bot.wording import Words
from data.vocabulary import Language

_LOCALES = {Language.ZH: "zh_Hans", Language.EN: "en"}


@lru_cache(maxsize=4)
def studio_sentences(language: Language) -> Catalog:
    """Read the sentences of a language."""
    path = resources.files("bot") / "locale" / _LOCALES[language] / "LC_MESSAGES" / "studio.po"
    with path.open("rb") as file:
        return read_po(file, locale=_LOCALES[language])


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
        """Give the sentence for `key`; with `n` the plural form that fits.

        Raises:
            KeyError: there is no such sentence; a mistake of ours that a test finds.
        """
        message = studio_sentences(self.language).get(key)
        if message is None or not message.string:
            raise KeyError(f"no sentence {key!r} in {self.language}")
        text = message.string
        if not isinstance(text, str):
            text = text[0] if len(text) == 1 or n == 1 else text[1]
        return str(text.format(n=n, **values)) if values or n is not None else str(text)
