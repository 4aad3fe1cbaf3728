"""Columns of the event log as pandas frames. The only file through which the store meets pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

_MOMENTS = ("at", "delivered_at")
_FLAGS = ("explored", "ope_valid", "is_silent")


def frame_of(columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Build a frame with one row per record; moments become aware UTC timestamps.

    Args:
        columns: Names, as the store's tables call them.
        rows: One tuple per record, in the order of `columns`.
    """
    frame = pd.DataFrame.from_records(list(rows), columns=list(columns))
    for name in _MOMENTS:
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    for name in _FLAGS:
        if name in frame:
            frame[name] = frame[name].astype(bool)
    return frame
