"""How admins' commands go about: asking once more, and working beside the turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.admin_jobs import Job, Jobs
from bot.messages import Reply, plain
from bot.rendering import as_edit
from bot.turn import Turn
from data.errors import ZhiweiError

ACTION = "adm"
"""The action of every button of admins."""
GOOD_FOR = timedelta(minutes=10)
"""How long a question before something that matters may be answered."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was confirmed: what, and on what."""

    name: str
    subject: str


def ask_again(turn: Turn, name: str, subject: str, text: str) -> Reply:
    """Ask before something that matters; the button holds for ten minutes and once.

    Args:
        turn: The exchange.
        name: promote, rollback, reload.
        subject: What is meant, e.g. a version; at most 12 characters.
        text: The question, with what will happen.
    """
    until = _to_base36(int((turn.at + GOOD_FOR).timestamp()))
    argument = f"{name}:{subject}:{until}"
    turn.move(asked=f"{ACTION}:{argument}")
    return Reply(
        spans=plain(text),
        buttons=(
            (
                turn.button(f"admin.do_{name}", ACTION, argument),
                turn.button("admin.leave", ACTION, "leave"),
            ),
        ),
        is_private=True,
    )


def confirmed(turn: Turn, argument: str) -> Step | Reply:
    """Read a pressed answer: the step that may be taken now, else what to say instead."""
    name, _, rest = argument.partition(":")
    subject, _, until = rest.rpartition(":")
    if turn.dialog.asked != f"{ACTION}:{argument}":
        # Pressed twice, or something else was asked since.
        return Reply(notice=turn.words("admin.over"))
    turn.move(asked="")
    if turn.at > datetime.fromtimestamp(int(until, 36), tz=UTC):
        return as_edit(Reply(spans=plain(turn.words("admin.expired"))))
    return Step(name, subject)


def leave(turn: Turn) -> Reply:
    """Nothing is done; the question goes."""
    if turn.dialog.asked.startswith(f"{ACTION}:"):
        turn.move(asked="")
    return as_edit(Reply(spans=plain(turn.words("admin.left"))))


def work(turn: Turn, name: str, do: Callable[[], Reply]) -> Reply:
    """Do what takes long beside the turns; says how the result will come."""
    jobs = turn.services.office.jobs
    other = jobs.start(_job(turn, name, do))
    words = turn.words
    if other is not None:
        minutes = max(0, int((turn.at - other.since).total_seconds() // 60))
        return Reply(
            spans=plain(
                words("job.busy", name=words(f"job.name_{other.job.name}"), minutes=minutes)
            ),
            is_private=True,
        )
    if jobs.posts_to(turn.sender.channel):
        return Reply(spans=plain(words("job.begun", name=words(f"job.name_{name}"))))
    return Reply(
        spans=plain(words("job.begun_here", name=words(f"job.name_{name}"))),
        buttons=((turn.button("job.show", ACTION, "result"),),),
    )


def look(turn: Turn, name: str, do: Callable[[], Reply]) -> Reply:
    """Do what takes a second or two: beside the turns where a result can follow, else at once."""
    quick: Jobs = turn.services.office.quick
    if not quick.posts_to(turn.sender.channel):
        try:
            return do()
        except ZhiweiError as error:
            reason = turn.words("job.failed", name=turn.words(f"job.name_{name}"), reason=error)
            return Reply(spans=plain(reason), is_private=True)
    other = quick.start(_job(turn, name, do))
    key = "job.counting" if other is None else "job.counting_already"
    return Reply(spans=plain(turn.words(key)))


def result(turn: Turn) -> Reply:
    """What the last job gave, for people who cannot be written to unasked."""
    jobs = turn.services.office.jobs
    found = jobs.result(turn.sender.user_key)
    if found is not None:
        return found
    under_way = jobs.under_way()
    if under_way is not None and under_way.job.user_key == turn.sender.user_key:
        name = turn.words(f"job.name_{under_way.job.name}")
        return Reply(notice=turn.words("job.still", name=name))
    return Reply(notice=turn.words("job.nothing"))


def _job(turn: Turn, name: str, do: Callable[[], Reply]) -> Job:
    return Job(
        job_id=turn.incoming.incoming_id,
        name=name,
        user_key=turn.sender.user_key,
        channel=turn.sender.channel,
        language=turn.words.language,
        work=do,
    )


def _to_base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
