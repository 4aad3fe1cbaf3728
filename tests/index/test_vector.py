from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data.errors import IndexMismatch, SnapshotError
from index.exact import exact_neighbours, overlap
from index.vector import VectorIndex
from index.vector_tuning import Tuning

Vectors = NDArray[np.float32]


def unit_rows(rng: np.random.Generator, n: int, dim: int) -> Vectors:
    vectors = rng.normal(size=(n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered(rng: np.random.Generator, n: int, dim: int = 48) -> Vectors:
    """Vectors as embeddings are: a common direction, groups, and neighbours that are close."""
    centres = unit_rows(rng, 60, dim) + 1.5 * unit_rows(rng, 1, dim)
    vectors = centres[rng.integers(60, size=n)] + 0.5 * unit_rows(rng, n, dim)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def many() -> Vectors:
    return clustered(np.random.default_rng(5), 30_000)


@pytest.fixture(scope="module")
def lists(many: Vectors) -> VectorIndex:
    return VectorIndex.build(many, kind="ivf")


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 80),
    top_k=st.integers(1, 12),
    share=st.floats(0, 1),
    as_numbers=st.booleans(),
)
def test_a_filtered_search_equals_brute_force(
    seed: int, n: int, top_k: int, share: float, as_numbers: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors, queries = unit_rows(rng, n, 16), unit_rows(rng, 3, 16)
    mask = rng.random(n) < share
    eligible = np.flatnonzero(mask) if as_numbers else mask

    similarities, rows = VectorIndex.build(vectors).search(queries, top_k, eligible=eligible)

    exact = np.where(mask, queries @ vectors.T, -np.inf)
    expected = -np.sort(-exact, axis=1)[:, :top_k]
    n_found = min(top_k, int(mask.sum()))
    np.testing.assert_allclose(similarities[:, :n_found], expected[:, :n_found], atol=1e-5)
    assert (rows[:, n_found:] == -1).all()
    assert (similarities[:, n_found:] == -np.inf).all()
    assert mask[rows[rows >= 0]].all()
    for row in rows[:, :n_found]:
        assert len(set(row.tolist())) == n_found


def test_without_a_filter_every_row_can_be_found(rng: np.random.Generator) -> None:
    vectors = unit_rows(rng, 50, 16)
    vector_index = VectorIndex.build(vectors)

    similarities, rows = vector_index.search(vectors, 1)

    assert rows[:, 0].tolist() == list(range(50))
    np.testing.assert_allclose(similarities, 1, atol=1e-5)
    assert vector_index.kind == "flat"
    assert vector_index.recall == 1.0


def test_one_query_may_be_a_plain_vector(rng: np.random.Generator) -> None:
    vectors = unit_rows(rng, 9, 8)

    _, rows = VectorIndex.build(vectors).search(vectors[4], 2)

    assert rows.shape == (1, 2)
    assert rows[0, 0] == 4


def test_a_mask_of_another_length_is_refused(rng: np.random.Generator) -> None:
    vector_index = VectorIndex.build(unit_rows(rng, 9, 8))

    with pytest.raises(ValueError, match="expected \\(9,\\)"):
        vector_index.search(unit_rows(rng, 1, 8), 1, eligible=np.ones(8, dtype=bool))


def test_an_empty_index_finds_nothing() -> None:
    vector_index = VectorIndex.build(np.zeros((0, 8), dtype=np.float32))

    _, rows = vector_index.search(np.ones((1, 8), dtype=np.float32), 3)

    assert rows.tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("mmap", [True, False], ids=["mapped", "read"])
def test_saving_and_loading_changes_no_hit(
    rng: np.random.Generator, tmp_path: Path, mmap: bool
) -> None:
    vectors, queries = unit_rows(rng, 300, 24), unit_rows(rng, 5, 24)
    vector_index = VectorIndex.build(vectors)
    mask = rng.random(300) < 0.2

    vector_index.save(tmp_path)
    again = VectorIndex.load(tmp_path, mmap=mmap)

    for eligible in (None, mask):
        before = vector_index.search(queries, 7, eligible=eligible)
        after = again.search(queries, 7, eligible=eligible)
        np.testing.assert_array_equal(before[1], after[1])
        np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(again.reconstruct(np.array([3, 7])), vectors[[3, 7]])


def test_lists_reach_their_recall_in_a_quarter_of_the_bytes(
    many: Vectors, lists: VectorIndex, tmp_path: Path
) -> None:
    queries = clustered(np.random.default_rng(5), 30_200)[30_000:]

    similarities, rows = lists.search(queries, 10)

    truth = exact_neighbours(many, queries, 10)
    assert lists.kind == "ivf"
    assert lists.recall >= 0.98
    assert overlap(rows, truth) >= 0.97
    exact = (queries[:, None, :] * many[rows]).sum(axis=2)
    np.testing.assert_allclose(similarities, exact, atol=0.005)
    lists.save(tmp_path)
    codes = (tmp_path / "vectors.faiss").stat().st_size
    # Small vectors make the row numbers (8 bytes) and centres weigh more than they do at 384.
    assert codes < many.nbytes * 0.25 + 8 * len(many) + 600_000


@pytest.mark.parametrize("share", [1.0, 0.3, 0.1, 0.03, 0.01, 0.001])
def test_lists_stay_exact_under_a_random_filter(
    many: Vectors, lists: VectorIndex, share: float
) -> None:
    rng = np.random.default_rng(8)
    queries = many[rng.integers(len(many), size=100)]
    mask = rng.random(len(many)) < share

    _, rows = lists.search(queries, 10, eligible=mask)

    assert mask[rows[rows >= 0]].all()
    assert overlap(rows, exact_neighbours(many, queries, 10, mask)) >= 0.97


def test_what_was_measured_over_too_few_rows_does_not_speak_for_larger_shares() -> None:
    tuning = Tuning(lists_by_share={"1.0": 90, "0.5": 100, "0.1": 130, "0.05": 8})

    assert tuning.lists_for(1.0, 4_000) == 90
    assert tuning.lists_for(0.7, 4_000) == 200
    assert tuning.lists_for(0.3, 4_000) == 260
    assert tuning.lists_for(0.01, 4_000) == 4_000
    assert tuning.lists_for(0.3, 150) == 150


@pytest.mark.parametrize("share", [0.5, 0.1, 0.06])
def test_lists_stay_exact_when_a_filter_leans_to_one_side(
    share: float, many: Vectors, lists: VectorIndex
) -> None:
    rng = np.random.default_rng(12)
    leaning = many @ unit_rows(rng, 1, many.shape[1])[0]
    leaning += rng.normal(scale=leaning.std(), size=len(leaning))
    mask = leaning > np.quantile(leaning, 1 - share)
    queries = clustered(rng, 200)

    _, rows = lists.search(queries, 10, eligible=mask)

    assert overlap(rows, exact_neighbours(many, queries, 10, mask)) >= 0.97


def test_lists_find_a_far_corner_that_a_filter_keeps(many: Vectors, lists: VectorIndex) -> None:
    corner = many @ many[11] > np.sort(many @ many[11])[-700]
    queries = many[np.argsort(many @ many[11])[:50]]

    _, rows = lists.search(queries, 10, eligible=corner)

    assert overlap(rows, exact_neighbours(many, queries, 10, corner)) >= 0.97


def test_lists_pad_when_less_is_eligible(many: Vectors, lists: VectorIndex) -> None:
    similarities, rows = lists.search(many[:2], 5, eligible=np.array([17, 29_999]))

    assert {tuple(sorted(row.tolist())) for row in rows} == {(-1, -1, -1, 17, 29_999)}
    assert (similarities[:, 2:] == -np.inf).all()
    nothing = lists.search(many[:2], 5, eligible=np.zeros(len(many), dtype=bool))
    assert (nothing[1] == -1).all()


def test_lists_survive_saving(many: Vectors, lists: VectorIndex, tmp_path: Path) -> None:
    lists.save(tmp_path)

    again = VectorIndex.load(tmp_path)

    assert (again.recall, again.tuning) == (lists.recall, lists.tuning)
    mask = np.arange(len(many)) % 7 == 0
    for eligible in (None, mask):
        np.testing.assert_array_equal(
            again.search(many[:20], 10, eligible=eligible)[1],
            lists.search(many[:20], 10, eligible=eligible)[1],
        )
    rebuilt = again.reconstruct(np.array([5, 29_000]))
    assert ((rebuilt * many[[5, 29_000]]).sum(axis=1) > 0.999).all()


def test_threads_search_at_once(many: Vectors, lists: VectorIndex) -> None:
    mask = np.arange(len(many)) % 3 == 0
    expected = lists.search(many[:8], 5, eligible=mask)[1]
    found: dict[int, list[int]] = {}

    def work(number: int) -> None:
        for _ in range(20):
            _, rows = lists.search(many[number], 5, eligible=mask)
            found[number] = rows[0].tolist()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [found[i] for i in range(8)] == expected.tolist()


def test_broken_and_foreign_files_are_named(rng: np.random.Generator, tmp_path: Path) -> None:
    VectorIndex.build(unit_rows(rng, 20, 8)).save(tmp_path)
    about = json.loads((tmp_path / "vectors.json").read_text())

    (tmp_path / "vectors.json").write_text(json.dumps(about | {"n": 21}))
    with pytest.raises(SnapshotError, match="zhiwei index build"):
        VectorIndex.load(tmp_path)

    (tmp_path / "vectors.json").write_text(json.dumps(about | {"format": 0}))
    with pytest.raises(IndexMismatch, match="format 0"):
        VectorIndex.load(tmp_path)

    (tmp_path / "vectors.json").write_text(json.dumps(about))
    (tmp_path / "vectors.faiss").write_bytes(b"nonsense")
    with pytest.raises(SnapshotError, match="zhiwei index build"):
        VectorIndex.load(tmp_path)
