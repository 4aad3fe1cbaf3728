"""What can go wrong between a bot and Telegram, made to happen on purpose and counted."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.fake_telegram.refusal import RefusalError, too_many_requests

Kind = Literal["refuse", "drop_before", "drop_after", "delay", "malformed"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing to go wrong.

    Attributes:
        kind: `refuse` answers `status`; `drop_before` closes the connection and does nothing;
            `drop_after` does the work and loses the answer; `delay` answers late; `malformed`
            does the work and answers with broken JSON.
        method: The method it strikes; `*` is every method but getUpdates.
        times: How often it strikes; None for as long as it stands.
        skip: Calls that pass before it strikes.
        probability: Of striking a call that it could strike.
        chat_id: Strike only calls to this chat.
    """

    kind: Kind
    method: str = "*"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    chat_id: int | None = None
    status: int = 500
    description: str = "Internal Server Error"
    retry_after: int | None = None
    seconds: float = 0.0
    struck: int = 0

    def matches(self, method: str, chat_id: int | None) -> bool:
        """Tell whether a call is one that this fault could strike."""
        if self.method not in (method, "*") or (self.method == "*" and method == "getUpdates"):
            return False
        return self.chat_id is None or self.chat_id == chat_id

    def refusal(self) -> RefusalError:
        """Return what a `refuse` fault answers."""
        if self.retry_after is not None:
            return too_many_requests(self.retry_after)
        return RefusalError(self.status, self.description)


@dataclass(slots=True, kw_only=True)
class FaultPlan:
    """The faults that stand, struck in the order in which they were added."""

    rng: random.Random = field(default_factory=lambda: random.Random(0))
    standing: list[Fault] = field(default_factory=list)
    duplicate_probability: float = 0.0
    """Of giving the same update out a second time."""
    reorder_probability: float = 0.0
    """Of giving a batch of updates out in another order."""

    def add(self, fault: Fault) -> Fault:
        """Let a fault stand; the returned object counts its strikes."""
        self.standing.append(fault)
        return fault

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.standing.clear()
        self.duplicate_probability = self.reorder_probability = 0.0

    def strike(self, method: str, chat_id: int | None) -> Fault | None:
        """Return the fault that strikes this call, having counted it, or None."""
        for fault in self.standing:
            if not fault.matches(method, chat_id):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability < 1 and self.rng.random() >= fault.probability:
                continue
            fault.struck += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.standing.remove(fault)
            return fault
        return None


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True, kw_only=True)
class RateLimits:
    """Telegram's flood control: token buckets for one chat, one group and the whole bot.

    A message that finds a bucket empty is refused with 429 and the whole seconds to wait.
    """

    clock: Callable[[], float]
    per_chat: float = 1.0
    """Messages a second to one private chat."""
    chat_burst: int = 3
    in_all: float = 30.0
    """Messages a second to everybody."""
    per_group: float = 20 / 60
    group_burst: int = 20
    _buckets: dict[object, _Bucket] = field(default_factory=dict)

    def spend(self, chat_id: int) -> None:
        """Take a token for one message to a chat, or refuse the message.

        Raises:
            RefusalError: 429, with the seconds until the emptiest bucket has a token again.
        """
        rate, burst = (
            (self.per_chat, self.chat_burst) if chat_id > 0 else (self.per_group, self.group_burst)
        )
        wanted = [
            (self._filled("all", self.in_all, self.in_all), self.in_all),
            (self._filled(chat_id, rate, burst), rate),
        ]
        wait = max(0.0 if b.tokens >= 1 else (1 - b.tokens) / rate for b, rate in wanted)
        if wait > 0:
            raise too_many_requests(max(1, math.ceil(wait)))
        for bucket, _ in wanted:
            bucket.tokens -= 1

    def _filled(self, key: object, rate: float, most: float) -> _Bucket:
        now = self.clock()
        bucket = self._buckets.setdefault(key, _Bucket(most, now))
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        return bucket
