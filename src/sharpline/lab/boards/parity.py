"""The parity gate: what a written file makes of real pictures, against what its source makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpline.errors import ModelError
from sharpline.lab.boards.diagnosis import diagnosed
from sharpline.lab.boards.halo import photograph
from sharpline.lab.boards.made import Made, Pixels, Runner, Size, SourceModel
from sharpline.lab.boards.windows import through_windows
from sharpline.runtime.card import ModelCard

_SMALL = (41, 37)  # odd sizes, which an even tile does not hide


@dataclass(frozen=True)
class Parity:
    """How near a file is to its source: the worst over the pictures.

    Attributes:
        psnr: in dB over all channels, the source's output being the truth; 99 for equal pictures.
        equal: share of equal values, 0..1.
        largest: difference in levels.
        shift: of the mean of a colour, in levels, the largest over the channels, with its sign.
        seam: how much more the values at tile borders differ than the others, mean, in levels.
        shifts: mean shift of each channel.
    """

    psnr: float
    equal: float
    largest: int
    shift: float
    seam: float
    shifts: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Limits:
    """How far a file may be from its source; the fields are those of :class:`Parity`."""

    psnr: float
    equal: float
    largest: int
    shift: float
    seam: float

    def broken(self, parity: Parity) -> list[str]:
        """What is outside, in words."""
        largest = f"differs by up to {parity.largest} levels, at most {self.largest} may be"
        shift = f"a colour's mean is off by {parity.shift:+.2f} levels, at most {self.shift:g} may be"
        checks = [
            (parity.psnr < self.psnr, f"{parity.psnr:.1f} dB to the source, at least {self.psnr:g} are asked for"),
            (parity.equal < self.equal, f"{parity.equal:.2%} of values equal, at least {self.equal:.2%} are asked for"),
            (parity.largest > self.largest, largest),
            (abs(parity.shift) > self.shift, shift),
            (parity.seam > self.seam, f"seams at tile borders of {parity.seam:.2f} levels, above {self.seam:g}"),
        ]
        return [words for broken, words in checks if broken]


# What was measured on the embedded networks, with room. FP32 that is computed in another order rounds to another level
# on a value in a thousand at most; FP16 between operators does so on three in a hundred (64 dB, 1 level). Integers with
# the same requantization are equal; runtimes with another one round some values to a neighbour, layer by layer. INT8
# with zero point 0, as TensorRT has it, holds activations in 7 bits (52 dB, 8 levels). An integer network's float twin
# leaves out the rounding between layers (56 dB, 4 levels).
_LIMITS = {
    "fp32": Limits(psnr=60, equal=0.995, largest=1, shift=0.02, seam=0.05),
    "fp16": Limits(psnr=50, equal=0.85, largest=3, shift=0.05, seam=0.05),
    "int8": Limits(psnr=48, equal=0.75, largest=4, shift=0.1, seam=0.1),
    "twin": Limits(psnr=49, equal=0.6, largest=10, shift=0.1, seam=0.1),
    "int8-symmetric": Limits(psnr=46, equal=0.4, largest=16, shift=0.1, seam=0.15),
}


def limits_for(made: Made, card: ModelCard) -> Limits:
    """The limits of a file, by its precision and its source's."""
    if made.format == "onnx-int8-orin":
        return _LIMITS["int8-symmetric"]
    return _LIMITS["twin" if card.precision == "int8" != made.precision else made.precision]


def gate(made: Made, model: SourceModel) -> Parity | None:
    """Refuse a file that is not what its source is.

    Args:
        made: the file, with what runs it.
        model: its source.

    Returns:
        How near it is; None where nothing here runs it.

    Raises:
        ModelError: outside the limits of its precision; one line with what is wrong.
    """
    if made.runner is None:
        return None
    limits, run = limits_for(made, model.card), _checked(made, made.runner, model.card)
    results = [_compared(made, run, model, lr) for lr in pictures(model.card, made.size)]
    worst = _worst(results)
    if broken := limits.broken(worst):
        raise ModelError(f"{made.file}: not written: {'; '.join(broken)}")
    return worst


def pictures(card: ModelCard, size: Size | None) -> list[Pixels]:
    """Real pictures: the photograph, and once more with its contrast doubled, so that black and white are reached.

    Args:
        card: says whether in colour.
        size: of the static input; pictures are continued by their mirror image until one takes two windows side by
            side, the other two one below the other. None where there is none.
    """
    picture = photograph(card.colour)
    hard = np.clip((picture.astype(np.int16) - 110) * 2 + 110, 0, 255).astype(np.uint8)
    if size is None:
        wide, high = (-(-side // card.tile_multiple) * card.tile_multiple for side in _SMALL)
        return [picture, hard, np.ascontiguousarray(picture[30 : 30 + high, 70 : 70 + wide])]
    width, height = size
    wider, higher = (2 * (side - halo_of(card)) for side in size)
    return [_continued(picture, wider, height), _continued(hard, width, higher)]


def halo_of(card: ModelCard) -> int:
    """By how many LR pixels windows overlap on each side: the receptive field, where windows may begin."""
    return -(-card.receptive_field // card.tile_multiple) * card.tile_multiple


def _continued(picture: Pixels, width: int, height: int) -> Pixels:
    missing = (max(0, height - picture.shape[0]), max(0, width - picture.shape[1]))
    whole = np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    return np.ascontiguousarray(whole[:height, :width])


def _compared(made: Made, run: Runner, model: SourceModel, lr: Pixels) -> Parity:
    whole, card = model.upscale(lr), model.card
    cut = (made.size or _halves(lr, card), halo_of(card), card.scale, card.tile_multiple)
    tiled, cuts = through_windows(run, lr, *cut)
    exact = card.tile_error is None  # else the network itself differs in tiles, by what the card says: cut it, too
    expected = whole if exact else through_windows(model.upscale, lr, *cut)[0]
    _require_likeness(made, tiled, expected, card)
    parities = [_measured(_rounded(tiled), expected, cuts if exact else None)]
    if made.size is None:
        sr = run(lr)
        _require_likeness(made, sr, whole, card)
        parities.append(_measured(_rounded(sr), whole, None))
    return _worst(parities)


def _halves(lr: Pixels, card: ModelCard) -> Size:
    """The window of which two by two, with no more than the halo between them, make up the picture."""
    whole = (lr.shape[1], lr.shape[0])
    halves = [-(-(side // 2 + halo_of(card) + side % 2) // card.tile_multiple) * card.tile_multiple for side in whole]
    return min(halves[0], whole[0]), min(halves[1], whole[1])


def _checked(made: Made, runner: Runner, card: ModelCard) -> Runner:
    """The runner, of which the size of what comes out is looked at."""

    def run(lr: Pixels) -> NDArray[Any]:
        sr = runner(lr)
        shape = (lr.shape[0] * card.scale, lr.shape[1] * card.scale, lr.shape[2])
        if sr.shape != shape:
            raise ModelError(f"{made.file}: not written: the output is {_sides(sr.shape)}, not {_sides(shape)}")
        return sr

    return run


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _require_likeness(made: Made, sr: NDArray[Any], expected: Pixels, card: ModelCard) -> None:
    """Raise with what is wrong, where it has a name."""
    words = diagnosed(sr, expected, card.scale, limits_for(made, card).psnr)
    if words is not None:
        raise ModelError(f"{made.file}: not written: {words}")


def _rounded(sr: NDArray[Any]) -> Pixels:
    """As a board stores it: to the nearest level."""
    return sr if sr.dtype == np.uint8 else np.rint(sr).astype(np.int64).astype(np.uint8)


def _measured(sr: Pixels, expected: Pixels, cuts: NDArray[np.bool_] | None) -> Parity:
    difference = sr.astype(np.int16) - expected
    squared = float((difference.astype(np.float64) ** 2).mean())
    shifts = tuple(round(float(value), 4) for value in difference.mean(axis=(0, 1)))
    away = np.abs(difference)
    seam = 0.0
    if cuts is not None and cuts.any() and not cuts.all():
        seam = max(0.0, float(away[cuts].mean() - away[~cuts].mean()))
    return Parity(
        psnr=round(min(99.0, 10 * math.log10(255**2 / squared)) if squared else 99.0, 2),
        equal=float((difference == 0).mean()),
        largest=int(away.max()),
        shift=max(shifts, key=abs),
        seam=round(seam, 4),
        shifts=shifts,
    )


def _worst(parities: Sequence[Parity]) -> Parity:
    shifted = max(parities, key=lambda parity: abs(parity.shift))
    return Parity(
        psnr=min(parity.psnr for parity in parities),
        equal=min(parity.equal for parity in parities),
        largest=max(parity.largest for parity in parities),
        shift=shifted.shift,
        seam=max(parity.seam for parity in parities),
        shifts=shifted.shifts,
    )
