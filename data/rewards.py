"""Which answers are a reward, and how long one may come after the delivery. Needs no pandas."""

from __future__ import annotations

from datetime import timedelta

from data.events import ReplyKind

REPLY_WINDOW = timedelta(hours=24)
PURCHASE_WINDOW = timedelta(days=7)

LIKED_BY: frozenset[ReplyKind] = frozenset({ReplyKind.LIKE, ReplyKind.SAVE, ReplyKind.PURCHASE})
DISLIKED_BY: frozenset[ReplyKind] = frozenset({ReplyKind.DISLIKE, ReplyKind.NEVER})
