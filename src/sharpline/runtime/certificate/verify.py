"""Measures again what a certificate says of a model file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sharpline.errors import AbsentModelError, ModelError, UsageError
from sharpline.runtime.card import read_card
from sharpline.runtime.certificate.certify import measure, photograph
from sharpline.runtime.certificate.contract import Contract
from sharpline.runtime.certificate.document import Certificate, read_certificate, sha256_of
from sharpline.runtime.certificate.scoring import compare
from sharpline.runtime.certificate.timing import interleaved
from sharpline.runtime.modelfile import load_model
from sharpline.runtime.upscaler import Upscaler

_SAME = 0.005  # dB that engines of other versions may differ by


@dataclass(frozen=True)
class Finding:
    """One figure of a certificate, measured again.

    Attributes:
        what: in words.
        certified, measured: the figures.
        holds: whether they agree; None for a time without a limit, which belongs to its machine.
    """

    what: str
    certified: float
    measured: float
    holds: bool | None


def certificate_of(model: Path) -> Path:
    """Where a model's certificate lies: beside it, ``NAME.certificate.json``."""
    return model.with_name(f"{model.stem}.certificate.json")


def verify(
    model: Path,
    certificate: Path | None = None,
    sets: Mapping[str, Path] | None = None,
    *,
    tell: Callable[[str], None] = lambda what: None,
) -> list[Finding]:
    """Measure a model file again and compare with its certificate.

    Args:
        model: the ``.onnx`` file.
        certificate: its certificate; None takes the one beside it.
        sets: folders of HR pictures by the certificate's names; only those that are given are scored.
        tell: called with what is being measured.

    Raises:
        AbsentModelError: no such file, or no certificate of it.
        ModelError: another file than the certified one, or other pictures than the certified ones.
        UsageError: a set that the certificate does not name.
    """
    certificate = certificate or certificate_of(model)
    if not model.is_file():
        raise AbsentModelError(f"{model}: no such file")
    if not certificate.is_file():
        raise AbsentModelError(f"{certificate}: no such certificate of {model}; name its own with --certificate")
    document = read_certificate(certificate)
    graph, found = load_model(model), sha256_of(model.read_bytes())
    if found != document.after.sha256:
        raise ModelError(
            f"{model}: is not the certified file (SHA-256 {found[:12]}..., certified {document.after.sha256[:12]}...)"
        )
    upscaler = Upscaler(graph, threads=document.threads)
    chosen = dict(sets or {})
    if unknown := set(chosen) - set(document.sets):
        raise UsageError(f"{min(unknown)}: is not a set of this certificate, which has {', '.join(document.sets)}")
    findings = []
    for name, folder in chosen.items():
        tell(f"scoring {name}")
        findings += _scores(document, name, folder, upscaler)
    tell("timing")
    frame = photograph(document.frame, read_card(graph).channels, chosen)
    times = interleaved([upscaler], frame, document.repetitions)[0]
    now = measure(graph, times, document.frame)
    for what in ("bytes", "macs", "activation_bytes"):
        certified, measured = getattr(document.after, what), getattr(now, what)
        findings.append(Finding(what, certified, measured, certified == measured))
    limit = Contract(**document.contract).max_ms
    within = None if limit is None else now.ms_p50 <= limit
    findings.append(Finding("ms a frame, median", document.after.ms_p50, now.ms_p50, within))
    return findings


def _scores(document: Certificate, name: str, folder: Path, upscaler: Upscaler) -> list[Finding]:
    certified = document.sets[name]
    scores = compare(upscaler, upscaler, folder).scores
    if scores.sha256 != certified.sha256:
        raise ModelError(f"{folder}: holds other pictures than the certified {name}; nothing can be compared")
    pairs = [
        ("PSNR, dB", certified.after.psnr_y, scores.after.psnr_y),
        ("SSIM", certified.after.ssim_y, scores.after.ssim_y),
        ("consistency, dB", certified.after.consistency, scores.after.consistency),
    ]
    return [Finding(f"{name}: {what}", old, new, abs(old - new) <= _SAME) for what, old, new in pairs]
