"""The words people read, in their language. The sentences stand in `locale/*/*.po`.

A sentence has a key and named places: `words("slate.intro", lesson="...")`. A test holds that both
languages are complete and name the same places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib import resources

from babel import Locale, dates, lists, numbers
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from data.catalogue import Item
from data.vocabulary import Allergen, AllergenState, Language

_LOCALES = {Language.ZH: "zh_Hans", Language.EN: "en"}


@lru_cache(maxsize=8)
def sentences(language: Language, domain: str = "zhiwei") -> Catalog:
    """Read the sentences of a language: of the conversation, or of another `domain` (`studio`)."""
    path = resources.files("bot") / "locale" / _LOCALES[language] / "LC_MESSAGES" / f"{domain}.po"
    with path.open("rb") as file:
        return read_po(file, locale=_LOCALES[language])


def said(catalog: Catalog, key: str, n: int | None, values: Mapping[str, object]) -> str:
    """Give the sentence for `key` with its places filled; with `n` the plural form that fits.

    Raises:
        KeyError: there is no such sentence, or it has a place without a value; a mistake of ours
            that a test finds.
    """
    message = catalog.get(key)
    if message is None or not message.string:
        raise KeyError(f"no sentence {key!r} in {catalog.locale}")
    text = message.string
    if not isinstance(text, str):
        forms = text
        text = forms[0] if len(forms) == 1 or n == 1 else forms[1]
    # Filled in any case: a place that nobody fills must not reach a person as {braces}.
    return str(text.format(n=n, **values))


@dataclass(frozen=True, slots=True)
class Words:
    """Says things in one language."""

    language: Language

    def __call__(self, key: str, n: int | None = None, **values: object) -> str:
        """Give the sentence for `key`; see `said`."""
        return said(sentences(self.language), key, n, values)

    @property
    def locale(self) -> Locale:
        return Locale.parse(_LOCALES[self.language])

    def price(self, item: Item) -> str:
        """Price with unit, or the words for an unknown price."""
        if item.price is None:
            return self("price.unknown")
        amount = self.amount(item.price, item.currency)
        return f"{amount} / {item.unit}" if item.unit else amount

    def amount(self, price: Decimal, currency: str) -> str:
        """A sum of money in the reader's form."""
        return str(numbers.format_currency(price, currency or "CNY", locale=self.locale))

    def day(self, day: date) -> str:
        return str(dates.format_date(day, format="medium", locale=self.locale))

    def several(self, parts: Iterable[str]) -> str:
        """Join as people do: "a, b, and c"; 「a、b和c」."""
        return str(lists.format_list(list(parts), style="standard", locale=self.locale))

    def name(self, item: Item) -> str:
        return item.name(self.language)

    def allergen(self, allergen: Allergen | str) -> str:
        return self(f"allergen.{allergen}")

    def category(self, category: str) -> str:
        """A category in words; one that we have no word for stands as it is."""
        key = f"category.{category}"
        message = sentences(self.language).get(key)
        return self(key) if message is not None and message.string else category

    def diet(self, diet: str) -> str:
        return self(f"diet.{diet}")

    def allergen_line(self, item: Item) -> str:
        """What the label says, in one line that never promises anything."""
        by_state: dict[AllergenState, list[str]] = {}
        for allergen in Allergen:
            by_state.setdefault(item.allergen_state(allergen), []).append(self.allergen(allergen))
        if item.allergens_checked_on is None or len(by_state.get(AllergenState.UNKNOWN, [])) == 14:
            known = (
                [self("allergens.contains", list=self.several(by_state[AllergenState.CONTAINS]))]
                if AllergenState.CONTAINS in by_state
                else []
            )
            return self("allergens.join", parts=" ".join([*known, self("allergens.unknown")]))
        parts: list[str] = []
        if AllergenState.CONTAINS in by_state:
            parts.append(
                self("allergens.contains", list=self.several(by_state[AllergenState.CONTAINS]))
            )
        if AllergenState.MAY_CONTAIN in by_state:
            parts.append(
                self("allergens.may", list=self.several(by_state[AllergenState.MAY_CONTAIN]))
            )
        if AllergenState.UNKNOWN in by_state:
            parts.append(
                self("allergens.open", list=self.several(by_state[AllergenState.UNKNOWN]))
            )
        if not parts:
            parts.append(self("allergens.none"))
        parts.append(self("allergens.checked", day=self.day(item.allergens_checked_on)))
        return self("allergens.join", parts=" ".join(parts))


def language_for(code: str, default: Language = Language.EN) -> Language:
    """Give the language for a client's tag: `zh-hans`, `zh-TW`, `en-GB`; others the default."""
    tag = code.lower().replace("_", "-").split("-")[0]
    if tag == "zh":
        return Language.ZH
    return Language.EN if tag == "en" else default
