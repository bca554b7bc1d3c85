"""Export to ONNX: uint8 pictures in and out, the card inside, checked against the network it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from sharpline.errors import ModelError
from sharpline.lab.networks import Network
from sharpline.lab.networks.edge import Edge
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.validate import upscale
from sharpline.runtime.card import ModelCard, embed_card
from sharpline.runtime.plain_stack import plain_stack


def export_onnx(checkpoint: Path, name: str | None = None) -> onnx.ModelProto:
    """Turn ``best.safetensors`` of a run into an FP32 ONNX model with its card.

    Args:
        checkpoint: the file.
        name: the model's name; default: the recipe's.

    Raises:
        ModelError: not a checkpoint, a family without export, or an export that does not reproduce the network.
    """
    net, about = load_network(checkpoint)
    net = net.fold()
    if not isinstance(net, Edge):
        raise ModelError(f"{checkpoint}: networks of the family {net.config.family} cannot be exported yet")
    model = plain_stack(edge_layers(net), net.config.scale, net.config.colours)
    embed_card(model, card_of(net, about, name))
    check_parity(model, net)
    return model


def edge_layers(net: Edge) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Kernels and biases for pixel values in 0..255.

    Between ReLUs everything is positively homogeneous: scaling the input and all biases by 255 scales the
    output by 255, so the graph needs no scaling of its own.
    """
    return [
        (m.collapsed().detach().numpy().copy(), m.bias.detach().numpy() * np.float32(255))
        for m in net.convolutions()
    ]


def card_of(net: Network, about: dict[str, Any], name: str | None) -> ModelCard:
    """The card: facts computed from the network, words from the recipe."""
    return ModelCard(
        name=name or about["name"],
        scale=net.config.scale,
        colour=net.config.colour,
        receptive_field=net.receptive_field,
        tile_multiple=1,
        precision="fp32",
        parameters=net.parameter_count(),
        macs_per_lr_pixel=net.macs_per_lr_pixel,
        quality={},
        **about["card"],
    )


def check_parity(model: onnx.ModelProto, net: Network) -> None:
    """Refuse an export that differs from its network by more than one level, or on more than 0.1 % of values."""
    rng = np.random.default_rng(0)
    lr = rng.integers(0, 256, (37, 41, net.config.colours), np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, {"lr": lr[None]})[0][0]
    difference = np.abs(got.astype(int) - upscale(net, lr))
    if difference.max() > 1 or (difference > 0).mean() > 1e-3:
        raise ModelError(
            f"the exported model differs from the network by up to {difference.max()} levels on "
            f"{(difference > 0).mean():.2%} of values; this is a defect of the export, please report it"
        )
