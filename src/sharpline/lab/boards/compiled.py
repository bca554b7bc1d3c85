"""The integer network as machine code, a library for each processor; ``run.py`` takes the fastest that fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpline.compiler import compile_model
from sharpline.errors import ModelError
from sharpline.lab.boards.made import Made, Options, Pixels, Runner, SourceModel
from sharpline.runtime.compiled import Compiled
from sharpline.runtime.integer import network_digest
from sharpline.runtime.processor import fitting_targets

_NOTE = "Machine code for {target}; run.py opens it only if it computes on the board what it should."


def compiled(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Compile an integer network for each of ``options.targets``.

    Raises:
        ModelError: the model is no integer network of our form.
        UsageError: there is no compiler.
    """
    if model.integer is None:
        raise ModelError(f"{model.source}: only integer networks are compiled")
    digest, name = network_digest(model.integer), model.card.name
    made = []
    for target in options.targets:
        path = folder / f"{name}-int8.{target}.so"
        compile_model(model.integer, target, path, name=name, digest=digest)
        runner = _runner(Compiled(path, target, digest)) if target in fitting_targets() else None
        note = _NOTE.format(target=target)
        made.append(Made(path.name, "compiled", "int8", f"this machine ({target})", runner, notes=(note,)))
    return made


def _runner(library: Compiled) -> Runner:
    library.check()

    def run(lr: Pixels) -> NDArray[Any]:
        height, width = lr.shape[:2]
        sr = np.empty((height * library.scale, width * library.scale, library.colours), np.uint8)
        library.run(lr, sr, 1, np.empty(library.scratch(height, width, 1), np.uint8))
        return sr

    return run
