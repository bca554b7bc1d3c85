"""Settings: mistakes are named, with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sharpline.errors import UsageError
from sharpline.settings import mapping_of


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="the key 'model' stands twice"):
        mapping_of(Path("LINE.yaml"), "model: a\nview: {port: 1}\nmodel: b\n")
    assert mapping_of(Path("LINE.yaml"), "a: {x: 1}\nb: {x: 2}\n") == {"a": {"x": 1}, "b": {"x": 2}}


def test_words_that_yaml_1_1_took_for_truth_stay_words() -> None:
    assert mapping_of(Path("LINE.yaml"), "on: [yes]\nsure: true") == {"on": ["yes"], "sure": True}
