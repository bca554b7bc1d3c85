"""Reads the tensors of somebody else's file: MATLAB, PyTorch or safetensors. Nothing in the file is executed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sharpline.errors import AbsentModelError, ModelError
from sharpline.lab.importing.matlab import read_matlab

_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")  # the averaged weights first
_DEEPEST = 4  # wrappers around wrappers
_MOST_VALUES = 200_000_000  # ten times the largest network known here; a few bytes can claim more than any memory


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a file's tensors, whatever its suffix.

    Args:
        path: a ``.mat`` file of MatConvNet, a ``.pth`` file (bare, or under ``params_ema``, ``params``,
            ``state_dict``), or safetensors.

    Returns:
        float32 tensors by key; ``module.`` before every key is taken away.

    Raises:
        ModelError: no such file, of no known kind, damaged, with objects that are not tensors, too large,
            or with values that are not finite.

    Example:
        >>> import tempfile; from pathlib import Path
        >>> from safetensors.torch import save_file
        >>> file = Path(tempfile.mkdtemp()) / "net.safetensors"
        >>> save_file({"module.conv.bias": torch.ones(2).half()}, file)
        >>> read_state(file)
        {'conv.bias': tensor([1., 1.])}
    """
    kind = _kind(path)
    if kind == "matlab":
        found = read_matlab(path)
    else:
        found = _unwrapped(path, _read_torch(path)) if kind == "torch" else _read_safetensors(path)
    _check(path, found)
    state = {key: tensor.detach().float() for key, tensor in found.items()}
    for key, tensor in state.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{path}: {key} has values that are not finite")
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def _kind(path: Path) -> str:
    if not path.is_file():
        raise AbsentModelError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if start.startswith(b"MATLAB 7.3"):
        raise ModelError(f"{path}: is a MATLAB 7.3 file; save it in MATLAB with '-v7'")
    if start.startswith(b"MATLAB"):
        return "matlab"
    if start.startswith((b"PK\x03\x04", b"\x80")):  # a zip archive, or the older bare pickle
        return "torch"
    if start[8:9] == b"{":
        return "safetensors"
    raise ModelError(f"{path}: is neither a MatConvNet .mat, a PyTorch .pth nor a safetensors file")


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except MemoryError:
        raise ModelError(f"{path}: is larger than the memory") from None
    except Exception as error:  # torch raises whatever its parsers stumble over
        forbidden = re.search(r"GLOBAL (\S+)", str(error))
        if forbidden:
            raise ModelError(
                f"{path}: holds more than tensors ({forbidden[1]}) and was not loaded, because that could run code; "
                "save its state_dict() alone"
            ) from None
        raise ModelError(f"{path}: is not a readable PyTorch file ({_first_words(error)})") from None


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            if "sharpline" in (file.metadata() or {}):
                raise ModelError(f"{path}: is a Sharpline checkpoint already")
            return {key: file.get_tensor(key) for key in list(file.keys())}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is not a readable safetensors file ({_first_words(error)})") from None


def _unwrapped(path: Path, loaded: Any) -> dict[str, Any]:
    inner = loaded
    for _ in range(_DEEPEST):  # a file's dictionary may hold itself
        if not isinstance(inner, Mapping):
            break
        wrapper = next((name for name in _WRAPPERS if isinstance(inner.get(name), Mapping)), None)
        if wrapper is None:
            return {str(key): value for key, value in inner.items()}
        inner = inner[wrapper]
    raise ModelError(f"{path}: holds a {type(inner).__name__}, not tensors by name; save a network's state_dict()")


def _check(path: Path, found: Mapping[str, Any]) -> None:
    for key, value in found.items():
        if not isinstance(value, Tensor):
            raise ModelError(f"{path}: {key} is a {type(value).__name__}, not a tensor; save a network's state_dict()")
        if not value.is_floating_point() or value.layout != torch.strided or value.device.type != "cpu":
            raise ModelError(f"{path}: {key} holds no plain floating-point values ({value.dtype}, {value.device})")
    values = sum(tensor.numel() for tensor in found.values())
    if not 0 < values <= _MOST_VALUES:
        raise ModelError(f"{path}: holds {values:,} values; a network has between 1 and {_MOST_VALUES:,}")


def _first_words(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
