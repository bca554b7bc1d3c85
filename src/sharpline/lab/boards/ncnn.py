"""ncnn files, for phones and boards with Vulkan: converted by pnnx, from a network that ncnn's layers can say."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sharpline.errors import ModelError, UsageError
from sharpline.lab.boards.made import Made, Options, Pixels, Runner, SourceModel
from sharpline.lab.boards.ncnn_module import on_levels
from sharpline.lab.networks.rlfn import Rlfn
from sharpline.pixels.atomic import whole_file

FORMAT = "ncnn-fp32"
_EXAMPLES = ((48, 64), (40, 56))  # height and width of the traced pictures: two, so that no size is fixed
_PATIENCE = 600  # seconds that pnnx may take
_FOREIGN = (
    "pnnx.",
    "aten::",
    "prim::",
    "Tensor.",
    "torch.",
    "F.",
    "nn.",
)  # layers of PyTorch that pnnx left as they were
# ``clone``: a first layer that works in place asks how many own its input, which memory of Python's does not say, and
# ncnn ends the process (https://github.com/Tencent/ncnn/issues/1543).
_TRIAL = """
import sys, ncnn, numpy
net = ncnn.Net()
assert net.load_param(sys.argv[1]) == 0 and net.load_model(sys.argv[2]) == 0
extractor = net.create_extractor()
extractor.input("in0", ncnn.Mat(numpy.zeros([int(n) for n in sys.argv[3:]], numpy.float32)).clone())
print(*numpy.array(extractor.extract("out0")[1]).shape)
"""

_ATTENDING = "Pictures have to have 15 pixels a side at least: what pads smaller ones cannot be said in ncnn."
_NOTES = (
    "Input `in0`: float levels 0..255, planes, of any size: `ncnn::Mat::from_pixels` gives them. Output `out0`: the "
    "same, cut to 0..255 and not rounded; add 0.5 before `to_pixels`, which cuts off what is behind the point. A Mat "
    "around memory of your own has to be cloned first: ncnn works in it, and may end the process.",
    "The weights are FP32; ncnn computes in FP16 where the processor has it, unless `opt.use_fp16_*` is turned off.",
)


def ncnn_fp32(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Write ``.param`` and ``.bin``; of an integer network its float twin.

    Args:
        model: what is exported: a plain stack in any form, or another family's checkpoint.
        folder: where to.
        options: not looked at: the files take any size.

    Raises:
        ModelError: ncnn has no layer for something in the network, or the source is no checkpoint and no plain stack.
        UsageError: ncnn or pnnx is not installed.
    """
    if find_spec("ncnn") is None or find_spec("pnnx") is None:
        raise UsageError("ncnn files need ncnn and pnnx: pip install 'sharpline[boards]'")
    import ncnn

    param, weights = _converted(on_levels(model), model)
    stem = f"{model.card.name}-fp32.ncnn"
    for name, data in ((f"{stem}.param", param), (f"{stem}.bin", weights)):
        with whole_file(folder / name, overwrite=True) as file:
            file.write(data)
    _require_runs(folder / f"{stem}.param", folder / f"{stem}.bin", model)
    runner = ncnn_runner(folder / f"{stem}.param", folder / f"{stem}.bin")
    notes = (*_NOTES, _ATTENDING) if isinstance(model.net, Rlfn) else _NOTES
    return [
        Made(f"{stem}.param", FORMAT, "fp32", f"ncnn {ncnn.__version__}", runner, also=(f"{stem}.bin",), notes=notes)
    ]


def ncnn_runner(param: Path, weights: Path) -> Runner:
    """Runs ncnn's files on the CPU in FP32, one thread; gives float32 levels as the file has them.

    Raises:
        ModelError: ncnn does not take the files.
    """
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise ModelError(f"{param}: ncnn cannot load it")

    def run(lr: Pixels) -> NDArray[np.float32]:
        extractor = net.create_extractor()
        planes = np.ascontiguousarray(lr.transpose(2, 0, 1), np.float32)
        extractor.input("in0", ncnn.Mat(planes).clone())  # see _TRIAL
        failed, sr = extractor.extract("out0")
        if failed:
            raise ModelError(f"{param}: ncnn cannot run it")
        return np.ascontiguousarray(np.array(sr).transpose(1, 2, 0))

    return run


def _converted(net: nn.Module, model: SourceModel) -> tuple[bytes, bytes]:
    """Contents of ``.param`` and ``.bin``; pnnx leaves seven files where it works, so it works elsewhere."""
    import pnnx

    examples = [torch.zeros(1, model.card.channels, *size) for size in _EXAMPLES]
    with tempfile.TemporaryDirectory(prefix="sharpline-pnnx-") as place:
        folder = Path(place)
        _trace(net, examples[0], model).save(str(folder / "net.pt"))
        shapes = [
            f"inputshape{number}={list(e.shape)}f32".replace(" ", "")
            for number, e in zip(("", 2), examples, strict=True)
        ]
        try:
            done = subprocess.run(
                [pnnx.EXEC_PATH, "net.pt", *shapes, "fp16=0"],
                cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False,
            )  # fmt: skip
            param, weights = ((folder / f"net.ncnn.{end}").read_bytes() for end in ("param", "bin"))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModelError(f"{model.source}: pnnx wrote nothing ({type(error).__name__})") from error
    if done.returncode:
        raise ModelError(f"{model.source}: pnnx failed ({done.stdout.strip().splitlines()[-1:]})")
    kinds = [line.split()[0] for line in param.decode().splitlines()[2:]]
    if foreign := sorted({kind for kind in kinds if kind.startswith(_FOREIGN)}):
        raise ModelError(
            f"{model.source}: ncnn has no layer for {', '.join(foreign)} of this network; take ONNX instead"
        )
    return param, weights


@torch.no_grad()
def _trace(net: nn.Module, example: Tensor, model: SourceModel) -> torch.jit.ScriptModule:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that tracing is old, and that branches on sizes are fixed: this is checked
            traced: torch.jit.ScriptModule = torch.jit.trace(net, example, check_trace=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # the tracer's errors have no common base
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"{model.source}: the network cannot be traced for pnnx: {reason}") from error
    return traced


def _require_runs(param: Path, weights: Path, model: SourceModel) -> None:
    """Refuse files in which a size of the example is fixed, or that end ncnn itself, which checks little.

    In a process of its own: pnnx drops the steps of a slice, for one, and ncnn then reads where nothing is.
    """
    multiple, scale, channels = model.card.tile_multiple, model.card.scale, model.card.channels
    height, width = 17 * multiple, 23 * multiple  # more than the 15 that an RLFN needs
    command = [sys.executable, "-c", _TRIAL, str(param), str(weights), *map(str, (channels, height, width))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode or done.stdout.split()[-3:] != [str(n) for n in (channels, height * scale, width * scale)]:
        raise ModelError(f"{model.source}: what pnnx makes of this network does not run in ncnn; take ONNX instead")
