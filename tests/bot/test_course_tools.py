"""`/coverage` and `/link`: what creators do with whole courses."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import segno
from PIL import Image
from rich.console import Console

from bot.course_tools import ITEMS_SHOWN, WEAK_SHOWN, deep_link, qr_code
from bot.coverage import ALL_COURSES, courses_of, cover
from bot.messages import ButtonPress, Command
from bot.terminal import TerminalChat
from data.catalogue import Catalogue, Item, ItemId, Lesson, LessonId
from data.events import CreatorRule, RuleKind
from data.links import lesson_for
from data.store import EventStore
from tests.fakes import (
    NOON,
    SECRET,
    FakeClock,
    Person,
    build_conversation,
    engine_over,
    hashing,
    sample_catalogue,
)

BOT = "zhiwei_test_bot"
COURSES = courses_of(sample_catalogue().lessons)


def creator(*, language: str = "en", bot_name: str = BOT, **choices: object) -> Person:
    conversation = build_conversation(creators=[2], bot_name=lambda: bot_name, **choices)
    return Person(conversation, numeric_id=2, language=language)


def store_of(person: Person) -> EventStore:
    return person.conversation.services.store


def barren(n: int, *, course: str = "Dust", audience: str = "all") -> list[Lesson]:
    """Lessons that speak of nothing edible; a ban of everything makes sure that they find nothing."""
    return [
        Lesson(
            lesson_id=LessonId(f"dust-{n}"),
            title=f"Dust {n}",
            text="Interest compounds by the month.",
            course=course,
            audience=audience,
        )
        for n in range(n)
    ]


def with_nothing_to_offer(person: Person) -> Person:
    for item in person.conversation.services.engine().catalogue:
        store_of(person).put_rule(
            CreatorRule(
                lesson_id=LessonId(""),
                item_id=item.item_id,
                kind=RuleKind.BAN,
                at=NOON,
                creator="x",
            )
        )
    return person


def dusty(n_lessons: int, n_items: int = 20, **lesson: str) -> Person:
    catalogue = Catalogue.of(sample_catalogue().items[:n_items], barren(n_lessons, **lesson))
    return with_nothing_to_offer(creator(catalogue=catalogue))


def test_without_a_course_the_courses_are_buttons_on_pages() -> None:
    eve = creator()

    eve.command("/coverage")
    first = eve.labels
    (page,) = eve.presses("More")

    assert first == [*COURSES[:8], "All courses", "More"]
    assert page.is_edit
    assert eve.labels[:8] == COURSES[8:16]
    assert "Earlier" in eve.labels


def test_a_course_tells_what_is_good_and_what_no_lesson_finds() -> None:
    eve = creator()
    course = COURSES[0]
    engine = eve.conversation.services.engine()
    lessons = [lesson for lesson in engine.catalogue.lessons if lesson.course == course]
    found = cover(engine, lessons, [], at=NOON)

    eve.command(f"/coverage {course}")

    assert f"{found.n_good} of {len(lessons)} lessons have something good." in eve.text
    n_found = found.n_items - len(found.unfound)
    assert f"{n_found} of {found.n_items} items" in eve.text
    assert f"and {len(found.unfound) - ITEMS_SHOWN} more" in eve.text
    assert [row[2:] for row in store_of(eve).audits()] == [("coverage", course)]


def test_a_course_is_known_by_a_part_of_its_name_in_any_case() -> None:
    eve = creator()

    eve.command("/coverage slow TRAV")

    assert "Coverage: Slow Travel" in eve.text


@pytest.mark.parametrize("word", ["*", "all", "全部"])
def test_all_courses_can_be_looked_at_together(word: str) -> None:
    known = sample_catalogue()
    eve = creator(catalogue=Catalogue.of(known.items[:30], known.lessons[:6]))

    eve.command(f"/coverage {word}")

    assert "Coverage: All courses" in eve.text
    assert "of 6 lessons" in eve.text


@pytest.mark.parametrize("name", ["nothing like it", "<b>x</b>", "{n}", "e", "💥" * 500])
def test_an_unknown_course_gets_a_line_and_the_courses(name: str) -> None:
    eve = creator()

    eve.command(f"/coverage {name}")

    assert "There is no course “" in eve.text
    assert eve.labels[:8] == COURSES[:8]
    assert len(eve.text) < 400


def test_weak_lessons_are_cut_with_a_count_and_lead_to_their_preview() -> None:
    eve = dusty(WEAK_SHOWN + 3)

    eve.command("/coverage dust")
    told = eve.text
    (preview,) = eve.presses("Preview: Dust 4")

    assert f"0 of {WEAK_SHOWN + 3} lessons" in told
    assert told.count("best score") == WEAK_SHOWN
    assert "and 3 more" in told
    assert "Pairing preview: Dust 4" in preview.text
    assert not preview.is_edit


def test_a_lesson_for_minors_is_told_apart_from_a_weak_one() -> None:
    eve = dusty(1, audience="minors")

    eve.command("/coverage dust")

    assert "for minors, so nothing is offered" in eve.text
    assert eve.labels == ["Courses"]


def test_a_ban_changes_the_map_at_once() -> None:
    known = sample_catalogue()
    eve = creator(catalogue=Catalogue.of(known.items[:30], known.lessons[:1]))
    eve.command("/coverage *")
    before = eve.text

    with_nothing_to_offer(eve).command("/coverage *")

    assert before.startswith("Coverage: All courses\n1 of 1")
    assert eve.text.startswith("Coverage: All courses\n0 of 1")


def test_lessons_without_a_course_can_still_be_looked_at() -> None:
    eve = dusty(2, course="")

    eve.command("/coverage")
    told = eve.text
    eve.presses("All courses")

    assert "No lesson says which course" in told
    assert "0 of 2 lessons" in eve.text


def test_markup_in_the_name_of_a_course_stays_text() -> None:
    eve = dusty(1, course="<b>{course}|:</b>")

    eve.command("/coverage")
    eve.presses("<b>{course}")

    assert "Coverage: <b>{course}|:</b>" in eve.text


def test_a_course_that_is_gone_leads_to_those_that_are_there() -> None:
    eve = dusty(1)
    eve.command("/coverage")
    fewer = engine_over(sample_catalogue(), hashing())
    eve.conversation.services = replace(eve.conversation.services, engine=lambda: fewer)

    (reply,) = eve.presses("Dust")

    assert reply.is_edit
    assert reply.notice
    assert eve.labels[:8] == COURSES[:8]


def test_a_map_is_read_ahead_and_kept() -> None:
    eve = creator()
    desk = eve.conversation.services.desk
    engine = eve.conversation.services.engine()

    eve.conversation.prepare(Command(**eve._stamp(), name="coverage", argument=COURSES[0].upper()))
    eve.command("/coverage")
    press = ButtonPress(**eve._stamp(), payload=eve.button(COURSES[1]).payload)
    eve.conversation.prepare(press)

    assert desk.maps.knows(engine, COURSES[0], [], at=NOON)
    assert desk.maps.knows(engine, COURSES[1], [], at=NOON)
    assert not desk.maps.knows(engine, COURSES[2], [], at=NOON)
    assert not desk.maps.knows(engine, ALL_COURSES, [], at=NOON)


def test_coverage_speaks_chinese() -> None:
    eve = creator(language="zh-hans")

    eve.command(f"/coverage {COURSES[0]}")

    assert f"覆盖情况：{COURSES[0]}" in eve.text
    assert "这些课都没有找到的商品" in eve.text


@pytest.mark.parametrize("line", ["/coverage", "/coverage *", "/link wok-heat"])
def test_strangers_are_refused(line: str) -> None:
    stranger = Person(build_conversation(creators=[2], bot_name=lambda: BOT), numeric_id=3)

    stranger.command(line)

    assert "not for this account" in stranger.text
    assert store_of(stranger).audits() == []


@pytest.mark.parametrize("label", ["All courses", COURSES[0]])
def test_who_is_no_creator_any_more_is_refused(label: str) -> None:
    eve = creator()
    eve.command("/coverage")
    eve.conversation.services = replace(eve.conversation.services, creators=frozenset())

    (reply,) = eve.presses(label)

    assert "not for this account" in reply.notice
    assert not reply.spans


@pytest.mark.parametrize("argument", ["wok-heat", "火候：为什么家里的青菜总出水"])
def test_a_link_opens_the_lesson_and_comes_with_its_qr_code(argument: str) -> None:
    eve = creator()

    (reply,) = eve.command(f"/link {argument}")

    address = f"https://t.me/{BOT}?start=wok-heat"
    assert address in reply.text
    assert [b.url for row in reply.buttons for b in row] == [address]
    assert reply.picture is not None
    assert reply.picture.alternative == f"QR code of {address}"
    image = Image.open(io.BytesIO(reply.picture.content))
    assert image.format == "PNG"
    assert image.width == image.height >= 250
    assert [row[2:] for row in store_of(eve).audits()] == [("link", "wok-heat")]


def test_the_picture_is_the_qr_code_of_the_very_address() -> None:
    address = deep_link(BOT, LessonId("wok-heat"))
    image = Image.open(io.BytesIO(qr_code(address))).convert("L")

    modules = [list(row) for row in segno.make(address, error="q", micro=False).matrix]

    width = image.width // (len(modules) + 8)
    shown = [
        [
            int(image.getpixel((int((x + 4.5) * width), int((y + 4.5) * width))) < 128)
            for x in range(len(modules))
        ]
        for y in range(len(modules))
    ]
    assert shown == modules
    assert qr_code(address) != qr_code(address + "x")


def test_the_link_of_an_id_of_any_length_leads_back_to_its_lesson() -> None:
    lesson = Lesson(lesson_id=LessonId("课 <b>" * 40), title="T", text="Rice.")

    payload = deep_link(BOT, lesson.lesson_id).split("start=")[1]

    assert len(payload) <= 64
    assert payload.isascii()
    assert lesson_for(payload, [lesson]) == lesson.lesson_id


def test_without_a_lesson_the_one_just_talked_about_is_meant() -> None:
    eve = creator()
    eve.command("/link")
    asked = eve.text
    eve.command("/start wok-heat")

    eve.command("/link")

    assert "Write /link" in asked
    assert "start=wok-heat" in eve.text


def test_words_that_fit_several_lessons_give_a_choice() -> None:
    lessons = [
        Lesson(lesson_id=LessonId(f"soup-{n}"), title=f"Soup of the week {n}", text="Soup.")
        for n in (1, 2)
    ]
    eve = creator(catalogue=Catalogue.of(sample_catalogue().items[:5], lessons))

    eve.command("/link soup of the week")
    eve.presses("Soup of the week 2")

    assert "start=soup-2" in eve.text


@pytest.mark.parametrize("argument", ["nothing like it", "<b>{x}</b>", "\x00", "长" * 900])
def test_a_lesson_that_is_not_there_is_told_in_a_line(argument: str) -> None:
    eve = creator()

    eve.command(f"/link {argument}")

    assert "There is no lesson “" in eve.text
    assert len(eve.text) < 200


def test_without_a_bot_the_command_of_the_terminal_is_given() -> None:
    lesson = Lesson(lesson_id=LessonId("it's; rm"), title="T", text="Rice.")
    eve = creator(bot_name="", catalogue=Catalogue.of(sample_catalogue().items[:3], [lesson]))

    (reply,) = eve.command(f"/link {lesson.lesson_id}")

    assert "no Telegram bot has run here" in reply.text
    assert """zhiwei chat --lesson 'it'"'"'s; rm'""" in reply.text
    assert reply.picture is None
    assert reply.buttons == ()


def test_a_link_speaks_chinese() -> None:
    eve = creator(language="zh-hans")

    (reply,) = eve.command("/link wok-heat")

    assert "二维码放在课的结尾" in reply.text
    assert reply.picture is not None
    assert reply.picture.alternative.endswith("的二维码")


def test_the_terminal_begins_with_a_lesson_and_names_the_picture() -> None:
    screen = io.StringIO()
    chat = TerminalChat(
        conversation=build_conversation(admins=[1], bot_name=lambda: BOT),
        secret=SECRET,
        console=Console(file=screen, width=200),
        language_code="en",
        numeric_id=1,
        clock=FakeClock(),
    )

    chat.run(["/link"], lesson="wok-heat")

    assert "火候" in screen.getvalue()
    assert f"[QR code of https://t.me/{BOT}?start=wok-heat]" in screen.getvalue()


def test_help_names_the_tools_for_creators_only() -> None:
    eve = creator()
    ann = Person(eve.conversation, numeric_id=3, name="ann")

    eve.command("/help")
    ann.command("/help")

    for name in ("/pair", "/judge", "/coverage", "/link", "/pin", "/ban"):
        assert name in eve.text
        assert name not in ann.text


def test_an_item_found_by_one_lesson_is_not_called_unfound() -> None:
    known = sample_catalogue()
    engine = engine_over(Catalogue.of(known.items[:30], known.lessons[:1]), hashing())
    pin = CreatorRule(
        lesson_id=known.lessons[0].lesson_id, item_id=known.items[20].item_id,
        kind=RuleKind.PIN, at=NOON, creator="x",
    )  # fmt: skip

    found = cover(engine, known.lessons[:1], [pin], at=NOON)

    unfound = {item.item_id for item in found.unfound}
    assert known.items[20].item_id not in unfound
    assert {row.item.item_id for row in found.lessons[0].offered}.isdisjoint(unfound)
    assert len(unfound) + len(found.lessons[0].offered) == found.n_items


def test_items_of_odd_ids_are_told_by_name() -> None:
    item = Item(item_id=ItemId("x|<b>"), name_en="<i>Nice</i>", name_zh="好")
    eve = creator(catalogue=Catalogue.of([item], barren(1)))

    with_nothing_to_offer(eve).command("/coverage dust")

    assert "• <i>Nice</i>" in eve.text
