"""A frame and its enlargement as one file to keep: both pictures without loss, and everything known about them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from datetime import UTC, datetime
from typing import Any

from sharpline import __version__
from sharpline.line.frame import Array, Result
from sharpline.pixels.codecs.png_writing import write_png
from sharpline.pixels.picture import Picture

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def stem(result: Result) -> str:
    """A file name without suffix: source and number, safe on every file system.

    Example:
        >>> _UNSAFE.sub("_", "../cam 1")
        '.._cam_1'
    """
    return f"{_UNSAFE.sub('_', result.frame.source).strip('._')[:80] or 'picture'}-{result.frame.number:08d}"


def facts(result: Result) -> dict[str, Any]:
    """Everything about a result but its pixels, ready for JSON."""
    frame = result.frame
    return {
        "source": frame.source,
        "number": frame.number,
        "captured": datetime.fromtimestamp(frame.captured, UTC).isoformat(timespec="milliseconds"),
        "dropped_before": dict(frame.dropped),
        "camera_size": [frame.image.shape[1], frame.image.shape[0]],
        "size": [result.sr.shape[1], result.sr.shape[0]],
        "depth": frame.image.dtype.itemsize * 8,
        "scale": result.scale,
        "method": result.method,
        "model_sha256": result.model_hash or None,
        "fallback": result.fallback,
        "seconds": round(result.seconds, 4),
        "latency": round(result.finished - frame.clock, 4),
        "consistency": result.consistency,
        "reused": round(result.reused, 4),
        "alarms": list(result.alarms),
        "detections": [
            {"label": d.label, "score": d.score, "box": list(d.box), "camera_box": list(d.camera_box)}
            for d in result.detections
        ],
    }


def pair(result: Result) -> bytes:
    """A ZIP of ``…-camera.png``, ``…-upscaled.png`` (in the camera's depth) and ``…-data.json``.

    Args:
        result: What the operator saw.

    Returns:
        The file. The JSON holds the SHA-256 of both pictures, so that the three belong together.
    """
    name, out = stem(result), io.BytesIO()
    pictures = {
        f"{name}-camera.png": _png(result.frame.image),
        f"{name}-upscaled.png": _png(result.sr),
    }
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in pictures.items()}
    data = facts(result) | {"sharpline": __version__, "sha256": hashes}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file, content in pictures.items():
            archive.writestr(file, content)
        archive.writestr(f"{name}-data.json", json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    return out.getvalue()


def _png(image: Array) -> bytes:
    file = io.BytesIO()
    write_png(file, Picture(image))
    return file.getvalue()
