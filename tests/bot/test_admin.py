"""What admins do in the chat: figures, models, exports; asked once more, written down, refused to others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from bot.admin import COMMANDS
from bot.admin_export import csv_of
from bot.admin_office import AdminOffice, Reloaded
from bot.admin_picture import picture_of
from bot.conversation import Conversation
from bot.glyphs import missing_glyphs
from bot.learning import TooLittleToLearn, WhatIf
from bot.messages import Document, Picture
from bot.overview import Board, State, overview
from bot.settings import Settings
from bot.wording import Words, sentences
from data.catalogue import ItemId
from data.engagement import Measure
from data.events import Placement, Reply, ReplyKind, SlateId, SlateRecord, UserKey
from data.memory_store import InMemoryEventStore
from data.model_registry import ModelRegistry, ModelRow, ModelStatus
from data.vocabulary import Language
from recommender.evaluation import Estimate
from recommender.promotion import Gate, Reason
from recommender.trust import Trust, Verdict
from tests.bot.studio_world import StudioParts
from tests.browser.history import invent
from tests.fakes import NOON, Person, build_conversation, build_services, sample_catalogue

OLD, NEW = "aaaa11112222", "bbbb33334444"
ITEM, LESSON = sample_catalogue().items[0], sample_catalogue().lessons[0]


@dataclass(kw_only=True)
class ScriptedOffice(AdminOffice):
    """An office over a folder of models whose slow parts answer what is written down."""

    folder: Path
    reasons: tuple[Reason, ...] = ()
    judged: list[str] = field(default_factory=list)
    found: WhatIf | None = None
    n_labelled: int = 0
    """More than 0: training fails with so many rows."""
    n_reloads: int = 0

    @cached_property
    def registry(self) -> ModelRegistry | None:
        return ModelRegistry(self.folder)

    def train(self, *, at: datetime) -> tuple[ModelRow, Gate]:
        if self.n_labelled:
            raise TooLittleToLearn(self.n_labelled, 3)
        row = model(NEW, at=at)
        assert self.registry is not None
        self.registry.add(row, {row.file: b"model"})
        return row, Gate(reasons=self.reasons)

    def judge(self, version: str, *, at: datetime) -> Gate:
        self.judged.append(version)
        return Gate(reasons=self.reasons)

    def what_if(self, policy: str, *, at: datetime) -> WhatIf | None:
        return self.found

    def reload(self) -> Reloaded:
        self.n_reloads += 1
        return Reloaded(n_items=7, n_lessons=2, n_problems=1, index="new-index")


def model(version: str, *, at: datetime = NOON) -> ModelRow:
    return ModelRow(
        version=version, created_at=at.isoformat(), file=f"{version}.skops", sha256="0",
        n_labelled=900, metrics={"auc": {"value": 0.71}, "calibration_error": 0.031},
    )  # fmt: skip


@pytest.fixture
def store() -> Iterator[InMemoryEventStore]:
    opened = InMemoryEventStore()
    yield opened
    opened.close()


@pytest.fixture
def office(tmp_path: Path) -> ScriptedOffice:
    return ScriptedOffice(folder=tmp_path / "models")


@pytest.fixture
def root(store: InMemoryEventStore, office: ScriptedOffice) -> Person:
    """An admin; a model serves and another one waits in shadow."""
    assert office.registry is not None
    for version, days in ((OLD, 9), (NEW, 1)):
        row = model(version, at=NOON - timedelta(days=days))
        office.registry.add(row, {row.file: b"model"})
    office.registry.promote(OLD, at=NOON - timedelta(days=8))
    services = build_services(admins=[1], creators=[2], store=store, office=office)
    return Person(Conversation(services), numeric_id=1, name="root")


def serving(office: ScriptedOffice) -> str:
    assert office.registry is not None
    active = office.registry.active()
    return active.version if active else ""


def finished(person: Person, office: ScriptedOffice) -> str:
    """Wait for the job under way and look at its result, as people of this channel must."""
    assert office.jobs.wait(60)
    person.presses("Show the result" if person.language == "en" else "查看结果")
    return person.text


def acts(store: InMemoryEventStore) -> list[str]:
    return [action for _, _, action, _ in store.audits()]


# figures


@pytest.mark.parametrize("language", ["en", "zh"])
def test_figures_come_in_words_and_as_a_picture(
    root: Person, store: InMemoryEventStore, language: str
) -> None:
    invent(store, sample_catalogue(), until=NOON, n_slates=300, seed=3)
    root.language = language

    root.command("/stats all")

    words = Words(Language(language))
    for name in (
        "like_rate", "satisfaction", "clicked", "bought", "returned", "coverage",
        "exposure_gini", "similarity",
    ):  # fmt: skip
        assert words(f"stats.{name}") in root.text
    assert root.text.count("95 %") >= 7
    reply = root.replies[0]
    assert isinstance(reply.picture, Picture)
    with Image.open(io.BytesIO(reply.picture.content)) as picture:
        assert picture.width > 800
    assert len(reply.picture.content) < 60_000
    assert words("period.all") in reply.picture.alternative
    assert reply.is_private
    assert acts(store) == ["stats"]


def test_a_safety_violation_stands_on_top_and_loud(
    root: Person, store: InMemoryEventStore
) -> None:
    root.command("/stats 7d")
    calm = root.text
    store.count_safety_violation(at=NOON, where="send", item_id=ITEM.item_id)
    root.command("/stats 7d")

    assert "Safety violations stopped: 0" in calm
    assert root.text.splitlines()[1].startswith("⛔ SAFETY: 1")
    loud = [span.text for span in root.replies[0].spans if span.is_bold]
    assert any("SAFETY" in text for text in loud)


def test_figures_of_a_lesson_name_it_and_leave_out_what_it_has_not(
    root: Person, store: InMemoryEventStore
) -> None:
    root.command(f"/stats all lesson {LESSON.lesson_id}")

    assert LESSON.title in root.text
    assert "week after" not in root.text
    assert "Learned model" not in root.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/stats 5d", "“5d” is not understood"),
        ("/stats 7d lesson", "“lesson” is not understood"),
        ("/stats lesson nothing-of-the-kind", "nothing-of-the-kind"),
        ("/stats all item <b>x</b>", "no item"),
        ("/export secrets", "“secrets” is not understood"),
        ("/export 5d", "“5d” is not understood"),
        ("/whatif everything", "uniform"),
        ("/whatif", "uniform"),
        ("/promote ffff", "“ffff” names no model"),
        ("/promote", "names no model"),
        (f"/promote {OLD}", "serves already"),
    ],
)
def test_what_is_not_understood_gets_one_clear_line(
    root: Person, office: ScriptedOffice, line: str, said: str
) -> None:
    root.command(line)

    assert said in root.text
    assert len(root.text.splitlines()) <= 2
    assert office.jobs.under_way() is None


def test_few_people_are_told_as_few(root: Person, store: InMemoryEventStore) -> None:
    serve(store, 1, ITEM.item_id)

    root.command("/stats all")

    assert "People <5" in root.text
    assert "Like rate: told from 5 people on" in root.text
    assert "Bought: told from 5 people on" in root.text


def test_the_calibration_of_the_model_in_force_is_told(
    root: Person, store: InMemoryEventStore
) -> None:
    root.command("/stats all")

    # The file of the scripted model is none, which an admin must see.
    assert "Learned model: " in root.text
    assert "zhiwei train" in root.text


# strangers


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("who", [None, 2], ids=["a stranger", "a creator"])
def test_whoever_is_no_admin_is_refused_and_told_nothing(
    root: Person, store: InMemoryEventStore, office: ScriptedOffice, name: str, who: int | None
) -> None:
    eve = Person(root.conversation, numeric_id=who, name="eve")

    eve.command(f"/{name} {NEW}")

    assert eve.text == Words(Language.EN)("admin.refused")
    assert eve.labels == []
    assert acts(store) == []
    assert serving(office) == OLD


def test_somebody_who_is_no_admin_any_more_cannot_press_an_old_button(
    root: Person, office: ScriptedOffice
) -> None:
    root.command("/rollback")
    payload = root.button("Yes, go back").payload
    root.numeric_id = None

    root.presses_payload(payload)

    assert serving(office) == OLD
    assert "back" not in root.text.lower()


# models


def test_models_are_listed_with_what_serves_and_what_may_be_done(root: Person) -> None:
    root.command("/models")

    assert f"{OLD} · serves" in root.text
    assert f"{NEW} · in shadow" in root.text
    assert "AUC 0.710" in root.text
    assert root.labels == [f"Promote {NEW} …", "Roll back …"]


def test_a_model_serves_after_the_question_and_the_gate(
    root: Person, store: InMemoryEventStore, office: ScriptedOffice
) -> None:
    root.command(f"/promote {NEW[:4]}")
    assert OLD in root.text
    assert serving(office) == OLD

    root.presses("Yes, let it serve")
    told = finished(root, office)

    assert told == f"Model {NEW} serves now. Back with /rollback."
    assert serving(office) == NEW
    assert office.judged == [NEW]
    assert {"promote", "promote confirmed", "promoted"} <= set(acts(store))


def test_the_gate_refuses_with_its_reasons_in_the_readers_language(
    root: Person, store: InMemoryEventStore, office: ScriptedOffice
) -> None:
    office.reasons = (
        Reason("calibration", "its calibration error ...", error=0.0876, most=0.05),
        Reason("unjudged", "the log cannot ...", verdict=verdict(Trust.REFUSED)),
    )
    root.language = "zh"

    root.command(f"/promote {NEW}")
    root.presses("确认启用")
    told = finished(root, office)

    assert "它的校准误差为 0.088；最多允许 0.050。" in told
    assert "红灯" in told
    assert serving(office) == OLD
    assert "promote refused" in acts(store)


def test_pressing_twice_acts_once(
    root: Person, store: InMemoryEventStore, office: ScriptedOffice
) -> None:
    assert office.registry is not None
    office.registry.promote(NEW, at=NOON)
    root.command("/rollback")
    payload = root.button("Yes, go back").payload

    root.presses_payload(payload)
    first = root.text
    root.presses_payload(payload)

    assert "out of service" in first
    assert "settled" in root.text
    assert serving(office) == OLD
    assert acts(store).count("rolled back") == 1


def test_a_question_is_over_after_ten_minutes(root: Person, office: ScriptedOffice) -> None:
    root.command("/rollback")
    root.clock.advance(minutes=11)

    root.presses("Yes, go back")

    assert "older than ten minutes" in root.text
    assert serving(office) == OLD


def test_leaving_it_closes_the_question(root: Person, office: ScriptedOffice) -> None:
    root.command("/rollback")
    yes = root.button("Yes, go back").payload
    root.presses("Leave it as it is")
    assert "Nothing was changed" in root.text

    root.presses_payload(yes)

    assert serving(office) == OLD


def test_a_question_about_what_no_longer_serves_changes_nothing(
    root: Person, office: ScriptedOffice
) -> None:
    assert office.registry is not None
    root.command("/rollback")
    office.registry.promote(NEW, at=NOON)

    root.presses("Yes, go back")

    assert "Something else serves" in root.text
    assert serving(office) == NEW


def test_a_training_tells_what_it_gave_and_leads_on(root: Person, office: ScriptedOffice) -> None:
    root.command("/train")
    assert "Begun: the training" in root.text

    told = finished(root, office)

    assert f"Model {NEW}" in told
    assert "It may serve" in told
    root.presses(f"Promote {NEW}")
    assert "serve everybody" in root.text


def test_too_little_to_learn_from_is_said_with_what_is_needed(
    root: Person, office: ScriptedOffice
) -> None:
    office.n_labelled = 44
    root.language = "zh"

    root.command("/train")

    assert "44 次" in finished(root, office)


def test_reading_anew_asks_first(
    root: Person, store: InMemoryEventStore, office: ScriptedOffice
) -> None:
    root.command("/reload")
    assert office.n_reloads == 0
    assert f"{len(sample_catalogue())} items" in root.text

    root.presses("Yes, read anew")
    told = finished(root, office)

    assert "7 items, 2 lessons, 1 problems, index new-index" in told
    assert office.n_reloads == 1
    assert "reloaded" in acts(store)


def test_where_nothing_is_deployed_models_say_so() -> None:
    root = Person(build_conversation(admins=[1]), numeric_id=1)

    for line in ("/models", "/train", "/promote x", "/rollback", "/whatif uniform", "/reload"):
        root.command(line)
        assert "no models" in root.text


def test_with_a_deployment_the_whole_way_is_gone_for_real(tmp_path: Path) -> None:
    parts = StudioParts(Settings(state=tmp_path / "state", _env_file=None))  # type: ignore[call-arg]
    office = AdminOffice(parts=parts)
    services = build_services(
        admins=[1], store=parts.store, engine=parts.engines.current, office=office
    )
    root = Person(Conversation(services), numeric_id=1, name="root")
    before = parts.engines.current().matcher.version

    told: dict[str, str] = {}
    for line in ("/train", "/whatif uniform"):
        root.command(line)
        assert office.jobs.wait(120)
        root.presses("Show the result")
        told[line] = root.text
    root.command("/models")
    told["/models"] = root.text
    root.command("/reload")
    root.presses("Yes, read anew")
    assert office.jobs.wait(120)
    root.presses("Show the result")
    told["/reload"] = root.text

    assert "0 labelled impressions with 0 likes" in told["/train"]
    assert "nothing can be estimated yet" in told["/whatif uniform"]
    assert "No model yet" in told["/models"]
    assert f"{len(sample_catalogue())} items" in told["/reload"]
    after = parts.engines.current().matcher.version
    assert after != before
    assert after in told["/reload"]
    parts.store.close()


# what if


def verdict(trust: Trust, *, wrong: bool = False) -> Verdict:
    return Verdict(
        trust=trust, effective_n=150.0, n=900, mean_weight=1.2, mean_weight_error=0.02,
        n_more=300, propensities_look_wrong=wrong,
    )  # fmt: skip


def estimate(method: str, value: float, judged: Verdict | None) -> Estimate:
    return Estimate(
        method=method, value=value, low=value - 0.02, high=value + 0.03, standard_error=0.01,
        n=900, effective_n=150.0, verdict=judged,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("judged", "light", "said"),
    [
        (verdict(Trust.GREEN), "🟢", "weigh as much as 150"),
        (verdict(Trust.AMBER), "🟡", "read the interval"),
        (verdict(Trust.REFUSED), "🔴", "about 300 more"),
        (verdict(Trust.REFUSED, wrong=True), "🔴", "mean weight is 1.200"),
    ],
    ids=["green", "amber", "refused", "wrong propensities"],
)
def test_what_if_has_a_light_and_its_reason(
    root: Person, office: ScriptedOffice, judged: Verdict, light: str, said: str
) -> None:
    office.found = WhatIf(
        policy="uniform", n_slates=300, served=Measure(0.2, 0.18, 0.22, 900),
        estimate=estimate("snips-per-position", 0.25, judged),
        others=(estimate("ips-cascade", 0.24, verdict(Trust.AMBER)),),
    )  # fmt: skip

    root.command("/whatif uniform")
    told = finished(root, office)

    assert light in told
    assert said in told
    assert ("25.0%" in told) is (judged.trust is not Trust.REFUSED)
    assert "What was served 20.0%" in told
    assert "IPS cascade: 24.0%" in told


def test_what_if_without_a_log_says_so(root: Person, office: ScriptedOffice) -> None:
    root.command("/whatif match-only")

    assert "nothing can be estimated yet" in finished(root, office)


# exports


def serve(
    store: InMemoryEventStore, user: int, item_id: str, *, kind: ReplyKind | None = None
) -> None:
    slate_id, at = SlateId(f"slate-{user:010d}"), NOON - timedelta(days=2)
    store.record_slate(
        SlateRecord(
            slate_id=slate_id, at=at, user_key=UserKey(f"{user:032x}"), policy="p",
            policy_version="1",
            placements=(
                Placement(
                    item_id=ItemId(item_id), position=0, propensity=0.5, marginal_propensity=0.5
                ),
            ),
        )
    )  # fmt: skip
    store.record_delivery(slate_id, at=at)
    if kind is not None:
        store.record_reply(
            Reply(reply_id=f"{slate_id}:{kind}", at=at + timedelta(minutes=1), slate_id=slate_id,
                  user_key=UserKey(f"{user:032x}"), kind=kind, item_id=ItemId(item_id))
        )  # fmt: skip


def read(document: Document | None) -> list[dict[str, str]]:
    assert document is not None
    return list(csv.DictReader(io.StringIO(document.content.decode("utf-8-sig"))))


def test_an_export_tells_nothing_about_fewer_than_five_people(
    root: Person, store: InMemoryEventStore
) -> None:
    for user in range(9):
        serve(store, user, "known", kind=ReplyKind.LIKE if user < 5 else None)
    for user in range(20, 24):
        serve(store, user, "rare")
    serve(store, 30, "known", kind=ReplyKind.PURCHASE)

    root.command("/export all items")

    rows = read(root.replies[0].document)
    assert [row["items"] for row in rows] == ["known"]
    assert rows[0]["shown"] == "10"
    assert rows[0]["liked"] == "6"
    assert rows[0]["bought"] == "<5"
    assert acts(store)[0] == "export"


def test_a_cell_of_an_export_is_no_formula(root: Person, store: InMemoryEventStore) -> None:
    for user in range(6):
        serve(store, user, '=HYPERLINK("http://evil")')

    root.command("/export all items")

    rows = read(root.replies[0].document)
    assert rows[0]["items"] == '\'=HYPERLINK("http://evil")'
    assert csv_of(pd.DataFrame({"value": [0.5]}, index=["＝1+1"]), "x").decode("utf-8-sig") == (
        "x,value\r\n'＝1+1,0.5\r\n"
    )


def test_items_of_an_export_have_their_names_which_are_no_formulas_either(
    root: Person, store: InMemoryEventStore
) -> None:
    for user in range(6):
        serve(store, user, ITEM.item_id)
    root.language = "zh"

    root.command("/export all items")

    rows = read(root.replies[0].document)
    assert (rows[0]["items"], rows[0]["name"]) == (ITEM.item_id, ITEM.name_zh)
    frame = pd.DataFrame({"shown": [9]}, index=["a"])
    assert b"a,'=1+1,9" in csv_of(frame, "items", names={"a": "=1+1"})


@pytest.mark.parametrize(
    "table", ["days", "funnel", "retention", "returning", "items", "lessons", "policies"]
)
def test_every_table_can_be_exported_even_when_nothing_happened(root: Person, table: str) -> None:
    root.command(f"/export {table}")

    document = root.replies[0].document
    assert document is not None
    assert table in document.file_name
    assert document.content.decode("utf-8-sig").startswith(f"{table},")


# the picture


def test_the_font_has_every_character_of_the_picture() -> None:
    shown = "".join(
        str(message.string)
        for language in Language
        for message in sentences(language)
        if str(message.id).startswith(("plot.", "period.", "stats.heading", "stats.about"))
        or str(message.id) in {f"stats.{n}" for n in (
            "like_rate", "satisfaction", "clicked", "bought", "returned", "coverage")}
    )  # fmt: skip

    assert len(shown) > 150
    assert missing_glyphs(shown) == frozenset()


def test_the_picture_changes_with_the_language_and_with_an_alarm(
    store: InMemoryEventStore,
) -> None:
    invent(store, sample_catalogue(), until=NOON, n_slates=200, seed=4)
    state = State.of(build_services().engine())
    found = overview(Board(), store, state, "all", at=NOON)

    zh, en = (picture_of(Words(language), found, "x") for language in Language)
    alarm = picture_of(Words(Language.ZH), replace(found, safety_violations=2), "x")

    assert zh != en
    assert _reds(zh) == 0
    assert _reds(alarm) > 50


def _reds(content: bytes) -> int:
    with Image.open(io.BytesIO(content)) as picture:
        pixels = picture.convert("RGB").getcolors(1 << 22) or []
    return sum(n for n, (r, g, b) in pixels if r > 130 and g < 60 and b < 80)  # type: ignore[misc]


def test_the_status_of_every_model_has_a_word() -> None:
    for language in Language:
        for status in ModelStatus:
            assert Words(language)(f"models.{status}")
