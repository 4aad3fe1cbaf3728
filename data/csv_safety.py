"""CSV that a spreadsheet opens as text: no cell of ours becomes a formula on somebody's machine.

A spreadsheet runs a cell that begins with = + - @ (also in their full-width forms, also behind
blanks). Such texts get an apostrophe in front, which spreadsheets hide. That changes the value; so
whoever feeds the file to a program asks for `raw`.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from data.errors import InvalidInput

Cell = str | int | float | Decimal | date | bool | None

_STARTERS = frozenset("=+-@＝＋－＠﹢﹣﹦﹫−")
_CONTROLS = frozenset("\t\r\n\v\f\0")
_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\t\r\n\v\f\0\"'"
"""White space and invisible characters, and quotes that some readers strip."""


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might run the text."""
    if not text:
        return False
    bare = text.lstrip(_BLANKS)
    return text[0] in _CONTROLS or bare[:1] in _STARTERS


def safe_cell(value: Cell) -> str:
    """Give the text of a cell; numbers stay numbers, also negative ones."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = value.replace("\0", "")
        return f"'{text}" if is_formula(value) and text else text
    return str(value)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, raw: bool = False) -> str:
    """Give a CSV as text, without a byte order mark.

    Args:
        header: Column names.
        rows: Each as long as the header.
        raw: Leave the values as they are, for programs; never for people with spreadsheets.

    Raises:
        InvalidInput: A row has another length than the header.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    write = _plain if raw else safe_cell
    writer.writerow([write(name) for name in header])
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InvalidInput(
                f"row {number} has {len(row)} cells, but there are {len(header)} columns"
            )
        writer.writerow([write(cell) for cell in row])
    return target.getvalue()


def csv_bytes(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], *, raw: bool = False
) -> bytes:
    """Give a CSV as UTF-8; with a byte order mark, by which Excel knows it is, unless `raw`."""
    return csv_text(header, rows, raw=raw).encode("utf-8" if raw else "utf-8-sig", "replace")


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, raw: bool = False
) -> None:
    """Write a CSV that its owner alone may read; whole, or not at all.

    Raises:
        InvalidInput: The file cannot be written, or a row has another length than the header.
    """
    content = csv_bytes(header, rows, raw=raw)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InvalidInput(
            f"{path} cannot be written ({error.strerror}); check the folder and its rights"
        ) from error


def _plain(value: Cell) -> str:
    return "" if value is None else str(value)
