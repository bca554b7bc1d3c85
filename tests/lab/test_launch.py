"""Several processes that train one network end together, with one exit code and no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from patience import eventually  # noqa: E402
from sharpline.errors import SharplineError, UsageError  # noqa: E402
from sharpline.lab.training import launch  # noqa: E402
from sharpline.lab.training.checkpoint import read_tensors  # noqa: E402

LOST = "error: another process of this training has ended or cannot be reached (gloo); --resume goes on"


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``workers(first, second)`` runs two shell scripts in place of two trainings; returns the exit code."""
    monkeypatch.setattr(launch, "_GRACE", 0.3)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    def run(first: str, second: str) -> int:
        script = tmp_path / "python"
        script.write_text(f'#!/bin/sh\nif [ "$RANK" = 0 ]; then\n{first}\nelse\n{second}\nfi\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return launch.run_in_processes(2, ["train"])

    return run


def test_each_is_told_its_place_and_where_they_meet(workers, tmp_path: Path) -> None:
    say = f'echo "$LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $OMP_NUM_THREADS $*" > {tmp_path}/$RANK; test $MASTER_PORT -gt 0'
    assert workers(say, say) == 0
    assert (tmp_path / "0").read_text() == "0 2 127.0.0.1 1 -m sharpline train\n"
    assert (tmp_path / "1").read_text() == "1 2 127.0.0.1 1 -m sharpline train\n"


@pytest.mark.parametrize(
    ("first", "second", "code", "told"),
    [
        ("exit 0", "exit 0", 0, ""),
        ("exit 130", "exit 130", 130, ""),
        ("exit 2", "echo error: the same >&2; exit 2", 2, ""),
        ("exit 1", f"echo '{LOST}' >&2; exit 1", 1, ""),
        ("exec sleep 600", "echo 'error: no memory' >&2; exit 1", 1, "error: process 2 of 2: no memory\n"),
        ("exec sleep 600", "kill -KILL $$", 1, "error: process 2 of 2: ended by SIGKILL\n"),
        ("exit 1", "trap '' TERM; while true; do sleep 1; done", 1, "error: process 2 of 2: ended by SIGKILL\n"),
    ],
    ids=["done", "stopped", "misuse", "lost", "second fails", "second killed", "second hangs"],
)
def test_they_end_together(workers, capfd, first: str, second: str, code: int, told: str) -> None:
    assert workers(first, second) == code
    assert capfd.readouterr().err == told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_all_of_them(workers, tmp_path: Path, capfd, number: signal.Signals) -> None:
    """The second one asks for it, once both are ready for it."""
    wait = f"trap 'touch {tmp_path}/stopped-$RANK; exit 130' INT TERM; touch {tmp_path}/ready-$RANK"
    forever = "while true; do sleep 0.1; done"
    ask = f"until [ -e {tmp_path}/ready-0 ]; do sleep 0.1; done; kill -{number} {os.getpid()}"
    assert workers(f"{wait}; {forever}", f"{wait}; {ask}; {forever}") == 130
    assert sorted(path.name for path in tmp_path.glob("stopped-*")) == ["stopped-0", "stopped-1"]
    assert capfd.readouterr().err == ""


def test_no_more_processes_than_cores(workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(UsageError, match="--devices 2: there are 1 cores here"):
        workers("exit 0", "exit 0")


def test_a_partner_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer\nat ...")

    @launch.together()
    def step(error: RuntimeError) -> None:
        raise error

    with pytest.raises(RuntimeError, match="third_party"):  # alone it would be another mistake
        step(gone)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SharplineError, match=r"has ended or cannot be reached \(.*closed by peer\); --resume"):
        step(gone)
    with pytest.raises(RuntimeError, match="shapes differ"):
        step(RuntimeError("shapes differ"))


def test_processes_that_do_not_find_each_other_train_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone:
        num_processes = 1

        def __init__(self, cpu: bool) -> None:
            pass

    monkeypatch.setattr(launch, "Accelerator", Alone)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SharplineError, match="2 processes were started, 1 found each other"):
        launch.meet(cpu=False)


@pytest.fixture
def training(data: Path, recipe_file: Path) -> Iterator[subprocess.Popen[str]]:
    """Two processes that train, some steps after their beginning."""
    folder = data / "runs" / "two"
    long = ["--set", "steps=1000000", "--set", "validate_every=20", "--set", "save_minutes=0.001", "--devices", "2"]
    start = [sys.executable, "-m", "sharpline", "train", str(recipe_file), "--data", str(data), "-o", str(folder)]
    process = subprocess.Popen([*start, "--threads", "1", *long], stderr=subprocess.PIPE, text=True)
    try:
        assert eventually(lambda: (folder / "last.safetensors").exists() or process.poll() is not None, 250)
        yield process
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            child.kill()
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("blow", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_all_processes_stop_with_the_command_and_save(
    training: subprocess.Popen[str], data: Path, blow: signal.Signals, code: int
) -> None:
    """After Ctrl-C, and also when the command itself is killed and can tell them nothing."""
    folder, children = data / "runs" / "two", psutil.Process(training.pid).children(recursive=True)
    assert len(children) == 2
    training.send_signal(blow)
    _, err = training.communicate(timeout=200)
    assert training.returncode == code
    assert "Traceback" not in err
    step = read_tensors(folder / "last.safetensors")[1]["step"]
    assert f"{folder}: stopped (go on with --resume) at step {step} of 1000000" in err.splitlines()[-1]
    assert psutil.wait_procs(children, 100)[1] == []
    assert json.loads((folder / "provenance.json").read_text())["processes"] == "2"


@pytest.mark.slow
def test_one_that_is_killed_ends_the_others_with_a_line(training: subprocess.Popen[str], data: Path) -> None:
    children = psutil.Process(training.pid).children()
    second = next(child for child in children if child.environ()["RANK"] == "1")
    second.kill()
    _, err = training.communicate(timeout=200)
    assert training.returncode == 1
    assert "Traceback" not in err
    first, other = [line for line in err.splitlines() if line.startswith("error:")]
    assert "another process of this training has ended" in first
    assert "--resume goes on" in first
    assert other == "error: process 2 of 2: ended by SIGKILL"
    assert psutil.wait_procs(children, 100)[1] == []
    assert read_tensors(data / "runs" / "two" / "last.safetensors")[1]["step"] > 0
