"""Bytes of a CSV, TSV or JSONL file to numbered rows of named cells. Pure.

A row that cannot be read is not skipped but given as a `BrokenRow`, so that its line is reported.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data import cells
from data.cells import Pairs
from data.errors import InvalidInput

LONGEST_RECORD_LINES = 200
"""A quoted cell may span lines; beyond this its closing quote is taken to be missing."""

_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One row as the source gives it, with the line (from 1) on which it begins."""

    line: int
    cells: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRow:
    """A row that is not even a row."""

    line: int
    field: str
    value: str
    expected: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Decoded lines of a file, and which of them are not valid in its encoding."""

    texts: tuple[str, ...]
    encoding: str
    undecodable: frozenset[int] = frozenset()
    """0-based."""


def decode(content: bytes, *, try_gb18030: bool) -> Lines:
    """Decode as UTF-8, or as GB18030 where the file as a whole is more likely that.

    One broken byte does not turn a UTF-8 file into GB18030: that would read all other lines as
    wrong characters without any error. The lines decide by majority.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            content = content.removeprefix(mark)
            if encoding != "utf-8":
                content = content.decode(encoding, "replace").encode("utf-8", "replace")
            try_gb18030 = False
    lines = content.splitlines(keepends=True)
    undecodable = {n for n, line in enumerate(lines) if not _is(line, "utf-8")}
    n_proofs_of_utf8 = sum(not line.isascii() for line in lines) - len(undecodable)
    encoding = "utf-8"
    if undecodable and try_gb18030 and n_proofs_of_utf8 < len(undecodable):
        encoding = "gb18030"
        undecodable = {n for n, line in enumerate(lines) if not _is(line, encoding)}
    return Lines(
        tuple(line.decode(encoding, "replace") for line in lines), encoding, frozenset(undecodable)
    )


def json_rows(lines: Lines) -> Iterator[SourceRow | BrokenRow]:
    """Read one JSON object a line; empty lines are no rows."""
    for number, line in enumerate(lines.texts):
        if not line.strip():
            continue
        if number in lines.undecodable:
            yield _undecodable(number, line, lines.encoding)
            continue
        try:
            record = cells.loads(line)
        except ValueError as error:
            yield _broken(number, line, f"one JSON object in the line ({error})")
            continue
        if not isinstance(record, Pairs):
            yield _broken(number, line, 'one JSON object in the line, such as {"item_id": "a1"}')
        elif len(record) < len(record.pairs):
            yield _broken(number, line, "each key only once")
        else:
            # A null is an empty cell; keys are as forgiving as a table's header.
            yield SourceRow(line=number + 1, cells={_column(key): record[key] for key in record})


def table_rows(
    lines: Lines, known_columns: frozenset[str], name: str
) -> Iterator[SourceRow | BrokenRow]:
    """Read a table whose first row names the columns; the delimiter is found by the header.

    Raises:
        InvalidInput: No delimiter gives a known column, or a known column is there twice.
    """
    header, start = _header(lines, known_columns, name)
    csv.field_size_limit(2**31 - 1)
    delimiter, columns = header
    position = start
    while position < len(lines.texts):
        first = position
        record, position = _record(lines.texts, first, delimiter)
        spanned = range(first, position)
        undecodable = next((n for n in spanned if n in lines.undecodable), None)
        if undecodable is not None:
            yield _undecodable(undecodable, lines.texts[undecodable], lines.encoding)
        elif record is None:
            yield _broken(
                first, lines.texts[first], "a quote to be closed, and doubled inside a cell"
            )
        elif not any(cell.strip() for cell in record):
            continue
        elif len(record) < len(columns) or any(cell.strip() for cell in record[len(columns) :]):
            yield _broken(
                first,
                lines.texts[first],
                f"{len(columns)} cells, as the header has, not {len(record)}",
            )
        else:
            yield SourceRow(line=first + 1, cells=dict(zip(columns, record, strict=False)))


def _header(
    lines: Lines, known_columns: frozenset[str], name: str
) -> tuple[tuple[str, Sequence[str]], int]:
    texts = lines.texts
    first = next((n for n, line in enumerate(texts) if line.strip()), len(texts))
    # Excel reads and writes this hint before the header.
    if first < len(texts) and texts[first].strip().casefold().startswith("sep="):
        first += 1
    best: tuple[int, str, list[str], int] | None = None
    for delimiter in _DELIMITERS:
        record, after = _record(texts, first, delimiter) if first < len(texts) else (None, first)
        columns = [_column(cell) for cell in record or ()]
        n_known = len(known_columns.intersection(columns))
        if best is None or n_known > best[0]:
            best = (n_known, delimiter, columns, after)
    assert best is not None
    n_known, delimiter, columns, after = best
    if n_known == 0:
        raise InvalidInput(
            f"{name} has no column that we know in its first line; "
            f"expected a header with some of {', '.join(sorted(known_columns))}"
        )
    twice = sorted({c for c in columns if c in known_columns and columns.count(c) > 1})
    if twice:
        raise InvalidInput(
            f"{name} has the column {twice[0]!r} twice; expected each once, so remove one"
        )
    return (delimiter, columns), after


def _record(texts: Sequence[str], first: int, delimiter: str) -> tuple[list[str] | None, int]:
    """Read the record that begins at line `first`; gives None, and the next line, if it cannot."""
    last = min(first + LONGEST_RECORD_LINES, len(texts))
    reader = csv.reader((texts[n] for n in range(first, last)), delimiter=delimiter, strict=True)
    try:
        record = next(reader)
    except (csv.Error, StopIteration):
        return None, first + 1
    return record, first + reader.line_num


def _column(header: str) -> str:
    return "_".join(header.strip().casefold().replace("-", " ").split())


def _is(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _undecodable(number: int, line: str, encoding: str) -> BrokenRow:
    return _broken(number, line, f"{encoding.upper()} text")


def _broken(number: int, line: str, expected: str) -> BrokenRow:
    return BrokenRow(line=number + 1, field="row", value=line.strip("\r\n"), expected=expected)
