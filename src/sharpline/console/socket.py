"""One browser. It gets a picture, says when it has drawn it, and only then gets the next: always the newest.

A slow browser therefore costs nothing: nothing waits for it but the fact that it waits.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from sharpline.console import pictures
from sharpline.console.hub import BROWSERS, Hub
from sharpline.console.messages import LONGEST_MESSAGE, Ack, Acknowledge, Hold, Live, Part, View, packed, understood
from sharpline.console.pair import facts
from sharpline.console.status import age, source_status
from sharpline.line.frame import Result

STATUS_EVERY = 0.5  # seconds
FULL, NOT_UNDERSTOOD = 4503, 4400  # close codes that the page knows
_HEAT_EVERY = 0.5  # seconds: the map costs more than the picture


@dataclass
class _Sent:
    """What the browser has of one source."""

    result: object = None
    pixels: object = None
    loupe: object = None
    heat: object = None


class Browser:
    """The conversation with one browser.

    Args:
        socket: Accepted already.
        hub: What the browsers share.
    """

    def __init__(self, socket: WebSocket, hub: Hub) -> None:
        self.held: Result | None = None
        self.frozen = False
        self._socket, self._hub, self._feed = socket, hub, hub.feed
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._view = View(type="view", sources=[])
        self._ends: list[Callable[[], None]] = []
        self._sent: dict[str, _Sent] = {}
        self._turn = 0
        self._n = 0
        self._awaited: tuple[int, str, float] | None = None  # picture that is not acknowledged: n, source, clock
        self._recent: deque[tuple[int, weakref.ref[Result]]] = deque(maxlen=4)
        self._drawn: deque[tuple[float, float]] = deque(maxlen=100)  # when, latency

    async def talk(self) -> None:
        """Serves the browser until it goes."""
        name = self._hub.enter(self)
        if name is None:
            reason = f"all {BROWSERS} places are taken; close the page in another browser"
            await self._socket.close(FULL, reason)
            return
        try:
            await self._socket.send_text(self._hub.hello(name))
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send())
                await self._listen()
                sending.cancel()
        except* (WebSocketDisconnect, RuntimeError):  # starlette's word for a socket that closed under a send
            pass
        finally:
            self._hub.leave(name)
            self.held = None
            self._unsubscribe()

    async def _listen(self) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
                if len(text) > LONGEST_MESSAGE:
                    raise ValueError("too long")
                said = understood(text)
            except WebSocketDisconnect:
                return
            except (ValidationError, ValueError, KeyError):  # KeyError: starlette's word for bytes instead of text
                await self._socket.close(NOT_UNDERSTOOD, "not understood")
                return
            await self._take(said)
            self._wake.set()

    async def _take(self, said: View | Ack | Hold | Live | Acknowledge) -> None:
        match said:
            case View():
                self._look(said)
            case Ack():
                self._acknowledged(said)
            case Hold():
                await self._hold(said)
            case Live():
                self.held, self.frozen = None, False
            case Acknowledge():
                await asyncio.to_thread(self._feed.acknowledge, said.alarm)

    def _look(self, view: View) -> None:
        known = set(self._feed.names)
        sources = [name for name in dict.fromkeys(view.sources) if name in known]
        if sources != self._view.sources:
            self._unsubscribe()
            self._sent.clear()
            self.held, self.frozen = None, False
            self._ends = [self._feed.subscribe(name, self._rouse) for name in sources]
        self._view = view.model_copy(update={"sources": sources})

    def _rouse(self) -> None:
        """Called in the feed's threads."""
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the server has ended meanwhile
            return

    def _unsubscribe(self) -> None:
        for end in self._ends:
            end()
        self._ends = []

    def _acknowledged(self, ack: Ack) -> None:
        if self._awaited is None or self._awaited[0] != ack.n:
            return
        _, source, clock = self._awaited
        self._awaited = None
        now = time.monotonic()
        if ack.drawn and clock:
            self._drawn.append((now, now - clock))
            self._feed.shown(source, now - clock)

    async def _hold(self, hold: Hold) -> None:
        found = next((kept() for n, kept in self._recent if n == hold.n), None)
        if found is None and len(self._view.sources) == 1:  # forgotten already: the newest is frozen, and shown
            found = self._feed.latest(self._view.sources[0])
        answer: dict[str, Any] = {"type": "held", "freeze": hold.freeze, "n": hold.n}
        if found is None or not self._hub.may_hold(self):
            answer["refused"] = "too many pictures are frozen in other browsers" if found else "no picture yet"
        else:
            self.held, self.frozen = found, hold.freeze or self.frozen
            answer |= {"source": found.frame.source, "number": found.frame.number}
        await self._socket.send_text(json.dumps(answer))

    async def _send(self) -> None:
        due = 0.0
        while True:
            now = time.monotonic()
            if now >= due:
                await self._socket.send_text(json.dumps(self._status(now)))
                due = now + STATUS_EVERY
            if self._awaited is None and (message := await self._picture()) is not None:
                await self._socket.send_bytes(message)
                continue
            try:
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    def _status(self, now: float) -> dict[str, Any]:
        latencies = sorted(latency for when, latency in self._drawn if now - when < 10)
        shown = [when for when, _ in self._drawn if now - when < 4]
        common = self._hub.status()
        sources: Any = common["sources"] or {name: source_status(self._feed, name) for name in self._view.sources}
        screen = {
            "rate": round((len(shown) - 1) / (shown[-1] - shown[0]), 1) if len(shown) > 2 else None,
            "latency": round(statistics.median(latencies), 3) if latencies else None,
            "latency_95": round(latencies[math.ceil(0.95 * len(latencies)) - 1], 3) if latencies else None,
        }
        return common | {"sources": sources, "screen": screen}

    async def _picture(self) -> bytes | None:
        """The next picture message: of the source whose turn it is and that has something new."""
        sources = self._view.sources
        for step in range(len(sources)):
            name = sources[(self._turn + step) % len(sources)]
            async with self._hub.rendering:
                frozen = self.frozen
                result = self.held if frozen else self._feed.latest(name)
                if result is None:
                    continue
                view, sent = self._view, self._sent.setdefault(name, _Sent())
                fresh = sent.result is not result
                parts = await self._parts(result, view, sent, frozen)
            if fresh or parts:
                sent.result = result
                self._turn += step + 1
                return self._message(name, result, parts, frozen)
        return None

    async def _parts(self, result: Result, view: View, sent: _Sent, frozen: bool) -> list[Part]:
        """What this browser has not got yet of a result; made once for all browsers that need the same."""
        frame, made, quality = result.frame, self._hub.shelf.made, self._hub.quality
        which = (frame.source, frame.number, frame.clock, result.method)
        parts: list[Part] = []
        k = pictures.reduction(result.scale, result.sr.shape[1], view.width)
        pixels = (which, k, view.camera, view.enlarged)
        if pixels != sent.pixels:
            wanted = [made(("sr", which, k), partial(pictures.upscaled, result, k, quality))]
            if view.camera:
                enlarge = partial(pictures.camera, result, k, quality if view.enlarged else None)
                wanted.append(made(("camera", which, k, view.enlarged), enlarge))
            parts += await asyncio.gather(*wanted)
            sent.pixels = pixels
        loupe = (which, view.loupe)
        if view.loupe and loupe != sent.loupe:
            parts += await made(("loupe", *loupe), partial(pictures.loupe, result, view.loupe))
        sent.loupe = loupe
        moment = which if frozen or self._feed.stale_after is None else int(frame.clock / _HEAT_EVERY)
        heat = ("heat", frame.source, moment)
        if view.heat and heat != sent.heat:
            parts.append(await made(heat, partial(pictures.heat, result)))
        sent.heat = heat if view.heat else None
        return parts

    def _message(self, name: str, result: Result, parts: list[Part], frozen: bool) -> bytes:
        self._n += 1
        stale = self._feed.stale_after is None or time.monotonic() - result.frame.clock > self._feed.stale_after
        new = any(part.kind == "sr" for part in parts) and not frozen and not stale  # an old picture is no latency
        self._awaited = (self._n, name, result.frame.clock if new else 0.0)
        self._hub.remember(result)
        self._recent.append((self._n, weakref.ref(result)))
        still = self._feed.stale_after is None
        header = {
            "n": self._n,
            "age": None if still else age(result, time.monotonic()),
            "frozen": frozen,
            **facts(result),
        }
        return packed(header, parts)
