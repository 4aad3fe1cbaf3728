"""`/export [7d|30d|90d|all] [TABLE]`: a table of the figures as CSV, telling nothing about few people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bot.admin_steps import look
from bot.engine import Engine
from bot.messages import Document, Reply, plain
from bot.turn import Turn
from bot.wording import Words
from data.csv_safety import Cell, csv_bytes

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("days", "funnel", "retention", "returning", "items", "lessons", "policies")
USUAL_TABLE, USUAL_PERIOD = "items", "all"


def export(turn: Turn, argument: str) -> Reply:
    """Give one table as a file; values of fewer than five people say `<5`."""
    from bot.overview import PERIODS

    words = turn.words
    period, table = USUAL_PERIOD, USUAL_TABLE
    for part in argument.lower().split():
        if part in PERIODS:
            period = part
        elif part in TABLES:
            table = part
        else:
            return Reply(
                spans=plain(
                    words(
                        "export.unknown",
                        asked=part[:40],
                        periods=words.several(PERIODS),
                        tables=words.several(TABLES),
                    )
                ),
                is_private=True,
            )
    store, engine, office, at = turn.store, turn.engine, turn.services.office, turn.at

    def do() -> Reply:
        from bot.overview import State
        from data.summary_tables import FEWEST

        state = State.of(engine)
        summary = office.board.summary(store, state, period, at=at)
        frame = summary.tables[table]
        file = Document(
            file_name=f"zhiwei-{table}-{period}-{at.date().isoformat()}.csv",
            content=csv_of(frame, table, names=_names(words, engine, table)),
        )
        told = words("export.done", rows=len(frame), fewest=FEWEST)
        return Reply(spans=plain(told), document=file, is_private=True)

    return look(turn, "export", do)


def csv_of(frame: pd.DataFrame, table: str, *, names: Mapping[str, str] | None = None) -> bytes:
    """The table as CSV; a value that is not told about few people says `<5`.

    Args:
        frame: One row per thing.
        table: Heads the first column.
        names: Says what the things are called, in a second column.
    """
    rows: list[list[Cell]] = []
    for label, *values in frame.itertuples(name=None):
        name = [] if names is None else [names.get(str(label), "")]
        rows.append([str(label), *name, *(_cell(value) for value in values)])
    heading = [table, *([] if names is None else ["name"]), *map(str, frame.columns)]
    return csv_bytes(heading, rows)


def _names(words: Words, engine: Engine, table: str) -> Mapping[str, str] | None:
    catalogue = engine.catalogue
    match table:
        case "items":
            return {str(i): words.name(item) for i, item in catalogue.items_by_id.items()}
        case "lessons":
            return {str(i): lesson.title for i, lesson in catalogue.lessons_by_id.items()}
        case _:
            return None


def _cell(value: object) -> Cell:
    from data.summary_tables import FEWEST

    if not isinstance(value, (int, float)):
        return str(value)
    if math.isnan(value):
        return f"<{FEWEST}"
    return int(value) if float(value).is_integer() else round(float(value), 4)
