"""The numpy reference, the graph made of it, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_networks import signed_model
from networks_onnx import random_network
from sharpline import Upscaler
from sharpline.errors import ModelError
from sharpline.runtime.card import ModelCard, embed_card
from sharpline.runtime.graph import to_float_io
from sharpline.runtime.integer import IntegerLayer, IntegerModel, bend, check_integer, network_digest, upscale_integer
from sharpline.runtime.integer_graph import integer_graph, integer_model


def random_model(
    scale: int = 2,
    colours: int = 3,
    kernels=(3, 1, 3),
    channels: int = 6,
    top: int = 255,
    anchored: bool = True,
    seed=0,
) -> IntegerModel:
    rng = np.random.default_rng(seed)
    widths = [colours, *[channels] * (len(kernels) - 1), colours * scale**2]
    layers = []
    for number, kernel in enumerate(kernels):
        shape = (widths[number + 1], widths[number], kernel, kernel)
        last = number == len(kernels) - 1
        weight = rng.integers(-60, 61, shape).astype(np.int8)
        bias = rng.integers(-3000, 3000, shape[0]).astype(np.int32)
        spread = 1 / (60 * np.sqrt(np.prod(shape[1:])))
        multiplier = (spread * rng.uniform(0.5, 1.5, shape[0])).astype(np.float32)
        if last and anchored:
            multiplier = np.full(shape[0], 1 / 300, np.float32)
        layers.append(IntegerLayer(f"layer{number}", weight, bias, multiplier, 255 if last else top))
    anchor = rng.integers(0, 30, (widths[-1], 3, 3)).astype(np.int32) if anchored else None
    if anchor is not None:
        anchor[:, 1, 1] += 150
    return IntegerModel(tuple(layers), scale, colours, anchor)


def by_definition(model: IntegerModel, lr: np.ndarray) -> np.ndarray:
    """docs/integer.md, sum by sum."""
    height, width = lr.shape[:2]

    def pixel(levels, row, column, zero, border):
        inside = 0 <= row < height and 0 <= column < width
        if border == "zeros" and not inside:
            return np.zeros(levels.shape[2], int)
        return levels[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)].astype(int) - zero

    levels, zero = lr, 0
    sr = np.zeros((height * model.scale, width * model.scale, model.colours), np.uint8)
    for number, layer in enumerate(model.layers):
        out = np.zeros((height, width, len(layer.bias)), np.uint8)
        reach, last = layer.weight.shape[2] // 2, number == len(model.layers) - 1
        for row in range(height):
            for column in range(width):
                for o in range(len(layer.bias)):
                    total = int(layer.bias[o])
                    for i in range(-reach, reach + 1):
                        for j in range(-reach, reach + 1):
                            near = pixel(levels, row + i, column + j, zero, layer.border)
                            total += int((near * layer.weight[o, :, i + reach, j + reach]).sum())
                    if last and model.anchor is not None:
                        for i in (-1, 0, 1):
                            for j in (-1, 0, 1):
                                y, x = np.clip(row + i, 0, height - 1), np.clip(column + j, 0, width - 1)
                                total += int(model.anchor[o, i + 1, j + 1]) * int(lr[y, x, o % model.colours])
                    value = np.float32(total) * layer.multiplier[o]
                    if layer.slope is not None and value < 0:
                        value = value * layer.slope[o]
                    if layer.spread is not None:
                        value = bend(value) * layer.spread[o]
                    out[row, column, o] = min(max(int(np.rint(value)) + layer.zero, 0), layer.top)
                    if last:
                        block, colour = divmod(o, model.colours)
                        y, x = divmod(block, model.scale)
                        sr[row * model.scale + y, column * model.scale + x, colour] = out[row, column, o]
        levels, zero = out, layer.zero
    return sr


def in_form(model: IntegerModel, form: str, zero: int = 100) -> IntegerModel:
    """A model of ReLUs, or what it is with other activations and borders."""
    return model if form == "relu" else signed_model(model, *form.split(), zero)


FORMS = ["relu", "prelu zeros", "prelu edge", "tanh zeros", "tanh edge"]


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize(("scale", "colours", "top"), [(2, 3, 255), (3, 1, 15)])
@pytest.mark.parametrize("form", FORMS)
def test_reference_follows_the_definition(form, scale, colours, top, anchored) -> None:
    model = in_form(random_model(scale, colours, top=top, anchored=anchored), form)
    lr = np.random.default_rng(1).integers(0, 256, (3, 4, colours), np.uint8)
    sr = upscale_integer(model, lr)
    np.testing.assert_array_equal(sr, by_definition(model, lr))
    assert len(np.unique(sr)) > (10 if form == "relu" else 4)


def test_ties_go_to_the_even_level() -> None:
    weight = np.ones((4, 1, 1, 1), np.int8)
    half = IntegerLayer("tail", weight, np.zeros(4, np.int32), np.full(4, 0.5, np.float32))
    lr = np.arange(8, dtype=np.uint8).reshape(1, 8, 1)
    assert upscale_integer(IntegerModel((half,), 2, 1), lr)[0, ::2, 0].tolist() == [0, 0, 1, 2, 2, 2, 3, 4]


def in_engine(model: IntegerModel, engine: str, lr: np.ndarray) -> np.ndarray:
    card = ModelCard(
        name="x", scale=model.scale, colour="rgb" if model.colours == 3 else "y", receptive_field=model.receptive_field
    )
    return Upscaler(embed_card(integer_graph(model), card), engine=engine)(lr)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.sampled_from([1, 2, 3]),
    colours=st.sampled_from([1, 3]),
    kernels=st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=3),
    channels=st.integers(1, 9),
    top=st.sampled_from([15, 255]),
    anchored=st.booleans(),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("form", FORMS)
def test_graph_in_onnx_runtime_is_the_reference(
    form, scale, colours, kernels, channels, top, anchored, size, seed
) -> None:
    model = in_form(random_model(scale, colours, kernels, channels, top, anchored, seed), form, 1 + seed * 2)
    lr = np.random.default_rng(seed).integers(0, 256, (*size, colours), np.uint8)
    error = np.abs(in_engine(model, "ort", lr).astype(int) - upscale_integer(model, lr))
    assert error.max() <= ("tanh" in form)  # its tanh is the real one, ours is 0.01 levels off
    assert (error > 0).mean() <= 0.01


@settings(max_examples=30, deadline=None)
@given(zero=st.integers(1, 240), kernels=st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3))
def test_which_level_stands_for_0_does_not_matter(zero: int, kernels) -> None:
    model = random_model(kernels=kernels, top=15)
    *hidden, last = model.layers
    slope = np.zeros(6, np.float32)
    moved = [replace(layer, zero=zero, top=15 + zero, slope=slope) for layer in hidden]
    lr = np.random.default_rng(zero).integers(0, 256, (7, 5, 3), np.uint8)
    same = check_integer(replace(model, layers=(*moved, last)))
    np.testing.assert_array_equal(upscale_integer(same, lr), upscale_integer(model, lr))


@pytest.mark.parametrize("top", [15, 255])
@pytest.mark.parametrize("form", FORMS[1:])
def test_signed_levels_come_back_from_a_graph(form, top) -> None:
    model = in_form(random_model(2, 3, top=top), form)
    again = integer_model(integer_graph(model))
    assert network_digest(again) == network_digest(model)
    np.testing.assert_array_equal(again.anchor, model.anchor)


def test_what_a_digest_sees() -> None:
    model = random_model()
    (first, second, last), ones = model.layers, np.ones(6, np.float32)
    changed = [
        replace(model, layers=(replace(first, **change), second, last))
        for change in (
            {},
            {"zero": 1},
            {"slope": ones},
            {"spread": ones},
            {"border": "edge"},
            {"zero": 1, "slope": ones},
        )
    ]
    assert len({network_digest(each) for each in changed}) == len(changed)


def test_graph_in_openvino_is_the_reference_within_a_level() -> None:
    pytest.importorskip("openvino", reason="the engine openvino is not installed")
    for top in (15, 255):
        model = random_model(top=top)
        lr = np.random.default_rng(0).integers(0, 256, (40, 31, 3), np.uint8)
        error = np.abs(in_engine(model, "openvino", lr).astype(int) - upscale_integer(model, lr))
        assert error.max() <= 1
        assert (error == 0).mean() > 0.99


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize(("colours", "channels"), [(3, 6), (3, 7), (1, 5), (1, 4)])
def test_a_graph_gives_its_integers_back(colours, channels, anchored) -> None:
    model = random_model(2, colours, channels=channels, top=15, anchored=anchored)
    again = integer_model(integer_graph(model))
    assert (again.scale, again.colours) == (2, colours)
    if anchored:
        np.testing.assert_array_equal(again.anchor, model.anchor)
    else:
        assert again.anchor is None
    for new, old in zip(again.layers, model.layers, strict=True):
        assert (new.name, new.top) == (old.name, old.top)
        for part in ("weight", "bias", "multiplier"):
            np.testing.assert_array_equal(getattr(new, part), getattr(old, part))


def test_other_graphs_have_no_integers() -> None:
    with pytest.raises(ModelError, match=r"net\.onnx: is not an integer network"):
        integer_model(random_network(), "net.onnx")


def test_nothing_is_left_behind_the_last_convolution_but_moves_of_bytes() -> None:
    nodes = list(integer_graph(random_model()).graph.node)
    last = max(place for place, node in enumerate(nodes) if node.op_type == "Conv")
    behind = {node.op_type for node in nodes[last + 1 :]}
    assert behind == {"QuantizeLinear", "Split", "Transpose", "Reshape", "Concat", "Shape", "Mul"}


@pytest.mark.parametrize("form", FORMS)
def test_the_float_twin_saturates_but_does_not_round(form) -> None:
    model = in_form(random_model(top=15), form, 0)
    twin = to_float_io(integer_graph(model))
    onnx.checker.check_model(twin, full_check=True)
    assert not {"QuantizeLinear"} & {node.op_type for node in twin.graph.node}
    assert sum(node.op_type == "Clip" for node in twin.graph.node) >= 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": np.zeros((6, 5, 3, 3), np.int8)}, "does not fit"),
        ({"weight": np.zeros((6, 3, 3, 1), np.int8)}, "does not fit"),
        ({"weight": np.zeros((6, 3, 33, 33), np.int8)}, "side 33; 31 at most"),
        ({"bias": np.zeros(5, np.int32)}, "does not fit"),
        ({"bias": np.full(6, 2**30, np.int32)}, "32 bits"),
        ({"multiplier": np.full(6, np.nan, np.float32)}, "no positive number"),
        ({"multiplier": np.zeros(6, np.float32)}, "no positive number"),
        ({"top": 0}, "no positive number"),
        ({"zero": 255}, "no level 255"),
        ({"slope": np.ones(5, np.float32)}, "slopes that do not fit"),
        ({"slope": np.full(6, np.inf, np.float32)}, "slopes that do not fit"),
        ({"slope": np.ones(6, np.float32), "spread": np.ones(6, np.float32)}, "slopes that do not fit"),
        ({"weight": np.zeros((6, 3, 1, 1), np.int8), "border": "edge"}, "does not fit"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, words) -> None:
    model = random_model()
    broken = replace(model, layers=(replace(model.layers[0], **change), *model.layers[1:]))
    with pytest.raises(ModelError, match=words):
        check_integer(broken)


def test_a_stack_has_to_end_in_a_picture() -> None:
    model = random_model()
    for broken in (replace(model, scale=3), replace(model, layers=()), replace(model, anchor=np.zeros((2, 3, 3)))):
        with pytest.raises(ModelError, match="picture"):
            check_integer(broken)


def test_a_picture_has_no_level_that_stands_for_0() -> None:
    model = random_model()
    with pytest.raises(ModelError, match="is a picture"):
        check_integer(replace(model, layers=(*model.layers[:-1], replace(model.layers[-1], zero=3))))


def test_an_anchor_beyond_a_byte_is_refused() -> None:
    model = random_model()
    assert model.anchor is not None
    model.anchor[0, 0, 0] = 200
    with pytest.raises(ModelError, match="larger unit"):
        integer_graph(model)
