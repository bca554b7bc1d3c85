"""Quantization: integers in the place of floats, after training (PTQ) or while it goes on (QAT)."""

from sharpline.lab.compression.quantization.calibration import Calibration, calibrate, calibration_pictures
from sharpline.lab.compression.quantization.config import (
    LayerBits,
    QuantizationConfig,
    bits_of,
    parse_quantization,
)
from sharpline.lab.compression.quantization.export import export_int8
from sharpline.lab.compression.quantization.quantize import quantize
from sharpline.lab.compression.quantization.traced import quantize_traced
from sharpline.lab.networks.integer import to_integer
from sharpline.lab.training.checkpoint import save_integer

__all__ = [
    "Calibration",
    "LayerBits",
    "QuantizationConfig",
    "bits_of",
    "calibrate",
    "calibration_pictures",
    "export_int8",
    "parse_quantization",
    "quantize",
    "quantize_traced",
    "save_integer",
    "to_integer",
]
