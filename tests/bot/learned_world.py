"""Sixty people who answer for eight days, written into a store: enough to learn from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from bot.wiring import Wired, read_catalogue
from data.events import Consent, ConsentKind, Reply, ReplyKind, SlateId, UserKey
from recommender.candidates import CatalogueTable
from recommender.features import Background
from recommender.learned_scorer import LearnedScorer
from recommender.predictor import RewardPredictor
from recommender.profile import UserProfile
from recommender.recommend import Recommender
from recommender.slate import Request
from tests.recommender.learning_world import ShopMatcher

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
NOW = START + timedelta(days=20)
N_PEOPLE, N_DAYS = 60, 8


def write_history(
    wired: Wired,
    *,
    predictor: RewardPredictor | None = None,
    n_labelled: int = 0,
    start: datetime = START,
    n_days: int = N_DAYS,
) -> None:
    """Sixty people answer for some days; whatever is cheap they like. The first agreed to nothing."""
    catalogue, _ = read_catalogue(wired.settings)
    matcher = ShopMatcher(catalogue)
    recommender = Recommender(
        table=CatalogueTable(catalogue),
        matcher=matcher,
        scorer=LearnedScorer(
            background=Background(catalogue, matcher.similarities),
            predictor=predictor,
            n_labelled=n_labelled,
        ),
    )
    rng = np.random.default_rng(1)
    lessons = [lesson for lesson in catalogue.lessons if lesson.audience != "minors"]
    store = wired.store
    with store.transaction():
        for n in range(N_PEOPLE):
            key = UserKey(f"{n:032x}")
            store.record_consent(
                Consent(
                    consent_id=f"c{n}:{start.date()}", user_key=key, at=start,
                    kind=ConsentKind.LEARN_FROM_ANSWERS, given=n != 0, language="en",
                    text_version="1",
                )
            )  # fmt: skip
            for day in range(n_days):
                at = start + timedelta(days=day, minutes=n)
                slate = recommender.recommend(
                    UserProfile(user_key=key), Request(lesson=lessons[(n + day) % len(lessons)]),
                    at=at, seed=n * 100 + day, slate_id=SlateId(f"s{n:05d}{day:04d}{start:%m%d}00"),
                )  # fmt: skip
                store.record_slate(slate.record)
                store.record_delivery(slate.record.slate_id, at=at)
                for item in slate.items:
                    price = float(item.price or 0)
                    if rng.random() < (0.75 if price < 12 else 0.15):
                        store.record_reply(
                            Reply(
                                reply_id=f"{slate.record.slate_id}:{item.item_id}",
                                at=at + timedelta(minutes=3), user_key=key, kind=ReplyKind.LIKE,
                                slate_id=slate.record.slate_id, item_id=item.item_id,
                            )
                        )  # fmt: skip
