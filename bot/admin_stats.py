"""`/stats [7d|30d|90d|all] [lesson|item ID]`: the figures in words and as one picture."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from bot.admin_steps import look
from bot.engine import Engine
from bot.messages import Picture, Reply, Rich, plain
from bot.turn import Turn
from bot.wording import Words
from data.catalogue import ItemId, LessonId
from data.errors import ModelError

if TYPE_CHECKING:
    from bot.admin_office import AdminOffice
    from bot.overview import Overview
    from data.history import Subject
    from data.store import EventStore
    from recommender.live_calibration import Calibration

USUAL_PERIOD = "30d"


def stats(turn: Turn, argument: str) -> Reply:
    """Figures of a period, of everything or of one lesson or item."""
    from bot.overview import PERIODS
    from data.history import Subject, SubjectKind

    words, catalogue = turn.words, turn.engine.catalogue
    period, subject = USUAL_PERIOD, None
    parts = argument.split()
    while parts:
        part = parts.pop(0)
        name = part.lower()
        if name in PERIODS:
            period = name
        elif name in set(SubjectKind) and parts:
            subject = Subject(SubjectKind(name), parts.pop(0))
        else:
            return _plain(words("stats.unknown", asked=part[:40], periods=words.several(PERIODS)))
    if subject is not None:
        is_lesson = subject.kind is SubjectKind.LESSON
        known = catalogue.lessons_by_id if is_lesson else catalogue.items_by_id
        if subject.subject_id not in known:
            asked = subject.subject_id[:60]
            key = "rule.no_lesson" if is_lesson else "rule.no_item"
            return _plain(words(key, lesson=asked, item=asked))
    store, engine, office, at = turn.store, turn.engine, turn.services.office, turn.at
    return look(
        turn,
        "stats",
        lambda: _counted(words, store, engine, office, period, subject, at=at),
    )


def _counted(
    words: Words,
    store: EventStore,
    engine: Engine,
    office: AdminOffice,
    period: str,
    subject: Subject | None,
    *,
    at: datetime,
) -> Reply:
    from bot.admin_picture import picture_of
    from bot.overview import State, overview

    predictor, calibration, note = "", None, ""
    if subject is None:
        try:
            predictor, calibration = office.calibration(store, period, at=at)
        except ModelError as error:
            note = str(error)
    found = overview(
        office.board, store, State.of(engine), period, at=at, subject=subject,
        predictor=predictor, calibration=calibration,
    )  # fmt: skip
    heading = heading_of(words, engine, found)
    lines = told(words, found, note=note)
    rich = Rich().line(heading, bold=True)
    for line, is_loud in lines:
        rich.line(line, bold=is_loud)
    in_short = "\n".join([heading, *(line for line, _ in lines[:3])])
    return Reply(
        spans=rich.done(),
        picture=Picture(content=picture_of(words, found, heading), alternative=in_short),
        is_private=True,
    )


def heading_of(words: Words, engine: Engine, found: Overview) -> str:
    """Which period, and which lesson or item."""
    heading = words("stats.heading", period=words(f"period.{found.period}"))
    if found.subject is None:
        return heading
    name = found.subject.subject_id
    if str(found.subject.kind) == "lesson":
        name = engine.catalogue.lessons_by_id[LessonId(name)].title
    else:
        name = words.name(engine.catalogue.items_by_id[ItemId(name)])
    return words("stats.about", heading=heading, name=name[:60])


def told(words: Words, found: Overview, *, note: str = "") -> list[tuple[str, bool]]:
    """The figures as lines, with whether each must be seen first; a violation stands on top."""
    from bot.admin_figures import measure_told

    summary, backlog = found.summary, found.backlog
    lines: list[tuple[str, bool]] = []
    if found.safety_violations:
        lines.append((words("stats.unsafe", n=found.safety_violations), True))
    lines += [
        (words("stats.reach", users=_people(summary.n_users), lessons=summary.n_lessons), False),
        (words("stats.slates", slates=summary.n_slates, impressions=summary.n_impressions), False),
    ]
    for name in ("like_rate", "satisfaction", "clicked", "bought", "returned", "coverage"):
        measure = getattr(summary, name)
        if measure.n or found.subject is None:
            lines.append((measure_told(words, words(f"stats.{name}"), measure), False))
    for name in ("exposure_gini", "similarity"):
        measure = getattr(summary, name)
        if measure.n or found.subject is None:
            label = words(f"stats.{name}")
            lines.append((measure_told(words, label, measure, as_share=False), False))
    if found.subject is None:
        lines.append((_model_line(words, found.predictor, found.calibration, note), bool(note)))
        unknown = words("stats.unknown_allergens", share=f"{found.unknown_allergens:.1%}")
        lines.append((unknown, False))
    if not found.safety_violations:
        lines.append((words("stats.safety", n=0), False))
    lines += [
        (words("stats.degraded", n=summary.n_degraded, silent=summary.n_silent), False),
        (
            words(
                "stats.backlog",
                inbox=backlog.inbox,
                outbox=backlog.outbox,
                parked=backlog.parked,
                seconds=f"{backlog.oldest_seconds:.0f}",
            ),
            False,
        ),
        (
            words("stats.versions", policy=found.policy, model=found.encoder, index=found.index),
            False,
        ),
    ]
    return lines


def _model_line(words: Words, predictor: str, calibration: Calibration | None, note: str) -> str:
    if note:
        return words("stats.model_broken", reason=note)
    if not predictor:
        return words("stats.no_model")
    if calibration is None:
        return words("stats.not_judged", version=predictor)
    error, gap = calibration.error, calibration.gap
    if calibration.n_users < 5 or error.value is None or gap.value is None:
        return words("stats.not_judged", version=predictor)
    return words(
        "stats.calibration",
        version=predictor,
        error=f"{error.value:.3f}",
        error_low=f"{error.low:.3f}",
        error_high=f"{error.high:.3f}",
        gap=f"{gap.value:+.3f}",
        gap_low=f"{gap.low:+.3f}",
        gap_high=f"{gap.high:+.3f}",
        n=calibration.n,
    )


def _people(n: int) -> str:
    from data.summary_tables import FEWEST

    return f"<{FEWEST}" if 0 < n < FEWEST else f"{n:,}"


def _plain(text: str) -> Reply:
    return Reply(spans=plain(text), is_private=True)
