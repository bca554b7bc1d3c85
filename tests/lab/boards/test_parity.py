"""The gate lets a faithful file through, and says of a broken one what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from broken_exports import BYTE_ENDS, FLOAT_ENDS, broken  # noqa: E402
from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards.made import Made, Options, SourceModel  # noqa: E402
from sharpline.lab.boards.onnx_formats import onnx_fp32, onnx_int8  # noqa: E402
from sharpline.lab.boards.parity import gate, limits_for, pictures  # noqa: E402
from sharpline.lab.boards.source import open_source  # noqa: E402

FLOATS = Options(opset=13, ends="float32")


@pytest.fixture(scope="module")
def source() -> SourceModel:
    return open_source("edge-s-x4", precision="fp32")


@pytest.mark.parametrize("options", [Options(), FLOATS, replace(FLOATS, size=(80, 64))], ids=str)
def test_a_faithful_file_passes(tmp_path: Path, source: SourceModel, options: Options) -> None:
    made = onnx_fp32(source, tmp_path, options)[0]
    parity = gate(made, source)
    assert parity.psnr > 60
    assert parity.equal > 0.999
    assert parity.largest <= 1
    assert abs(parity.shift) < 0.01
    assert len(parity.shifts) == 3


@pytest.mark.parametrize("kind", FLOAT_ENDS)
def test_a_broken_file_is_refused_with_the_right_words(tmp_path: Path, source: SourceModel, kind: str) -> None:
    harm, words = FLOAT_ENDS[kind]
    made = broken(harm)(source, tmp_path, FLOATS)[0]
    with pytest.raises(ModelError, match=words) as refusal:
        gate(made, source)
    assert "\n" not in str(refusal.value)
    assert made.file in str(refusal.value)


@pytest.mark.parametrize("kind", BYTE_ENDS)
def test_a_broken_file_of_bytes_is_refused_too(tmp_path: Path, source: SourceModel, kind: str) -> None:
    harm, words = BYTE_ENDS[kind]
    made = broken(harm)(source, tmp_path, Options())[0]
    with pytest.raises(ModelError, match=words):
        gate(made, source)


def test_seams_are_seen(tmp_path: Path, source: SourceModel) -> None:
    made = onnx_fp32(source, tmp_path, FLOATS)[0]
    card = source.card.model_copy(update={"receptive_field": 0})  # tiles without a halo
    with pytest.raises(ModelError, match="seams at tile borders"):
        gate(made, replace(source, card=card))


def test_a_network_that_sees_the_whole_picture_is_cut_as_its_file_is(source: SourceModel) -> None:
    """Its card has a tile_error: in tiles the network differs from itself, which is no fault of the file."""

    def darkened(lr: np.ndarray) -> np.ndarray:
        return np.clip(source.upscale(lr).astype(int) - lr.mean().astype(int) // 4, 0, 255).astype(np.uint8)

    made = Made("net.onnx", "onnx-fp32", "fp32", "here", darkened)
    with pytest.raises(ModelError, match="not written"):
        gate(made, replace(source, upscale=darkened))
    card = source.card.model_copy(update={"tile_error": 9.0})
    assert gate(made, replace(source, upscale=darkened, card=card)).largest == 0
    with pytest.raises(ModelError, match="not written"):
        gate(replace(made, runner=source.upscale), replace(source, upscale=darkened, card=card))


def test_an_integer_network_and_its_float_twin(tmp_path: Path) -> None:
    source = open_source("edge-s-x4", precision="int8")
    same = gate(onnx_int8(source, tmp_path, Options())[0], source)
    assert (same.largest, same.equal) == (0, 1.0)
    twin = onnx_fp32(source, tmp_path, FLOATS)[0]
    assert "float twin" in twin.notes[0]
    assert limits_for(twin, source.card).psnr < 60
    near = gate(twin, source)
    assert near.psnr > 42
    assert near.largest > 0


def test_pictures_are_real_and_reach_black_and_white(source: SourceModel) -> None:
    for size in (None, (300, 200)):
        shown = pictures(source.card, size)
        assert {p.dtype for p in shown} == {np.dtype(np.uint8)}
        assert any(p.min() == 0 and p.max() == 255 for p in shown)
        neighbours = [np.abs(np.diff(p.astype(int), axis=1)).mean() for p in shown]
        assert max(neighbours) < 30  # noise has 85
    field = source.card.receptive_field  # each takes two windows, with no more than the halo between them
    assert [p.shape[:2] for p in shown] == [(200, 600 - 2 * field), (400 - 2 * field, 300)]
