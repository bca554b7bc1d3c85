"""The compiled variants of a network: shared libraries beside its file, and a list that says what each one is.

A shared library is code: it is opened only if its bytes are the ones on the list, because a truncated one can end
the process as soon as it is touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sharpline.errors import ModelError
from sharpline.pixels.atomic import whole_file

ABI = 1
_MACHINES = {"x86-64": 62, "arm64": 183}  # e_machine in the ELF header
_SHARED = 3  # e_type


class Library(BaseModel):
    """One variant.

    Attributes:
        file: its name, in the folder of the list.
        sha256: of the whole file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[^/\\]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Libraries(BaseModel):
    """The list: what ``MODEL.libraries.json`` beside ``MODEL.onnx`` holds.

    Attributes:
        abi: version of the functions that the libraries have.
        network: digest of the network (``runtime.integer.network_digest``) that they compute.
        libraries: by target.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    abi: Literal[1] = 1
    network: str = Field(pattern=r"^[0-9a-f]{64}$")
    libraries: dict[str, Library] = {}


def list_of(model: Path) -> Path:
    """Where the list of a model file is.

    Example:
        >>> list_of(Path("models/edge-s-x4.int8.onnx")).name
        'edge-s-x4.int8.libraries.json'
    """
    return model.with_name(f"{model.stem}.libraries.json")


def library_of(model: Path, target: str) -> Path:
    """Where a variant of a model file is, unless the list says otherwise.

    Example:
        >>> library_of(Path("models/edge-s-x4.int8.onnx"), "arm64-neon").name
        'edge-s-x4.int8.arm64-neon.so'
    """
    return model.with_name(f"{model.stem}.{target}.so")


def read_libraries(path: Path) -> Libraries | None:
    """Read a list; None where there is none.

    Raises:
        ModelError: the file cannot be read or is no such list.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""  # no JSON either
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); run sharpline compile again") from error
    try:
        return Libraries.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(
            f"{path}: is no list of compiled libraries of this version; run sharpline compile again"
        ) from error


def write_libraries(path: Path, network: str, made: Iterable[tuple[str, Path]]) -> Libraries:
    """Enter libraries into a list. What it says of other networks is dropped, other targets are kept.

    Args:
        path: the list; made if it is not there.
        network: digest.
        made: targets and files, in the folder of the list.
    """
    try:
        before = read_libraries(path)
    except ModelError:
        before = None
    kept = before.libraries if before is not None and before.network == network else {}
    new = {target: Library(file=file.name, sha256=_sha256(file.read_bytes())) for target, file in made}
    libraries = Libraries(network=network, libraries=dict(sorted({**kept, **new}.items())))
    with whole_file(path, overwrite=True) as file:
        file.write(json.dumps(libraries.model_dump(), indent=1).encode() + b"\n")
    return libraries


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_library(path: Path, target: str, sha256: str) -> Path:
    """Look at a library's bytes before it is opened.

    Args:
        path: the file.
        target: that it was made for.
        sha256: that the list says.

    Returns:
        The path.

    Raises:
        ModelError: the file is missing, is not the one that was listed, or is for another processor.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); run sharpline compile again") from error
    if _sha256(data) != sha256:
        raise ModelError(f"{path}: is damaged or was replaced (its SHA-256 is not the listed one); compile it again")
    machine = next(number for name, number in _MACHINES.items() if target.startswith(f"{name}-"))
    kind, processor = (int.from_bytes(data[at : at + 2], "little") for at in (16, 18))
    if data[:6] != b"\x7fELF\x02\x01" or (kind, processor) != (_SHARED, machine):
        raise ModelError(f"{path}: is no shared library for {target}; compile it again")
    return path
