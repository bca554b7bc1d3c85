"""Which file in which engine: the best that is here."""

import os
import platform
import re
from typing import Iterator, List, Optional, Tuple

from sharpline.lab.boards.run_parts.devices import open_compiled, open_tensorrt
from sharpline.lab.boards.run_parts.engines import (
    Engine,
    open_edgetpu,
    open_litert,
    open_ncnn,
    open_onnxruntime,
    open_opencv,
    open_openvino,
)
from sharpline.lab.boards.run_parts.folder import BOARD, MODELS, PROCESSORS, RunError, Size, Sums, brief, tell

OPENERS = {
    "compiled": open_compiled,
    "tensorrt": open_tensorrt,
    "edgetpu": open_edgetpu,
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "litert": open_litert,
    "ncnn": open_ncnn,
    "opencv": open_opencv,
}


def candidates(sums: Sums) -> Iterator[Tuple[str, str, Size]]:
    """Files with the engines that may run them, best first."""
    for target in targets():
        for name in sums:
            if name.endswith(f".{target}.so"):
                yield name, "compiled", None
    for name, size in MODELS.items():
        stem, suffix = os.path.splitext(name)
        if suffix == ".onnx":
            if BOARD.startswith("jetson"):
                yield stem + ".engine", "tensorrt", size
            for engine in ("onnxruntime", "openvino"):
                yield name, engine, size
            if size:
                yield name, "opencv", size
        elif suffix == ".tflite":
            if BOARD.startswith("coral"):
                yield stem + "_edgetpu.tflite", "edgetpu", size
            yield name, "litert", size
        elif suffix == ".param":
            yield name, "ncnn", size


def targets() -> List[str]:
    """What this processor runs of PROCESSORS, fastest first, by the features that the system tells."""
    family = {"x86_64": "x86-64", "aarch64": "arm64"}.get(platform.machine(), "none")
    try:
        with open("/proc/cpuinfo") as file:
            features = set(re.search(r"^(?:flags|Features)\s*:(.*)$", file.read(), re.M).group(1).split())  # type: ignore
    except (OSError, AttributeError):
        return []
    return [name for name, needs in PROCESSORS.items() if name.startswith(family) and features.issuperset(needs)]


def open_engine(sums: Sums, wanted: Optional[str], model: Optional[str], threads: int) -> Tuple[str, Engine, Size]:
    """The best engine that is here; says why better ones are not."""
    refused = []
    for name, engine, size in candidates(sums):
        if (wanted and engine != wanted) or (model and name != model):
            continue
        try:
            opened = OPENERS[engine](name, sums, threads)
        except (RunError, ImportError) as error:
            refused.append(brief(error) if isinstance(error, RunError) else f"{engine} is not installed")
        except Exception as error:
            refused.append(f"{engine} cannot open {name}: {brief(error)}")
        else:
            for reason in dict.fromkeys(refused):
                tell(f"note: {reason}")
            return name, opened, size
    names = list(dict.fromkeys(name for name, _, _ in candidates(sums)))
    if model and model not in names:
        raise RunError(f"--model {model}: not a model file of this folder; there are {', '.join(names)}")
    if not refused:
        what = f"--engine {wanted}" if wanted else "this processor"
        raise RunError(f"{what}: no file of this folder{' but another' if model else ''} is for it")
    raise RunError(f"nothing here runs the model: {'; '.join(dict.fromkeys(refused))}")
