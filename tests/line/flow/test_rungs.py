"""The ways of enlarging: which there are, what they make, where the model's time goes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import sharpline
from sharpline.errors import ModelError, UsageError
from sharpline.line.assembly import make_rungs
from sharpline.line.config import parse_line
from sharpline.line.flow.rungs import bicubic, ladder_of, make_rung, model_hash
from sharpline.pixels.imresize import imresize
from sharpline.runtime.catalog import precisions_of
from sharpline.runtime.upscaler import Upscaler
from staged_line import frame

PHOTO = np.ascontiguousarray(data.astronaut()[100:160, 200:280])


def rung(name: str, **more: object):
    return make_rung(name, 4, **{"threads": 1, "regions": {}, "tile": 0, "noise": 0, **more})


def test_the_ladder_of_a_model_is_known_without_being_configured() -> None:
    assert ladder_of("edge-m-x4", None) == ["edge-m-x4", "edge-s-x4", "bicubic", "passthrough"]
    assert ladder_of("edge-s-x4", None) == ["edge-s-x4", "bicubic", "passthrough"]
    assert ladder_of("bicubic", None) == ["bicubic", "passthrough"]
    assert ladder_of("edge-m-x4", []) == ["edge-m-x4"]
    assert ladder_of("edge-m-x4", ["bicubic"]) == ["edge-m-x4", "bicubic"]


@pytest.mark.parametrize(
    ("model", "ladder", "error"),
    [
        ("edge-m-x4", ["edge-m-x2"], UsageError),
        ("edge-m-x4", ["edge-m-x4"], UsageError),
        ("edge-m-x4", ["bicubic", "bicubic"], UsageError),
        ("edge-m-x4", ["edge-q-x4"], ModelError),
        ("edge-q-x4", None, ModelError),
    ],
)
def test_a_ladder_that_cannot_be_meant_is_refused(model: str, ladder: list[str] | None, error: type) -> None:
    with pytest.raises(error):
        ladder_of(model, ladder)


def test_the_hash_is_that_of_the_file_in_its_precision() -> None:
    file = Path(sharpline.__file__).parent / "runtime" / "models" / "edge-s-x4.onnx"
    assert model_hash("edge-s-x4", "fp32") == hashlib.sha256(file.read_bytes()).hexdigest()
    for precision in precisions_of("edge-s-x4"):
        made = rung("edge-s-x4", precision=precision, engine="ort")
        assert made.computed == f"{precision}, ort"
        assert made.model_hash == model_hash("edge-s-x4", precision)
        assert made.enlarge(frame(image=PHOTO))[0].shape == (240, 320, 3)


def test_an_engine_or_precision_that_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="unknown engine 'abacus'"):
        rung("edge-s-x4", engine="abacus")
    with pytest.raises(UsageError, match="int8"):
        make_rungs(parse_line({"model": "lanczos", "precision": "int8"}))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_quick_bicubic_is_bicubic(channels: int) -> None:
    lr = np.ascontiguousarray(PHOTO[:, :, :channels])
    difference = np.abs(bicubic(lr, 4).astype(int) - imresize(lr, 4))[8:-8, 8:-8]  # borders: mirrored or not
    assert difference.max() <= 2
    assert bicubic(lr.astype(np.uint16) * 257, 4).dtype == np.uint16


def test_passthrough_is_the_frame_itself() -> None:
    lr = frame(image=PHOTO)
    assert rung("passthrough").enlarge(lr)[0] is lr.image


def test_a_region_is_the_models_and_the_rest_is_bicubic() -> None:
    lr, region = frame(image=PHOTO), (20, 10, 30, 25)
    sr, _ = rung("edge-s-x4", regions={"cam1": [region]}, tile=16).enlarge(lr)
    model, cheap = Upscaler("edge-s-x4", threads=1)(PHOTO), bicubic(PHOTO, 4)
    inside = np.zeros(sr.shape[:2], bool)
    inside[40:140, 80:200] = True
    assert np.abs(sr[inside].astype(int) - model[inside]).max() <= 1
    np.testing.assert_array_equal(sr[~inside], cheap[~inside])
    assert np.abs(model[inside].astype(int) - cheap[inside]).max() > 5


@pytest.mark.parametrize("region", [(0, 0, 80, 60), (60, 40, 500, 500), (0, 0, 1, 1), (79, 59, 1, 1)])
def test_a_region_at_the_border_is_as_the_whole_picture_has_it(region: tuple[int, int, int, int]) -> None:
    sr, _ = rung("edge-s-x4", regions={"cam1": [region]}).enlarge(frame(image=PHOTO))
    x, y, w, h = region
    part = (slice(4 * y, 4 * min(60, y + h)), slice(4 * x, 4 * min(80, x + w)))
    model = Upscaler("edge-s-x4", threads=1)(PHOTO)
    assert np.abs(sr[part].astype(int) - model[part]).max() <= 1


def test_a_region_beyond_the_picture_is_said() -> None:
    with pytest.raises(UsageError, match=r"region.*80 x 60"):
        rung("edge-s-x4", regions={"cam1": [(90, 5, 10, 10)]}).enlarge(frame(image=PHOTO))


def test_regions_of_one_camera_do_not_touch_another() -> None:
    lr = frame("cam2", image=PHOTO)
    sr, _ = rung("edge-s-x4", regions={"cam1": [(0, 0, 5, 5)]}).enlarge(lr)
    np.testing.assert_array_equal(sr, Upscaler("edge-s-x4", threads=1)(PHOTO))
