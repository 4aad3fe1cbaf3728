"""The receipt in /me that lets support open that page: given by the learner, good for a month or two.

A receipt is the user key, sealed: tag = HMAC(secret, period | key), 4 bytes, and the key XOR
HMAC(secret, tag). Nothing is stored and nobody can be searched for; without a receipt that the person gave
away there is no way in. Whoever keeps an old one cannot use it for long.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import date, datetime

from data.events import UserKey

PERIOD_DAYS = 30
_TAG_BYTES = 4
_HEX_KEY = re.compile(r"[0-9a-f]{32}")
_LOOK_ALIKES = str.maketrans("018", "OIB")
"""Digits that base32 does not have, as people copy them."""


def receipt_for(secret: bytes, user_key: UserKey, *, at: datetime) -> str:
    """Give eight groups of four signs; empty for a key that is not 32 hex digits."""
    if not _HEX_KEY.fullmatch(user_key):
        return ""
    raw = bytes.fromhex(user_key)
    tag = _tag(secret, raw, _period(at))
    signs = base64.b32encode(tag + _masked(secret, tag, raw)).decode()
    return "-".join(signs[i : i + 4] for i in range(0, len(signs), 4))


def last_day(at: datetime) -> date:
    """The last day on which a receipt of that moment opens the page."""
    return date.fromordinal((_period(at) + 2) * PERIOD_DAYS - 1)


def user_key_of(secret: bytes, receipt: str, *, at: datetime) -> UserKey | None:
    """Give the person of a receipt of this period or the one before; None for anything else."""
    signs = re.sub(r"[\s-]+", "", receipt).upper().translate(_LOOK_ALIKES)
    try:
        sealed = base64.b32decode(signs)
    except (binascii.Error, ValueError):
        return None
    if len(sealed) != _TAG_BYTES + 16:
        return None
    tag, masked = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
    raw = _masked(secret, tag, masked)
    is_good = [
        hmac.compare_digest(tag, _tag(secret, raw, period))
        for period in (_period(at), _period(at) - 1)
    ]
    return UserKey(raw.hex()) if any(is_good) else None


def _period(at: datetime) -> int:
    return at.date().toordinal() // PERIOD_DAYS


def _tag(secret: bytes, raw: bytes, period: int) -> bytes:
    message = f"support-receipt:{period}:".encode() + raw
    return hmac.new(secret, message, hashlib.sha256).digest()[:_TAG_BYTES]


def _masked(secret: bytes, tag: bytes, raw: bytes) -> bytes:
    stream = hmac.new(secret, b"support-receipt-mask:" + tag, hashlib.sha256).digest()
    return bytes(a ^ b for a, b in zip(raw, stream, strict=False))
