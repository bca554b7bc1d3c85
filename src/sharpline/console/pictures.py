"""Makes of a result what a browser is sent. Functions of the result alone, so that browsers can share their work."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from sharpline.console.messages import Part, Window
from sharpline.line.frame import Result, clear
from sharpline.line.guard import BLOCK, consistency_map
from sharpline.pixels.codecs.png_writing import write_png
from sharpline.pixels.imresize import imresize
from sharpline.pixels.picture import Picture

Array = npt.NDArray[Any]

HEAT_STEPS = 4  # the map's bytes count quarters of a level
_CAMERA_QUALITY = 98  # what the page enlarges must not carry visible blocks of its own
_BLURRED = 0.85  # the page may enlarge by 1 / 0.85 what it gets, rather than be sent four times as many pixels
_SUPPORT = 3  # camera pixels around a crop that its enlargement reads


def reduction(scale: int, width: int, wanted: int) -> int:
    """By how much the enlarged picture is shrunk for the screen: as far as it loses nothing there.

    Only factors at which both pictures stay aligned to the pixel: divisors of the scale, and its multiples.

    Args:
        scale: Enlargement of the result.
        width: Its width.
        wanted: Width on the screen.

    Example:
        >>> [reduction(4, 2560, wanted) for wanted in (2000, 1280, 660, 300)]
        [1, 2, 4, 8]
    """
    factors = [k for k in range(1, scale) if scale % k == 0] + [scale * m for m in range(1, 17)]
    return max((k for k in factors if width >= _BLURRED * wanted * k), default=1)


def upscaled(result: Result, k: int, quality: int) -> Part:
    """The enlarged picture, shrunk ``k`` times (means of k x k pixels), as JPEG.

    Args:
        result: What is shown.
        k: From :func:`reduction`.
        quality: Of the JPEG, 90..100; colours in full resolution.
    """
    return _jpeg("sr", _shrunk(clear(result.sr), k), quality)


def camera(result: Result, k: int, quality: int | None) -> Part:
    """The camera's frame as JPEG, for the page to enlarge to the size of :func:`upscaled`.

    Args:
        result: What is shown.
        k: As for the enlarged picture; over the scale, the frame is shrunk too.
        quality: Given where the browser cannot enlarge (no graphics processor): it is enlarged here (bicubic, Keys,
            a = -0.5), and sent at that quality. None sends the small frame, nearly without loss.
    """
    frame = _shrunk(clear(result.frame.image), max(1, k // result.scale))
    factor = max(1, result.scale // k)
    if quality is not None and factor > 1:
        size = (frame.shape[1] * factor, frame.shape[0] * factor)
        frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
    return _jpeg("camera", frame, _CAMERA_QUALITY if quality is None else quality)


def loupe(result: Result, window: Window) -> list[Part]:
    """The pixels of a window, without loss: of the enlarged picture, and of the frame by bicubic (``imresize``).

    Args:
        result: What is shown.
        window: Moved and cut so that it lies in the picture.
    """
    height, width = result.sr.shape[:2]
    w, h = min(window.width, width), min(window.height, height)
    x, y = min(window.x, width - w), min(window.y, height - h)
    place = {"x": x, "y": y, "width": w, "height": h}
    return [
        Part("loupe_sr", "image/png", _png(result.sr[y : y + h, x : x + w]), place),
        Part("loupe_camera", "image/png", _png(_bicubic(result, x, y, w, h)), place),
    ]


def _bicubic(result: Result, x: int, y: int, width: int, height: int) -> Array:
    """A window of the frame enlarged by bicubic, without enlarging the rest."""
    scale, frame = result.scale, result.frame.image
    left, top = max(0, x // scale - _SUPPORT), max(0, y // scale - _SUPPORT)
    part = frame[top : -(-(y + height) // scale) + _SUPPORT, left : -(-(x + width) // scale) + _SUPPORT]
    large = imresize(part, scale)
    x, y = x - left * scale, y - top * scale
    return large[y : y + height, x : x + width]


def heat(result: Result) -> Part:
    """Where the result says something else than the camera saw: :func:`~sharpline.line.guard.consistency_map`.

    Args:
        result: An enlarged frame.

    Returns:
        A byte a block of 8 x 8 camera pixels, row after row, in quarters of a level of 255; 255 stands for all above.
    """
    levels = consistency_map(result.frame.image, result.sr)
    data = np.clip(np.rint(levels * HEAT_STEPS), 0, 255).astype(np.uint8)
    rows, columns = data.shape
    facts = {
        "columns": columns,
        "rows": rows,
        "steps": HEAT_STEPS,
        "block": BLOCK * result.scale,
        "largest": round(float(levels.max()), 2),
        "number": result.frame.number,
    }
    return Part("heat", "application/octet-stream", data.tobytes(), facts)


def _shrunk(image: Array, k: int) -> Array:
    return image if k == 1 else np.asarray(Image.fromarray(image).reduce(k))


def _jpeg(kind: str, image: Array, quality: int) -> Part:
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, "RGB", "444")
    return Part(kind, "image/jpeg", data, {"width": image.shape[1], "height": image.shape[0]})


def _png(image: Array) -> bytes:
    file = io.BytesIO()
    write_png(file, Picture(np.ascontiguousarray(clear(image))))
    return file.getvalue()
