"""Work beside the turns: one at a time, told afterwards, and not forgotten silently."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from bot.admin_jobs import Job, Jobs
from bot.admin_office import AdminOffice
from bot.messages import Document, Picture, Reply, plain
from bot.telegram_posting import TelegramPost
from data.errors import InvalidInput, StoreError
from data.events import UserKey
from data.memory_store import InMemoryEventStore
from data.sqlite_store import SqliteEventStore
from data.vocabulary import Language
from tests import fakes
from tests.bot.telegram_world import running_bot
from tests.fake_telegram.server import FakeTelegram
from tests.fakes import NOON

ADA, BOB = UserKey("a" * 32), UserKey("b" * 32)


@dataclass
class Letters:
    """Writes to people of one channel; fails as often as told."""

    n_failures: int = 0
    sent: list[tuple[UserKey, str, str]] = field(default_factory=list)

    def reaches(self, channel: str) -> bool:
        return channel == "post"

    def __call__(
        self, user_key: UserKey, channel: str, name: str, reply: Reply, *, at: datetime
    ) -> None:
        if self.n_failures:
            self.n_failures -= 1
            raise StoreError("locked")
        self.sent.append((user_key, name, reply.text))


def job(
    number: int,
    work: Callable[[], Reply],
    *,
    user_key: UserKey = ADA,
    channel: str = "post",
    language: Language = Language.EN,
) -> Job:
    return Job(
        job_id=f"j{number}", name="train", user_key=user_key, channel=channel,
        language=language, work=work,
    )  # fmt: skip


def says(text: str) -> Callable[[], Reply]:
    return lambda: Reply(spans=plain(text))


def test_the_result_is_sent_where_people_can_be_written_to() -> None:
    letters = Letters()
    jobs = Jobs(letters)

    assert jobs.start(job(1, says("done"))) is None
    assert jobs.wait(30)

    assert letters.sent == [(ADA, "job:j1", "done")]
    assert jobs.under_way() is None
    assert jobs.result(ADA) is None


def test_elsewhere_the_result_waits_for_its_person_alone() -> None:
    jobs = Jobs(Letters())

    jobs.start(job(1, says("done"), channel="page"))
    assert jobs.wait(30)

    found = jobs.result(ADA)
    assert found is not None
    assert found.text == "done"
    assert jobs.result(BOB) is None


def test_one_job_at_a_time_and_the_same_request_only_once() -> None:
    goes_on = threading.Event()
    runs: list[int] = []

    def slow() -> Reply:
        runs.append(1)
        goes_on.wait(30)
        return Reply(spans=plain("done"))

    jobs = Jobs(clock=lambda: NOON)
    assert jobs.start(job(1, slow)) is None
    again = jobs.start(job(1, slow))
    other = jobs.start(job(2, slow, user_key=BOB))
    goes_on.set()
    assert jobs.wait(30)
    after = jobs.start(job(1, slow))

    assert again is None
    assert other is not None
    assert (other.job.job_id, other.since) == ("j1", NOON)
    assert after is None
    assert runs == [1]


@pytest.mark.parametrize(
    ("language", "said"), [(Language.EN, "Not done"), (Language.ZH, "没有完成")]
)
def test_what_cannot_be_done_is_told_with_its_reason(language: Language, said: str) -> None:
    def fails() -> Reply:
        raise InvalidInput("there is nothing to learn from")

    letters = Letters()
    jobs = Jobs(letters)
    jobs.start(job(1, fails, language=language))
    assert jobs.wait(30)

    assert said in letters.sent[0][2]
    assert "nothing to learn from" in letters.sent[0][2]


def test_what_breaks_is_told_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    def breaks() -> Reply:
        raise RuntimeError("password 123")

    letters = Letters()
    jobs = Jobs(letters)
    jobs.start(job(1, breaks))
    assert jobs.wait(30)

    assert "j1" in letters.sent[0][2]
    assert "123" not in letters.sent[0][2]
    assert jobs.start(job(2, says("next"))) is None
    assert jobs.wait(30)
    assert letters.sent[1][2] == "next"


def test_a_store_that_is_down_for_a_moment_delays_the_result() -> None:
    letters, pauses = Letters(n_failures=2), list[float]()
    jobs = Jobs(letters, pause=pauses.append)

    jobs.start(job(1, says("done")))
    assert jobs.wait(30)

    assert [text for _, _, text in letters.sent] == ["done"]
    assert pauses == [1.0, 2.0]


def test_a_restart_in_between_is_told_once_and_in_their_language(tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    goes_on, began = threading.Event(), threading.Event()

    def slow() -> Reply:
        began.set()
        goes_on.wait(30)
        return Reply(spans=plain("done"))

    first = Jobs(Letters(), note=note)
    first.start(job(1, slow, language=Language.ZH))
    assert began.wait(30)
    left = note.read_text(encoding="utf-8")
    goes_on.set()
    assert first.wait(30)
    assert not note.exists()

    # What a killed process leaves behind.
    note.write_text(left, encoding="utf-8")
    letters = Letters()
    second = Jobs(letters, note=note)
    second.tell_interrupted()
    second.tell_interrupted()

    assert [(who, text) for who, _, text in letters.sent] == [
        (ADA, "重启中断了训练，没有保留任何结果。请重新发送命令。")
    ]


@pytest.mark.parametrize("content", ["", "{}", '{"language": "xx"}', "[]"])
def test_a_note_that_cannot_be_read_is_dropped(tmp_path: Path, content: str) -> None:
    note = tmp_path / "note.json"
    note.write_text(content, encoding="utf-8")
    letters = Letters()

    Jobs(letters, note=note).tell_interrupted()

    assert letters.sent == []
    assert not note.exists()


def test_a_posted_message_is_queued_once_with_its_picture_and_file() -> None:
    store = InMemoryEventStore()
    store.put_address(ADA, "telegram", "77", at=NOON)
    post = TelegramPost(store)
    reply = Reply(
        spans=plain("figures"), picture=Picture(content=b"\x89PNG", alternative="figures")
    )
    file = Reply(spans=plain("table"), document=Document(file_name="t.csv", content=b"a,b"))

    for _ in range(2):
        post(ADA, "telegram", "job:1", reply, at=NOON)
        post(ADA, "telegram", "job:2", file, at=NOON)

    rows = store.outgoing(at=NOON)
    assert [row.outbox_id for row in rows] == ["job:1:0", "job:2:0"]
    assert [json.loads(row.payload)["method"] for row in rows] == ["sendPhoto", "sendDocument"]
    assert {row.address for row in rows} == {"77"}
    store.close()


def test_nobody_is_written_to_after_an_erasure() -> None:
    store = InMemoryEventStore()
    store.put_address(ADA, "telegram", "77", at=NOON)
    store.forget(ADA, at=NOON)

    TelegramPost(store)(ADA, "telegram", "job:1", Reply(spans=plain("x")), at=NOON)

    assert store.outgoing(at=NOON) == []
    store.close()


# through Telegram


@pytest.mark.parametrize(("language", "counting"), [("en", "Counting"), ("zh-hans", "正在统计")])
async def test_an_admin_gets_figures_on_telegram_while_others_are_answered(
    telegram: FakeTelegram, store: SqliteEventStore, language: str, counting: str
) -> None:
    office = AdminOffice(jobs=Jobs(TelegramPost(store)), quick=Jobs(TelegramPost(store)))
    conversation = fakes.build_conversation(store=store, admins=[7], office=office)
    admin, other = telegram.person(7, language), telegram.person(8, "en")

    async with running_bot(
        conversation, store, telegram, secret=fakes.SECRET, admins=frozenset({7})
    ):
        admin.send_command("/stats all")
        begun = await admin.wait_reply(timeout=30)
        other.send_command("/help")
        answered = await other.wait_reply(timeout=30)
        figures = await admin.wait_reply(timeout=60)
        admin.send_command("/export all funnel")
        await admin.wait_reply(timeout=30)
        table = await admin.wait_reply(timeout=60)

    assert counting in begun["text"]
    assert answered["text"]
    assert figures["photo"]
    assert table["document"]["file_name"].startswith("zhiwei-funnel-all")
    await asyncio.to_thread(office.quick.wait, 30)
