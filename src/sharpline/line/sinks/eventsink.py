"""A sink that sends events: chosen by its triggers, kept in the outbox, delivered from there."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

from sharpline.line.frame import Result
from sharpline.line.sinks.config import MqttConfig, WebhookConfig
from sharpline.line.sinks.delivery import Delivery, Sender
from sharpline.line.sinks.event import parcel_of
from sharpline.line.sinks.outbox import Outbox
from sharpline.line.sinks.outbox_entries import OutboxError
from sharpline.line.sinks.trigger import Occasion, Trigger

_WAITING = 8  # results, each with two pictures: what may wait for the encoder and the disk


class EventSink:
    """See :class:`sharpline.line.parts.Sink`. A thread here encodes events and puts them into the outbox."""

    def __init__(self, name: str, config: WebhookConfig | MqttConfig, outbox: Outbox, sender: Sender) -> None:
        outbox.claim(name)
        self._name, self._config, self._outbox = name, config, outbox
        self._trigger, self._sender = Trigger(config), sender
        self._delivery = Delivery(outbox, name, sender, config.tries)
        self._queue: deque[tuple[Result, Occasion]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._busy = False
        self._thread = threading.Thread(target=self._run, name=f"events {name}", daemon=True)
        self._events = self._lost = 0
        self._trouble = ""

    @property
    def name(self) -> str:
        """Kind and place."""
        return self._name

    @property
    def trouble(self) -> str:
        """What is wrong now, one line; empty when all is well."""
        return self._trouble or self._delivery.trouble or self._sender.trouble

    def start(self) -> None:
        """Begins to send, first what the outbox still holds."""
        self._delivery.start()
        self._thread.start()

    def accept(self, result: Result) -> None:
        """Takes a result if it is an event. Where the disk does not keep up, events are lost, counted and said."""
        with self._changed:
            occasion = None if self._closing else self._trigger(result)
            if occasion is None:
                return
            if len(self._queue) >= _WAITING:
                self._lose(f"{self._name}: the disk does not keep up")
                return
            self._queue.append((result, occasion))
            self._changed.notify_all()

    def stop(self, timeout: float = 5.0) -> None:
        """Puts what was accepted into the outbox, delivers what can be delivered in time; the rest stays there."""
        end = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._delivery.stop(max(0.0, end - time.monotonic()))

    def counters(self) -> Mapping[str, float]:
        """Events made, ``sent``, attempts that ``failed``, ``lost`` ones, and what waits where."""
        held = self._outbox.counts(self._name)
        return {
            "events": self._events,
            "sent": self._delivery.sent,
            "failed": self._delivery.failed,
            "lost": self._lost + held["dropped"],
            "queue": len(self._queue) + self._busy,
            "outbox": held["waiting"],
            "dead": held["dead"],
        }

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                result, occasion = self._queue.popleft()
                self._busy = True
            self._keep(result, occasion)

    def _keep(self, result: Result, occasion: Occasion) -> None:
        try:
            self._outbox.put(self._name, parcel_of(result, occasion, self._config.pictures))
        except OutboxError as error:
            self._lose(str(error))
        except Exception as error:  # one frame that cannot be described must not end the events
            self._lose(f"frame {result.frame.number} of {result.frame.source}: {type(error).__name__}: {error}")
        else:
            self._events += 1
            self._trouble = ""
            self._delivery.call()

    def _lose(self, why: str) -> None:
        self._lost += 1
        self._trouble = f"{why} ({self._lost} events lost)"
