"""How a library goes about its work: what is decided by measuring, and the file beside a network that keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sharpline.compiler.targets import Target
from sharpline.errors import ModelError
from sharpline.pixels.atomic import whole_file

MOST_PIXELS, MOST_VECTORS = 8, 4  # as in engine/kernel.h
_ROWS = 4


@dataclass(frozen=True)
class Schedule:
    """How a library goes about its work.

    Attributes:
        pixels: of a row whose sums are in registers at a time, 1..8.
        vectors: of outputs, likewise, 1..4.
        rows: that a layer makes before the next one does; with few the rows stay in the cache (a window slides over
            the picture), with as many as the picture has the network runs layer by layer.

    Raises:
        ModelError: a number out of range.
    """

    pixels: int
    vectors: int
    rows: int

    def __post_init__(self) -> None:
        if not (1 <= self.pixels <= MOST_PIXELS and 1 <= self.vectors <= MOST_VECTORS and 1 <= self.rows <= 2**20):
            raise ModelError(f"no schedule has {self}: pixels 1..{MOST_PIXELS}, vectors 1..{MOST_VECTORS}, rows from 1")


def usual(target: Target) -> Schedule:
    """The schedule of networks that were not measured: as many sums as fit into the registers."""
    return Schedule(*target.tile, _ROWS)


def schedules_of(model: Path) -> Path:
    """Where the schedules of a model file are.

    Example:
        >>> schedules_of(Path("models/edge-s-x4.int8.onnx")).name
        'edge-s-x4.int8.schedule.json'
    """
    return model.with_name(f"{model.stem}.schedule.json")


def read_schedules(path: Path) -> dict[str, Schedule]:
    """Read measured schedules, by target; none where there is no file.

    Raises:
        ModelError: the file cannot be read or holds something else.
    """
    try:
        return {target: Schedule(**values) for target, values in json.loads(path.read_text("utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: is no file of schedules; delete it, or tune the network again") from error


def write_schedule(path: Path, target: str, schedule: Schedule) -> None:
    """Enter a schedule into a file; those of other targets stay."""
    schedules = {**read_schedules(path), target: schedule}
    text = json.dumps({name: asdict(value) for name, value in sorted(schedules.items())}, indent=1)
    with whole_file(path, overwrite=True) as file:
        file.write(text.encode() + b"\n")
