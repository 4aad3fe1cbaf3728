"""One cell of a source to one value, or a `CellError` that says what was expected. Pure.

A cell is a string (CSV, TSV) or any JSON value. An empty cell is None here: unknown, never a
statement.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import date
from decimal import Decimal, InvalidOperation

ID_LONGEST_BYTES = 64
URL_LONGEST = 2048

LIST_SEPARATORS = re.compile(r"[;,|；，、]")
_KEPT_CONTROLS = "\n\t"
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ENGLISH_MONTHS = (
    "january february march april may june july august september october november december"
)
_CHINESE_MONTHS = "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月"
_MONTHS: dict[str, int] = {
    **{str(number): number for number in range(1, 13)},
    **{f"0{number}": number for number in range(1, 10)},
    **{f"{number}月": number for number in range(1, 13)},
    **{name: number for number, name in enumerate(_CHINESE_MONTHS.split(), start=1)},
    **{name: number for number, name in enumerate(_ENGLISH_MONTHS.split(), start=1)},
    **{name[:3]: number for number, name in enumerate(_ENGLISH_MONTHS.split(), start=1)},
    "sept": 9,
}
_ALL_YEAR = frozenset({"all", "all year", "year-round", "year round", "全年", "*"})
_TRUE = frozenset({"true", "yes", "y", "1", "是"})
_FALSE = frozenset({"false", "no", "n", "0", "否"})
_CURRENCY_BY_MARK = {
    "¥": "CNY",
    "元": "CNY",
    "rmb": "CNY",
    "cn¥": "CNY",
    "$": "USD",
    "us$": "USD",
    "€": "EUR",
    "£": "GBP",
}
_PRICE = re.compile(
    r"(?P<before>[^\d\s.,-]{0,4})\s*(?P<number>\d[\d.,]{0,17})\s*(?P<after>[^\d\s.,-]{0,4})"
)
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d{1,4})?")
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}")
_CODE = re.compile(r"[A-Za-z]{3}")


class CellError(Exception):
    """A cell that cannot be read.

    Args:
        expected: Completes the sentence "expected ...".
    """

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def text(value: object, *, longest: int, multiline: bool = False) -> str:
    """Give clean text: NFC, without control characters, "" when empty; never cut."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise CellError("a text")
    clean = "".join(
        character
        for character in unicodedata.normalize("NFC", str(value).replace("\r\n", "\n"))
        if character in _KEPT_CONTROLS
        or (
            unicodedata.category(character) not in ("Cc", "Cs") and character not in _BIDI_CONTROLS
        )
    )
    clean = clean.strip() if multiline else " ".join(clean.split())
    if len(clean) > longest:
        raise CellError(f"at most {longest} characters, not {len(clean)}")
    return clean


def identifier(value: object) -> str:
    """Give an id: 1 to 64 bytes of printable text without spaces."""
    expected = f"an id of 1 to {ID_LONGEST_BYTES} bytes without spaces"
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise CellError(expected)
    found = str(value).strip()
    if not found or not found.isprintable() or any(character.isspace() for character in found):
        raise CellError(expected)
    if len(found.encode("utf-8", "surrogatepass")) > ID_LONGEST_BYTES:
        raise CellError(expected)
    return found


def words(value: object, *, longest: int = 60) -> tuple[str, ...]:
    """Give the entries of a list: JSON, or text split at `;`, `,` or `|`; each once."""
    entries = json_value(value)
    if isinstance(entries, str):
        entries = LIST_SEPARATORS.split(entries)
    if is_empty(entries):
        return ()
    if not isinstance(entries, list):
        raise CellError('a list such as "a;b" or ["a", "b"]')
    cleaned = (text(entry, longest=longest) for entry in entries)
    return tuple(dict.fromkeys(entry for entry in cleaned if entry))


def json_value(value: object) -> object:
    """Read a cell of a table that holds a JSON list or object; leave all others as they are."""
    if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
        return value
    try:
        return loads(value)
    except ValueError:
        raise CellError("well-formed JSON, because it begins like JSON") from None


class Pairs(dict[str, object]):
    """A JSON object that remembers keys which were given more than once."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def loads(source: str) -> object:
    """Read JSON with exact decimals and without NaN; nesting too deep is a ValueError as well."""
    try:
        return json.loads(
            source, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=Pairs
        )
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None


def _refuse(name: str) -> object:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def price(value: object) -> tuple[Decimal, str] | None:
    """Give the amount and the currency, which is "" when the cell does not name one."""
    if is_empty(value):
        return None
    bad = CellError("a decimal number such as 12.90")
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise bad
    found = _PRICE.fullmatch(unicodedata.normalize("NFKC", str(value)).strip())
    if found is None or (found["before"] and found["after"]):
        raise bad
    number = found["number"]
    if _THOUSANDS.fullmatch(number):
        number = number.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(number):
        number = number.replace(",", ".")
    mark = found["before"] or found["after"]
    try:
        amount = Decimal(number)
    except InvalidOperation:
        raise bad from None
    if amount >= 10**10:
        raise bad
    return amount, currency(mark)


def currency(value: object) -> str:
    """Give the ISO code of a currency mark or code, "" when empty."""
    if is_empty(value):
        return ""
    mark = unicodedata.normalize("NFKC", str(value)).strip()
    known = _CURRENCY_BY_MARK.get(mark.casefold())
    if known:
        return known
    if _CODE.fullmatch(mark):
        return mark.upper()
    raise CellError("a currency such as CNY, ¥ or $")


def months(value: object) -> frozenset[int]:
    """Give the months of a season: numbers, names and ranges; `11-2` goes over the new year."""
    found: set[int] = set()
    for entry in words(value):
        if entry.casefold() in _ALL_YEAR:
            return frozenset(range(1, 13))
        first, *rest = re.split(r"\s*[-–—~至到]\s*", entry.casefold())
        last = rest[0] if rest else first
        if len(rest) > 1 or first not in _MONTHS or last not in _MONTHS:
            raise CellError("months such as 3;4;5, 3-5 or Mar-May")
        start, end = _MONTHS[first], _MONTHS[last]
        span = (end - start) % 12
        found.update((start - 1 + step) % 12 + 1 for step in range(span + 1))
    return frozenset(found)


def day(value: object) -> date | None:
    if is_empty(value):
        return None
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    raise CellError("a date such as 2026-03-31")


def boolean(value: object) -> bool | None:
    if is_empty(value):
        return None
    word = str(value).strip().casefold()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise CellError("true or false")


def count(value: object) -> int | None:
    """Give a whole number >= 0."""
    if is_empty(value):
        return None
    word = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,12}(\.0+)?", word):
        raise CellError("a whole number such as 12, 0 or more")
    return int(word.split(".")[0])


def url(value: object) -> str:
    found = text(value, longest=URL_LONGEST)
    if found and not re.fullmatch(r"https?://[^\s/<>\"']+[^\s<>\"]*", found, re.IGNORECASE):
        raise CellError("a web address that begins with https://")
    return found


def one_of(value: object, *, choices: tuple[str, ...]) -> str:
    """Give one of the choices, the first when empty."""
    found = text(value, longest=60).casefold()
    if not found:
        return choices[0]
    if found not in choices:
        raise CellError(f"one of {', '.join(choices)}")
    return found
