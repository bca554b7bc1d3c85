"""What ``--model`` may name beyond what the runtime knows, where the lab is installed: checkpoints and ``zssr``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from sharpline.cli.wing import lab_is_installed, need_lab
from sharpline.errors import UsageError

if TYPE_CHECKING:
    from sharpline.lab.zero_shot import ZeroShot

ZERO_SHOT = "zssr"


class Precision(StrEnum):
    """Precisions that can be asked for."""

    auto = "auto"
    int8 = "int8"
    fp32 = "fp32"


def model_from(model: str, scale: int | None = None) -> str | onnx.ModelProto:
    """Turn a checkpoint into a model in memory; leave every other name to the runtime.

    Args:
        model: name, ``.onnx`` file or ``.safetensors`` checkpoint.
        scale: the scale that is wanted; None takes the checkpoint's own.

    Raises:
        ModelError: not a checkpoint.
        UsageError: the lab is not installed, the checkpoint has another scale, or a folder where it lies is named.
    """
    inside = Path(model) / "best.safetensors"
    if inside.is_file():
        raise UsageError(f"{model}: is a folder, not a model; did you mean {inside}?")
    if Path(model).suffix.lower() != ".safetensors":
        return model
    if not lab_is_installed():
        raise UsageError(
            f"{model}: checkpoints need the lab's packages: pip install 'sharpline[lab]', "
            "or export it to .onnx where they are installed"
        )
    from sharpline.lab.boards.onnx_file import export_onnx

    return export_onnx(Path(model), scale=scale)[0]


def zero_shot(scale: int, threads: int | None) -> ZeroShot:
    """What learns from each picture that it enlarges.

    Raises:
        UsageError: the lab is not installed.
    """
    need_lab(f"upscale --model {ZERO_SHOT}")
    import torch

    from sharpline.lab.zero_shot import ZeroShot

    if threads is not None:
        torch.set_num_threads(threads)
    return ZeroShot(scale, threads=threads)
