"""A board's folder: complete, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from broken_exports import FLOAT_ENDS, SWAPPED, broken  # noqa: E402
from sharpline.errors import ModelError, SharplineError, UsageError  # noqa: E402
from sharpline.lab.boards import folder as folder_module  # noqa: E402
from sharpline.lab.boards.folder import SUMS, export_board  # noqa: E402
from sharpline.lab.boards.formats import FORMATS  # noqa: E402
from sharpline.lab.boards.made import Made, SourceModel  # noqa: E402
from sharpline.lab.boards.source import open_source  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402
from sharpline.runtime.boards.check import check_file  # noqa: E402
from sharpline.runtime.boards.profile import board_names, load_board  # noqa: E402
from sharpline.runtime.catalog import open_model  # noqa: E402
from sharpline.runtime.certificate.document import (  # noqa: E402
    Certificate,
    Measured,
    read_certificate,
    sha256_of,
    write_certificate,
)
from sharpline.runtime.certificate.verify import certificate_of  # noqa: E402
from sharpline.runtime.processor import fitting_targets  # noqa: E402

ABOUT = {"name": "tiny", "card": {"version": "1", "description": "test", "licence": "CC0", "training_data": "none"}}
NANO = load_board("jetson-nano")
SMALL = (64, 48)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "best.safetensors"
    save_network(path, build({"family": "edge", "channels": 4, "depth": 1, "scale": 2}), ABOUT)
    return path


@pytest.fixture(scope="module")
def source(checkpoint: Path) -> SourceModel:
    return open_source(str(checkpoint))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_profiles_name_formats_that_are_there() -> None:
    named = {file.format for name in board_names() for file in load_board(name).files}
    assert named <= set(FORMATS)


def test_the_folder_of_the_nano(tmp_path: Path, source: SourceModel) -> None:
    done = export_board(source, NANO, tmp_path / "nano", size=SMALL)
    assert leftovers(tmp_path) == ["nano"]
    names = ["README.md", SUMS, "card.json", "run.py", "tiny-fp32.onnx"]
    assert leftovers(tmp_path / "nano") == names
    for line in (tmp_path / "nano" / SUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "nano" / name).read_bytes()).hexdigest() == digest
    assert len((tmp_path / "nano" / SUMS).read_text().splitlines()) == len(names) - 1
    card = json.loads((tmp_path / "nano" / "card.json").read_text())
    assert (card["name"], card["scale"]) == ("tiny", 2)
    model = onnx.load(tmp_path / "nano" / "tiny-fp32.onnx")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]
    assert check_file(tmp_path / "nano" / "tiny-fp32.onnx", NANO).stops == []
    assert done.files[0][1].psnr > 60
    assert [made.precision for made, _ in done.trials] == ["fp16"]
    assert done.trials[0][1].largest == 1  # the rounding is there, and costs no more
    assert json.loads(json.dumps(done.to_dict()))["trials"][0]["parity"]["psnr"] < 75


@pytest.mark.parametrize("name", ["jetson-nano", "jetson-orin"])
def test_an_integer_network_becomes_its_float_twin_where_there_is_no_int8(tmp_path: Path, name: str) -> None:
    board = load_board(name)
    floats = [file for file in board.files if file.format == "onnx-fp32"]
    done = export_board(
        open_source("edge-s-x4"), board.model_copy(update={"files": floats}), tmp_path / "out", size=SMALL
    )
    kinds = {node.op_type for node in onnx.load(tmp_path / "out" / "edge-s-x4-fp32.onnx").graph.node}
    assert not {"QuantizeLinear", "DequantizeLinear"} & kinds
    assert done.files[0][1].psnr > 49
    assert "float twin" in (tmp_path / "out" / "README.md").read_text()


def test_its_readme_has_the_commands_and_says_what_was_not_run(tmp_path: Path, source: SourceModel) -> None:
    export_board(source, NANO, tmp_path / "nano", size=SMALL)
    page = (tmp_path / "nano" / "README.md").read_text()
    assert "Not run on the device" in page
    assert "trtexec --onnx=tiny-fp32.onnx --fp16" in page
    assert "nvarguscamerasrc" in page
    assert "tiles of 64 x 48" in page
    assert "No certificate" in page
    assert "{" not in page
    here = tmp_path / "pc"
    export_board(source, load_board("x86-cpu"), here)  # in FP32: nothing is compiled
    assert "Not run on the device" not in (here / "README.md").read_text()


def certificate(sha256: str = "") -> Certificate:
    size = {
        "bytes": 1,
        "bytes_deflated": 1,
        "parameters": 1,
        "macs": 1,
        "activation_bytes": 1,
        "ms_p50": 1,
        "ms_p95": 1,
    }
    measured = Measured(name="tiny", precision="int8", sha256=sha256, **size)
    about = {"engine": "ort", "machine": "a PC", "commit": "0", "made": "2026-01-01"}
    return Certificate(
        before=measured, after=measured, sets={}, frame=(8, 8), repetitions=1, threads=1, breaches=[], **about
    )


def test_a_certificate_goes_along_and_still_is_one(tmp_path: Path) -> None:
    model = tmp_path / "light.onnx"
    model.write_bytes(open_model("edge-s-x4", precision="int8").graph.SerializeToString())
    write_certificate(certificate(sha256_of(model.read_bytes())), certificate_of(model))
    board = load_board("x86-cpu")
    only = [file for file in board.files if file.format == "onnx-int8"]
    done = export_board(open_source(str(model)), board.model_copy(update={"files": only}), tmp_path / "pc")
    assert done.certified
    held = read_certificate(tmp_path / "pc" / "certificate.json")
    assert held.after.sha256 == sha256_of((tmp_path / "pc" / done.files[0][0].file).read_bytes())
    assert "certificate.json" in (tmp_path / "pc" / SUMS).read_text()
    assert "certificate.json" in (tmp_path / "pc" / "README.md").read_text()


def test_a_damaged_certificate_is_told(tmp_path: Path, checkpoint: Path) -> None:
    model = tmp_path / "best.safetensors"
    model.write_bytes(checkpoint.read_bytes())
    certificate_of(model).write_text("{}")
    with pytest.raises(ModelError, match="is not a certificate"):
        open_source(str(model))


def test_an_existing_folder_stays_unless_told(tmp_path: Path, source: SourceModel) -> None:
    export_board(source, NANO, tmp_path / "nano", size=SMALL)
    before = (tmp_path / "nano" / SUMS).read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        export_board(source, NANO, tmp_path / "nano", size=SMALL)
    assert (tmp_path / "nano" / SUMS).read_bytes() == before
    export_board(source, NANO, tmp_path / "nano", size=(48, 48), overwrite=True)
    assert (tmp_path / "nano" / SUMS).read_bytes() != before
    assert leftovers(tmp_path) == ["nano"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, source: SourceModel) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"dear")
    with pytest.raises(UsageError, match="not a board's folder"):
        export_board(source, NANO, tmp_path / "photos", size=SMALL, overwrite=True)
    assert leftovers(tmp_path / "photos") == ["me.jpg"]


@pytest.mark.parametrize("kind", ["swapped channels", "missing clip", "NaN", "black"])
def test_a_broken_export_leaves_no_folder(
    tmp_path: Path, source: SourceModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm, words = FLOAT_ENDS[kind] if kind != "NaN" else (_nan, "NaN")
    monkeypatch.setitem(FORMATS, "onnx-fp32", broken(harm))
    with pytest.raises(ModelError, match=words):
        export_board(source, NANO, tmp_path / "nano", size=SMALL)
    assert leftovers(tmp_path) == []


def _nan(graph: onnx.GraphProto) -> None:
    tensor = next(t for t in graph.initializer if t.name.endswith("bias"))
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def test_a_broken_export_keeps_the_old_folder(
    tmp_path: Path, source: SourceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_board(source, NANO, tmp_path / "nano", size=SMALL)
    before = (tmp_path / "nano" / SUMS).read_bytes()
    monkeypatch.setitem(FORMATS, "onnx-fp32", broken(SWAPPED))
    with pytest.raises(ModelError, match="swapped"):
        export_board(source, NANO, tmp_path / "nano", size=SMALL, overwrite=True)
    assert (tmp_path / "nano" / SUMS).read_bytes() == before
    assert leftovers(tmp_path) == ["nano"]


def test_a_file_that_the_board_stops_at_is_not_written(
    tmp_path: Path, source: SourceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = NANO.model_copy(update={"files": [NANO.files[0].model_copy(update={"opset": 18})]})
    with pytest.raises(ModelError, match=r"would stop at it \(opset: the file has opset 18"):
        export_board(source, board, tmp_path / "nano", size=SMALL)
    assert leftovers(tmp_path) == []


def test_what_leaves_the_range_of_fp16_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    net, about = load_network(checkpoint)
    with torch.no_grad():  # a thousand times more in one layer, as much less in the next: the same picture in FP32
        first, *_, last = net.convolutions()
        for parameter in first.parameters():
            parameter *= 1e5
        for name, parameter in last.named_parameters():
            parameter *= 1 if "bias" in name else 1e-5
    path = tmp_path / "wide.safetensors"
    save_network(path, net, about)
    with pytest.raises(ModelError, match=r"NaN or infinite|to the source|white"):
        export_board(open_source(str(path)), NANO, tmp_path / "nano", size=SMALL)
    assert leftovers(tmp_path) == ["wide.safetensors"]


def test_a_failure_half_way_leaves_nothing(
    tmp_path: Path, source: SourceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> str:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(folder_module, "readme", full)
    with pytest.raises(ModelError, match="No space left"):
        export_board(source, NANO, tmp_path / "nano", size=SMALL)
    assert leftovers(tmp_path) == []


def test_the_coral_asks_for_an_integer_network(tmp_path: Path, source: SourceModel) -> None:
    with pytest.raises(ModelError, match=r"takes int8 only: .*sharpline compress"):
        export_board(source, load_board("coral-dev-board"), tmp_path / "coral")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("board", "size", "words"),
    [("jetson-nano", (4, 64), "at least"), ("x86-cpu", (64, 64), "any size")],
)
def test_sizes_that_cannot_be_meant(
    tmp_path: Path, source: SourceModel, board: str, size: tuple[int, int], words: str
) -> None:
    with pytest.raises(SharplineError, match=words):
        export_board(source, load_board(board), tmp_path / "out", size=size)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(UsageError, match="interpolation"):
        open_source("bicubic")


@pytest.mark.slow
def test_machine_code_goes_along_where_there_is_a_compiler(tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="compiling needs it: pip install 'sharpline[compile]'")
    board = load_board("raspberry-pi-4")
    wanted = [file for file in board.files if file.format in ("compiled", "onnx-int8")]
    targets = ["arm64-neon", *fitting_targets()[:1]]
    both = [file.model_copy(update={"targets": targets}) if file.format == "compiled" else file for file in wanted]
    done = export_board(open_source("edge-s-x4"), board.model_copy(update={"files": both}), tmp_path / "pi")
    parity = {made.file: p for made, p in done.files}
    assert parity["edge-s-x4-int8.arm64-neon.so"] is None
    assert all(p.largest == 0 for p in parity.values() if p is not None)
    assert sum(p is not None for p in parity.values()) == len(targets)
    assert "not run here" in (tmp_path / "pi" / "README.md").read_text()


def test_what_is_optional_and_not_installed_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*arguments: object) -> list[Made]:
        raise UsageError("pip install 'sharpline[compile]'")

    monkeypatch.setitem(FORMATS, "compiled", absent)
    board = load_board("x86-cpu")
    done = export_board(open_source("edge-s-x4"), board, tmp_path / "pc")
    assert done.left_out["compiled"] == "pip install 'sharpline[compile]'"
    assert "No compiled file: pip install" in (tmp_path / "pc" / "README.md").read_text()
    needed = [file.model_copy(update={"optional": False}) for file in board.files]
    with pytest.raises(UsageError, match="pip install"):
        export_board(open_source("edge-s-x4"), board.model_copy(update={"files": needed}), tmp_path / "pc2")
    assert leftovers(tmp_path) == ["pc"]


def test_integers_that_a_format_cannot_say_are_left_out(tmp_path: Path) -> None:
    source = open_source("edge-s-x4", precision="int8")
    assert source.integer is not None
    first, *others = source.integer.layers
    edged = replace(source.integer, layers=(replace(first, border="edge"), *others))
    with pytest.raises(ModelError, match="layers other than a ReLU"):
        export_board(replace(source, integer=edged), load_board("coral-dev-board"), tmp_path / "coral")
    assert not list(tmp_path.iterdir())


def test_other_families_go_to_a_pi_without_tflite(tmp_path: Path) -> None:
    save_network(
        tmp_path / "best.safetensors", build({"family": "imdn", "channels": 8, "blocks": 1, "scale": 2}), ABOUT
    )
    made = export_board(open_source(str(tmp_path / "best.safetensors")), load_board("raspberry-pi-5"), tmp_path / "pi")
    assert [file.file for file, _ in made.files] == ["tiny-fp32.onnx"]
    assert "not a plain stack" in made.left_out["tflite-fp32"]
    assert "tflite-fp32" in (tmp_path / "pi" / "README.md").read_text()
