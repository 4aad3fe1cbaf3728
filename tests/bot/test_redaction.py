"""No secret reaches a log, whatever writes it."""

from __future__ import annotations

import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from bot import redaction
from bot.redaction import RedactingFilter, install_redaction, redact

TOKEN = "7012345678:AAF-abcdefghijklmnopqrstuvwxyz0123456"


@pytest.fixture
def installed() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    hooks = sys.excepthook, threading.excepthook
    known = set(redaction._secrets)
    install_redaction(["webhook-secret-1"])
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hooks
    redaction._secrets.clear()
    redaction._secrets.update(known)
    logging.captureWarnings(False)


def written(log: logging.Logger, write: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    log.addHandler(handler)
    try:
        write(log)  # type: ignore[operator]
    finally:
        log.removeHandler(handler)
    return stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"POST https://api.telegram.org/bot{TOKEN}/getMe",
        f"GET /file/bot{TOKEN.replace(':', '%3A')}/x",
        f"{{'token': '{TOKEN}'}}",
    ],
)
def test_a_token_is_hidden_wherever_it_stands(text: str) -> None:
    hidden = redact(text)

    assert "AAF-" not in hidden
    assert "[secret]" in hidden


def test_ordinary_numbers_and_times_stay() -> None:
    text = "update tg:8812 at 12:30:05, 1234567: fine"

    assert redact(text) == text


def test_arguments_of_a_log_line_are_redacted(installed: None) -> None:
    log = logging.getLogger("zhiwei.test")

    line = written(
        log, lambda log: log.error("asked %s with %r", f"bot{TOKEN}", "webhook-secret-1")
    )

    assert "asked bot[secret] with '[secret]'" in line


def test_a_traceback_is_redacted_for_handlers_that_are_added_later(installed: None) -> None:
    log = logging.getLogger("zhiwei.test")

    def fail(log: logging.Logger) -> None:
        try:
            raise ValueError(f"bad address bot{TOKEN}/x")
        except ValueError:
            log.exception("it failed", stack_info=True)

    line = written(log, fail)

    assert "ValueError: [words hidden]" in line
    assert "AAF-" not in line


def test_wrong_arguments_of_a_log_line_hide_their_secret_too(installed: None) -> None:
    log = logging.getLogger("zhiwei.test")

    line = written(log, lambda log: log.error("one %s and %s", TOKEN))

    assert "AAF-" not in line


def test_warnings_are_redacted(installed: None) -> None:
    log = logging.getLogger("py.warnings")

    def warn(log: logging.Logger) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn(f"odd token {TOKEN}", stacklevel=1)

    line = written(log, warn)

    assert "odd token [secret]" in line


def test_an_exception_that_ends_a_thread_is_redacted(
    installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError(TOKEN)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    shown = capsys.readouterr().err
    assert "ValueError: [words hidden]" in shown
    assert "AAF-" not in shown


def test_the_filter_alone_redacts_a_record() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "bot%s", (TOKEN,), None)

    assert RedactingFilter().filter(record)
    assert record.getMessage() == "bot[secret]"
