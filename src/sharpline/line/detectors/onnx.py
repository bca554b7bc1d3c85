"""A fault detector in this process: an ONNX file, run by ONNX Runtime."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import onnxruntime as ort

from sharpline.errors import ModelError
from sharpline.line.detectors.answers import Reader
from sharpline.line.detectors.config import OnnxConfig
from sharpline.line.detectors.feeding import Input, fitted, input_of, tensor_of
from sharpline.line.frame import Array, Result
from sharpline.line.parts import DetectorError

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
_STRIDE = 32  # free sides become a multiple of it: detectors halve their input five times


class OnnxDetector:
    """See :class:`sharpline.line.parts.Detector`. Layout, size and type of the input are read from the graph.

    Args:
        config: The file, and how its answers are read.

    Raises:
        ModelError: The file cannot be read, or takes no picture.
        UsageError: The file of labels cannot be read.
    """

    def __init__(self, config: OnnxConfig) -> None:
        self._config = config
        self._session = _session(config)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ModelError(f"{config.file}: has {len(inputs)} inputs; a detector has one, the picture")
        self._input = inputs[0].name
        self._wanted = _wanted(config, inputs[0])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._reader = Reader(config, _names(self._session))
        self._check_outputs()

    def _check_outputs(self) -> None:
        named = self._config.outputs
        if len(self._outputs) > 1 and not {named.boxes, named.scores} <= set(self._outputs):
            raise ModelError(
                f"{self._config.file}: its outputs are {', '.join(self._outputs)}: say under 'outputs' which "
                "are boxes, scores and labels"
            )

    @property
    def name(self) -> str:
        """Kind and place."""
        return f"onnx {self._config.file.name}"

    def detect(self, result: Result) -> Result:
        """See :meth:`sharpline.line.parts.Detector.detect`."""
        pixels, fit = fitted(result.sr, self._wanted, self._config.colour, _STRIDE)
        try:
            answers: list[Array] = self._session.run(None, {self._input: tensor_of(pixels, self._wanted)})
        except Exception as error:  # whatever the runtime throws
            raise DetectorError(f"{self.name}: cannot run: {' '.join(str(error).split())[:200]}") from None
        try:
            return self._reader(dict(zip(self._outputs, answers, strict=True)), result, fit, pixels.shape[1::-1])
        except DetectorError as error:
            raise DetectorError(f"{self.name}: {error}") from None

    def close(self) -> None:
        """Nothing is held that has to be let go."""


def _session(config: OnnxConfig) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.log_severity_level = 4  # what goes wrong arrives as an exception
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the upscaler needs the cores
    try:
        model = config.file.read_bytes()
    except OSError as error:
        raise ModelError(f"{config.file}: cannot be read ({error.strerror})") from None
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{config.file}: is no ONNX model that runs ({' '.join(str(error).split())[:200]})") from None


def _wanted(config: OnnxConfig, tensor: Any) -> Input:
    where = f"{config.file}: input {tensor.name}"
    if tensor.type not in _TYPES:
        raise ModelError(f"{where}: takes {tensor.type}; uint8 and float are what can be given")
    return input_of(tensor.shape, np.dtype(_TYPES[tensor.type]), where)


def _names(session: ort.InferenceSession) -> list[str] | None:
    """The classes' names that Ultralytics writes into its exports: a Python dictionary by number, as text."""
    text = session.get_modelmeta().custom_metadata_map.get("names", "")
    try:
        names = ast.literal_eval(text) if 0 < len(text) < 100_000 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(names, dict) or sorted(map(str, names)) != sorted(map(str, range(len(names)))):
        return None
    return [str(names[number]) for number in range(len(names))] if 0 in names else None
