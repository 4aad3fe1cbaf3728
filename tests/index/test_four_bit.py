from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.four_bit import BLOCK, SETTINGS, grid_of, narrow

openvino = pytest.importorskip("openvino", reason="the compiled encoder is not installed")


def on_the_grid(rng: np.random.Generator, rows: int, n_blocks: int) -> NDArray[np.float32]:
    """Weights as Q4_0 gives them: each block has a number -8, and everything was an f16 once."""
    numbers = rng.integers(-7, 8, size=(rows, n_blocks, BLOCK))
    numbers[..., 3] = -8
    scales = rng.normal(scale=0.02, size=(rows, n_blocks, 1)).astype(np.float16)
    weights = numbers * scales.astype(np.float32)
    return weights.reshape(rows, n_blocks * BLOCK).astype(np.float16).astype(np.float32)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), n_blocks=st.integers(1, 4))
def test_weights_on_the_grid_come_back_to_the_last_bit_of_an_f16(
    seed: int, rows: int, n_blocks: int
) -> None:
    weights = on_the_grid(np.random.default_rng(seed), rows, n_blocks)

    grid = grid_of(weights)

    assert grid is not None
    assert grid.numbers.min() >= -8
    assert grid.numbers.max() <= 7
    again = (grid.numbers * grid.scales).reshape(weights.shape)
    np.testing.assert_array_equal(again.astype(np.float16), weights.astype(np.float16))


def test_a_block_of_zeros_stays_zero() -> None:
    grid = grid_of(np.zeros((2, BLOCK), dtype=np.float32))

    assert grid is not None
    assert not grid.numbers.any()


def test_other_weights_are_left_alone(rng: np.random.Generator) -> None:
    weights = on_the_grid(rng, 4, 2)
    off = weights.copy()
    off[2, 40] *= 1.3

    assert grid_of(off) is None
    assert grid_of(rng.normal(size=(4, BLOCK)).astype(np.float32)) is None
    assert grid_of(weights[:, :40]) is None


def product_with(weights: NDArray[np.float32], *, transposed: bool) -> Any:
    opset = openvino.opset13
    given_rows = opset.parameter([-1, weights.shape[1]], np.float32, name="rows")
    constant = opset.constant(weights if transposed else np.ascontiguousarray(weights.T))
    product = opset.matmul(given_rows, constant, False, transposed)
    return openvino.Model([product], [given_rows])


@pytest.mark.parametrize("transposed", [True, False])
def test_a_narrowed_network_gives_nearly_the_same(
    rng: np.random.Generator, transposed: bool
) -> None:
    weights = on_the_grid(rng, 64, 4)
    rows = rng.normal(size=(9, weights.shape[1])).astype(np.float32)
    network = product_with(weights, transposed=transposed)

    assert narrow(network)

    compiled = openvino.Core().compile_model(network, "CPU", SETTINGS)
    found, exact = compiled(rows)[0], rows @ weights.T
    # Activations of 8 bits: an error of a few thousandths of the result's size.
    assert np.linalg.norm(found - exact) <= 0.02 * np.linalg.norm(exact)


def test_a_network_with_any_weight_off_the_grid_is_not_touched(rng: np.random.Generator) -> None:
    network = product_with(rng.normal(size=(8, BLOCK)).astype(np.float32), transposed=True)
    before = [node.get_type_name() for node in network.get_ordered_ops()]

    assert not narrow(network)

    assert [node.get_type_name() for node in network.get_ordered_ops()] == before
