"""What quantization is told, and what it refuses before any work."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.compression.quantization import (  # noqa: E402
    QuantizationConfig,
    bits_of,
    calibrate,
    calibration_pictures,
    parse_quantization,
    quantize_traced,
)
from sharpline.lab.networks import build  # noqa: E402

NAMES = ["head", "body.0", "body.1", "tail"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": 3}, "weights: Input should be 1, 2, 4 or 8"),
        ({"activations": 2}, "activations: Input should be 4 or 8"),
        ({"layers": {"body.*": {"weights": 16}}}, "layers"),
        ({"clippin": "mse"}, "did you mean 'clipping'"),
        ({"clipping": "entropy"}, "minmax"),
        ({"percentile": 0}, "percentile"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_quantization(settings)
    assert "\n" not in str(caught.value)


def test_first_and_last_layer_keep_eight_bits_unless_named() -> None:
    config = parse_quantization({"weights": 2, "activations": 4})
    assert bits_of(NAMES, config) == [(8, 8), (2, 4), (2, 4), (8, 8)]
    config = parse_quantization({"weights": 2, "layers": {"body.*": {"weights": 4}, "body.1": {"activations": 4}}})
    assert bits_of(NAMES, config) == [(8, 8), (4, 8), (4, 4), (8, 8)]
    config = parse_quantization({"layers": {"tail": {"activations": 4}}})
    assert bits_of(NAMES, config)[-1] == (8, 4)


def test_a_pattern_that_fits_nothing_names_the_nearest_layer() -> None:
    with pytest.raises(UsageError, match=r"no layer is called 'body.7'.*did you mean 'body\.[01]'"):
        bits_of(NAMES, parse_quantization({"layers": {"body.7": {"weights": 4}}}))


def test_the_picture_has_eight_bits() -> None:
    with pytest.raises(UsageError, match="picture, which has 8 bits"):
        bits_of(NAMES, parse_quantization({"layers": {"*": {"activations": 4}}}))


def test_calibration_needs_pictures(tmp_path, edge) -> None:
    with pytest.raises(UsageError, match="no pictures"):
        calibration_pictures(tmp_path, 4)
    with pytest.raises(UsageError, match="not a folder"):
        calibration_pictures(tmp_path / "nowhere", 4)
    with pytest.raises(UsageError, match="no pictures"):
        calibrate(edge(), [])


def test_other_families_have_no_integer_form_but_an_int8_one() -> None:
    net = build({"family": "edsr", "scale": 2, "channels": 4, "blocks": 1}).eval()
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match="edsr are no plain stacks"):
        calibrate(net, [picture])
    with pytest.raises(UsageError, match="INT8 form only"):
        quantize_traced(onnx.ModelProto(), [picture], QuantizationConfig(weights=4))
    with pytest.raises(UsageError, match="no pictures"):
        quantize_traced(onnx.ModelProto(), [], QuantizationConfig())
