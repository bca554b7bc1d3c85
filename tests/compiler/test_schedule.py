import json
from pathlib import Path

import pytest

from compiled_networks import MODELS
from sharpline.compiler import TARGETS, Schedule, compile_model
from sharpline.compiler.schedule import read_schedules, schedules_of, write_schedule
from sharpline.errors import ModelError, UsageError


def test_a_schedule_comes_back(tmp_path: Path) -> None:
    path = schedules_of(tmp_path / "small.onnx")
    assert read_schedules(path) == {}
    write_schedule(path, "x86-64-avx2", Schedule(6, 2, 4))
    write_schedule(path, "arm64-neon", Schedule(4, 2, 1))
    assert read_schedules(path) == {"arm64-neon": Schedule(4, 2, 1), "x86-64-avx2": Schedule(6, 2, 4)}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"x86-64-avx2": 3}', '{"x86-64-avx2": {"pixels": 99, "vectors": 1, "rows": 1}}']
)
def test_a_file_of_something_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "small.schedule.json"
    path.write_text(text)
    with pytest.raises(ModelError):
        read_schedules(path)


def test_an_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no target 'z80'; there are x86-64-avx2, "):
        compile_model(MODELS["colour x2"][0](), "z80", tmp_path / "z80.so", name="small", digest="0" * 64)


@pytest.mark.slow
def test_measured_schedules_are_among_the_tried(small) -> None:
    from sharpline.compiler.tuning import tune

    model, _ = small
    schedule = tune(model, "x86-64-avx2", size=(20, 30))
    assert schedule.pixels * schedule.vectors <= 12


def test_what_is_shipped_can_be_read() -> None:
    models = Path(__file__).parents[2] / "src" / "sharpline" / "runtime" / "models"
    for path in models.glob("*.schedule.json"):
        assert set(read_schedules(path)) <= set(TARGETS), json.loads(path.read_text())
