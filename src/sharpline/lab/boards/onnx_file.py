"""Export to ONNX: uint8 pictures in and out, the card inside, checked against the network it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime

from sharpline.errors import ModelError
from sharpline.lab.networks import Network
from sharpline.lab.networks.edge import Edge
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.validate import upscale
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.card import ModelCard, Quality, embed_card
from sharpline.runtime.evaluation import evaluate_model
from sharpline.runtime.plain_stack import plain_stack
from sharpline.runtime.upscaler import Upscaler


def export_onnx(
    checkpoint: Path, *, name: str | None = None, measure: Sequence[Path] = ()
) -> tuple[onnx.ModelProto, ModelCard]:
    """Turn ``best.safetensors`` of a run into an FP32 ONNX model with its card.

    Args:
        checkpoint: the file.
        name: the model's name; default: the recipe's.
        measure: folders of HR pictures to score the exported model on, for the card, under the folders' names.

    Raises:
        ModelError: not a checkpoint, a family without export, or an export that does not reproduce the network.
    """
    net, about = load_network(checkpoint)
    net = net.fold()
    if not isinstance(net, Edge):
        raise ModelError(f"{checkpoint}: networks of the family {net.config.family} cannot be exported yet")
    model = plain_stack(edge_layers(net), net.config.scale, net.config.colours)
    check_parity(model, net)
    card = card_of(net, about, name)
    embed_card(model, card)
    if measure:
        card = card.model_copy(update={"quality": measured(model, measure)})
        embed_card(model, card)
    return model, card


def measured(model: onnx.ModelProto, folders: Sequence[Path]) -> dict[str, Quality]:
    """Scores of a model with its card, by folder name, through the runtime that users have."""
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "model.onnx"
        write_model(model, file)
        upscaler = Upscaler(file)
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
