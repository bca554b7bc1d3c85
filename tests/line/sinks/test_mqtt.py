"""Events to a real broker: Debian's mosquitto. A subscriber of the tests' own checks what it gives out."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from contextlib import suppress

import pytest

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: E402

from sharpline.line.sinks import delivery  # noqa: E402
from sharpline.line.sinks.config import SinkConfig, make_sink  # noqa: E402
from sharpline.line.sinks.event import Event, Parcel  # noqa: E402
from sharpline.line.sinks.mqtt import Mqtt  # noqa: E402


class Subscriber:
    """Keeps every message of ``line/#``, and comes back by itself."""

    def __init__(self, port: int) -> None:
        self.events, self.states, self.ready = [], [], False
        # A session that stays, so that nothing is missed while it reconnects.
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            f"subscriber-{id(self)}",
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe("line/#", qos=1)
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_disconnect = lambda *_: setattr(self, "ready", False)
        self.client.on_message = self._take
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    def _take(self, _client, _data, message) -> None:
        if message.topic.endswith("/status"):
            self.states.append(message.payload.decode())
        else:
            self.events.append(json.loads(message.payload))

    @property
    def frames(self) -> list[int]:
        """Frame numbers in the order of their first coming."""
        return list(dict.fromkeys(event["frame"] for event in self.events))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def subscribe(request, wait_until):
    def make(broker) -> Subscriber:
        subscriber = Subscriber(broker.port)
        request.addfinalizer(subscriber.close)
        assert wait_until(lambda: subscriber.ready)
        return subscriber

    return make


class SilentBroker:
    """Lets everybody in and acknowledges nothing."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                client.recv(1000)
                client.sendall(b"\x20\x03\x00\x00\x00")  # CONNACK of MQTT 5: welcome, no properties
                threading.Thread(target=self._listen, args=[client], daemon=True).start()

    def _listen(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            while client.recv(1 << 16):
                pass

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def silent_broker():
    broker = SilentBroker()
    yield broker
    broker.close()


@pytest.fixture
def make_mqtt(outbox, request, monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST", 0.05)

    def make(broker, **settings):
        entry = {"url": broker.url, "topic": "line/cam1", "on": ["each"], "timeout": "1s"} | settings
        sink = make_sink(SinkConfig.model_validate({"mqtt": entry}), outbox)
        request.addfinalizer(lambda: sink.stop(1.0))
        sink.start()
        return sink

    return make


def feed(sink, make_result, count, begin=0) -> None:
    for k in range(begin, begin + count):
        sink.accept(make_result(k))
        while sink.counters()["queue"] > 4:
            time.sleep(0.002)


@pytest.mark.parametrize("protocol", [5, 3])
def test_events_and_state_arrive(make_broker, make_mqtt, subscribe, make_result, wait_until, protocol) -> None:
    broker = make_broker()
    subscriber = subscribe(broker)
    sink = make_mqtt(broker, protocol=protocol, pictures=["sr", "camera"])
    feed(sink, make_result, 10)
    assert wait_until(lambda: len(subscriber.events) == 10)
    assert subscriber.frames == list(range(10))
    assert set(Event.model_validate(subscriber.events[0]).pictures.model_fields_set) == {"sr", "camera"}
    assert subscriber.states == ["online"]
    assert wait_until(lambda: sink.counters()["outbox"] == 0)
    sink.stop(5.0)
    assert wait_until(lambda: subscriber.states == ["online", "offline"])
    late = subscribe(broker)  # a state is retained: whoever comes later sees it too
    assert wait_until(lambda: late.states == ["offline"])


def test_a_broker_that_is_away_is_said_before_there_is_anything_to_tell_it(make_broker, make_mqtt, wait_until) -> None:
    broker = make_broker()
    sink = make_mqtt(broker)
    assert wait_until(lambda: sink._sender._connected)
    assert sink.trouble == ""
    broker.kill()
    assert wait_until(lambda: sink.trouble.startswith(f"127.0.0.1:{broker.port}: "))
    broker.up()
    assert wait_until(lambda: sink.trouble == "")


def test_a_line_that_is_cut_off_is_said_to_be_offline_by_the_broker(
    make_broker, make_mqtt, subscribe, wait_until
) -> None:
    broker = make_broker()
    subscriber = subscribe(broker)
    sink = make_mqtt(broker)
    assert wait_until(lambda: subscriber.states == ["online"])
    client = sink._delivery._sender._client
    client.on_disconnect = None
    client._reconnect_on_failure = False
    client.socket().shutdown(2)  # as a killed process leaves it: no farewell
    assert wait_until(lambda: subscriber.states == ["online", "offline"])


def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    make_broker, make_mqtt, subscribe, make_result, wait_until, tmp_path
) -> None:
    place, kept = f"persistence_location {tmp_path}/", tmp_path / "mosquitto.db"
    broker = make_broker(f"allow_anonymous true\npersistence true\n{place}\nautosave_interval 1")
    subscriber = subscribe(broker)
    sink = make_mqtt(broker)
    feed(sink, make_result, 10)
    assert wait_until(lambda: len(subscriber.frames) == 10)
    begin = time.time()
    assert wait_until(lambda: kept.exists() and kept.stat().st_mtime > begin)  # the subscription, before it is killed
    broker.kill()
    assert wait_until(lambda: not subscriber.ready)
    feed(sink, make_result, 20, begin=10)
    assert wait_until(lambda: sink.counters()["outbox"] == 20)
    assert wait_until(lambda: sink.trouble)
    broker.up()
    assert wait_until(lambda: subscriber.ready)
    assert wait_until(lambda: sink.counters()["outbox"] == 0)
    assert wait_until(lambda: len(subscriber.frames) == 30)
    assert subscriber.frames == list(range(30))
    assert len({event["id"] for event in subscriber.events}) == 30
    assert sink.counters()["lost"] == 0
    assert sink.trouble == ""


def test_an_event_counts_only_when_it_is_acknowledged(
    make_broker, make_mqtt, subscribe, make_result, wait_until
) -> None:
    """The broker is frozen: it takes bytes but acknowledges nothing."""
    broker = make_broker()
    subscriber = subscribe(broker)
    sink = make_mqtt(broker)
    feed(sink, make_result, 1)
    assert wait_until(lambda: sink.counters()["sent"] == 1)
    subprocess.run(["kill", "-STOP", str(broker.process.pid)], check=True)
    feed(sink, make_result, 3, begin=1)
    assert wait_until(lambda: "no PUBACK in time" in sink.trouble)
    assert sink.counters()["sent"] == 1
    assert sink.counters()["outbox"] == 3
    subprocess.run(["kill", "-CONT", str(broker.process.pid)], check=True)
    assert wait_until(lambda: sink.counters()["outbox"] == 0)
    assert wait_until(lambda: len(subscriber.events) == 4)
    assert subscriber.frames == [0, 1, 2, 3], "and though it was tried again, there is one copy of each"


def test_a_broker_that_never_acknowledges_does_not_fill_the_memory(silent_broker, wait_until) -> None:
    """An outbox that drops events for room asks for one after the other; each would stay in paho's queue, whole."""
    entry = {"url": silent_broker.url, "topic": "line/cam1", "timeout": "50ms"}
    sender = Mqtt(SinkConfig.model_validate({"mqtt": entry}).mqtt)
    sender.start()
    assert wait_until(lambda: sender._connected)
    outcomes = [sender.send(Parcel(str(number), '{"pictures": {}}', {})) for number in range(12)]
    assert {outcome.kind for outcome in outcomes} == {"later"}
    assert "no PUBACK in time" in outcomes[0].why
    assert "no PUBACK for the last 4 events" in outcomes[-1].why
    assert len(sender._client._out_messages) <= 5, "four events, and the line's state"
    sender.stop(0.1)


def test_a_broker_that_refuses_an_event_is_believed(
    make_broker, make_mqtt, make_result, wait_until, outbox, tmp_path
) -> None:
    (tmp_path / "rights").write_text("topic read line/#\ntopic write line/cam1/status\n")
    broker = make_broker(f"allow_anonymous true\nacl_file {tmp_path / 'rights'}")
    sink = make_mqtt(broker, tries=1)
    feed(sink, make_result, 1)
    assert wait_until(lambda: sink.counters()["dead"] == 1)
    assert "Not authorized" in outbox.dead_letters()[0].reason


def test_an_event_larger_than_the_broker_takes_is_a_dead_letter_and_the_next_goes_on(
    make_broker, make_mqtt, make_result, wait_until, outbox, subscribe
) -> None:
    broker = make_broker("allow_anonymous true\nmax_packet_size 20000")
    subscriber = subscribe(broker)
    sink = make_mqtt(broker, tries=1)
    sink.accept(make_result(0, size=200))
    feed(sink, make_result, 1, begin=1)
    assert wait_until(lambda: subscriber.frames == [1])
    assert "takes 20,000 bytes" in outbox.dead_letters()[0].reason


def test_user_and_password_come_from_the_environment(
    make_broker, make_mqtt, make_result, wait_until, tmp_path, monkeypatch
) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "line", "hunter2hunter2"], check=True)
    broker = make_broker(f"allow_anonymous false\npassword_file {passwords}")
    monkeypatch.setenv("THE_USER", "line")
    monkeypatch.setenv("THE_PASSWORD", "wrong")
    names = {"username_env": "THE_USER", "password_env": "THE_PASSWORD"}
    wrong = make_mqtt(broker, topic="line/wrong", **names)
    feed(wrong, make_result, 1)
    assert wait_until(lambda: "the broker refuses: Not authorized" in wrong.trouble)
    monkeypatch.setenv("THE_PASSWORD", "hunter2hunter2")
    sink = make_mqtt(broker, **names)
    feed(sink, make_result, 1)
    assert wait_until(lambda: sink.counters()["sent"] == 1)
    assert "hunter2" not in repr(vars(sink)) + wrong.trouble


def test_a_broker_is_trusted_only_with_its_certificate(
    make_broker, make_mqtt, make_result, wait_until, tmp_path
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, stderr=subprocess.DEVNULL)
    broker = make_broker(f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}")
    url = broker.url.replace("mqtt:", "mqtts:")
    stranger = make_mqtt(broker, url=url, topic="line/stranger")
    feed(stranger, make_result, 1)
    assert wait_until(lambda: "no connection" in stranger.trouble)
    sink = make_mqtt(broker, url=url, ca=str(certificate))
    feed(sink, make_result, 1)
    assert wait_until(lambda: sink.counters()["sent"] == 1)
    assert stranger.counters()["sent"] == 0
