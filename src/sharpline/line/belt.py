"""Draws a conveyor belt with parts on it, some of them with a small defect. Reproducible by its seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Array = npt.NDArray[Any]
Colour = tuple[int, int, int]
_FINE = 2  # parts are drawn this many times larger: Pillow's lines have no soft edges
_STEEL: tuple[Colour, ...] = ((168, 172, 178), (150, 150, 146), (190, 176, 128))
_CLEAR = (0, 0, 0, 0)


def _canvas(side: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (side, side), _CLEAR)
    return image, ImageDraw.Draw(image)


def _shade(colour: Colour, by: int) -> Colour:
    red, green, blue = (max(0, min(255, level + by)) for level in colour)
    return red, green, blue


def _disc(draw: ImageDraw.ImageDraw, middle: float, radius: float, fill: Sequence[int]) -> None:
    box = (middle - radius, middle - radius, middle + radius, middle + radius)
    draw.ellipse(box, fill=tuple(fill))


def washer(side: int, rng: random.Random, defect: bool) -> Image.Image:
    """A washer; the defect is a crack through its ring."""
    image, draw = _canvas(side)
    steel, middle, outer = rng.choice(_STEEL), side / 2, side * rng.uniform(0.36, 0.46)
    inner = outer * rng.uniform(0.42, 0.58)
    _disc(draw, middle, outer, _shade(steel, -45))
    _disc(draw, middle, outer * 0.95, steel)
    _disc(draw, middle - outer * 0.04, outer * 0.88, _shade(steel, 18))
    _disc(draw, middle, inner * 1.08, _shade(steel, -55))
    _disc(draw, middle, inner, _CLEAR)
    if defect:
        angle, bend = rng.uniform(0, 2 * math.pi), rng.uniform(-0.15, 0.15)
        ends = [(inner, angle), ((inner + outer) / 2, angle + bend), (outer, angle + bend / 2)]
        line = [(middle + r * math.cos(a), middle + r * math.sin(a)) for r, a in ends]
        draw.line(line, fill=(35, 32, 30), width=max(2, side // 55))
    return image


def screw(side: int, rng: random.Random, defect: bool) -> Image.Image:
    """A screw lying on its side; the defect is a piece without thread."""
    image, draw = _canvas(side)
    steel, middle, half = rng.choice(_STEEL), side / 2, side * 0.07
    left, right = side * 0.28, side * 0.94
    draw.rectangle((left, middle - half, right, middle + half), fill=_shade(steel, -12))
    draw.rectangle((left, middle - half, right, middle - half * 0.3), fill=_shade(steel, 30))
    pitch = side * 0.028
    bare = rng.uniform(0.4, 0.75) * side if defect else -side
    for number in range(int((right - left) / pitch)):
        x = left + number * pitch
        if not bare <= x <= bare + 0.14 * side:
            ends = (x, middle - half * 1.15, x + pitch * 0.6, middle + half * 1.15)
            draw.line(ends, fill=_shade(steel, -75), width=max(1, side // 90))
    draw.polygon(
        [(right, middle - half), (right + side * 0.05, middle), (right, middle + half)], fill=_shade(steel, -20)
    )
    draw.rounded_rectangle(
        (side * 0.08, middle - side * 0.17, left, middle + side * 0.17), radius=side * 0.05, fill=_shade(steel, -5)
    )
    draw.rectangle((side * 0.1, middle - side * 0.02, side * 0.19, middle + side * 0.02), fill=(50, 48, 46))
    return image


def board(side: int, rng: random.Random, defect: bool) -> Image.Image:
    """A small circuit board; the defect is a chip that is missing from its pads."""
    image, draw = _canvas(side)
    low, high = side * 0.1, side * 0.9
    draw.rounded_rectangle((low, low, high, high), radius=side * 0.03, fill=(22, rng.randint(78, 105), 52))
    for _ in range(14):
        x, y, length = rng.uniform(low, high), rng.uniform(low, high), rng.uniform(-0.3, 0.3) * side
        bend = (min(max(x + length, low), high), y, min(max(x + length, low), high), min(max(y + length, low), high))
        draw.line([(x, y), bend[:2], bend[2:]], fill=(52, 140, 84), width=max(1, side // 110))
    places = [(0.3, 0.32), (0.68, 0.3), (0.32, 0.7), (0.68, 0.68)]
    missing = rng.randrange(4) if defect else -1
    for number, (x, y) in enumerate(places):
        _chip(draw, side, (x * side, y * side), rng, soldered=number != missing)
    for corner in ((0.16, 0.16), (0.84, 0.84)):
        box = [(c - 0.03) * side for c in corner] + [(c + 0.03) * side for c in corner]
        draw.ellipse(box, fill=(200, 180, 96))
    return image


def _chip(
    draw: ImageDraw.ImageDraw, side: int, place: tuple[float, float], rng: random.Random, *, soldered: bool
) -> None:
    x, y = place
    w, h, pins = side * rng.uniform(0.08, 0.12), side * rng.uniform(0.07, 0.11), rng.randint(3, 6)
    for pin in range(pins):
        along = y - h + 2 * h * (pin + 0.5) / pins
        draw.rectangle((x - w * 1.35, along - h * 0.09, x + w * 1.35, along + h * 0.09), fill=(206, 206, 196))
    if soldered:
        draw.rectangle((x - w, y - h, x + w, y + h), fill=(26, 26, 30))
        draw.ellipse((x - w * 0.8, y - h * 0.8, x - w * 0.5, y - h * 0.5), fill=(90, 90, 96))
    else:
        draw.rectangle((x - w * 0.7, y - h, x + w * 0.7, y + h), fill=(24, 84, 50))


PARTS: tuple[Callable[[int, random.Random, bool], Image.Image], ...] = (washer, screw, board)


def belt(width: int, height: int, seed: int, faulty: float = 0.25) -> Array:
    """A belt whose ends join, with a part about every half of the height.

    Args:
        width: Length of the belt in pixels.
        height: Of the belt.
        seed: Of everything that is drawn by chance.
        faulty: Share of parts with a defect.

    Returns:
        height x width x 3, uint8.

    Example:
        >>> belt(400, 100, seed=1).shape
        (100, 400, 3)
    """
    rng = random.Random(seed)
    grain = 6 * np.random.default_rng(seed).standard_normal((height, width, 1), np.float32)
    weave = 5 * np.sin(np.arange(width) * math.tau * max(1, width // 12) / width)[None, :, None]
    rubber = np.clip(np.array([62.0, 64.0, 68.0]) + grain + weave, 0, 255).astype(np.uint8)
    image = Image.fromarray(rubber)
    count = max(1, round(width / (0.55 * height)))
    for number in range(count):
        side = round(height * rng.uniform(0.34, 0.5))
        part = rng.choice(PARTS)(side * _FINE, rng, rng.random() < faulty)
        part = part.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR).resize(
            (side, side), Image.Resampling.LANCZOS
        )
        place = (number * width // count, round(rng.uniform(0.02, 0.98) * (height - side)))
        _lay(image, part, place)
    return np.asarray(image)


def _lay(image: Image.Image, part: Image.Image, place: tuple[int, int]) -> None:
    """Puts a part and its shadow on the belt; what hangs over its end comes in at its beginning."""
    x, y = place
    shadow = Image.new("RGBA", part.size, (0, 0, 0, 150))
    shadow.putalpha(part.getchannel("A").point(lambda alpha: alpha // 2).filter(ImageFilter.GaussianBlur(2)))
    offset = max(1, part.width // 24)
    for left in (x, x - image.width):
        image.paste(shadow, (left + offset, y + offset), shadow)
        image.paste(part, (left, y), part)
