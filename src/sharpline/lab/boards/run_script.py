"""A board folder's ``run.py``: the parts in ``run_parts``, put together in one file of Python 3.6."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpline.lab.boards.made import Made
from sharpline.runtime.boards.profile import Board
from sharpline.runtime.processor import FEATURES

_FOLDER = Path(__file__).parent / "run_parts"
_PARTS = ("folder", "engines", "devices", "choice", "tiles", "enlarging", "pictures", "camera", "main")
_OURS = "sharpline."
_GSTREAMER = "! videoconvert ! video/x-raw,format=BGR ! queue leaky=downstream max-size-buffers=1 ! fdsink"
_NVIDIA = (
    "gst-launch-1.0 -q nvarguscamerasrc ! video/x-raw(memory:NVMM),format=NV12 ! nvvidconv ! "
    "video/x-raw,format=BGRx,width={width},height={height} " + _GSTREAMER
)
_RASPBERRY = "rpicam-vid --nopreview -t 0 --codec yuv420 --flush --width {width} --height {height} -o -"
_CORAL = "gst-launch-1.0 -q v4l2src ! videoscale ! video/x-raw,width={width},height={height} " + _GSTREAMER
# By board: the command (or the number of a V4L2 device), width and height, format of its pixels.
CAMERAS: Mapping[str, tuple[str, tuple[int, int], str]] = {
    "jetson-nano": (_NVIDIA, (480, 270), "bgr24"),
    "jetson-orin": (_NVIDIA, (480, 270), "bgr24"),
    "coral-dev-board": (_CORAL, (320, 240), "bgr24"),
    "raspberry-pi-4": (_RASPBERRY, (640, 480), "yuv420p"),  # rows of other widths than multiples of 64 are padded
    "raspberry-pi-5": (_RASPBERRY, (640, 480), "yuv420p"),
    "x86-cpu": ("0", (640, 480), "bgr24"),
}


def run_py(board: Board, files: Sequence[Made]) -> str:
    """The text of a board's ``run.py``.

    Args:
        board: the board.
        files: the model files of the folder, best first.

    Example:
        >>> from sharpline.runtime.boards.profile import load_board
        >>> "nvarguscamerasrc" in run_py(load_board("jetson-nano"), [])
        True
    """
    camera, size, pixels = CAMERAS.get(board.name, ("", (640, 480), "bgr24"))
    settings = {
        "BOARD": board.name,
        "MODELS": {made.file: made.size for made in files},
        "CAMERA": camera,
        "CAMERA_SIZE": size,
        "CAMERA_PIXELS": pixels,
        "PROCESSORS": {name: sorted(needs) for name, needs in FEATURES.items()},
    }
    return one_file([(_FOLDER / f"{part}.py").read_text("utf-8") for part in _PARTS], settings)


def one_file(parts: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Put modules together; the last one's docstring becomes the file's.

    Args:
        parts: sources; what they import from each other is left out.
        settings: values for constants that are assigned at the top of a part.

    Example:
        >>> print(one_file(['"A part."' + chr(10) + 'N = 1', '"The whole."' + chr(10) + 'print(N)'], {"N": 2}))
        #!/usr/bin/env python3
        "The whole."
        <BLANKLINE>
        # A part.
        <BLANKLINE>
        N = 2
        <BLANKLINE>
        <BLANKLINE>
        # The whole.
        <BLANKLINE>
        print(N)
        <BLANKLINE>
    """
    imports: set[str] = set()
    bodies = []
    for source in parts:
        tree = ast.parse(source)
        imports |= {ast.unparse(node) for node in tree.body if _is_import(node) and not _is_ours(node)}
        title = (ast.get_docstring(tree) or "").splitlines()[0]
        bodies.append(f"# {title}\n\n{_body(source, tree, settings)}")
    docstring = ast.get_source_segment(parts[-1], ast.parse(parts[-1]).body[0])
    head = [f"#!/usr/bin/env python3\n{docstring}", *_merged(imports)]
    return "\n\n".join(head) + "\n\n" + "\n\n\n".join(bodies) + "\n"


def _body(source: str, tree: ast.Module, settings: Mapping[str, Any]) -> str:
    """All behind docstring and imports, with the settings in it."""
    lines = source.splitlines()
    for node in tree.body:
        name = _assigned(node)
        if name in settings:
            lines[node.lineno - 1 : node.end_lineno] = [f"{name} = {settings[name]!r}"] + [""] * (
                (node.end_lineno or node.lineno) - node.lineno
            )
    last = [node for node in tree.body if _is_import(node)] or tree.body[:1]
    return "\n".join(lines[last[-1].end_lineno :]).strip("\n")


def _assigned(node: ast.stmt) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_OURS)


def _merged(imports: Iterable[str]) -> list[str]:
    """Blocks of import lines: Python's own with one for ``typing``, then numpy's."""
    typing = [line for line in imports if line.startswith("from typing")]
    names = sorted({name for line in typing for name in line.split("import ")[1].split(", ")})
    others = [line for line in imports if "numpy" in line]
    own = sorted(line for line in imports if line not in typing and line not in others)
    own += [f"from typing import {', '.join(names)}"] if names else []
    return ["\n".join(block) for block in (own, others) if block]
