"""``sharpline line`` and ``sharpline view``, as people call them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sharpline.line.config import load_line
from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox import Outbox

PATTERN = "sources:\n  - {name: test, pattern: {size: [64, 48], fps: 20}}\nflow: {threads: 1}\nview: {port: 0}\n"
FILM = "sources:\n  - {name: test, pattern: {size: [64, 48], frames: 12}}\nflow: {mode: replay}\nview: null\n"


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command in a process of its own, and the address of its page."""
    command = [sys.executable, "-m", "sharpline", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert process.stderr is not None
    try:
        seen = ""
        for text in process.stderr:
            seen += text
            if found := re.search(r"http://\S+", text):
                yield process, found[0]
                break
        else:
            pytest.fail(seen)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def healthy(url: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while get(url + "healthz")[0] != 200:
        assert time.monotonic() < end, get(url + "healthz")
        time.sleep(0.2)


def test_init_writes_what_check_and_run_understand(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    assert sharpline("line", "init", path).code == 0
    assert load_line(path).sources[0].name == "cam1"
    again = sharpline("line", "init", path)
    assert again.code == 1
    assert "exists" in again.err


def test_check_tells_every_default_and_the_ladder(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN)
    found = sharpline("line", "check", path)
    assert found.code == 0
    assert "climb_after: 10s" in found.out
    assert re.search(r"# ladder: edge-s-x4 \((int8|fp32), \w+\) -> bicubic -> passthrough\n", found.out)
    told = tmp_path / "told.yaml"
    told.write_text(found.out)
    assert load_line(told) == load_line(path)


def test_check_connects_to_every_part_on_request(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN + "sinks:\n  - webhook: {url: 'http://127.0.0.1:9/x'}\n")
    found = sharpline("line", "check", path, "--connect", "--json")
    assert found.code == 1
    report = json.loads(found.out)
    assert [(part["part"], part["works"]) for part in report["parts"]] == [("test", True), ("http 127.0.0.1:9", False)]
    assert "64 x 48, 8 bit colour" in report["parts"][0]["words"]
    assert [way["name"] for way in report["ladder"]] == ["edge-s-x4", "bicubic", "passthrough"]
    assert not list(tmp_path.glob("outbox*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("sources: []", "no sources"), (PATTERN + "model: edge-q-x4", "edge-q-x4"), (PATTERN + "viev: null", "'view'")],
)
def test_mistakes_are_one_line(sharpline: Callable[..., Any], tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(text)
    for verb in ("check", "run"):
        found = sharpline("line", verb, path)
        assert found.code in (1, 2)
        assert words in found.err
        assert found.err.count("\n") == 1


def test_a_secret_that_is_missing_is_found_before_the_line_runs(
    sharpline: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN + "sinks:\n  - webhook: {url: 'http://127.0.0.1:9/x', secret_env: NO_SUCH_SECRET}\n")
    found = sharpline("line", "check", path)
    assert found.code == 2
    assert "NO_SUCH_SECRET" in found.err


def test_a_certificate_that_is_none_is_found_before_the_line_runs(
    sharpline: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN.replace("port: 0", f"port: 0, certificate: {path}, key: {path}"))
    found = sharpline("line", "check", path)
    assert found.code == 2
    assert "are no certificate and key" in found.err


def test_a_folder_into_which_nothing_was_put_yet_works(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(f"sources:\n  - {{name: new, folder: {tmp_path}}}\n  - {{name: gone, folder: {tmp_path / 'no'}}}\n")
    found = sharpline("line", "check", path, "--connect")
    assert found.code == 1
    assert "# new: is watched" in found.out
    assert "# gone: FAILED: folder" in found.out


def test_a_region_outside_the_cameras_picture_is_found_by_trying(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN.replace("threads: 1", "regions: {test: [[0, 0, 99, 9], [0, 48, 9, 9]]}"))
    found = sharpline("line", "check", path, "--connect")
    assert found.code == 1
    assert "FAILED: 64 x 48, 8 bit colour" in found.out
    assert "the region [0, 48, 9, 9] lies outside (flow.regions)" in found.out


def test_a_replay_ends_by_itself(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(FILM)
    found = sharpline("line", "run", path)
    assert found.code == 0
    assert "test: 12 frames: 12 by " in found.err


def test_a_replay_of_what_is_not_there_fails(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(f"sources:\n  - {{name: test, url: {tmp_path / 'no.mp4'}}}\nflow: {{mode: replay}}\nview: null\n")
    found = sharpline("line", "run", path)
    assert found.code == 1
    assert "test ended" in found.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_serves_the_page_and_ends_well_on_a_signal(tmp_path: Path, number: int) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN)
    with started("line", "run", path) as (process, url):
        healthy(url)
        assert "canvas" in get(url)[1]
        assert 'sharpline_results_total{source="test"}' in get(url + "metrics")[1]
        process.send_signal(number)
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 0, rest
        assert re.search(r"test: \d+ frames: \d+ by ", rest)
        assert "Traceback" not in rest


def test_the_demo_is_one_command() -> None:
    with started("line", "demo", "--port", 0, "--no-browser") as (process, url):
        healthy(url, 90)
        process.terminate()
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 0, rest


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text(PATTERN)
    with started("line", "run", path) as (_, url):
        port = url.rstrip("/").rpartition(":")[2]
        path.write_text(PATTERN.replace("port: 0", f"port: {port}"))
        command = [sys.executable, "-m", "sharpline", "line", "run", str(path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    said = [text for text in second.stderr.splitlines() if "no compiled variant" not in text]
    assert len(said) == 1
    assert said[0].startswith("error: the page cannot be served")


def test_view_shows_a_picture(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    with started("view", tmp_path, "--port", 0, "--model", "bicubic", "--no-browser") as (process, url):
        healthy(url)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_view_of_nothing_is_one_line(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    found = sharpline("view", tmp_path)
    assert found.code == 2
    assert "no pictures" in found.err


def test_dead_letters_are_shown_sent_again_and_deleted(sharpline: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    held = Outbox(OutboxConfig(path=path))
    for number in (1, 2):
        held.put("webhook h/[x]", Parcel(f"id{number}", "{}", {}))
    held.bury(1, "410 Gone")
    held.close()
    found = sharpline("line", "outbox", path)
    assert found.code == 0
    assert re.search(r"^webhook h/\[x\]: 1 wait, 1 refused\n  \d{4}-\d\d-\d\d \S+  id1  410 Gone\n$", found.out)
    report = json.loads(sharpline("line", "outbox", path, "--retry", "--json").out)
    assert report == {"waiting": {"webhook h/[x]": 2}, "dead": [], "retried": 1, "dropped": 0}
    held = Outbox(OutboxConfig(path=path))
    held.bury(2, "410 Gone")
    held.close()
    found = sharpline("line", "outbox", path, "--drop")
    assert (found.out, found.err) == ("webhook h/[x]: 1 wait, 0 refused\n", "1 deleted\n")
    assert sharpline("line", "outbox", path, "--drop", "--retry").code == 2
    missing = sharpline("line", "outbox", tmp_path / "none")
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    assert "no such outbox" in missing.err
