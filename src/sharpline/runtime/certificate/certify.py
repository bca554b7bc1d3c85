"""Measures two model files against each other and writes down what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from sharpline.errors import ModelError
from sharpline.pixels.imresize import imresize
from sharpline.pixels.picture import Array
from sharpline.runtime.assets import asset_path
from sharpline.runtime.card import Quality, embed_card, read_card
from sharpline.runtime.certificate.contract import Contract, breaches
from sharpline.runtime.certificate.document import Certificate, Measured, Scores, Step, sha256_of
from sharpline.runtime.certificate.memory import activation_bytes, deflated_bytes
from sharpline.runtime.certificate.scoring import Comparison, compare
from sharpline.runtime.certificate.timing import interleaved, percentile
from sharpline.runtime.engines import available_threads
from sharpline.runtime.evaluation import pictures_in, sample
from sharpline.runtime.machine import machine
from sharpline.runtime.upscaler import Upscaler

FRAME = (480, 270)  # width and height that times and memory are measured with
REPETITIONS = 20

Tell = Callable[[str], None]


@dataclass(frozen=True)
class History:
    """Where a model came from.

    Attributes:
        commit: of the code.
        recipe: the whole recipe.
        recipe_sha256: of its file.
        data_sha256: over the training pictures.
        steps: of the chain.
    """

    commit: str = "unknown"
    recipe: Mapping[str, Any] | None = None
    recipe_sha256: str = ""
    data_sha256: str = ""
    steps: Sequence[Step] = ()


@dataclass(frozen=True)
class Certified:
    """A certificate, the model that it is about, and where to look.

    Attributes:
        certificate: what was measured.
        model: the model, with its scores on its card: this file has the certificate's hash.
        comparisons: the patches that lost most, by set.
    """

    certificate: Certificate
    model: onnx.ModelProto
    comparisons: dict[str, Comparison]


def certify(
    before: onnx.ModelProto,
    after: onnx.ModelProto,
    sets: Mapping[str, Path],
    *,
    contract: Contract | None = None,
    history: History | None = None,
    frame: tuple[int, int] = FRAME,
    repetitions: int = REPETITIONS,
    threads: int | None = None,
    tell: Tell = lambda what: None,
) -> Certified:
    """Measure what a model lost against the one that it was made from.

    Args:
        before: the model with its card that it was made from.
        after: the model with its card; it is not changed.
        sets: folders of HR pictures by name.
        contract: limits to judge by.
        history: where ``after`` came from.
        frame: width and height of the LR frame of times and memory.
        repetitions: frames timed, in turns; fewer where that takes more than minutes.
        threads: of the engine; None takes all cores.
        tell: called with what is being measured.

    Raises:
        ModelError: a model that cannot run.
        UsageError: a folder without pictures, models of different scales.
    """
    contract, history = contract or Contract(), history or History()
    count = threads or available_threads()
    old, new = (Upscaler(model, threads=count) for model in (before, after))
    comparisons = {}
    for name, folder in sets.items():
        tell(f"scoring {name}")
        comparisons[name] = compare(old, new, folder, niqe_file=niqe_file())
    tell("timing")
    times = interleaved([old, new], photograph(frame, old.card.channels, sets), repetitions)
    scores = {name: comparison.scores for name, comparison in comparisons.items()}
    after = _with_scores(after, {name: both.after for name, both in scores.items()})
    measured = [measure(m, t, frame) for m, t in zip((before, after), times, strict=True)]
    certificate = Certificate(
        before=measured[0],
        after=measured[1],
        sets=scores,
        frame=frame,
        repetitions=len(times[0]),
        engine=new.engine_name,
        threads=count,
        machine=machine(),
        commit=history.commit,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=dict(history.recipe or {}),
        recipe_sha256=history.recipe_sha256,
        data_sha256=history.data_sha256,
        steps=list(history.steps),
        contract=contract.model_dump(exclude_none=True),
        breaches=breaches(contract, measured[1], scores),
    )
    return Certified(certificate, after, comparisons)


def _with_scores(model: onnx.ModelProto, scores: Mapping[str, Scores]) -> onnx.ModelProto:
    """A copy whose card says what it scored, beside what it said before."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    card = read_card(copy)
    found = {name: Quality(psnr_y=round(s.psnr_y, 3), ssim_y=round(s.ssim_y, 4)) for name, s in scores.items()}
    embed_card(copy, card.model_copy(update={"quality": {**card.quality, **found}}))
    return copy


def measure(model: onnx.ModelProto, times: Sequence[float], frame: tuple[int, int]) -> Measured:
    """Size and speed of a model with its card.

    Args:
        model: the model.
        times: milliseconds of its frames.
        frame: width and height of the LR frame.
    """
    card, data = Upscaler(model).card, model.SerializeToString()
    return Measured(
        name=card.name,
        precision=card.precision,
        sha256=sha256_of(data),
        bytes=len(data),
        bytes_deflated=deflated_bytes(model),
        parameters=card.parameters,
        macs=card.macs_per_lr_pixel,
        activation_bytes=activation_bytes(model, *frame),
        ms_p50=percentile(times, 50),
        ms_p95=percentile(times, 95),
    )


def frame_ms(model: onnx.ModelProto, folder: Path, frame: tuple[int, int], repetitions: int = 5) -> float:
    """Median milliseconds of a frame on this machine.

    Args:
        model: with its card.
        folder: pictures, of which one is the frame.
        frame: its width and height.
        repetitions: frames timed.
    """
    upscaler = Upscaler(model)
    pixels = photograph(frame, upscaler.card.channels, {"": folder})
    return percentile(interleaved([upscaler], pixels, repetitions)[0], 50)


def photograph(frame: tuple[int, int], channels: int, sets: Mapping[str, Path]) -> Array:
    """A frame of the size that is asked for, cut from a picture of the sets, repeated where that is too small."""
    width, height = frame
    for folder in sets.values():
        picture = sample(pictures_in(folder)[0], 1)[1]
        if picture.shape[2] < channels:
            picture = picture.repeat(channels, axis=2)
        grown = imresize(picture, size=(max(height, picture.shape[0]), max(width, picture.shape[1])))
        return np.ascontiguousarray(grown[:height, :width, :channels])
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def niqe_file() -> Path | None:
    """NIQE's parameters where they were pulled."""
    try:
        return asset_path("niqe")
    except ModelError:
        return None
