"""The engine's benchmark: its ceiling is a matrix product, its rows make the judge's picture, its words are right."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from skimage.data import astronaut

import engine
import engine_rows
from common import read_csv
from compiled_c import saved_model, small_model
from engine_chart import chart
from sharpline.pixels.writing import write_image
from sharpline.runtime.processor import fitting_targets
from workers import WorkerError


def line(row, ms, model="edge-m-x4", threads="1", of_ceiling="0.50", bytes_off="0"):
    shared = {"machine": "a board", "commit": "abc", "protocol": "p", "repeats": "3", "input": "480x270"}
    values = {"model": model, "row": row, "threads": threads, "ms_median": ms, "of_ceiling": of_ceiling}
    rest = {"engine": "x 1", "ms_p95": ms, "fps": f"{1e3 / float(ms):.1f}", "gops": "9", "peak_memory_mb": "99"}
    return {**shared, **values, **rest, "bytes_off": bytes_off}


LINES = [
    line("compiled, x86-64-avx512vnni", "10.00", of_ceiling="0.83"),
    line("compiled, x86-64-avx2", "20.00"),
    line("OpenVINO INT8", "25.00", bytes_off="12"),
    line("ONNX Runtime FP32", "40.00", bytes_off=""),
    line("ONNX Runtime MatMulInteger", "5.00", model="matrix product", bytes_off=""),
]


def test_verdicts_compare_the_best_variant_with_every_other_row():
    (sentence,) = engine.verdicts(LINES)
    assert sentence.startswith("edge-m-x4, 480x270, 1 thread: compiled, x86-64-avx512vnni 10.00 ms, 100.0 fps, 83 %")
    assert sentence.endswith("2.50 x OpenVINO INT8, 4.00 x ONNX Runtime FP32")


def test_table_and_picture_show_all_rows(tmp_path):
    out = Console(file=io.StringIO(), width=200)
    out.print(engine.table(LINES))
    assert all(row["row"] in out.file.getvalue() for row in LINES)
    chart(LINES, tmp_path / "engine.png")
    assert (tmp_path / "engine.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["ort", "openvino"])
def test_the_ceiling_is_a_matrix_product(name, monkeypatch):
    if name == "openvino":
        pytest.importorskip("openvino", reason="the engine openvino is not installed")
    for side in ("_ROWS", "_INNER", "_COLUMNS"):
        monkeypatch.setattr(engine_rows, side, 64)
    matrix = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    product = matrix.astype(np.int64) @ engine_rows._weights().astype(np.int64)
    found = engine_rows.gemm(name, 1).call(None)
    if name == "openvino":
        product = np.clip(np.rint(product / 4096), 0, 255)
    assert np.abs(found.astype(np.int64) - product).max() <= (name == "openvino")


def test_a_compiled_row_that_differs_from_the_judge_stops_it(tmp_path):
    class Wrong:
        def save(self, path):
            np.save(path, np.ones((2, 2, 3), np.uint8))

    judged = {"net": np.zeros((2, 2, 3), np.uint8)}
    exact = engine.Row("compiled, x", "net", "m:f", {}, 1.0, exact=True)
    with pytest.raises(WorkerError, match="differs from the judge in 12 bytes"):
        engine._bytes_off(exact, Wrong(), judged, tmp_path / "lr.npy")
    assert engine._bytes_off(replace(exact, name="OpenVINO INT8", exact=False), Wrong(), judged, tmp_path / "x") == "12"
    assert engine._bytes_off(replace(exact, name="OpenVINO FP32"), Wrong(), judged, tmp_path / "x") == ""


@pytest.mark.slow
def test_a_whole_run(tmp_path, capsys):
    pytest.importorskip("openvino", reason="the engine openvino is not installed")
    pytest.importorskip("ziglang", reason="the compiler's package, ziglang, is not installed")
    if not fitting_targets():
        pytest.skip("no compiled variant is for this processor")
    pictures = tmp_path / "data" / "test" / "Set5"
    pictures.mkdir(parents=True)
    write_image(pictures / "one.png", astronaut()[:64, 150:230])
    model = saved_model(small_model(), tmp_path / "small.onnx")
    arguments = ["--model", str(model), "--input", "48x32", "--threads", "1", "--repeats", "2"]
    assert engine.main([*arguments, "--data", str(tmp_path / "data"), "-o", str(tmp_path)]) == 0, (
        capsys.readouterr().err
    )
    lines = read_csv(tmp_path / "engine.csv")
    assert tuple(lines[0]) == engine.COLUMNS
    ours = [row for row in lines if row["row"].startswith("compiled")]
    assert len(ours) == len(fitting_targets()) + 1
    assert {row["bytes_off"] for row in ours} == {"0"}
    assert max(float(row["of_ceiling"]) for row in lines if row["model"] == "matrix product") == 1
    assert (tmp_path / "engine.png").exists()
