"""Sharpline: super-resolution that fits the machine.

Example:
    >>> import numpy as np
    >>> from sharpline import Upscaler
    >>> sr = Upscaler("bicubic", scale=4)(np.zeros((8, 10, 3), np.uint8))
    >>> sr.shape
    (32, 40, 3)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpline.pixels.imresize import imresize
    from sharpline.pixels.metrics import psnr, ssim
    from sharpline.pixels.reading import read_image
    from sharpline.pixels.writing import write_image
    from sharpline.runtime.upscaler import Upscaler

__version__ = "0.1.0"
__all__ = ["Upscaler", "__version__", "imresize", "psnr", "read_image", "ssim", "write_image"]

# Loaded when they are asked for: until then nothing takes time, and the command line can already answer Ctrl-C.
_HOMES = {
    "Upscaler": "runtime.upscaler",
    "imresize": "pixels.imresize",
    "psnr": "pixels.metrics",
    "read_image": "pixels.reading",
    "ssim": "pixels.metrics",
    "write_image": "pixels.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sharpline' has no attribute {name!r}")
    return getattr(import_module(f"sharpline.{_HOMES[name]}"), name)
