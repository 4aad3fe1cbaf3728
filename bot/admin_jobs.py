"""Work of admins that takes long: one job at a time beside the turns, its result told afterwards.

Nothing of a job survives a restart but a note that it was under way, so that whoever waits is told.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bot.messages import Reply, plain
from bot.wording import Words
from data.errors import StoreError, ZhiweiError
from data.events import UserKey
from data.vocabulary import Language

logger = logging.getLogger(__name__)

_KEPT = 20
_POST_TRIES = 5


class Post(Protocol):
    """Sends somebody a message that answers no message of theirs."""

    def reaches(self, channel: str) -> bool:
        """Whether people of this channel can be written to."""

    def __call__(
        self, user_key: UserKey, channel: str, name: str, reply: Reply, *, at: datetime
    ) -> None:
        """Queue a message; the same name is never queued twice.

        Raises:
            StoreError: it could not be queued; it may be tried again.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do for one person."""

    job_id: str
    """The id of what asked for it: when an update is handled again, its job does not start again."""
    name: str
    """As in `job.name_...` of the sentences."""
    user_key: UserKey
    channel: str
    language: Language
    work: Callable[[], Reply]
    """Runs in a thread of its own."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The job that runs now."""

    job: Job
    since: datetime


class Jobs:
    """Runs jobs. Results go out by `post`, or wait to be asked for where nobody can be written to."""

    def __init__(
        self,
        post: Post | None = None,
        *,
        note: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the ways out.

        Args:
            post: Writes to people unasked; None where no channel can.
            note: File that says which job runs, for the next start.
            clock: Aware UTC.
            pause: Waits so many seconds between tries to post.
        """
        self._post = post
        self._note = note
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._under_way: UnderWay | None = None
        self._thread: threading.Thread | None = None
        self._begun: OrderedDict[str, None] = OrderedDict()
        self._results: OrderedDict[UserKey, Reply] = OrderedDict()

    def posts_to(self, channel: str) -> bool:
        """Whether the result of a job comes by itself on this channel."""
        return self._post is not None and self._post.reaches(channel)

    def start(self, job: Job) -> UnderWay | None:
        """Begin; gives None, or the other job that must end first."""
        with self._lock:
            if job.job_id in self._begun:
                return None
            if self._under_way is not None:
                return self._under_way
            self._begun[job.job_id] = None
            while len(self._begun) > _KEPT:
                self._begun.popitem(last=False)
            self._under_way = UnderWay(job, self._clock())
            self._results.pop(job.user_key, None)
            self._thread = threading.Thread(
                target=self._run, args=(job,), name=f"job {job.name}", daemon=True
            )
        self._write_note(job)
        self._thread.start()
        return None

    def under_way(self) -> UnderWay | None:
        """The job that runs now."""
        with self._lock:
            return self._under_way

    def result(self, user_key: UserKey) -> Reply | None:
        """What this person's last job gave, if it was not sent."""
        with self._lock:
            return self._results.get(user_key)

    def wait(self, seconds: float) -> bool:
        """Wait for the job under way; False when the time was over first."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def tell_interrupted(self) -> None:
        """Tell who waits for a job that the last run did not finish; call it once at the start."""
        if self._note is None or not self._note.exists():
            return
        try:
            told = json.loads(self._note.read_text(encoding="utf-8"))
            words = Words(Language(told["language"]))
            name = words(f"job.name_{told['name']}")
            self._send(
                UserKey(told["user_key"]),
                told["channel"],
                f"job:{told['job_id']}:interrupted",
                Reply(spans=plain(words("job.interrupted", name=name)), is_private=True),
            )
        except (ValueError, KeyError, TypeError):
            logger.warning("a note about an unfinished job cannot be read; it is dropped")
        self._note.unlink(missing_ok=True)

    def _run(self, job: Job) -> None:
        reply = _outcome(job)
        if self.posts_to(job.channel):
            self._send(job.user_key, job.channel, f"job:{job.job_id}", reply)
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        with self._lock:
            self._under_way = None
            if not self.posts_to(job.channel):
                self._results[job.user_key] = reply
                while len(self._results) > _KEPT:
                    self._results.popitem(last=False)

    def _send(self, user_key: UserKey, channel: str, name: str, reply: Reply) -> None:
        if self._post is None or not self._post.reaches(channel):
            return
        for attempt in range(_POST_TRIES):
            try:
                self._post(user_key, channel, name, reply, at=self._clock())
            except StoreError:
                self._pause(2.0**attempt)
            else:
                return
        logger.error("the result of a job could not be queued", extra={"job": name})

    def _write_note(self, job: Job) -> None:
        if self._note is None:
            return
        note = {
            "job_id": job.job_id, "name": job.name, "user_key": job.user_key,
            "channel": job.channel, "language": str(job.language),
        }  # fmt: skip
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._note.with_name(f".{self._note.name}.new")
            temporary.write_text(json.dumps(note), encoding="utf-8")
            temporary.replace(self._note)
        except OSError:
            # The job matters more than the note about it.
            logger.warning("no note about the job could be written")


def _outcome(job: Job) -> Reply:
    words = Words(job.language)
    name = words(f"job.name_{job.name}")
    try:
        return job.work()
    except ZhiweiError as error:
        logger.warning("job %s failed: %s", job.name, error)
        return Reply(
            spans=plain(words("job.failed", name=name, reason=str(error))), is_private=True
        )
    except Exception:
        logger.exception("job %s broke", job.name)
        return Reply(spans=plain(words("job.broke", name=name, job=job.job_id)), is_private=True)
