"""The certificate as a document: JSON beside the model, strict when read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sharpline.errors import ModelError
from sharpline.pixels.atomic import whole_file


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null")


class Measured(_Strict):
    """Size and speed of one model file.

    Attributes:
        name: of its card.
        precision: of its card.
        sha256: of the file.
        bytes: of the file.
        bytes_deflated: of the file, compressed (zlib, level 9): what sparsity saves.
        parameters: number of weights.
        macs: multiply-accumulates for each LR pixel.
        activation_bytes: most that is alive at once while a frame of ``frame`` passes, weights left out; in the order
            of the graph, as if no engine reused or kept more.
        ms_p50, ms_p95: time of a frame, array to array.
    """

    name: str
    precision: str
    sha256: str
    bytes: int
    bytes_deflated: int
    parameters: int
    macs: int
    activation_bytes: int
    ms_p50: float
    ms_p95: float


class Scores(_Strict):
    """Means over the pictures of a set.

    Attributes:
        psnr_y, ssim_y: by the protocol.
        consistency: PSNR in dB between the result, shrunk by MATLAB's bicubic, and the LR picture.
        niqe: None where its parameters are not at hand (``sharpline assets pull niqe``) or pictures are too small.
    """

    psnr_y: float
    ssim_y: float
    consistency: float
    niqe: float | None = None


class Worst(_Strict):
    """The picture that lost most.

    Attributes:
        name: stem of its file.
        before, after: Y-PSNR in dB.
    """

    name: str
    before: float
    after: float

    @property
    def drop(self) -> float:
        """Its loss in dB."""
        return self.before - self.after


class WorstPatches(_Strict):
    """The 1 % of all patches that lost most.

    Attributes:
        side: of a patch in HR pixels.
        count: how many they are.
        before, after: PSNR in dB of their mean squared errors, luma.
    """

    side: int
    count: int
    before: float
    after: float


class SetScores(_Strict):
    """One set of pictures, before and after.

    Attributes:
        sha256: over the names and bytes of its files.
        pictures: how many.
        protocol: how it was scored.
    """

    sha256: str
    pictures: int
    protocol: str
    before: Scores
    after: Scores
    worst: Worst
    worst_patches: WorstPatches

    @property
    def drop(self) -> float:
        """Loss of mean Y-PSNR in dB; negative for a gain."""
        return self.before.psnr_y - self.after.psnr_y


class Step(_Strict):
    """One step of a chain, measured on the validation pictures.

    Attributes:
        kind: for example ``prune``.
        settings: all of its settings.
        psnr_before, psnr_after: Y-PSNR in dB on the validation pictures.
        bytes, bytes_deflated, macs, ms: of the exported model after the step.
        seconds: that the step took.
        notes: what else it has to say, for example its cut list.
    """

    kind: str
    settings: dict[str, Any]
    psnr_before: float
    psnr_after: float
    bytes: int
    bytes_deflated: int
    macs: int
    ms: float
    seconds: float
    notes: list[str] = []


class Certificate(_Strict):
    """What a model is, what it was made from, and what that cost.

    Attributes:
        format: version of this document.
        frame: width and height of the LR frame that times and memory were measured with.
        repetitions: frames timed, alternating between both models.
        engine: that ran both.
        machine, commit, made: where, with which code and when (UTC) it was measured.
        recipe: the whole recipe; ``recipe_sha256`` is of its file.
        data_sha256: over the training pictures, empty where nothing was trained.
        contract: the limits that were asked for, and ``breaches`` of them.
    """

    format: int = 1
    before: Measured
    after: Measured
    sets: dict[str, SetScores]
    frame: tuple[int, int]
    repetitions: int
    engine: str
    threads: int
    machine: str
    commit: str
    made: str
    recipe: dict[str, Any] = {}
    recipe_sha256: str = ""
    data_sha256: str = ""
    steps: list[Step] = []
    contract: dict[str, float | None] = {}
    breaches: list[str] = []


def write_certificate(certificate: Certificate, path: Path) -> None:
    """Write a certificate as JSON; it appears whole or not at all."""
    with whole_file(path, overwrite=True) as file:
        file.write((json.dumps(certificate.model_dump(mode="json"), indent=1) + "\n").encode())


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises:
        ModelError: it cannot be read or is not a certificate.
    """
    try:
        return Certificate.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ModelError(f"{path}: is not a certificate ({where}: {first['msg'].lower()})") from None


def sha256_of(data: bytes) -> str:
    """SHA-256 in hexadecimal.

    Example:
        >>> sha256_of(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()
