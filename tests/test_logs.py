"""Nothing that people say, are called or can be reached by stands in any log, at any level."""

from __future__ import annotations

import ast
import asyncio
import io
import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.conversation import Conversation
from bot.degradation import SteadyConversation
from bot.keyword_understanding import KeywordInterpreter, SteadyInterpreter
from bot.messages import Incoming, Reply
from bot.redaction import redact_exception_text
from bot.understanding.meaning import Meaning
from data.errors import StoreError
from data.sqlite_store import SqliteEventStore
from tests import overheard
from tests.bot.telegram_world import running_bot
from tests.fake_telegram.faults import Fault
from tests.fake_telegram.server import FakeTelegram
from tests.fakes import Person, build_conversation, build_services

CHAT = 7_314_159_265
NAME = "Wilhelmina"
SENTENCES = (
    "I am allergic to peanuts and my address is Elm Street 12",
    "我对花生过敏，住在梧桐路十二号",
    "recommend something sour for my birthday",
    "你好呀小味",
    "no seafood for my little Jonathan",
    "刚学完地中海饮食那一课",
)
LEAKS = (
    str(CHAT), NAME, "Elm Street", "梧桐路", "birthday", "小味", "Jonathan", "peanuts", "花生",
    "地中海饮食那一课", "private.example",
)  # fmt: skip


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, formatted as a file would have it, DEBUG included."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(levelname)s %(name)s %(threadName)s %(pathname)s %(message)s")
    )
    root = logging.getLogger()
    factory, level = logging.getLogRecordFactory(), root.level
    hooks = sys.excepthook, threading.excepthook
    levels = {
        name: logging.getLogger(name).level
        for name in ("httpx", "httpcore", "aiohttp", "telegram")
    }
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in ("bot", "data", "index", "recommender"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("zhiwei-test").debug("the log is on")
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)
    for name in ("bot", "data", "index", "recommender"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def assert_clean(log: io.StringIO, *more: str) -> None:
    text = log.getvalue()
    assert "the log is on" in text
    for leak in (*LEAKS, *more):
        lines = [line[:300] for line in text.splitlines() if leak in line]
        assert not lines, f"{leak!r} stands in the log: {lines[:3]}"


def test_the_log_that_is_read_here_would_show_a_leak(log: io.StringIO) -> None:
    logging.getLogger("bot.anything").debug("somebody said %s", SENTENCES[0])

    with pytest.raises(AssertionError, match="stands in the log"):
        assert_clean(log)


async def test_talk_on_telegram_leaves_no_words_names_or_numbers_in_the_log(
    log: io.StringIO,
) -> None:
    store = SqliteEventStore(":memory:")
    services = replace(build_services(store=store), understanding=KeywordInterpreter())
    async with FakeTelegram() as telegram:
        telegram.faults.add(Fault(kind="refuse", method="sendMessage"))
        person = telegram.person(CHAT, first_name=NAME)
        async with running_bot(SteadyConversation(services), store, telegram):
            for text in ("/start", *SENTENCES, "/me", "/mydata", "/privacy", "/forget"):
                person.send_text(text)
                await person.wait_reply(timeout=20)
            person.send_document(f"{NAME}-letter.txt", b"private.example", caption="birthday")
            await person.wait_reply(timeout=20)
    store.close()

    assert_clean(log, telegram.token, telegram.token.replace(":", "%3A"))


class Quoting:
    """Fails with what the person wrote inside the error, as parsers do."""

    def understand(self, text: str) -> Meaning:
        raise ValueError(f"cannot read {text!r}")

    def understand_all(self, texts: Sequence[str]) -> list[Meaning]:
        raise KeyError(texts[0])


async def test_a_failure_that_quotes_the_person_is_logged_without_the_quotation(
    log: io.StringIO,
) -> None:
    store = SqliteEventStore(":memory:")
    services = replace(build_services(store=store), understanding=Quoting())
    async with FakeTelegram() as telegram:
        person = telegram.person(CHAT, first_name=NAME)
        async with running_bot(Conversation(services), store, telegram):
            person.send_text(SENTENCES[0])
            sorry = await person.wait_reply(timeout=20)
    store.close()

    assert "could not handle" in sorry["text"]
    assert "ValueError" in log.getvalue()
    assert "understand" in log.getvalue()
    assert_clean(log, telegram.token)


class FlakyConversation(Conversation):
    """The store fails once in the middle of each first try."""

    tried: set[str]

    def handle(self, incoming: Incoming) -> list[Reply]:
        if incoming.incoming_id not in self.tried:
            self.tried.add(incoming.incoming_id)
            raise StoreError("the database is locked")
        return super().handle(incoming)


async def test_a_store_that_fails_leaves_no_words_in_the_log(log: io.StringIO) -> None:
    store = SqliteEventStore(":memory:")
    services = replace(build_services(store=store), understanding=KeywordInterpreter())
    conversation = FlakyConversation(services)
    conversation.tried = set()
    async with FakeTelegram() as telegram:
        person = telegram.person(CHAT, first_name=NAME)
        async with running_bot(conversation, store, telegram):
            person.send_text(SENTENCES[1])
            await person.wait_reply(timeout=20)
            await asyncio.sleep(0)
    store.close()

    assert "the store is down" in log.getvalue()
    assert_clean(log)


def test_talk_in_the_terminal_leaves_no_words_in_the_log(log: io.StringIO) -> None:
    services = replace(build_services(), understanding=SteadyInterpreter(Quoting))
    person = Person(Conversation(services), name=NAME)

    for text in SENTENCES:
        person.says(text)
    for command in ("/me", "/mydata", "/why", "/lessons", "/stats"):
        person.command(command)
    for button in person.buttons()[:12]:
        if button.payload:
            person.presses_payload(button.payload)

    assert_clean(log)


def test_a_broken_index_leaves_no_words_in_the_log(log: io.StringIO) -> None:
    from tests.test_degradation import broken

    services = replace(build_conversation().services, understanding=KeywordInterpreter())
    person = Person(broken(services))  # type: ignore[arg-type]

    for text in SENTENCES:
        person.says(text)

    assert "matching failed" in log.getvalue()
    assert_clean(log)


def test_our_own_errors_keep_their_sentences_and_others_lose_theirs() -> None:
    written = " ".join(("my", "private", "words"))
    try:
        try:
            int(written)
        except ValueError as inner:
            raise StoreError("the disk is full; free some space") from inner
    except StoreError as error:
        text = redact_exception_text(error)

    assert "the disk is full" in text
    assert "private words" not in text
    assert "ValueError" in text
    assert "test_logs.py" in text


def test_no_log_call_is_handed_what_people_say() -> None:
    telling = {
        "text", "words", "query", "caption", "quoted", "first_name", "last_name", "username",
        "payload", "chat_id", "address", "title", "message_text", "utterance", "folded", "original",
    }  # fmt: skip
    levels = {"debug", "info", "warning", "error", "exception", "critical", "log"}
    guilty = []
    for package in ("bot", "recommender", "index", "data"):
        for path in sorted((Path(__file__).parents[1] / package).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and call.func.attr in levels
                    and isinstance(call.func.value, ast.Name)
                    and call.func.value.id in {"logger", "log", "logging"}
                ):
                    continue
                for given in (*call.args[1:], *(keyword.value for keyword in call.keywords)):
                    names = {n.id for n in ast.walk(given) if isinstance(n, ast.Name)}
                    names |= {n.attr for n in ast.walk(given) if isinstance(n, ast.Attribute)}
                    if names & telling:
                        guilty.append(f"{path.name}:{call.lineno} {sorted(names & telling)}")

    assert guilty == []


def test_the_scan_of_every_test_finds_words_and_tokens_and_passes_over_the_rest() -> None:
    ear = overheard.Ear()
    secret = logging.makeLogRecord({"name": "bot.x", "msg": "asked as " + "123456:" + "A" * 35})
    quoting = logging.makeLogRecord(
        {"name": "data.x", "msg": "cannot read 'my aunt is called Hilda'"}
    )
    plain = logging.makeLogRecord({"name": "bot.x", "msg": "update tg:7 waits: the store is down"})
    elsewhere = logging.makeLogRecord({"name": "tests", "msg": "my aunt is called Hilda"})

    overheard.note("my aunt is called Hilda")
    for record in (secret, quoting, plain, elsewhere):
        ear.handle(record)

    assert [line.split()[0] for line in ear.leaks()] == ["asked", "cannot"]
