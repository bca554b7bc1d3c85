"""The engine ``compiled``: an integer network as machine code, made by ``sharpline compile`` or with the package.

A library is trusted only after it has shown on this machine that it computes what the judge (``runtime.integer``)
computed when it was made. See ``docs/engine.md``.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import queue
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from sharpline.errors import ModelError
from sharpline.runtime.card import ModelCard
from sharpline.runtime.integer import check_picture, network_digest
from sharpline.runtime.integer_graph import integer_model
from sharpline.runtime.libraries import ABI, check_library, list_of, read_libraries
from sharpline.runtime.processor import TARGET_VARIABLE, fitting_targets

Array = npt.NDArray[Any]
_EMBEDDED = Path(__file__).parent / "models"
_MOST_THREADS = 256  # that a library takes
_TYPICAL_SIDE = 512  # of the picture that memory is estimated for


class Compiled:
    """One library, opened and checked.

    Args:
        path: the file, whose bytes have been checked.
        target: that it was made for, and that this processor can run.
        network: digest of the network that it has to compute.

    Raises:
        ModelError: it cannot be opened, is another network's or another version's, or computes something else.
    """

    def __init__(self, path: Path, target: str, network: str) -> None:
        self.path, self.target = path, target
        try:
            library = ctypes.CDLL(str(path))
            self._upscale, self._scratch, info = (
                library.sharpline_upscale,
                library.sharpline_scratch,
                library.sharpline_info,
            )
        except (OSError, AttributeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"{path}: cannot be opened ({reason}); compile it again") from error
        info.restype = ctypes.c_char_p
        size, address = ctypes.c_int64, ctypes.c_void_p
        self._scratch.argtypes, self._scratch.restype = [size, size, ctypes.c_int], size
        self._upscale.argtypes = [address, size, size, size, address, size, ctypes.c_int, address, size]
        self._upscale.restype = ctypes.c_int
        self._read(info(), network)

    def _read(self, text: bytes, network: str) -> None:
        try:
            info = json.loads(text)
            told = (info["abi"], info["network"], info["target"])
            self.scale, self.colours = int(info["scale"]), int(info["colours"])
            self._seed = int(info["check"]["seed"])
            self._cases = [(int(c["height"]), int(c["width"]), str(c["sha256"])) for c in info["check"]["cases"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self.path}: does not say what it is; compile it again") from error
        if told != (ABI, network, self.target):
            version, digest, target = told
            wrong = "another version" if version != ABI else "another network" if digest != network else f"{target}"
            raise ModelError(f"{self.path}: is for {wrong}; compile it again")

    def scratch(self, height: int, width: int, threads: int) -> int:
        """Bytes of working memory that a run needs; 0 where it would be refused."""
        return max(0, int(self._scratch(height, width, threads)))

    def run(self, lr: Array, sr: Array, threads: int, scratch: Array) -> None:
        """Upscale; pixels are packed in both arrays, rows may be apart.

        Raises:
            ModelError: the library refuses.
        """
        height, width = lr.shape[:2]
        room = (scratch.ctypes.data, scratch.nbytes)
        code = self._upscale(
            lr.ctypes.data, height, width, _row_bytes(lr), sr.ctypes.data, _row_bytes(sr), threads, *room
        )
        if code:
            raise ModelError(
                f"{self.path}: could not enlarge {width} x {height} pixels (code {code}); use --engine ort"
            )

    def check(self) -> None:
        """Let it enlarge the pictures whose results were computed by the judge when it was made.

        Raises:
            ModelError: a result is another.
        """
        for height, width, expected in self._cases:
            lr = check_picture(self._seed, height, width, self.colours)
            sr = np.empty((height * self.scale, width * self.scale, self.colours), np.uint8)
            for threads in (1, 2):
                self.run(lr, sr, threads, np.empty(self.scratch(height, width, threads), np.uint8))
                if hashlib.sha256(sr.tobytes()).hexdigest() != expected:
                    raise ModelError(
                        f"{self.path}: does not compute on this machine what it should; compile it again, "
                        "or use another engine"
                    )


def _row_bytes(image: Array) -> int:
    """Bytes from a row to the next; of a single row numpy says anything."""
    height, width, colours = image.shape
    return image.strides[0] if height > 1 else width * colours


def _packed(lr: Array) -> Array:
    """The picture itself where its pixels lie side by side and its rows one after the other, else a copy."""
    height, width, colours = lr.shape
    pixels = (width == 1 or lr.strides[1] == colours) and (colours == 1 or lr.strides[2] == 1)
    return lr if pixels and (height == 1 or lr.strides[0] >= width * colours) else np.ascontiguousarray(lr)


class CompiledEngine:
    """Runs one network by a library, with memory that is kept from run to run. See ``engines.Engine``.

    Args:
        library: the library.
        threads: Threads within one run.
    """

    name: Literal["compiled"] = "compiled"

    def __init__(self, library: Compiled, threads: int) -> None:
        self.library, self._threads = library, min(threads, _MOST_THREADS)
        self._idle: queue.SimpleQueue[Array] = queue.SimpleQueue()  # as many as there are runs at once

    def run(self, batch: Array) -> Array:
        """See ``Engine.run``. The picture may be a part of a larger one: only its rows have to be apart evenly."""
        library, lr = self.library, _packed(batch[0])
        height, width, colours = lr.shape
        if lr.dtype != np.uint8 or colours != library.colours:
            raise ModelError(
                f"{library.path}: enlarges uint8 of {library.colours} colours, not {lr.dtype} of {colours}"
            )
        sr = np.empty((1, height * library.scale, width * library.scale, colours), np.uint8)
        scratch = self._borrowed(library.scratch(height, width, self._threads))
        library.run(lr, sr[0], self._threads, scratch)
        self._idle.put(scratch)
        return sr

    def _borrowed(self, size: int) -> Array:
        try:
            scratch = self._idle.get_nowait()
        except queue.Empty:
            return np.empty(size, np.uint8)
        return scratch if scratch.nbytes >= size else np.empty(size, np.uint8)

    def bytes_per_pixel(self) -> int:
        """Of a run, for each LR pixel of a picture of usual size: scratch and result."""
        side, library = _TYPICAL_SIDE, self.library
        return library.scratch(side, side, self._threads) // side**2 + 2 * library.colours * library.scale**2


class NeverCompiledError(ModelError):
    """A network that no variant is made for, whatever one does: floats, other families, models in memory."""


@cache
def open_library(path: Path, target: str, sha256: str, network: str) -> Compiled:
    """Open a listed library, once a process.

    Raises:
        ModelError: it is not what the list says, or does not compute what it should.
    """
    library = Compiled(check_library(path, target, sha256), target, network)
    library.check()
    return library


def compiled_engine(card: ModelCard, graph: onnx.ModelProto, threads: int, source: str) -> CompiledEngine:
    """Find the best variant of a network for this processor, beside the network's file.

    Args:
        card: the network's card.
        graph: the network.
        threads: of a run.
        source: path of its file.

    Raises:
        NeverCompiledError: no variant can be made of it.
        ModelError: there is none, or it cannot be trusted.
        UsageError: ``SHARPLINE_TARGET`` names no variant.
    """
    targets = fitting_targets()
    if card.precision != "int8":
        raise NeverCompiledError(
            f"{source}: the engine 'compiled' runs INT8 networks, this one is {card.precision}; take precision int8 "
            "where there is one, make it with sharpline compress, or use another engine"
        )
    try:
        network = network_digest(integer_model(graph, source))
    except ModelError as error:
        raise NeverCompiledError(f"{error}, or use another engine than 'compiled'") from error
    file = Path(source)
    if not file.is_file():
        raise NeverCompiledError(f"{source}: compiled libraries lie beside a model's file; save it and compile that")
    if not targets:
        only = os.environ.get(TARGET_VARIABLE)
        asked = f" ({TARGET_VARIABLE} is {only})" if only else ""
        raise ModelError(f"{source}: no compiled variant is for this processor{asked}; use another engine")
    listed = read_libraries(list_of(file))
    fitting = [target for target in targets if listed is not None and target in listed.libraries]
    if listed is None or not fitting:
        name = card.name if file.parent == _EMBEDDED else source
        raise ModelError(
            f"{name}: there is no compiled variant for this processor ({targets[0]}); "
            f"'sharpline compile {name}' makes one"
        )
    if listed.network != network:
        raise ModelError(f"{list_of(file)}: lists libraries of another network; compile {source} again")
    library = listed.libraries[fitting[0]]
    path = file.with_name(library.file).absolute()
    return CompiledEngine(open_library(path, fitting[0], library.sha256, network), threads)
