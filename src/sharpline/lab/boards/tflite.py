"""TFLite files: full integer for the Edge TPU, integers and FP32 for LiteRT on CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sharpline.errors import ModelError, UsageError
from sharpline.lab.boards.made import Made, Options, SourceModel
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.card import ModelCard
from sharpline.runtime.formats.stack import float_stack

_EIGHT_BITS = 255  # the largest level of a layer that is followed by 8 bits
_ENDS = (
    "Pictures are int8 at both ends, 1 x H x W x C, scale 1 and zero point -128: a pixel's value with its highest bit "
    "turned (`(pixels ^ 128).view(int8)` in numpy)."
)
_STATIC = (
    "Written with the Edge TPU's operators only: the pixel shuffle is a one-hot TRANSPOSE_CONV of version 2, the "
    "picture's border slices put together. `edgetpu_compiler -s {file}` compiles it; it was not compiled here.",
    "How the Edge TPU rounds is not published. LiteRT with XNNPACK gives the source's bytes exactly; its old kernels "
    "without XNNPACK round twice: networks of 8 bits differ by a level, seldom two, on about a tenth of the values.",
)
_ANY = ("It takes pictures of any size: `interpreter.resize_tensor_input` before `allocate_tensors`.",)


def tflite_int8(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Write an integer network: with a size for the Edge TPU, without one for CPUs and any size.

    Args:
        model: what is exported.
        folder: where to.
        options: ``size`` is looked at.

    Raises:
        ModelError: not an integer network; for the Edge TPU also activations of 4 bits, or more weights than it holds.
        UsageError: LiteRT is not installed.
    """
    _need_litert()
    from sharpline.runtime.formats.tflite_integer import integer_tflite

    if model.integer is None:
        raise ModelError(
            f"{model.source}: an INT8 TFLite file is made of an integer network; make one with sharpline compress"
        )
    card = _card(model, "int8")
    if options.size is None:
        return [_written(integer_tflite(model.integer, card=card), card, folder, options, "tflite-int8", "int8", _ANY)]
    if any(layer.top < _EIGHT_BITS for layer in model.integer.layers[:-1]):
        raise ModelError(
            f"{model.source}: has activations of 4 bits; how the Edge TPU rounds is not published, and another "
            "rounding of so few levels is seen (LiteRT without XNNPACK: up to 10 levels of the picture); quantize the "
            "activations to 8 bits (weights may have 4)"
        )
    width, height = options.size
    data = integer_tflite(model.integer, "edgetpu", (height, width), card)
    return [_written(data, card, folder, options, "tflite-int8", "int8", _STATIC)]


def tflite_fp32(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Write a plain stack in FP32, for CPUs.

    Args:
        model: what is exported.
        folder: where to.
        options: ``size`` is looked at.

    Raises:
        ModelError: not a plain stack in FP32.
        UsageError: LiteRT is not installed.
    """
    _need_litert()
    from sharpline.runtime.formats.tflite_float import float_tflite

    card = _card(model, "fp32")
    size = None if options.size is None else (options.size[1], options.size[0])
    data = float_tflite(float_stack(model.graph, model.source), size, card)
    return [_written(data, card, folder, options, "tflite-fp32", "fp32", () if size else _ANY)]


def _need_litert() -> None:
    if find_spec("ai_edge_litert") is None:
        raise UsageError("TFLite files need ai-edge-litert: pip install 'sharpline[boards]'")


def _card(model: SourceModel, precision: Literal["fp32", "int8"]) -> ModelCard:
    return model.card.model_copy(update={"precision": precision})


def _written(
    data: bytes,
    card: ModelCard,
    folder: Path,
    options: Options,
    format: str,
    precision: Literal["fp32", "int8"],
    notes: Sequence[str],
) -> Made:
    from sharpline.runtime.formats.tflite_file import TfliteRunner

    name = f"{card.name}-{precision}.tflite"
    with whole_file(folder / name, overwrite=True) as file:
        file.write(data)
    engine = f"LiteRT {version('ai-edge-litert')}"
    said = tuple(note.format(file=name) for note in (_ENDS, *notes))
    return Made(name, format, precision, engine, TfliteRunner(data), options.size, notes=said)
