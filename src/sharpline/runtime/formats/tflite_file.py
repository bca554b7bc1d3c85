"""A TFLite file of ours: run in LiteRT, and its card."""

from __future__ import annotations

import json

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from pydantic import ValidationError

from sharpline.errors import ModelError, UsageError
from sharpline.runtime.card import CARD_KEY, ModelCard

_SIGN = 0x80  # int8 with level 0 at -128 is uint8 with this bit turned


class TfliteRunner:
    """A file in LiteRT with XNNPACK, one thread.

    Args:
        data: the file's bytes.

    Example:
        >>> from sharpline.runtime.formats.tflite_integer import integer_tflite
        >>> from sharpline.runtime.integer import IntegerLayer, IntegerModel
        >>> half = IntegerLayer("tail", np.ones((4, 1, 1, 1), "i1"), np.zeros(4, "i4"), np.full(4, 0.5, "f4"))
        >>> run = TfliteRunner(integer_tflite(IntegerModel((half,), 2, 1)))
        >>> run(np.array([[[100], [255]]], np.uint8))[..., 0].tolist()
        [[50, 50, 128, 128], [50, 50, 128, 128]]
    """

    def __init__(self, data: bytes) -> None:
        self._interpreter = Interpreter(model_content=data, num_threads=1)
        self._lr = self._interpreter.get_input_details()[0]
        self._sr = self._interpreter.get_output_details()[0]
        self._shape: tuple[int, ...] = ()

    def __call__(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale uint8 [H, W, C].

        Raises:
            UsageError: the file takes another size.
        """
        if lr.shape != self._shape:
            self._require_taken(lr.shape)
            self._interpreter.resize_tensor_input(self._lr["index"], [1, *lr.shape], strict=True)
            self._interpreter.allocate_tensors()
            self._shape = lr.shape
        self._interpreter.set_tensor(self._lr["index"], (lr[None] ^ _SIGN).view(np.int8))
        self._interpreter.invoke()
        sr: NDArray[np.int8] = self._interpreter.get_tensor(self._sr["index"])
        return np.asarray(sr[0].view(np.uint8) ^ _SIGN)

    def _require_taken(self, shape: tuple[int, ...]) -> None:
        wanted = [int(side) for side in self._lr["shape_signature"][1:]]
        if any(own not in (-1, side) for own, side in zip(wanted, shape, strict=True)):
            raise UsageError(
                f"the file takes pictures of {wanted[1]} x {wanted[0]} pixels, not {shape[1]} x {shape[0]} "
                f"({shape[2]} of {wanted[2]} channels)"
            )


def tflite_card(data: bytes, source: str = "model") -> ModelCard | None:
    """The card in a file's metadata; None where there is none.

    Raises:
        ModelError: not a TFLite file, or a card that cannot be used.

    Example:
        >>> tflite_card(b"not a model", "net.tflite")
        Traceback (most recent call last):
        sharpline.errors.ModelError: net.tflite: not a TFLite model, or a damaged one; copy or export it again
    """
    texts = []
    try:
        if data[4:8] != b"TFL3":
            raise ValueError(data[4:8])
        model = schema.Model.GetRootAs(data, 0)
        for entry in map(model.Metadata, range(model.MetadataLength())):
            if entry.Name() == CARD_KEY.encode():
                texts.append(bytes(model.Buffers(entry.Buffer()).DataAsNumpy()))
    except Exception as error:  # flatbuffers checks nothing: struct, index and type errors are all damage
        raise ModelError(f"{source}: not a TFLite model, or a damaged one; copy or export it again") from error
    if not texts:
        return None
    try:
        return ModelCard.model_validate(json.loads(texts[0]))
    except (ValueError, ValidationError) as error:
        raise ModelError(f"{source}: the model card cannot be used; export the model again") from error
