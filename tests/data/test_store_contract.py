from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from data.errors import StoreError
from data.events import (
    Consent,
    ConsentKind,
    CreatorRule,
    FactKind,
    Judgement,
    Mode,
    ProfileFact,
    Reply,
    ReplyKind,
    RuleKind,
    SlateRecord,
    Stage,
)
from data.store import Backlog, DialogRow, EventStore, InboxEntry, MessageClass, OutboxEntry

ASlate = Callable[..., SlateRecord]
AReply = Callable[..., Reply]
AnUpdate = Callable[..., InboxEntry]
AMessage = Callable[..., OutboxEntry]


def a_fact(now: datetime, fact_id: str = "f1", **changes: Any) -> ProfileFact:
    fields = {
        "user_key": "ada",
        "at": now,
        "kind": FactKind.ALLERGEN,
        "value": "milk",
        "source": "I can't have milk",
        **changes,
    }
    return ProfileFact(fact_id=fact_id, **fields)


def a_consent(now: datetime, consent_id: str, **changes: Any) -> Consent:
    fields = {
        "user_key": "ada",
        "at": now,
        "kind": ConsentKind.SEND_TIPS,
        "given": True,
        "language": "zh",
        "text_version": "4f2a",
        **changes,
    }
    return Consent(consent_id=consent_id, **fields)


def test_a_slate_comes_back_as_it_was_recorded(store: EventStore, a_slate: ASlate) -> None:
    slate = a_slate(
        lesson_id="wok-heat",
        context={"hour": 9, "taste": [0.5, -0.25], "nested": {"a": None}},
        candidates=("tofu", "leek", "pear", "fig"),
        scores=(0.9, 0.8, 0.7, 0.1 + 0.2),
        seed=2**127 + 1,
        filters={"allergen": 4},
        stage=Stage.BLENDED,
        mode=Mode.LEXICAL,
        ope_valid=False,
        query="有没有豆腐",
    )

    assert store.record_slate(slate)

    assert store.slate(slate.slate_id) == slate
    assert store.slates() == [slate]


def test_recording_a_slate_again_changes_nothing(store: EventStore, a_slate: ASlate) -> None:
    store.record_slate(a_slate())

    assert not store.record_slate(a_slate(user_key="bob"))

    assert [slate.user_key for slate in store.slates()] == ["ada"]


def test_an_unknown_slate_is_none(store: EventStore) -> None:
    assert store.slate("nobody-knows-it") is None


def test_nothing_is_an_impression_before_its_delivery(store: EventStore, a_slate: ASlate) -> None:
    store.record_slate(a_slate())

    assert store.impressions() == []


def test_a_delivery_makes_one_impression_per_placement(
    store: EventStore, a_slate: ASlate, now: datetime
) -> None:
    store.record_slate(a_slate(lesson_id="wok-heat"))

    n_new = store.record_delivery("slate-0000000001", at=now, message_id="77")

    assert n_new == 3
    impressions = store.impressions()
    assert [(i.item_id, i.position) for i in impressions] == [
        ("tofu", 0),
        ("leek", 1),
        ("pear", 2),
    ]
    assert {(i.propensity, i.marginal_propensity) for i in impressions} == {(0.5, 0.25)}
    assert {(i.message_id, i.lesson_id, i.user_key) for i in impressions} == {
        ("77", "wok-heat", "ada")
    }


def test_a_repeated_delivery_adds_no_impressions(
    store: EventStore, a_slate: ASlate, now: datetime
) -> None:
    store.record_slate(a_slate())
    store.record_delivery("slate-0000000001", at=now)

    n_new = store.record_delivery("slate-0000000001", at=now + timedelta(hours=1))

    assert n_new == 0
    assert {i.delivered_at for i in store.impressions()} == {now}


def test_the_delivery_of_an_erased_slate_is_no_impression(
    store: EventStore, now: datetime
) -> None:
    assert store.record_delivery("slate-that-is-gone", at=now) == 0
    assert store.impressions() == []


def test_a_reply_is_recorded_once(store: EventStore, a_reply: AReply) -> None:
    assert store.record_reply(a_reply())
    assert not store.record_reply(a_reply(kind=ReplyKind.DISLIKE))

    assert store.replies() == [a_reply()]


def test_since_is_inclusive_and_until_exclusive(
    store: EventStore, a_reply: AReply, a_slate: ASlate, now: datetime
) -> None:
    for hours in range(4):
        at = now + timedelta(hours=hours)
        store.record_reply(a_reply(f"tg:{hours}", at=at))
        store.record_slate(a_slate(f"slate-{hours}", at=at))
        store.record_delivery(f"slate-{hours}", at=at)
    window = {"since": now + timedelta(hours=1), "until": now + timedelta(hours=3)}

    assert [reply.reply_id for reply in store.replies(**window)] == ["tg:1", "tg:2"]
    assert [slate.slate_id for slate in store.slates(**window)] == ["slate-1", "slate-2"]
    assert {i.slate_id for i in store.impressions(**window)} == {"slate-1", "slate-2"}
    assert len(store.replies_frame(**window)) == 2
    assert len(store.slates_frame(**window)) == 2
    assert len(store.impressions_frame(**window)) == 6


def test_reading_by_user_gives_that_user_only(
    store: EventStore, a_reply: AReply, a_slate: ASlate
) -> None:
    store.record_reply(a_reply("tg:1"))
    store.record_reply(a_reply("tg:2", user_key="bob"))
    store.record_slate(a_slate("slate-1"))
    store.record_slate(a_slate("slate-2", user_key="bob"))

    assert [reply.reply_id for reply in store.replies(user_key="bob")] == ["tg:2"]
    assert [slate.slate_id for slate in store.slates(user_key="bob")] == ["slate-2"]


def test_a_moment_of_another_zone_comes_back_as_the_same_moment(
    store: EventStore, a_reply: AReply
) -> None:
    at = datetime(2026, 11, 24, 8, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))

    store.record_reply(a_reply(at=at))

    assert store.replies()[0].at == at
    assert store.replies()[0].at.tzinfo is UTC


def test_a_moment_without_zone_is_refused(store: EventStore, a_reply: AReply) -> None:
    naive = datetime(2026, 11, 24, 8, 0)  # noqa: DTZ001

    with pytest.raises(ValueError, match="no time zone"):
        store.record_reply(a_reply(at=naive))


def test_half_a_character_from_a_chat_client_does_not_stop_a_reply(
    store: EventStore, a_reply: AReply
) -> None:
    assert store.record_reply(a_reply(text="broken \ud83d emoji\x00"))

    assert store.replies()[0].text == "broken ? emoji\x00"


def test_frames_hold_utc_moments_and_no_free_text(
    store: EventStore, a_reply: AReply, a_slate: ASlate, now: datetime
) -> None:
    store.record_reply(a_reply(text="my secret"))
    store.record_slate(a_slate(query="another secret"))
    store.record_delivery("slate-0000000001", at=now)

    replies, slates = store.replies_frame(), store.slates_frame()

    assert replies["at"].iloc[0] == now
    assert store.impressions_frame()["explored"].dtype == bool
    assert "secret" not in replies.to_csv() + slates.to_csv()


def test_an_empty_store_gives_empty_frames_with_columns(store: EventStore) -> None:
    assert {"user_key", "at", "kind"} <= set(store.replies_frame().columns)
    assert {"slate_id", "delivered_at"} <= set(store.impressions_frame().columns)
    assert len(store.slates_frame()) == 0


def test_a_transaction_that_fails_leaves_nothing(
    store: EventStore, a_reply: AReply, a_message: AMessage
) -> None:
    def answer_and_fail() -> None:
        with store.transaction():
            store.record_reply(a_reply())
            store.queue([a_message()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        answer_and_fail()

    assert store.replies() == []
    assert store.backlog(at=a_reply().at).outbox == 0


def test_only_the_outermost_transaction_commits(store: EventStore, a_reply: AReply) -> None:
    def nest_and_fail() -> None:
        with store.transaction():
            with store.transaction():
                store.record_reply(a_reply())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        nest_and_fail()

    assert store.replies() == []


def test_an_inner_block_that_fails_takes_back_only_its_own_writes(
    store: EventStore, a_reply: AReply
) -> None:
    with store.transaction():
        store.record_reply(a_reply("tg:1"))
        try:
            with store.transaction():
                store.record_reply(a_reply("tg:2"))
                raise KeyError
        except KeyError:
            store.record_reply(a_reply("tg:3"))

    assert {reply.reply_id for reply in store.replies()} == {"tg:1", "tg:3"}


def test_a_transaction_reads_what_it_wrote(store: EventStore, a_reply: AReply) -> None:
    with store.transaction():
        store.record_reply(a_reply())

        assert store.replies() == [a_reply()]


def test_threads_can_write_and_read_at_once(store: EventStore, a_reply: AReply) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                with store.transaction():
                    store.record_reply(a_reply(f"{number}:{turn}:a"))
                    store.record_reply(a_reply(f"{number}:{turn}:b"))
                assert len(store.replies()) % 2 == 0, "half a transaction was visible"
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(store.replies()) == 6 * 20 * 2


def test_a_fact_of_the_same_kind_and_value_is_replaced(store: EventStore, now: datetime) -> None:
    store.put_fact(a_fact(now, "f1"))
    store.put_fact(a_fact(now + timedelta(hours=1), "f2", source="the button"))
    store.put_fact(a_fact(now, "f3", value="eggs"))

    facts = store.facts("ada", at=now + timedelta(days=1))

    assert [(fact.fact_id, fact.value) for fact in facts] == [("f3", "eggs"), ("f2", "milk")]


def test_an_expired_fact_is_no_longer_in_force(store: EventStore, now: datetime) -> None:
    store.put_fact(a_fact(now, expires_at=now + timedelta(hours=1)))

    assert len(store.facts("ada", at=now)) == 1
    assert store.facts("ada", at=now + timedelta(hours=1)) == []


def test_a_fact_can_be_deleted_by_its_owner_only(store: EventStore, now: datetime) -> None:
    store.put_fact(a_fact(now))

    assert not store.delete_fact("bob", "f1")
    assert store.delete_fact("ada", "f1")
    assert store.facts("ada", at=now) == []


def test_facts_are_deleted_by_kind_or_by_value(store: EventStore, now: datetime) -> None:
    for number, value in enumerate(("milk", "eggs", "fish")):
        store.put_fact(a_fact(now, f"f{number}", value=value))
    store.put_fact(a_fact(now, "diet", kind=FactKind.DIET, value="vegan"))

    assert store.delete_facts("ada", FactKind.ALLERGEN, "milk") == 1
    assert store.delete_facts("ada", FactKind.ALLERGEN) == 2
    assert [fact.value for fact in store.facts("ada", at=now)] == ["vegan"]


def test_the_last_turn_of_a_switch_counts(store: EventStore, now: datetime) -> None:
    store.record_consent(a_consent(now, "c1"))
    store.record_consent(a_consent(now, "c2", user_key="bob"))
    store.record_consent(a_consent(now + timedelta(days=1), "c3", given=False))
    store.record_consent(a_consent(now, "c4", user_key="cy", kind=ConsentKind.REMEMBER_DIET))

    assert store.consenting_users(ConsentKind.SEND_TIPS) == {"bob"}
    assert [consent.given for consent in store.consents("ada")] == [True, False]


def test_two_turns_at_one_moment_count_in_their_order(store: EventStore, now: datetime) -> None:
    store.record_consent(a_consent(now, "z"))
    store.record_consent(a_consent(now, "a", given=False))

    assert store.consenting_users(ConsentKind.SEND_TIPS) == set()


def test_a_consent_is_recorded_once(store: EventStore, now: datetime) -> None:
    assert store.record_consent(a_consent(now, "c1"))
    assert not store.record_consent(a_consent(now, "c1", given=False))

    assert [consent.given for consent in store.consents("ada")] == [True]


def test_judgements_are_appended_once(store: EventStore, now: datetime) -> None:
    judgement = Judgement(
        judgement_id="j1", at=now, lesson_id="l", item_id="tofu", grade=-1, creator="prof"
    )

    assert store.record_judgement(judgement)
    assert not store.record_judgement(judgement)
    assert store.judgements() == [judgement]


def test_a_judgement_can_be_taken_back_once(store: EventStore, now: datetime) -> None:
    for name in ("j1", "j2"):
        store.record_judgement(
            Judgement(
                judgement_id=name, at=now, lesson_id="l", item_id="tofu", grade=2, creator="prof"
            )
        )

    assert store.remove_judgement("j2")
    assert not store.remove_judgement("j2")
    assert [judgement.judgement_id for judgement in store.judgements()] == ["j1"]


def test_a_rule_holds_until_it_is_removed(store: EventStore, now: datetime) -> None:
    pin = CreatorRule(lesson_id="l", item_id="tofu", kind=RuleKind.PIN, at=now, creator="prof")
    ban = CreatorRule(lesson_id="", item_id="tofu", kind=RuleKind.BAN, at=now, creator="prof")

    store.put_rule(pin)
    store.put_rule(pin)
    store.put_rule(ban)

    assert store.rules() == [pin, ban]
    assert store.remove_rule("l", "tofu", RuleKind.PIN)
    assert not store.remove_rule("l", "tofu", RuleKind.PIN)
    assert store.rules() == [ban]


def test_a_dialog_is_kept_until_it_expires(store: EventStore, now: datetime) -> None:
    row = DialogRow(user_key="ada", state="{}", version=1, expires_at=now + timedelta(hours=1))
    store.put_dialog(row)
    newer = DialogRow(user_key="ada", state='{"a":1}', version=2, expires_at=row.expires_at)
    store.put_dialog(newer)

    assert store.dialog("ada", at=now) == newer
    assert store.dialog("ada", at=now + timedelta(hours=1)) is None
    assert store.dialog("bob", at=now) is None


def test_an_address_is_reachable_until_a_send_is_refused(store: EventStore, now: datetime) -> None:
    store.put_address("ada", "telegram", "5001", at=now)

    assert store.address("ada", "telegram") == "5001"
    assert store.address("ada", "terminal") is None
    assert store.is_reachable("telegram", "5001")

    store.set_reachable("telegram", "5001", False)
    assert not store.is_reachable("telegram", "5001")

    store.put_address("ada", "telegram", "5001", at=now)
    assert store.is_reachable("telegram", "5001")


def test_a_chat_that_moves_takes_its_waiting_messages_along(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    store.put_address("ada", "telegram", "-5001", at=now)
    store.queue([a_message(address="-5001")])

    assert store.move_address("telegram", "-5001", "-1005001") == 1

    assert store.address("ada", "telegram") == "-1005001"
    assert [entry.address for entry in store.outgoing(at=now)] == ["-1005001"]


def test_an_update_is_received_once(store: EventStore, an_update: AnUpdate, now: datetime) -> None:
    assert store.receive(an_update())
    assert not store.receive(an_update())

    store.mark_done("1", at=now)

    assert not store.receive(an_update())
    assert store.pending() == []


def test_updates_out_of_order_are_all_received(store: EventStore, an_update: AnUpdate) -> None:
    assert store.receive(an_update("9"))
    assert store.receive(an_update("7"))

    assert {entry.update_id for entry in store.pending()} == {"9", "7"}


def test_pending_updates_come_in_the_order_of_receipt_whatever_the_clock_says(
    store: EventStore, an_update: AnUpdate, now: datetime
) -> None:
    store.receive(an_update("b", received_at=now))
    store.receive(an_update("a", received_at=now))
    store.receive(an_update("0", received_at=now - timedelta(seconds=1)))

    assert [entry.update_id for entry in store.pending()] == ["b", "a", "0"]
    assert [entry.update_id for entry in store.pending(limit=1)] == ["b"]


def test_a_failing_update_is_counted_and_parked_in_the_end(
    store: EventStore, an_update: AnUpdate
) -> None:
    store.receive(an_update())

    store.mark_failed("1", error="boom", park=False)
    assert [entry.attempts for entry in store.pending()] == [1]

    store.mark_failed("1", error="boom", park=True)
    assert store.pending() == []
    assert [(entry.update_id, entry.attempts) for entry in store.parked()] == [("1", 2)]


def test_a_message_is_queued_once(store: EventStore, a_message: AMessage, now: datetime) -> None:
    assert store.queue([a_message("1:0"), a_message("1:1")]) == 2
    assert store.queue([a_message("1:1"), a_message("1:2")]) == 1
    assert store.queue([]) == 0

    assert [entry.outbox_id for entry in store.outgoing(at=now)] == ["1:0", "1:1", "1:2"]


def test_answers_go_before_promotions(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    promotion = a_message("tip", message_class=MessageClass.PROMOTION, created_at=now)
    answer = a_message("1:0", created_at=now + timedelta(seconds=5))
    store.queue([promotion, answer])

    assert [entry.outbox_id for entry in store.outgoing(at=now)] == ["1:0", "tip"]
    assert [entry.outbox_id for entry in store.outgoing(at=now, limit=1)] == ["1:0"]


def test_a_promotion_waits_for_its_time_and_any_message_ends_with_it(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    in_a_minute = now + timedelta(minutes=1)
    later = a_message(
        "later", address="1", message_class=MessageClass.PROMOTION, not_before=in_a_minute
    )
    store.queue([later, a_message("short", address="2", expires_at=in_a_minute)])

    assert [entry.outbox_id for entry in store.outgoing(at=now)] == ["short"]
    assert [entry.outbox_id for entry in store.outgoing(at=in_a_minute)] == ["later"]


def test_an_answer_that_is_held_back_is_given_with_its_time_so_that_none_overtakes_it(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    store.queue([a_message("1:0"), a_message("1:1"), a_message("2:0", address="6002")])
    until = now + timedelta(seconds=30)

    store.mark_unsent("1:0", state="queued", not_before=until, error="429")

    given = [(entry.outbox_id, entry.not_before) for entry in store.outgoing(at=now)]
    assert given == [("1:0", until), ("1:1", None), ("2:0", None)]


def test_messages_keep_their_order_when_the_clock_is_set_back(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    store.queue([a_message("1:0", created_at=now)])
    store.queue([a_message("2:0", created_at=now - timedelta(hours=1))])

    assert [entry.outbox_id for entry in store.outgoing(at=now)] == ["1:0", "2:0"]


def test_a_tip_for_tomorrow_holds_back_no_answer(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    tip = a_message(
        "tip", message_class=MessageClass.PROMOTION, not_before=now + timedelta(days=1)
    )
    store.queue([tip, a_message("1:0")])

    assert [entry.outbox_id for entry in store.outgoing(at=now)] == ["1:0"]


def test_a_sent_message_is_not_sent_again(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    store.queue([a_message()])
    store.mark_sending("1:0")
    store.mark_sent("1:0", at=now, message_id="77")

    store.mark_sending("1:0")
    store.mark_unsent("1:0", state="queued")

    assert store.outgoing(at=now) == []
    assert store.queue([a_message()]) == 0
    assert store.recover_outbox() == 0


def test_after_a_crash_answers_are_repeated_and_promotions_dropped(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    store.queue([a_message("1:0"), a_message("tip", message_class=MessageClass.PROMOTION)])
    store.mark_sending("1:0")
    store.mark_sending("tip")

    assert store.recover_outbox() == 2

    assert [(e.outbox_id, e.attempts) for e in store.outgoing(at=now)] == [("1:0", 1)]


def test_the_backlog_counts_what_waits(
    store: EventStore, an_update: AnUpdate, a_message: AMessage, now: datetime
) -> None:
    assert store.backlog(at=now) == Backlog()
    store.receive(an_update("1", received_at=now - timedelta(seconds=90)))
    store.receive(an_update("2"))
    store.mark_failed("2", error="x", park=True)
    store.queue([a_message()])

    assert store.backlog(at=now) == Backlog(inbox=1, outbox=1, parked=1, oldest_seconds=90.0)


def test_a_message_that_is_not_due_makes_no_backlog_old(
    store: EventStore, a_message: AMessage, now: datetime
) -> None:
    store.queue([a_message(not_before=now + timedelta(days=1))])

    assert store.backlog(at=now + timedelta(hours=5)).oldest_seconds == 0.0


def test_audits_come_newest_first(store: EventStore, now: datetime) -> None:
    store.audit(at=now, actor="prof", action="pin", detail="tofu")
    store.audit(at=now + timedelta(seconds=1), actor="prof", action="stats")

    assert store.audits(limit=1) == [(now + timedelta(seconds=1), "prof", "stats", "")]
    assert len(store.audits()) == 2


def test_safety_violations_are_counted(store: EventStore, now: datetime) -> None:
    store.count_safety_violation(at=now, where="send", item_id="tofu")
    store.count_safety_violation(at=now + timedelta(days=1), where="rank", item_id="tofu")

    assert store.safety_violations() == 2
    assert store.safety_violations(since=now + timedelta(hours=1)) == 1


def test_an_export_can_be_written_as_json(
    store: EventStore, a_slate: ASlate, a_reply: AReply, now: datetime
) -> None:
    store.record_slate(a_slate())
    store.record_delivery("slate-0000000001", at=now)
    store.record_reply(a_reply(text="喜欢"))
    store.put_fact(a_fact(now))

    exported = store.export("ada")

    assert json.loads(json.dumps(exported)) == exported
    assert [row["text"] for row in exported["replies"]] == ["喜欢"]
    assert len(exported["impressions"]) == 3
    assert exported["facts"][0]["value"] == "milk"
    placements = exported["slates"][0]["placements"]
    assert isinstance(placements, list)
    assert placements[0]["item_id"] == "tofu"
    assert all(rows == [] for rows in store.export("bob").values())


def test_time_takes_what_need_not_be_kept(
    store: EventStore,
    a_reply: AReply,
    a_slate: ASlate,
    an_update: AnUpdate,
    a_message: AMessage,
    now: datetime,
) -> None:
    store.record_reply(a_reply(text="long ago"))
    store.record_slate(a_slate(query="long ago"))
    store.put_fact(a_fact(now, expires_at=now + timedelta(hours=1)))
    store.put_dialog(
        DialogRow(user_key="ada", state="{}", version=1, expires_at=now + timedelta(hours=1))
    )
    store.receive(an_update())
    store.mark_done("1", at=now)
    store.queue([a_message()])
    store.mark_sending("1:0")
    store.mark_sent("1:0", at=now, message_id="7")

    assert store.expire(at=now + timedelta(minutes=1)) == 0
    assert store.expire(at=now + timedelta(hours=2)) == 2
    assert not store.receive(an_update()), "Telegram may repeat an update for a day"
    assert store.expire(at=now + timedelta(hours=49)) == 2
    assert store.replies()[0].text == "long ago"

    assert store.expire(at=now + timedelta(days=91)) == 2
    assert [reply.text for reply in store.replies()] == [""]
    assert [slate.query for slate in store.slates()] == [""]

    assert store.expire(at=now + timedelta(days=731)) == 2
    assert store.replies() == []
    assert store.slates() == []


def test_waiting_updates_and_messages_do_not_expire(
    store: EventStore, an_update: AnUpdate, a_message: AMessage, now: datetime
) -> None:
    store.receive(an_update())
    store.queue([a_message()])

    store.expire(at=now + timedelta(days=400))

    assert len(store.pending()) == 1
    assert len(store.outgoing(at=now)) == 1


def test_a_healthy_store_has_no_problems(store: EventStore, a_reply: AReply) -> None:
    store.record_reply(a_reply())

    assert store.check() == []


def test_a_closed_store_says_so(store: EventStore, a_reply: AReply) -> None:
    store.close()
    store.close()

    with pytest.raises(StoreError):
        store.record_reply(a_reply())
    with pytest.raises(StoreError):
        store.replies()
