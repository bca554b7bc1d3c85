import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpline.line.sources.camera import CameraError
from sharpline.line.sources.pixelformats import decode, format_of, widen


@given(st.integers(9, 16))
def test_used_bits_are_spread_over_sixteen(bits):
    samples = np.arange(1 << bits, dtype=np.uint16)
    wide = widen(samples, bits).astype(np.int64)
    assert wide[0] == 0
    assert wide[-1] == 65535
    assert np.abs(wide - samples * (65535 / ((1 << bits) - 1))).max() <= 1
    assert (np.diff(wide) > 0).all()


@pytest.mark.parametrize("tile", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_filter_gives_its_colour(tile, depth):
    """A field of one colour behind each mosaic comes out as that colour, in RGB order."""
    full = (1 << depth) - 1
    colour = {"r": full * 3 // 4, "g": full // 2, "b": full // 4}
    mosaic = np.array([[colour[tile[2 * (y % 2) + x % 2]] for x in range(16)] for y in range(12)])
    raw = mosaic.astype("<u2" if depth == 16 else np.uint8).reshape(-1).view(np.uint8)
    image = decode(raw, f"bayer_{tile}{depth if depth == 8 else '16le'}", 16, 12)
    assert image.shape == (12, 16, 3)
    assert np.abs(image[4:-4, 4:-4].astype(int) - list(colour.values())).max() <= 1


def test_a_mosaic_of_ten_bits():
    raw = np.full(16 * 12, 1023, np.uint16).view(np.uint8)
    image = decode(raw, "bayer_rggb16le", 16, 12, bits=10)
    assert image.dtype == np.uint16
    assert image.min() > 65000


def test_names_and_sizes():
    assert format_of("I420").size(16, 12) == 288
    assert format_of("bayer_gbrg16le").size(16, 12) == 384
    with pytest.raises(ValueError, match="no pixel format 'rgb25'"):
        format_of("rgb25")
    with pytest.raises(CameraError, match="no pixel format"):
        decode(np.zeros(4, np.uint8), "p010", 2, 1)
    with pytest.raises(CameraError, match="5 bytes are no 2 x 1"):
        decode(np.zeros(5, np.uint8), "rgb24", 2, 1)
