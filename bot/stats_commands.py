"""`zhiwei stats`: the figures that /stats and the studio show, for a terminal and for machines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from bot.console import AsJson, err, out, print_json, wired
from bot.terminal import utc_now
from bot.wiring import NO_ENCODER, Wired, build_engine, read_catalogue
from data.errors import InvalidInput, ModelError, SnapshotError

if TYPE_CHECKING:
    from bot.overview import Overview, State
    from data.history import Subject


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command("stats")(stats)


def stats(
    period: Annotated[str, typer.Argument(help="7d, 30d, 90d or all.")] = "30d",
    lesson: Annotated[str, typer.Option(help="Narrow to a lesson, by its id.")] = "",
    item: Annotated[str, typer.Option(help="Narrow to an item, by its id.")] = "",
    language: Annotated[str, typer.Option(help="zh or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Print reach, rates with their intervals, retention, coverage, calibration and safety.

    Examples:
      zhiwei stats
      zhiwei stats 7d --json
      zhiwei stats all --lesson mediterranean
    """
    from bot.overview import PERIODS
    from bot.overview import as_json as json_of
    from data.history import Subject, SubjectKind

    with wired() as parts:
        if period not in PERIODS:
            raise InvalidInput(f"{period!r} is no period; expected one of {', '.join(PERIODS)}")
        if lesson and item:
            raise InvalidInput("give a lesson or an item, not both")
        subject = None
        if lesson or item:
            kind = SubjectKind.LESSON if lesson else SubjectKind.ITEM
            subject = Subject(kind, lesson or item)
            _require(parts, subject)
        found = _overview(parts, period, subject, at=utc_now())
        if as_json:
            print_json(json_of(found))
            return
        _print(found, language)


def _overview(parts: Wired, period: str, subject: Subject | None, *, at: datetime) -> Overview:
    from bot.overview import overview

    predictor, calibration = "", None
    if subject is None:
        try:
            predictor, calibration = parts.office.calibration(parts.store, period, at=at)
        except ModelError as error:
            err.print(f"warning: {error}", style="yellow", markup=False)
    return overview(
        parts.office.board, parts.store, _state(parts), period, at=at, subject=subject,
        predictor=predictor, calibration=calibration,
    )  # fmt: skip


def _state(parts: Wired) -> State:
    """The system as it would serve, without opening the encoder, which takes seconds."""
    from bot.overview import State
    from index import catalogue_index
    from index.embedding import HashingEmbedder
    from index.unsaved_index import build_unsaved

    catalogue, _ = read_catalogue(parts.settings)
    n_slates = parts.store.count_slates()
    try:
        snapshot = parts.snapshots.current()
        loaded = catalogue_index.load(snapshot, catalogue, None)
    except SnapshotError:
        # No index yet, or not of this catalogue: the figures of the log hold all the same.
        unsaved = build_unsaved(catalogue, HashingEmbedder())
        return State.of(build_engine(catalogue, unsaved, None, n_slates=n_slates))
    engine = build_engine(catalogue, loaded, None, n_slates=n_slates)
    return State.of(engine, encoder=snapshot.manifest.model_name or NO_ENCODER)


def _require(parts: Wired, subject: Subject) -> None:
    catalogue, _ = read_catalogue(parts.settings)
    known = {str(x) for x in (*catalogue.items_by_id, *catalogue.lessons_by_id)}
    if subject.subject_id not in known:
        raise InvalidInput(
            f"no {subject.kind} {subject.subject_id!r} is in the catalogue; give an id of it"
        )


def _print(found: Overview, language: str) -> None:
    from bot.admin_stats import told
    from bot.wording import Words
    from data.vocabulary import Language

    if language not in set(Language):
        raise InvalidInput(f"{language!r} is no language of ours; expected zh or en")
    words = Words(Language(language))
    out.print(Text(words("stats.heading", period=words(f"period.{found.period}")), style="bold"))
    for line, is_loud in told(words, found):
        out.print(Text(line, style="bold red" if is_loud else ""))
