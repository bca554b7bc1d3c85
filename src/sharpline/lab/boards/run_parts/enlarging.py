"""Pictures of any size and colour through a network, and the colours that it does not see."""

from typing import Any, Optional, Tuple

import numpy as np

from sharpline.lab.boards.run_parts.engines import Engine
from sharpline.lab.boards.run_parts.folder import Array, Card, Size
from sharpline.lab.boards.run_parts.tiles import any_size, cut, one_size

_LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)


class Enlarger:
    """A model in an engine: enlarges pictures of any size and colour."""

    def __init__(self, engine: Engine, card: Card, size: Size, tile: int) -> None:
        self.engine, self.card, self._size, self._tile = engine, card, size, tile

    def __call__(self, lr: Array) -> Array:
        """uint8 H x W x 1 or 3, or with alpha H x W x 2 or 4 -> the same, `scale` times larger."""
        channels, colours = self.card.channels, lr.shape[2] - (lr.shape[2] + 1) % 2
        if colours < lr.shape[2]:
            return np.concatenate([self(lr[:, :, :-1]), bytes_of(bicubic(lr[:, :, -1:], self.card.scale))], axis=2)
        if colours == channels:
            return self._tiled(lr)
        if colours == 1:
            return bytes_of(self._tiled(lr.repeat(3, axis=2)) @ _LUMA)
        luma, colour = to_ycc(lr)
        return from_ycc(self._tiled(bytes_of(luma)), bicubic(colour, self.card.scale))

    def inexact(self, lr: Array) -> Optional[str]:
        """Why tiles change the picture a little; None: they do not."""
        height, width = lr.shape[:2]
        tile_width, tile_height = self._size or (self._tile, self._tile)
        if self.card.tile_error is not None and (height > tile_height or width > tile_width):
            return f"tiles change some pixels, by up to about {self.card.tile_error:g} levels (card.json)"
        small = self._size and any(n < m and n < 2 * self.card.halo for n, m in zip((width, height), self._size))
        return f"a side is less than {2 * self.card.halo} pixels: its middle differs a little" if small else None

    def _tiled(self, lr: Array) -> Array:
        (height, width), card = lr.shape[:2], self.card
        if self._size:
            rows, columns = (one_size(n, m, card.halo) for n, m in zip((height, width), self._size[::-1]))
        else:
            rows, columns = (any_size(n, self._tile, card.halo, card.multiple) for n in (height, width))
        s = card.scale
        sr = np.empty((height * s, width * s, lr.shape[2]), np.uint8)
        for r in rows:
            for c in columns:
                part = self.engine.run(cut(lr, r, c))
                target = sr[r.first * s : r.last * s, c.first * s : c.last * s]
                top, left = (r.first - r.start) * s, (c.first - c.start) * s
                target[...] = part[top : top + target.shape[0], left : left + target.shape[1]]
        return sr


def bytes_of(levels: Array) -> Array:
    """Levels, rounded and cut to bytes."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def to_ycc(rgb: Array) -> Tuple[Array, Array]:
    """BT.601: luma 16..235, and two colours around 0."""
    rgb = rgb.astype(np.float32)
    luma = rgb @ _LUMA
    colours = np.concatenate([(rgb[:, :, 2:] - luma) / 1.772, (rgb[:, :, :1] - luma) / 1.402], axis=2)
    return 16 + luma * (219 / 255), colours


def from_ycc(luma: Array, colours: Array) -> Array:
    """The way back."""
    y, b, r = (luma[:, :, 0].astype(np.float32) - 16) * (255 / 219), colours[:, :, 0], colours[:, :, 1]
    blue, red = y + 1.772 * b, y + 1.402 * r
    return bytes_of(np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], axis=2))


def bicubic(image: Array, scale: int) -> Array:
    """Bicubic interpolation, borders mirrored."""
    image = image.astype(np.float32)
    for axis in (0, 1):
        length = image.shape[axis]
        places = (np.arange(length * scale) + 0.5) / scale - 0.5
        first = np.floor(places).astype(int)
        total: Any = 0
        for tap in (-1, 0, 1, 2):
            x = np.abs(places - first - tap)
            near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
            mirrored = (first + tap) % (2 * length)
            weights = np.where(x <= 1, near, far).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
            total = total + weights * image.take(np.minimum(mirrored, 2 * length - 1 - mirrored), axis=axis)
        image = total
    return image
