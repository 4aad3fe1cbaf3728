"""What one learner sees in /me, for support: by the receipt that the learner gives, with a reason, audited."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.dialog import from_row
from bot.messages import Command, Reply, Sender
from bot.personal import show_profile
from bot.studio.visit import Visit
from bot.support_receipts import user_key_of
from bot.turn import Turn
from data.events import UserKey

_ERASURE = re.compile(r"[0-9a-f]{16}")
"""What /forget gives; it proves an erasure and opens nothing."""


async def ask(visit: Visit) -> Response:
    return visit.page("people.html", told=None, problem="", counts=())


async def show(visit: Visit) -> Response:
    """Look up a person. Names and chat ids are not stored, so nobody can be searched for."""
    wanted, reason = (
        visit.text("receipt", limit=64).strip(),
        visit.text("reason", limit=200).strip(),
    )
    if not reason:
        return _problem(visit, "people.needs_reason")
    user_key = user_key_of(visit.studio.secret, wanted, at=visit.at)
    if user_key is None:
        # A failed look is a look too.
        visit.audit("person.unknown", reason)
        is_erasure = _ERASURE.fullmatch(wanted.casefold()) is not None
        return _problem(visit, "people.erased" if is_erasure else "people.unknown")
    stored = await run_in_threadpool(visit.store.export, user_key)
    counts = [(table, len(rows)) for table, rows in sorted(stored.items()) if rows]
    visit.audit("person", f"{user_key}: {reason}")
    if not counts:
        return _problem(visit, "people.nothing")
    told = await run_in_threadpool(_me, visit, user_key)
    return visit.page("people.html", told=told, problem="", counts=counts)


def _problem(visit: Visit, key: str) -> Response:
    return visit.page("people.html", told=None, problem=visit.words(key), counts=())


def _me(visit: Visit, user_key: UserKey) -> Reply:
    """The very page of the learner, in the reader's language; nothing is written."""
    turn = Turn(
        services=visit.studio.wired.conversation.services,
        incoming=Command(
            incoming_id="studio:me",
            sender=Sender(user_key=user_key, channel="web"),
            at=visit.at,
            name="me",
        ),
        words=visit.words.shared,
        dialog=from_row(visit.store.dialog(user_key, at=visit.at)),
    )
    return show_profile(turn)
