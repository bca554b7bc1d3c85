"""Small random networks of our graph convention, for tests that need a model but no training."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sharpline.runtime.card import ModelCard, embed_card
from sharpline.runtime.plain_stack import plain_stack


def random_card(scale: int = 2, colour: str = "rgb", depth: int = 2, **fields) -> ModelCard:
    return ModelCard(
        **{"name": f"random-x{scale}", "scale": scale, "colour": colour, "receptive_field": depth, **fields}
    )


def random_network(
    scale: int = 2, colour: str = "rgb", depth: int = 2, channels: int = 8, seed: int = 0, **fields
) -> onnx.ModelProto:
    """A stack of ``depth`` 3x3 convolutions with its card; ``fields`` go into the card."""
    rng = np.random.default_rng(seed)
    colours = 3 if colour == "rgb" else 1
    sizes = [colours, *[channels] * (depth - 1), scale * scale * colours]
    layers = []
    for index, (before, after) in enumerate(pairwise(sizes)):
        gain = 0.3 if index == depth - 1 else 1.0  # detail of some tens of levels on top of the anchor
        kernel = rng.standard_normal((after, before, 3, 3)) * gain * np.sqrt(2 / (9 * before))
        layers.append((kernel.astype(np.float32), rng.standard_normal(after).astype(np.float32)))
    model = plain_stack(layers, scale, colours)
    return embed_card(model, random_card(scale, colour, depth, **fields))


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def with_round_clip_cast(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network whose output is rounded by three operators instead of one QuantizeLinear."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    nodes = list(other.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.op_type == "QuantizeLinear")
    quantize = nodes[at]
    nodes[at : at + 1] = [
        helper.make_node("Round", [quantize.input[0]], ["rounded"]),
        helper.make_node("Clip", ["rounded", "black", "white"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], [quantize.output[0]], to=TensorProto.UINT8),
    ]
    del other.graph.node[:]
    other.graph.node.extend(nodes)
    other.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(0), "black"), numpy_helper.from_array(np.float32(255), "white")]
    )
    return other
