"""A crowd that writes at a steady rate, a few of its people far more than the others."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from tests.fake_telegram.state import Json

if TYPE_CHECKING:
    from tests.fake_telegram.people import Person
    from tests.fake_telegram.server import FakeTelegram


@dataclass(slots=True, kw_only=True)
class Load:
    """How much is written, by whom, and how far it has come.

    Attributes:
        rate: Messages a second in all.
        seconds: How long.
        users: How many people, with ids from `first_user` on.
        zipf: Exponent of the Zipf law by which the people are drawn; 0 draws evenly.
        texts: What they write, drawn evenly.
        presses: Share of presses on a button of what they see, once they see one.
    """

    rate: float
    seconds: float
    users: int = 500
    zipf: float = 1.0
    texts: Sequence[str] = ("/help",)
    presses: float = 0.0
    seed: int = 0
    first_user: int = 100_000
    language: str = "en"
    sent: int = field(default=0, init=False)
    is_done: bool = field(default=False, init=False)

    def to_json(self) -> Json:
        """Return how far it has come."""
        return {"sent": self.sent, "is_done": self.is_done}


async def write(telegram: FakeTelegram, load: Load) -> None:
    """Write the whole load on a fixed timetable: a slow moment is caught up, not skipped."""
    rng = random.Random(load.seed)
    weights = list(accumulate((rank + 1) ** -load.zipf for rank in range(load.users)))
    people = range(load.users)
    started = time.monotonic()
    total = round(load.rate * load.seconds)
    try:
        while load.sent < total:
            due = min(total, int((time.monotonic() - started) * load.rate) + 1)
            while load.sent < due:
                (one,) = rng.choices(people, cum_weights=weights)
                user_id = load.first_user + one
                person = telegram.person(user_id, load.language)
                if not (rng.random() < load.presses and _pressed(person, rng)):
                    person.send_text(rng.choice(load.texts))
                load.sent += 1
            await asyncio.sleep(1 / load.rate)
    finally:
        load.is_done = True


def _pressed(person: Person, rng: random.Random) -> bool:
    """Press a button of the last message that has some."""
    for message in reversed(person.bot_messages()):
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        payloads = [b["callback_data"] for row in rows for b in row if "callback_data" in b]
        if payloads:
            person.press_payload(message, rng.choice(payloads))
            return True
    return False
