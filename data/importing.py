"""Files to records: every row is checked, the good ones are kept, each bad one is reported.

A new kind of source adds a reader that gives `SourceRow`s and hands them to `collect`; what a row
must hold is decided in `validation` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from data.catalogue import Item, Lesson
from data.errors import InvalidInput
from data.rows import BrokenRow, Lines, SourceRow, decode, json_rows, table_rows
from data.validation import (
    ITEM_COLUMNS,
    LESSON_COLUMNS,
    Parsed,
    Row,
    parse_item,
    parse_lesson,
)

T = TypeVar("T")

LARGEST_FILE_BYTES = 100_000_000
LONGEST_SHOWN_VALUE = 60

_TABLES = frozenset({".csv", ".tsv", ".txt"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with one cell or row, and where."""

    file: str
    line: int
    """From 1; the line on which the row begins."""
    field: str
    """The column, or `row` when the whole row is meant."""
    value: str
    expected: str
    row_kept: bool = False
    """Whether the row is among the records all the same."""

    def __str__(self) -> str:
        shown = self.value
        if len(shown) > LONGEST_SHOWN_VALUE:
            shown = shown[: LONGEST_SHOWN_VALUE - 1] + "…"
        return (
            f"{self.file}, line {self.line}, {self.field}: got {shown!r}, expected {self.expected}"
        )


@dataclass(frozen=True, slots=True)
class Import(Generic[T]):
    """What a file gave: records in the order of the file, and everything that was not as it should."""

    records: tuple[T, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    """Harmless things worth a line: columns that we do not know, another encoding."""


def read_items(path: Path) -> Import[Item]:
    """Read a catalogue from CSV, TSV or JSONL.

    Raises:
        InvalidInput: The file cannot be read, is empty, or has no column that we know.
    """
    return _read(path, ITEM_COLUMNS, parse_item, lambda item: item.item_id, "item_id")


def read_lessons(path: Path) -> Import[Lesson]:
    """Read lessons from CSV, TSV or JSONL.

    Raises:
        InvalidInput: The file cannot be read, is empty, or has no column that we know.
    """
    return _read(path, LESSON_COLUMNS, parse_lesson, lambda lesson: lesson.lesson_id, "lesson_id")


def collect(
    file: str,
    rows: Iterable[SourceRow | BrokenRow],
    parse: Callable[[Row], Parsed[T]],
    id_of: Callable[[T], str],
    id_field: str,
    known_columns: frozenset[str],
) -> Import[T]:
    """Parse rows of any source; of two records with one id the first is kept.

    Args:
        file: Name of the source, for the reports.
        rows: What the source holds, in its order.
        parse: The check of one row.
        id_of: Gives a record's id.
        id_field: The column of that id, for the reports.
        known_columns: Columns that `parse` reads; any other is noted once.
    """
    records: list[T] = []
    problems: list[Problem] = []
    line_by_id: dict[str, int] = {}
    unknown_columns: dict[str, None] = {}
    for row in rows:
        if isinstance(row, BrokenRow):
            problems.append(
                Problem(
                    file=file,
                    line=row.line,
                    field=row.field,
                    value=row.value,
                    expected=row.expected,
                )
            )
            continue
        unknown_columns.update(dict.fromkeys(c for c in row.cells if c not in known_columns))
        parsed = parse(row.cells)
        record = parsed.record
        earlier = None if record is None else line_by_id.get(id_of(record))
        is_kept = record is not None and earlier is None
        problems += [
            Problem(
                file=file,
                line=row.line,
                field=complaint.field,
                value=_shown(complaint.value),
                expected=complaint.expected,
                row_kept=is_kept,
            )
            for complaint in parsed.complaints
        ]
        if record is None:
            continue
        if earlier is not None:
            problems.append(
                Problem(
                    file=file,
                    line=row.line,
                    field=id_field,
                    value=id_of(record),
                    expected=f"an id of its own, because line {earlier} has this one",
                )
            )
            continue
        line_by_id[id_of(record)] = row.line
        records.append(record)
    return Import(tuple(records), tuple(problems), tuple(_notes(file, unknown_columns)))


def _read(
    path: Path,
    known_columns: frozenset[str],
    parse: Callable[[Row], Parsed[T]],
    id_of: Callable[[T], str],
    id_field: str,
) -> Import[T]:
    suffix = path.suffix.casefold()
    if suffix not in _TABLES | _JSON_LINES:
        raise InvalidInput(
            f"{path.name} ends in {path.suffix!r}; expected a .csv, .tsv or .jsonl file"
            + (" (one JSON object a line)" if suffix == ".json" else "")
        )
    content = _content(path)
    lines = decode(content, try_gb18030=suffix in _TABLES)
    if not any(line.strip() for line in lines.texts):
        raise InvalidInput(f"{path.name} is empty; expected at least one row")
    if suffix in _JSON_LINES:
        rows: Iterator[SourceRow | BrokenRow] = json_rows(lines)
    else:
        rows = table_rows(lines, known_columns, path.name)
    found = collect(path.name, rows, parse, id_of, id_field, known_columns)
    return Import(found.records, found.problems, (*_encoding_note(path.name, lines), *found.notes))


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InvalidInput(f"{path} is a folder; expected a .csv, .tsv or .jsonl file in it")
        n_bytes = path.stat().st_size
        if n_bytes > LARGEST_FILE_BYTES:
            raise InvalidInput(
                f"{path.name} has {n_bytes / 1e6:.0f} MB; expected at most "
                f"{LARGEST_FILE_BYTES / 1e6:.0f} MB, so split it"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f"{path} does not exist; check the name and the folder") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read ({error}); check its rights") from error


def _notes(file: str, unknown_columns: Iterable[str]) -> Iterator[str]:
    names = [name[:LONGEST_SHOWN_VALUE] or "(without a name)" for name in unknown_columns]
    if names:
        yield f"{file}: left out what we do not know: {', '.join(names[:20])}" + (
            f" and {len(names) - 20} more" if len(names) > 20 else ""
        )


def _encoding_note(file: str, lines: Lines) -> Iterator[str]:
    if lines.encoding != "utf-8":
        yield f"{file}: read as {lines.encoding.upper()}; save it as UTF-8 to be sure"


def _shown(value: object) -> str:
    return "" if value is None else str(value)
