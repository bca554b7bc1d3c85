"""Pictures that training and test sets share, found by a perceptual hash.

The hash is that of Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1:
the low frequencies of a small DCT) without its last step, the cut to bits: the cosine between two lists of real
coefficients tells a copy from a similar picture where 64 bits do not. Flips and quarter turns only change signs and
order of the coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from sharpline.lab.data.cache import PictureCache
from sharpline.lab.data.files import Folders, alone
from sharpline.lab.data.parallel import in_order
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.imresize import imresize
from sharpline.pixels.picture import Array
from sharpline.pixels.reading import read_image

Hashes = NDArray[np.float32]

_SIDE = 64  # of the small picture
_KEPT = 16  # frequencies along each side
THRESHOLD = 0.75
"""Cosine from which two pictures count as one.

Measured: among 620,000 pairs of different pictures (Set5, Set14, BSD100, t91, BSDS400, 379 photographs) the largest is
0.69, between training and test sets 0.52. Of 53 test pictures and their copies (a quarter of the size, JPEG of quality
5, gamma 2, noise of 25 levels, quarter turns) the smallest is 0.88; with 2 % cut off on each side 0.83, with 4 % 0.55.
"""


@dataclass(frozen=True)
class Leak:
    """A training picture that looks like a test picture.

    Attributes:
        train: the training picture.
        test: the test picture.
        similarity: cosine of their hashes, 1 for equal ones.
    """

    train: str
    test: str
    similarity: float


def perceptual_hash(pixels: Array) -> Hashes:
    """What a picture looks like from afar, whatever its size, compression, brightness and contrast.

    Args:
        pixels: H x W x C, uint8, uint16 or float32.

    Returns:
        float32 [16, 16]: low DCT coefficients, each multiplied by its frequency (natural pictures have less of
        the high ones), of unit length; all 0 for a uniform picture.
    """
    grey = convert_depth(pixels, np.float32).mean(axis=2, keepdims=True)
    small = imresize(np.ascontiguousarray(grey), size=(_SIDE, _SIDE), kernel="bilinear")
    low = dctn(small[:, :, 0].astype(np.float64), norm="ortho")[:_KEPT, :_KEPT]
    low *= np.hypot(*np.indices(low.shape))  # 0 for the mean
    length = np.linalg.norm(low)
    return np.asarray(low / length if length > 1e-2 else np.zeros_like(low), np.float32)


def similarities(train: Hashes, test: Hashes) -> Hashes:
    """The cosine of every training picture with every test picture in its most similar turn.

    Args:
        train: hashes [N, 16, 16].
        test: hashes [M, 16, 16].

    Returns:
        float32 [N, M].
    """
    alternate = (-1.0) ** np.arange(_KEPT, dtype=np.float32)  # what a flip does to the cosines
    best = np.full((len(train), len(test)), -1.0, np.float32)
    for turned in (test, test.swapaxes(1, 2)):
        for down in (1.0, alternate[:, None]):
            for across in (1.0, alternate):
                variant = (turned * down * across).reshape(len(test), -1)
                np.maximum(best, train.reshape(len(train), -1) @ variant.T, out=best)
    return best


def find_leaks(
    train: Folders,
    test: Folders,
    *,
    recursive: bool = False,
    threshold: float = THRESHOLD,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Leak]:
    """Compare the pictures of folders: copies of another size, compression, flipped or turned are found.

    Parts cut out of a picture are not found, unless little is missing (2 % on each side).

    Args:
        train: folder of training pictures, or several.
        test: folder of test pictures, or several.
        recursive: also the folders below.
        threshold: cosine from which a pair is suspicious.
        progress: called with (pictures read, pictures in all).

    Returns:
        Suspicious pairs, the most similar first.

    Raises:
        UsageError: a folder that does not exist or holds no pictures.
        ImageError: a picture that cannot be read.
    """
    train_files, test_files = alone(train, recursive=recursive), alone(test, recursive=recursive)
    total = len(train_files) + len(test_files)
    hashes = []
    for value in in_order(_hash_file, [path for _, path in (*train_files, *test_files)]):
        hashes.append(value)
        progress(len(hashes), total)
    stacked = np.stack(hashes)
    found = similarities(stacked[: len(train_files)], stacked[len(train_files) :])
    return _above(found, [str(p) for _, p in train_files], [str(p) for _, p in test_files], threshold)


def cached_leaks(train: PictureCache, test: PictureCache, *, threshold: float = THRESHOLD) -> list[Leak]:
    """The same for decoded sets, by their LR pictures: a second or two, before a training.

    Args:
        train: the training set.
        test: the test set.
        threshold: cosine from which a pair is suspicious.
    """
    sets = [np.stack([perceptual_hash(lr) for lr in pictures.lr]) for pictures in (train, test)]
    return _above(similarities(*sets), train.names, test.names, threshold)


def _hash_file(path: Path) -> Hashes:
    return perceptual_hash(read_image(path).pixels)


def _above(found: Hashes, train: Sequence[str], test: Sequence[str], threshold: float) -> list[Leak]:
    pairs = [Leak(train[i], test[j], round(float(found[i, j]), 4)) for i, j in np.argwhere(found >= threshold)]
    return sorted(pairs, key=lambda pair: -pair.similarity)
