"""Figures: right counts, nothing about few people, CSV without formulas, a past that is read once."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from data.catalogue import ItemId
from data.engagement import cohort_retention, like_rate
from data.events import Placement, Reply, ReplyKind, SlateId, SlateRecord, UserKey
from data.history import OPEN_DAYS, History, Vocabulary, read
from data.memory_store import InMemoryEventStore
from data.summary import Summary, summarise
from tests.bot.studio_world import Browser, StudioParts, open_studio
from tests.browser.history import invent
from tests.fakes import NOON, sample_catalogue


@pytest.fixture
def store() -> Iterator[InMemoryEventStore]:
    opened = InMemoryEventStore()
    yield opened
    opened.close()


def show(
    store: InMemoryEventStore, n: int, user: int, *, item: str = "a", days: float = 1
) -> SlateId:
    slate_id = SlateId(f"slate-{n:010d}")
    at = NOON - timedelta(days=days)
    placement = Placement(
        item_id=ItemId(item), position=0, propensity=0.5, marginal_propensity=0.5
    )
    store.record_slate(
        SlateRecord(slate_id=slate_id, at=at, user_key=UserKey(f"{user:032x}"), policy="p",
                    policy_version="1", placements=(placement,))
    )  # fmt: skip
    store.record_delivery(slate_id, at=at)
    return slate_id


def answer(
    store: InMemoryEventStore, slate_id: SlateId, user: int, kind: ReplyKind, *, days: float = 1
) -> None:
    store.record_reply(
        Reply(reply_id=f"{slate_id}:{kind}", at=NOON - timedelta(days=days) + timedelta(minutes=1),
              user_key=UserKey(f"{user:032x}"), kind=kind, slate_id=slate_id, item_id=ItemId("a"))
    )  # fmt: skip


def summary_of(store: InMemoryEventStore) -> Summary:
    frames = History().frames(store, at=NOON)
    return summarise(frames, frames, [ItemId("a"), ItemId("b")], at=NOON)


def test_rates_count_what_came_back(store: InMemoryEventStore) -> None:
    for user in range(10):
        slate_id = show(store, user, user)
        if user < 6:
            answer(store, slate_id, user, ReplyKind.LIKE)
        elif user < 8:
            answer(store, slate_id, user, ReplyKind.DISLIKE)

    found = summary_of(store)

    assert (found.n_users, found.n_slates, found.n_impressions) == (10, 10, 10)
    assert found.like_rate.value == pytest.approx(0.6)
    assert found.satisfaction.value == pytest.approx(0.75)
    assert found.coverage.value == 0.5
    assert found.tables["items"].loc["a", "shown"] == 10


@pytest.mark.parametrize(("n_people", "is_told"), [(1, False), (4, False), (5, True)])
def test_nothing_is_told_about_fewer_than_five_people(
    store: InMemoryEventStore, n_people: int, is_told: bool
) -> None:
    for n in range(20):
        slate_id = show(store, n, n % n_people)
        answer(store, slate_id, n % n_people, ReplyKind.LIKE)

    found = summary_of(store)

    assert (found.like_rate.value is not None) is is_told
    assert (found.satisfaction.value is not None) is is_told
    assert (len(found.tables["items"]) == 1) is is_told
    assert (len(found.tables["policies"]) == 1) is is_told
    assert (len(found.tables["retention"]) == 1) is is_told
    assert found.tables["days"]["people"].notna().any() == is_told
    assert found.tables["funnel"]["n"].notna().any() == is_told


def test_a_cell_of_few_people_in_a_row_of_many_is_left_out(store: InMemoryEventStore) -> None:
    for user in range(10):
        slate_id = show(store, user, user)
        if user < 2:
            answer(store, slate_id, user, ReplyKind.PURCHASE)

    found = summary_of(store)

    assert found.tables["items"].loc["a", "shown"] == 10
    assert math.isnan(found.tables["items"].loc["a", "bought"])
    assert math.isnan(found.tables["items"].loc["a", "value"])
    assert math.isnan(found.tables["funnel"].loc["bought", "n"])


def test_the_figures_agree_with_the_plain_ones_of_the_whole_log(store: InMemoryEventStore) -> None:
    invent(store, sample_catalogue(), until=NOON, n_slates=900, seed=3)
    impressions, replies = store.impressions_frame(), store.replies_frame()

    frames = History().frames(store, at=NOON)
    found = summarise(frames, frames, [i.item_id for i in sample_catalogue()], at=NOON)

    plain = like_rate(impressions, replies)
    assert found.n_impressions == plain.n
    assert found.like_rate.value == pytest.approx(plain.rate)
    acts = pd.concat([store.slates_frame()[["user_key", "at"]], replies[["user_key", "at"]]])
    sizes = cohort_retention(acts, until=pd.Timestamp(NOON), min_users=5)["size"].tail(12)
    assert found.tables["retention"]["size"].tolist() == sizes.tolist()


def test_the_past_is_read_once_an_hour_and_today_every_time(store: InMemoryEventStore) -> None:
    show(store, 1, 1, days=30)
    history = History()
    assert len(history.frames(store, at=NOON).impressions) == 1
    show(store, 2, 2, days=0.1)
    # Nobody writes into the past; so these show what was kept.
    show(store, 3, 3, days=OPEN_DAYS + 20)
    show(store, 4, 4, days=1)

    again = history.frames(store, at=NOON + timedelta(minutes=1))
    assert len(again.impressions) == 2

    soon = history.frames(store, at=NOON + timedelta(minutes=11))
    assert len(soon.impressions) == 3

    later = history.frames(store, at=NOON + timedelta(hours=2))
    assert len(later.impressions) == 4


def test_a_reward_after_the_cut_still_counts(store: InMemoryEventStore) -> None:
    slate_id = show(store, 1, 1, days=OPEN_DAYS + 0.6)
    store.record_reply(
        Reply(reply_id="late", at=NOON - timedelta(days=2), user_key=UserKey(f"{1:032x}"),
              kind=ReplyKind.PURCHASE, slate_id=slate_id, item_id=ItemId("a"))
    )  # fmt: skip

    frames = History().frames(store, at=NOON)

    assert frames.impressions["bought"].tolist() == [True]


def test_an_undone_like_is_no_like(store: InMemoryEventStore) -> None:
    slate_id = show(store, 1, 1)
    answer(store, slate_id, 1, ReplyKind.LIKE)
    store.record_reply(
        Reply(reply_id="undo", at=NOON, user_key=UserKey(f"{1:032x}"), kind=ReplyKind.UNDO,
              value=f"{slate_id}:{ReplyKind.LIKE}")
    )  # fmt: skip

    frames = read(store, Vocabulary(), since=None, until=NOON + timedelta(days=1))

    assert frames.impressions["liked"].tolist() == [False]


def test_an_empty_log_gives_an_empty_summary(store: InMemoryEventStore) -> None:
    found = summary_of(store)

    assert (found.n_users, found.n_impressions, found.like_rate.value) == (0, 0, None)
    assert all(len(table) == 0 for table in found.tables.values())


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(tmp_path) as (browser, parts):
        invent(parts.store, sample_catalogue(), until=NOON, n_slates=600, n_days=60)
        yield browser, parts


def test_every_plot_has_a_table_and_a_csv(busy: tuple[Browser, StudioParts]) -> None:
    browser, _ = busy
    browser.open("/figures?period=all")

    for name in ("days", "funnel", "retention", "items", "lessons", "policies"):
        assert f'src="/figures/{name}.png?period=all"' in browser.markup
        assert browser.client.get(f"/figures/{name}.png?period=all").content.startswith(b"\x89PNG")
        table = browser.client.get(f"/figures/{name}.csv?period=all")
        rows = list(csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1


def test_figures_speak_chinese(busy: tuple[Browser, StudioParts]) -> None:
    browser, _ = busy

    browser.open("/language/zh?next=/figures")

    assert "喜欢率" in browser.text
    assert "人数" in browser.client.get("/figures/days.csv").content.decode("utf-8-sig")
    assert browser.client.get("/figures/items.png").status_code == 200


def test_a_safety_violation_stands_out(busy: tuple[Browser, StudioParts]) -> None:
    browser, parts = busy
    assert 'class="alarm"' not in browser.open("/figures").markup

    parts.store.count_safety_violation(at=NOON, where="send", item_id=ItemId("broccoli"))

    assert 'class="alarm"' in browser.open("/figures").markup


def test_looking_at_figures_leaves_an_audit_row(busy: tuple[Browser, StudioParts]) -> None:
    browser, parts = busy

    browser.open("/figures?period=7d")
    browser.client.get("/figures/items.csv")

    assert [row[2] for row in parts.store.audits()] == ["studio.figures.csv", "studio.figures"]
