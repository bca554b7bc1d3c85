"""The INT8 file of a quantized network."""

from __future__ import annotations

from typing import Any

import onnx

from sharpline.lab.boards.onnx_file import model_of
from sharpline.lab.networks.integer import Integer
from sharpline.runtime.card import ModelCard


def export_int8(
    simulation: Integer, about: dict[str, Any], name: str | None = None
) -> tuple[onnx.ModelProto, ModelCard]:
    """Turn a simulation into an INT8 ONNX model with its card, compared with the simulation before it is returned.

    Args:
        simulation: from :func:`~sharpline.lab.compression.quantization.quantize`, trained on or not.
        about: ``name``, and under ``card`` what the card says beyond what the network shows.
        name: the model's name instead.

    Raises:
        ModelError: an export that is not the same function, on bytes or, as its float twin, on floats.

    Example:
        >>> import numpy as np
        >>> from sharpline.lab.compression.quantization import QuantizationConfig, calibrate, quantize
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "edge", "channels": 4, "depth": 1, "scale": 2}).eval()
        >>> seen = calibrate(net, [np.arange(192, dtype=np.uint8).reshape(8, 8, 3)])
        >>> export_int8(quantize(net, QuantizationConfig(), seen), {"name": "tiny", "card": {}})[1].precision
        'int8'
    """
    return model_of(simulation.eval(), about, name)
