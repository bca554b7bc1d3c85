"""What Prometheus reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from sharpline.line.config import parse_line
from sharpline.line.metrics import temperatures
from sharpline.line.running import Line
from staged_line import Camera, Sink, noise, until


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_line_and_stay_readable_after_it() -> None:
    flow = {"mode": "replay", "threads": 1}
    config = parse_line({"model": "bicubic", "view": None, "flow": flow})
    with Line(config, sources=[Camera("cam1", 9, noise)], sinks=[Sink()]) as line:
        assert line.wait(30)
        until(lambda: line.queues()["list"]["sent"] == 9)
        line.shown("cam1", 0.12)
        during = samples(line.metrics())
    after = samples(line.metrics())
    source = (("source", "cam1"),)
    for found in (during, after):
        assert found["sharpline_frames_total", source] == 9
        assert found["sharpline_results_total", source] == 9
        assert found["sharpline_results_by_total", (("method", "bicubic"), *source)] == 9
        assert found["sharpline_latency_seconds_count", source] == 9
        assert found["sharpline_screen_seconds_bucket", (("le", "0.15"), *source)] == 1
        assert found["sharpline_screen_seconds_bucket", (("le", "0.1"), *source)] == 0
        assert found["sharpline_reconnects_total", source] == 0
        assert found["sharpline_waiting_frames", source] == 0
        assert found["sharpline_sink", (("sink", "list"), ("what", "sent"))] == 9
        assert found["sharpline_outbox_depth", ()] == 0
        assert found["sharpline_rung", ()] == 0
        assert found["process_resident_memory_bytes", ()] > 1e6


def test_temperatures_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    for name, kind, degrees in (("0", "cpu", "48500\n"), ("1", "gpu", "junk"), ("2", None, "1")):
        zone = tmp_path / f"thermal_zone{name}"
        zone.mkdir()
        (zone / "temp").write_text(degrees)
        if kind:
            (zone / "type").write_text(kind)
    assert temperatures(tmp_path) == [("0-cpu", 48.5)]
