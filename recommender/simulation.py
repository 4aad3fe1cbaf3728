"""All policies against the same simulated people, side by side."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler
from types import MappingProxyType
from typing import Any

from data.errors import InvalidInput
from recommender.simulated_arm import START, Arm, Tell
from recommender.simulated_people import Population
from recommender.simulated_world import World
from recommender.simulation_report import ArmResult

ARMS = ("uniform", "match_only", "popularity", "full_loop", "oracle")


def run_arm(
    arm: str, world: World, *, n_users: int, n_rounds: int, seed: int, tell: Tell | None = None
) -> ArmResult:
    """Run one policy; the same seed gives the same people and the same luck to every policy."""
    # Loaded before the limit, which binds only the libraries that are there already.
    import sklearn.ensemble  # noqa: F401 # its OpenMP pool has to be loaded to be limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # ships no types

    population = Population.of(
        world.catalogue,
        n_users=n_users,
        n_rounds=n_rounds,
        n_lessons=len(world.lessons),
        seed=seed,
        start=START,
    )
    # One process a core: more threads than that only wait for each other.
    with threadpool_limits(1):
        return Arm(arm, world, population, seed=seed).run(n_rounds, tell)


def simulate(
    world: World,
    *,
    n_users: int,
    n_rounds: int,
    seed: int,
    n_processes: int = 1,
    tell: Tell | None = None,
) -> dict[str, ArmResult]:
    """Run every policy on the same people.

    Raises:
        InvalidInput: a number is not positive.
    """
    if n_users < 1 or n_rounds < 1:
        raise InvalidInput(f"{n_users} users and {n_rounds} rounds; both must be at least 1")
    if n_processes <= 1:
        return {
            arm: run_arm(arm, world, n_users=n_users, n_rounds=n_rounds, seed=seed, tell=tell)
            for arm in ARMS
        }
    # Spawned and not forked: the parent may hold threads of the encoder.
    ForkingPickler.register(MappingProxyType, _reduce_proxy)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        # The longest first, so that no process waits for it at the end.
        order = sorted(ARMS, key=lambda arm: arm != "full_loop")
        waiting = {
            arm: pool.submit(run_arm, arm, world, n_users=n_users, n_rounds=n_rounds, seed=seed)
            for arm in order
        }
        results: dict[str, ArmResult] = {}
        for done, arm in enumerate(order, start=1):
            results[arm] = waiting[arm].result()
            if tell is not None:
                tell("simulating policies", done, len(order))
    return {arm: results[arm] for arm in ARMS}


def _reduce_proxy(
    proxy: MappingProxyType[Any, Any],
) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
    """Catalogues hold read-only mappings, which do not travel between processes by themselves."""
    return _as_proxy, (dict(proxy),)


def _as_proxy(content: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(content)
