"""Which pictures run on bytes, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compiled_c import compiled_in_c, picture, saved_model, small_model
from sharpline import Upscaler
from sharpline.pixels.picture import Picture
from sharpline.pixels.writing import write_image
from sharpline.runtime.batch import upscale_files
from sharpline.runtime.integer import IntegerModel, network_digest, upscale_integer
from sharpline.runtime.libraries import library_of, list_of, write_libraries
from sharpline.runtime.network import Network
from sharpline.runtime.processor import fitting_targets
from sharpline.runtime.targets import plan


@pytest.fixture
def compiled(tmp_path: Path):
    """Saves a model with a library for this processor."""
    fitting = fitting_targets()
    if not fitting:
        pytest.skip("no compiled variant is for this processor")

    def make(model: IntegerModel) -> Upscaler:
        file = saved_model(model, tmp_path / "small.int8.onnx")
        library = compiled_in_c(model, library_of(file, fitting[0]), fitting[0])
        write_libraries(list_of(file), network_digest(model), [(fitting[0], library)])
        return Upscaler(file, engine="compiled")

    return make


def test_bytes_and_deeper_pictures(compiled) -> None:
    upscaler = compiled(small_model())
    lr = picture(6, 5)
    named = [upscaler.engine_for(each) for each in (lr, lr.astype(np.uint16), lr.astype(np.float32) / 255, lr[..., :1])]
    assert named == ["compiled", "ort", "ort", "ort"]


def test_luma_of_a_colour_picture_is_bytes_for_integers(compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model(1)
    upscaler = compiled(model)
    monkeypatch.setattr(Network, "run_levels", lambda *_: pytest.fail("ran in floats"))
    grey = np.repeat(picture(9, 8, 1), 3, axis=2)
    assert upscaler.engine_for(grey) == "compiled"
    levels = np.rint(16 + grey[..., :1] * (219 / 255)).astype(np.uint8)  # BT.601's luma of a grey
    expected = np.clip((upscale_integer(model, levels).astype(float) - 16) * (255 / 219), 0, 255)
    assert np.abs(upscaler(grey).astype(float) - expected).max() <= 1


def test_what_is_said_of_a_picture_is_what_ran_it(compiled, tmp_path: Path) -> None:
    upscaler, folder = compiled(small_model()), tmp_path / "in"
    folder.mkdir()
    for name, dtype in (("a", np.uint8), ("b", np.uint16)):
        write_image(folder / f"{name}.png", Picture(picture(6, 5).astype(dtype)))
    done = list(upscale_files(plan([str(folder)], str(tmp_path / "out"), upscaler.scale), upscaler))
    assert {outcome.job.source.stem: outcome.engine for outcome in done} == {"a": "compiled", "b": "ort"}
