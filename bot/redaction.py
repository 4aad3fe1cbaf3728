"""Keeps secrets and people's words out of every log line, traceback and warning, whoever writes it.

A traceback names files and lines; what an error says is kept when we wrote the sentence. Errors of
Python and of libraries love to quote what they could not read, which is what a person wrote.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType

from data.errors import ZhiweiError

HIDDEN = "[secret]"
WORDS_HIDDEN = "[words hidden]"
_BOT_TOKEN = re.compile(r"\d{6,}(?::|%3[Aa])[A-Za-z0-9_-]{30,}")
_NOISY = dict.fromkeys(("httpx", "httpcore", "aiohttp"), logging.WARNING) | {
    "telegram": logging.CRITICAL
}
"""httpx prints the address with the token at INFO; the library prints answers that it cannot parse,
with people's words in them, at ERROR."""

_QUOTED = re.compile(r"""(["'`]).*?\1""", re.DOTALL)

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
        error = record.exc_info[1]
        record.exc_text = redact_exception_text(error) if error else record.exc_info[0].__name__
        # A handler that formats by itself would print the original.
        record.exc_info = None
    elif record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


def redact_exception_text(error: BaseException) -> str:
    """Give the traceback of an error and of what led to it, without other people's words."""
    return redact("".join(_told(error, set())).rstrip())


def _told(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _told(before, seen)
        yield "\nwhich led to:\n\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    said = _said(error)
    yield f"{name}: {said}\n" if said else f"{name}\n"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            if id(part) not in seen:
                yield from _told(part, seen)


def _said(error: BaseException) -> str:
    """What may be told of an error: our own sentences, and reasons of the system and of Telegram."""
    if isinstance(error, ZhiweiError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or ""
    if type(error).__module__.startswith("telegram."):
        # "unsupported start tag ..." quotes the message that was sent.
        return _QUOTED.sub('"..."', str(error))
    return WORDS_HIDDEN if error.args else ""


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
    told = redact_exception_text(error) if error is not None else kind.__name__
    sys.stderr.write(told + "\n")
