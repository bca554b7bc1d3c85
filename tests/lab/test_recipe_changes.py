"""``--set``: values replaced by dotted keys, through lists too."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError
from sharpline.lab.training.recipe_file import changed


def content() -> dict[str, Any]:
    return {"data": {"train": ["a", "b"], "batch": 4}, "chain": [{"kind": "thin"}, {"kind": "quantize", "steps": 1}]}


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("chain.1.steps=100", ("chain", 1, "steps"), 100),
        ("chain.0.thinning.multiple=8", ("chain", 0, "thinning", "multiple"), 8),
        ("chain.1={kind: prune}", ("chain", 1), {"kind": "prune"}),
        ("data.train.0=photos", ("data", "train", 0), "photos"),
        ("data.batch=8", ("data", "batch"), 8),
        ("schedule.kind=step", ("schedule", "kind"), "step"),
    ],
)
def test_what_is_replaced(change: str, place: tuple[str | int, ...], value: object) -> None:
    found: Any = content()
    changed(found, change)
    for part in place:
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("chain.2.steps=1", "'2' is no place in a list of 2, counted from 0"),
        ("chain.thin.steps=1", "'thin' is no place in a list of 2"),
        ("chain.-1.steps=1", "'-1' is no place"),
        ("data.train.5=x", "'5' is no place in a list of 2"),
        ("data.batch.size=1", "data.batch holds a value, not keys"),
        ("data.train.0.x=1", "data.train.0 holds a value, not keys"),
        ("data.batch", "write key=value"),
        ("chain=[{", "is no YAML value"),
    ],
)
def test_what_cannot_be_replaced(change: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"^--set .*{words}"):
        changed(content(), change)
