"""A TFLite file under construction, and the parts that our networks' files share.

A tensor of pictures or features holds levels 0..255 as int8: a unit is one level, level 0 lies at ``zero``. The
operators' versions are the lowest that take int8, so that old runtimes and the Edge TPU's compiler read the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from sharpline.runtime.card import CARD_KEY, ModelCard

BLACK = -128  # where level 0 lies in the tensors at both ends
_ALIGNMENT = 16  # bytes, of a buffer; the schema asks for it, Python's flatbuffers does not see it
_TYPES = {
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}

Array = NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        index: its number.
        shape: N x H x W x C of features.
        zero: where level 0 lies.
    """

    index: int
    shape: tuple[int, ...]
    zero: int = 0


class _Buffer(schema.BufferT):  # type: ignore[misc]
    def Pack(self, builder: Any) -> int:  # noqa: N802
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
            data = builder.CreateByteVector(self.data)
        schema.BufferStart(builder)
        if self.data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class TfliteBuilder:
    """Tensors, operators and constants under construction.

    Example:
        >>> graph = TfliteBuilder()
        >>> picture = graph.levels("lr", (1, 2, 2, 3))
        >>> graph.file(picture, graph.depth_to_space(graph.mirrored(picture), 1))[4:8]
        b'TFL3'
    """

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._buffers: list[_Buffer] = [_Buffer()]  # number 0 means: no data
        self._codes: dict[tuple[int, int], int] = {}

    # Tensors

    def levels(self, name: str, shape: tuple[int, ...], zero: int = BLACK) -> Tensor:
        """Adds an int8 tensor of levels."""
        return self._tensor(name, shape, "int8", np.ones(1, np.float32), zero)

    def floats(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Adds a float32 tensor."""
        return self._tensor(name, shape, "float32")

    def constant(self, name: str, value: Array, steps: Array | None = None) -> Tensor:
        """Adds a constant: int8, int32 or float32; ``steps`` float32, one, or one for each of its first axis."""
        tensor = self._tensor(name, value.shape, value.dtype.name, steps)
        self._buffers.append(_Buffer(np.ascontiguousarray(value).tobytes()))
        self._tensors[tensor.index].buffer = len(self._buffers) - 1
        return tensor

    def _tensor(
        self, name: str, shape: tuple[int, ...], kind: str, steps: Array | None = None, zero: int = 0
    ) -> Tensor:
        quantization = None
        if steps is not None:
            zeros = np.full(len(steps), zero, np.int64)
            quantization = schema.QuantizationParametersT(scale=steps.astype(np.float32), zeroPoint=zeros)
        self._tensors.append(schema.TensorT(shape=list(shape), type=_TYPES[kind], name=name, quantization=quantization))
        return Tensor(len(self._tensors) - 1, tuple(shape), zero)

    # Operators

    def convolution(
        self, x: Tensor, out: Tensor, weight: Tensor, bias: Tensor, *, relu: bool, padded: bool = True
    ) -> Tensor:
        """Stride 1; ``weight`` [out, k, k, in]; ``padded``: level 0 around the picture, else the picture shrinks."""
        options = schema.Conv2DOptionsT(
            padding=schema.Padding.SAME if padded else schema.Padding.VALID,
            strideW=1,
            strideH=1,
            fusedActivationFunction=schema.ActivationFunctionType.RELU if relu else 0,
        )
        version = 3 if self._kind(x) == "int8" else 1
        return self._operator("CONV_2D", version, [x, weight, bias], out, "Conv2DOptions", options)

    def concatenation(self, parts: list[Tensor], axis: int, name: str) -> Tensor:
        """Joins tensors of levels whose zeros are the same."""
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        out = self.levels(name, tuple(shape), parts[0].zero)
        return self._operator(
            "CONCATENATION", 2, parts, out, "ConcatenationOptions", schema.ConcatenationOptionsT(axis=axis)
        )

    def slice(self, x: Tensor, axis: int, at: int, name: str) -> Tensor:
        """One row (axis 1) or column (axis 2) of levels."""
        begin, size = np.zeros(4, np.int32), np.array(x.shape, np.int32)
        begin[axis], size[axis] = at, 1
        out = self.levels(name, tuple(int(n) for n in size), x.zero)
        places = [self.constant(f"{name}.begin", begin), self.constant(f"{name}.size", size)]
        return self._operator("SLICE", 2, [x, *places], out, "SliceOptions", schema.SliceOptionsT())

    def zero_padded(self, x: Tensor, border: int) -> Tensor:
        """``x`` with a border of level 0."""
        widths = np.array([[0, 0], [border, border], [border, border], [0, 0]], np.int32)
        out = self.levels("features.bordered", _grown(x.shape, border), x.zero)
        return self._operator(
            "PAD", 2, [x, self.constant("zero_border", widths)], out, "PadOptions", schema.PadOptionsT()
        )

    def mirrored(self, x: Tensor, border: int = 1) -> Tensor:
        """``x`` with a border of its repeated edge; for any size, not for the Edge TPU."""
        widths = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
        for number in range(border):
            widths_in = self.constant(f"lr.border{number}", widths)
            out = self.levels(f"lr.bordered{number}", _grown(x.shape, 1), x.zero)
            options = schema.MirrorPadOptionsT(mode=schema.MirrorPadMode.SYMMETRIC)
            x = self._operator("MIRROR_PAD", 2, [x, widths_in], out, "MirrorPadOptions", options)
        return x

    def repeated(self, x: Tensor, border: int = 1) -> Tensor:
        """``x`` with a border of its repeated edge, of slices put together: of one size, for any device."""
        for axis, side in ((1, "rows"), (2, "columns")):
            first = self.slice(x, axis, 0, f"lr.{side}.first")
            last = self.slice(x, axis, x.shape[axis] - 1, f"lr.{side}.last")
            x = self.concatenation([first] * border + [x] + [last] * border, axis, f"lr.{side}.bordered")
        return x

    def depth_to_space(self, x: Tensor, scale: int) -> Tensor:
        """[N, H, W, s*s*C] -> ``sr`` [N, H*s, W*s, C]."""
        out = self.levels("sr", _shuffled(x.shape, scale), x.zero)
        options = schema.DepthToSpaceOptionsT(blockSize=scale)
        return self._operator("DEPTH_TO_SPACE", 1, [x], out, "DepthToSpaceOptions", options)

    def one_hot_shuffle(self, x: Tensor, scale: int) -> Tensor:
        """The same as a transposed convolution that copies each channel to its place in the block."""
        n, height, width, colours = _shuffled(x.shape, scale)
        places = np.eye(x.shape[3], dtype=np.int8).reshape(scale, scale, colours, -1)
        weight = self.constant("shuffle", np.ascontiguousarray(places.transpose(2, 0, 1, 3)), np.ones(1, np.float32))
        size = self.constant("sr.shape", np.array([n, height, width, colours], np.int32))
        out = self.levels("sr", (n, height, width, colours), x.zero)
        options = schema.TransposeConvOptionsT(padding=schema.Padding.VALID, strideW=scale, strideH=scale)
        return self._operator("TRANSPOSE_CONV", 2, [size, weight, x], out, "TransposeConvOptions", options)

    def moved(self, x: Tensor, zero: int) -> Tensor:
        """The same levels with level 0 elsewhere."""
        if x.zero == zero:
            return x
        out = self.levels("levels.moved", x.shape, zero)
        return self._operator("QUANTIZE", 2, [x], out, "QuantizeOptions", schema.QuantizeOptionsT())

    def from_levels(self, x: Tensor, name: str) -> Tensor:
        """Levels as floats 0..255."""
        out = self.floats(name, x.shape)
        return self._operator("DEQUANTIZE", 2, [x], out, "DequantizeOptions", schema.DequantizeOptionsT())

    def to_levels(self, x: Tensor, name: str) -> Tensor:
        """Floats rounded to levels and cut to 0..255."""
        out = self.levels(name, x.shape)
        return self._operator("QUANTIZE", 1, [x], out, "QuantizeOptions", schema.QuantizeOptionsT())

    def sum(self, one: Tensor, other: Tensor, name: str) -> Tensor:
        """Two tensors of floats, added."""
        out = self.floats(name, one.shape)
        return self._operator("ADD", 1, [one, other], out, "AddOptions", schema.AddOptionsT())

    def _kind(self, x: Tensor) -> str:
        return next(name for name, number in _TYPES.items() if number == self._tensors[x.index].type)

    def _operator(self, name: str, version: int, inputs: list[Tensor], out: Tensor, kind: str, options: Any) -> Tensor:
        code = self._codes.setdefault((getattr(schema.BuiltinOperator, name), version), len(self._codes))
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=code,
                inputs=[x.index for x in inputs],
                outputs=[out.index],
                builtinOptionsType=getattr(schema.BuiltinOptions, kind),
                builtinOptions=options,
            )
        )
        return out

    # The file

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all constants so far."""
        return sum(len(buffer.data or b"") for buffer in self._buffers)

    def file(self, lr: Tensor, sr: Tensor, *, any_size: bool = False, card: ModelCard | None = None) -> bytes:
        """The file's bytes.

        Args:
            lr: the input.
            sr: the output.
            any_size: heights and widths may be changed when it is loaded.
            card: the model's card, which travels in the file's metadata.
        """
        if any_size:
            self._tensors[lr.index].shapeSignature = [1, -1, -1, lr.shape[3]]
        buffers = list(self._buffers)
        metadata = None
        if card is not None:
            metadata = [schema.MetadataT(name=CARD_KEY, buffer=len(buffers))]
            buffers.append(_Buffer(card.model_dump_json().encode()))
        graph = schema.SubGraphT(
            tensors=self._tensors, inputs=[lr.index], outputs=[sr.index], operators=self._operators, name="sharpline"
        )
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=version)
            for code, version in self._codes
        ]
        model = schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[graph], description="sharpline", buffers=buffers,
            metadata=metadata,
        )  # fmt: skip
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _grown(shape: tuple[int, ...], border: int) -> tuple[int, ...]:
    n, height, width, channels = shape
    return n, height + 2 * border, width + 2 * border, channels


def _shuffled(shape: tuple[int, ...], scale: int) -> tuple[int, int, int, int]:
    n, height, width, channels = shape
    return n, height * scale, width * scale, channels // scale**2
