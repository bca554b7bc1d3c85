"""Engines: each runs the network on one picture."""

import importlib
import os
import time
from typing import Any, Callable, List, Tuple

import numpy as np

from sharpline.lab.boards.run_parts.folder import HERE, Array, RunError, Sums, brief, built, checked


class Engine:
    """Runs the network on uint8 H x W x C, and keeps the times."""

    def __init__(self, name: str, run: Callable[[Array], Array]) -> None:
        self.name, self._run = name, run
        self.times: List[float] = []  # milliseconds, of runs of one size
        self.shape: Tuple[int, ...] = ()
        self._first = True

    def run(self, lr: Array) -> Array:
        """See the class. The first run of a size allocates and tunes: it counts only where it is the only one."""
        begin = time.perf_counter()
        sr = self._call(lr)
        taken = 1000 * (time.perf_counter() - begin)
        if lr.shape != self.shape or self._first:
            self._first = lr.shape != self.shape
            self.times = []
        self.shape = lr.shape
        self.times.append(taken)
        return sr

    def _call(self, lr: Array) -> Array:
        try:
            return self._run(lr)
        except (RunError, MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise RunError(f"{self.name} cannot run {lr.shape[1]} x {lr.shape[0]} pixels: {brief(error)}") from None


def to_ends(lr: Array, dtype: Any) -> Array:
    """Levels as the network takes them: int8 is shifted, floats are 0..255."""
    return (lr ^ 128).view(np.int8) if dtype == np.int8 else lr.astype(dtype)


def from_ends(sr: Array) -> Array:
    """uint8 levels of what the network gave."""
    if sr.dtype == np.int8:
        return sr.view(np.uint8) ^ 128
    return sr if sr.dtype == np.uint8 else np.clip(np.rint(sr.astype(np.float32)), 0, 255).astype(np.uint8)


def open_onnxruntime(name: str, sums: Sums, threads: int) -> Engine:
    """ONNX Runtime on the CPU."""
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = ort.InferenceSession(checked(name, sums), options, providers=["CPUExecutionProvider"])
    end = session.get_inputs()[0]
    dtype = np.uint8 if end.type == "tensor(uint8)" else np.float32

    def run(lr: Array) -> Array:
        return from_ends(session.run(None, {end.name: to_ends(lr[None], dtype)})[0][0])

    return Engine(f"onnxruntime {ort.__version__}", run)


def open_openvino(name: str, sums: Sums, threads: int) -> Engine:
    """OpenVINO on the CPU, in true float32."""
    openvino = importlib.import_module("openvino")
    config = {"INFERENCE_PRECISION_HINT": "f32"}  # without it some processors round to bfloat16
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    core = openvino.Core()
    model = core.compile_model(core.read_model(checked(name, sums)), "CPU", config)
    dtype = model.input(0).element_type.to_dtype()
    request = model.create_infer_request()

    def run(lr: Array) -> Array:
        return from_ends(np.array(request.infer([to_ends(lr[None], dtype)])[0][0]))

    return Engine("openvino " + openvino.__version__.split("-")[0], run)


def open_opencv(name: str, sums: Sums, threads: int) -> Engine:
    """OpenCV's own: for files with float ends and one size."""
    cv2 = importlib.import_module("cv2")
    if threads:
        cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(checked(name, sums), np.uint8))

    def run(lr: Array) -> Array:
        net.setInput(np.ascontiguousarray(lr[None].astype(np.float32)))
        return from_ends(net.forward()[0])

    return Engine(f"opencv {cv2.__version__}", run)


def open_litert(name: str, sums: Sums, threads: int) -> Engine:
    """LiteRT on the CPU."""
    tflite = first_of("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
    return tflite_engine(tflite.Interpreter(model_content=checked(name, sums), num_threads=threads or None), "litert")


def open_edgetpu(name: str, sums: Sums, threads: int) -> Engine:
    """What the Edge TPU's compiler made; it is on no list."""
    tflite = first_of("tflite_runtime.interpreter", "ai_edge_litert.interpreter")
    model = built(name)  # first: a delegate that cannot be loaded prints a traceback of its own
    delegate = tflite.load_delegate("libedgetpu.so.1")
    return tflite_engine(tflite.Interpreter(model, experimental_delegates=[delegate]), "edge tpu")


def tflite_engine(interpreter: Any, name: str) -> Engine:
    """An interpreter of TFLite files; open sizes are allocated anew for each picture size."""
    interpreter.allocate_tensors()
    lr_end, sr_end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    allocated = [tuple(lr_end["shape"])]

    def run(lr: Array) -> Array:
        batch = to_ends(lr[None], lr_end["dtype"])
        if batch.shape != allocated[0]:
            interpreter.resize_tensor_input(lr_end["index"], batch.shape)
            interpreter.allocate_tensors()
            allocated[0] = batch.shape
        interpreter.set_tensor(lr_end["index"], batch)
        interpreter.invoke()
        return from_ends(interpreter.get_tensor(sr_end["index"])[0])

    return Engine(name, run)


def open_ncnn(name: str, sums: Sums, threads: int) -> Engine:
    """The engine ncnn: planes of levels in, planes of levels out."""
    ncnn = importlib.import_module("ncnn")
    weights = os.path.splitext(name)[0] + ".bin"
    for part in (name, weights):
        checked(part, sums)
    net = ncnn.Net()
    if threads:
        net.opt.num_threads = threads
    net.load_param(os.path.join(HERE, name))
    net.load_model(os.path.join(HERE, weights))
    lr_end, sr_end = net.input_names()[0], net.output_names()[0]

    def run(lr: Array) -> Array:
        extractor = net.create_extractor()
        planes = np.ascontiguousarray(lr.transpose(2, 0, 1), np.float32)
        extractor.input(lr_end, ncnn.Mat(planes).clone())  # of its own: a first layer in place ends ncnn on ours
        code, sr = extractor.extract(sr_end)
        if code:
            raise RunError(f"ncnn: the network failed (code {code}); the picture may be too small for it")
        return from_ends(np.array(sr).transpose(1, 2, 0))

    return Engine(f"ncnn {ncnn.__version__}", run)


def first_of(*names: str) -> Any:
    """The first module that is installed."""
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            pass
    return importlib.import_module(names[-1])
