"""Raw pictures, as cameras and commands write them, to H x W x C arrays. Names are FFmpeg's, or common ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sharpline.line.frame import Array
from sharpline.line.sources.camera import CameraError

_COMMON_NAMES = {
    "gray": "gray8",
    "grey8": "gray8",
    "yuyv": "yuyv422",
    "yuy2": "yuyv422",
    "uyvy": "uyvy422",
    "i420": "yuv420p",
    "bgrx": "bgr0",
    "rgbx": "rgb0",
}


@dataclass(frozen=True)
class PixelFormat:
    """How a raw picture lies in memory.

    Attributes:
        bits: Of a picture, a pixel.
        depth: 8 or 16 bits a sample.
        row: A row, of a plane, has this many bytes for each pixel, at the least; GStreamer pads rows to 4 bytes.
        decode: (bytes as uint8 or uint16, width, height) -> H x W x C, RGB order.
    """

    bits: int
    depth: int
    row: float
    decode: Callable[[Array, int, int], Array]

    def size(self, width: int, height: int) -> int:
        """Bytes of a picture."""
        return width * height * self.bits // 8


def format_of(name: str) -> PixelFormat:
    """The format of that name.

    Raises:
        ValueError: there is none; the message has the known names.

    Example:
        >>> format_of("yuyv").size(640, 480)
        614400
    """
    try:
        return _FORMATS[canonical(name)]
    except KeyError:
        raise ValueError(f"no pixel format {name!r}; known are {', '.join([*_FORMATS, *_COMMON_NAMES])}") from None


def canonical(name: str) -> str:
    """The name that FFmpeg has for it.

    Example:
        >>> canonical("YUYV")
        'yuyv422'
    """
    return _COMMON_NAMES.get(name.lower(), name.lower())


def decode(raw: Array, name: str, width: int, height: int, bits: int = 16) -> Array:
    """A raw picture as an array.

    Args:
        raw: uint8, as many as :meth:`PixelFormat.size` says.
        name: a format.
        width: in pixels.
        height: in pixels.
        bits: of formats with 16-bit samples: how many of them are used, from the lowest on (a 12-bit camera: 12).
            They are spread over the whole range of uint16.

    Returns:
        H x W x 1 or H x W x 3 (RGB), uint8 or uint16.

    Raises:
        CameraError: no such format, too few bytes, or a colour format without PyAV.

    Example:
        >>> decode(np.array([0, 1, 2, 3, 4, 5], np.uint8), "bgr24", 2, 1).tolist()
        [[[2, 1, 0], [5, 4, 3]]]
        >>> decode(np.array([0xFF, 0x0F], np.uint8), "gray16le", 1, 1, bits=12).tolist()
        [[[65535]]]
    """
    try:
        layout = format_of(name)
    except ValueError as error:
        raise CameraError(str(error)) from None
    if raw.size != layout.size(width, height):
        raise CameraError(f"{raw.size} bytes are no {width} x {height} picture of {name}", damaged=1)
    samples = raw if layout.depth == 8 else widen(raw.view("<u2"), bits)
    return layout.decode(samples, width, height)


def widen(samples: Array, bits: int) -> Array:
    """Samples of 9 to 16 bits spread over the range of 16; 0 stays 0, full becomes full.

    Example:
        >>> widen(np.array([0, 512, 1023], np.uint16), 10).tolist()
        [0, 32800, 65535]
    """
    return samples if bits == 16 else (samples << (16 - bits)) | (samples >> (2 * bits - 16))


def _plain(channels: int, order: tuple[int, ...]) -> Callable[[Array, int, int], Array]:
    def take(samples: Array, width: int, height: int) -> Array:
        packed = samples.reshape(height, width, channels)
        if order == tuple(range(channels)):
            return packed
        image = np.empty((height, width, len(order)), packed.dtype)
        for place, channel in enumerate(order):  # 2 ms at 1080p; one copy with a reversed axis takes 67
            image[:, :, place] = packed[:, :, channel]
        return image

    return take


def _by_ffmpeg(name: str, rows: Callable[[int, int], tuple[int, ...]]) -> Callable[[Array, int, int], Array]:
    def convert(samples: Array, width: int, height: int) -> Array:
        try:
            from av import VideoFrame
        except ImportError:
            raise CameraError(f"pictures of {name} need PyAV: pip install 'sharpline[line]'") from None
        frame = VideoFrame.from_ndarray(samples.reshape(rows(width, height)), format=name)
        image: Array = frame.to_ndarray(format="rgb48le" if samples.dtype == np.uint16 else "rgb24")
        return image

    return convert


def _swapped(samples: Array, width: int, height: int) -> Array:
    """uyvy422, which PyAV does not take from arrays: its bytes in pairs the other way round are yuyv422."""
    return _yuyv(np.ascontiguousarray(samples.reshape(-1, 2)[:, ::-1]), width, height)


def _planar(width: int, height: int) -> tuple[int, ...]:
    return height * 3 // 2, width


_yuyv = _by_ffmpeg("yuyv422", lambda width, height: (height, width, 2))
_GREY, _RGB, _BGR = (0,), (0, 1, 2), (2, 1, 0)
_FORMATS = {
    "gray8": PixelFormat(8, 8, 1, _plain(1, _GREY)),
    "gray16le": PixelFormat(16, 16, 2, _plain(1, _GREY)),
    "rgb24": PixelFormat(24, 8, 3, _plain(3, _RGB)),
    "bgr24": PixelFormat(24, 8, 3, _plain(3, _BGR)),
    "rgb0": PixelFormat(32, 8, 4, _plain(4, _RGB)),
    "bgr0": PixelFormat(32, 8, 4, _plain(4, _BGR)),
    "rgb48le": PixelFormat(48, 16, 6, _plain(3, _RGB)),
    "yuyv422": PixelFormat(16, 8, 2, _yuyv),
    "uyvy422": PixelFormat(16, 8, 2, _swapped),
    "nv12": PixelFormat(12, 8, 1, _by_ffmpeg("nv12", _planar)),
    "yuv420p": PixelFormat(12, 8, 0.5, _by_ffmpeg("yuv420p", _planar)),
    **{
        f"bayer_{tile}{suffix}": PixelFormat(
            depth, depth, depth / 8, _by_ffmpeg(f"bayer_{tile}{suffix}", lambda width, height: (height, width))
        )
        for tile in ("rggb", "bggr", "gbrg", "grbg")
        for depth, suffix in ((8, "8"), (16, "16le"))
    },
}
