"""The ONNX graph of any network: traced by torch, with 8-bit pictures at its ends."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from sharpline.errors import ModelError
from sharpline.lab.networks import Network

_OPSET = 18
_EXAMPLE = (96, 80)  # height and width of the traced picture: no branch may find a side of one pixel in it


class _OnBytes(nn.Module):
    """uint8 [1, H, W, C] -> uint8 [1, H*s, W*s, C]; ``runtime.graph`` knows these ends and can open them."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor) -> Tensor:
        planes = lr.to(torch.float32).permute(0, 3, 1, 2) / 255
        levels = self.net(planes) * 255
        sr: Tensor = levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        return sr


def traced(net: Network) -> onnx.ModelProto:
    """Build the graph of a network by tracing it.

    Args:
        net: a folded network, in evaluation mode.

    Returns:
        A checked model of opset 18: ``lr`` uint8 [1, H, W, C] -> ``sr`` uint8 [1, H*scale, W*scale, C], any H and W.

    Raises:
        ModelError: torch cannot trace the network for any height and width, or cannot express it in ONNX.

    Example:
        >>> from sharpline.lab.networks import build
        >>> model = traced(build({"family": "espcn", "scale": 2, "channels": 4, "inner": 4}).eval())
        >>> [i.name for i in model.graph.input], model.opset_import[0].version
        (['lr'], 18)
    """
    lr = torch.zeros(1, *_EXAMPLE, net.config.colours, dtype=torch.uint8)
    # Not ``Dim("H")``: that refuses a network for conditions that its own padding makes true for every size.
    sides = {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(_OnBytes(net).eval(), (lr,), dynamic_shapes={"lr": sides}, strict=False)
            written = torch.onnx.export(
                program, dynamo=True, opset_version=_OPSET, input_names=["lr"], output_names=["sr"], verbose=False
            )
    except Exception as error:  # the exporter's errors have no common base
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(f"networks of the family {net.config.family} cannot be exported: {reason}") from error
    assert written is not None
    return _tidied(written.model_proto)


def _tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes, which name the source files of the machine it ran on."""
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    assert opsets == {"": _OPSET}, f"the exporter wrote {opsets}"  # asked for another one, it does not say so
    assert not model.functions
    del model.graph.value_info[:]  # sizes are inferred again for the picture at hand
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for value, names in ((model.graph.input[0], ("H", "W")), (model.graph.output[0], ("H_sr", "W_sr"))):
        for place, name in enumerate(names, start=1):
            value.type.tensor_type.shape.dim[place].dim_param = name
    onnx.checker.check_model(model, full_check=True)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings: none is about the network."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
