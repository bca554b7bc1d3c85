"""How commands end: misuse, errors and Ctrl-C are one line and an exit code, whatever the verb."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import skimage.data
from PIL import Image

from patience import eventually
from sharpline.cli.loading import loading

RECIPE = """
name: tiny
network: {family: edge, scale: 2, channels: 4, depth: 0}
data: {train: hr, valid: hr, patch: 16, batch: 2}
steps: 1000000
validate_every: 1000000
card: {version: "1", description: d, licence: CC0, training_data: t}
"""
needs_lab = pytest.mark.skipif(find_spec("torch") is None, reason="the lab needs torch: pip install 'sharpline[lab]'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["upscale"], ["missing argument 'INPUT'"]),
        (["upscale", "a.png", "--engin", "ort"], ["no such option: --engin", "--engine"]),
        (["upscale", "a.png", "--engine", "orx"], ["--engine", "'orx'", "openvino"]),
        (["upscale", "a.png", "--engine", "orx", "--json"], ["--engine", "'orx'"]),
        (["upscale", "a.png", "--scale", "two"], ["--scale"]),
        (["evaluate", "--hr", "x", "--threads", "0", "--json"], ["--threads"]),
        (["degrade", "a.yaml", "hr"], ["--output"]),
        (["assets", "lst"], ["'lst'", "'list'"]),
        (["upscal", "a.png"], ["'upscal'", "'upscale'"]),
    ],
)
def test_misuse_is_one_line_that_names_the_help(sharpline, arguments: list[str], words: list[str]) -> None:
    result = sharpline(*arguments)
    assert (result.code, result.out) == (2, "")
    [line] = result.err.splitlines()
    assert line.startswith("error: ")
    place = "" if arguments[0] == "upscal" else f" {arguments[0]}"
    assert line.endswith(f"see sharpline{place} --help")
    assert all(word in line for word in words)


@pytest.mark.parametrize("arguments", [[], ["assets"], ["line"]])
def test_nothing_asked_for_prints_the_help_alone(sharpline, arguments: list[str]) -> None:
    result = sharpline(*arguments)
    assert result.code == 2
    assert "error" not in result.err
    assert "Usage: sharpline" in result.out + result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "edge-x"],
        ["info", "none.onnx"],
        ["evaluate", "--hr", ".", "--model", "edge-x"],
        ["evaluate", "--hr", ".", "--model", "zssr"],
        ["evaluate", "--hr", "none", "--model", "bicubic"],
        ["upscale", "cat.png", "--model", "edge-x"],
        ["upscale", "cat.png", "--model", "none.onnx"],
        ["upscale", "none.png"],
        pytest.param(["info", "none.safetensors"], marks=needs_lab),
        pytest.param(["leaks", "none", "--test", "."], marks=needs_lab),
        pytest.param(["import", "none.pth", "-o", "x.safetensors"], marks=needs_lab),
        pytest.param(["import", "cat.png", "-o", "x.onnx"], marks=needs_lab),
        pytest.param(["import", "cat.png", "-o", "none/x.safetensors"], marks=needs_lab),
        pytest.param(["train", "none.yaml"], marks=needs_lab),
        pytest.param(["train", "tiny.yaml", "--data", ".", "--set", "init=none.safetensors"], marks=needs_lab),
        pytest.param(["compress", "none.yaml"], marks=needs_lab),
    ],
)
def test_what_is_not_there_is_a_matter_of_usage(sharpline, photo: Path, monkeypatch, arguments: list[str]) -> None:
    monkeypatch.chdir(photo.parent)
    result = sharpline(*arguments)
    assert result.code == 2
    [line] = result.err.splitlines()
    assert "none" in line or "edge-x" in line or "zssr" in line or "x.onnx" in line
    assert sorted(p.name for p in photo.parent.iterdir()) == ["cat.png", "hr", "tiny.yaml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "broken.onnx"],
        ["upscale", "broken.png"],
        ["upscale", "hr/cat.png", "--model", "broken.onnx"],
        pytest.param(["info", "broken.safetensors"], marks=needs_lab),
        pytest.param(["import", "broken.pth", "-o", "x.safetensors"], marks=needs_lab),
    ],
)
def test_what_is_there_and_broken_fails(sharpline, photo: Path, monkeypatch, arguments: list[str]) -> None:
    monkeypatch.chdir(photo.parent)
    for suffix in ("onnx", "png", "safetensors", "pth"):
        Path(f"broken.{suffix}").write_bytes(b"\x89PNG junk")
    result = sharpline(*arguments)
    assert result.code == 1
    [line] = result.err.splitlines()
    assert "broken" in line


@needs_lab
def test_a_recipe_that_is_run_from_elsewhere_says_where_it_looked(sharpline, photo: Path, monkeypatch) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "compress" / "edge-m-x4-int8.yaml"
    if not recipe.exists():
        pytest.skip("the recipes are not here")
    monkeypatch.chdir(photo.parent)
    result = sharpline("compress", recipe, "--data", ".", "-o", "out")
    assert result.code == 2
    assert f"checkpoints/edge-m-x4.safetensors: no such checkpoint in {Path.cwd()};" in result.err
    assert "repository's root" in result.err
    assert not Path("out").exists()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture, a folder with it and a recipe for it."""
    cat = skimage.data.chelsea()[100:148, 100:164]
    (tmp_path / "hr").mkdir()
    for path in (tmp_path / "cat.png", tmp_path / "hr" / "cat.png"):
        Image.fromarray(cat).save(path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path / "cat.png"


class Running:
    """A command in a process of its own, which Ctrl-C is sent to."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sharpline", *arguments],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def at_work(self) -> bool:
        """Whether it has started a process of its own."""
        assert self._process.poll() is None, self._process.communicate()
        return bool(psutil.Process(self._process.pid).children())

    def stopped(self) -> tuple[int, list[str]]:
        """Exit code and lines of standard error after Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate(timeout=200)
        assert out == ""
        assert "Traceback" not in err
        return self._process.returncode, err.splitlines()


@pytest.mark.parametrize("package", ["numpy", pytest.param("torch", marks=needs_lab)])
def test_ctrl_c_while_packages_are_loaded(tmp_path: Path, package: str) -> None:
    """In place of the package one that is interrupted: a traceback would be of its file."""
    (tmp_path / f"{package}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    run = subprocess.run(
        [sys.executable, "-m", "sharpline", "leaks", ".", "--test", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")


def test_ctrl_c_between_the_verbs_is_quiet(sharpline, monkeypatch) -> None:
    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sharpline.cli.ending.Verbs.make_context", interrupted)
    result = sharpline("models")
    assert (result.code, result.out, result.err.strip()) == (130, "", "")


def test_loading_leaves_what_others_have_chosen_for_ctrl_c() -> None:
    for chosen in (signal.SIG_IGN, signal.default_int_handler):
        before = signal.signal(signal.SIGINT, chosen)
        try:
            with loading():
                assert (signal.getsignal(signal.SIGINT) is chosen) == (chosen is signal.SIG_IGN)
            assert signal.getsignal(signal.SIGINT) is chosen
        finally:
            signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_a_benchmark(tmp_path: Path) -> None:
    running = Running(tmp_path, "benchmark", "edge-s-x4", "--seconds", "600", "--csv", "times.csv")
    assert eventually(running.at_work, timeout=200)  # the model runs in a process of its own
    code, lines = running.stopped()
    assert code == 130
    assert lines[-1] == "stopped; nothing was written"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(find_spec("ziglang") is None, reason="compiling needs ziglang: pip install 'sharpline[compile]'")
def test_ctrl_c_in_a_compilation(tmp_path: Path) -> None:
    running = Running(tmp_path, "compile", "edge-s-x4", "-o", "made")
    assert eventually(running.at_work, timeout=200)  # the compiler of C
    code, lines = running.stopped()
    assert code == 130
    assert lines[-1].startswith("stopped; ")
    assert not list((tmp_path / "made").glob("*.so"))


@needs_lab
def test_ctrl_c_in_a_training_saves_and_says_how_to_go_on(sharpline, photo: Path, monkeypatch) -> None:
    from sharpline.lab.training import loop

    one_step = loop.one_step

    def third_step_is_interrupted(run: loop.Run) -> float:
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return one_step(run)

    monkeypatch.setattr(loop, "one_step", third_step_is_interrupted)
    monkeypatch.chdir(photo.parent)
    result = sharpline("train", "tiny.yaml", "--data", ".", "--devices", "cpu")
    assert result.code == 130
    assert "runs/tiny: stopped (go on with --resume) at step 3 of 1000000" in result.err
    assert Path("runs/tiny/last.safetensors").exists()


@needs_lab
@pytest.mark.parametrize("verb", ["leaks", "import", "degrade"])
def test_ctrl_c_says_what_is_kept(sharpline, photo: Path, monkeypatch, verb: str) -> None:
    place, arguments, words = {
        "leaks": ("sharpline.lab.data.leaks.find_leaks", ["hr", "--test", "hr"], "nothing was written"),
        "import": ("sharpline.lab.importing.import_file", ["cat.png", "-o", "x.safetensors"], "nothing was written"),
        "degrade": ("sharpline.lab.data.degradation.folder.run", ["d.yaml", "hr", "-o", "lr"], "finished are kept"),
    }[verb]

    def interrupted(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(photo.parent)
    Path("d.yaml").write_text("name: half\ndescription: half\nsteps: [{kind: downsample, method: bicubic}]\n")
    monkeypatch.setattr(place, interrupted)
    result = sharpline(verb, *arguments)
    assert (result.code, result.out) == (130, "")
    assert result.err.startswith("stopped; ")
    assert words in result.err
    assert len(result.err.splitlines()) == 1
