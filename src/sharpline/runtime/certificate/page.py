"""The certificate as one HTML page: figures, charts and crops, nothing loaded from elsewhere, no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path

import onnx

from sharpline.pixels.atomic import whole_file
from sharpline.runtime.certificate.charts import bars, steps_chart
from sharpline.runtime.certificate.crops import crops
from sharpline.runtime.certificate.document import Certificate, Measured, SetScores, Step
from sharpline.runtime.certificate.scoring import Comparison

_STYLE = (files("sharpline.runtime.certificate") / "page.css").read_text()


def write_page(
    path: Path,
    certificate: Certificate,
    comparisons: Mapping[str, Comparison] | None = None,
    models: tuple[onnx.ModelProto, onnx.ModelProto] | None = None,
) -> None:
    """Write the page; it appears whole or not at all.

    Args:
        path: the ``.html`` file.
        certificate: what it shows.
        comparisons: by set, for the crops of the patches that lost most.
        models: before and after, which make those crops; without them the page has none.
    """
    c = certificate
    verdict, kind = _verdict(c)
    parts = [
        f"<h1>{escape(c.after.name)}</h1>",
        f'<p class="lead">made from {escape(c.before.name)} &middot; {escape(c.made)}</p>',
        f'<p class="verdict {kind}">{verdict}</p>',
        _breaches(c),
        "<h2>Size and speed</h2>",
        _sizes(c),
        "<h2>Quality</h2>",
        *[_set(name, scores) for name, scores in c.sets.items()],
    ]
    if comparisons and models:
        parts.append("<h2>Where it lost most</h2>")
        for name, comparison in comparisons.items():
            parts.append(crops(name, comparison.worst, *models))
    if c.steps:
        parts += ["<h2>Steps</h2>", steps_chart(c.steps), _steps(c.steps)]
    parts += ["<h2>What was measured, where</h2>", _provenance(c)]
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Certificate of {escape(c.after.name)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
    with whole_file(path, overwrite=True) as file:
        file.write(html.encode())


def _verdict(c: Certificate) -> tuple[str, str]:
    if c.breaches:
        return "The contract is broken", "bad"
    if c.contract:
        return "The contract is kept", "good"
    return "Measured without a contract", "plain"


def _breaches(c: Certificate) -> str:
    limits = ", ".join(f"{escape(name.replace('_', ' '))} {value:g}" for name, value in c.contract.items())
    items = "".join(f"<li>{escape(breach)}</li>" for breach in c.breaches)
    return (f"<ul>{items}</ul>" if items else "") + (f"<p>Contract: {limits}.</p>" if limits else "")


def _sizes(c: Certificate) -> str:
    rows = (
        ("file, bytes", "bytes", "{:,.0f}"),
        ("file, deflated", "bytes_deflated", "{:,.0f}"),
        ("parameters", "parameters", "{:,.0f}"),
        ("MACs per LR pixel", "macs", "{:,.0f}"),
        (f"activations at {c.frame[0]} x {c.frame[1]}, bytes", "activation_bytes", "{:,.0f}"),
        ("frame, ms, median", "ms_p50", "{:.1f}"),
        ("frame, ms, 95 %", "ms_p95", "{:.1f}"),
    )
    body = "".join(_size_row(c.before, c.after, *row) for row in rows)
    return (
        '<div class="scroll"><table><thead><tr><th></th><th>before</th><th>after</th><th>after / before</th><th></th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _size_row(before: Measured, after: Measured, words: str, field: str, form: str) -> str:
    old, new = float(getattr(before, field)), float(getattr(after, field))
    share = new / old if old else 1.0
    return (
        f"<tr><th>{escape(words)}</th><td>{form.format(old)}</td><td>{form.format(new)}</td>"
        f"<td>{share:.2f}</td><td>{bars(share)}</td></tr>"
    )


def _set(name: str, s: SetScores) -> str:
    rows = [
        ("PSNR, dB", s.before.psnr_y, s.after.psnr_y, ".3f"),
        ("SSIM", s.before.ssim_y, s.after.ssim_y, ".4f"),
        ("consistency, dB", s.before.consistency, s.after.consistency, ".2f"),
        (f"worst picture ({s.worst.name}), dB", s.worst.before, s.worst.after, ".3f"),
        (
            f"worst 1 % of patches ({s.worst_patches.count} of {s.worst_patches.side} x {s.worst_patches.side}), dB",
            s.worst_patches.before,
            s.worst_patches.after,
            ".2f",
        ),
    ]
    if s.before.niqe is not None and s.after.niqe is not None:
        rows.append(("NIQE (lower is better)", s.before.niqe, s.after.niqe, ".3f"))
    body = "".join(
        f"<tr><th>{escape(words)}</th><td>{old:{form}}</td><td>{new:{form}}</td><td>{new - old:+{form}}</td></tr>"
        for words, old, new, form in rows
    )
    return (
        f"<h3>{escape(name)}, {s.pictures} pictures</h3>"
        '<div class="scroll"><table><thead><tr><th></th><th>before</th><th>after</th><th>change</th></tr></thead>'
        f'<tbody>{body}</tbody></table></div><p class="note">{escape(s.protocol)}</p>'
    )


def _steps(steps: list[Step]) -> str:
    rows = []
    for number, step in enumerate(steps, 1):
        settings = ", ".join(f"{key}: {value}" for key, value in step.settings.items() if value is not None)
        notes = "".join(f"<br>{escape(note)}" for note in step.notes)
        rows.append(
            f"<tr><th>{number}. {escape(step.kind)}</th><td>{step.psnr_before:.3f}</td><td>{step.psnr_after:.3f}</td>"
            f"<td>{step.bytes:,}</td><td>{step.bytes_deflated:,}</td><td>{step.macs:,}</td><td>{step.ms:.1f}</td>"
            f"<td>{step.seconds / 60:.1f}</td></tr>"
            f'<tr><td colspan="8" class="note">{escape(settings)}{notes}</td></tr>'
        )
    heads = ("", "valid before, dB", "after, dB", "bytes", "deflated", "MACs", "ms", "minutes")
    head = "".join(f"<th>{words}</th>" for words in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _provenance(c: Certificate) -> str:
    facts = {
        "machine": c.machine,
        "engine": f"{c.engine}, {c.threads} threads, {c.repetitions} frames of {c.frame[0]} x {c.frame[1]} in turns",
        "commit": c.commit,
        "model before": c.before.sha256,
        "model after": c.after.sha256,
        "recipe": c.recipe_sha256,
        "training pictures": c.data_sha256,
        **{f"set {name}": scores.sha256 for name, scores in c.sets.items()},
    }
    rows = "".join(
        f'<tr><th>{escape(key)}</th><td class="hash">{escape(value)}</td></tr>' for key, value in facts.items() if value
    )
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'
