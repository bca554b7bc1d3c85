"""Enlarges a picture, a folder of pictures or a camera's frames. Made by `sharpline export --board`.

    python3 run.py photo.png -o large.png
    python3 run.py photos/ -o large/
    python3 run.py --camera --frames 100 -o frames/

It needs Python 3.6 or later, numpy, something that runs the model, and Pillow or OpenCV to read and write pictures
(without both: PPM files). It takes 8-bit pictures and sends nothing anywhere. A file is opened only if its SHA-256
is the one in SHA256SUMS; what was built on the board is on no list.

Tiles are exact: each carries the receptive field of card.json as a halo, and one at the picture's border keeps
that border. A file of one fixed size shifts its tiles inwards, and for a smaller picture outwards: every pixel comes
from a tile in which no border but the picture's own is near, as long as each side of the picture is at least twice
the receptive field. Below that, and where the card has a `tile_error`, pixels differ a little, and a line says so.
Colour pictures through a luma network, and grey ones through a colour network, are rounded to 8 bits on the way.

Run when this file was written: ONNX Runtime, OpenVINO, OpenCV, LiteRT, compiled libraries.
Not run, for want of the device: TensorRT, the Edge TPU, the cameras.
"""

import argparse
import json
import os
import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from sharpline.lab.boards.run_parts.camera import frames
from sharpline.lab.boards.run_parts.choice import OPENERS, open_engine
from sharpline.lab.boards.run_parts.engines import Engine
from sharpline.lab.boards.run_parts.enlarging import Enlarger
from sharpline.lab.boards.run_parts.folder import (
    BOARD,
    CAMERA,
    CAMERA_PIXELS,
    CAMERA_SIZE,
    TILE,
    RunError,
    listed,
    read_card,
    tell,
)
from sharpline.lab.boards.run_parts.pictures import (
    FORMATS,
    Picture,
    check_suffix,
    pictures_in,
    read_picture,
    write_picture,
)


def parsed(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Enlarges pictures with the model of this folder.")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="pictures, folders")
    parser.add_argument("-o", "--output", help="file or folder; default: <stem>_x<scale> beside the input")
    parser.add_argument("--camera", nargs="?", const=CAMERA, help="the board's camera, a command, or a V4L2 number")
    parser.add_argument("--camera-size", default="{}x{}".format(*CAMERA_SIZE), metavar="WxH", help="(%(default)s)")
    parser.add_argument("--camera-pixels", default=CAMERA_PIXELS, choices=("bgr24", "rgb24", "yuv420p"))
    parser.add_argument("--frames", type=whole, help="stop after so many; default: Ctrl-C stops")
    parser.add_argument("--engine", choices=sorted(OPENERS), help="default: the best that is here")
    parser.add_argument("--model", metavar="FILE", help="a model file of this folder; default: the best")
    parser.add_argument("--threads", type=whole, default=0, help="default: the engine's own choice")
    parser.add_argument("--tile", type=whole, default=TILE, help="for files that take any size (%(default)s)")
    parser.add_argument("--repeat", type=whole, default=1, help="enlarge each picture so often, for timing")
    parser.add_argument("--overwrite", action="store_true", help="replace results (never an input)")
    parser.add_argument("--json", action="store_true", help="print a report for machines")
    options = parser.parse_args(arguments)
    if bool(options.inputs) == (options.camera is not None):
        parser.error("give pictures, or --camera")
    if options.camera == "":
        parser.error(f"{BOARD} has no camera of its own: give --camera a command, or the number of a V4L2 device")
    return options


def whole(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def jobs(inputs: List[str], output: Optional[str], scale: int) -> List[Tuple[str, str]]:
    """Sources with their targets."""
    many = len(inputs) > 1 or os.path.isdir(inputs[0])
    single = bool(output) and os.path.splitext(output or "")[1] != "" and not os.path.isdir(output or "")
    if single and many:
        raise RunError(f"{output}: is the name of one file, but there are more inputs; give a folder")
    plan = []
    for name in inputs:
        found = pictures_in(name) if os.path.isdir(name) else [name]
        if not found:
            raise RunError(f"{name}: holds no pictures ({', '.join(sorted(FORMATS))})")
        for source in found:
            stem, suffix = os.path.splitext(source)
            target = f"{stem}_x{scale}{suffix if suffix.lower() in FORMATS else '.png'}"
            if output is not None:
                target = output if single else os.path.join(output, os.path.basename(target))
            check_suffix(target)
            plan.append((source, target))
    places = [os.path.realpath(target) for _, target in plan]
    sources = {os.path.realpath(source) for source, _ in plan}
    for (_, target), place in zip(plan, places):
        if place in sources or places.count(place) > 1:
            raise RunError(f"{target}: is an input, or the result of two; choose another output")
    return plan


def upscale_files(options: argparse.Namespace, enlarge: Enlarger) -> Iterator[Dict[str, Any]]:
    """Enlarge files; what fails is told and left out."""
    for source, target in jobs(options.inputs, options.output, enlarge.card.scale):
        report: Dict[str, Any] = {"input": source, "output": target, "error": None}
        try:
            if os.path.lexists(target) and not options.overwrite:
                raise RunError(f"{target}: exists already; --overwrite replaces it")
            picture = read_picture(source)
            reason = enlarge.inexact(picture.pixels)
            if reason:
                tell(f"note: {source}: {reason}")
            for _ in range(options.repeat):
                sr = enlarge(picture.pixels)
            write_picture(target, Picture(sr, picture.keep), options.overwrite)
            tell(f"{target}: {picture.pixels.shape[1]}x{picture.pixels.shape[0]} -> {sr.shape[1]}x{sr.shape[0]}")
        except (RunError, MemoryError) as error:
            message = str(error) if isinstance(error, RunError) else "not enough memory; try --tile 128"
            if not message.startswith((source, target)):
                message = f"{source}: {message}"
            tell(f"error: {message}")
            report.update(output=None, error=message)
        yield report


def upscale_camera(options: argparse.Namespace, enlarge: Enlarger) -> Iterator[Dict[str, Any]]:
    """Enlarge a camera's frames: into a folder, raw RGB to standard output (-o -), or only for the times."""
    size = tuple(int(side) for side in options.camera_size.split("x") if side.isdigit())
    if len(size) != 2 or min(size) < 2 or (options.camera_pixels == "yuv420p" and (size[0] % 2 or size[1] % 2)):
        raise RunError(f"--camera-size {options.camera_size}: write width x height, for example 640x480")
    if options.output == "-" and options.json:
        raise RunError("-o - and --json both take the standard output")
    for number, frame in enumerate(frames(options.camera, size, options.camera_pixels), start=1):
        sr = enlarge(frame)
        target = None
        if options.output == "-":
            sys.stdout.buffer.write(sr.tobytes())
            sys.stdout.buffer.flush()
        elif options.output is not None:
            target = os.path.join(options.output, f"frame-{number:06d}.png")
            write_picture(target, Picture(sr, {}), options.overwrite)
        yield {"input": number, "output": target, "error": None}
        if number == options.frames:
            return


def timing(engine: Engine) -> Dict[str, Any]:
    """What a run of the network took, in milliseconds."""
    if not engine.times:
        return {"runs": 0, "p50_ms": None, "p95_ms": None, "size": None}
    p50, p95 = (round(float(np.percentile(engine.times, share)), 2) for share in (50, 95))
    return {"runs": len(engine.times), "p50_ms": p50, "p95_ms": p95, "size": [engine.shape[1], engine.shape[0]]}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Exit code 0: done; 1: something failed; 2: usage; 130: stopped by Ctrl-C."""
    options = parsed(arguments)
    files: List[Dict[str, Any]] = []
    code = 0
    try:
        sums = listed()
        card = read_card(sums)
        model, engine, size = open_engine(sums, options.engine, options.model, options.threads)
        tell(f"{model} in {engine.name}")
        enlarge = Enlarger(engine, card, size, options.tile)
        try:
            for report in (upscale_files if options.inputs else upscale_camera)(options, enlarge):
                files.append(report)
        except KeyboardInterrupt:
            code = 130
    except RunError as error:
        tell(f"error: {error}")
        return 1
    except BrokenPipeError:
        return 1
    network = timing(engine)
    if options.json:
        result = {"board": BOARD, "model": model, "engine": engine.name, "scale": card.scale, "network": network}
        print(json.dumps(dict(result, files=files), indent=1))
    elif network["runs"]:
        times = "network p50 {p50_ms} ms, p95 {p95_ms} ms, {runs} runs of {size[0]}x{size[1]}"
        tell(times.format(**network))
    return code or int(any(report["error"] for report in files))


if __name__ == "__main__":
    sys.exit(main())
