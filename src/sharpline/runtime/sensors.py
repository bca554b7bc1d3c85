"""What the system tells of energy, heat and clocks, where it tells anything: Linux's files, Jetson's and Pi's tools."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sharpline.runtime.machine import machine

_PATIENCE = 5.0  # seconds for a tool's answer
_PERIOD = 0.25  # seconds between two readings of a power sensor
Ask = Callable[[list[str]], str]


def ask(command: list[str]) -> str:
    """What a tool prints; empty where there is no such tool, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def read(path: Path) -> str:
    """A system file's text; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    text = read(path)
    return float(text) if re.fullmatch(r"-?\d+", text) else None


def device(root: Path = Path("/")) -> str:
    """The board's name where the system knows it, and the processor.

    Args:
        root: of the file system, for tests.
    """
    board = read(root / "proc/device-tree/model")
    return f"{board}, {machine()}" if board else machine()


def governor(root: Path = Path("/")) -> str:
    """What decides the processor's clock, for example ``ondemand``; empty where it is not told."""
    return read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def temperature(root: Path = Path("/")) -> float | None:
    """The hottest thermal zone, degrees Celsius."""
    zones = [_number(path) for path in root.glob("sys/class/thermal/thermal_zone*/temp")]
    return max((value / 1000 for value in zones if value is not None), default=None)


class Throttling:
    """Whether the machine slowed down for heat, or for want of power, since this was made.

    Args:
        root: of the file system.
        asks: gives what a tool prints.
    """

    def __init__(self, root: Path = Path("/"), asks: Ask = ask) -> None:
        self._root, self._ask = root, asks
        self._before = self._count()

    def seen(self) -> bool | None:
        """None where the system does not tell."""
        now = self._flags()
        if now is not None:
            return now & 0xF != 0 or (self._flags_before is not None and now & ~self._flags_before != 0)
        count = self._count()
        return None if count is None or self._before is None else count > self._before

    def _count(self) -> float | None:
        """Of an Intel processor: how often it was."""
        self._flags_before = self._flags()
        counts = [_number(p) for p in self._root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def _flags(self) -> int | None:
        """Of a Raspberry Pi: bits 0 to 3 now, 16 to 19 at any time since it was started."""
        match = re.search(r"throttled=0x([0-9a-fA-F]+)", self._ask(["vcgencmd", "get_throttled"]))
        return int(match[1], 16) if match else None


def counters(root: Path = Path("/")) -> list[Path]:
    """Energy counters of processors (RAPL), in microjoules, that may be read."""
    found = sorted(root.glob("sys/class/powercap/intel-rapl:*/energy_uj"))
    return [path for path in found if path.parent.name.count(":") == 1 and _number(path) is not None]


def board_power(root: Path = Path("/"), asks: Ask = ask) -> tuple[str, Callable[[], float | None]] | None:
    """A sensor of the whole board's power: its name and a function that gives watts. None where there is none."""
    sensors: tuple[tuple[str, Callable[[], float | None]], ...] = (
        ("INA sensor", lambda: _hwmon_watts(root)),
        ("tegrastats", lambda: tegrastats_watts(_first_line(asks))),
        ("vcgencmd pmic_read_adc", lambda: pmic_watts(asks(["vcgencmd", "pmic_read_adc"]))),
    )
    for name, sensor in sensors:
        if sensor() is not None:
            return name, sensor
    return None


def _hwmon_watts(root: Path) -> float | None:
    """The board's input of an INA3221 (Jetson): Nano's own driver, or hwmon's volts and amperes."""
    for path in root.glob("sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"):
        if read(path).endswith("_IN"):
            milliwatts = _number(path.with_name(f"in_power{path.name[-1]}_input"))
            return None if milliwatts is None else milliwatts / 1000
    for label in root.glob("sys/class/hwmon/hwmon*/in*_label"):
        if read(label) in ("VDD_IN", "VIN_SYS_5V0"):
            number = label.name[2:-6]
            volts, amperes = (_number(label.with_name(f"{kind}{number}_input")) for kind in ("in", "curr"))
            return None if volts is None or amperes is None else volts * amperes / 1e6
    return None


def _first_line(asks: Ask) -> str:
    return asks(["timeout", "1", "tegrastats", "--interval", "200"]) or asks(["sh", "-c", "tegrastats | head -n 1"])


def tegrastats_watts(line: str) -> float | None:
    """The board's input in a line of ``tegrastats``.

    Example:
        >>> tegrastats_watts("RAM 1/2MB POM_5V_IN 2345/2345 POM_5V_GPU 40/40")
        2.345
    """
    match = re.search(r"\b(?:VDD_IN|POM_5V_IN|VIN_SYS_5V0) (\d+)(?:mW)?/", line)
    return int(match[1]) / 1000 if match else None


def pmic_watts(text: str) -> float | None:
    """All rails of a Raspberry Pi 5 as ``vcgencmd pmic_read_adc`` tells them: less than the board takes.

    Example:
        >>> pmic_watts("1V1_SYS_A current(1)=0.5A" + chr(10) + "1V1_SYS_V volt(9)=1.1V")
        0.55
    """
    found = dict(re.findall(r"(\w+_[AV]) (?:current|volt)\(\d+\)=([\d.]+)[AV]", text))
    rails = [name[:-2] for name in found if name.endswith("_A") and f"{name[:-2]}_V" in found]
    return sum(float(found[f"{rail}_A"]) * float(found[f"{rail}_V"]) for rail in rails) if rails else None


class Energy:
    """Adds up energy between ``start`` and ``stop``: the whole processor's or board's, whoever used it.

    Args:
        root: of the file system.
        asks: gives what a tool prints.

    Attributes:
        source: what tells it; empty: nothing does.
    """

    def __init__(self, root: Path = Path("/"), asks: Ask = ask) -> None:
        self._counters = counters(root)
        self._power = None if self._counters else board_power(root, asks)
        self.source = "RAPL" if self._counters else self._power[0] if self._power else ""
        self._before: list[float] = []
        self._joules = 0.0
        self._stopping = threading.Event()
        self._sampler: threading.Thread | None = None

    def start(self) -> None:
        """Begins to count."""
        self._joules = 0.0
        self._before = [_number(path) or 0.0 for path in self._counters]
        if self._power is not None:
            self._stopping.clear()
            self._sampler = threading.Thread(target=self._sample, args=(self._power[1],), daemon=True)
            self._sampler.start()

    def _sample(self, watts: Callable[[], float | None]) -> None:
        last = time.perf_counter()
        while True:
            ended = self._stopping.wait(_PERIOD)
            power, now = watts(), time.perf_counter()
            self._joules += (power or 0.0) * (now - last)
            last = now
            if ended:
                return

    def stop(self) -> float | None:
        """Joules since ``start``; None where nothing tells."""
        if self._sampler is not None:
            self._stopping.set()
            self._sampler.join()
            self._sampler = None
            return self._joules
        if not self._counters:
            return None
        total = 0.0
        for path, before in zip(self._counters, self._before, strict=True):
            taken = (_number(path) or 0.0) - before
            if taken < 0:  # it went round
                taken += _number(path.with_name("max_energy_range_uj")) or 0.0
            total += taken / 1e6
        return total
