"""Zero-shot: learns from the picture alone, keeps its kind, says when there is too little of it."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from skimage import data as pictures

from sharpline.errors import ImageError
from sharpline.lab.zero_shot import ZeroShot, default_recipe
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import psnr_y


def quick(scale: int, steps: int) -> ZeroShot:
    recipe = default_recipe()
    network = {**recipe.network, "channels": 16, "depth": 3}
    return ZeroShot(scale, recipe=recipe.model_copy(update={"steps": steps, "network": network}))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_kind_of_picture(dtype: type, channels: int) -> None:
    lr = convert_depth(pictures.astronaut()[100:141, 200:247, :channels], dtype)
    steps: list[tuple[int, int]] = []
    sr = quick(2, 2)(np.ascontiguousarray(lr), progress=lambda done, total: steps.append((done, total)))
    assert sr.shape == (82, 94, channels)
    assert sr.dtype == dtype
    assert steps == [(1, 2), (2, 2)]
    assert quick(2, 2)(lr[:, :, 0]).shape == (82, 94)  # alpha


def test_too_small_a_picture() -> None:
    with pytest.raises(ImageError, match=r"15 x 40 pixels is too small to learn from: at least 16 x 16"):
        quick(4, 2)(np.zeros((40, 15, 3), np.uint8))


def test_four_times_is_twice_two_times() -> None:
    lr = np.ascontiguousarray(pictures.astronaut()[100:140, 200:248])
    assert quick(4, 2)(lr).shape == (160, 192, 3)


def test_ctrl_c_ends_it_at_once() -> None:
    steps: list[int] = []

    def interrupt(done: int, total: int) -> None:
        steps.append(done)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what runs in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            quick(2, 50)(np.ascontiguousarray(pictures.astronaut()[100:140, 200:240]), progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == [1]


@pytest.mark.slow
def test_it_beats_bicubic() -> None:
    hr = np.ascontiguousarray(pictures.astronaut()[:256, 100:356])
    lr = imresize(hr, 0.5)
    assert psnr_y(quick(2, 300)(lr), hr, 2) > psnr_y(imresize(lr, 2), hr, 2) + 0.5
