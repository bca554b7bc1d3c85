"""One model in one engine in a process of its own: what it holds and how it starts is its alone.

Talks in lines of JSON: after the first frame it says what it is, then for each line with a number of seconds it
answers with the times of the frames that it enlarged in them; at an empty line it says how much memory it took.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sharpline.errors import ModelError, SharplineError, UsageError
from sharpline.runtime.upscaler import Upscaler

Pixels = npt.NDArray[np.uint8]
Run = Callable[[], object]
_INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def frame(size: Sequence[int], colours: int) -> Pixels:
    """A frame with edges, ramps and noise; no network's speed depends on it, some processors' power does."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 6, (height, width, colours))
    waves = 96 + 60 * np.sin(x / 9) * np.cos(y / 13) + 60 * ((x // 40 + y // 30) % 2)
    levels: Pixels = np.clip(waves[:, :, None] + noise, 0, 255).astype(np.uint8)
    return levels


def by_upscaler(wanted: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """An embedded network or one of our own ONNX files."""
    upscale = Upscaler(wanted["model"], engine=wanted["engine"], threads=wanted["threads"])
    card = upscale.card
    about = {"model": card.name, "engine": upscale.engine_name, "precision": card.precision, "scale": card.scale}
    lr = frame(wanted["input"], card.channels)
    return lambda: upscale(lr), {**about, "input": wanted["input"]}


def by_tflite(wanted: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """A TFLite file, at its own size where that is fixed."""
    path = Path(wanted["model"])
    if wanted["engine"] not in ("auto", "litert"):
        raise UsageError(f"{path}: TFLite files run in the engine litert, not {wanted['engine']}")
    found = next((name for name in _INTERPRETERS if importlib.util.find_spec(name.split(".")[0])), None)
    if found is None:
        raise UsageError(f"{path}: TFLite files need ai-edge-litert: pip install ai-edge-litert")
    try:
        interpreter = importlib.import_module(found).Interpreter(str(path), num_threads=wanted["threads"])
        end = interpreter.get_input_details()[0]
        if -1 in end["shape_signature"][1:3]:
            shape = [1, wanted["input"][1], wanted["input"][0], int(end["shape"][3])]
            interpreter.resize_tensor_input(end["index"], shape)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, IndexError) as error:
        raise ModelError(f"{path}: LiteRT cannot open it ({' '.join(str(error).split())[:150]})") from error
    end, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    _, height, width, colours = (int(side) for side in end["shape"])
    lr = frame((width, height), colours)
    batch = (lr ^ 128).view(np.int8)[None] if end["dtype"] == np.int8 else lr.astype(end["dtype"])[None]

    def run() -> object:
        interpreter.set_tensor(end["index"], batch)
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])

    scale, precision = int(out["shape"][1]) // height, "int8" if end["dtype"] == np.int8 else "fp32"
    about = {"model": path.name, "engine": "litert", "precision": precision, "scale": scale}
    return run, {**about, "input": [width, height]}


def by_folder(wanted: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """A file of a board's folder, as the folder's own ``run.py`` runs it."""
    script = board_script(Path(wanted["folder"]))
    try:
        sums = script.listed()
        card = script.read_card(sums)
        model, engine, size = script.open_engine(sums, wanted["engine"], wanted["model"], wanted["threads"])
    except script.RunError as error:
        raise ModelError(f"{wanted['folder']}: {error}") from error
    enlarge = script.Enlarger(engine, card, size, script.TILE)
    lr = frame(wanted["input"], card.channels)
    known = re.search(r"(?<![a-z0-9])(fp32|int8)(?![a-z0-9])", model)
    about = {"model": model, "engine": engine.name, "precision": known[1] if known else "", "scale": card.scale}
    return lambda: enlarge(lr), {**about, "input": wanted["input"]}


def board_script(folder: Path) -> Any:
    """The folder's ``run.py`` as a module.

    Raises:
        ModelError: there is none, or it cannot be loaded.
    """
    spec = importlib.util.spec_from_file_location("board_run", folder / "run.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(script)
    except Exception as error:  # whatever a stranger's script does
        raise ModelError(f"{folder}/run.py: is not a board's script ({type(error).__name__}: {error})") from error
    return script


def peak_memory() -> int:
    """Most bytes that this process ever held; 0 where the system does not tell."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    match = re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def times(run: Run, seconds: float) -> list[float]:
    """Milliseconds of each frame, for so long, at least one."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        taken.append(1000 * (time.perf_counter() - begin))
    return taken


def main() -> None:
    """Serves one subject, given as JSON in the only argument."""
    wanted = json.loads(sys.argv[1])
    makers = {"upscaler": by_upscaler, "tflite": by_tflite, "folder": by_folder}
    try:
        run, about = makers[wanted["kind"]](wanted)
        times(run, 0)
        print(json.dumps(about), flush=True)
        for line in sys.stdin:
            answer = {"times": times(run, float(line))} if line.strip() else {"peak_memory": peak_memory()}
            print(json.dumps(answer), flush=True)
    except SharplineError as error:
        print(json.dumps({"error": str(error)}), flush=True)


if __name__ == "__main__":
    main()
