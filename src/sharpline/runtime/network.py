"""A network ready to run: on bytes, and on floats for pictures that bytes cannot hold."""

from __future__ import annotations

import logging
import math
import threading
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from sharpline.errors import ModelError
from sharpline.runtime.card import ModelCard
from sharpline.runtime.compiled import CompiledEngine, NeverCompiledError, compiled_engine
from sharpline.runtime.engines import Engine, EngineName, GraphEngineName, make_engine
from sharpline.runtime.graph import to_float_io

Array = npt.NDArray[Any]
EngineChoice = Literal["auto", EngineName]
_log = logging.getLogger(__name__)
_UNKNOWN_MEMORY = 4096  # bytes for each LR pixel


class Network:
    """One model in one engine. Its methods may be called from many threads at once.

    Args:
        card: The model's card.
        graph: The model, uint8 at both ends.
        engine: Name of the engine; ``auto`` takes the compiled variant of a network that has one for this processor,
            else ONNX Runtime, and says once why there is none.
        threads: Threads within one run.
        source: Name of the file for error messages; compiled variants are looked for beside it.

    Raises:
        ModelError: The engine cannot run the model.
        UsageError: The engine is not installed.
    """

    def __init__(
        self, card: ModelCard, graph: onnx.ModelProto, engine: EngineChoice, threads: int, source: str
    ) -> None:
        self.card = card
        self._graph = graph
        self._source = source
        self._threads = threads
        self._bytes_engine: Engine = _bytes_engine(card, graph, engine, threads, source)
        self._float_engine: Engine | None = None  # made when the first such picture comes
        self._lock = threading.Lock()
        self._graph_bytes = _working_memory(graph, card.channels)

    @property
    def engine_name(self) -> EngineName:
        """The engine that runs bytes."""
        return self._bytes_engine.name

    @property
    def float_engine_name(self) -> GraphEngineName:
        """The engine that runs floats."""
        return "openvino" if self.engine_name == "openvino" else "ort"

    def bytes_per_pixel(self, lr: Array) -> int:
        """Estimates the memory that a run on such a picture needs for each of its pixels."""
        engine, on_bytes = self._bytes_engine, lr.dtype == np.uint8 and lr.shape[2] == self.card.channels
        return engine.bytes_per_pixel() if on_bytes and isinstance(engine, CompiledEngine) else self._graph_bytes

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
                self._float_engine = make_engine(self.float_engine_name, graph.SerializeToString(), self._threads)
        return self._run(self._float_engine, lr)


def _bytes_engine(card: ModelCard, graph: onnx.ModelProto, engine: EngineChoice, threads: int, source: str) -> Engine:
    if engine == "compiled":
        return compiled_engine(card, graph, threads, source)
    if engine == "auto":
        try:
            return compiled_engine(card, graph, threads, source)
        except NeverCompiledError:
            pass
        except ModelError as error:
            _say_once(f"{error}; it runs in ONNX Runtime")
    return make_engine("openvino" if engine == "openvino" else "ort", graph.SerializeToString(), threads)


@cache
def _say_once(message: str) -> None:
    _log.warning("%s", message)


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
