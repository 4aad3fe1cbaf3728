"""What runs in the process that is killed: the real adapter and store, and a small conversation.

Every text is answered, and leaves a fact in the store with the update's id; so a checker can compare
what people sent, what was stored and what they got. `/slate` answers with a slate, whose delivery
leaves impressions; a press edits it in place.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.messages import Button, ButtonPress, Incoming, TextMessage, plain
from bot.messages import Reply as Answer
from bot.retention import DailyExpiry
from bot.telegram_app import TelegramOptions, run_polling
from data.catalogue import ItemId
from data.events import Placement, Reply, ReplyKind, SlateId, SlateRecord, UserKey
from data.sqlite_store import SqliteEventStore
from data.store import EventStore
from data.vocabulary import Language
from recommender.guard import Refusal
from tests.faults.trouble import clock_from_environment

SECRET = b"a secret for fault runs"
BUSY_SECONDS = 0.3
"""Shorter than in earnest, so that a lock that somebody holds for a moment is met."""
READY = "ZHIWEI_FAULTS_READY"


@dataclass
class NotingConversation:
    """Notes each text once and answers it once."""

    store: EventStore
    after_turn: Callable[[], None] = lambda: None

    def prepare(self, incoming: Incoming) -> None:
        """Nothing to do ahead."""

    def handle(self, incoming: Incoming) -> list[Answer]:
        self.after_turn()
        text = {True: getattr(incoming, "text", "")}.get(isinstance(incoming, TextMessage), "")
        if isinstance(incoming, ButtonPress):
            text = f"press {incoming.payload}"
        self.store.record_reply(
            Reply(
                reply_id=incoming.incoming_id,
                at=incoming.at,
                user_key=incoming.sender.user_key,
                kind=ReplyKind.TEXT,
                value=text,
            )
        )
        if isinstance(incoming, ButtonPress):
            return [Answer(spans=plain(f"edited {incoming.payload}"), is_edit=True, notice="ok")]
        if text.startswith("slate"):
            return [self._slate(incoming, text)]
        return [Answer(spans=plain(f"echo {text}"))]

    def _slate(self, incoming: Incoming, text: str) -> Answer:
        slate_id = SlateId(f"slate-{text.split()[1]}")
        self.store.record_slate(slate_record(slate_id, incoming.sender.user_key, at=incoming.at))
        button = Button(label="Like", payload=f"like {text}")
        return Answer(
            spans=plain(f"echo {text}"),
            buttons=((button,),),
            slate_id=slate_id,
            item_ids=(ItemId("a"),),
        )

    def delivered(self, reply: Answer, *, at: datetime, message_id: str = "") -> None:
        if reply.slate_id is not None:
            self.store.record_delivery(reply.slate_id, at=at, message_id=message_id)

    def may_send(
        self, user_key: UserKey, item_ids: Iterable[ItemId], *, at: datetime
    ) -> tuple[Refusal, ...]:
        return ()

    def language_of(self, incoming: Incoming) -> Language:
        return Language.EN


def slate_record(slate_id: SlateId, user_key: UserKey, *, at: datetime) -> SlateRecord:
    """Return a slate of one item."""
    placement = Placement(item_id=ItemId("a"), position=0, propensity=1.0, marginal_propensity=1.0)
    return SlateRecord(
        slate_id=slate_id, at=at, user_key=user_key, placements=(placement,), trigger="ask"
    )


def run_bot(api_root: str, token: str, database: Path, health_port: int | None) -> None:
    """Run the bot until it is killed."""
    clock = clock_from_environment()
    store = SqliteEventStore(database, busy_timeout_seconds=BUSY_SECONDS)
    options = TelegramOptions(
        token=token,
        secret=SECRET,
        api_root=api_root,
        journal=database.with_suffix(".sent"),
        quotas=None,
        poll_seconds=5,
        registers_menu=False,
        conflict_patience_seconds=60,
        health_port=health_port,
    )
    conversation = NotingConversation(store, after_turn=DailyExpiry(store, now=clock))
    asyncio.run(run_polling(conversation, store, options, on_ready=_say_ready, clock=clock))


def _say_ready(_: object) -> None:
    ready_file(os.getpid()).touch()


def ready_file(pid: int) -> Path:
    """The file that exists once the bot with this process id was up."""
    return Path(os.environ[READY]) / f"ready-{pid}"


def nurse() -> None:
    """Read commands as JSON lines, and fork a bot for each: so a start costs milliseconds.

    `{"api_root", "token", "database", "health_port"}` answers with the pid; `{"reap": pid}` answers when that
    process has ended, with its status.
    """
    for line in sys.stdin:
        asked = json.loads(line)
        if "reap" in asked:
            _, status = os.waitpid(asked["reap"], 0)
            _say(os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            sys.stdin.close()
            try:
                run_bot(
                    asked["api_root"],
                    asked["token"],
                    Path(asked["database"]),
                    asked["health_port"],
                )
            except BaseException as error:
                sys.stderr.write(f"the bot ended: {error!r}\n")
                os._exit(1)
            os._exit(0)
        _say(pid)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    nurse()
