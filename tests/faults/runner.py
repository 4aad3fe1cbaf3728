"""Kills the bot again and again under load, lets it recover, and checks that it kept its promises.

A batch is one database and one fake Telegram with a number of kills; after the last one the bot may
finish, and then what people sent, what the store holds and what they got are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlite_utils.utils import sqlite3

from bot.buttons import user_key_for
from data.sqlite_store import SqliteEventStore
from data.store import MessageClass, OutboxEntry
from tests.fake_telegram.faults import Fault
from tests.fake_telegram.people import Person
from tests.fake_telegram.server import FakeTelegram
from tests.faults.trouble import (
    BROKEN,
    FULL,
    UNREADABLE,
    UNSYNCED,
    Trouble,
    trouble_in,
)
from tests.faults.world import READY, SECRET

ROOT = Path(__file__).parents[2]
N_PEOPLE = 6
ON_THE_WIRE = 1 + N_PEOPLE // 4
"""Sends at once while so many wait; see `ChatQueues._has_slot`."""
STUCK_SECONDS = 60.0
"""Without any progress for so long, what is left counts as lost."""
SETTLE_SECONDS = 600.0


class Nursery:
    """A process that forks bots quickly; the bots are killed by their own ids."""

    def __init__(
        self, process: asyncio.subprocess.Process, trouble: Trouble, ready_folder: Path
    ) -> None:
        self._process = process
        self._ready_folder = ready_folder
        self.trouble = trouble
        """What can go wrong around a bot."""

    async def start(
        self, telegram: FakeTelegram, database: Path, *, health_port: int | None = None
    ) -> int:
        """Start a bot and give its process id."""
        asked = {"api_root": telegram.api_root, "token": telegram.token}
        return int(
            await self._ask(asked | {"database": str(database), "health_port": health_port})
        )

    async def kill(self, pid: int, *, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; gives the exit code, negative for a signal."""
        os.kill(pid, how)
        return int(await self._ask({"reap": pid}))

    async def until_up(self, pid: int) -> None:
        """Wait until a bot is up."""
        async with asyncio.timeout(STUCK_SECONDS):
            while not self._was_up(pid):
                await asyncio.sleep(0.02)

    def _was_up(self, pid: int) -> bool:
        return (self._ready_folder / f"ready-{pid}").exists()

    def died_by_itself(self, pid: int) -> bool:
        """Whether a bot that had been up ended although nobody told it to."""
        # After the name, which may hold spaces: the state; Z is ended and not reaped yet.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and self._was_up(pid)

    async def _ask(self, asked: dict[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        return int(json.loads(await self._process.stdout.readline()))


@contextlib.asynccontextmanager
async def nursery(folder: Path) -> AsyncIterator[Nursery]:
    """Run a nursery for the length of the block; its bots' databases lie in `folder`."""
    databases = folder / "databases"
    beside = folder / "switches"
    databases.mkdir()
    trouble = trouble_in(databases, beside=beside)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.world",
        cwd=ROOT,
        env=os.environ | trouble.environment | {READY: str(beside)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Nursery(process, trouble, beside)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@dataclass(slots=True)
class Tally:
    """What a number of runs came to."""

    runs: int = 0
    messages: int = 0
    answers: int = 0
    lost: int = 0
    duplicates: int = 0
    promotions_twice: int = 0
    unclear: int = 0
    """Answers of Telegram that were lost or broken on purpose; each may double one message."""
    blind: int = 0
    """Lives in which the disk refused to note what was sent: all that is on the wire may double."""
    troubles: Counter[str] = field(default_factory=Counter)
    """What broke around the bot, by its kind."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("runs", "messages", "answers", "lost", "duplicates", "promotions_twice"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.unclear += other.unclear
        self.blind += other.blind
        self.troubles += other.troubles
        self.problems += other.problems

    @property
    def may_double(self) -> int:
        """How many duplicates the faults explain: one a crash, and what could not be noted."""
        return self.runs + self.unclear + self.blind * ON_THE_WIRE

    def line(self) -> str:
        """The last line of a run."""
        return (
            f"{self.runs} runs: {self.lost} lost, {self.duplicates} duplicates, "
            f"{self.promotions_twice} promotions twice"
        )


class Batch:
    """One database, one Telegram, several kills."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.database = folder / f"{seed}.db"
        self.sent: dict[str, Person] = {}
        self.promotions: Counter[str] = Counter()
        self.tally = Tally()
        self.is_ordered = True
        self.wrong_by = timedelta(0)
        """How wrong the bot's clock is."""
        self._n_texts = 0
        self._faults: list[Fault] = []

    async def run(self, nurse: Nursery, n_kills: int) -> Tally:
        """Kill the bot `n_kills` times at random moments, then let it finish and check."""
        async with FakeTelegram(answer_within=3600) as telegram:
            people = [telegram.person(1000 + n) for n in range(N_PEOPLE)]
            for _ in range(n_kills):
                await self._one_life(nurse, telegram, people)
            telegram.faults.clear()
            pid = await nurse.start(telegram, self.database)
            if self.rng.random() < 0.5:
                # Nobody kills it this time: it must get well by itself. One that cannot even open
                # its store ends with a sentence, and whoever watches over it starts it again.
                await nurse.until_up(pid)
                with self._something_breaks(nurse.trouble, pid):
                    await self._talk(people, self.rng.uniform(0.05, 0.8))
            await self._settle(telegram)
            if nurse.died_by_itself(pid):
                self.tally.problems.append("a bot ended by itself")
            code = await nurse.kill(pid, how=signal.SIGTERM)
            if code != 0:
                self.tally.problems.append(f"a bot that was told to stop ended with {code}")
            nurse.trouble.set_clock(timedelta(0))
            self._check(telegram, people)
        return self.tally

    async def _one_life(
        self, nurse: Nursery, telegram: FakeTelegram, people: list[Person]
    ) -> None:
        self._go_wrong(telegram)
        if self.rng.random() < 0.5:
            await asyncio.to_thread(self._promote, people)
        if self.rng.random() < 0.2:
            # Found wrong, or right again, at the start.
            self.wrong_by = timedelta(hours=self.rng.uniform(-20, 20))
            nurse.trouble.set_clock(self.wrong_by)
        pid = await nurse.start(telegram, self.database)
        await self._talk(people, self.rng.uniform(0.01, 0.5))
        with contextlib.ExitStack() as broken:
            if self.rng.random() < 0.4:
                broken.enter_context(self._something_breaks(nurse.trouble, pid))
                await self._talk(people, self.rng.uniform(0.01, 0.5))
                if self.rng.random() < 0.7:
                    broken.close()
                    await self._talk(people, self.rng.uniform(0.01, 0.3))
            if self.rng.random() < 0.2:
                await asyncio.to_thread(self._lose_power, pid)
            if nurse.died_by_itself(pid):
                self.tally.problems.append("a bot ended by itself")
            await nurse.kill(pid)
        self.tally.runs += 1

    async def _talk(self, people: list[Person], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            for _ in range(self.rng.randint(1, 4)):
                self._do_something(self.rng.choice(people))
            await asyncio.sleep(self.rng.uniform(0.001, 0.05))

    def _something_breaks(self, trouble: Trouble, pid: int) -> AbstractContextManager[None]:
        """One thing around the bot fails within the block."""
        kind = self.rng.choice(("disk", "disk", "lock", "clock"))
        self.tally.troubles[kind] += 1
        if kind == "disk":
            self.tally.blind += 1
            fault = self.rng.choice((FULL, BROKEN, UNSYNCED, UNREADABLE))
            return trouble.failing_disk(fault, pid=pid, after=self.rng.randint(0, 40))
        if kind == "lock":
            return locked(self.database)
        return self._clock_jumps(trouble)

    @contextlib.contextmanager
    def _clock_jumps(self, trouble: Trouble) -> Iterator[None]:
        # What was written while the clock was behind by years would rightly count as old later.
        hours = self.rng.choice((1, -1, 30, -30, 800 * 24, -400 * 24))
        trouble.set_clock(self.wrong_by + timedelta(hours=hours))
        try:
            yield
        finally:
            trouble.set_clock(self.wrong_by)

    def _do_something(self, person: Person) -> None:
        with_buttons = [m for m in person.bot_messages() if "reply_markup" in m]
        if with_buttons and self.rng.random() < 0.2:
            chosen = self.rng.choice(with_buttons)
            person.press("Like", message=chosen)
            return
        self._n_texts += 1
        kind = "slate" if self.rng.random() < 0.3 else "text"
        text = f"{kind} {self.database.stem}-{self._n_texts}"
        self.sent[text] = person
        person.send_text(text)

    def _go_wrong(self, telegram: FakeTelegram) -> None:
        telegram.faults.clear()
        rng = self.rng
        if rng.random() < 0.3:
            telegram.faults.duplicate_probability = 0.2
        if rng.random() < 0.2:
            telegram.faults.reorder_probability = 0.3
            self.is_ordered = False
        for fault in (
            Fault(kind="refuse", method="sendMessage", status=502),
            Fault(kind="refuse", method="sendMessage", retry_after=1),
            Fault(kind="drop_before", method="*"),
            Fault(kind="drop_after", method="sendMessage"),
            Fault(kind="malformed", method="sendMessage"),
            Fault(kind="drop_after", method="getUpdates"),
            Fault(kind="delay", method="sendMessage", seconds=0.2),
        ):
            if rng.random() < 0.15:
                fault.skip = rng.randint(0, 5)
                self._faults.append(telegram.faults.add(fault))

    def _promote(self, people: list[Person]) -> None:
        store = SqliteEventStore(self.database)
        for person in self.rng.sample(people, 2):
            text = f"tip {self.database.stem}-{len(self.promotions)}"
            self.promotions[text] = 0
            payload = {"method": "sendMessage", "params": {"text": text}, "plain": text}
            store.queue(
                [
                    OutboxEntry(
                        outbox_id=text,
                        address=str(person.id),
                        payload=json.dumps(payload),
                        message_class=MessageClass.PROMOTION,
                        user_key=user_key_for(SECRET, "telegram", person.id),
                        created_at=datetime.now(UTC),
                    )
                ]
            )
        store.close()

    def _lose_power(self, pid: int) -> None:
        """Freeze the bot, and look at what a disk would hold: the files, and a torn write."""
        os.kill(pid, signal.SIGSTOP)
        copy = self.database.with_suffix(".copy")
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{self.database}{suffix}", f"{copy}{suffix}")
        if not copy.exists() or not copy.stat().st_size:
            return
        with Path(f"{copy}-wal").open("ab") as wal:
            wal.write(self.rng.randbytes(self.rng.randint(1, 9000)))
        store = SqliteEventStore(copy)
        problems = store.check()
        self.tally.problems += [f"after a power loss: {problem}" for problem in problems]
        store.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)

    async def _settle(self, telegram: FakeTelegram) -> None:
        """Wait until nothing waits any more, however slow the machine is, but not for a standstill."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SETTLE_SECONDS
        moved_at = loop.time()
        seen: tuple[int, ...] = ()
        while loop.time() < end and loop.time() < moved_at + STUCK_SECONDS:
            await asyncio.sleep(0.1)
            waiting = await asyncio.to_thread(self._waiting, telegram)
            if not any(waiting):
                return
            if waiting != seen:
                seen, moved_at = waiting, loop.time()
        self.tally.problems.append(
            "not settled: {} updates not fetched, {} presses not answered, {} updates not handled, "
            "{} messages not sent".format(*seen)
        )

    def _waiting(self, telegram: FakeTelegram) -> tuple[int, int, int, int]:
        state = telegram.state
        store = SqliteEventStore(self.database)
        waiting = store.backlog(at=datetime.now(UTC))
        store.close()
        return (
            len(state.updates) + len(state.repeated),
            sum(c.answered_at is None for c in list(state.callbacks.values())),
            waiting.inbox,
            waiting.outbox,
        )

    def _check(self, telegram: FakeTelegram, people: list[Person]) -> None:
        tally, problems = self.tally, self.tally.problems
        store = SqliteEventStore(self.database)
        stored = Counter(reply.value for reply in store.replies())
        impressions = Counter(i.slate_id for i in store.impressions())
        tally.messages += len(self.sent)
        tally.unclear += sum(
            fault.struck
            for fault in self._faults
            if fault.kind in ("drop_after", "malformed") and fault.method == "sendMessage"
        )
        for person in people:
            self._check_person(person, stored, impressions)
        heard = Counter(m.get("text", "") for p in people for m in p.bot_messages())
        tally.promotions_twice += sum(heard[text] > 1 for text in self.promotions)
        unanswered = [c for c in telegram.state.callbacks.values() if c.answered_at is None]
        problems += [f"a press was never answered: {c.id}" for c in unanswered]
        waiting = store.backlog(at=datetime.now(UTC))
        if waiting.inbox or waiting.parked or waiting.outbox:
            problems.append(f"left over: {waiting}")
        problems += store.check()
        store.close()
        if tally.duplicates > tally.may_double:
            problems.append(f"{tally.duplicates} duplicates in {tally.runs} kills")
        for leftover in self.database.parent.glob(f"{self.database.stem}.*"):
            leftover.unlink()

    def _check_person(
        self, person: Person, stored: Counter[str], impressions: Counter[str]
    ) -> None:
        tally, problems = self.tally, self.tally.problems
        heard = [m["text"].removeprefix("echo ") for m in person.bot_messages()]
        # A press edits the message; what it said before is in the new text.
        heard = [text.removeprefix("edited like ") for text in heard]
        sent = [text for text, who in self.sent.items() if who is person]
        copies = Counter(heard)
        for text in sent:
            if stored[text] != 1:
                problems.append(f"{text!r} is {stored[text]} times in the store")
            if copies[text] == 0:
                tally.lost += 1
                problems.append(f"{text!r} was never answered")
            else:
                tally.answers += 1
                tally.duplicates += copies[text] - 1
            if text.startswith("slate") and impressions[f"slate-{text.split()[1]}"] != 1:
                problems.append(f"{text!r} has no impression, or more than one")
        first_heard = list(dict.fromkeys(text for text in heard if text in set(sent)))
        if self.is_ordered and first_heard != [text for text in sent if copies[text]]:
            problems.append(f"person {person.id} got answers out of order")


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the lock of a database for writing, as a backup program or a browser may."""
    other = sqlite3.connect(database, timeout=5, isolation_level=None)
    try:
        other.execute("PRAGMA busy_timeout=5000")
        with contextlib.suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


async def run_all(n_runs: int, folder: Path, *, seed: int, kills: int = 25) -> Tally:
    """Carry out so many kills in batches and give the tally."""
    tally = Tally()
    async with nursery(folder) as nurse:
        n_batch = 0
        while tally.runs < n_runs:
            n_batch += 1
            batch = Batch(folder / "databases", seed + n_batch)
            one = await batch.run(nurse, min(kills, n_runs - tally.runs))
            tally.add(one)
            for problem in one.problems:
                sys.stderr.write(f"batch {seed + n_batch}: {problem}\n")
            sys.stderr.write(f"{tally.line()} ({tally.messages} messages)\n")
            if len(tally.problems) > 50:
                break
    return tally
