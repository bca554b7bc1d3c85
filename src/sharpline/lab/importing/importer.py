"""From somebody else's file to a Sharpline checkpoint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sharpline.errors import ModelError, UsageError
from sharpline.lab.importing.layout import Layout
from sharpline.lab.importing.reading import read_state
from sharpline.lab.importing.recognise import differing, recognise
from sharpline.lab.networks import Network, NetworkConfig, build, parse
from sharpline.lab.networks.registry import skeleton
from sharpline.lab.training.checkpoint import save_network


@dataclass(frozen=True)
class Imported:
    """A network with somebody else's weights.

    Attributes:
        net: the network, in evaluation mode.
        form: whose layout the file had.
    """

    net: Network
    form: str


def import_network(path: Path, *, arch: str = "auto", scale: int | None = None) -> Imported:
    """Build a network from a file of weights made elsewhere; every tensor of the file is used.

    Args:
        path: a file that :func:`sharpline.lab.importing.reading.read_state` reads.
        arch: family of the network, or ``auto``: told by the keys.
        scale: the scale that is wanted, to be sure. Networks that serve every scale (VDSR) are set to it.

    Returns:
        The network, equal to the original for values in [0, 1].

    Raises:
        UsageError: no such architecture, or another scale than the file's.
        ModelError: unreadable, of no known layout, another architecture, or keys or shapes that differ.

    Example:
        >>> import_network(Path("RealESRGAN_x4plus.pth")).net.config.family  # doctest: +SKIP
        'rrdb'
    """
    state = read_state(path)
    try:
        layout = recognise(state, arch)
        config = _configuration(state, layout, scale)
        tensors = _mapped(state, layout, config)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    net = build(config)
    net.load_state_dict(tensors)
    return Imported(net.eval(), layout.form)


def _configuration(state: Mapping[str, Tensor], layout: Layout, scale: int | None) -> NetworkConfig:
    settings = layout.configure({key: tuple(tensor.shape) for key, tensor in state.items()})
    if layout.any_scale and scale is not None:
        settings["scale"] = scale
    try:
        config = parse({"family": layout.arch, **settings})
    except UsageError as error:
        if layout.any_scale and scale is not None:
            raise UsageError(f"--scale {scale}: {error}") from None
        raise ModelError(f"is like {layout.arch} ({layout.form}), but cannot be built: {error}") from None
    if scale not in (None, config.scale):
        raise UsageError(f"--scale {scale}: the network of the file upscales by {config.scale}, not by {scale}")
    return config


def _mapped(state: Mapping[str, Tensor], layout: Layout, config: NetworkConfig) -> dict[str, Tensor]:
    """The file's tensors under our names. The skeleton takes no memory, so that no file can fill it."""
    outline = skeleton(config).state_dict()
    theirs = layout.keys(config, list(outline))
    lacking = [key for key in theirs.values() if key not in state]
    known = set(theirs.values())
    odd = [key for key in state if key not in known]
    if lacking or odd:
        raise ModelError(f"is like {layout.arch} ({layout.form}), but {differing(lacking, odd)}")
    for ours, key in theirs.items():
        if state[key].shape != outline[ours].shape:
            have, want = (" x ".join(map(str, shape)) for shape in (state[key].shape, outline[ours].shape))
            raise ModelError(f"{key} is {have}; a {layout.arch} ({layout.form}) of this size has {want} there")
    return {ours: state[key] for ours, key in theirs.items()}


def import_file(
    path: Path,
    output: Path,
    *,
    arch: str = "auto",
    scale: int | None = None,
    name: str | None = None,
    licence: str = "unknown",
    training_data: str = "unknown",
) -> Imported:
    """Turn a file of weights made elsewhere into a Sharpline checkpoint.

    Args:
        path: the file.
        output: the checkpoint, which appears whole or not at all.
        arch: as in :func:`import_network`.
        scale: as in :func:`import_network`.
        name: name for the model card, without spaces; default: the file's stem.
        licence: under which terms the weights may be used.
        training_data: what they were trained on.

    Returns:
        What was imported.

    Raises:
        UsageError: a name that cannot be, or no such architecture.
        ModelError: as :func:`import_network`, or ``output`` cannot be written.
    """
    name = name or re.sub(r"\s+", "-", path.stem)
    if not re.fullmatch(r"\S{1,100}", name):
        raise UsageError(f"name {name!r}: has to be of 1 to 100 characters without spaces")
    imported = import_network(path, arch=arch, scale=scale)
    save_network(output, imported.net, {"name": name, "card": _card(path, imported, licence, training_data)})
    return imported


def _card(path: Path, imported: Imported, licence: str, training_data: str) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "version": digest[:12],
        "description": f"{imported.net.config.family}, imported from {path.name} ({imported.form}; sha256 {digest})",
        "licence": licence,
        "training_data": training_data,
    }
