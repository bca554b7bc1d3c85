"""The benchmark of shapes: each is trained once, the best for its time is found, and everything is in one picture."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

import frontier
import frontier_rows
import frontier_shapes
from common import read_csv, write_csv
from frontier_chart import best_for_the_time, chart
from frontier_rows import Row
from sharpline.errors import SharplineError, UsageError
from sharpline.pixels.writing import write_image
from sharpline.runtime.processor import fitting_targets

TABLE = Path(__file__).parents[2] / "recipes" / "tables" / "shapes" / "x4.yaml"
TINY = {
    "teacher": "null",
    "steps": 3,
    "validate_every": 3,
    "data.patch": 4,
    "data.batch": 2,
    "schedule.warmup": 1,
}


def line(series, model, ms, db, row="compiled INT8", macs="1", set5="31.00"):
    rest = {
        "load": "0.9",
        "machine": "a board",
        "commit": "abc",
        "threads": "2",
        "repeats": "3",
        "input": "480x270",
        "engine": "x 1",
    }
    named = {"series": series, "model": model, "row": row, "macs_per_lr_pixel": macs, "steps": "1500"}
    return rest | named | {"ms_median": ms, "ms_p95": ms, "fps": "1", "cid22 psnr_y": db, "Set5 psnr_y": set5}


LINES = [
    line("candidate", "edge-24x4", "30.0", "29.20", macs="23832"),
    line("candidate", "edge-16x8", "31.0", "29.30"),
    line("candidate", "edge-48x5", "90.0", "29.25"),
    line("candidate", "edge-16x3", "15.0", "29.00"),
    line("shipped", "edge-s-x4", "30.5", "29.34", macs="23832"),
    line("shipped", "edge-s-x4", "60.0", "29.34", row="ONNX Runtime FP32", macs="23832"),
    line("published", "RLFN", "700.0", "30.50", row="ONNX Runtime FP32", set5="32.07"),
]


def pictures(folder, count, side=64):
    folder.mkdir(parents=True)
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        write_image(folder / f"{number}.png", noise.repeat(8, 0).repeat(8, 1))


@pytest.fixture
def data(tmp_path):
    pictures(tmp_path / "data" / "train" / "photos", 2)
    pictures(tmp_path / "data" / "valid" / "cid22", 1)
    pictures(tmp_path / "data" / "test" / "Set5", 1)
    return tmp_path / "data"


@pytest.fixture
def shapes(tmp_path):
    file = tmp_path / "shapes.yaml"
    recipe = TABLE.parents[2] / "edge-s-x4.yaml"
    changes = ", ".join(f"{key}={value}" for key, value in TINY.items())
    file.write_text(f"recipe: {recipe}\nchanges: [{changes}]\nshapes: [4x0, 4x1]\n")
    return file


def test_shapes_that_another_beats_in_both_are_not_the_best_for_their_time():
    assert [kept["model"] for kept in best_for_the_time(LINES[:4])] == ["edge-16x3", "edge-24x4", "edge-16x8"]
    assert best_for_the_time([]) == []
    same_time = [line("candidate", "a", "5.0", "29.1"), line("candidate", "b", "5.0", "29.2")]
    assert [kept["model"] for kept in best_for_the_time(same_time)] == ["b"]


def test_the_verdict_is_the_best_shape_that_is_not_slower_than_the_shipped_one():
    (sentence,) = frontier.verdicts(LINES)
    assert sentence == (
        "edge-s-x4: of 3 shapes not slower, edge-16x8, 29.300 dB in 31.0 ms; its own edge-24x4, 29.200 dB in 30.0 ms"
    )
    assert frontier.verdicts(LINES[1:]) == []  # its own shape was not tried


def test_published_networks_leave_the_rounds_after_some():
    class Clock:
        def __init__(self):
            self.calls = 0

        def time(self):
            self.calls += 1
            return float(self.calls)

    rows = [Row(series, "m", "r", "m:f", {}, 1) for series in ("candidate", "published", "shipped")]
    clocks = [Clock() for _ in rows]
    times = frontier.timed(rows, clocks, 12, lambda: None)
    assert [len(ms) for ms in times] == [12, frontier.SLOW_REPEATS, 12]
    assert times[2] == [float(n) for n in range(1, 13)]


def test_the_project_s_shapes_are_trained_alike():
    recipes = frontier_shapes.recipes_of(TABLE, ["seed=3"])
    assert {(r.steps, r.ema, r.schedule.hold, r.seed, r.teacher is None) for r in recipes} == {
        (1500, 0.99, 0, 3, False)
    }
    shapes = {r.name: (r.network["channels"], r.network["depth"]) for r in recipes}
    assert shapes["edge-24x4"] == (24, 4)
    assert len(shapes) == len(recipes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe: r.yaml\nshapes: [24-4]", "shapes.yaml, line 2: shapes.0"),
        ("recipe: r.yaml\nshape: [24x4]", "did you mean 'shapes'"),
        ("recipe: none.yaml\nshapes: [24x4]", "none.yaml: cannot be read"),
    ],
)
def test_mistakes_in_the_table_are_named(tmp_path, text, message):
    (tmp_path / "shapes.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        frontier_shapes.recipes_of(tmp_path / "shapes.yaml")


def test_a_shape_is_trained_once_and_a_stopped_one_goes_on(data, shapes, tmp_path, monkeypatch):
    runs, recipes = tmp_path / "runs", frontier_shapes.recipes_of(shapes)
    first, second = recipes
    frontier_shapes.train_rows([first], data, runs)
    begun = []
    real = frontier_shapes.train
    monkeypatch.setattr(frontier_shapes, "train", lambda r, *a, **k: begun.append(r.name) or real(r, *a, **k))
    assert [frontier_shapes.trained(recipe, runs) for recipe in recipes] == [True, False]
    frontier_shapes.train_rows(recipes, data, runs)
    assert begun == [second.name]
    longer = frontier_shapes.recipes_of(shapes, ["steps=4"])
    assert not frontier_shapes.trained(longer[0], runs)


def test_a_training_that_was_asked_to_stop_ends_the_table(data, shapes, tmp_path, monkeypatch):
    recipes = frontier_shapes.recipes_of(shapes)
    stopped = type("Run", (), {"step": 2})
    monkeypatch.setattr(frontier_shapes, "train", lambda *a, **k: stopped)
    with pytest.raises(SharplineError, match="edge-4x0: stopped at step 2"):
        frontier_shapes.train_rows(recipes, data, tmp_path / "runs")


def test_the_picture_is_drawn_whatever_rows_there_are(tmp_path):
    for name, lines in {"all.png": LINES, "own.png": LINES[4:6], "few.png": LINES[:1]}.items():
        chart(lines, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3


def test_the_chart_alone_needs_no_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SHARPLINE_DATA", raising=False)
    write_csv(tmp_path / "frontier.csv", frontier.COLUMNS, LINES)
    assert frontier.main(["chart", "-o", str(tmp_path)]) == 0
    assert "29.300 dB" in capsys.readouterr().out
    assert frontier.main(["measure", "-o", str(tmp_path)]) == 2
    assert frontier.main(["chart", "-o", str(tmp_path / "empty")]) == 1


@pytest.mark.slow
def test_a_whole_run(data, shapes, tmp_path, capsys, monkeypatch):
    pytest.importorskip("openvino", reason="the engine openvino is not installed")
    pytest.importorskip("ziglang", reason="the compiler's package, ziglang, is not installed")
    if not fitting_targets():
        pytest.skip("no compiled variant is for this processor")
    monkeypatch.setattr(frontier_rows, "SHIPPED", ("edge-s-x4",))
    monkeypatch.setattr(frontier_rows, "PUBLISHED", {})
    arguments = ["--data", str(data), "--table", str(shapes), "--runs", str(tmp_path / "runs"), "-o", str(tmp_path)]
    assert frontier.main([*arguments, "--input", "24x16", "--threads", "1", "--repeats", "2"]) == 0, (
        capsys.readouterr().err
    )
    lines = read_csv(tmp_path / "frontier.csv")
    assert tuple(lines[0]) == frontier.COLUMNS
    tried = [row for row in lines if row["series"] == "candidate"]
    assert [row["model"] for row in tried] == ["edge-4x0", "edge-4x1"]
    assert {(row["row"], row["steps"], row["Set5 psnr_y"]) for row in tried} == {("compiled INT8", "3", "")}
    ours = [row for row in lines if row["series"] == "shipped"]
    assert [row["row"].split()[0] for row in ours] == ["compiled", "ONNX", "ONNX", "OpenVINO"]
    assert len({row["Set5 psnr_y"] for row in ours[:3] if "INT8" in row["row"]}) == 1
    assert all(float(row["ms_median"]) > 0 and float(row["cid22 psnr_y"]) > 0 for row in lines)
    assert (tmp_path / "frontier.png").exists()
