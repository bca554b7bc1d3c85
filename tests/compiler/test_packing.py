"""Steps, groups and channels: whatever their order, the same sums, and none that leaves 16 bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_networks import MODELS
from sharpline.compiler import TARGETS
from sharpline.compiler.ordering import sorted_channels
from sharpline.compiler.packing import Part, pack
from sharpline.runtime.integer import IntegerLayer, upscale_integer

NARROW = ["x86-64-avx2", "arm64-neon"]
numbers = st.integers(0, 2**32 - 1)


def layer_of(seed: int, inputs: int = 12, largest: int = 127) -> IntegerLayer:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-largest, largest + 1, (20, inputs, 3, 3)).astype(np.int8)
    return IntegerLayer("layer", weight, np.zeros(20, np.int32), np.ones(20, np.float32))


def worst_sums(part: Part, low: int, high: int, sums: int) -> np.ndarray:
    """The sums of 16 bits, group by group, for the picture that makes each the largest, and the smallest."""
    found, first = [], 0
    for number, length in enumerate(part.lengths):
        weights = part.weights[first : first + length].reshape(length, -1, sums, 4 // sums)
        for best in (high, low):
            picture = np.where(weights > 0, best, low + high - best)
            found.append(part.starts[number] + (weights * picture).sum((0, 3)))
        first += length
    return np.array(found)


@settings(max_examples=25, deadline=None)
@given(seed=numbers, largest=st.sampled_from([3, 20, 64, 127]))
@pytest.mark.parametrize("target", NARROW)
def test_no_picture_leaves_16_bits(target: str, seed: int, largest: int) -> None:
    machine = TARGETS[target]
    for block in pack(layer_of(seed, largest=largest), None, 3, machine, 2):
        sums = worst_sums(block.parts[0], *machine.levels, machine.sums)
        assert sums.min() >= -(2**15)
        assert sums.max() < 2**15


@settings(max_examples=25, deadline=None)
@given(seed=numbers)
def test_no_pair_saturates(seed: int) -> None:
    """What is added within one instruction of AVX2 has to fit by itself."""
    for block in pack(layer_of(seed), None, 3, TARGETS["x86-64-avx2"], 2):
        pairs = block.parts[0].weights.reshape(-1, 2)
        assert 255 * np.maximum(pairs, 0).sum(1).max() < 2**15
        assert 255 * np.minimum(pairs, 0).sum(1).min() >= -(2**15)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_lost(target: str) -> None:
    layer, machine = layer_of(0), TARGETS[target]
    packed = np.concatenate([block.parts[0].weights.sum(0) for block in reversed(pack(layer, None, 3, machine, 2))])
    expected = layer.weight.astype(int).reshape(20, 3, 4, 9).sum((1, 3))
    np.testing.assert_array_equal(packed[:20], expected)


def test_weights_of_nothing_take_no_time() -> None:
    weight = np.zeros((8, 8, 3, 3), np.int8)
    weight[2, 5, 0, 1] = 7
    layer = IntegerLayer("layer", weight, np.zeros(8, np.int32), np.ones(8, np.float32))
    (block,) = pack(layer, None, 3, TARGETS["arm64-dotprod"], 4)
    assert block.parts[0].places.tolist() == [[0, 4]]  # the first row, its middle, the second four of 8 channels


def test_small_weights_need_few_groups() -> None:
    steps = {}
    for largest in (8, 60):
        (block, *_) = pack(layer_of(1, largest=largest), None, 3, TARGETS["x86-64-avx2"], 1)
        steps[largest] = len(block.parts[0].lengths)
    assert steps[8] <= 3
    assert steps[60] > 8


@pytest.mark.parametrize("name", MODELS)
def test_sorted_channels_compute_the_same(name: str) -> None:
    model = MODELS[name][0]()
    lr = np.random.default_rng(0).integers(0, 256, (6, 5, model.colours), np.uint8)
    np.testing.assert_array_equal(upscale_integer(sorted_channels(model), lr), upscale_integer(model, lr))
