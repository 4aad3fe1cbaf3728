"""Rules that read an item's words, remembered: each item is read once for each thing people ask.

What a diet, a food to avoid or an excluded category means for an item depends on the item alone, so
the answer of `recommender.safety` is kept per item and asked value. Nothing is let through unread:
a cell without an answer is read before it is used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from threading import Lock
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from data.catalogue import Item
from data.vocabulary import Diet
from recommender.constraints import Constraints, HiddenReason
from recommender.safety import safety_reason, wish_reason

REMEMBERED_BYTES = 64_000_000
"""One byte an item and value; the values asked longest ago are forgotten beyond this."""
_LEAST_COLUMNS = 8
_UNREAD, _PASSES = 0, 1
_REASONS = tuple(HiddenReason)
_CODES = {reason: code for code, reason in enumerate(_REASONS, start=_PASSES + 1)}
# No rule of this module reads the day; labels with a date are columns of their own.
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


class Rule(StrEnum):
    """Which of a person's constraints a value belongs to, in the order of the checks."""

    AVOID = "avoid"
    DIET = "diet"
    EXCLUDE = "exclude"
    INCLUDE = "include"


def _avoids(item: Item, word: str) -> HiddenReason | None:
    return safety_reason(item, Constraints(avoid=frozenset({word}), is_adult=True), at=_ANY_DAY)


def _keeps_diet(item: Item, diet: str) -> HiddenReason | None:
    return safety_reason(
        item, Constraints(diets=frozenset({Diet(diet)}), is_adult=True), at=_ANY_DAY
    )


def _excludes(item: Item, word: str) -> HiddenReason | None:
    return wish_reason(item, Constraints(exclude=frozenset({word})))


def _includes(item: Item, word: str) -> HiddenReason | None:
    return wish_reason(item, Constraints(include=frozenset({word})))


_READ: Mapping[Rule, Callable[[Item, str], HiddenReason | None]] = MappingProxyType(
    {
        Rule.AVOID: _avoids,
        Rule.DIET: _keeps_diet,
        Rule.EXCLUDE: _excludes,
        Rule.INCLUDE: _includes,
    }
)


class RuleColumns:
    """Answers of the rules over the items of one catalogue, filled as they are asked for.

    Threads may share it: two that fill one cell write the same answer.
    """

    def __init__(self, items: Sequence[Item], *, most_bytes: int = REMEMBERED_BYTES) -> None:
        self._items = items
        self._columns: OrderedDict[tuple[Rule, str], npt.NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()
        self._n_kept = max(_LEAST_COLUMNS, most_bytes // max(len(items), 1))

    def hidden_by(
        self, constraints: Constraints, rows: npt.NDArray[np.int64]
    ) -> dict[HiddenReason, npt.NDArray[np.int64]]:
        """Give the rows that words speak against, by the first rule that does.

        Several values of one rule decide as they do together: whatever one of them hides is
        hidden, and one that is included is enough.

        Args:
            constraints: `avoid`, `diets`, `exclude` and `include` are read.
            rows: (k,) rows to decide; only these are read.
        """
        found: dict[HiddenReason, list[npt.NDArray[np.int64]]] = {}
        for rule, values in (
            (Rule.AVOID, constraints.avoid),
            (Rule.DIET, constraints.diets),
            (Rule.EXCLUDE, constraints.exclude),
            (Rule.INCLUDE, constraints.include),
        ):
            if not values or not len(rows):
                continue
            answers = np.stack([self._answers(rule, str(v), rows) for v in sorted(values)])
            # The code of what passes is the least: one value that hides outweighs all that do
            # not, and one value that includes outweighs all that do not.
            code = answers.min(axis=0) if rule is Rule.INCLUDE else answers.max(axis=0)
            for hiding in np.unique(code[code != _PASSES]):
                reason = _REASONS[int(hiding) - _PASSES - 1]
                found.setdefault(reason, []).append(rows[code == hiding])
            rows = rows[code == _PASSES]
        return {reason: np.concatenate(parts) for reason, parts in found.items()}

    def _answers(
        self, rule: Rule, value: str, rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8]:
        column = self._column(rule, value)
        read = _READ[rule]
        for row in rows[column[rows] == _UNREAD].tolist():
            reason = read(self._items[row], value)
            column[row] = _PASSES if reason is None else _CODES[reason]
        return np.asarray(column[rows])

    def _column(self, rule: Rule, value: str) -> npt.NDArray[np.uint8]:
        key = (rule, value)
        with self._lock:
            column = self._columns.get(key)
            if column is None:
                column = np.full(len(self._items), _UNREAD, dtype=np.uint8)
                self._columns[key] = column
            self._columns.move_to_end(key)
            while len(self._columns) > self._n_kept:
                self._columns.popitem(last=False)
        return column
