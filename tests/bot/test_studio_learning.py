"""The page of what was learned: right tables, words instead of plots without data, and plots in Chinese."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bot.learning_plots import curve_plot, interval_plot, reliability_plot
from bot.plots import Look
from bot.studio.learning_figures import (
    interval_table,
    learning_curve,
    policy_row,
    reliability_table,
)
from bot.studio.learning_work import FILE, Work, worked_out
from bot.studio.state_files import StateFile
from data.errors import InvalidInput
from data.events import Consent, ConsentKind, Reply, ReplyKind, SlateId, UserKey
from data.model_registry import ModelRegistry, ModelRow
from recommender.candidates import CatalogueTable
from recommender.evaluation import Estimate
from recommender.features import Background
from recommender.learned_scorer import LearnedScorer
from recommender.profile import UserProfile
from recommender.recommend import Recommender
from recommender.slate import Request
from recommender.trust import Trust, Verdict
from tests.bot.studio_world import TOKEN, Browser, StudioParts, open_studio
from tests.fakes import NOON
from tests.recommender.learning_world import ShopMatcher, a_log

BINS = [
    {"predicted": 0.1, "observed": 0.05, "n": 40},
    {"predicted": 0.3, "observed": 0.35, "n": 40},
]
METRICS = {
    "n_users": 30, "reliability": BINS, "auc": {"value": 0.71, "low": 0.66, "high": 0.76, "n": 80},
    "calibration_error": 0.03, "brier": 0.12,
}  # fmt: skip


def a_model(version: str = "abc123", **metrics: object) -> ModelRow:
    return ModelRow(
        version=version, created_at=NOON.isoformat(), file=f"{version}.skops", sha256="0" * 64,
        n_labelled=800, metrics={**METRICS, **metrics},
    )  # fmt: skip


def an_estimate(method: str, trust: Trust) -> Estimate:
    is_refused = trust is Trust.REFUSED
    value = float("nan") if is_refused else 0.25
    return Estimate(
        method=method, value=value, low=value - 0.05, high=value + 0.05, standard_error=0.02,
        n=900, effective_n=150.0,
        verdict=Verdict(
            trust=trust, effective_n=150.0, n=900, mean_weight=1.0, mean_weight_error=0.1,
            n_more=300 if is_refused else 0, propensities_look_wrong=False,
        ),
    )  # fmt: skip


# tables


def test_a_reliability_point_has_the_interval_of_its_count() -> None:
    table = reliability_table(a_model())

    assert table["value"].tolist() == [0.05, 0.35]
    # Wilson's interval of 2 in 40.
    assert table.loc[1, "low"] == pytest.approx(0.01383, abs=1e-4)
    assert table.loc[1, "high"] == pytest.approx(0.16502, abs=1e-4)


@pytest.mark.parametrize(("n_users", "n_points"), [(4, 0), (5, 2)])
def test_reliability_of_fewer_than_five_people_is_not_told(n_users: int, n_points: int) -> None:
    assert len(reliability_table(a_model(n_users=n_users))) == n_points


def test_the_learning_curve_is_of_growing_parts_judged_on_the_same_answers() -> None:
    points = learning_curve(a_log(2_000, strength=2.5), seed=1)

    counts = [point["n"] for point in points]
    assert len(points) >= 3
    assert counts == sorted(counts)
    assert all(p["low"] < p["value"] < p["high"] for p in points)
    # The likes of this world follow a feature, which the whole log surely shows.
    assert points[-1]["low"] > 0.5


def test_a_short_log_has_no_learning_curve() -> None:
    with pytest.raises(InvalidInput, match="labelled impressions"):
        learning_curve(a_log(60), seed=1)


def test_a_refused_estimate_has_no_number_and_says_how_many_are_missing() -> None:
    estimates = {
        name: an_estimate(name, Trust.REFUSED)
        for name in ("snips-per-position", "dr-per-position")
    }

    few = policy_row("popular", estimates, n_slates=500)
    many = policy_row("popular", estimates, n_slates=2_000)

    assert (few["value"], few["trust"], few["n_more"]) == (None, "refused", 300)
    assert (few["method"], many["method"]) == ("snips-per-position", "dr-per-position")
    assert np.isnan(interval_table([few], "policy").loc["popular", "value"])


# plots


def test_every_plot_is_drawn_in_chinese_without_a_missing_glyph() -> None:
    frame = pd.DataFrame(
        {"predicted": [0.1, 0.3], "value": [0.1, np.nan], "low": [0.05, np.nan],
         "high": [0.2, np.nan]},
        index=[1.0, 2.0],
    )  # fmt: skip
    look = Look(title="预测是否应验", x_label="预测的喜欢率", y_label="实际的喜欢率")

    drawn = (
        reliability_plot(frame, look),
        curve_plot(frame, look, chance=0.5),
        interval_plot(frame.set_axis(["热门优先", "随机选择"], axis=0), look, reference=0.1),
    )

    assert all(picture.startswith(b"\x89PNG") and len(picture) > 5_000 for picture in drawn)


# the page


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(tmp_path) as opened:
        yield opened


def registered(parts: StudioParts, *rows: ModelRow) -> None:
    for row in rows:
        ModelRegistry(parts.settings.state / "models").add(row, {})


def kept(parts: StudioParts) -> None:
    rows = [
        policy_row("logged", {"snips": an_estimate("snips", Trust.AMBER)}, n_slates=10),
        policy_row("uniform", {"snips": an_estimate("snips", Trust.REFUSED)}, n_slates=10),
    ]
    curve = [{"n": 600.0, "value": 0.6, "low": 0.55, "high": 0.65}]
    record = {
        "at": NOON.isoformat(), "n_slates": 300, "observed": 0.2, "curve": curve,
        "curve_problem": "", "policies": rows,
    }  # fmt: skip
    StateFile(parts.settings.state, FILE).change(lambda _: [record])


def test_without_a_model_the_page_says_so_with_the_command(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio

    browser.open("/figures").open("/figures/learning")

    assert browser.status == 200
    assert "There is no model yet" in browser.text
    assert "zhiwei train" in browser.text
    assert browser.client.get("/figures/learning/reliability.png").status_code == 404
    assert browser.client.get("/figures/learning/comparison.png").status_code == 404


def test_models_and_the_reliability_of_the_chosen_one_are_shown(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    registered(parts, a_model("first"), a_model("second", reliability=BINS[:1]))

    browser.open("/figures/learning?model=first")

    assert "0.710" in browser.text
    assert "in shadow" in browser.text
    picture = browser.client.get("/figures/learning/reliability.png?model=first")
    assert picture.content.startswith(b"\x89PNG")
    table = browser.client.get("/figures/learning/reliability.csv?model=first")
    rows = list(csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [row[2] for row in rows] == ["Observed", "0.05", "0.35"]


def test_what_was_worked_out_is_shown_with_its_date_plots_and_tables(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio
    kept(parts)

    browser.open("/figures/learning")

    assert "Worked out on" in browser.text
    assert "As it was".casefold() in browser.text.casefold()
    assert "About 300 more are needed." in browser.text
    for name in ("curve", "comparison"):
        assert browser.client.get(f"/figures/learning/{name}.png").content.startswith(b"\x89PNG")
        table = browser.client.get(f"/figures/learning/{name}.csv").content.decode("utf-8-sig")
        assert len(table.splitlines()) >= 2
    assert browser.client.get("/figures/learning/evil.csv").status_code == 404


def test_working_out_without_enough_people_ends_with_a_word(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio

    work = Work()
    assert work.start(parts, at=NOON)
    work.wait(60)

    assert "figures need at least 5" in str(work.problem)
    browser.open("/figures/learning").press("Work out now")
    assert browser.status == 200
    assert "studio.figures.learning.work" in [row[2] for row in parts.store.audits()]


def test_from_answers_to_a_comparison_of_policies(studio: tuple[Browser, StudioParts]) -> None:
    _, parts = studio
    people_answer(parts, n_people=40, n_days=3)

    record = worked_out(parts, at=NOON + timedelta(days=30))

    assert record["n_slates"] == 120
    policies = record["policies"]
    assert isinstance(policies, list)
    assert [row["policy"] for row in policies] == ["logged", "match-only", "popular", "uniform"]
    assert 0 < float(str(record["observed"])) < 1
    assert "labelled impressions" in str(record["curve_problem"])


def test_a_stranger_sees_nothing_of_what_was_learned(tmp_path: Path) -> None:
    with open_studio(tmp_path, public=True, telegram_token=TOKEN, admins=frozenset({1})) as (
        browser,
        _,
    ):
        for path in ("", "/reliability.png", "/models.csv"):
            assert browser.client.get(f"/figures/learning{path}").status_code == 403
        assert browser.client.post("/figures/learning/work").status_code == 403


def people_answer(parts: StudioParts, *, n_people: int, n_days: int) -> None:
    """People who agreed to learning finish lessons; whatever is cheap they like."""
    catalogue = parts.engines.current().catalogue
    matcher, rng = ShopMatcher(catalogue), np.random.default_rng(5)
    recommender = Recommender(
        table=CatalogueTable(catalogue),
        matcher=matcher,
        scorer=LearnedScorer(background=Background(catalogue, matcher.similarities)),
    )
    lessons = [lesson for lesson in catalogue.lessons if lesson.audience != "minors"]
    with parts.store.transaction():
        for n in range(n_people):
            key = UserKey(f"{n:032x}")
            parts.store.record_consent(
                Consent(
                    consent_id=f"c{n}", user_key=key, at=NOON, given=True, language="en",
                    kind=ConsentKind.LEARN_FROM_ANSWERS, text_version="1",
                )
            )  # fmt: skip
            for day in range(n_days):
                at = NOON + timedelta(days=day, minutes=n)
                slate = recommender.recommend(
                    UserProfile(user_key=key), Request(lesson=lessons[(n + day) % len(lessons)]),
                    at=at, seed=n * 100 + day, slate_id=SlateId(f"s{n:07d}{day:08d}"),
                )  # fmt: skip
                parts.store.record_slate(slate.record)
                parts.store.record_delivery(slate.record.slate_id, at=at)
                for item in slate.items:
                    if rng.random() < (0.7 if float(item.price or 0) < 12 else 0.2):
                        parts.store.record_reply(
                            Reply(
                                reply_id=f"{slate.record.slate_id}:{item.item_id}", at=at,
                                user_key=key, kind=ReplyKind.LIKE, item_id=item.item_id,
                                slate_id=slate.record.slate_id,
                            )
                        )  # fmt: skip
