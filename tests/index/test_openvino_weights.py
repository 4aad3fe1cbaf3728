"""Weights that lie on a 4-bit grid are found, kept exactly, and multiplied as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from index.openvino_weights import BLOCK, narrow, on_grid

openvino = pytest.importorskip("openvino", reason="openvino has no build for this processor")

steps_of_two_rows = arrays(np.int8, (2, 2, BLOCK), elements=st.integers(-8, 7))
scales_of_two_rows = arrays(
    np.float16, (2, 2, 1), elements=st.sampled_from([-0.5, -0.003, 0.001, 0.25, 1.0])
)


def weights_of(steps: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return (steps * scales.astype(np.float32)).reshape(len(steps), -1).astype(np.float32)


@given(steps_of_two_rows, scales_of_two_rows)
def test_a_grid_is_found_again(steps: np.ndarray, scales: np.ndarray) -> None:
    steps[:, :, 3] = -8  # the largest weight of a block always lies there

    found = on_grid(weights_of(steps, scales))

    assert found is not None
    assert weights_of(*found) == pytest.approx(weights_of(steps, scales), rel=1e-3)
    assert (found[0] == steps).all()


def test_a_block_of_nothing_stays_nothing() -> None:
    found = on_grid(np.zeros((1, BLOCK), dtype=np.float32))

    assert found is not None
    assert not weights_of(*found).any()


def test_weights_between_the_steps_are_left_alone() -> None:
    rng = np.random.default_rng(1)

    assert on_grid(rng.normal(size=(4, 2 * BLOCK)).astype(np.float32)) is None


def graph_of(weights: np.ndarray, name: str = "encoder.layer.0.output.dense/MatMul") -> Any:
    from openvino import opset13

    words = opset13.parameter([-1, weights.shape[1]], np.float32, name="words")
    product = opset13.matmul(words, opset13.constant(weights), False, True)
    product.set_friendly_name(name)
    return openvino.Model([product], [words], "layer")


def on_the_grid() -> np.ndarray:
    rng = np.random.default_rng(2)
    steps = rng.integers(-8, 8, (16, 2, BLOCK))
    steps[:, :, 0] = -8
    return weights_of(steps, rng.choice([0.01, -0.02], (16, 2, 1)).astype(np.float16))


def test_a_narrowed_layer_gives_what_it_gave() -> None:
    weights = on_the_grid()
    graph = graph_of(weights)
    words = np.random.default_rng(3).normal(size=(5, 2 * BLOCK)).astype(np.float32)

    assert narrow(graph) == 1

    exactly = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    compiled = openvino.Core().compile_model(graph, "CPU", exactly)
    assert compiled([words])[0] == pytest.approx(words @ weights.T, abs=1e-4)
    kinds = {node.get_element_type() for node in graph.get_ordered_ops()}
    assert openvino.Type.i4 in kinds


@pytest.mark.parametrize("layer", ["attention.self.query.dense", "intermediate.dense"])
def test_layers_whose_rounding_moves_neighbours_stay_wide(layer: str) -> None:
    graph = graph_of(on_the_grid(), name=f"encoder.layer.0.{layer}/MatMul")

    assert narrow(graph) == 0


def test_a_model_that_was_never_packed_stays_as_it_is() -> None:
    rng = np.random.default_rng(4)

    assert narrow(graph_of(rng.normal(size=(8, BLOCK)).astype(np.float32))) == 0
