"""A short form of the fault runs; `make faults` runs the long one."""

from __future__ import annotations

from pathlib import Path

from tests.faults.runner import run_all


async def test_killing_the_bot_under_load_loses_no_answer_and_doubles_no_promotion(
    tmp_path: Path,
) -> None:
    tally = await run_all(8, tmp_path, seed=7, kills=4)

    assert tally.problems == []
    assert tally.lost == 0
    assert tally.promotions_twice == 0
    assert tally.answers == tally.messages > 20
    assert tally.duplicates <= tally.may_double
