"""What a checker needs to know of a model file, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import onnx

from sharpline.errors import AbsentModelError, ModelError


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        name: its kind, for example ``Conv`` or ``CONV_2D``; operators of other domains as ``domain.Name``.
        version: of the operator (TFLite); None where the file's opset says it.
        attributes: as text.
        types: of the tensors that it reads and makes, as far as they are known.
    """

    name: str
    version: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    types: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tensor:
    """A tensor: its type (``float32``, ``uint8`` ...) and shape; None for sizes that are open.

    Attributes:
        constant: whether the file holds its values.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]
    constant: bool = False


@dataclass(frozen=True)
class Facts:
    """A model file.

    Attributes:
        kind: of the file.
        operators: in order, constants left out.
        inputs, outputs: of the graph.
        tensors: all that are known.
        weight_bytes: of the constants.
        opset: of ONNX's own operators.
        graph: of an ONNX file.
        graphs: how many the file has (TFLite).
    """

    kind: Literal["onnx", "tflite"]
    operators: list[Operator]
    inputs: list[Tensor]
    outputs: list[Tensor]
    tensors: list[Tensor]
    weight_bytes: int
    opset: int | None = None
    graph: onnx.ModelProto | None = None
    graphs: int = 1


def file_bytes(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        AbsentModelError: it is not there.
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise AbsentModelError(f"{path}: no such model file") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model file ({error.strerror})") from None
