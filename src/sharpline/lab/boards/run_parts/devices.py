"""Engines that are reached through their C libraries: TensorRT and CUDA, compiled networks."""

import ctypes
import hashlib
import importlib
import json
import os

import numpy as np

from sharpline.lab.boards.run_parts.engines import Engine, from_ends, to_ends
from sharpline.lab.boards.run_parts.folder import HERE, Array, RunError, Sums, built, checked


def open_tensorrt(name: str, sums: Sums, threads: int) -> Engine:
    """An engine that trtexec built on this board; it is on no list. NOT RUN when this was written: no device."""
    trt = importlib.import_module("tensorrt")
    with open(built(name), "rb") as file:
        data = file.read()
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(data)
    if engine is None:
        raise RunError(f"{name}: was built by another TensorRT or for another GPU; build it again (README.md)")
    context, cuda = engine.create_execution_context(), Cuda()
    if hasattr(engine, "num_io_tensors"):  # TensorRT 8.5 and later: tensors by name
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        names.sort(key=lambda end: engine.get_tensor_mode(end) != trt.TensorIOMode.INPUT)
        shapes, kinds = [engine.get_tensor_shape(n) for n in names], [engine.get_tensor_dtype(n) for n in names]
    else:  # TensorRT 8.2: bindings by number
        numbers = sorted(range(engine.num_bindings), key=lambda i: not engine.binding_is_input(i))
        shapes, kinds = [engine.get_binding_shape(i) for i in numbers], [engine.get_binding_dtype(i) for i in numbers]
    ends = [np.zeros(tuple(shape), trt.nptype(kind)) for shape, kind in zip(shapes, kinds)]
    places = [cuda.allocate(end.nbytes) for end in ends]
    if hasattr(engine, "num_io_tensors"):
        for end_name, place in zip(names, places):
            context.set_tensor_address(end_name, place)

    def run(lr: Array) -> Array:
        ends[0][...] = to_ends(lr[None], ends[0].dtype)
        cuda.copy(places[0], ends[0].ctypes.data, ends[0].nbytes, to_device=True)
        if hasattr(engine, "num_io_tensors"):
            done = context.execute_async_v3(0)
        else:
            done = context.execute_v2([place for _, place in sorted(zip(numbers, places))])
        cuda.copy(ends[1].ctypes.data, places[1], ends[1].nbytes, to_device=False)  # waits for the network
        if not done:
            raise RunError("TensorRT could not run the network")
        return from_ends(ends[1][0])

    return Engine(f"tensorrt {trt.__version__}", run)


class Cuda:
    """Memory of the GPU, through the CUDA runtime's library."""

    def __init__(self) -> None:
        for name in ("libcudart.so", "/usr/local/cuda/lib64/libcudart.so", "libcudart.so.12", "libcudart.so.10.2"):
            try:
                self._library = ctypes.CDLL(name)
                return
            except OSError:
                pass
        raise RunError("libcudart.so is not found; export LD_LIBRARY_PATH=/usr/local/cuda/lib64")

    def allocate(self, size: int) -> int:
        """An address on the GPU."""
        place = ctypes.c_void_p()
        self._check(self._library.cudaMalloc(ctypes.byref(place), ctypes.c_size_t(size)))
        return place.value or 0

    def copy(self, to: int, source: int, size: int, to_device: bool) -> None:
        """Copy bytes to the GPU or from it."""
        direction = 1 if to_device else 2
        pointers = ctypes.c_void_p(to), ctypes.c_void_p(source)
        self._check(self._library.cudaMemcpy(pointers[0], pointers[1], ctypes.c_size_t(size), direction))

    def _check(self, code: int) -> None:
        if code:
            raise RunError(f"CUDA failed (code {code}); is there memory left on the GPU?")


def open_compiled(name: str, sums: Sums, threads: int) -> Engine:
    """A library that Sharpline compiled for this processor."""
    checked(name, sums)
    library = ctypes.CDLL(os.path.join(HERE, name))
    size, address = ctypes.c_int64, ctypes.c_void_p
    library.sharpline_info.restype = ctypes.c_char_p
    library.sharpline_scratch.argtypes, library.sharpline_scratch.restype = [size, size, ctypes.c_int], size
    library.sharpline_upscale.argtypes = [address, size, size, size, address, size, ctypes.c_int, address, size]
    info = json.loads(library.sharpline_info().decode("utf-8"))
    scale, colours, check = info["scale"], info["colours"], info["check"]
    threads = threads or len(os.sched_getaffinity(0))

    def run(lr: Array) -> Array:
        lr = np.ascontiguousarray(lr)
        height, width = lr.shape[:2]
        sr = np.empty((height * scale, width * scale, colours), np.uint8)
        scratch = np.empty(max(0, library.sharpline_scratch(height, width, threads)), np.uint8)
        rows = width * colours, width * scale * colours  # bytes
        room = scratch.ctypes.data, scratch.nbytes
        code = library.sharpline_upscale(
            lr.ctypes.data, height, width, rows[0], sr.ctypes.data, rows[1], threads, *room
        )
        if code:
            raise RunError(f"{name}: failed (code {code})")
        return sr

    for case in check["cases"]:  # it is code: it has to show that it computes what it should
        sr = run(noise(check["seed"], case["height"], case["width"], colours))
        if hashlib.sha256(sr.tobytes()).hexdigest() != case["sha256"]:
            raise RunError(f"{name}: does not compute on this processor what it should")
    return Engine(f"compiled {info['target']}", run)


def noise(seed: int, height: int, width: int, colours: int) -> Array:
    """The picture that a library is checked with (as Sharpline's own, runtime/compiled.py)."""
    state, values = seed, bytearray()
    for _ in range(height * width * colours):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state >> 24)
    return np.frombuffer(bytes(values), np.uint8).reshape(height, width, colours)
