"""The terms that all formats of board exports share: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from sharpline.lab.networks import Network
from sharpline.runtime.card import ModelCard
from sharpline.runtime.integer import IntegerModel

Pixels = NDArray[np.uint8]  # H x W x C
Runner = Callable[[Pixels], NDArray[Any]]  # gives uint8, or float32 levels as the file has them, not rounded
Size = tuple[int, int]  # width, height in LR pixels


@dataclass(frozen=True)
class SourceModel:
    """A model that is to be exported.

    Attributes:
        source: its file or name, for messages.
        card: its card.
        graph: our ONNX form with the card, uint8 1 x H x W x C at both ends, any H and W.
        upscale: its own output, uint8: the checkpoint's network, or the ONNX file in ONNX Runtime.
        integer: the integers, of an INT8 model of our own form; None of every other.
        net: the folded network, where the source is a checkpoint.
        certificate: a certificate that stands beside the file.
    """

    source: str
    card: ModelCard
    graph: onnx.ModelProto
    upscale: Callable[[Pixels], Pixels]
    integer: IntegerModel | None = None
    net: Network | None = None
    certificate: Path | None = None


@dataclass(frozen=True)
class Options:
    """How a format is wanted.

    Attributes:
        size: width and height in LR pixels of a file with one static shape; None for any shape.
        opset: of ONNX files.
        ends: type of ONNX pictures, both 1 x H x W x C in levels: ``uint8``, or ``float32`` clipped to 0..255 and
            not rounded, for runtimes that take no bytes.
        targets: processors of machine code, as :data:`sharpline.runtime.processor.FEATURES` names them.
    """

    size: Size | None = None
    opset: int = 18
    ends: Literal["uint8", "float32"] = "uint8"
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """A model file that was written.

    Attributes:
        file: its name in the folder.
        format: the name in :data:`sharpline.lab.boards.formats.FORMATS`.
        precision: of its arithmetic as the file has it; ``fp16`` where FP16 was tried with an FP32 file.
        engine: the reference interpreter of ``runner``, with its version.
        runner: upscales uint8 H x W x C in that interpreter, of size ``size`` where that is set. It neither rounds
            nor clips what the file makes: the gate has to see it. None where there is no interpreter here (machine
            code of another processor).
        size: width and height in LR pixels of its static input; None where it takes any.
        also: other files that belong to it (ncnn's weights).
        notes: sentences for the folder's README.
    """

    file: str
    format: str
    precision: Literal["fp32", "fp16", "int8"]
    engine: str
    runner: Runner | None
    size: Size | None = None
    also: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Maker = Callable[[SourceModel, Path, Options], list[Made]]
