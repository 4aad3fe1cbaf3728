"""Two models or weightings side by side, without names until the vote; and what turning weights moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.studio.rivals import WORDS_ONLY, Rivals
from data.errors import InvalidInput
from data.events import Mode
from index.matches import Query
from tests.bot.studio_world import Browser, StudioParts, open_studio

TOFU = (
    "Tofu is made from soy beans. The beans are soaked, ground and cooked.\nMiso soup needs tofu."
)
NAMES = ("no encoder", "learners get now", "meaning first", "words first")


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(tmp_path) as opened:
        yield opened


def test_a_model_without_encoder_is_compared_blind_with_the_one_in_force(
    studio: tuple[Browser, StudioParts], tmp_path: Path
) -> None:
    browser, _ = studio
    browser.open("/pairings").press("Compare", text=TOFU, first="in_force", second=WORDS_ONLY)
    assert "Which five go better" in browser.text
    assert not any(name in browser.text for name in NAMES)

    browser.press("Right is better")

    assert all(name in browser.text for name in ("no encoder", "learners get now"))
    (vote,) = json.loads((tmp_path / "studio" / "comparisons.json").read_text())
    assert vote["pair"] == sorted(["in_force", WORDS_ONLY])
    assert vote["winner"] in vote["pair"]


def test_evidence_does_not_tell_which_side_has_no_encoder(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio

    browser.open("/pairings").press("Compare", text=TOFU, first="in_force", second=WORDS_ONLY)

    left, right = (part.split("</ol>")[0] for part in browser.markup.split("<ol>")[1:3])
    assert left.count("<blockquote>") == right.count("<blockquote>") == 5


def test_a_repeated_vote_counts_once(studio: tuple[Browser, StudioParts], tmp_path: Path) -> None:
    browser, _ = studio
    browser.open("/pairings").press("Compare", text=TOFU, second="words")
    form, _ = browser.find("No difference")
    for side in ("tie", "left", "left"):
        browser.client.post(form.action, data={**dict(form.fields), "side": side})

    votes = json.loads((tmp_path / "studio" / "comparisons.json").read_text())

    assert len(votes) == 1
    assert votes[0]["winner"] != "tie"


def test_two_of_the_same_kind_are_not_compared(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio

    browser.open("/pairings").press("Compare", text=TOFU, first="words", second="words")

    assert "Choose two different ones" in browser.text


def test_ones_own_weights_can_stand_against_those_in_force(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio

    browser.open("/pairings").press(
        "Compare", text=TOFU, first="own", second="in_force",
        w_meaning="0", w_foods="0", w_topics="0",
    )  # fmt: skip

    left, right = browser.markup.split("<ol>")[1:3]
    assert left.split("</ol>")[0] != right.split("</ol>")[0]


def test_a_rival_is_built_once_and_never_serves(studio: tuple[Browser, StudioParts]) -> None:
    _, parts = studio
    built, engine = Rivals(), parts.engines.current()

    first = built.matcher(WORDS_ONLY, parts, engine)

    assert built.matcher(WORDS_ONLY, parts, engine) is first
    assert first.match(Query(text=TOFU), eligible=None, top_k=3).mode is Mode.LEXICAL
    assert parts.engines.current().matcher is engine.matcher


def test_a_model_that_no_setting_names_is_refused(studio: tuple[Browser, StudioParts]) -> None:
    _, parts = studio

    with pytest.raises(InvalidInput, match="other_model"):
        Rivals().matcher("other_model", parts, parts.engines.current())


def test_another_model_of_the_settings_can_be_chosen(tmp_path: Path) -> None:
    with open_studio(tmp_path, compare_model="some/folder") as (browser, _):
        browser.open("/pairings?lesson=wok-heat")

        assert "the other encoder of the settings" in browser.text


def test_the_page_says_where_each_item_stood_before_the_weights_were_turned(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio
    browser.open("/pairings").press("Find items", text=TOFU)
    assert "was number" not in browser.text

    browser.press("Find items", text=TOFU, w_meaning="0", w_foods="0", w_topics="0")

    assert "was number" in browser.text or "was not among the first 30" in browser.text
