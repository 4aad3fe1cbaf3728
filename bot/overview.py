"""Everything that tells how Zhiwei does, counted once for the chat, the command line and the studio."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.engine import Engine
from bot.engine_room import NO_ENCODER
from bot.json_values import finite
from data.catalogue import ItemId
from data.history import Frames, History, Subject
from data.store import Backlog, EventStore
from data.summary import Similarities, Summary, summarise
from recommender.live_calibration import Calibration

Floats = npt.NDArray[np.float64]

PERIODS: dict[str, timedelta | None] = {
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "all": None,
}
_FRESH = timedelta(seconds=30)
_MOST = 8
_COMPARED_AT_ONCE = 2_000
"""Catalogues up to this size are compared whole, once for each index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The system behind the figures."""

    item_ids: tuple[ItemId, ...]
    unknown_allergens: float
    """Share of items whose label says nothing of at least one of the 14."""
    policy: str
    encoder: str
    index: str
    similarities: Similarities | None = None

    @classmethod
    def of(cls, engine: Engine, *, encoder: str = "") -> State:
        """That of an engine; `encoder` names the one of its vectors when the engine runs without."""
        name = encoder or engine.model_name
        return cls(
            item_ids=tuple(item.item_id for item in engine.catalogue),
            unknown_allergens=unknown_share(engine.table.states),
            policy=f"{engine.recommender.policy.name} {engine.recommender.policy.version}",
            encoder=name,
            index=engine.matcher.version,
            similarities=engine.matcher.similarities if name != NO_ENCODER else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The figures of one period, and the state of the system."""

    period: str
    subject: Subject | None
    summary: Summary
    unknown_allergens: float
    safety_violations: int
    backlog: Backlog
    policy: str
    encoder: str
    index: str
    predictor: str
    """Version of the learned model in force; empty when matching alone ranks."""
    calibration: Calibration | None = None
    """Of the learned model, on what it served; None without one, or when nobody asked."""


class Board:
    """The history, and the latest summaries for half a minute. Safe to use from several threads."""

    def __init__(self) -> None:
        self.history = History()
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Subject | None], tuple[datetime, Summary]] = (
            OrderedDict()
        )
        self._cosines: tuple[str, Floats] | None = None

    def frames(self, store: EventStore, period: str, *, at: datetime) -> tuple[Frames, Frames]:
        """The frames of the period and those of all time."""
        whole = self.history.frames(store, at=at)
        length = PERIODS[period]
        since = at - length if length is not None else None
        return whole.between(since, at + timedelta(seconds=1)), whole

    def summary(
        self,
        store: EventStore,
        state: State,
        period: str,
        *,
        at: datetime,
        subject: Subject | None = None,
    ) -> Summary:
        """Count, or give what was counted less than half a minute ago."""
        key = (period, subject)
        with self._lock:
            known = self._kept.get(key)
        if known is not None and timedelta(0) <= at - known[0] < _FRESH:
            return known[1]
        frames, whole = self.frames(store, period, at=at)
        summary = summarise(
            frames, whole, state.item_ids, at=at, subject=subject,
            similarities=self._similarities(state),
        )  # fmt: skip
        with self._lock:
            self._kept[key] = (at, summary)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return summary

    def _similarities(self, state: State) -> Similarities | None:
        """Compare a catalogue of usual size once, since every period asks for the same pairs."""
        compare, n_items = state.similarities, len(state.item_ids)
        if compare is None or n_items > _COMPARED_AT_ONCE:
            return compare
        if self._cosines is None or self._cosines[0] != state.index:
            self._cosines = (state.index, compare(np.arange(n_items)))
        cosines = self._cosines[1]
        return lambda rows: cosines[np.ix_(rows, rows)]


def overview(
    board: Board,
    store: EventStore,
    state: State,
    period: str,
    *,
    at: datetime,
    subject: Subject | None = None,
    predictor: str = "",
    calibration: Calibration | None = None,
) -> Overview:
    """Gather the figures.

    Args:
        board: Keeps what was read.
        store: The event store.
        state: The system in force.
        period: One of `PERIODS`.
        at: Now.
        subject: Narrows the summary to one lesson or item.
        predictor: Version of the learned model in force.
        calibration: Its calibration, when somebody looked.
    """
    length = PERIODS[period]
    return Overview(
        period=period,
        subject=subject,
        summary=board.summary(store, state, period, at=at, subject=subject),
        unknown_allergens=state.unknown_allergens,
        safety_violations=store.safety_violations(since=at - length if length else None),
        backlog=store.backlog(at=at),
        policy=state.policy,
        encoder=state.encoder,
        index=state.index,
        predictor=predictor,
        calibration=calibration,
    )


def unknown_share(states: npt.NDArray[np.integer[Any]]) -> float:
    """Share of items whose label says nothing of at least one of the 14 allergens.

    Args:
        states: (n_items, 14) as `CatalogueTable.states`; 0 is unknown.
    """
    return float(np.mean((states == 0).any(axis=1))) if len(states) else 0.0


def as_json(found: Overview) -> dict[str, Any]:
    """The figures as JSON values; what is not told about few people is null."""
    summary = {name: value for name, value in _fields(found.summary).items() if name != "tables"}
    tables = {
        name: [
            {"label": str(label), **{str(c): v for c, v in row.items()}}
            for label, row in zip(table.index, table.to_dict("records"), strict=True)
        ]
        for name, table in found.summary.tables.items()
    }
    rest = {
        name: value
        for name, value in _fields(found).items()
        if name not in ("summary", "calibration", "subject")
    }
    subject = found.subject
    cleaned: dict[str, Any] = finite(
        {
            "subject": {subject.kind.value: subject.subject_id} if subject else None,
            **rest,
            **summary,
            "calibration": asdict(found.calibration) if found.calibration else None,
            "tables": tables,
        }
    )
    return cleaned


def _fields(record: Any) -> dict[str, Any]:
    return {
        name: asdict(value) if hasattr(value, "__dataclass_fields__") else value
        for name in record.__dataclass_fields__
        for value in [getattr(record, name)]
    }
