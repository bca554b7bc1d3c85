"""Settings of sinks: what is meant, and what is said about what cannot be."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from sharpline.errors import UsageError
from sharpline.line import units
from sharpline.line.sinks.config import DetectorConfig, OutboxConfig, SinkConfig, make_sink

EXAMPLE = """
- webhook: {url: "http://127.0.0.1:9000/events", secret_env: THE_SECRET, every: 1s}
- mqtt: {url: "mqtt://127.0.0.1:1883", topic: "line/cam1"}
- recorder: {folder: recordings, budget: 2GB, segment: 5m}
"""


def test_the_short_form_works(tmp_path, outbox, monkeypatch) -> None:
    monkeypatch.setenv("THE_SECRET", "x" * 16)
    sinks = [make_sink(SinkConfig.model_validate(entry), outbox) for entry in yaml.safe_load(EXAMPLE)]
    assert [sink.name for sink in sinks] == [
        "webhook 127.0.0.1:9000/events", "mqtt 127.0.0.1:1883 line/cam1", "recorder recordings",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "number"), [("2GB", 2 * 10**9), ("1 MiB", 1 << 20), ("0.5kB", 500), ("10B", 10)])
def test_sizes(text, number) -> None:
    assert units.size(text) == number


@pytest.mark.parametrize("text", [5, "5", "5 gb", "0GB", "GB", True])
def test_sizes_that_are_refused(text) -> None:
    with pytest.raises(ValueError, match=r"a size with its unit|5 has no unit: write 5MB"):
        units.size(text)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "one of webhook, mqtt, recorder"),
        ({"webhook": {"url": "http://a"}, "recorder": {"folder": "b"}}, "one of webhook, mqtt, recorder"),
        ({"webhook": {"url": "ftp://a"}}, "http://host:port"),
        ({"webhook": {"url": "http://a:99999"}}, "http://host:port"),
        ({"webhook": {"url": "http://me:secret@a"}}, "no name or password in an address"),
        ({"webhook": {"url": "http://a", "secret": "b"}}, "Extra inputs"),
        ({"webhook": {"url": "http://a", "every": 1}}, "1 has no unit: write 1s"),
        ({"webhook": {"url": "http://a", "on": ["alarms"]}}, "'alarm', 'detection' or 'each'"),
        ({"mqtt": {"url": "mqtt://a", "topic": "line/#"}}, "match pattern"),
        ({"mqtt": {"url": "mqtt://a", "topic": "t", "ca": "ca.pem"}}, "mqtts://"),
        ({"mqtt": {"url": "mqtt://a", "topic": "t", "password_env": "P"}}, "username_env"),
        ({"recorder": {"folder": "a", "video": [], "pairs": "none"}}, "nothing would be recorded"),
    ],
)
def test_what_cannot_be_meant(entry, words) -> None:
    with pytest.raises(ValidationError, match=words):
        SinkConfig.model_validate(entry)


def test_a_password_is_not_repeated_where_the_address_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        SinkConfig.model_validate({"webhook": {"url": "http://me:hunter2@a"}})
    assert "hunter2" not in caught.value.errors()[0]["msg"]


def test_a_secret_that_is_missing_or_short_is_said_and_never_shown(outbox, monkeypatch) -> None:
    sink = SinkConfig.model_validate({"webhook": {"url": "http://a", "secret_env": "THE_SECRET"}})
    monkeypatch.delenv("THE_SECRET", raising=False)
    with pytest.raises(UsageError, match="THE_SECRET is not set"):
        make_sink(sink, outbox)
    for secret in ("hunter2", "whsec_hunter2!"):
        monkeypatch.setenv("THE_SECRET", secret)
        with pytest.raises(UsageError) as caught:
            make_sink(sink, outbox)
        assert "hunter2" not in str(caught.value)


def test_one_destination_has_one_sink(outbox) -> None:
    sink = SinkConfig.model_validate({"webhook": {"url": "http://127.0.0.1:9/a"}})
    make_sink(sink, outbox)
    with pytest.raises(UsageError, match="configured twice"):
        make_sink(sink, outbox)


def test_events_need_an_outbox() -> None:
    with pytest.raises(UsageError, match="need an outbox"):
        make_sink(SinkConfig.model_validate({"webhook": {"url": "http://127.0.0.1:9/a"}}), None)


def test_outbox_and_detector_are_strict() -> None:
    assert OutboxConfig.model_validate({"path": "a.sqlite", "budget": "1GB"}).budget == 10**9
    with pytest.raises(ValidationError, match="Extra inputs"):
        OutboxConfig.model_validate({"pat": "a"})
    with pytest.raises(ValidationError, match="either v2 or onnx"):
        DetectorConfig.model_validate({})
