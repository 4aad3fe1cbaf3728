"""`/judge`: the pairs of which the matcher is least sure, one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from bot.engine import Engine
from bot.messages import ButtonPress, Command
from bot.unsure_pairs import Pair, UnsurePairs, measure, questions
from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from data.events import CreatorRule, Judgement, Mode, RuleKind
from data.store import EventStore
from index.matches import Hit, Matches, Query
from tests.fakes import NOON, Person, build_conversation, engine_over, hashing, sample_catalogue

N_LESSONS, N_ITEMS = 6, 8


@dataclass(frozen=True)
class ScriptedMatcher:
    """Gives written scores, and counts how often it was asked."""

    scores: np.ndarray
    """(n_lessons, n_items)"""
    titles: tuple[str, ...]
    items: tuple[ItemId, ...]
    mode: Mode = Mode.FULL
    asked: list[str] = field(default_factory=list)
    version: str = "scripted"

    def match(self, query: Query, *, eligible: np.ndarray | None, top_k: int) -> Matches:
        self.asked.append(query.title)
        row = self.scores[self.titles.index(query.title)] if query.title in self.titles else None
        scores = np.zeros(len(self.items)) if row is None else row
        hits = [
            Hit(item_id=item_id, row=n, score=float(scores[n]), dense=0.0, lexical=0.0,
                knowledge=0.0)
            for n, item_id in enumerate(self.items)
            if eligible is None or eligible[n]
        ]  # fmt: skip
        hits.sort(key=lambda hit: -hit.score)
        return Matches(hits=tuple(hits[:top_k]), floor=0.1, is_silent=False, mode=self.mode)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        return np.eye(len(rows))


def small_catalogue() -> Catalogue:
    lessons = [
        Lesson(
            lesson_id=LessonId(f"lesson-{n}"),
            title=f"Lesson {n}",
            text=f"Opening sentence {n}. And a second one.",
        )
        for n in range(N_LESSONS)
    ]
    items = [
        Item(item_id=ItemId(f"item-{n}"), name_en=f"Item {n}", description_en=f"Words of {n}.")
        for n in range(N_ITEMS)
    ]
    return Catalogue.of(items, lessons)


def small_engine(scores: np.ndarray | None = None, *, mode: Mode = Mode.FULL) -> Engine:
    catalogue = small_catalogue()
    matcher = ScriptedMatcher(
        np.full((N_LESSONS, N_ITEMS), 0.5) if scores is None else scores,
        tuple(lesson.title for lesson in catalogue.lessons),
        tuple(item.item_id for item in catalogue.items),
        mode,
    )
    return replace(engine_over(catalogue, hashing()), matcher=matcher)


def creator(engine: Engine | None = None, *, language: str = "en") -> Person:
    engine = engine or small_engine()
    conversation = build_conversation(creators=[2], engine=lambda: engine)
    return Person(conversation, numeric_id=2, language=language)


def store_of(person: Person) -> EventStore:
    return person.conversation.services.store


def grades_of(person: Person) -> list[int]:
    return [judgement.grade for judgement in store_of(person).judgements()]


def asked_pair(person: Person) -> tuple[str, str]:
    """Titles of the lesson and the item in question."""
    bold = [span.text.strip() for span in person.replies[-1].spans if span.is_bold]
    return bold[0], bold[1]


def judgement(pair: Pair, *, grade: int = 2, creator: str = "somebody") -> Judgement:
    return Judgement(
        judgement_id=f"{pair.lesson_id} {pair.item_id} {creator}",
        at=NOON,
        lesson_id=pair.lesson_id,
        item_id=pair.item_id,
        grade=grade,
        creator=creator,
    )


def restarted(person: Person) -> Person:
    """The same person after the program started anew: what was in memory is gone."""
    services = person.conversation.services
    conversation = build_conversation(creators=[2], store=services.store, engine=services.engine)
    return Person(conversation, numeric_id=2, history=person.history)


def test_a_question_has_the_lesson_the_item_and_its_grades() -> None:
    eve = creator()

    eve.command("/judge")

    title, name = asked_pair(eve)
    assert f"Opening sentence {title[-1]}." in eve.text
    assert "a second one" not in eve.text
    assert f"Words of {name[-1]}." in eve.text
    assert "1 of 12" in eve.text
    assert eve.labels == ["3 delightful", "2 good", "1 loose", "0 wrong", "Skip", "Stop"]


def test_a_grade_is_stored_and_the_next_question_stands_in_its_place() -> None:
    eve = creator()
    eve.command("/judge")
    title, name = asked_pair(eve)

    (reply,) = eve.presses("3 delightful")

    (stored,) = store_of(eve).judgements()
    assert (stored.lesson_id, stored.item_id) == (f"lesson-{title[-1]}", f"item-{name[-1]}")
    assert stored.grade == 3
    assert reply.is_edit
    assert reply.notice == "Noted: 3 delightful"
    assert "2 of 12" in reply.text
    assert asked_pair(eve) != (title, name)
    assert [row[2] for row in store_of(eve).audits()] == ["judge"]


def test_a_pair_that_anybody_judged_is_never_asked_again() -> None:
    eve = creator()
    bob = Person(eve.conversation, numeric_id=2, name="bob")
    seen: list[tuple[str, str]] = []
    eve.command("/judge")

    while "Skip" in eve.labels:
        seen.append(asked_pair(eve))
        eve.presses("1 loose")
    bob.command("/judge")

    assert len(seen) == len(set(seen)) == 12
    while "Skip" in bob.labels:
        assert asked_pair(bob) not in seen
        bob.presses("Skip")


def test_at_the_end_of_a_round_there_is_more_and_at_the_end_of_all_it_is_said() -> None:
    eve = creator()
    eve.command("/judge")
    n_rounds = 0

    for _ in range(N_LESSONS * N_ITEMS + 10):
        if "2 good" in eve.labels:
            eve.presses("2 good")
        elif "Go on judging" in eve.labels:
            n_rounds += 1
            assert "Judged: " in eve.text
            eve.presses("Go on judging")
        else:
            break

    assert len(store_of(eve).judgements()) == N_LESSONS * N_ITEMS
    assert n_rounds >= 2
    assert "Nothing is left to ask about" in eve.text
    eve.command("/judge")
    assert "Nothing is left to ask about" in eve.text


def test_undo_takes_the_grade_back_and_asks_again() -> None:
    eve = creator()
    eve.command("/judge")
    first = asked_pair(eve)
    eve.presses("3 delightful")

    (reply,) = eve.presses("Undo")

    assert grades_of(eve) == []
    assert asked_pair(eve) == first
    assert "1 of 12" in reply.text
    assert reply.notice == "Taken back."
    assert [row[2] for row in store_of(eve).audits()] == ["judge.undo", "judge"]


def test_a_double_tap_on_undo_takes_one_grade_back() -> None:
    eve = creator()
    eve.command("/judge")
    eve.presses("3 delightful")
    eve.presses("2 good")
    payload = eve.button("Undo").payload

    eve.presses_payload(payload)
    eve.presses_payload(payload)

    assert grades_of(eve) == [3]


def test_undo_at_the_end_of_a_round_reopens_its_last_pair() -> None:
    scores = np.zeros((N_LESSONS, N_ITEMS))
    scores[0, 0] = 0.5
    eve = creator(small_engine(scores))
    eve.command("/judge")
    eve.presses("0 wrong")
    assert "Nothing is left" in eve.text

    eve.presses("Undo")

    assert asked_pair(eve) == ("Lesson 0", "Item 0")
    assert grades_of(eve) == []


def test_a_double_tap_on_a_grade_is_one_grade_and_skips_nothing() -> None:
    eve = creator()
    eve.command("/judge")
    payload = eve.button("2 good").payload

    eve.presses_payload(payload)
    second = asked_pair(eve)
    eve.presses_payload(payload)

    assert grades_of(eve) == [2]
    assert asked_pair(eve) == second


def test_what_was_skipped_comes_after_everything_else() -> None:
    scores = np.zeros((N_LESSONS, N_ITEMS))
    scores[0, 0] = scores[1, 1] = 0.5
    eve = creator(small_engine(scores))
    eve.command("/judge")
    skipped = asked_pair(eve)
    eve.presses("Skip")
    eve.presses("2 good")

    eve.command("/judge")

    assert asked_pair(eve) == skipped
    assert grades_of(eve) == [2]


def test_stop_says_how_many_and_lets_go_on() -> None:
    eve = creator()
    eve.command("/judge")
    eve.presses("2 good")

    (reply,) = eve.presses("Stop")
    eve.presses("Go on judging")

    assert reply.is_edit
    assert "Judged in this round: 1" in reply.text
    assert "Skip" in eve.labels


def test_a_press_after_a_restart_is_noted_and_the_round_begins_anew() -> None:
    eve = creator()
    eve.command("/judge")
    first = asked_pair(eve)

    later = restarted(eve)
    later.presses("3 delightful")

    assert grades_of(later) == [3]
    assert asked_pair(later) != first
    assert "1 of 12" in later.text


def test_undo_after_a_restart_still_finds_the_grade() -> None:
    eve = creator()
    eve.command("/judge")
    first = asked_pair(eve)
    eve.presses("3 delightful")

    later = restarted(eve)
    later.presses("Undo")

    assert grades_of(later) == []
    assert asked_pair(later) == first


def test_a_press_for_an_item_that_left_the_catalogue_notes_nothing() -> None:
    eve = creator()
    eve.command("/judge")
    _, name = asked_pair(eve)
    catalogue = small_catalogue()
    fewer = Catalogue.of([i for i in catalogue.items if i.name_en != name], catalogue.lessons)
    engine = engine_over(fewer, hashing())
    eve.conversation.services = replace(eve.conversation.services, engine=lambda: engine)

    (reply,) = eve.presses("2 good")

    assert grades_of(eve) == []
    assert "left the catalogue" in reply.notice
    assert name not in [span.text.strip() for span in reply.spans if span.is_bold]


@pytest.mark.parametrize("label", ["2 good", "Skip", "Undo", "Stop"])
def test_who_is_no_creator_any_more_is_refused(label: str) -> None:
    eve = creator()
    eve.command("/judge")
    eve.presses("1 loose")
    eve.conversation.services = replace(eve.conversation.services, creators=frozenset())

    (reply,) = eve.presses(label)

    assert "not for this account" in reply.notice
    assert grades_of(eve) == [1]


def test_a_stranger_starts_no_round_and_costs_nothing() -> None:
    engine = small_engine()
    stranger = Person(build_conversation(creators=[2], engine=lambda: engine), numeric_id=3)

    stranger.conversation.prepare(Command(**stranger._stamp(), name="judge"))
    stranger.command("/judge")

    assert "not for this account" in stranger.text
    assert isinstance(engine.matcher, ScriptedMatcher)
    assert engine.matcher.asked == []


def test_the_queue_is_measured_once_and_not_at_each_press() -> None:
    engine = small_engine()
    eve = creator(engine)
    assert isinstance(engine.matcher, ScriptedMatcher)

    eve.conversation.prepare(Command(**eve._stamp(), name="judge"))
    ahead = len(engine.matcher.asked)
    eve.command("/judge")
    eve.presses("2 good")
    press = ButtonPress(**eve._stamp(), payload=eve.button("1 loose").payload)
    eve.conversation.prepare(press)
    eve.presses("1 loose")

    assert ahead == N_LESSONS
    assert len(engine.matcher.asked) == ahead


def test_a_lesson_that_came_since_is_asked_about() -> None:
    eve = creator()
    eve.command("/judge")
    catalogue = small_catalogue()
    new = Lesson(lesson_id=LessonId("new"), title="New", text="Quite new.")
    engine = replace(
        small_engine(np.full((N_LESSONS + 1, N_ITEMS), 0.5)),
        catalogue=Catalogue.of(catalogue.items, [new]),
    )
    matcher = ScriptedMatcher(
        np.full((1, N_ITEMS), 0.5), ("New",), tuple(i.item_id for i in catalogue.items)
    )
    engine = replace(engine, matcher=matcher)
    eve.conversation.services = replace(eve.conversation.services, engine=lambda: engine)

    eve.command("/judge")

    assert asked_pair(eve)[0] == "New"


def test_markup_in_names_stays_text() -> None:
    catalogue = Catalogue.of(
        [Item(item_id=ItemId("x|:"), name_en="<b>{x}</b>")],
        [Lesson(lesson_id=LessonId("<i>|"), title="<i>{n}</i>", text="{0} & <u>.")],
    )
    matcher = ScriptedMatcher(np.full((1, 1), 0.5), ("<i>{n}</i>",), (ItemId("x|:"),))
    engine = replace(engine_over(catalogue, hashing()), matcher=matcher)
    eve = creator(engine)

    eve.command("/judge")
    text = eve.text
    eve.presses("3 delightful")

    assert "<b>{x}</b>" in text
    assert [(j.lesson_id, j.item_id) for j in store_of(eve).judgements()] == [("<i>|", "x|:")]


def test_it_speaks_chinese() -> None:
    eve = creator(language="zh-hans")

    eve.command("/judge")
    first = eve.text
    eve.presses("2 不错")
    eve.presses("撤回上一个")
    undone = eve.text
    eve.presses("结束")

    assert "第 1 对，共 12 对" in first
    assert "已撤回" in undone
    assert "这一轮评了 0 对" in eve.text


def unsure(scores: Sequence[Sequence[float]]) -> UnsurePairs:
    table = np.array(scores)
    return UnsurePairs(
        lessons=tuple(LessonId(f"l{n}") for n in range(table.shape[0])),
        items=tuple(ItemId(f"i{n}") for n in range(table.shape[1])),
        scores=table,
        cosines=None,
    )


def test_the_least_sure_pair_comes_first_and_sure_ones_never() -> None:
    pairs = questions(unsure([[0.95, 0.3, 0.5], [0.05, 0.62, 0.0]]), [])

    assert pairs == (Pair("l0", "i2"), Pair("l1", "i1"), Pair("l0", "i1"))


def test_a_round_asks_at_most_twice_about_one_lesson_or_one_item() -> None:
    pairs = questions(unsure(np.full((5, 5), 0.5).tolist()), [])

    assert max(Counter(pair.lesson_id for pair in pairs).values()) == 2
    assert max(Counter(pair.item_id for pair in pairs).values()) == 2


@pytest.mark.parametrize(
    ("lesson_id", "kind"), [("l0", RuleKind.PIN), ("l0", RuleKind.BAN), ("", RuleKind.BAN)]
)
def test_what_a_rule_decides_is_not_asked(lesson_id: str, kind: RuleKind) -> None:
    rule = CreatorRule(
        lesson_id=LessonId(lesson_id), item_id=ItemId("i0"), kind=kind, at=NOON, creator="x"
    )

    assert questions(unsure([[0.5]]), [], [rule]) == ()


def test_judged_pairs_are_left_out_whoever_judged() -> None:
    pair = Pair(LessonId("l0"), ItemId("i0"))

    assert questions(unsure([[0.5, 0.4]]), [judgement(pair)]) == (
        Pair(LessonId("l0"), ItemId("i1")),
    )


def test_lessons_for_minors_and_items_out_of_stock_are_not_measured() -> None:
    known = sample_catalogue()
    items = [replace(known.items[0], stock=0), *known.items[1:10]]
    lessons = [replace(known.lessons[0], audience="minors"), known.lessons[1]]

    found = measure(engine_over(Catalogue.of(items, lessons), hashing()), at=NOON)

    assert found.lessons == (lessons[1].lesson_id,)
    assert items[0].item_id not in found.items


def test_erasing_one_s_data_ends_the_round() -> None:
    eve = creator()
    eve.command("/judge")
    eve.presses("Skip")
    eve.command("/forget")
    desk = eve.conversation.services.desk

    eve.presses("Erase everything")

    assert eve.user_key not in desk.rounds
    assert desk.skipped(eve.user_key) == frozenset()


def test_while_the_index_is_broken_nothing_is_asked() -> None:
    eve = creator(small_engine(mode=Mode.POPULAR))

    eve.command("/judge")

    assert "Nothing is left to ask about" in eve.text
