"""Headline figures against answers worked out by hand, and what is never told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from data.catalogue import ItemId, LessonId
from data.engagement import clustered_mean, cohort_retention, uneven_exposure, weekly_returns
from data.events import Mode, Placement, Reply, ReplyKind, SlateId, SlateRecord, UserKey
from data.history import History, Subject, SubjectKind
from data.memory_store import InMemoryEventStore
from data.summary import MOST_COMPARED, Summary, summarise
from tests.fakes import NOON

ITEMS = [ItemId("a"), ItemId("b"), ItemId("c"), ItemId("d")]


@pytest.fixture
def store() -> Iterator[InMemoryEventStore]:
    opened = InMemoryEventStore()
    yield opened
    opened.close()


def serve(
    store: InMemoryEventStore,
    user: int,
    *items: str,
    liked: str = "",
    days: float = 1,
    lesson: str = "",
    mode: Mode = Mode.FULL,
) -> None:
    at = NOON - timedelta(days=days)
    slate_id = SlateId(f"s-{user}-{days}-{'-'.join(items)}")
    store.record_slate(
        SlateRecord(
            slate_id=slate_id, at=at, user_key=UserKey(f"{user:032x}"), policy="p",
            policy_version="1", mode=mode, lesson_id=LessonId(lesson) if lesson else None,
            placements=tuple(
                Placement(item_id=ItemId(item), position=n, propensity=0.5, marginal_propensity=0.5)
                for n, item in enumerate(items)
            ),
        )
    )  # fmt: skip
    store.record_delivery(slate_id, at=at)
    if liked:
        store.record_reply(
            Reply(reply_id=f"{slate_id}:like", at=at + timedelta(minutes=1), slate_id=slate_id,
                  user_key=UserKey(f"{user:032x}"), kind=ReplyKind.LIKE, item_id=ItemId(liked))
        )  # fmt: skip


def summary_of(
    store: InMemoryEventStore,
    *,
    subject: Subject | None = None,
    cosines: np.ndarray | None = None,
) -> Summary:
    frames = History().frames(store, at=NOON)
    return summarise(
        frames, frames, ITEMS, at=NOON, subject=subject,
        similarities=None if cosines is None else lambda rows: cosines[np.ix_(rows, rows)],
    )  # fmt: skip


def test_exposure_gini_agrees_with_a_hand_worked_example(store: InMemoryEventStore) -> None:
    # Shown 0, 0, 5, 15 times: G = (-3*0 - 1*0 + 1*5 + 3*15) / (4 * 20) = 50 / 80.
    for user in range(5):
        serve(store, user, "a", "b", days=1)
        serve(store, user, "a", days=2)
        serve(store, user, "a", days=3)

    found = summary_of(store).exposure_gini

    assert found.value == pytest.approx(0.625)
    assert found.n == 20
    # Everybody saw the same, so that nobody more or less would change it.
    assert found.low == found.high == pytest.approx(0.625)


def test_the_interval_of_the_gini_agrees_with_resampled_people() -> None:
    rng = np.random.default_rng(5)
    n_users, n_items = 400, 30
    users = np.repeat(np.arange(n_users), rng.integers(1, 9, n_users))
    items = rng.choice(n_items, len(users), p=rng.dirichlet(np.full(n_items, 0.4)))
    found = uneven_exposure(items, users, n_items=n_items)

    rows_by_user = [np.flatnonzero(users == user) for user in range(n_users)]
    resampled = []
    for _ in range(400):
        rows = np.concatenate([rows_by_user[u] for u in rng.integers(0, n_users, n_users)])
        again = uneven_exposure(items[rows], users[rows], n_items=n_items)
        assert again.value is not None
        resampled.append(again.value)

    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    # 400 draws know the spread to about 4 %; a quarter is far outside.
    assert (found.high - found.low) / 3.92 == pytest.approx(float(np.std(resampled)), rel=0.25)


def test_a_mean_over_people_is_as_sure_as_its_people_not_its_rows() -> None:
    # Two people, ten rows each, who say 0 and 1: residual sums -5 and 5,
    # se = sqrt(2 / 1 * (25 + 25)) / 20 = 0.5.
    values = np.repeat([0.0, 1.0], 10)
    found = clustered_mean(values, np.repeat([7, 9], 10))

    assert found.value == 0.5
    assert found.high == pytest.approx(0.5 + 1.959964 * 0.5)
    assert clustered_mean(np.zeros(0), np.zeros(0, dtype=np.int64)).value is None


def test_weekly_returns_pool_the_cohorts_whose_week_is_over() -> None:
    mondays = pd.to_datetime(["2026-10-05", "2026-10-12", "2026-10-19"], utc=True)
    acts = pd.DataFrame(
        [
            # Four begin on 5 October; two come the week after, one of them again a week later.
            *({"user_key": u, "at": mondays[0]} for u in "abcd"),
            *({"user_key": u, "at": mondays[1]} for u in "ab"),
            {"user_key": "a", "at": mondays[2]},
            # Two begin a week later, one of them comes again.
            *({"user_key": u, "at": mondays[1]} for u in "ef"),
            {"user_key": "e", "at": mondays[2]},
        ]
    )
    shares = cohort_retention(acts, until=pd.Timestamp("2026-10-26", tz="UTC"), min_users=1)

    found = weekly_returns(shares)

    assert found.loc[1, ["n", "n_yes"]].tolist() == [6, 3]
    assert found.loc[1, "value"] == 0.5
    # The second week after is over for the first four only.
    assert found.loc[2, ["n", "n_yes"]].tolist() == [4, 1]


def test_people_come_back_in_the_headline_once_five_did(store: InMemoryEventStore) -> None:
    for user in range(10):
        serve(store, user, "a", days=20)
        if user < 5:
            serve(store, user, "a", days=13)

    found = summary_of(store)

    assert (found.returned.value, found.returned.n) == (0.5, 10)
    assert found.tables["returning"].loc[1, "value"] == 0.5


def test_likeness_is_the_mean_cosine_of_the_pairs_of_a_slate(store: InMemoryEventStore) -> None:
    cosines = np.eye(4)
    cosines[0, 1] = cosines[1, 0] = 0.9
    cosines[0, 2] = cosines[2, 0] = 0.3
    for user in range(5):
        serve(store, user, "a", "b", "c")  # pairs 0.9, 0.3, 0.0: mean 0.4
        serve(store, user, "b", "d", days=2)  # 0.0
        serve(store, user, "a", days=3)  # one item is like nothing
        serve(store, user, "a", "gone", days=4)  # not in the catalogue any more

    found = summary_of(store, cosines=cosines).similarity

    assert found.value == pytest.approx(0.2)
    assert found.n == 10
    assert summary_of(store).similarity.value is None


def test_of_many_slates_an_even_selection_is_compared(store: InMemoryEventStore) -> None:
    with store.transaction():
        for n in range(MOST_COMPARED + 200):
            serve(store, n % 60, "a", "b", days=1 + n / 100)

    found = summary_of(store, cosines=np.full((4, 4), 0.7)).similarity

    assert found.n == MOST_COMPARED
    assert found.value == pytest.approx(0.7)


def test_coverage_counts_items_of_the_catalogue_only(store: InMemoryEventStore) -> None:
    serve(store, 1, "a", "gone")

    found = summary_of(store).coverage

    assert (found.value, found.n) == (0.25, 4)


def test_a_rate_that_fewer_than_five_people_made_is_not_told(store: InMemoryEventStore) -> None:
    for user in range(12):
        serve(store, user, "a", liked="a" if user < 4 else "")

    few = summary_of(store)
    serve(store, 99, "a", liked="a", days=2)
    enough = summary_of(store)

    assert few.like_rate.value is None
    assert few.like_rate.n == 12
    assert enough.like_rate.value == pytest.approx(5 / 13)


def test_figures_of_a_lesson_are_of_its_slates_alone(store: InMemoryEventStore) -> None:
    for user in range(6):
        serve(store, user, "a", "b", liked="a", lesson="one")
        serve(store, user, "c", lesson="two", days=2)

    found = summary_of(store, subject=Subject(SubjectKind.LESSON, "one"))

    assert (found.n_slates, found.n_impressions, found.n_users) == (6, 12, 6)
    assert found.like_rate.value == 0.5
    assert found.returned.value is None
    assert found.tables["items"].index.tolist() == ["a", "b"]


def test_figures_of_an_item_are_of_what_showed_it(store: InMemoryEventStore) -> None:
    for user in range(6):
        serve(store, user, "a", "b", liked="b")
        serve(store, user, "c", days=2)

    found = summary_of(store, subject=Subject(SubjectKind.ITEM, "b"))
    nothing = summary_of(store, subject=Subject(SubjectKind.ITEM, "never shown"))

    assert (found.n_slates, found.n_impressions) == (6, 6)
    assert found.like_rate.value == 1.0
    assert found.coverage.value is None
    assert (nothing.n_slates, nothing.like_rate.value) == (0, None)


def test_silent_and_degraded_slates_are_counted(store: InMemoryEventStore) -> None:
    serve(store, 1, "a")
    serve(store, 1, days=2)
    serve(store, 2, "a", mode=Mode.LEXICAL)

    found = summary_of(store)

    assert (found.n_slates, found.n_silent, found.n_degraded) == (3, 1, 1)


def test_nothing_happened_is_told_without_an_error(store: InMemoryEventStore) -> None:
    found = summary_of(store, cosines=np.eye(4))

    assert found.n_slates == 0
    assert found.like_rate.value is None
    assert found.exposure_gini.value is None
    assert found.coverage.value == 0.0
    assert all(not math.isnan(measure.n) for measure in (found.clicked, found.returned))
