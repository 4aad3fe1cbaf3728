"""Button payloads: short, signed for one person, and good for months.

Layout: `1|<action>|<argument>|<mac>`, at most 64 bytes (Telegram's limit). The message authentication
code binds action and argument to the user key, so that nobody can press another person's button or
invent one. Nothing expires with a restart, since nothing is kept in memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from data.events import UserKey

VERSION = "1"
MAX_BYTES = 64
_MAC_BYTES = 8


@dataclass(frozen=True, slots=True)
class Press:
    """A verified payload."""

    action: str
    argument: str = ""


class PayloadTooLongError(ValueError):
    """An action and argument that do not fit into a button; a mistake of ours."""


@dataclass(frozen=True, slots=True)
class ButtonSigner:
    """Signs and reads payloads with the deployment's secret."""

    secret: bytes

    def sign(self, user_key: UserKey, action: str, argument: str = "") -> str:
        """Give the payload of a button for this person.

        Raises:
            PayloadTooLongError: it would not fit into 64 bytes.
        """
        payload = f"{VERSION}|{action}|{argument}|{self._mac(user_key, action, argument)}"
        if len(payload.encode()) > MAX_BYTES:
            raise PayloadTooLongError(
                f"{action!r} with {argument!r} takes more than {MAX_BYTES} bytes"
            )
        return payload

    def read(self, user_key: UserKey, payload: str) -> Press | None:
        """Give what the button says, or None when it is unknown, broken or another person's."""
        if len(payload.encode("utf-8", "replace")) > MAX_BYTES:
            return None
        parts = payload.split("|")
        if len(parts) != 4 or parts[0] != VERSION:
            return None
        _, action, argument, mac = parts
        expected = self._mac(user_key, action, argument)
        if not hmac.compare_digest(mac.encode("utf-8", "replace"), expected.encode()):
            return None
        return Press(action, argument)

    def _mac(self, user_key: UserKey, action: str, argument: str) -> str:
        message = "\x1f".join((VERSION, user_key, action, argument)).encode("utf-8", "replace")
        digest = hmac.new(self.secret, message, hashlib.sha256).digest()[:_MAC_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def user_key_for(secret: bytes, channel: str, channel_id: str | int) -> UserKey:
    """Give the pseudonym of a person on a channel: 32 hex digits of an HMAC."""
    message = f"{channel}:{channel_id}".encode()
    return UserKey(hmac.new(secret, message, hashlib.sha256).hexdigest()[:32])
