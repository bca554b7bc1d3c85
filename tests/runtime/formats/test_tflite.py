"""TFLite files, run in LiteRT and compared with the judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks_onnx import random_card, random_network
from random_integers import noise, random_integers
from sharpline import Upscaler
from sharpline.errors import ModelError, UsageError
from sharpline.runtime.integer import IntegerModel, accumulate, upscale_integer

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed: pip install ai-edge-litert")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from sharpline.runtime.formats import tflite_integer  # noqa: E402
from sharpline.runtime.formats.orin import orin_graph  # noqa: E402
from sharpline.runtime.formats.stack import float_stack  # noqa: E402
from sharpline.runtime.formats.tflite_file import TfliteRunner, tflite_card  # noqa: E402
from sharpline.runtime.formats.tflite_float import float_tflite  # noqa: E402
from sharpline.runtime.formats.tflite_integer import integer_tflite  # noqa: E402

NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
TYPES = {code: name for name, code in vars(schema.TensorType).items() if not name.startswith("_")}


def parts(data: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(data, 0)


def operators(data: bytes) -> dict[str, int]:
    return {NAMES[code.builtinCode]: code.version for code in parts(data).operatorCodes}


def without_xnnpack(data: bytes, lr: np.ndarray) -> np.ndarray:
    kind = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = litert.Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (lr[None] ^ 128).view(np.int8))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].view(np.uint8) ^ 128


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from([1, 2, 3, 4]),
    colours=st.sampled_from([1, 3]),
    kernels=st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=3).map(tuple),
    channels=st.integers(1, 9),
    top=st.sampled_from([15, 255]),
    largest=st.sampled_from([1, 7, 60, 127]),
    anchored=st.booleans(),
    device=st.sampled_from(["edgetpu", "cpu"]),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 99),
)
def test_every_byte_is_the_judges(
    scale, colours, kernels, channels, top, largest, anchored, device, size, seed
) -> None:
    model = random_integers(
        scale, colours, kernels, channels=channels, top=top, largest=largest, anchored=anchored, seed=seed
    )
    run = TfliteRunner(integer_tflite(model, device, size if device == "edgetpu" else None))
    lr = noise(*size, colours, seed)
    np.testing.assert_array_equal(run(lr), upscale_integer(model, lr))


@pytest.mark.parametrize(("scale", "colours"), [(2, 3), (3, 1), (4, 3)])
@pytest.mark.parametrize("size", [(24, 32), (17, 9), (1, 1)])
def test_the_picture_of_a_network_is_not_flat(scale, colours, size) -> None:
    """What the law above compares has to be worth comparing."""
    model = random_integers(scale, colours)
    sr = upscale_integer(model, noise(*size, colours))
    assert len(np.unique(sr)) > (2 if size == (1, 1) else 100)


def test_old_kernels_are_near_the_judge() -> None:
    """They round twice: to units of the accumulator, then to levels."""
    for largest in (1, 7, 60):
        model = random_integers(2, 3, (3, 1), channels=16, largest=largest)
        lr = noise(40, 31, 3)
        sr = without_xnnpack(integer_tflite(model, "edgetpu", (40, 31)), lr)
        difference = np.abs(sr.astype(int) - upscale_integer(model, lr))
        assert difference.max() <= 2
        assert (difference == 0).mean() > 0.96


def test_few_bits_are_stretched_to_a_byte() -> None:
    """In old kernels weights of -1 and 1 would be rounded at a coarse unit, and wrong by up to a quarter of values."""
    data = integer_tflite(random_integers(2, 3, (3, 1), largest=1), "edgetpu", (8, 8))
    model = parts(data)
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"layer0.weight")
    weights = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int8)
    assert set(np.unique(weights)) == {-64, 0, 64}


@pytest.mark.parametrize("kernels", [(3, 3), (3, 1), (3, 5)])
@pytest.mark.parametrize("top", [255, 15])
def test_the_edge_tpu_gets_what_it_takes(kernels, top) -> None:
    data = integer_tflite(random_integers(4, 3, kernels, top=top), "edgetpu", (16, 24))
    found = operators(data)
    assert found.pop("TRANSPOSE_CONV") == 2
    assert set(found) <= {"CONV_2D", "CONCATENATION", "SLICE", "PAD", "QUANTIZE"}
    graph = parts(data).subgraphs[0]
    assert {TYPES[tensor.type] for tensor in graph.tensors} == {"INT8", "INT32"}
    assert all(tensor.shapeSignature is None for tensor in graph.tensors)
    for place, shape in ((graph.inputs[0], [1, 16, 24, 3]), (graph.outputs[0], [1, 64, 96, 3])):
        end = graph.tensors[place]
        assert (list(end.shape), TYPES[end.type]) == (shape, "INT8")
        assert (list(end.quantization.scale), list(end.quantization.zeroPoint)) == ([1.0], [-128])


def test_buffers_lie_where_the_schema_wants_them() -> None:
    data = integer_tflite(random_integers(), "edgetpu", (8, 8))
    model = schema.Model.GetRootAs(data, 0)
    starts = []
    for number in range(model.BuffersLength()):
        buffer = model.Buffers(number)
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert len(starts) > 8
    assert {start % 16 for start in starts} == {0}


def test_the_edge_tpu_needs_a_size_and_has_an_end() -> None:
    with pytest.raises(UsageError, match="one size"):
        integer_tflite(random_integers(), "edgetpu")
    wide = random_integers(2, 3, (1, 3, 1), channels=900)
    with pytest.raises(ModelError, match=r"7\.\d MiB of parameters, the Edge TPU holds 6\.8"):
        integer_tflite(wide, "edgetpu", (8, 8))


def test_parts_that_do_not_fit_are_refused() -> None:
    model = random_integers()
    with pytest.raises(ModelError, match="does not fit"):
        integer_tflite(replace(model, layers=model.layers[1:]))


def test_the_card_travels_in_the_file() -> None:
    card = random_card(2, "rgb", 3, precision="int8")
    data = integer_tflite(random_integers(), card=card)
    assert tflite_card(data) == card
    assert tflite_card(integer_tflite(random_integers())) is None
    TfliteRunner(data)(noise(4, 5, 3))


@pytest.mark.parametrize("harm", ["cut", "empty", "garbage", "card"])
def test_damage_is_told_in_one_line(harm) -> None:
    data = integer_tflite(random_integers(), card=random_card())
    broken = {
        "cut": data[: len(data) // 3],
        "empty": b"",
        "garbage": data[:8] + b"\xff" * 200,
        "card": data.replace(b'"scale"', b'"scala"'),
    }[harm]
    with pytest.raises(ModelError, match=r"^net\.tflite: .*again$"):
        tflite_card(broken, "net.tflite")


def test_a_file_of_one_size_takes_no_other() -> None:
    run = TfliteRunner(integer_tflite(random_integers(), "edgetpu", (8, 8)))
    with pytest.raises(UsageError, match=r"8 x 8 pixels, not 9 x 8"):
        run(noise(8, 9, 3))


@pytest.mark.parametrize(("scale", "colour"), [(2, "rgb"), (3, "y"), (4, "rgb")])
def test_floats_are_those_of_the_onnx_file(scale, colour) -> None:
    model = random_network(scale, colour, depth=3)
    run = TfliteRunner(float_tflite(float_stack(model)))
    for size in ((20, 31), (1, 1), (7, 8)):
        lr = noise(*size, 3 if colour == "rgb" else 1)
        difference = np.abs(run(lr).astype(int) - Upscaler(model)(lr))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.995


def test_only_plain_stacks_have_layers() -> None:
    from sharpline.runtime.integer_graph import integer_graph

    model: IntegerModel = random_integers()
    with pytest.raises(ModelError, match=r"net\.onnx: is not a plain stack in FP32"):
        float_stack(integer_graph(model), "net.onnx")


def rounded_twice(total: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
    """TFLite's older kernels: 31 bits of the multiplier times the sum, rounded to a whole sum, then to a level."""
    fraction, exponent = np.frexp(multiplier.astype(np.float64))
    assert (exponent <= 0).all()
    product = total.astype(np.int64) * np.rint(fraction * 2**31).astype(np.int64)
    once = np.sign(product) * ((np.abs(product) + (product >= 0) * (1 << 30) + (product < 0) * ((1 << 30) - 1)) >> 31)
    half = np.where(exponent < 0, np.left_shift(1, np.maximum(-exponent - 1, 0)), 0)
    return np.sign(once) * ((np.abs(once) + half) >> -exponent)


def test_without_xnnpack_the_difference_is_the_second_rounding() -> None:
    """What docs/boards.md says of it: the kernels' own arithmetic explains every byte."""
    model, lr = random_integers(2, 3, (3, 3, 1), channels=8, largest=60, anchored=False), noise(40, 48, 3, 1)
    levels = lr
    for layer in model.layers:
        total = accumulate(levels, layer)
        fine = tflite_integer._stretched(layer)
        finer = np.rint(layer.multiplier / fine.multiplier).astype(np.int64)
        levels = np.clip(rounded_twice(total * finer, fine.multiplier), 0, layer.top).astype(np.uint8)
    expected = levels.reshape(40, 48, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(80, 96, 3)
    told = without_xnnpack(integer_tflite(model, "cpu", (40, 48)), lr)
    np.testing.assert_array_equal(told, expected)
    judged = upscale_integer(model, lr)
    assert 0 < (told != judged).mean() < 0.3
    assert np.abs(told.astype(int) - judged).max() <= 2


def test_integers_that_the_format_cannot_say_are_refused() -> None:
    model = random_integers(2, 3, (3, 1), channels=8)
    edged = replace(model, layers=(replace(model.layers[0], border="edge"), *model.layers[1:]))
    with pytest.raises(ModelError, match="other than a ReLU"):
        integer_tflite(edged)
    with pytest.raises(ModelError, match="other than a ReLU"):
        orin_graph(edged)
