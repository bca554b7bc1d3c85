"""Checkpoints: safetensors files whose metadata says what is in them.

``best.safetensors`` holds the averaged weights with the network's configuration, enough to rebuild
and export it. ``last.safetensors`` holds everything a run needs to go on as if it had not stopped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sharpline.errors import AbsentModelError, ModelError, UsageError
from sharpline.lab.compression.pruning.packing import pack, unpack
from sharpline.lab.networks import Network, build
from sharpline.lab.networks.integer import from_integer
from sharpline.lab.networks.packing import INTEGER, pack_integer, unpack_integer
from sharpline.lab.networks.rescaling import at_scale
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.integer import IntegerModel

_KEY = "sharpline"
_PACKED = "packed"


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write a safetensors file with a JSON description; the old file stays until the new one is whole."""
    contents = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        with whole_file(path, overwrite=True) as file:
            file.write(save(contents, {_KEY: json.dumps(about)}))
    except OSError as error:
        kept = "; the last good one is kept" if path.exists() else ""
        raise ModelError(f"{path}: cannot be written ({error.strerror}){kept}") from None


def _looked_for(path: Path) -> str:
    """Where a checkpoint that is not there was looked for, and why there."""
    if path.is_absolute():
        return ""
    hint = "; the checkpoints of Sharpline's recipes lie below the repository's root: run them from there"
    return f" in {Path.cwd()}{hint if len(path.parts) > 1 else ''}"


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote.

    Raises:
        ModelError: no such file, not safetensors, or not one of ours.
    """
    if path.is_dir():
        inside = sorted(path.glob("*.safetensors"))
        hint = f"; did you mean {path / 'best.safetensors'}?" if path / "best.safetensors" in inside else ""
        raise ModelError(f"{path}: is a folder, not a checkpoint (a .safetensors file){hint}")
    if not path.is_file():
        raise AbsentModelError(f"{path}: no such checkpoint{_looked_for(path)}")
    try:
        with safe_open(path, "pt") as file:
            about = (file.metadata() or {}).get(_KEY)
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is not a readable safetensors file ({error})") from None
    if about is None:
        raise ModelError(f"{path}: has no {_KEY!r} metadata, so it is not a Sharpline checkpoint")
    description = json.loads(about)
    try:
        return unpack(tensors, description.pop(_PACKED, {})), description
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def save_network(path: Path, net: Network, about: dict[str, Any], *, packed: bool = False) -> None:
    """Write a network with its configuration and whatever the caller knows about it.

    Args:
        path: the file.
        net: the network.
        about: the rest of the description.
        packed: store sparse tensors sparsely; every reader unpacks them.
    """
    tensors, shapes = pack(net.state_dict()) if packed else (net.state_dict(), {})
    also = {_PACKED: shapes} if shapes else {}
    write_tensors(path, tensors, {**about, **also, "network": net.config.model_dump()})


def load_network(path: Path, scale: int | None = None) -> tuple[Network, dict[str, Any]]:
    """Rebuild the network of a checkpoint.

    Args:
        path: the file.
        scale: the scale that is wanted, where the weights serve several; None takes the checkpoint's own.

    Returns:
        The network in evaluation mode and the checkpoint's description.

    Raises:
        ModelError: unreadable, not ours, or tensors that do not fit the configuration.
        UsageError: the weights belong to another scale.
    """
    tensors, about = read_tensors(path)
    if "sampler" in about or not {"network", INTEGER} & set(about):
        raise ModelError(f"{path}: is no network but the state of a training; give best.safetensors of the run")
    if INTEGER in about:
        net: Network = from_integer(unpack_integer(tensors, about[INTEGER], str(path)))
    else:
        net = build(about["network"])
        try:
            net.load_state_dict(tensors)
        except RuntimeError as error:
            raise ModelError(f"{path}: tensors do not fit its own configuration ({error})") from None
    net.eval()
    if scale is None:
        return net, about
    try:
        return at_scale(net, scale), about
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def save_integer(path: Path, model: IntegerModel, about: dict[str, Any]) -> None:
    """Write an integer network, weights packed to the bits that they need; :func:`load_network` opens it."""
    tensors, form = pack_integer(model)
    write_tensors(path, tensors, {**about, INTEGER: form})


def adopt(net: Network, path: Path) -> list[str]:
    """Copy every tensor of equal name and shape from a checkpoint; return the names taken.

    Raises:
        ModelError: nothing fits.
        UsageError: the checkpoint is of the plain form, which has no branches to learn with, and the network is not.
    """
    tensors, about = read_tensors(path)
    theirs = about.get("network", {})
    forms = [bool(settings.get("plain")) for settings in (theirs, net.config.model_dump())]
    if theirs.get("family") == net.config.family and forms == [True, False]:
        raise UsageError(f"{path}: holds a plain network; start from it with network.plain=true")
    if theirs.get("family") == net.config.family and forms == [False, True]:
        tensors = load_network(path)[0].plain().state_dict()
    mine = net.state_dict()
    fitting = {name: t for name, t in tensors.items() if name in mine and mine[name].shape == t.shape}
    if not fitting:
        raise ModelError(f"{path}: no tensor of it fits the network {net.config.family}")
    net.load_state_dict({**mine, **fitting})
    return sorted(fitting)
