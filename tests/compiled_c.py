"""A library with the compiler's interface that computes by the definition, in C: slow and small, for the runtime."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks_onnx import save
from sharpline.runtime.card import ModelCard, embed_card
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_picture, network_digest, upscale_integer
from sharpline.runtime.integer_graph import integer_graph

_SOURCE = """
#include <math.h>
#include <stdint.h>
#include <string.h>
static int at(int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }
#define LAYERS %(layers)d
#define SCALE %(scale)d
#define COLOURS %(colours)d
#define WIDEST %(widest)d
#define ANCHORED %(anchored)d
typedef struct { int in, out, side, top; const int8_t *weight; const int32_t *bias; const float *multiplier; } layer;
%(arrays)s
static const int32_t anchor[] = {%(anchor)s};
static const layer layers[] = {%(table)s};
const char *sharpline_info(void) { return %(info)s; }
int64_t sharpline_scratch(int64_t height, int64_t width, int threads) { 
    return 2 * height * width * WIDEST + (height * width > 100 ? %(more)dL : 64) * threads;
}
int sharpline_upscale(const uint8_t *lr, int64_t height, int64_t width, int64_t lr_stride, uint8_t *sr,
                      int64_t sr_stride, int threads, void *scratch, int64_t scratch_bytes) {
    if (height < 1 || width < 1 || threads < 1 || scratch_bytes < sharpline_scratch(height, width, threads)) return 1;
    uint8_t *from = scratch, *to = from + height * width * WIDEST;
    for (int y = 0; y < height; y++) memcpy(from + y * width * COLOURS, lr + y * lr_stride, width * COLOURS);
    for (int n = 0; n < LAYERS; n++) {
        layer l = layers[n];
        int r = l.side / 2, last = n == LAYERS - 1;
        for (int y = 0; y < height; y++) for (int x = 0; x < width; x++) for (int o = 0; o < l.out; o++) {
            int32_t total = l.bias[o];
            for (int i = -r; i <= r; i++) for (int j = -r; j <= r; j++) {
                if (y + i < 0 || y + i >= height || x + j < 0 || x + j >= width) continue;
                for (int c = 0; c < l.in; c++)
                    total += (int32_t)from[((y + i) * width + x + j) * l.in + c]
                           * l.weight[((o * l.in + c) * l.side + i + r) * l.side + j + r];
            }
            if (last && ANCHORED) for (int i = -1; i <= 1; i++) for (int j = -1; j <= 1; j++)
                total += anchor[o * 9 + (i + 1) * 3 + j + 1]
                       * lr[at(y + i, height) * lr_stride + at(x + j, width) * COLOURS + o %% COLOURS];
            float value = rintf((float)total * l.multiplier[o]);
            uint8_t level = value < 0 ? 0 : value > l.top ? l.top : (uint8_t)value;
            int block = o / COLOURS;
            int64_t row = y * SCALE + block / SCALE, column = x * SCALE + block %% SCALE;
            if (last) sr[row * sr_stride + column * COLOURS + o %% COLOURS] = level;
            else to[(y * width + x) * l.out + o] = level;
        }
        uint8_t *swap = from; from = to; to = swap;
    }
    return %(code)d;
}
"""


def compiled_in_c(
    model: IntegerModel, path: Path, built_for: str, *, code: int = 0, more: int = 64, **told: Any
) -> Path:
    """Makes the library.

    Args:
        model: the network.
        path: the library.
        built_for: target that it claims to be for; it is for the machine that this runs on.
        code: what its runs return.
        more: bytes of scratch for each thread, where the picture has more than a hundred pixels.
        told: what ``sharpline_info`` says otherwise than it is.
    """
    arrays, table = [], []
    for n, layer in enumerate(model.layers):
        for name, kind in (("weight", "int8_t"), ("bias", "int32_t")):
            arrays.append(f"static const {kind} {name}{n}[] = {{{_listed(getattr(layer, name))}}};")
        exact = ",".join(float(m).hex() for m in layer.multiplier)
        arrays.append(f"static const float multiplier{n}[] = {{{exact}}};")
        outputs, inputs, side = layer.weight.shape[:3]
        table.append(f"{{{inputs}, {outputs}, {side}, {layer.top}, weight{n}, bias{n}, multiplier{n}}}")
    info = {
        "abi": 1,
        "name": "test",
        "network": network_digest(model),
        "target": built_for,
        "scale": model.scale,
        "colours": model.colours,
        "halo": model.receptive_field,
        "check": check_of(model),
        **told,
    }
    source = _SOURCE % {
        "layers": len(model.layers),
        "scale": model.scale,
        "colours": model.colours,
        "widest": max(model.colours, *(len(layer.bias) for layer in model.layers)),
        "anchored": int(model.anchor is not None),
        "arrays": "\n".join(arrays),
        "anchor": _listed(model.anchor if model.anchor is not None else np.zeros(1, np.int32)),
        "table": ", ".join(table),
        "info": json.dumps(json.dumps(info)),
        "more": more,
        "code": code,
    }
    path.write_bytes(_built(source))
    return path


@cache
def _built(source: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        text, library = Path(scratch) / "network.c", Path(scratch) / "network.so"
        text.write_text(source)
        command = [*_compiler(), "-O1", "-shared", "-fPIC", "-o", str(library), str(text), "-lm"]
        subprocess.run(command, check=True, capture_output=True)
        return library.read_bytes()


def small_model(colours: int = 3, seed: int = 0) -> IntegerModel:
    """Two layers, anchored, x2; its pairs cannot saturate, so that every engine computes the same."""
    rng = np.random.default_rng(seed)
    first = IntegerLayer(
        "first",
        rng.integers(-40, 41, (6, colours, 3, 3)).astype(np.int8),
        rng.integers(-900, 900, 6).astype(np.int32),
        rng.uniform(0.001, 0.004, 6).astype(np.float32),
    )
    outputs = 4 * colours
    last = IntegerLayer(
        "last",
        rng.integers(-40, 41, (outputs, 6, 3, 3)).astype(np.int8),
        rng.integers(-900, 900, outputs).astype(np.int32),
        np.full(outputs, 1 / 200, np.float32),
    )
    anchor = rng.integers(0, 20, (outputs, 3, 3)).astype(np.int32)
    return IntegerModel((first, last), 2, colours, anchor)


def saved_model(model: IntegerModel, path: Path) -> Path:
    """Saves the network as an INT8 model file."""
    colour = "rgb" if model.colours == 3 else "y"
    card = ModelCard(name="small", scale=model.scale, colour=colour, receptive_field=2, precision="int8")
    return save(embed_card(integer_graph(model), card), path)


def picture(height: int, width: int, colours: int = 3, seed: int = 0) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, colours), np.uint8)


def check_of(model: IntegerModel) -> dict[str, Any]:
    """What libraries say that the judge made of small pictures."""
    cases = []
    for height, width in ((7, 9), (1, 1)):
        sr = upscale_integer(model, check_picture(1, height, width, model.colours))
        cases.append({"height": height, "width": width, "sha256": hashlib.sha256(sr).hexdigest()})
    return {"seed": 1, "cases": cases}


def _listed(values: np.ndarray) -> str:
    return ",".join(map(str, values.ravel().tolist()))


def _compiler() -> list[str]:
    if shutil.which("cc"):
        return ["cc"]
    if find_spec("ziglang") is None:
        pytest.skip("there is no C compiler: neither cc nor the package ziglang")
    return [sys.executable, "-m", "ziglang", "cc"]
