"""A contact sheet: for each picture a piece of HR, the same piece of LR enlarged, and what was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sharpline.lab.data.degradation.folder import Job
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.picture import Array

ROWS = 12
"""Most pictures that a sheet shows."""

_PIECE, _TEXT, _GAP, _HEAD = 224, 372, 16, 84
_PAPER, _INK, _FAINT, _ACCENT = (250, 250, 248), (28, 30, 34), (120, 124, 130), (176, 84, 28)


def crop_side(scale: int) -> int:
    """Side in LR pixels of the pieces that a sheet shows."""
    return max(1, _PIECE // scale)


def contact_sheet(jobs: Sequence[Job], title: str, note: str) -> Array:
    """Draw the sheet.

    Args:
        jobs: with crops; the first ``ROWS`` of them are shown.
        title: of the sheet.
        note: a line below the title.

    Returns:
        uint8 [H, W, 3].
    """
    shown = [job for job in jobs if job.crops is not None][:ROWS]
    width = 2 * _PIECE + _TEXT + 4 * _GAP
    sheet = Image.new("RGB", (width, _HEAD + len(shown) * (_PIECE + _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    columns = [_GAP, 2 * _GAP + _PIECE, 3 * _GAP + 2 * _PIECE]
    draw.text((_GAP, 12), title, _INK, ImageFont.load_default(22))
    draw.text((_GAP, 40), note, _FAINT, ImageFont.load_default(13))
    for left, words in zip(columns, ("HR", "LR, each pixel enlarged", "drawn"), strict=True):
        draw.text((left, _HEAD - 20), words, _FAINT, ImageFont.load_default(13))
    for row, job in enumerate(shown):
        top = _HEAD + row * (_PIECE + _GAP)
        assert job.crops is not None
        for left, pixels in zip(columns, job.crops, strict=False):
            piece = _piece(pixels)
            sheet.paste(piece, (left, top))
        _describe(draw, job, columns[2], top)
    return np.asarray(sheet)


def _piece(pixels: Array) -> Image.Image:
    """Enlarge by whole pixels to the side of a piece, or as near as fits."""
    rgb = np.broadcast_to(convert_depth(pixels, np.uint8), (*pixels.shape[:2], 3))
    times = max(1, _PIECE // max(pixels.shape[:2]))
    return Image.fromarray(np.ascontiguousarray(rgb.repeat(times, 0).repeat(times, 1)))


def _describe(draw: ImageDraw.ImageDraw, job: Job, left: int, top: int) -> None:
    """The name, the sizes and one line a step, those that do not fit left out with a note."""
    font, y = ImageFont.load_default(13), top + 42
    draw.text((left, top), _shortened(draw, job.name, ImageFont.load_default(15)), _INK, ImageFont.load_default(15))
    sizes = [f"{size[0]} x {size[1]}" for size in (job.hr_size, job.lr_size) if size is not None]
    draw.text((left, top + 20), " to ".join(sizes), _FAINT, font)
    room = (_PIECE - 42) // 18
    for number, step in enumerate(job.drawn):
        if number == room - 1 and len(job.drawn) > room:
            draw.text((left, y), f"and {len(job.drawn) - number} more", _FAINT, font)
            return
        draw.text((left, y), str(step["kind"]), _ACCENT, font)
        values = "  ".join(_value(key, value) for key, value in step.items() if key != "kind")
        x = left + draw.textlength(f"{step['kind']}  ", font)
        draw.text((x, y), _shortened(draw, values, font, int(left + _TEXT - x)), _INK, font)
        y += 18


def _value(key: str, value: float | str) -> str:
    return value if isinstance(value, str) else f"{key.replace('_', ' ')} {value:.3g}"


def _shortened(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, room: int = _TEXT
) -> str:
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(text + "...", font) > room:
        text = text[:-1]
    return text + "..."
