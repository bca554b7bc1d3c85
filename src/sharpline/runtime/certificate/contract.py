"""The contract: limits that a compressed model has to keep, and by how much it breaks them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from sharpline.errors import UsageError
from sharpline.runtime.certificate.document import Measured, SetScores

_UNITS = {
    "dB": {"db": 1.0, "": 1.0},
    "bytes": {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "kib": 1024.0, "mib": 1024.0**2},
    "ms": {"": 1.0, "ms": 1.0, "s": 1e3},
    "MACs": {"": 1.0, "k": 1e3, "m": 1e6},
}


def amount(text: str | float, quantity: str) -> float:
    """A number with its unit, as people write it.

    Args:
        text: for example ``0.05dB``, ``120KB`` (1,000 bytes; ``KiB`` are 1,024), ``30ms``, ``60K``, or a plain number.
        quantity: ``dB``, ``bytes``, ``ms`` or ``MACs``.

    Returns:
        The amount in dB, bytes, milliseconds or multiply-accumulates.

    Raises:
        UsageError: not a number, an unknown unit, or less than nothing.

    Example:
        >>> amount("120KB", "bytes"), amount(" 0.05 dB", "dB"), amount("0.03s", "ms")
        (120000.0, 0.05, 30.0)
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-zA-Z]*)\s*", str(text))
    units = _UNITS[quantity]
    if match is None or match[2].lower() not in units:
        example = {"dB": "0.05dB", "bytes": "120KB", "ms": "30ms", "MACs": "60K"}[quantity]
        raise UsageError(f"{text!r} is no amount of {quantity}: write it like {example}")
    return float(match[1]) * units[match[2].lower()]


def _amount(quantity: str) -> BeforeValidator:
    def convert(value: Any) -> Any:
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            return value
        try:
            return amount(value, quantity)
        except UsageError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(convert)


Decibels = Annotated[float, _amount("dB")]
Bytes = Annotated[float, _amount("bytes")]
Milliseconds = Annotated[float, _amount("ms")]
Macs = Annotated[float, _amount("MACs")]


class Contract(BaseModel):
    """Limits; those that are None are not set.

    Attributes:
        max_drop: loss of mean Y-PSNR on any of the named sets, in dB.
        max_worst_drop: loss of Y-PSNR on any one picture, in dB.
        max_bytes: size of the model file.
        max_macs: multiply-accumulates for each LR pixel.
        max_ms: median time of a frame on this machine.
        max_memory: peak of the activations at the frame's size, in bytes.
        min_consistency: PSNR, in dB, between the shrunk result and the LR picture, mean of each set.

    Example:
        >>> Contract(max_drop="0.05dB", max_bytes="120KB").max_bytes
        120000.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_drop: Decibels | None = None
    max_worst_drop: Decibels | None = None
    max_bytes: Bytes | None = None
    max_macs: Macs | None = None
    max_ms: Milliseconds | None = None
    max_memory: Bytes | None = None
    min_consistency: Decibels | None = None


def breaches(contract: Contract, after: Measured, sets: dict[str, SetScores]) -> list[str]:
    """What a model breaks, one sentence each, with by how much; empty when it keeps the contract.

    Args:
        contract: the limits.
        after: size and speed of the model.
        sets: its scores, by set.
    """
    found = []

    def check(value: float, limit: float | None, words: str) -> None:
        if limit is not None and value > limit:
            found.append(words.format(value=value, limit=limit, over=value - limit))

    for name, scores in sets.items():
        check(scores.drop, contract.max_drop, f"{name} lost {{value:.3f}} dB, {{over:.3f}} more than {{limit:g}} dB")
        worst = scores.worst
        check(
            worst.drop,
            contract.max_worst_drop,
            f"{worst.name} of {name} lost {{value:.3f}} dB, {{over:.3f}} more than {{limit:g}} dB",
        )
        least = contract.min_consistency
        if least is not None and scores.after.consistency < least:
            found.append(
                f"{name} is consistent with its LR to {scores.after.consistency:.2f} dB, "
                f"{least - scores.after.consistency:.2f} less than {least:g} dB"
            )
    check(after.bytes, contract.max_bytes, "the file has {value:,.0f} bytes, {over:,.0f} more than {limit:,.0f}")
    check(after.macs, contract.max_macs, "{value:,.0f} MACs per LR pixel, {over:,.0f} more than {limit:,.0f}")
    check(after.ms_p50, contract.max_ms, "a frame takes {value:.1f} ms, {over:.1f} more than {limit:g} ms")
    check(
        after.activation_bytes,
        contract.max_memory,
        "activations take {value:,.0f} bytes, {over:,.0f} more than {limit:,.0f}",
    )
    return found
