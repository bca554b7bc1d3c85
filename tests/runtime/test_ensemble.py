import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from networks_onnx import random_network
from sharpline.runtime.ensemble import SelfEnsemble
from sharpline.runtime.upscaler import Upscaler


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler(random_network(2, "rgb", 3), threads=1)


def _image(height, width, dtype=np.uint8, seed=0):
    image = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    return image if dtype == np.float32 else (image * np.iinfo(dtype).max).astype(dtype)


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    turns=st.integers(0, 3),
    mirrored=st.booleans(),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_turning_before_is_turning_after(upscaler, height, width, turns, mirrored, dtype):
    def turn(image):
        return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, turns))

    upscale = SelfEnsemble(upscaler)
    image = _image(height, width, dtype)
    before, after = upscale(turn(image)), turn(upscale(image))
    assert before.dtype == dtype
    assert before.shape == after.shape
    level = 1e-5 if dtype == np.float32 else 1
    assert np.abs(before.astype(float) - after).max() <= level


def test_the_network_alone_does_not_keep_that_law(upscaler):
    image = _image(12, 12)
    difference = upscaler(np.ascontiguousarray(image[:, ::-1])).astype(int) - upscaler(image)[:, ::-1]
    assert np.abs(difference).max() > 3


def test_it_is_the_mean_of_eight_rounded_once(upscaler):
    image = _image(9, 11)
    floats = image.astype(np.float32) / np.float32(255)
    total = np.zeros((18, 22, 3))
    for mirrored in (False, True):
        for flipped in (False, True):
            for transposed in (False, True):
                turned = floats[:: -1 if flipped else 1, :: -1 if mirrored else 1]
                sr = upscaler(np.ascontiguousarray(turned.swapaxes(0, 1) if transposed else turned))
                sr = sr.swapaxes(0, 1) if transposed else sr
                total += sr[:: -1 if flipped else 1, :: -1 if mirrored else 1]
    expected = np.rint(total / 8 * 255)
    found = SelfEnsemble(upscaler)(image)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 1e-2
