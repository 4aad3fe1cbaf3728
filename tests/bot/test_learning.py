from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bot.learning import (
    MIN_CROWD,
    TooLittleToLearn,
    active_predictor,
    calibration_in_force,
    evaluate_from_store,
    judge_model,
    open_scorer,
    train_from_store,
    what_if,
)
from bot.overview import Board
from bot.person_figures import describe_profile, profile_figures
from bot.settings import Settings
from bot.wiring import Wired, read_catalogue
from data.errors import InvalidInput, ModelError
from data.events import Consent, ConsentKind, Reply, ReplyKind, Stage, UserKey
from data.model_registry import ModelRegistry, ModelStatus
from recommender.crowd import CrowdTaste
from tests.bot.learned_world import N_DAYS, N_PEOPLE, NOW, START, write_history


def opened(state: Path) -> Wired:
    # The settings' library takes _env_file besides the fields, which mypy does not know.
    return Wired(Settings(state=state, _env_file=None))  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Wired:
    wired = opened(tmp_path_factory.mktemp("state"))
    write_history(wired)
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


def consent(user: str, *, given: bool) -> Consent:
    return Consent(
        consent_id=f"{user}:{given}:again", user_key=UserKey(user), at=NOW,
        kind=ConsentKind.LEARN_FROM_ANSWERS, given=given, language="en", text_version="1",
    )  # fmt: skip


def test_the_crowd_is_read_from_those_who_agreed_and_from_nobody_else(tmp_path: Path) -> None:
    wired = opened(tmp_path / "state")
    write_history(wired, n_days=2)
    registry = ModelRegistry(tmp_path / "models")
    silent, talker = f"{0:032x}", f"{1:032x}"  # the first agreed to nothing

    def crowd_after_dislikes(user: str) -> CrowdTaste | None:
        for impression in wired.store.impressions(user_key=UserKey(user)):
            wired.store.record_reply(
                Reply(
                    reply_id=f"{user}:{impression.slate_id}:{impression.item_id}", at=NOW,
                    user_key=UserKey(user), kind=ReplyKind.DISLIKE,
                    slate_id=impression.slate_id, item_id=impression.item_id,
                )
            )  # fmt: skip
        return open_scorer(wired, registry, similarities=None).background.transfer

    before = open_scorer(wired, registry, similarities=None).background.transfer
    unheard, heard = crowd_after_dislikes(silent), crowd_after_dislikes(talker)
    for n in range(1, 1 + N_PEOPLE - MIN_CROWD):
        wired.store.record_consent(consent(f"{n:032x}", given=False))

    assert before is not None
    assert unheard is not None
    assert heard is not None
    assert (before.dislike_rates == unheard.dislike_rates).all()
    assert heard.dislike_rates.mean() > unheard.dislike_rates.mean()
    # Of 60 people 49 are left, too few to tell kinds.
    assert open_scorer(wired, registry, similarities=None).background.transfer is None


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


def test_a_policy_is_compared_with_what_was_served(parts: Wired, tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")

    found = what_if(parts, registry, "uniform", at=NOW)

    assert found is not None
    assert found.n_slates == (N_PEOPLE - 1) * N_DAYS
    assert found.estimate.method == "snips-per-position"
    assert {other.method for other in found.others} == {
        "ips-per-position", "ips-cascade", "dr-per-position",
    }  # fmt: skip
    assert found.served.value is not None
    assert found.served.n == found.n_slates * 3
    assert what_if(parts, registry, "uniform", at=START) is None


def test_the_model_in_force_is_judged_by_what_it_served(tmp_path: Path) -> None:
    wired = opened(tmp_path / "state")
    write_history(wired)
    registry = ModelRegistry(tmp_path / "models")
    row, _ = train_from_store(wired, registry, seed=3, at=NOW)
    board, later = Board(), NOW + timedelta(days=12)
    before = calibration_in_force(
        wired.store, registry, board.frames(wired.store, "all", at=NOW)[0], at=NOW
    )
    registry.promote(row.version, at=NOW)
    predictor, n_labelled = active_predictor(registry)
    write_history(wired, predictor=predictor, n_labelled=n_labelled, start=NOW, n_days=2)

    frames, _ = Board().frames(wired.store, "all", at=later)
    found = calibration_in_force(wired.store, registry, frames, at=later)
    too_early = calibration_in_force(wired.store, registry, frames, at=NOW + timedelta(hours=1))

    assert before is None
    assert found is not None
    # The one who agreed to nothing is left out.
    assert found.n_users == N_PEOPLE - 1
    assert found.n == (N_PEOPLE - 1) * 2 * 3
    assert found.gap.low is not None
    assert too_early is None
    (registry.folder / row.file).write_bytes(b"broken")
    with pytest.raises(ModelError):
        calibration_in_force(wired.store, registry, frames, at=later)


def test_too_little_to_learn_from_says_how_much_there_is(tmp_path: Path) -> None:
    wired = opened(tmp_path / "state")

    with pytest.raises(TooLittleToLearn, match="needs at least 500 and 50") as caught:
        train_from_store(wired, ModelRegistry(tmp_path / "models"), seed=0, at=NOW)

    assert (caught.value.n_labelled, caught.value.n_liked) == (0, 0)
    wired.store.close()
