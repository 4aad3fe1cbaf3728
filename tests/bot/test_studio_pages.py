"""The pages as somebody without JavaScript uses them, over the real store and index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.studio.golden import check
from bot.studio.previewing import Ask, Weighting, highlight, preview
from bot.support_receipts import receipt_for
from bot.understanding.meaning import Intent
from data.catalogue import LessonId
from data.events import RuleKind, UserKey
from data.vocabulary import Allergen
from tests.bot.studio_world import Browser, StudioParts, forms_of, open_studio
from tests.fakes import NOON, engine_over, hashing, sample_catalogue

TOFU = (
    "Tofu is made from soy beans. The beans are soaked, ground and cooked.\nMiso soup needs tofu."
)

ANN = UserKey("0123456789abcdef" * 2)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(tmp_path) as opened:
        yield opened


def actions(parts: StudioParts) -> list[str]:
    return [row[2] for row in parts.store.audits()]


# chat


def test_the_chat_greets_and_answers_without_script(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    parts.interpreter.means("something crunchy", Intent.RECOMMEND)

    browser.open("/chat")
    assert "I am Zhiwei" in browser.text

    browser.press("Send", text="something crunchy")
    assert "something crunchy" in browser.text
    assert "Like 1" in browser.text


def test_what_the_chat_shows_becomes_impressions_and_a_press_a_reply(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    parts.interpreter.means("something crunchy", Intent.RECOMMEND)
    browser.open("/chat").press("Send", text="something crunchy")

    browser.press("Like 1")

    assert len(parts.store.impressions()) == 3
    assert [reply.kind for reply in parts.store.replies()][-1] == "like"
    assert "✓ Liked 1" in browser.text
    assert browser.text.count("Buy 1") == 1  # the answered message was edited, not sent again


def test_htmx_gets_only_what_changed(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    parts.interpreter.means("something crunchy", Intent.RECOMMEND)
    browser.open("/chat")

    browser.press("Send", text="something crunchy", headers={"hx-request": "true"})
    assert "<html" not in browser.markup
    assert browser.markup.count("<article") == 2

    browser.open("/chat").press("Like 1", headers={"hx-request": "true"})
    assert browser.markup.count('hx-swap-oob="true"') == 2  # the edited message, and the notice


def test_two_browsers_do_not_see_each_others_chat(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    browser.open("/chat").press("Send", text="only mine")
    assert "only mine" in browser.text

    browser.client.cookies.clear()

    assert "only mine" not in browser.open("/chat").text


def test_erasing_clears_the_page_as_well(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    browser.open("/chat").press("Send", text="a very private line")
    browser.press("Send", text="/forget")

    browser.press("Erase everything")

    assert "a very private line" not in browser.open("/chat").text


def test_the_chat_speaks_the_chosen_language(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio

    assert (
        'lang="zh-Hans"' in browser.open("/chat", **{"accept-language": "zh-CN,en;q=0.5"}).markup
    )

    browser.open("/language/en?next=/chat")
    assert '<html lang="en"' in browser.markup
    browser.open("/language/zh?next=/pairings")
    assert "粘贴或上传一课内容" in browser.text


def test_a_link_to_a_lesson_opens_it(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio

    browser.open("/chat?lesson=wok-heat")

    assert parts.store.slates()[0].lesson_id == "wok-heat"
    assert "火候" in browser.text


# pairings


def test_a_pasted_lesson_is_ranked_with_its_evidence_marked(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio

    browser.open("/pairings").press("Find items", text=TOFU, title="Tofu at home")

    assert browser.status == 200
    assert "What goes with “Tofu at home”" in browser.text
    assert "<mark>" in browser.markup
    assert "Tofu is made from soy beans." in browser.markup
    assert "studio.pair" in actions(parts)


def test_an_allergy_moves_the_ranking_and_is_counted(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    browser.open("/pairings").press("Find items", text=TOFU)
    assert "1. Firm Tofu" in browser.text or "Tofu" in browser.text.split("1.")[1][:60]

    browser.open("/pairings").press("Find items", text=TOFU, allergen=["soybeans"])

    ranked = browser.markup.split('<ol class="ranked">')[1].split("</ol>")[0]
    assert "Firm Tofu" not in ranked
    assert "with a declared allergen" in browser.text
    assert "Firm Tofu — contains the allergen" in browser.text


def test_from_paste_to_pin_to_ban_and_back(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    browser.open("/pairings").press("Find items", text=TOFU, title="Tofu at home")
    assert "Save this text as a lesson first" not in browser.text

    browser.press("Save as a lesson")
    assert "“Tofu at home” is now a lesson." in browser.text
    lesson = next(
        le for le in parts.engines.current().catalogue.lessons if le.title == "Tofu at home"
    )

    browser.press("Pin:")
    rule = parts.store.rules()[0]
    assert (rule.kind, rule.lesson_id) == (RuleKind.PIN, lesson.lesson_id)
    assert "pinned" in browser.text

    browser.press("Unpin:")
    assert parts.store.rules() == []

    browser.press("Ban here:")
    banned = parts.store.rules()[0].item_id
    ranked = browser.markup.split('<ol class="ranked">')[1].split("</ol>")[0]
    assert f"<small>{banned}</small>" not in ranked

    browser.press("Allow again here")
    assert parts.store.rules() == []
    assert {"studio.pin.on", "studio.pin.off", "studio.ban.on", "studio.ban.off"} <= set(
        actions(parts)
    )


def test_saving_the_same_text_twice_makes_one_lesson(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    for _ in range(2):
        browser.open("/pairings").press("Find items", text=TOFU, title="Tofu at home")
        if any("Save as a lesson" in b[2] for f in forms_of(browser.markup) for b in f.buttons):
            browser.press("Save as a lesson")

    titles = [lesson.title for lesson in parts.engines.current().catalogue.lessons]

    assert titles.count("Tofu at home") == 1
    assert "wok-heat" in parts.engines.current().catalogue.lessons_by_id


def test_a_grade_is_stored_for_the_lesson(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio

    browser.open("/pairings?lesson=wok-heat").press("Judge", grade="2")

    judged = parts.store.judgements()[0]
    assert (judged.lesson_id, judged.grade) == ("wok-heat", 2)


def test_a_pin_comes_first_but_never_past_an_allergy() -> None:
    from data.events import CreatorRule

    engine = engine_over(sample_catalogue(), hashing())
    milk = next(i for i in engine.catalogue if i.allergen_state(Allergen.MILK) == "contains")
    rules = [
        CreatorRule(
            lesson_id=LessonId("wok-heat"), item_id=milk.item_id, kind=RuleKind.PIN, at=NOON,
            creator="c",
        )
    ]  # fmt: skip
    ask = Ask().of_lesson(engine.catalogue.lessons_by_id[LessonId("wok-heat")])

    first = preview(engine, ask, rules, at=NOON).rows[0]
    assert (first.item, first.is_pinned) == (milk, True)

    from dataclasses import replace

    allergic = preview(engine, replace(ask, allergens=frozenset({Allergen.MILK})), rules, at=NOON)
    assert milk not in [row.item for row in allergic.rows]


def test_weights_move_the_scores_and_leave_the_engine_alone() -> None:
    engine = engine_over(sample_catalogue(), hashing())
    ask = Ask(text=TOFU)
    before = [row.hit.score for row in preview(engine, ask, (), at=NOON).rows]

    without = preview(
        engine, Ask(text=TOFU, weighting=Weighting(words=0, foods=0, topics=0)), (), at=NOON
    )

    assert [row.hit.score for row in without.rows] != before
    assert [row.hit.score for row in preview(engine, ask, (), at=NOON).rows] == before


def test_the_pieces_of_a_highlighted_text_join_to_the_whole() -> None:
    segments = highlight(TOFU, [(1, "Miso soup needs tofu."), (2, "Tofu is made from soy beans."),
                                (3, "Miso soup needs tofu."), (4, "not there"), (5, "")])  # fmt: skip

    assert "".join(segment.text for segment in segments) == TOFU
    assert {s.text: s.ranks for s in segments if s.ranks} == {
        "Tofu is made from soy beans.": (2,),
        "Miso soup needs tofu.": (1, 3),
    }


def test_a_blind_comparison_names_the_weightings_only_after_the_vote(
    studio: tuple[Browser, StudioParts], tmp_path: Path
) -> None:
    browser, _ = studio
    browser.open("/pairings").press("Compare", text=TOFU, first="words", second="meaning")
    assert "meaning first" not in browser.text
    assert "words first" not in browser.text

    browser.press("Left is better")

    assert "meaning first" in browser.text
    assert "shared words first" in browser.text
    votes = json.loads((tmp_path / "studio" / "comparisons.json").read_text())
    assert votes[0]["winner"] in ("words", "meaning")


def test_an_uploaded_file_becomes_the_text(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio

    browser.open("/pairings").press(
        "Find items", files={"file": ("豆腐.md", f"# 豆腐的一天\n\n{TOFU}".encode())}
    )

    assert "What goes with “豆腐的一天”" in browser.text


def test_a_bad_file_gets_one_clear_line(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio

    browser.open("/pairings").press("Find items", files={"file": ("a.pdf", b"MZ no pdf at all")})

    assert browser.status == 422
    assert "a.pdf is not what its ending says" in browser.text


# golden pairings and coverage


def test_a_golden_pairing_holds_until_an_item_is_banned(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    browser.open("/pairings?lesson=wok-heat").press("Save as golden pairing")
    browser.open("/golden").press("Run all")
    assert "1 of 1 hold." in browser.text

    browser.open("/pairings?lesson=wok-heat").press("Ban here:")
    browser.open("/golden").press("Run all")

    assert "0 of 1 hold." in browser.text
    assert "is no longer found" in browser.text
    assert "studio.golden.run" in actions(parts)


def test_a_golden_pairing_of_silence_breaks_when_something_is_offered() -> None:
    engine = engine_over(sample_catalogue(), hashing())
    row = {"id": "x", "title": "Tofu", "text": TOFU, "expected": []}

    outcome = check(engine, row, (), at=NOON)

    assert [finding.key for finding in outcome.findings] == ["golden.not_silent"]


def test_a_golden_item_that_left_the_catalogue_is_named() -> None:
    engine = engine_over(sample_catalogue(), hashing())
    row = {"id": "x", "title": "Tofu", "text": TOFU, "expected": ["long-gone"]}

    outcome = check(engine, row, (), at=NOON)

    assert ("golden.gone", "long-gone") in [(f.key, f.item_id) for f in outcome.findings]


def test_the_coverage_map_names_silent_lessons_and_unfound_items(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio

    browser.open("/coverage?course=跑者手册")

    lessons = [le for le in parts.engines.current().catalogue.lessons if le.course == "跑者手册"]
    assert len(lessons) > 0
    assert all(lesson.title in browser.text for lesson in lessons)
    assert "Items that no lesson finds" in browser.text


# catalogue


CSV = (
    "item_id,name_en,name_zh,price,allergens,allergens_checked_on\n"
    "plum,Plum,李子,9.90,*=free_from,2026-10-01\n"
    "pear,Pear,梨,cheap,,\n"
    ",,,,,\n"
    '=cmd,"=HYPERLINK(""x"")",,1,,\n'
)


def test_an_import_shows_differences_and_every_bad_row_before_anything_changes(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    before = parts.engines.current().catalogue.version

    browser.open("/catalogue").press("Look what", files={"file": ("items.csv", CSV.encode())})

    assert "455 removed" in browser.text
    assert "More than half of the catalogue would go" in browser.text
    assert "cheap" in browser.text
    assert parts.engines.current().catalogue.version == before

    download = browser.client.get(browser.markup.split('href="/catalogue/problems/')[1].join(
        ["/catalogue/problems/", ""]).split('"')[0])  # fmt: skip
    assert download.content.startswith(b"\xef\xbb\xbf")
    assert "cheap" in download.text


def test_a_catalogue_is_published_and_rolled_back(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    browser.open("/catalogue").press("Look what", files={"file": ("items.csv", CSV.encode())})

    browser.press("Publish")
    assert "The new catalogue is in force." in browser.text
    assert "plum" in parts.engines.current().catalogue.items_by_id

    browser.press("roll back now")
    assert "in force again" in browser.text
    assert len(parts.engines.current().catalogue) == 455
    assert {"studio.catalogue.publish", "studio.catalogue.rollback"} <= set(actions(parts))

    browser.open("/catalogue").press("roll back now")
    assert "plum" in parts.engines.current().catalogue.items_by_id


def test_a_file_without_a_usable_row_cannot_be_published(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio

    browser.open("/catalogue").press(
        "Look what", files={"file": ("items.csv", b"item_id,name_en\n,\n")}
    )

    assert "No row of this file is usable" in browser.text
    with pytest.raises(LookupError):
        browser.find("Publish")


def test_search_finds_by_chinese_and_english_names(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio

    assert "bok-choy-shanghai" in browser.open("/catalogue?q=上海青").text
    assert "bok-choy-shanghai" in browser.open("/catalogue?q=shanghai bok").text
    assert "0 items" in browser.open("/catalogue?q=zzzz").text


# people


def receipt_of(parts: StudioParts, user_key: UserKey) -> str:
    return receipt_for(parts.settings.secret_bytes(), user_key, at=NOON)


def test_support_sees_a_learners_page_by_the_receipt_in_it(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    browser.open("/chat").press("Send", text="/me")
    receipt = re.search(r"receipt ((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})", browser.text)
    assert receipt is not None

    browser.open("/people").press("Show", receipt=receipt[1], reason="ticket 4711")

    assert "What the learner sees" in browser.text
    assert "Nothing about your diet" in browser.text
    assert any("4711" in row[3] for row in parts.store.audits() if row[2] == "studio.person")


def test_nobody_is_looked_up_without_a_reason(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio

    browser.open("/people").press("Show", receipt=receipt_of(parts, ANN), reason=" ")

    assert "Write why you look" in browser.text
    assert actions(parts) == []


@pytest.mark.parametrize("asked", ["ann", "@ann", "12345", "%", ANN, "S" * 16, "AAAA-" * 8])
def test_people_cannot_be_searched_for(studio: tuple[Browser, StudioParts], asked: str) -> None:
    browser, parts = studio

    browser.open("/people").press("Show", receipt=asked, reason="curious")

    assert "That is no receipt" in browser.text
    assert actions(parts) == ["studio.person.unknown"]


def test_an_old_receipt_opens_nothing(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    old = receipt_for(parts.settings.secret_bytes(), ANN, at=NOON - timedelta(days=61))

    browser.open("/people").press("Show", receipt=old, reason="ticket 1")

    assert "it is too old" in browser.text


def test_the_receipt_of_an_erasure_says_that_nothing_is_left(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    erased = parts.store.forget(ANN, at=NOON).receipt_id

    browser.open("/people").press("Show", receipt=erased, reason="ticket 2")

    assert "receipt of an erasure" in browser.text


def test_a_receipt_of_somebody_without_data_says_so(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio

    browser.open("/people").press("Show", receipt=receipt_of(parts, ANN), reason="ticket 3")

    assert "Nothing is stored about this person" in browser.text


# text from outside


def test_script_in_a_product_name_is_inert_on_every_page(tmp_path: Path) -> None:
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    row = {"item_id": 'x"><b>', "name_en": f"Tofu {evil}", "tags": "tofu", "price": "3"}
    file = tmp_path / "evil.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with open_studio(tmp_path / "state", catalogue=file) as (browser, parts):
        parts.interpreter.means("tofu", Intent.RECOMMEND)
        pages = [
            browser.open("/chat").press("Send", text="tofu").markup,
            browser.open("/pairings").press("Find items", text=f"Tofu. {evil}", title=evil).markup,
            browser.open("/catalogue").markup,
            browser.open("/coverage?course=*").markup,
        ]

    for markup in pages:
        assert "<script>alert" not in markup
        assert "<img src=x" not in markup
        assert "&lt;script&gt;" in markup


def test_pages_have_no_inline_script_style_or_handler(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    for path in ("/chat", "/pairings?lesson=wok-heat", "/golden", "/coverage?course=跑者手册",
                 "/catalogue", "/figures", "/people", "/sign-in"):  # fmt: skip
        markup = browser.open(path).markup
        assert browser.status == 200
        assert " style=" not in markup
        assert "<style" not in markup
        assert " onclick=" not in markup
        assert markup.count("<script") == 2  # both with a source
        assert markup.count("<h1") == 1


def test_every_field_of_every_page_has_a_label(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    for path in ("/chat", "/pairings?lesson=wok-heat", "/catalogue", "/people", "/coverage"):
        markup = browser.open(path).markup
        for field in re.findall(r"<(?:input|select|textarea)\b[^>]*>", markup):
            if 'type="hidden"' in field:
                continue
            found = re.search(r'\bid="([^"]+)"', field)
            before = markup[: markup.index(field)]
            is_inside = before.rfind("<label") > before.rfind("</label")
            assert is_inside or (found and f'for="{found[1]}"' in markup), (path, field)


def test_a_card_is_drawn_for_every_item_of_the_catalogue_page(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio

    card = browser.client.get("/cards/broccoli?size=small")

    assert card.content.startswith(b"\x89PNG")
    assert browser.client.get("/cards/unknown").status_code == 404


def test_pinning_what_is_not_in_the_catalogue_is_refused(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio

    browser.open("/pairings?lesson=wok-heat").press("Pin:", item="nothing-like-it")

    assert browser.status == 422
    assert parts.store.rules() == []
