"""What the export filled in, and the files of the folder that may be opened."""

import hashlib
import json
import os
import re
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

Array = Any
Sums = Dict[str, str]  # SHA-256 by file
Size = Optional[Tuple[int, int]]  # width and height of a static input; None: any

BOARD = "any"
MODELS: Dict[str, Size] = {}  # size by file: width and height, None: any
CAMERA = ""  # command that writes raw frames, or the number of a V4L2 device
CAMERA_SIZE = (640, 480)  # width, height
CAMERA_PIXELS = "bgr24"
PROCESSORS: Dict[str, List[str]] = {}

HERE = os.path.dirname(os.path.abspath(__file__))
TILE = 512  # of files that take any size: pixels that a tile contributes at most


class RunError(Exception):
    """What went wrong, in one line."""


def listed() -> Sums:
    """SHA256SUMS: digest by name."""
    try:
        with open(os.path.join(HERE, "SHA256SUMS")) as file:
            pairs = [line.split() for line in file if line.strip()]
        return {name.lstrip("*"): digest for digest, name in pairs}
    except (OSError, ValueError):
        raise RunError("SHA256SUMS: is missing or damaged; copy the whole folder again") from None


def checked(name: str, sums: Sums) -> bytes:
    """The bytes of a listed file."""
    try:
        with open(os.path.join(HERE, name), "rb") as file:
            data = file.read()
    except OSError as error:
        raise RunError(f"{name}: cannot be read ({error.strerror}); copy the folder again") from None
    if hashlib.sha256(data).hexdigest() != sums.get(name):
        raise RunError(f"{name}: is not the file that was exported (SHA256SUMS); copy the folder again")
    return data


class Card(NamedTuple):
    """What has to be known of the model."""

    scale: int
    channels: int
    halo: int
    multiple: int
    tile_error: Optional[float]


def read_card(sums: Sums) -> Card:
    """What card.json says."""
    card = json.loads(checked("card.json", sums).decode("utf-8"))
    channels = 3 if card["colour"] == "rgb" else 1
    return Card(card["scale"], channels, card["receptive_field"], card.get("tile_multiple", 1), card.get("tile_error"))


def built(name: str) -> str:
    """Path of a file that was made on the board, or for it, from an exported one."""
    path = os.path.join(HERE, name)
    if not os.path.isfile(path):
        raise RunError(f"{name}: is not built yet; README.md has the command")
    return path


def brief(error: BaseException) -> str:
    """The message of an error in one line."""
    return re.sub(r"<_io\.\w+ object at \w+>", "it", " ".join(str(error).split()))[:200] or type(error).__name__


def tell(line: str) -> None:
    """Say something to people."""
    print(line, file=sys.stderr)
