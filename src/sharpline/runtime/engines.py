"""Engines: they run a network on a batch.

Here are those that take any ONNX graph: ONNX Runtime, and OpenVINO where it is installed. The one that runs what was
compiled for a network is in ``compiled``.
"""

from __future__ import annotations

import os
import queue
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from sharpline.errors import ModelError, UsageError

Array = npt.NDArray[Any]
GraphEngineName = Literal["ort", "openvino"]
EngineName = Literal["ort", "openvino", "compiled"]
ENGINES: tuple[EngineName, ...] = ("ort", "openvino", "compiled")
_OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "failed to allocate", "out of memory", "cannot allocate")


class Engine(Protocol):
    """Runs one network. ``run`` may be called from many threads at once."""

    @property
    def name(self) -> EngineName:
        """What it is asked for by."""

    def run(self, batch: Array) -> Array:
        """Runs the network.

        Args:
            batch: 1 x H x W x C, of the network's input type.

        Returns:
            1 x H*s x W*s x C, of the network's output type.

        Raises:
            MemoryError: There is not enough memory for an input of this size.
            ModelError: The network failed.
        """
        ...


def available_threads() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _failure(error: Exception, name: str) -> Exception:
    """What an engine's exception means: too little memory, or a network that does not run."""
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return MemoryError(text)
    return ModelError(f"{name} cannot run the model: {' '.join(text.split())[:200]}")


class OrtEngine:
    """ONNX Runtime on the CPU."""

    name: GraphEngineName = "ort"

    def __init__(self, model: bytes, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # what goes wrong arrives as an exception
        # Patterns are kept for each shape and take a third more memory; they were no faster.
        options.enable_mem_pattern = False
        # Idle threads that spin take the core from the decoder and the encoder beside us.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _failure(error, "ONNX Runtime") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: Array) -> Array:
        """See ``Engine.run``."""
        try:
            result: Array = self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0]
        except Exception as error:
            raise _failure(error, "ONNX Runtime") from error
        return result


class OpenVinoEngine:
    """OpenVINO on the CPU, in true float32."""

    name: GraphEngineName = "openvino"

    def __init__(self, model: bytes, threads: int) -> None:
        try:
            core = _openvino()
        except ImportError as error:
            raise UsageError("the engine 'openvino' is not installed: pip install 'sharpline[openvino]'") from error
        config = {
            "INFERENCE_PRECISION_HINT": "f32",  # without it bfloat16 is taken silently where the CPU has it
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self._compiled = core.compile_model(core.read_model(model), "CPU", config)
        except Exception as error:
            raise _failure(error, "OpenVINO") from error
        # A request serves one call at a time; as many are made as there are calls at once.
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self, batch: Array) -> Array:
        """See ``Engine.run``."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            result: Array = request.infer([np.ascontiguousarray(batch)])[0]
        except Exception as error:
            raise _failure(error, "OpenVINO") from error
        self._idle.put(request)
        return result


@cache
def _openvino() -> Any:
    """OpenVINO's core: one for the process, never given back.

    Its CPU plugin gives the thread a signal stack of its own, and frees it without taking it from the thread: the
    next signal, a SIGTERM say, would then end the process with a segmentation fault (seen with 2026.4).
    """
    import openvino

    return openvino.Core()


def make_engine(name: GraphEngineName, model: bytes, threads: int) -> Engine:
    """Loads a network into an engine that takes any graph.

    Args:
        name: ``ort`` or ``openvino``.
        model: The serialized ONNX model.
        threads: Threads within one run, 1 or more.

    Raises:
        ModelError: The engine does not accept the model.
        UsageError: The engine is not installed.
    """
    return OpenVinoEngine(model, threads) if name == "openvino" else OrtEngine(model, threads)
