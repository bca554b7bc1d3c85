"""What the frontier benchmark measures: candidates and shipped networks compiled, and what libraries do beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from common import ROOT
from frontier_shapes import integers, trained
from sharpline.compiler import compile_model
from sharpline.lab.boards.onnx_file import export_onnx
from sharpline.lab.compression.quantization import calibration_pictures
from sharpline.lab.training.recipe import Recipe
from sharpline.runtime.catalog import card_of, open_model
from sharpline.runtime.integer import network_digest
from sharpline.runtime.integer_graph import integer_model
from sharpline.runtime.libraries import library_of, list_of, write_libraries
from sharpline.runtime.processor import fitting_targets

Series = Literal["candidate", "shipped", "published"]
SHIPPED = ("edge-s-x4", "edge-m-x4")
PUBLISHED = {"RLFN": ROOT / "runs" / "rlfn.safetensors", "IMDN": ROOT / "runs" / "imdn.safetensors"}
COMPILED = "compiled INT8"
_LIBRARIES = (
    ("ort", "fp32", "ONNX Runtime FP32"),
    ("ort", "int8", "ONNX Runtime INT8"),
    ("openvino", "int8", "OpenVINO INT8"),
)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        series: ``candidate`` of a short training, ``shipped`` with Sharpline, or ``published`` by others.
        model: The network.
        name: What runs it.
        make: ``module:function`` of the maker.
        arguments: Its arguments.
        macs: Multiply-accumulates for each LR pixel.
        steps: Of a candidate's training.
    """

    series: Series
    model: str
    name: str
    make: str
    arguments: Mapping[str, Any]
    macs: int
    steps: int | None = None


def candidates(recipes: Sequence[Recipe], data: Path, runs: Path, folder: Path, threads: int) -> Iterator[Row]:
    """The shapes that are trained to their end, in integers, compiled into a folder."""
    done = [recipe for recipe in recipes if trained(recipe, runs)]
    if not done:
        return
    source = done[0].data.train
    pictures = calibration_pictures(data / (source if isinstance(source, str) else source[0]), 4)
    for recipe in done:
        yield _compiled("candidate", integers(recipe, pictures, runs), folder, threads, recipe.steps)


def shipped(folder: Path, threads: int) -> Iterator[Row]:
    """The embedded networks, compiled into a folder, and in the libraries."""
    for model in SHIPPED:
        yield _compiled("shipped", model, folder, threads)
        for engine, precision, name in _LIBRARIES:
            given = {"model": model, "engine": engine, "threads": threads, "precision": precision}
            yield Row("shipped", model, name, "engine_rows:library", given, card_of(model).macs_per_lr_pixel)


def published(folder: Path, threads: int) -> Iterator[Row]:
    """Networks that others trained, where they were imported."""
    for model, checkpoint in PUBLISHED.items():
        if checkpoint.exists():
            graph, card = export_onnx(checkpoint)
            onnx.save(graph, folder / f"{model}.onnx")
            given = {"model": str(folder / f"{model}.onnx"), "engine": "ort", "threads": threads, "precision": "fp32"}
            yield Row("published", model, "ONNX Runtime FP32", "engine_rows:library", given, card.macs_per_lr_pixel)


def _compiled(
    series: Series, model: str | onnx.ModelProto, folder: Path, threads: int, steps: int | None = None
) -> Row:
    """A row of an INT8 network, compiled anew: what lies beside the embedded ones may be of an older engine."""
    found, target = open_model(model, precision="int8"), fitting_targets()[0]
    assert found.graph is not None
    file = folder / f"{found.card.name}.onnx"
    onnx.save(found.graph, file)
    network, library = integer_model(found.graph, found.source), library_of(file, target)
    digest = network_digest(network)
    compile_model(network, target, library, name=found.card.name, digest=digest)
    write_libraries(list_of(file), digest, [(target, library)])
    given = {"model": str(file), "target": target, "threads": threads}
    return Row(series, found.card.name, COMPILED, "engine_rows:compiled", given, found.card.macs_per_lr_pixel, steps)
