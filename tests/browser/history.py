"""A made-up history of made-up people, for pictures and benchmarks; nothing in it was measured."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from data.catalogue import Catalogue
from data.events import Placement, Reply, ReplyKind, SlateId, SlateRecord, UserKey
from data.store import EventStore

_ANSWERS = (ReplyKind.LIKE, ReplyKind.DISLIKE, ReplyKind.CLICK, ReplyKind.PURCHASE)
_CHANCES = (0.13, 0.05, 0.06, 0.015)


def invent(
    store: EventStore,
    catalogue: Catalogue,
    *,
    until: datetime,
    n_slates: int,
    n_days: int = 120,
    seed: int = 1,
) -> None:
    """Write slates of three items, deliver them, and answer some of them."""
    rng = np.random.default_rng(seed)
    n_people = max(20, n_slates // 12)
    liking = rng.beta(2, 9, len(catalogue))
    popular = rng.zipf(1.6, len(catalogue)).clip(max=200).astype(float)
    begins = rng.integers(0, n_days, n_people)
    for block in range(0, n_slates, 5_000):
        with store.transaction():
            for number in range(block, min(block + 5_000, n_slates)):
                person = int(rng.integers(n_people))
                # People come often at first and seldom later.
                lived = float(n_days - begins[person])
                age = lived - min(float(rng.exponential(25)), float(rng.uniform(0, lived)))
                at = until - timedelta(days=age, minutes=5)
                rows = rng.choice(len(catalogue), 3, replace=False, p=popular / popular.sum())
                _slate(store, catalogue, number, person, at, rows, liking, rng)


def _slate(
    store: EventStore,
    catalogue: Catalogue,
    number: int,
    person: int,
    at: datetime,
    rows: np.ndarray,
    liking: np.ndarray,
    rng: np.random.Generator,
) -> None:
    slate_id, user_key = SlateId(f"made-up-{number:08d}"), UserKey(f"{person:032x}")
    lesson = catalogue.lessons[int(rng.integers(len(catalogue.lessons)))]
    store.record_slate(
        SlateRecord(
            slate_id=slate_id, at=at, user_key=user_key, lesson_id=lesson.lesson_id,
            policy="softmax", policy_version=f"made-up-{1 + number % 2}",
            placements=tuple(
                Placement(
                    item_id=catalogue.items[int(row)].item_id, position=position,
                    propensity=0.2, marginal_propensity=0.2,
                )
                for position, row in enumerate(rows)
            ),
        )
    )  # fmt: skip
    store.record_delivery(slate_id, at=at)
    for row in rows:
        for kind, chance in zip(_ANSWERS, _CHANCES, strict=True):
            if rng.random() < chance * (0.5 + 2 * liking[int(row)]):
                item_id = catalogue.items[int(row)].item_id
                store.record_reply(
                    Reply(
                        reply_id=f"made-up:{number}:{row}:{kind}", slate_id=slate_id, kind=kind,
                        at=at + timedelta(minutes=float(rng.uniform(0, 4))), user_key=user_key,
                        item_id=item_id,
                    )
                )  # fmt: skip
