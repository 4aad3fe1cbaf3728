"""How fast we may send: token buckets for a chat, a group and the whole bot, and waits we were told.

Telegram states no exact limits for answers and asks bots to obey `retry_after`; so answers run freely
until a refusal, and carefully for a while after it. Promotions always keep to the published limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Limits; the defaults keep to what Telegram publishes."""

    chat_per_second: float = 1.0
    """To one private chat, once it was refused, and for promotions."""
    chat_burst: float = 20.0
    """Answers to one chat that may go at once before anything was refused."""
    chat_refill: float = 10.0
    """Answers a second to one chat before anything was refused: only a brake for our mistakes."""
    group_per_minute: float = 20.0
    all_per_second: float = 25.0
    """To everybody, while several chats were refused lately."""
    promotions_per_second: float = 20.0
    careful_seconds: float = 60.0
    """How long a refusal makes us careful."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float

    def wait(self, now: float, rate: float, burst: float) -> float:
        """Seconds until there is a token."""
        self.tokens = min(burst, self.tokens + max(0.0, now - self.at) * rate)
        self.at = now
        # A hair less than one is one: sleeping for the exact time must be enough.
        return 0.0 if self.tokens >= 1 - 1e-6 else (1 - self.tokens) / rate


@dataclass(slots=True)
class Pace:
    """Tells how long a message must wait, and remembers what was sent and refused."""

    rates: Rates
    clock: Callable[[], float]
    """Monotonic seconds."""
    _chats: dict[str, _Bucket] = field(default_factory=dict)
    _groups: dict[str, _Bucket] = field(default_factory=dict)
    _careful_until: dict[str, float] = field(default_factory=dict)
    _blocked_until: dict[str, float] = field(default_factory=dict)
    _all: _Bucket | None = None
    _promotions: _Bucket | None = None

    def wait(self, address: str, *, is_promotion: bool) -> float:
        """Give the seconds until a message to this address may go; 0 is now."""
        now = self.clock()
        wait = max(0.0, self._blocked_until.get(address, 0.0) - now)
        rate, burst = self._chat_limits(address, is_promotion)
        chat = self._chats.setdefault(address, _Bucket(burst, now))
        wait = max(wait, chat.wait(now, rate, burst))
        if address.startswith("-"):
            most = self.rates.group_per_minute
            group = self._groups.setdefault(address, _Bucket(most, now))
            wait = max(wait, group.wait(now, most / 60, most))
        if is_promotion:
            rate = self.rates.promotions_per_second
            self._promotions = self._promotions or _Bucket(1.0, now)
            wait = max(wait, self._promotions.wait(now, rate, 1.0))
        if self._is_flooded(now):
            rate = self.rates.all_per_second
            self._all = self._all or _Bucket(1.0, now)
            wait = max(wait, self._all.wait(now, rate, max(1.0, rate / 2)))
        return wait

    def spend(self, address: str, *, is_promotion: bool) -> None:
        """Take the tokens of a message that goes now."""
        for bucket in (
            self._chats.get(address),
            self._groups.get(address),
            self._all,
            self._promotions if is_promotion else None,
        ):
            if bucket is not None:
                bucket.tokens = max(-1.0, bucket.tokens - 1)
        if len(self._chats) > 20_000:
            self._tidy()

    def refused(self, address: str, retry_after: float) -> None:
        """Obey a 429: this chat waits, and goes on carefully afterwards."""
        now = self.clock()
        self._blocked_until[address] = now + retry_after
        self._careful_until[address] = now + retry_after + self.rates.careful_seconds
        # The wait itself earns nothing: one message goes when it ends.
        self._chats[address] = _Bucket(1.0, now + retry_after)

    def is_blocked(self, address: str) -> bool:
        """Tell whether the chat must not be written to now."""
        return self._blocked_until.get(address, 0.0) > self.clock()

    def _chat_limits(self, address: str, is_promotion: bool) -> tuple[float, float]:
        if is_promotion or self._careful_until.get(address, 0.0) > self.clock():
            return self.rates.chat_per_second, 1.0
        return self.rates.chat_refill, self.rates.chat_burst

    def _is_flooded(self, now: float) -> bool:
        """Tell whether refusals hit several chats lately, so the whole bot is too fast."""
        if len(self._careful_until) < 3:
            return False
        return sum(until > now for until in self._careful_until.values()) >= 3

    def _tidy(self) -> None:
        now = self.clock()
        for buckets in (self._chats, self._groups):
            for address in [a for a, b in buckets.items() if now - b.at > 120]:
                del buckets[address]
        for moments in (self._careful_until, self._blocked_until):
            for address in [a for a, until in moments.items() if until < now]:
                del moments[address]
