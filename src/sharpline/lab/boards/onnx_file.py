"""Export to ONNX: uint8 pictures in and out, the card inside, checked against the network it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from sharpline.errors import ModelError
from sharpline.lab.boards.halo import LARGEST_EXACT, photograph, with_halo
from sharpline.lab.boards.traced import traced
from sharpline.lab.networks import Network
from sharpline.lab.networks.edge import Edge
from sharpline.lab.networks.integer import Integer, to_integer
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.validate import upscale
from sharpline.pixels.atomic import whole_file
from sharpline.runtime import network as runtime
from sharpline.runtime.card import ModelCard, Quality, embed_card, read_card
from sharpline.runtime.evaluation import evaluate_model
from sharpline.runtime.integer_graph import integer_graph
from sharpline.runtime.plain_stack import plain_stack
from sharpline.runtime.upscaler import Upscaler

_SIZES = ((1, 1), (3, 17), (37, 41))  # of the pictures on which an export is checked
_LEVELS = 2  # of bytes on noise, for which pruned RLFN makes numbers of many times white
_FLOAT_TOLERANCE = 1e-3  # of the largest value: a quarter of a level; pruned RLFN differs by 1.7e-4 on noise


def export_onnx(
    checkpoint: Path, *, name: str | None = None, scale: int | None = None, measure: Sequence[Path] = ()
) -> tuple[onnx.ModelProto, ModelCard]:
    """Turn ``best.safetensors`` of a run into an ONNX model with its card: INT8 of an integer network, else FP32.

    Args:
        checkpoint: the file.
        name: the model's name; default: the recipe's.
        scale: the scale that is wanted, for networks whose weights serve several; default: the checkpoint's.
        measure: folders of HR pictures to score the exported model on, for the card, under the folders' names.

    Raises:
        ModelError: not a checkpoint, or an export that does not reproduce the network.
        UsageError: the network does not enlarge by ``scale``.
    """
    model, card = model_of(*load_network(checkpoint, scale), name)
    if measure:
        card = card.model_copy(update={"quality": measured(model, measure)})
        embed_card(model, card)
    return model, card


def model_of(net: Network, about: dict[str, Any], name: str | None = None) -> tuple[onnx.ModelProto, ModelCard]:
    """Turn a network in memory into an ONNX model with its card: INT8 of an integer network, else FP32.

    Args:
        net: the network, in evaluation mode.
        about: ``name``, and under ``card`` what the card says beyond what the network shows.
        name: the model's name instead.

    Raises:
        ModelError: an export that does not reproduce the network.

    Example:
        >>> from sharpline.lab.networks import build
        >>> model, card = model_of(build({"family": "edge", "channels": 4, "depth": 1}), {"name": "tiny", "card": {}})
        >>> card.receptive_field
        3
    """
    net = net.fold()
    card = card_of(net, about, name)
    if isinstance(net, Integer):
        model = integer_graph(to_integer(net))
    elif isinstance(net, Edge):
        model = plain_stack(edge_layers(net), net.config.scale, net.config.colours)
    else:
        model = traced(net)
    check_parity(embed_card(model, card), net)
    if net.receptive_field is None or net.receptive_field > LARGEST_EXACT:
        card = with_halo(model, card)
        embed_card(model, card)
    return model, card


def measured(model: onnx.ModelProto, folders: Sequence[Path]) -> dict[str, Quality]:
    """Scores of a model with its card, by folder name, through the runtime that users have."""
    upscaler = Upscaler(model)
    scores = {folder.name: evaluate_model(upscaler, folder, upscaler.scale) for folder in folders}
    return {name: Quality(psnr_y=round(s.psnr_y, 3), ssim_y=round(s.ssim_y, 4)) for name, s in scores.items()}


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model file; it appears whole or not at all."""
    try:
        with whole_file(path, overwrite=True) as file:
            file.write(model.SerializeToString())
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error.strerror})") from None


def edge_layers(net: Edge) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Kernels and biases for pixel values in 0..255.

    Between ReLUs everything is positively homogeneous: scaling the input and all biases by 255 scales the
    output by 255, so the graph needs no scaling of its own.
    """
    return [
        (m.collapsed().detach().numpy().copy(), m.bias.detach().numpy() * np.float32(255)) for m in net.convolutions()
    ]


def card_of(net: Network, about: dict[str, Any], name: str | None) -> ModelCard:
    """The card: facts computed from the network, words from the recipe.

    The receptive field is cut to the largest that tiles carry; see :func:`~sharpline.lab.boards.halo.with_halo`.
    """
    field = net.receptive_field
    return ModelCard(
        name=name or about["name"],
        scale=net.config.scale,
        colour=net.config.colour,
        receptive_field=LARGEST_EXACT if field is None else min(field, LARGEST_EXACT),
        tile_multiple=net.tile_multiple,
        precision="int8" if isinstance(net, Integer) else "fp32",
        parameters=net.parameter_count(),
        macs_per_lr_pixel=net.macs_per_lr_pixel,
        quality={},
        **about["card"],
    )


def check_parity(model: onnx.ModelProto, net: Network) -> None:
    """Refuse an export that is another function than its network, on bytes or on floats.

    Args:
        model: the export with its card.
        net: the network in evaluation mode.

    Raises:
        ModelError: bytes differ by more than two levels, or on more than 1 % of values; or floats differ.
    """
    engine = runtime.Network(read_card(model), model, "ort", 1, "the exported model")
    rng = np.random.default_rng(0)
    byte_differences, worst_float = [], 0.0
    pictures = [rng.integers(0, 256, (*size, net.config.colours), np.uint8) for size in _SIZES]
    if isinstance(net, Integer):  # a chain of roundings: a real picture has to show that they agree
        pictures.append(photograph(net.config.colour))
    for lr in pictures:
        byte_differences.append(np.abs(engine.run_bytes(lr).astype(int) - upscale(net, lr)).ravel())
        levels = rng.random(lr.shape, np.float32) * np.float32(255)
        expected = _levels(net, levels)
        difference = np.abs(engine.run_levels(levels) - expected).max() / max(255, np.abs(expected).max())
        worst_float = max(worst_float, float(difference))
    difference = np.concatenate(byte_differences)
    if difference.max() > _LEVELS or (difference > 0).mean() > 1e-2 or not worst_float < _FLOAT_TOLERANCE:
        raise ModelError(
            f"the exported model differs from the network by up to {difference.max()} levels on "
            f"{(difference > 0).mean():.2%} of values, in float by {worst_float:.1e} of the range; "
            "this is a defect of the export, please report it"
        )


@torch.no_grad()
def _levels(net: Network, lr: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Run a network on float32 levels 0..255, H x W x C, neither rounding nor clipping."""
    planes = torch.from_numpy(lr / np.float32(255)).permute(2, 0, 1)[None]
    run = net.unrounded if isinstance(net, Integer) else net
    sr: np.ndarray[Any, Any] = (run(planes) * 255)[0].permute(1, 2, 0).numpy()
    return sr
