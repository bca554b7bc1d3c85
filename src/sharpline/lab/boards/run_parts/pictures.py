"""Picture files: read and written by Pillow or OpenCV, whichever is there, else PPM by ourselves."""

import importlib
import io
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from sharpline.lab.boards.run_parts.folder import Array, RunError, brief

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
}


def library(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Picture(NamedTuple):
    """uint8 H x W x C: grey, grey and alpha, RGB, or RGB and alpha; and what Pillow is to keep."""

    pixels: Array
    keep: Dict[str, bytes]


def read_picture(path: str) -> Picture:
    """Read a picture of 8 bits."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from None
    pillow, cv2 = library("PIL.Image"), library("cv2")
    try:
        if pillow:
            return _by_pillow(pillow, data)
        if cv2:
            return Picture(_by_opencv(cv2, data), {})
        return Picture(_ppm(data), {})
    except (RunError, MemoryError) as error:
        raise RunError(f"{path}: {brief(error)}") from None
    except Exception as error:
        raise RunError(f"{path}: not a picture, or a damaged one ({brief(error)})") from None


def _by_pillow(pillow: Any, data: bytes) -> Picture:
    with pillow.open(io.BytesIO(data)) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise RunError("has more than one frame; save the one that is meant")
        if image.mode[0] in "IF":
            raise RunError("has more than 8 bits; 'sharpline upscale' keeps them, this script does not")
        keep = {key: image.info[key] for key in ("icc_profile", "exif") if image.info.get(key)}
        alpha = ("A" in image.mode.upper() and image.mode != "LAB") or "transparency" in image.info
        grey = image.mode in ("1", "L", "LA", "La")
        if image.mode == "CMYK":
            keep.pop("icc_profile", None)
        pixels = np.array(image.convert(("LA" if alpha else "L") if grey else "RGBA" if alpha else "RGB"))
    return Picture(pixels.reshape(pixels.shape[0], pixels.shape[1], -1), keep)


def _by_opencv(cv2: Any, data: bytes) -> Array:
    turned = cv2.IMREAD_COLOR if data[:2] == b"\xff\xd8" else cv2.IMREAD_UNCHANGED  # JPEG: as its EXIF turns it
    image = cv2.imdecode(np.frombuffer(data, np.uint8), turned)
    if image is None:
        raise RunError("not a picture that OpenCV reads")
    if image.dtype != np.uint8:
        raise RunError("has more than 8 bits; 'sharpline upscale' keeps them, this script does not")
    if image.ndim == 2:
        return image[:, :, None]
    return np.concatenate([image[:, :, 2::-1], image[:, :, 3:]], axis=2)


def _ppm(data: bytes) -> Array:
    head = re.match(rb"(P5|P6)\s+(?:#.*\n\s*)*(\d+)\s+(\d+)\s+255\s", data)
    if head is None:
        raise RunError("neither Pillow nor OpenCV is installed, and without them only 8-bit PPM files are read")
    width, height = int(head.group(2)), int(head.group(3))
    channels = 3 if head.group(1) == b"P6" else 1
    return np.frombuffer(data, np.uint8, width * height * channels, head.end()).reshape(height, width, channels)


def check_suffix(path: str) -> None:
    """Refuse a name that no picture can be written under, before any work is done."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        raise RunError(f"{path}: pictures are written as {', '.join(sorted(FORMATS))}")
    if suffix not in (".ppm", ".pgm") and not library("PIL.Image") and not library("cv2"):
        raise RunError(f"{path}: neither Pillow nor OpenCV is installed; without them only .ppm is written")


def write_picture(path: str, picture: Picture, overwrite: bool) -> None:
    """Write a picture under a temporary name, which becomes the real one when it is whole."""
    if os.path.lexists(path) and not overwrite:
        raise RunError(f"{path}: exists already; --overwrite replaces it")
    temporary = os.path.join(os.path.dirname(path), f".run-{os.getpid()}.tmp")
    try:
        data = _encoded(path, picture)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or brief(error)})") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _encoded(path: str, picture: Picture) -> bytes:
    suffix = os.path.splitext(path)[1].lower()
    pixels = picture.pixels
    if suffix in (".jpg", ".jpeg", ".ppm", ".pgm"):  # they have no alpha
        pixels = pixels[:, :, : pixels.shape[2] - (pixels.shape[2] + 1) % 2]
    if suffix in (".ppm", ".pgm"):
        kind = "P5" if pixels.shape[2] == 1 else "P6"
        return f"{kind}\n{pixels.shape[1]} {pixels.shape[0]}\n255\n".encode() + bytes(pixels.tobytes())
    pillow, cv2 = library("PIL.Image"), library("cv2")
    if pillow:
        options: Dict[str, Any] = dict(picture.keep)
        options.update(
            {"PNG": {"compress_level": 1}, "JPEG": {"quality": 95, "subsampling": 0}}.get(FORMATS[suffix], {})
        )
        buffer = io.BytesIO()
        image = pillow.fromarray(np.ascontiguousarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0]))
        image.save(buffer, FORMATS[suffix], **options)
        return buffer.getvalue()
    if pixels.shape[2] == 2:  # grey with alpha: OpenCV writes no such picture
        pixels = np.concatenate([pixels[:, :, :1].repeat(3, axis=2), pixels[:, :, 1:]], axis=2)
    done, data = cv2.imencode(suffix, np.concatenate([pixels[:, :, 2::-1], pixels[:, :, 3:]], axis=2))
    if not done:
        raise RunError(f"{path}: OpenCV does not write this format")
    return bytes(bytearray(data))


def pictures_in(folder: str) -> List[str]:
    """The pictures of a folder, without the results of earlier runs beside them."""
    names = sorted(name for name in os.listdir(folder) if os.path.splitext(name)[1].lower() in FORMATS)
    stems = {os.path.splitext(name)[0] for name in names}

    def earlier(name: str) -> Optional[bool]:
        match = re.match(r"(.+)_x\d+$", os.path.splitext(name)[0])
        return match and match.group(1) in stems

    return [os.path.join(folder, name) for name in names if name[0] != "." and not earlier(name)]
