from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from data.errors import InvalidInput
from data.events import FactKind, SlateId
from recommender.candidates import CatalogueTable
from recommender.features import Background
from recommender.learned_scorer import LearnedScorer
from recommender.profile import fold_profile
from recommender.recommend import Recommender
from recommender.simulated_arm import START
from recommender.simulated_people import Population, Weariness, answer, like_probabilities
from recommender.simulated_world import RememberingRecommender, World
from recommender.simulation import ARMS, run_arm, simulate
from recommender.simulation_report import summary
from recommender.slate import Request
from tests.recommender.learning_world import ShopMatcher, a_shop


@pytest.fixture(scope="module")
def world() -> World:
    shop = a_shop(60)
    return World.of(shop, ShopMatcher(shop))


def people(world: World, seed: int = 1, n_users: int = 40) -> Population:
    return Population.of(
        world.catalogue, n_users=n_users, n_rounds=3, n_lessons=len(world.lessons), seed=seed,
        start=START,
    )  # fmt: skip


def test_the_same_seed_gives_the_same_result(world: World) -> None:
    first = run_arm("match_only", world, n_users=25, n_rounds=2, seed=4)

    assert run_arm("match_only", world, n_users=25, n_rounds=2, seed=4) == first
    assert run_arm("match_only", world, n_users=25, n_rounds=2, seed=5) != first


def test_the_figures_have_the_agreed_names(world: World) -> None:
    results = simulate(world, n_users=20, n_rounds=2, seed=1)

    figures = summary(results)

    assert set(figures) >= {
        "uplift_over_match_only", "share_of_oracle", "ope_coverage", "safety_violations", "rounds",
    }  # fmt: skip
    assert len(figures["rounds"]) == 2
    for entry in figures["rounds"]:
        for arm in ARMS:
            assert entry[arm]["low"] <= entry[arm]["rate"] <= entry[arm]["high"]
    assert figures["safety_violations"] == 0


def test_the_oracle_beats_chance(world: World) -> None:
    oracle, uniform = (
        run_arm(arm, world, n_users=150, n_rounds=2, seed=2) for arm in ("oracle", "uniform")
    )

    assert oracle.last_rate() > uniform.last_rate()


def test_nobody_means_an_error(world: World) -> None:
    with pytest.raises(InvalidInput):
        simulate(world, n_users=0, n_rounds=1, seed=1)


def test_the_remembering_recommender_is_the_products(world: World) -> None:
    population = people(world)
    table = CatalogueTable(world.catalogue)
    scorer = LearnedScorer(background=Background(world.catalogue, world.matcher.similarities))
    parts = {"table": table, "matcher": world.matcher, "scorer": scorer}
    plain, remembering = Recommender(**parts), RememberingRecommender(**parts)  # type: ignore[arg-type]

    for user in range(40):
        profile = fold_profile(population.keys[user], facts=population.facts[user], at=START)
        slates = [
            r.recommend(
                profile, Request(lesson=world.lessons[user % len(world.lessons)]),
                at=START + timedelta(hours=user), seed=user, slate_id=SlateId("s" * 16),
            ).record
            for r in (plain, remembering)
        ]  # fmt: skip
        assert slates[0].placements == slates[1].placements
        assert slates[0].context == slates[1].context


def test_people_differ_in_what_they_declared(world: World) -> None:
    population = people(world, n_users=400)

    kinds = {fact.kind for facts in population.facts for fact in facts}

    assert kinds == {FactKind.ALLERGEN, FactKind.DIET, FactKind.EXCLUDE}
    assert 0.8 < population.consents.mean() < 1.0


def test_weariness_lowers_the_wish_and_passes(world: World) -> None:
    population = people(world)
    weariness = Weariness(population)
    rows, match = np.array([3, 4]), np.array([0.5, 0.5])
    fresh = like_probabilities(population, weariness, 0, rows, match)

    weariness.show(0, np.array([3]))
    tired = like_probabilities(population, weariness, 0, rows, match)
    for _ in range(60):
        weariness.rest()
    rested = like_probabilities(population, weariness, 0, rows, match)

    assert tired[0] < fresh[0]
    assert rested == pytest.approx(fresh, abs=1e-3)


def test_lower_positions_are_looked_at_less(world: World) -> None:
    population = Population.of(
        world.catalogue, n_users=4_000, n_rounds=1, n_lessons=1, seed=3, start=START
    )

    likes = [
        sum(answer(population, user, 0, position, 0.5).is_liked for user in range(4_000)) / 4_000
        for position in range(3)
    ]

    # Half of those who look; four standard errors of a share of 4 000.
    assert likes == pytest.approx([0.5, 0.4, 0.325], abs=4 * 0.5 / np.sqrt(4_000))
