"""The journal tells the next run what was sent, and what was on the wire, when this one died."""

from __future__ import annotations

import resource
from pathlib import Path

from bot.sent_journal import LARGEST_BYTES, Sent, SentJournal


def test_what_was_on_the_wire_at_a_crash_is_told_apart_from_what_was_sent(tmp_path: Path) -> None:
    crashed = SentJournal(tmp_path / "sent")
    for outbox_id in ("committed", "sent", "on the wire", "refused"):
        crashed.begin(outbox_id)
    for outbox_id in ("committed", "sent"):
        crashed.note(Sent(outbox_id=outbox_id, message_id="7"))
    crashed.forget("committed")
    crashed.forget("refused")

    after = SentJournal(tmp_path / "sent")

    # What was committed may be told again, which does no harm.
    assert Sent(outbox_id="sent", message_id="7") in after.left()
    assert after.unclear() == ["on the wire"]
    assert {sent.outbox_id for sent in after.left()} == {"committed", "sent"}


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b'["a", "1", ""]\n{"x": 1}\n["b", "2')

    journal = SentJournal(tmp_path / "sent")

    assert journal.left() == [Sent(outbox_id="a", message_id="1")]
    assert journal.unclear() == []


def test_a_journal_that_is_never_empty_stays_small(tmp_path: Path) -> None:
    journal = SentJournal(tmp_path / "sent")
    journal.begin("0")
    for n in range(1, 20_000):
        journal.begin(str(n))
        journal.note(Sent(outbox_id=str(n), message_id=str(n)))
        journal.forget(str(n - 1))

    assert (tmp_path / "sent").stat().st_size <= LARGEST_BYTES + 100
    journal.close()
    assert Sent(outbox_id="19999", message_id="19999") in SentJournal(tmp_path / "sent").left()


def test_an_empty_journal_is_an_empty_file(tmp_path: Path) -> None:
    journal = SentJournal(tmp_path / "sent")
    journal.begin("a")
    journal.note(Sent(outbox_id="a", message_id="1"))
    journal.forget("a")

    assert (tmp_path / "sent").read_bytes() == b""


def test_a_full_disk_is_told_to_whoever_wants_to_send() -> None:
    journal = SentJournal(Path("/dev/full"))

    assert not journal.begin("a")
    assert not journal.note(Sent(outbox_id="a", message_id="1"))
    journal.forget("a")
    journal.close()


def test_without_a_file_sends_may_go_and_a_crash_may_repeat_them() -> None:
    journal = SentJournal(None)

    assert journal.begin("a")
    assert not journal.note(Sent(outbox_id="a", message_id="1"))


def test_a_line_that_was_cut_off_by_a_full_disk_does_not_spoil_the_next_one(
    tmp_path: Path,
) -> None:
    journal = SentJournal(tmp_path / "sent")
    journal.begin("a")
    n_bytes = (tmp_path / "sent").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes + 3, hard))
    try:
        is_begun = journal.begin("b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    is_noted = journal.note(Sent(outbox_id="c", message_id="3"))
    journal.close()

    assert (tmp_path / "sent").read_bytes()[n_bytes : n_bytes + 4] == b'["b\n'
    assert (is_begun, is_noted) == (False, True)
    after = SentJournal(tmp_path / "sent")
    assert after.left() == [Sent(outbox_id="c", message_id="3")]
    assert after.unclear() == ["a"]
