from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bot.learning import (
    evaluate_from_store,
    judge_model,
    open_scorer,
    train_from_store,
)
from bot.person_figures import describe_profile, profile_figures
from bot.settings import Settings
from bot.wiring import Wired, read_catalogue
from data.errors import InvalidInput, ModelError
from data.events import Consent, ConsentKind, Reply, ReplyKind, SlateId, Stage, UserKey
from data.model_registry import ModelRegistry, ModelStatus
from recommender.candidates import CatalogueTable
from recommender.features import Background
from recommender.learned_scorer import LearnedScorer
from recommender.profile import UserProfile
from recommender.recommend import Recommender
from recommender.slate import Request
from tests.recommender.learning_world import ShopMatcher

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
NOW = START + timedelta(days=20)
N_PEOPLE, N_DAYS = 60, 8


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Wired:
    """Sixty people answer for eight days; whatever is cheap they like."""
    wired = Wired(Settings(state=tmp_path_factory.mktemp("state"), _env_file=None))  # type: ignore[call-arg]
    catalogue, _ = read_catalogue(wired.settings)
    matcher = ShopMatcher(catalogue)
    recommender = Recommender(
        table=CatalogueTable(catalogue),
        matcher=matcher,
        scorer=LearnedScorer(background=Background(catalogue, matcher.similarities)),
    )
    rng = np.random.default_rng(1)
    lessons = [lesson for lesson in catalogue.lessons if lesson.audience != "minors"]
    store = wired.store
    with store.transaction():
        for n in range(N_PEOPLE):
            key = UserKey(f"{n:032x}")
            store.record_consent(
                Consent(
                    consent_id=f"c{n}", user_key=key, at=START,
                    kind=ConsentKind.LEARN_FROM_ANSWERS, given=n != 0, language="en",
                    text_version="1",
                )
            )  # fmt: skip
            for day in range(N_DAYS):
                at = START + timedelta(days=day, minutes=n)
                slate = recommender.recommend(
                    UserProfile(user_key=key), Request(lesson=lessons[(n + day) % len(lessons)]),
                    at=at, seed=n * 100 + day, slate_id=SlateId(f"s{n:07d}{day:08d}"),
                )  # fmt: skip
                store.record_slate(slate.record)
                store.record_delivery(slate.record.slate_id, at=at)
                for item in slate.items:
                    price = float(item.price or 0)
                    if rng.random() < (0.75 if price < 12 else 0.15):
                        store.record_reply(
                            Reply(
                                reply_id=f"{slate.record.slate_id}:{item.item_id}",
                                at=at + timedelta(minutes=3), user_key=key, kind=ReplyKind.LIKE,
                                slate_id=slate.record.slate_id, item_id=item.item_id,
                            )
                        )  # fmt: skip
    return wired


def test_a_model_goes_from_training_to_service_and_back(parts: Wired, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")

    row, _ = train_from_store(parts, registry, seed=3, at=NOW)

    assert row.status is ModelStatus.SHADOW
    assert row.n_labelled == (N_PEOPLE - 1) * N_DAYS * 3  # the one without consent is not read
    assert row.metrics["auc"]["low"] > 0.5
    assert "allergens" in (registry.folder / f"{row.version}.md").read_text(encoding="utf-8")
    assert open_scorer(parts, registry, similarities=None).weight == 0.0

    registry.promote(row.version[:6], at=NOW)
    scorer = open_scorer(parts, registry, similarities=None)
    assert scorer.weight == row.n_labelled / (row.n_labelled + 500)

    assert registry.rollback(at=NOW) is None
    assert open_scorer(parts, registry, similarities=None).predictor is None
    with pytest.raises(InvalidInput, match="nothing to roll back"):
        registry.rollback(at=NOW)


def test_the_same_store_and_seed_give_the_same_version(parts: Wired, tmp_path: Path) -> None:
    first, _ = train_from_store(parts, ModelRegistry(tmp_path / "a"), seed=3, at=NOW)
    second, _ = train_from_store(parts, ModelRegistry(tmp_path / "b"), seed=3, at=NOW)

    assert (first.version, first.sha256) == (second.version, second.sha256)


def test_a_counted_safety_violation_closes_the_gate(parts: Wired, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    row, _ = train_from_store(parts, registry, seed=3, at=NOW)
    item_id = read_catalogue(parts.settings)[0].items[0].item_id
    parts.store.count_safety_violation(at=NOW, where="test", item_id=item_id)

    verdict = judge_model(parts, registry, row, at=NOW)

    assert any("safety" in reason for reason in verdict.reasons)


def test_a_model_file_that_was_changed_is_refused(parts: Wired, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    row, _ = train_from_store(parts, registry, seed=3, at=NOW)
    (registry.folder / row.file).write_bytes(b"something else")

    with pytest.raises(ModelError, match="changed after"):
        registry.content(row)


def test_rollback_returns_to_the_model_before(tmp_path: Path, parts: Wired) -> None:
    registry = ModelRegistry(tmp_path / "models")
    row, _ = train_from_store(parts, registry, seed=3, at=NOW)
    content = registry.content(row)
    registry.add(replace(row, version="other", file="other.skops"), {"other.skops": content})
    registry.promote(row.version, at=NOW)
    registry.promote("other", at=NOW)

    back = registry.rollback(at=NOW)

    assert back is not None
    assert back.version == row.version
    assert {r.version: r.status for r in registry.rows()}["other"] is ModelStatus.RETIRED
    assert not registry.add(row, {})


def test_our_own_slates_can_be_evaluated(parts: Wired, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")

    found = evaluate_from_store(parts, registry, "logged", at=NOW, rng=np.random.default_rng(0))

    assert set(found) == {
        "ips-per-position", "snips-per-position", "ips-cascade", "dr-per-position",
    }  # fmt: skip
    with pytest.raises(InvalidInput):
        evaluate_from_store(parts, registry, "ghost", at=NOW, rng=np.random.default_rng(0))


def test_a_profile_is_told_in_both_languages(parts: Wired) -> None:
    figures = profile_figures(parts, UserKey(f"{1:032x}"), at=NOW)
    nobody = profile_figures(parts, UserKey("f" * 32), at=NOW)

    assert figures["n_shown"] == N_DAYS * 3
    assert any("Likes" in line for line in describe_profile(figures, language="en"))
    assert any("喜欢" in line for line in describe_profile(figures, language="zh"))
    assert describe_profile(nobody, language="en") == ["Nothing is stored about this person."]


def test_slates_made_before_any_model_say_so(parts: Wired) -> None:
    assert {slate.stage for slate in parts.store.slates()} == {Stage.MATCH_ONLY}
