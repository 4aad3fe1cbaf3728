"""Keeps secrets out of every log line, traceback and warning, whichever handler writes it."""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType

HIDDEN = "[secret]"
_BOT_TOKEN = re.compile(r"\d{6,}(?::|%3[Aa])[A-Za-z0-9_-]{30,}")
_NOISY = {"httpx": logging.WARNING, "httpcore": logging.WARNING, "telegram": logging.CRITICAL}
"""httpx prints the address with the token at INFO; the library prints answers that it cannot parse,
with people's words in them, at ERROR."""

_secrets: set[str] = set()


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Give the text without bot tokens and without the given secrets."""
    for secret in (*_secrets, *secrets):
        for form in (secret, secret.replace(":", "%3A"), secret.replace(":", "%3a")):
            text = text.replace(form, HIDDEN)
    return _BOT_TOKEN.sub(HIDDEN, text)


class RedactingFilter(logging.Filter):
    """Redacts a record in place: message, traceback and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        redact_record(record)
        return True


def redact_record(record: logging.LogRecord) -> None:
    """Redact message, arguments, traceback and stack of a log record."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        # The handler reports the wrong arguments; they may hold a secret as well.
        message = f"{record.msg} {record.args}"
    record.msg, record.args = redact(message), ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
        # A handler that formats by itself would print the original.
        record.exc_info = None
    elif record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


def install_redaction(secrets: Iterable[str | None]) -> None:
    """Redact everything that this process logs from now on; call it once at the start.

    The record factory covers handlers that are added later, too; the hooks cover what Python prints
    by itself when an exception ends a thread or the program.
    """
    _secrets.update(secret for secret in secrets if secret)
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    make = logging.getLogRecordFactory()
    if getattr(make, "is_redacting", False):
        return

    def redacting(*args: object, **kwargs: object) -> logging.LogRecord:
        record: logging.LogRecord = make(*args, **kwargs)
        redact_record(record)
        return record

    redacting.is_redacting = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacting)
    sys.excepthook = _print_redacted
    threading.excepthook = lambda args: _print_redacted(
        args.exc_type, args.exc_value, args.exc_traceback
    )


def _print_redacted(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
