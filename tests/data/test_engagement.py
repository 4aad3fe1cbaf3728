from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import engagement
from data.events import Reply, ReplyKind, SlateRecord
from data.memory_store import InMemoryEventStore

ASlate = Callable[..., SlateRecord]
AReply = Callable[..., Reply]


@pytest.fixture
def shown(a_slate: ASlate, now: datetime) -> InMemoryEventStore:
    """Three items shown to Ada at nine o'clock."""
    store = InMemoryEventStore()
    store.record_slate(a_slate())
    store.record_delivery("slate-0000000001", at=now)
    return store


def test_the_wilson_interval_agrees_with_a_hand_worked_example() -> None:
    # n = 10, p = 0.2, z² = 3.8415: centre = 0.39207/1.38415, half = 1.95996*0.15989/1.38415
    found = engagement.wilson(2, 10)

    assert found.rate == 0.2
    assert found.low == pytest.approx(0.0567, abs=5e-5)
    assert found.high == pytest.approx(0.5098, abs=5e-5)


def test_nothing_tried_has_no_rate() -> None:
    assert math.isnan(engagement.wilson(0, 0).rate)


@given(st.integers(1, 500), st.data())
def test_the_wilson_interval_holds_the_rate_and_stays_a_share(n: int, draw: st.DataObject) -> None:
    found = engagement.wilson(draw.draw(st.integers(0, n)), n)

    assert 0 <= found.low <= found.rate <= found.high <= 1


def test_likes_saves_and_purchases_count_as_liked(
    shown: InMemoryEventStore, a_reply: AReply, now: datetime
) -> None:
    shown.record_reply(a_reply("1", kind=ReplyKind.LIKE))
    shown.record_reply(a_reply("2", kind=ReplyKind.SAVE))
    shown.record_reply(
        a_reply("3", kind=ReplyKind.PURCHASE, item_id="pear", at=now + timedelta(days=6))
    )
    shown.record_reply(a_reply("4", kind=ReplyKind.DISLIKE, item_id="leek"))

    rate = engagement.like_rate(shown.impressions_frame(), shown.replies_frame())
    content = engagement.satisfaction(shown.impressions_frame(), shown.replies_frame())

    assert (rate.n_yes, rate.n) == (2, 3)
    assert (content.n_yes, content.n) == (2, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"at_hours": 25},
        {"at_hours": -1},
        {"item_id": "fig"},
        {"item_id": None},
        {"slate_id": "another-slate"},
        {"user_key": "bob"},
        {"kind": ReplyKind.CLICK},
        {"kind": ReplyKind.PURCHASE, "at_hours": 24 * 7 + 1},
    ],
    ids=str,
)
def test_a_reply_that_belongs_to_no_impression_rewards_none(
    shown: InMemoryEventStore, a_reply: AReply, now: datetime, changes: dict[str, object]
) -> None:
    hours = changes.pop("at_hours", 0)
    shown.record_reply(a_reply(at=now + timedelta(hours=float(str(hours))), **changes))

    assert engagement.like_rate(shown.impressions_frame(), shown.replies_frame()).n_yes == 0


def test_an_undone_like_does_not_count_and_nobody_undoes_another_persons(
    shown: InMemoryEventStore, a_reply: AReply
) -> None:
    shown.record_reply(a_reply("1"))
    shown.record_reply(a_reply("2", item_id="leek"))
    shown.record_reply(a_reply("3", kind=ReplyKind.UNDO, value="1"))
    shown.record_reply(a_reply("4", kind=ReplyKind.UNDO, value="2", user_key="bob"))

    assert engagement.like_rate(shown.impressions_frame(), shown.replies_frame()).n_yes == 1


def test_the_funnel_narrows_from_shown_to_bought(
    shown: InMemoryEventStore, a_reply: AReply
) -> None:
    shown.record_reply(a_reply("1", kind=ReplyKind.CLICK))
    shown.record_reply(a_reply("2", kind=ReplyKind.CLICK))
    shown.record_reply(a_reply("3", kind=ReplyKind.PURCHASE, item_id="leek"))

    steps = engagement.funnel(shown.impressions_frame(), shown.replies_frame())

    assert steps["n"].to_dict() == {"shown": 3, "clicked": 2, "bought": 1}
    assert steps.loc["bought", "of_previous"] == 0.5


def test_an_empty_log_gives_empty_figures() -> None:
    store = InMemoryEventStore()
    impressions, replies = store.impressions_frame(), store.replies_frame()
    acts = engagement.activity(store.slates_frame(), replies)

    assert engagement.like_rate(impressions, replies).n == 0
    assert engagement.funnel(impressions, replies)["n"].tolist() == [0, 0, 0]
    assert engagement.users_by_day(acts).empty
    assert engagement.cohort_retention(acts, until=pd.Timestamp("2026-11-24", tz="UTC")).empty
    assert engagement.mean_rating(replies)[1] == 0
    assert math.isnan(engagement.exposure_gini(impressions, ["tofu"]))


def test_ratings_are_averaged(shown: InMemoryEventStore, a_reply: AReply) -> None:
    for number, value in enumerate(["5", "2", "not a number"]):
        shown.record_reply(a_reply(str(number), kind=ReplyKind.RATING, value=value))

    assert engagement.mean_rating(shown.replies_frame()) == (3.5, 2)


def test_retention_follows_each_cohort_through_its_weeks() -> None:
    # Two came in the week of 2 November: one returned one week later, both two weeks later.
    # One came in the week of 9 November, and the week after is not over.
    acts = pd.DataFrame(
        [
            ("a", "2026-11-02"),
            ("b", "2026-11-08"),
            ("a", "2026-11-09"),
            ("c", "2026-11-10"),
            ("a", "2026-11-16"),
            ("a", "2026-11-17"),
            ("b", "2026-11-18"),
        ],
        columns=["user_key", "at"],
    ).assign(at=lambda frame: pd.to_datetime(frame["at"], utc=True))

    table = engagement.cohort_retention(
        acts, until=pd.Timestamp("2026-11-23", tz="UTC"), min_users=1
    )

    assert table["size"].tolist() == [2, 1]
    assert table.iloc[0][[0, 1, 2]].tolist() == [1.0, 0.5, 1.0]
    assert table.iloc[1][[0, 1]].tolist() == [1.0, 0.0]
    assert math.isnan(table.iloc[1][2])


def test_a_cohort_too_small_to_be_anonymous_is_left_out() -> None:
    acts = pd.DataFrame(
        {"user_key": ["a", "b"], "at": pd.to_datetime(["2026-11-02"] * 2, utc=True)}
    )
    until = pd.Timestamp("2026-11-23", tz="UTC")

    assert len(engagement.cohort_retention(acts, until=until)) == 0
    assert len(engagement.cohort_retention(acts, until=until, min_users=2)) == 1


def test_users_by_day_counts_people_not_acts() -> None:
    moments = ["2026-11-02T10:00", "2026-11-02T11:00", "2026-11-02T12:00", "2026-11-04T00:00"]
    acts = pd.DataFrame({"user_key": list("aaba"), "at": pd.to_datetime(moments, utc=True)})

    assert engagement.users_by_day(acts).tolist() == [2, 0, 1]


def test_a_tip_that_we_sent_is_no_act_of_the_person(a_slate: ASlate) -> None:
    store = InMemoryEventStore()
    store.record_slate(a_slate("s1", trigger="tip"))
    store.record_slate(a_slate("s2", trigger="lesson"))

    assert len(engagement.activity(store.slates_frame(), store.replies_frame())) == 1


def test_coverage_counts_items_of_the_catalogue_only(shown: InMemoryEventStore) -> None:
    found = engagement.coverage(shown.impressions_frame(), ["tofu", "fig", "kale", "plum"])

    assert (found.n_yes, found.n) == (1, 4)


def test_gini_agrees_with_hand_worked_numbers() -> None:
    # (1*-3 + 2*-1 + 3*1 + 4*3) / (4 * 10) = 0.25
    assert engagement.gini(np.array([4.0, 1.0, 3.0, 2.0])) == pytest.approx(0.25)
    assert engagement.gini(np.array([5.0, 5.0, 5.0])) == pytest.approx(0.0)
    assert engagement.gini(np.array([0.0, 0.0, 0.0, 7.0])) == pytest.approx(0.75)


def test_items_never_shown_make_exposure_uneven(shown: InMemoryEventStore) -> None:
    frame = shown.impressions_frame()

    assert engagement.exposure_gini(frame, ["tofu", "leek", "pear"]) == pytest.approx(0.0)
    assert engagement.exposure_gini(frame, ["tofu", "fig"]) == pytest.approx(0.5)
