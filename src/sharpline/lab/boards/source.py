"""What is exported: a checkpoint, an embedded network, or an ONNX file of ours."""

from __future__ import annotations

from pathlib import Path

import onnx

from sharpline.errors import ModelError, UsageError
from sharpline.lab.boards.made import SourceModel
from sharpline.lab.boards.onnx_file import model_of
from sharpline.lab.networks.integer import Integer, to_integer
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.validate import upscale
from sharpline.runtime.card import ModelCard
from sharpline.runtime.catalog import Precision, open_model
from sharpline.runtime.certificate.document import read_certificate
from sharpline.runtime.certificate.verify import certificate_of
from sharpline.runtime.integer import IntegerModel
from sharpline.runtime.integer_graph import integer_model
from sharpline.runtime.upscaler import Upscaler

_WHOLE = 2**20  # LR pixels: a tile that holds any picture


def open_source(
    model: str, *, name: str | None = None, scale: int | None = None, precision: Precision = "auto"
) -> SourceModel:
    """Open what is to be exported.

    Args:
        model: ``best.safetensors`` of a run, an embedded network's name, or an ``.onnx`` file with a card.
        name: the name on the card instead.
        scale: the scale that is wanted, for checkpoints that serve several, or to be sure.
        precision: of an embedded network; ``auto`` takes the integers where it has them.

    Raises:
        ModelError: no such model, or it cannot be used.
        UsageError: an interpolation, or another scale.

    Example:
        >>> open_source("edge-s-x4").card.name
        'edge-s-x4'
    """
    path = Path(model)
    if path.suffix.lower() == ".safetensors":
        return _of_checkpoint(path, name, scale)
    found = open_model(model, scale=scale, precision=precision)
    if found.graph is None:
        raise UsageError(f"{model} is interpolation; a board takes a network: a checkpoint, a name or an .onnx file")
    card = found.card.model_copy(update={"name": name}) if name else found.card
    return SourceModel(
        source=found.source,
        card=card,
        graph=found.graph,
        upscale=Upscaler(found.graph, engine="ort", tile=_WHOLE, card=card),
        integer=_integers(found.graph, card, found.source),
        certificate=_certificate(Path(found.source)),
    )


def _of_checkpoint(path: Path, name: str | None, scale: int | None) -> SourceModel:
    net, about = load_network(path, scale)
    graph, card = model_of(net, about, name)
    net = net.fold()
    return SourceModel(
        source=str(path),
        card=card,
        graph=graph,
        upscale=lambda lr: upscale(net, lr),
        integer=to_integer(net) if isinstance(net, Integer) else None,
        net=net,
        certificate=_certificate(path),
    )


def _integers(graph: onnx.ModelProto, card: ModelCard, source: str) -> IntegerModel | None:
    if card.precision != "int8":
        return None
    try:
        return integer_model(graph, source)
    except ModelError:  # quantized elsewhere: formats that need our integers are left out
        return None


def _certificate(path: Path) -> Path | None:
    beside = certificate_of(path)
    if not beside.is_file():
        return None
    read_certificate(beside)  # a damaged one is told here
    return beside
