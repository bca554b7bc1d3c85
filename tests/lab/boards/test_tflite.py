"""TFLite files of real networks on a real picture."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")
pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install ai-edge-litert")

from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards.folder import export_board  # noqa: E402
from sharpline.lab.boards.made import Options, SourceModel  # noqa: E402
from sharpline.lab.boards.source import open_source  # noqa: E402
from sharpline.lab.boards.tflite import tflite_fp32, tflite_int8  # noqa: E402
from sharpline.lab.compression.quantization import QuantizationConfig, calibrate, quantize, to_integer  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.runtime.boards.check import check_file  # noqa: E402
from sharpline.runtime.boards.profile import load_board  # noqa: E402
from sharpline.runtime.formats.tflite_file import TfliteRunner, tflite_card  # noqa: E402
from sharpline.runtime.formats.tflite_integer import integer_tflite  # noqa: E402
from sharpline.runtime.integer import upscale_integer  # noqa: E402
from sharpline.runtime.integer_graph import integer_graph  # noqa: E402

MODELS = ["edge-m-x2", "edge-m-x4", "edge-s-x4"]


@pytest.fixture
def lr() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[20:93, 150:231])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("on_chip", [True, False])
def test_integers_on_a_photograph(tmp_path, lr, name, on_chip) -> None:
    model = open_source(name, precision="int8")
    size = (81, 73) if on_chip else None
    (made,) = tflite_int8(model, tmp_path, Options(size))
    np.testing.assert_array_equal(made.runner(lr), upscale_integer(model.integer, lr))
    assert (made.precision, made.size, made.format) == ("int8", size, "tflite-int8")
    assert [path.name for path in tmp_path.iterdir()] == [made.file]
    assert tflite_card((tmp_path / made.file).read_bytes()) == model.card
    assert any("edgetpu_compiler -s" in note for note in made.notes) == on_chip
    if not on_chip:
        small = lr[:5, :4].copy()
        np.testing.assert_array_equal(made.runner(small), upscale_integer(model.integer, small))


def test_our_own_check_of_the_board_passes(tmp_path) -> None:
    for board, size in (("coral-dev-board", (48, 40)), ("raspberry-pi-4", None)):
        (made,) = tflite_int8(open_source("edge-s-x4", precision="int8"), tmp_path, Options(size))
        report = check_file(tmp_path / made.file, load_board(board))
        assert not report.stops


@pytest.mark.parametrize("name", MODELS)
def test_floats_on_a_photograph(tmp_path, lr, name) -> None:
    model = open_source(name, precision="fp32")
    for size in (None, (81, 73)):
        (made,) = tflite_fp32(model, tmp_path, Options(size))
        difference = np.abs(made.runner(lr).astype(int) - model.upscale(lr))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.999


@pytest.mark.parametrize("weights", [4, 2, 1])
def test_few_bits_on_a_photograph(lr, weights) -> None:
    torch.manual_seed(0)
    net = build({"family": "edge", "channels": 16, "depth": 2, "scale": 3}).eval()
    config = QuantizationConfig(weights=weights, activations=4 if weights == 4 else 8)
    model = to_integer(quantize(net, config, calibrate(net, [lr])))
    for device, size in (("edgetpu", lr.shape[:2]), ("cpu", None)):
        np.testing.assert_array_equal(TfliteRunner(integer_tflite(model, device, size))(lr), upscale_integer(model, lr))


def with_few_bits(lr: np.ndarray, activations: int) -> SourceModel:
    torch.manual_seed(0)
    net = build({"family": "edge", "channels": 8, "depth": 2, "scale": 2}).eval()
    model = to_integer(quantize(net, QuantizationConfig(weights=4, activations=activations), calibrate(net, [lr])))
    card = open_source("edge-m-x2", precision="int8").card
    return SourceModel("net.safetensors", card, integer_graph(model), lambda lr: upscale_integer(model, lr), model)


def test_activations_of_4_bits_are_not_for_the_edge_tpu(tmp_path, lr) -> None:
    with pytest.raises(ModelError, match=r"activations of 4 bits.*quantize the activations to 8 bits"):
        tflite_int8(with_few_bits(lr, 4), tmp_path, Options((48, 40)))
    with pytest.raises(ModelError, match="activations of 4 bits"):
        export_board(with_few_bits(lr, 4), load_board("coral-dev-board"), tmp_path / "coral")
    assert not list(tmp_path.iterdir())
    assert tflite_int8(with_few_bits(lr, 4), tmp_path, Options())[0].size is None
    assert tflite_int8(with_few_bits(lr, 8), tmp_path, Options((48, 40)))[0].size == (48, 40)


def test_each_kind_wants_its_own_source(tmp_path) -> None:
    with pytest.raises(ModelError, match="sharpline compress"):
        tflite_int8(open_source("edge-s-x4", precision="fp32"), tmp_path, Options())
    with pytest.raises(ModelError, match="is not a plain stack in FP32"):
        tflite_fp32(open_source("edge-s-x4", precision="int8"), tmp_path, Options())
    assert not list(tmp_path.iterdir())
