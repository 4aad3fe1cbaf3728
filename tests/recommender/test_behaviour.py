from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.behaviour import Behaviour, BehaviourKind, parse_behaviour, read_behaviour, replies_of
from data.errors import InvalidInput
from data.events import ReplyKind, UserKey
from data.memory_store import InMemoryEventStore
from recommender.profile import fold_profile

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_good_rows_are_kept_and_every_bad_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "november.csv"
    file.write_text(
        "user,time,kind,item,lesson,text,value\n"
        "u1,2026-11-01T10:00:00+08:00,浏览,leek,,,\n"
        "u1,2026-11-02T10:00:00+08:00,purchase,leek,,,2\n"
        "u1,2026-11-03T10:00:00,purchase,leek,,,\n"
        "u2,2026-11-03T10:00:00Z,search,,,青柠,\n"
        "u2,2026-11-03T10:00:00Z,review,lime,,好吃,9\n"
        "u2,2031-11-03T10:00:00Z,review,lime,,,5\n"
        "u2,2026-11-03T10:00:00Z,dance,lime,,,5\n",
        encoding="utf-8",
    )

    found = read_behaviour(file, now=NOW)

    assert [b.kind for b in found.records] == ["browse", "purchase", "search"]
    assert found.records[0].at == datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
    assert [(p.line, p.field) for p in found.problems] == [
        (4, "time"), (6, "row"), (7, "time"), (8, "kind"),
    ]  # fmt: skip


def test_json_lines_are_read_too(tmp_path: Path) -> None:
    file = tmp_path / "acts.jsonl"
    file.write_text(
        json.dumps({"user": "u", "time": "2026-11-01T10:00:00Z", "kind": "view", "item": "leek"})
        + "\n",
        encoding="utf-8",
    )

    assert len(read_behaviour(file, now=NOW).records) == 1


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "acts.xlsx"
    file.write_bytes(b"PK")

    with pytest.raises(InvalidInput, match="csv"):
        read_behaviour(file, now=NOW)


def act(kind: BehaviourKind, **changes: object) -> Behaviour:
    fields: dict[str, object] = {"user": "u", "at": NOW, "kind": kind, "item_id": "leek"}
    return Behaviour(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("behaviour", "kinds"),
    [
        (act(BehaviourKind.BROWSE), [ReplyKind.CLICK]),
        (act(BehaviourKind.PURCHASE), [ReplyKind.PURCHASE]),
        (act(BehaviourKind.SEARCH, item_id=None, text="lime"), [ReplyKind.TEXT]),
        (act(BehaviourKind.REVIEW, value=Decimal(5)), [ReplyKind.RATING, ReplyKind.LIKE]),
        (act(BehaviourKind.REVIEW, value=Decimal(3)), [ReplyKind.RATING]),
        (act(BehaviourKind.REVIEW, value=Decimal(1)), [ReplyKind.RATING, ReplyKind.DISLIKE]),
    ],
    ids=["browse", "purchase", "search", "five stars", "three stars", "one star"],
)
def test_acts_become_replies(behaviour: Behaviour, kinds: list[ReplyKind]) -> None:
    assert [r.kind for r in replies_of(behaviour, UserKey("k"))] == kinds


def test_the_same_file_twice_changes_nothing_and_the_profile_knows_it() -> None:
    store = InMemoryEventStore()
    bought = act(BehaviourKind.PURCHASE)

    fresh = [store.record_reply(r) for _ in "ab" for r in replies_of(bought, UserKey("k"))]

    assert fresh == [True, False]
    profile = fold_profile(UserKey("k"), replies=store.replies(user_key=UserKey("k")), at=NOW)
    assert profile.history["leek"].affinity == 3.0  # type: ignore[index]
    store.close()


@given(
    st.dictionaries(
        st.sampled_from(["user", "time", "kind", "item", "lesson", "text", "value"]),
        st.one_of(st.none(), st.text(max_size=30), st.integers(), st.floats(), st.booleans()),
    )
)
def test_no_row_however_odd_breaks_the_import(row: dict[str, object]) -> None:
    parsed = parse_behaviour(row, now=NOW)

    assert (parsed.record is None) == bool(parsed.complaints)
