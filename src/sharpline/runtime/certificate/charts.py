"""Charts as SVG, drawn by hand: a page has to open on any machine, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sharpline.runtime.certificate.document import Step


def bars(share: float) -> str:
    """A bar for after / before: the whole width is 1, what is over is marked.

    Example:
        >>> 'width="60.0"' in bars(0.5)
        True
    """
    width = 120.0
    inside, over = min(share, 1.0) * width, max(0.0, min(share, 1.5) - 1.0) * width
    return (
        f'<svg class="bar" viewBox="0 0 180 12" width="180" height="12" role="img" aria-label="{share:.2f}">'
        f'<rect class="track" width="{width}" height="12"/><rect class="fill" width="{inside:.1f}" height="12"/>'
        f'<rect class="over" x="{width}" width="{over:.1f}" height="12"/></svg>'
    )


def steps_chart(steps: Sequence[Step]) -> str:
    """PSNR on the validation pictures over the bytes of the file, a point for each step.

    Args:
        steps: of a chain, in order.
    """
    points = [("start", steps[0].psnr_before, None), *((s.kind, s.psnr_after, s.bytes_deflated) for s in steps)]
    values = [psnr for _, psnr, _ in points]
    low, high = min(values) - 0.02, max(values) + 0.02
    left, top, width, height = 70.0, 20.0, 600.0, 180.0
    gap = width / max(1, len(points) - 1)

    def place(i: int) -> tuple[float, float]:
        return left + i * gap, top + (high - values[i]) / (high - low) * height

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, range(len(points))))
    marks = []
    for i, (name, psnr, size) in enumerate(points):
        x, y = place(i)
        below = "" if size is None else f"{size / 1e3:,.0f} KB"
        aside, anchor = _beside_the_line(values, i)
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            f'<text x="{x + aside:.1f}" y="{y - 9:.1f}" text-anchor="{anchor}">{psnr:.2f}</text>'
            f'<text x="{x:.1f}" y="{top + height + 24:.1f}" text-anchor="middle">{escape(name)}</text>'
            f'<text class="small" x="{x:.1f}" y="{top + height + 40:.1f}" text-anchor="middle">{below}</text>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {left + width + 60:.0f} {top + height + 50:.0f}" role="img" '
        'aria-label="PSNR on the validation pictures after each step">'
        f'<line class="axis" x1="{left}" y1="{top + height}" x2="{left + width}" y2="{top + height}"/>'
        f'<text class="small" x="0" y="{top + 4}">valid, dB</text>'
        f'<polyline points="{line}"/>{"".join(marks)}</svg>'
    )


def _beside_the_line(values: Sequence[float], i: int) -> tuple[float, str]:
    """Where a point's label stands, above it: to the side that the line does not come from or go to upwards.

    Example:
        >>> [_beside_the_line([3.0, 2.0, 1.0], i) for i in range(3)]
        [(0.0, 'middle'), (4.0, 'start'), (4.0, 'start')]
    """
    from_above, to_above = i > 0 and values[i - 1] > values[i], i + 1 < len(values) and values[i + 1] > values[i]
    if from_above == to_above:
        return 0.0, "middle"
    return (4.0, "start") if from_above else (-4.0, "end")
