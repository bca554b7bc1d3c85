"""Finds models: the embedded networks by name, other ones by file or in memory."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from sharpline.errors import AbsentModelError, UsageError
from sharpline.runtime.card import ModelCard, read_card
from sharpline.runtime.interpolation import DEFAULT_SCALE, KERNELS, interpolation_card
from sharpline.runtime.modelfile import check_io, load_model

ModelSource = str | os.PathLike[str] | onnx.ModelProto
Precision = Literal["auto", "int8", "fp32"]

_FOLDER = Path(__file__).parent / "models"
_PRECISIONS: tuple[Precision, ...] = ("auto", "fp32")
_INT8 = ".int8.onnx"  # beside the same network in FP32


@dataclass(frozen=True)
class Model:
    """A model that can be run: its card, its graph (None for interpolation) and where it came from."""

    card: ModelCard
    graph: onnx.ModelProto | None
    source: str


def _embedded() -> dict[str, Path]:
    """FP32 files by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.onnx")) if not path.name.endswith(_INT8)}


def _file_of(name: str, precision: Precision) -> Path:
    """The embedded file: in integers unless floats are asked for, or all there is."""
    floats = _embedded()[name]
    integers = floats.with_suffix(_INT8)
    return integers if precision != "fp32" and integers.exists() else floats


def file_of(name: str) -> Path:
    """The file of a model: of an embedded network the one that it runs as by default; else the path that the name is.

    Example:
        >>> file_of("edge-s-x4").name, str(file_of("mine/edge.onnx"))
        ('edge-s-x4.int8.onnx', 'mine/edge.onnx')
    """
    return _file_of(name, "auto") if name in _embedded() else Path(name)


def _open_file(path: Path, given: ModelCard | Mapping[str, Any] | None) -> Model:
    graph = load_model(path)
    if isinstance(given, Mapping) and "name" not in given and not graph.metadata_props:
        given = {"name": path.stem.replace(" ", "-"), **given}
    return _open_graph(graph, given, str(path))


def _open_graph(graph: onnx.ModelProto, given: ModelCard | Mapping[str, Any] | None, source: str) -> Model:
    card = read_card(graph, given=given, source=source)
    check_io(graph, card, source)
    return Model(card, graph, source)


def list_models() -> list[ModelCard]:
    """The cards of all models that have a name: the embedded networks as they run by default, then the interpolations.

    Example:
        >>> [card.name for card in list_models()][-2:]
        ['bicubic', 'lanczos']
    """
    networks = [_open_file(_file_of(name, "auto"), None).card for name in _embedded()]
    return networks + [interpolation_card(name, DEFAULT_SCALE) for name in KERNELS]


def _unknown(name: str) -> AbsentModelError:
    known = [*_embedded(), *KERNELS]
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
    near = ", ".join(nearest)
    return AbsentModelError(f"unknown model '{name}': did you mean {near}? ('sharpline models' lists all)")


def precisions_of(name: str) -> list[str]:
    """The precisions that a model is there in, the default first; a file has one.

    Example:
        >>> precisions_of("edge-m-x4")
        ['int8', 'fp32']
    """
    known = _PRECISIONS if name in _embedded() else _PRECISIONS[:1]
    return list(dict.fromkeys(open_model(name, precision=precision).card.precision for precision in known))


def card_of(name: ModelSource, precision: Precision = "auto") -> ModelCard:
    """The card of a model, by name, by file or in memory.

    Args:
        name: As :func:`open_model` takes it.
        precision: As :func:`open_model` takes it.

    Raises:
        ModelError: No such model, or the file cannot be used.
        UsageError: The model has another precision.

    Example:
        >>> card_of("bicubic").scale
        4
    """
    return open_model(name, precision=precision).card


def model_for(name: ModelSource | None, scale: int | None) -> tuple[ModelSource, int]:
    """Settles which model runs at which scale when either may be left open.

    Args:
        name: Name, file or model; None takes the embedded ``edge-m`` for the scale.
        scale: The scale that is wanted; None takes the model's own, or 4.

    Returns:
        Name, file or model, and scale.

    Raises:
        ModelError: No such model.
        UsageError: There is no ``edge-m`` for the scale, or the model has another scale.

    Example:
        >>> model_for("lanczos", 3)
        ('lanczos', 3)
    """
    if name is None:
        name = f"edge-m-x{scale or DEFAULT_SCALE}"
        if scale is not None and name not in _embedded():
            raise UsageError(f"there is no default model for scale {scale}: name one of {_with_scale(scale)}")
    return name, open_model(name, scale=scale).card.scale


def _with_scale(scale: int) -> str:
    names = [card.name for card in list_models() if card.scale == scale and card.name not in KERNELS]
    return ", ".join([*names, *KERNELS])


def open_model(
    name: ModelSource,
    *,
    scale: int | None = None,
    precision: Precision = "auto",
    card: ModelCard | Mapping[str, Any] | None = None,
) -> Model:
    """Opens a model by name, by file or in memory.

    Args:
        name: Name of an embedded network, ``bicubic``, ``lanczos``, path of an ``.onnx`` file, or the
            model itself.
        scale: The scale that is wanted; None takes the model's own (4 for interpolation).
        precision: Of an embedded network ``auto`` takes the integers; of a file it has to be the file's.
        card: Card fields for a file that carries no card, or that are to override it.

    Returns:
        The model.

    Raises:
        ModelError: No such model, or the file cannot be used.
        UsageError: The model has another scale or another precision.

    Example:
        >>> open_model("lanczos", scale=2).card.scale
        2
    """
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= 16):
        raise UsageError(f"scale {scale!r} is not a whole number from 1 to 16")
    if precision not in ("auto", "fp32", "int8"):
        raise UsageError(f"unknown precision '{precision}': use auto, fp32 or int8")
    if isinstance(name, str) and name in KERNELS:
        model = Model(interpolation_card(name, scale or DEFAULT_SCALE), None, name)
    elif isinstance(name, onnx.ModelProto):
        model = _open_graph(name, card, "the model in memory")
    elif isinstance(name, str) and name in _embedded():
        model = _open_file(_file_of(name, precision), card)
    elif isinstance(name, os.PathLike) or os.sep in name or Path(name).suffix or Path(name).exists():
        model = _open_file(Path(name), card)
    else:
        raise _unknown(name)
    if precision not in ("auto", model.card.precision):
        raise UsageError(f"model '{model.card.name}' is {model.card.precision}, not {precision}")
    if scale is not None and scale != model.card.scale:
        raise UsageError(
            f"model '{model.card.name}' enlarges {model.card.scale} times, not {scale}: "
            f"models for {scale} are {_with_scale(scale)}"
        )
    return model
