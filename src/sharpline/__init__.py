"""Sharpline: super-resolution that fits the machine.

Example:
    >>> import numpy as np
    >>> from sharpline import Upscaler
    >>> sr = Upscaler("bicubic", scale=4)(np.zeros((8, 10, 3), np.uint8))
    >>> sr.shape
    (32, 40, 3)
"""

from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import psnr, ssim
from sharpline.pixels.reading import read_image
from sharpline.pixels.writing import write_image
from sharpline.runtime.upscaler import Upscaler

__version__ = "0.1.0"
__all__ = ["Upscaler", "__version__", "imresize", "psnr", "read_image", "ssim", "write_image"]
