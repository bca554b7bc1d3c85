"""The configuration of a line: short, strict, and every default told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sharpline.errors import UsageError
from sharpline.line.config import LineConfig, load_line, parse_line
from sharpline.line.units import seconds
from sharpline.line.writing import TEMPLATE, write_template, written

SHORT = """\
sources:
  - {name: cam1, url: "rtsp://127.0.0.1:8554/cam"}
model: edge-s-x4
view: {port: 8080}
sinks:
  - webhook: {url: "http://127.0.0.1:9000/events", secret_env: SHARPLINE_WEBHOOK_SECRET, every: 1s}
  - mqtt: {url: "mqtt://127.0.0.1:1883", topic: "line/cam1"}
outbox: {path: outbox.sqlite}
"""
CAMERA = 'sources:\n  - {name: cam1, url: "rtsp://127.0.0.1/cam"}\n'


def load(tmp_path: Path, text: str) -> LineConfig:
    path = tmp_path / "LINE.yaml"
    path.write_text(text)
    return load_line(path)


def test_the_short_form_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, SHORT)
    assert load_line(str(tmp_path / "LINE.yaml")) == config  # as docs/line.md has it
    assert config.sources[0].name == "cam1"
    assert (config.flow.mode, config.flow.rate, config.guard.age) == ("live", 5.0, 2.0)
    assert config.view is not None
    assert config.view.host == "127.0.0.1"
    assert config.sinks[0].webhook is not None
    assert config.sinks[0].webhook.every == 1.0


FULL = (
    CAMERA
    + """\
  - {name: belt, pattern: {size: [64, 48], fps: 5, frames: 7}}
  - {name: raw, pipe: "cat /dev/zero", size: [64, 48], pixels: gray16le, lag: 250ms}
engine: ort
precision: fp32
flow: {mode: replay, deadline: 1500ms, rate: camera, ladder: [bicubic], noise: 3, regions: {cam1: [[1, 2, 3, 4]]}}
guard: {frozen: 40d, every: 5, age: 3min}
sinks:
  - recorder: {folder: recordings, segment: 2min, budget: 2GB, on: [each]}
  - webhook: {url: "http://127.0.0.1:9000/events", on: []  , every: 500ms}
detector: {v2: {url: "http://127.0.0.1:8000", model: faults}}
"""
)


@pytest.mark.parametrize("text", [SHORT, CAMERA, CAMERA + "view: null\n", FULL, TEMPLATE])
def test_what_is_told_reads_as_the_same(tmp_path: Path, text: str) -> None:
    config = load(tmp_path, text)
    assert load(tmp_path, written(config)) == config


def test_every_default_is_told(tmp_path: Path) -> None:
    told = yaml.safe_load(written(load(tmp_path, CAMERA)))
    assert told["flow"] == {
        **{"mode": "live", "deadline": "0.5s", "rate": 5.0, "climb_after": "10s"},
        **{"tile": 64, "noise": 0, "regions": {}},
    }
    assert told["guard"] == {"consistency": 20.0, "every": 1, "frozen": "10s", "age": "2s"}
    assert told["outbox"]["budget"] == "1000000000B"


def test_passwords_are_not_told(tmp_path: Path) -> None:
    config = load(tmp_path, 'sources:\n  - {name: cam1, url: "rtsp://me:hunter2@10.0.0.1/cam"}\n')
    assert "hunter2" not in written(config)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CAMERA + "modl: edge-s-x4", "line 3: unknown key 'modl': did you mean 'model'?"),
        (CAMERA + "flow:\n  deadlin: 1s", "line 4: unknown key 'flow.deadlin': did you mean 'deadline'?"),
        (CAMERA + "sinks:\n  - webhok: {url: 'http://h/'}", "line 4: unknown key 'sinks.0.webhok': did you mean 'w"),
        (CAMERA + "sinks:\n  - webhook:\n      urll: 'http://h/'", "line 5: unknown key 'sinks.0.webhook.urll'"),
        ("sources:\n  - name: c\n    url: 'rtsp://h/'\n    transprt: udp", "unknown key 'sources.0.transprt': did you"),
        ("sources:\n  - {name: c, pattern: {siz: [3, 4]}}", "'sources.0.pattern.siz': did you mean 'size'?"),
        ("sources:\n  - {name: c, ulr: 'rtsp://h/'}", "line 2: sources.0: unknown key 'ulr': did you mean 'url'?"),
        ("sources:\n  - {name: c, address: 'rtsp://h/'}", "line 2: sources.0: a source has exactly one of url"),
        ("sources:\n  - {name: c, camera: 0}", "did you mean 'picamera'? (a source has exactly one of url"),
        ("sources:\n  - {name: c, url: 'rtsp://h/', folder: in}", "line 2: sources.0: a source has exactly one of url"),
        ("sources: []", "there are no sources"),
        ("model: edge-s-x4", "there are no sources"),
        ("5", "a mapping"),
        ("a: [", "is not YAML"),
        (CAMERA + "flow: {deadline: soon}", "flow.deadline: write a time with its unit: 500ms"),
        (CAMERA + "flow: {deadline: 0s}", "flow.deadline: it has to be above 0"),
        (CAMERA + "flow: {deadline: 1}", "line 3: flow.deadline: 1 has no unit: write 1s"),
        (CAMERA + "guard: {frozen: '0.5'}", "guard.frozen: 0.5 has no unit: write 0.5s"),
        ("sources:\n  - {name: c, url: 'rtsp://h/', silence: 10}", "sources.0.silence: 10 has no unit: write 10s"),
        (CAMERA + "sinks:\n  - mqtt: {url: 'mqtt://h', topic: t, gap: 2}", "sinks.0.mqtt.gap: 2 has no unit: write 2s"),
        (CAMERA + "detector: {v2: {url: 'http://h', model: m, timeout: 3}}", "timeout: 3 has no unit: write 3s"),
        (CAMERA + "outbox: {budget: 500}", "outbox.budget: 500 has no unit: write 500MB"),
        (CAMERA + "engin: ort", "unknown key 'engin': did you mean 'engine'?"),
        (CAMERA + "precision: int4", "line 3: precision: Input should be 'auto', 'int8' or 'fp32'"),
        (CAMERA + "engine: compild", "line 3: engine: Input should be 'auto', 'ort', 'openvino' or 'compiled'"),
        (CAMERA + "5: x", "the key 5 is no word"),
        (CAMERA + "flow: {rate: .inf}", "flow.rate: Input should be a finite number"),
        (CAMERA + f"flow: {{deadline: {'9' * 400}d}}", "flow.deadline: it has to be above 0 and below 10^18"),
        (CAMERA + f"outbox: {{budget: {'9' * 400}GB}}", "outbox.budget: it has to be above 0 and below 10^18"),
        ("sources:\n  - {name: c, url: 'rtsp://'}", "sources.0.url: it names no camera: write rtsp://host/path"),
        (CAMERA + "flow: {rate: fast}", "flow.rate: Input should be a valid number"),
        (CAMERA + "flow: {regions: {cam9: [[0, 0, 1, 1]]}}", "flow.regions names 'cam9', and the sources are cam1"),
        (CAMERA + "flow: {regions: {cam1: [[0, 0, 0, 1]]}}", "width and height 1 or more"),
        (CAMERA + "view: {quality: 50}", "view.quality: Input should be greater than or equal to 90 (got 50)"),
        (CAMERA + "view: {key: a.pem}", "'certificate' and 'key' belong together"),
        (CAMERA + "  - {name: cam1, pattern: {}}", "two sources are called 'cam1'"),
    ],
)
def test_a_mistake_is_said_in_one_line_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert words in message
    assert "LINE.yaml" in message
    assert "\n" not in message


def test_a_mistake_beside_a_password_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, 'sources:\n  - {name: c, url: "ftp://me:hunter2@10.0.0.1/cam"}')
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_line(tmp_path / "no.yaml")


def test_in_python_a_mapping_is_as_strict() -> None:
    with pytest.raises(UsageError, match=r"unknown key 'flow\.noize': did you mean 'noise'"):
        parse_line({"flow": {"noize": 1}})


@pytest.mark.parametrize(
    ("text", "meant"), [("250ms", 0.25), ("1.5 s", 1.5), ("2m", 120.0), ("2min", 120.0), ("1h", 3600.0), ("2d", 172800)]
)
def test_lengths_of_time(text: str, meant: float) -> None:
    assert seconds(text) == meant


@pytest.mark.parametrize("value", ["", "s", "-1s", "1 week", "1,5s", "1e3s", "0s", True, None, -3, [1]])
def test_what_is_no_length_of_time(value: Any) -> None:
    with pytest.raises(ValueError, match="500ms"):
        seconds(value)


@pytest.mark.parametrize("value", [10, "10", 10.0, " 10 "])
def test_a_time_without_a_unit_is_refused_everywhere(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^10(\.0)? has no unit: write 10(\.0)?s$"):
        seconds(value)


def test_the_template_is_not_written_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "LINE.yaml"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_template(path)
    assert path.read_text() == "mine"
