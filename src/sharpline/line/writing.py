"""A line's whole configuration as YAML, every default included; and the file that ``sharpline line init`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from sharpline.line import units
from sharpline.line.config import LineConfig
from sharpline.pixels.atomic import whole_file


def written(config: LineConfig) -> str:
    """The configuration with every default, as YAML that reads as the same configuration.

    Example:
        >>> from sharpline.line.config import LineConfig
        >>> written(LineConfig()).splitlines()[:4]
        ['sources: []', 'model: edge-s-x4', 'engine: auto', 'precision: auto']
    """
    return yaml.safe_dump(_told(config, config.model_dump(mode="json")), sort_keys=False, allow_unicode=True)


def _told(value: Any, plain: Any) -> Any:
    """A value of the configuration as a file has to have it.

    Args:
        value: As it is used.
        plain: As pydantic dumps it: without passwords, paths as text.
    """
    if isinstance(value, BaseModel):
        return {
            name: _with_unit(getattr(value, name), plain[name], field)
            for name, field in type(value).model_fields.items()
            if getattr(value, name) is not None or field.default is not None  # what is None by default says nothing
        }
    if isinstance(value, list):
        return [_told(*pair) for pair in zip(value, plain, strict=True)]
    return plain


def _with_unit(value: Any, plain: Any, field: FieldInfo) -> Any:
    """Times and sizes with their unit."""
    reads = {mark.func for mark in _marks(field) if isinstance(mark, BeforeValidator)}
    if isinstance(value, int | float) and units.seconds in reads:
        return f"{np.format_float_positional(value, trim='-')}s"
    if isinstance(value, int) and units.size in reads:
        return f"{value}B"
    return _told(value, plain)


def _marks(field: FieldInfo) -> list[Any]:
    inner = (mark for kind in get_args(field.annotation) for mark in getattr(kind, "__metadata__", ()))
    return [*field.metadata, *inner]


TEMPLATE = """\
# A production line: cameras in, enlarged frames out. `sharpline line check LINE.yaml` prints every setting there is,
# with its default; docs/line.md explains them. Times need a unit: 500ms, 10s, 5m.

sources:                # one or more cameras, each with a name of its own; docs/cameras.md has all kinds
  - {name: cam1, url: "rtsp://192.168.0.10:554/stream"}
  # - {name: cam2, url: "http://192.168.0.11/mjpeg"}

model: edge-s-x4        # `sharpline models` lists them; edge-m-x4 is sharper and takes three times as long

flow:
  rate: 5               # frames a second that every camera has to get; what the model cannot do in time, a smaller
  deadline: 500ms       # model does, then bicubic, then the frame as it is. The page and the events always say so
  # regions: {cam1: [[80, 60, 160, 120]]}    # left, top, width, height: only this is worth the model's time
  # noise: 6            # levels a pixel may differ by and still count as unchanged; 0 is exact

guard:
  consistency: 20       # alarm when the enlarged picture, shrunk again, differs by more levels
  age: 2s               # an older picture is never shown as live

view: {port: 8080}      # the operator's page, on this machine only; other addresses need token_env

# sinks:                # who gets the results; docs/sinks.md
#   - webhook: {url: "http://127.0.0.1:9000/events", secret_env: SHARPLINE_WEBHOOK_SECRET, every: 1s}
#   - mqtt: {url: "mqtt://127.0.0.1:1883", topic: "line/cam1"}
#   - recorder: {folder: recordings, budget: 10GB}
# outbox: {path: outbox.sqlite}    # where events wait for a receiver that is away
"""


def write_template(path: Path) -> None:
    """Writes a commented configuration to start from.

    Raises:
        FileExistsError: There is a file of that name; it is not touched.
    """
    with whole_file(path, overwrite=False) as file:
        file.write(TEMPLATE.encode())
