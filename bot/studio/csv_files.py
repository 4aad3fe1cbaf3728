"""Tables as CSV that a spreadsheet opens as data: never as a formula, and Chinese as Chinese."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_STARTS_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> object:
    """Give the value with a `'` before it where a spreadsheet would compute it.

    Text is looked at after leading white space, which spreadsheets skip. Numbers stay numbers.
    """
    if value is None or isinstance(value, (int, float)):
        return value
    text = str(value)
    bare = text.lstrip()
    if bare.startswith(_STARTS_FORMULA) or text[:1] in ("\t", "\r", "\n"):
        return f"'{text}"
    return text


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Give CSV in UTF-8 with the mark that makes Excel read it as such."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([safe_cell(column) for column in columns])
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
    return ("\ufeff" + file.getvalue()).encode()
