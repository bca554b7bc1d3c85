"""Folders of boards with any model, and a picture to enlarge."""

import hashlib
from types import SimpleNamespace

import numpy as np
from PIL import Image
from skimage.data import astronaut

from sharpline.lab.boards.run_script import run_py
from sharpline.runtime.benchmark_worker import board_script
from sharpline.runtime.boards.profile import load_board
from sharpline.runtime.card import read_card

PICTURE = astronaut()[:90, 100:220]


def write_folder(place, model, files, board="raspberry-pi-4"):
    """A board's folder as the export makes it; ``files``: bytes and size by name."""
    place.mkdir()
    for name, (data, _) in files.items():
        (place / name).write_bytes(data)
    (place / "card.json").write_text(read_card(model).model_dump_json())
    made = [SimpleNamespace(file=name, size=size) for name, (_, size) in files.items() if not name.endswith(".so")]
    (place / "run.py").write_text(run_py(load_board(board), made))
    names = sorted(path.name for path in place.iterdir())
    sums = [f"{hashlib.sha256((place / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (place / "SHA256SUMS").write_text("".join(sums))
    return place


def save_picture(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def pixels_of(path):
    return np.asarray(Image.open(path)).astype(int)


def run(place, *arguments):
    return board_script(place).main([str(argument) for argument in arguments])
