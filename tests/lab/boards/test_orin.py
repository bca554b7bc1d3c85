"""What 7-bit activations cost on a photograph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import skimage.data

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ModelError
from sharpline.lab.boards.made import Options
from sharpline.lab.boards.orin import onnx_int8_orin
from sharpline.lab.boards.source import open_source
from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import psnr_y
from sharpline.runtime.boards.check import check_file
from sharpline.runtime.boards.profile import load_board
from sharpline.runtime.card import read_card


@pytest.mark.parametrize("name", ["edge-m-x2", "edge-m-x4", "edge-s-x4"])
def test_hardly_anything_is_lost(tmp_path, name) -> None:
    model = open_source(name, precision="int8")
    hr = np.ascontiguousarray(skimage.data.astronaut()[:256, 100:356])
    lr = imresize(hr, 1 / model.card.scale)
    (made,) = onnx_int8_orin(model, tmp_path, Options())
    sr = made.runner(lr)
    assert sr.dtype == np.uint8
    lost = psnr_y(model.upscale(lr), hr, model.card.scale) - psnr_y(sr, hr, model.card.scale)
    assert lost < 0.05
    assert np.abs(sr.astype(int) - model.upscale(lr)).max() < 25


def test_the_file_is_as_the_options_want_it(tmp_path) -> None:
    model = open_source("edge-s-x4", precision="int8")
    (made,) = onnx_int8_orin(model, tmp_path, Options((32, 24), 17, "float32"))
    file = onnx.load(tmp_path / made.file)
    assert [o.version for o in file.opset_import] == [17]
    shapes = [
        [d.dim_value for d in end.type.tensor_type.shape.dim] for end in (file.graph.input[0], file.graph.output[0])
    ]
    assert shapes == [[1, 24, 32, 3], [1, 96, 128, 3]]
    assert made.runner(np.zeros((24, 32, 3), np.uint8)).dtype == np.float32
    assert read_card(file).precision == "int8"
    assert not check_file(tmp_path / made.file, load_board("jetson-orin")).stops


def test_floats_are_sent_to_compression(tmp_path) -> None:
    with pytest.raises(ModelError, match="sharpline compress"):
        onnx_int8_orin(open_source("edge-s-x4", precision="fp32"), tmp_path, Options())
