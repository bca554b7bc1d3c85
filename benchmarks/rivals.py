"""What the upscaling benchmark times: our Upscaler and what else people use.

Each maker gives a function from a uint8 H x W x 3 RGB array to the upscaled one. Imports are inside, so that a
row's process loads its own libraries and no other's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workers import Candidate

if TYPE_CHECKING:
    import onnx

    from sharpline.runtime.catalog import Precision
    from sharpline.runtime.network import EngineChoice

Array = npt.NDArray[Any]
Layout = Literal["contiguous", "channels_last"]
_PACKAGES = {"ort": "onnxruntime", "openvino": "openvino", "numpy": "numpy"}


def sharpline(model: str, engine: EngineChoice, threads: int, precision: Precision, scale: int) -> Candidate:
    """Sharpline's Upscaler: a network by name or file, or ``bicubic``."""
    from importlib.metadata import version

    from sharpline import __version__
    from sharpline.runtime.upscaler import Upscaler

    upscaler = Upscaler(model, scale=scale, engine=engine, threads=threads, precision=precision)
    if upscaler.engine_name == "compiled":
        return Candidate(f"sharpline {__version__}", upscaler)
    package = _PACKAGES[upscaler.engine_name]
    return Candidate(f"{package} {version(package)}", upscaler)


def opencv(weights: str, network: str, threads: int, scale: int) -> Candidate:
    """OpenCV's ``dnn_superres``: the network enlarges luma, OpenCV's own bicubic enlarges chroma; BGR order."""
    import cv2

    cv2.setNumThreads(threads)
    module: Any = cv2.dnn_superres  # its type stubs are empty
    superres = module.DnnSuperResImpl_create()
    superres.readModel(weights)
    superres.setModel(network, scale)

    def upscale(image: Array) -> Array:
        sr = superres.upsample(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return np.asarray(cv2.cvtColor(sr, cv2.COLOR_BGR2RGB))

    return Candidate(f"opencv {cv2.__version__}", upscale)


def pillow(scale: int) -> Candidate:
    """Pillow's Lanczos filter; it uses one thread."""
    import PIL
    from PIL import Image

    def upscale(image: Array) -> Array:
        size = (image.shape[1] * scale, image.shape[0] * scale)
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))

    return Candidate(f"pillow {PIL.__version__}", upscale)


def torch_eager(layers: str, layout: Layout, threads: int, scale: int) -> Candidate:
    """The same network as PyTorch runs it without compilation, its tail written as economically as torch allows.

    Args:
        layers: File of :func:`save_layers`.
        layout: Memory format of weights and activations; which one is faster depends on the machine.
        threads: Threads within one operator.
        scale: Enlargement.
    """
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    with np.load(layers) as file:
        tensors = [torch.from_numpy(array) for array in file.values()]
    anchor, *kernels = (t.contiguous(memory_format=memory) for t in tensors if t.ndim == 4)
    biases = [t for t in tensors if t.ndim == 1]

    @torch.inference_mode()
    def upscale(image: Array) -> Array:
        height, width, colours = image.shape
        lr = torch.from_numpy(image).permute(2, 0, 1)[None].float().contiguous(memory_format=memory)
        x = lr
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            x = F.relu_(F.conv2d(x, kernel, bias, padding=kernel.shape[2] // 2))
        x = F.conv2d(x, kernels[-1], biases[-1], padding=kernels[-1].shape[2] // 2)
        # Bilinear enlargement as a convolution, as in our graph: F.interpolate and the larger shuffle take longer.
        x += F.conv2d(F.pad(lr, (1, 1, 1, 1), mode="replicate"), anchor)
        # The channels are (row in block, column in block, colour); [s, s, C, H, W] -> [H, s, W, s, C].
        levels = x[0].round_().clamp_(0, 255).byte().view(scale, scale, colours, height, width)
        return levels.permute(3, 0, 4, 1, 2).reshape(height * scale, width * scale, colours).numpy()

    return Candidate(f"torch {torch.__version__} {layout}", upscale)


def save_layers(model: onnx.ModelProto, path: Path) -> None:
    """Saves the weights of a plain stack for :func:`torch_eager`: the anchor's kernel, then kernel, bias, kernel ...

    Args:
        model: A graph of ``sharpline.runtime.plain_stack``.
        path: The ``.npz`` file.
    """
    from onnx import numpy_helper

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    convolutions.sort(key=lambda node: node.name != "anchor")  # the anchor first, the others stay in order
    np.savez(path, *[weights[name] for node in convolutions for name in node.input[1:]])


@dataclass(frozen=True)
class _Named:
    call: Callable[[Array], Array]
    scale: int
    name: str = "row"

    def __call__(self, image: Array, /) -> Array:
        return self.call(image)


def psnr_y(call: Callable[[Array], Array], folder: str, scale: int) -> float:
    """Mean Y-PSNR of a folder's pictures by the field's protocol, uint8 pictures in and out as in the timing."""
    from sharpline.runtime.evaluation import evaluate_model

    return evaluate_model(_Named(call, scale), folder, scale, luma_only=False).psnr_y
