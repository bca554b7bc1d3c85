"""The formats that board profiles name, each with what writes it."""

from __future__ import annotations

from sharpline.lab.boards.compiled import compiled
from sharpline.lab.boards.made import Maker
from sharpline.lab.boards.ncnn import ncnn_fp32
from sharpline.lab.boards.onnx_formats import onnx_fp32, onnx_int8
from sharpline.lab.boards.orin import onnx_int8_orin
from sharpline.lab.boards.tflite import tflite_fp32, tflite_int8

FORMATS: dict[str, Maker] = {
    "compiled": compiled,
    "ncnn-fp32": ncnn_fp32,
    "onnx-fp32": onnx_fp32,
    "onnx-int8": onnx_int8,
    "onnx-int8-orin": onnx_int8_orin,
    "tflite-fp32": tflite_fp32,
    "tflite-int8": tflite_int8,
}
