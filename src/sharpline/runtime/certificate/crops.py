"""Crops of the patches that lost most, side by side, as pictures inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import onnx
from PIL import Image

from sharpline.pixels.depth import convert_depth
from sharpline.pixels.picture import Array
from sharpline.runtime.certificate.scoring import PATCH, Place
from sharpline.runtime.evaluation import as_seen, sample, sees_luma
from sharpline.runtime.interpolation import interpolate
from sharpline.runtime.upscaler import Upscaler

_SIDE = 2 * PATCH  # of a crop in HR pixels
_ZOOM = 3


def crops(name: str, places: Sequence[Place], before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    """Rows of crops: bicubic, before, after, original and the difference of before and after, times 8.

    Args:
        name: of the set.
        places: the patches.
        before: makes the second picture.
        after: makes the third.
    """
    old, new = Upscaler(before), Upscaler(after)
    bicubic = Upscaler("bicubic", scale=old.scale)
    rows = []
    for place in places:
        lr, hr = sample(place.path, old.scale, luma_only=sees_luma(old))
        pictures = [
            ("bicubic", interpolate(lr, bicubic.card)),
            ("before", old(as_seen(old, lr))),
            ("after", new(as_seen(new, lr))),
            ("original", hr),
        ]
        shown = [(words, _cut(picture, place)) for words, picture in pictures]
        change = np.abs(shown[2][1].astype(int) - shown[1][1]) * 8
        shown.append(("before - after, x 8", np.minimum(change, 255).astype(np.uint8)))
        cells = "".join(f"<figure>{_inline(crop)}<figcaption>{words}</figcaption></figure>" for words, crop in shown)
        where = f"{place.path.stem}, at {place.left}, {place.top}"
        rows.append(f'<p class="note">{escape(name)}: {escape(where)}</p><div class="crops">{cells}</div>')
    return "".join(rows)


def _cut(picture: Array, place: Place) -> Array:
    image = convert_depth(np.clip(picture, 0, 1) if picture.dtype == np.float32 else picture, np.uint8)
    top, left = (
        max(0, min(start - (_SIDE - PATCH) // 2, size - _SIDE))
        for start, size in zip((place.top, place.left), image.shape[:2], strict=True)
    )
    return image[top : top + _SIDE, left : left + _SIDE]


def _inline(crop: Array) -> str:
    image = Image.fromarray(crop if crop.shape[2] == 3 else crop[:, :, 0])
    file = io.BytesIO()
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<img width="{_ZOOM * image.width}" height="{_ZOOM * image.height}" alt="" src="data:image/png;base64,{data}">'
    )
