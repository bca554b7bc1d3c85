"""A network ready to run: on bytes, and on floats for pictures that bytes cannot hold."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy.typing as npt
import onnx

from sharpline.errors import ModelError
from sharpline.runtime.card import ModelCard
from sharpline.runtime.engines import Engine, EngineName, make_engine
from sharpline.runtime.graph import to_float_io

Array = npt.NDArray[Any]
_UNKNOWN_MEMORY = 4096  # bytes for each LR pixel


class Network:
    """One model in one engine. Its methods may be called from many threads at once.

    Args:
        card: The model's card.
        graph: The model, uint8 at both ends.
        engine: Name of the engine.
        threads: Threads within one run.
        source: Name of the file for error messages.
    """

    def __init__(self, card: ModelCard, graph: onnx.ModelProto, engine: EngineName, threads: int, source: str) -> None:
        self.card = card
        self._graph = graph
        self._source = source
        self._threads = threads
        self._bytes_engine: Engine = make_engine(engine, graph.SerializeToString(), threads)
        self._float_engine: Engine | None = None  # made when the first such picture comes
        self._lock = threading.Lock()
        self.bytes_per_pixel = _working_memory(graph, card.channels)  # of one run, an estimate

    def _run(self, engine: Engine, lr: Array) -> Array:
        sr: Array = engine.run(lr[None])
        expected = (1, lr.shape[0] * self.card.scale, lr.shape[1] * self.card.scale, lr.shape[2])
        if sr.shape != expected or sr.dtype != lr.dtype:
            raise ModelError(
                f"{self._source}: the network made {sr.dtype} {sr.shape} where its card promises "
                f"{lr.dtype} {expected}; correct the card or export the model again"
            )
        whole: Array = sr[0]
        return whole

    def run_bytes(self, lr: Array) -> Array:
        """Upscales uint8 h x w x C to uint8 h*s x w*s x C, C as the network has it."""
        return self._run(self._bytes_engine, lr)

    def run_levels(self, lr: Array) -> Array:
        """Upscales float32 levels (0..255), neither rounded nor clipped at the end.

        Raises:
            ModelError: The graph cannot be run in float.
        """
        with self._lock:
            if self._float_engine is None:
                graph = to_float_io(self._graph, source=self._source)
                self._float_engine = make_engine(self._bytes_engine.name, graph.SerializeToString(), self._threads)
        return self._run(self._float_engine, lr)


def _working_memory(model: onnx.ModelProto, channels: int) -> int:
    """Estimates the bytes that a run needs for each LR pixel: five times the largest tensor of the graph.

    Five, because an operator's inputs and output, the anchor and a copy in the engine's own layout are alive
    together at the end of the network. ONNX Runtime takes about 900 bytes where this says 960.
    """
    side = 64
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    dims = sized.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, (1, side, side, channels), strict=True):
        dim.dim_value = size
    try:
        values = onnx.shape_inference.infer_shapes(sized).graph.value_info
    except onnx.shape_inference.InferenceError:
        values = []
    largest = max((math.prod(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values), default=0)
    return 5 * 4 * largest // side**2 or _UNKNOWN_MEMORY
