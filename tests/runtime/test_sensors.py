"""What the system tells of energy and heat, from files as machines have them."""

import pytest

from sharpline.runtime.sensors import (
    Energy,
    Throttling,
    ask,
    board_power,
    device,
    governor,
    pmic_watts,
    tegrastats_watts,
    temperature,
)


def put(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def silent(command):
    return ""


def test_a_machine_that_tells_nothing(tmp_path):
    energy = Energy(tmp_path, silent)
    energy.start()
    assert energy.stop() is None
    assert energy.source == ""
    assert temperature(tmp_path) is None
    assert governor(tmp_path) == ""
    assert Throttling(tmp_path, silent).seen() is None
    assert "core" in device(tmp_path)
    assert ask(["no-such-tool-anywhere"]) == ""
    assert ask(["false"]) == ""


def test_the_board_s_name_clock_and_heat(tmp_path):
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "48312\n")
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", "61200\n")
    put(tmp_path, "sys/class/thermal/thermal_zone2/temp", "no number\n")
    assert device(tmp_path).startswith("Raspberry Pi 5 Model B Rev 1.0, ")
    assert governor(tmp_path) == "ondemand"
    assert temperature(tmp_path) == 61.2


def test_processors_count_their_energy(tmp_path):
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "9000000")
    put(tmp_path, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", "10000000")
    put(tmp_path, "sys/class/powercap/intel-rapl:0:0/energy_uj", "1")  # a part of the first: not counted twice
    energy = Energy(tmp_path, silent)
    energy.start()
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "9500000")
    assert energy.stop() == 0.5
    energy.start()
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "500000")  # it went round
    assert energy.stop() == 1.0
    assert energy.source == "RAPL"


def test_power_of_a_jetson(tmp_path):
    nano = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    put(tmp_path, f"{nano}/rail_name_0", "POM_5V_IN\n")
    put(tmp_path, f"{nano}/in_power0_input", "2500\n")
    name, watts = board_power(tmp_path, silent)
    assert (name, watts()) == ("INA sensor", 2.5)


def test_power_of_an_orin(tmp_path):
    orin = "sys/class/hwmon/hwmon3"
    put(tmp_path, f"{orin}/in2_label", "VDD_CPU_GPU_CV\n")
    put(tmp_path, f"{orin}/in1_label", "VDD_IN\n")
    put(tmp_path, f"{orin}/in1_input", "5000\n")
    put(tmp_path, f"{orin}/curr1_input", "1200\n")
    _, watts = board_power(tmp_path, silent)
    assert watts() == 6.0


def test_power_is_added_up_over_time(tmp_path, monkeypatch):
    clock = iter([0.0, 2.0])
    monkeypatch.setattr("sharpline.runtime.sensors.time.perf_counter", lambda: next(clock))
    tools = {"vcgencmd": "3V3_SYS_A current(2)=1.0A\n3V3_SYS_V volt(10)=3.0V\n"}
    energy = Energy(tmp_path, lambda command: tools.get(command[0], ""))
    monkeypatch.setattr(energy._stopping, "wait", lambda seconds: True)
    energy.start()
    assert energy.stop() == 6.0  # 3 W for 2 s
    assert energy.source == "vcgencmd pmic_read_adc"


def test_lines_that_tell_no_power():
    assert tegrastats_watts("RAM 1/2MB CPU [1%@102]") is None
    assert pmic_watts('error=1 error_msg="Command not registered"') is None


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [("0x0", "0x0", False), ("0x50000", "0x50000", False), ("0x0", "0x80000", True), ("0x0", "0x4", True)],
)
def test_throttling_of_a_pi(tmp_path, before, after, seen):
    answers = {"now": before}
    throttling = Throttling(tmp_path, lambda command: f"throttled={answers['now']}\n")
    answers["now"] = after
    assert throttling.seen() is seen


def test_throttling_of_a_processor(tmp_path):
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count"
    put(tmp_path, count, "7")
    throttling = Throttling(tmp_path, silent)
    assert throttling.seen() is False
    put(tmp_path, count, "9")
    assert throttling.seen() is True
