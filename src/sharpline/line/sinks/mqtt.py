"""Sends events to an MQTT broker. What counts is the broker's PUBACK; what waits, waits in our outbox."""

from __future__ import annotations

import os
import secrets
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from sharpline.errors import UsageError
from sharpline.line.sinks.config import MqttConfig
from sharpline.line.sinks.delivery import Outcome
from sharpline.line.sinks.event import Parcel

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
    from paho.mqtt.reasoncodes import ReasonCode
except ImportError as missing:
    raise UsageError("MQTT needs a package that is not installed: pip install 'sharpline[line]'") from missing

_KEEPALIVE = 15  # seconds: a broker that is silent for 1.5 times this is gone
_RECONNECT = (1, 10)  # seconds: first and longest pause of paho's reconnecting
_OVERHEAD = 200  # bytes of a packet beside topic and payload, at most
_OPEN = 4  # events that paho holds without a PUBACK; each is whole in memory until then
_UNASKED = "the broker has not answered yet"
_MOST = 268_435_455  # bytes: MQTT's own limit of a packet
_PASSING = {0x80, 0x83, 0x97}  # unspecified, implementation specific, quota exceeded: may be otherwise later


class Mqtt:
    """A :class:`sharpline.line.sinks.delivery.Sender`.

    One event is on the way at a time. If the connection breaks before its PUBACK, paho itself sends it again after
    reconnecting, and a further ``send`` of the same event waits for that PUBACK instead of publishing a copy.
    """

    def __init__(self, config: MqttConfig) -> None:
        """Prepares the client; nothing is connected.

        Raises:
            UsageError: A variable is not set, or the certificates cannot be read.
        """
        parts = urlsplit(config.url)
        self._config, self._host = config, parts.hostname or ""
        self._port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        self._status = f"{config.topic}/status"
        self._changed = threading.Condition()
        self._connected = False
        self._why = _UNASKED
        self._largest = _MOST
        self._pending: tuple[str, int] | None = None  # id of the event on the way, and paho's number for it
        self._answers: dict[int, ReasonCode] = {}
        self._open: set[int] = set()  # numbers of events without an answer; those before the last were dropped since
        self._started = False
        self._client = self._made(parts.scheme == "mqtts")

    def _made(self, encrypted: bool) -> paho.Client:
        five = self._config.protocol == 5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"sharpline-{secrets.token_hex(6)}",
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        )
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail, client.on_publish = self._on_connect_fail, self._on_publish
        client.reconnect_delay_set(*_RECONNECT)
        client.connect_timeout = min(5.0, self._config.timeout)
        client.will_set(self._status, "offline", qos=1, retain=True)
        if self._config.username_env is not None:
            password = None if self._config.password_env is None else _variable(self._config.password_env)
            client.username_pw_set(_variable(self._config.username_env), password)
        if encrypted:
            try:
                client.tls_set(ca_certs=None if self._config.ca is None else str(self._config.ca))
            except (OSError, ValueError) as error:
                raise UsageError(f"{self._config.ca}: cannot be used as certificates ({error})") from None
        return client

    def start(self) -> None:
        """Begins to connect, and to reconnect for ever, in a thread of paho's."""
        self._client.connect_async(self._host, self._port, _KEEPALIVE)
        self._client.loop_start()
        self._started = True

    def send(self, parcel: Parcel) -> Outcome:
        """Delivered when the broker has acknowledged it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._connected, timeout=1.0):
                return Outcome("later", f"{self._place}: {self._why}")
        if self._pending is None or self._pending[0] != parcel.id:
            body = parcel.body()
            if len(body) + len(self._config.topic.encode()) + _OVERHEAD > self._largest:
                return Outcome("refused", f"{self._place}: takes {self._largest:,} bytes, the event has {len(body):,}")
            with self._changed:
                self._open -= self._answers.keys()
                self._answers.clear()  # paho's numbers come again
            if len(self._open) >= _OPEN:  # it takes events and says nothing, and the outbox has dropped them for room
                return Outcome("later", f"{self._place}: no PUBACK for the last {_OPEN} events")
            self._pending = (parcel.id, self._client.publish(self._config.topic, body, qos=1).mid)
            self._open.add(self._pending[1])
        return self._acknowledged(self._pending[1])

    def _acknowledged(self, number: int) -> Outcome:
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: number in self._answers or not self._connected, timeout=self._config.timeout
            )
            code = self._answers.get(number)
            if code is None:
                return Outcome("later", f"{self._place}: {self._why if arrived else 'no PUBACK in time'}")
        self._pending = None
        if not code.is_failure:
            return Outcome("delivered")
        return Outcome("later" if code.value in _PASSING else "refused", f"{self._place}: the broker says '{code}'")

    def stop(self, timeout: float) -> None:
        """Says ``offline`` and disconnects; does not wait longer for a broker that is silent."""
        if not self._started:
            return
        self._started = False
        end = time.monotonic() + timeout
        if self._connected:
            with suppress(RuntimeError, ValueError):  # paho's words for a connection that has just gone
                self._client.publish(self._status, "offline", qos=1, retain=True).wait_for_publish(timeout)
        self._client.disconnect()
        with self._changed:
            # paho's thread is a daemon and ends by itself: its loop_stop() would wait for a frozen broker.
            self._changed.wait_for(lambda: not self._connected, timeout=max(0.0, end - time.monotonic()))

    @property
    def trouble(self) -> str:
        """A broker that is away is known before there is anything to tell it."""
        away = self._started and not self._connected and self._why != _UNASKED
        return f"{self._place}: {self._why}" if away else ""

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._port}"

    def _tell(self, *, connected: bool, why: str) -> None:
        with self._changed:
            self._connected, self._why = connected, why
            self._changed.notify_all()

    def _on_connect(self, client: paho.Client, _: Any, __: Any, code: ReasonCode, properties: Any) -> None:
        if code.is_failure:
            self._tell(connected=False, why=f"the broker refuses: {code}")
            return
        self._largest = min(_MOST, getattr(properties, "MaximumPacketSize", _MOST))
        client.publish(self._status, "online", qos=1, retain=True)
        self._tell(connected=True, why="")

    def _on_disconnect(self, _: Any, __: Any, ___: Any, code: ReasonCode, ____: Any) -> None:
        if self._connected:  # else it follows a refusal, which says more
            self._tell(connected=False, why=f"the connection was lost ({code})")

    def _on_connect_fail(self, _: Any, __: Any) -> None:
        self._tell(connected=False, why="no connection; is the broker running?")

    def _on_publish(self, _: Any, __: Any, number: int, code: ReasonCode, ___: Any) -> None:
        with self._changed:
            self._answers[number] = code
            self._changed.notify_all()


def _variable(name: str) -> str:
    text = os.environ.get(name, "")
    if not text:
        raise UsageError(f"the environment variable {name} is not set: it is to hold what the broker asks for")
    return text
