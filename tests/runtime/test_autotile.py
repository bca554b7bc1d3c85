import math

from sharpline.runtime.autotile import _CANDIDATES, available_memory, fastest_tile, largest_area


def test_memory_of_this_machine_is_a_sensible_number():
    assert 2**20 < available_memory() < 2**50


def test_memory_is_the_least_of_machine_and_container(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert available_memory(proc=tmp_path, cgroup=tmp_path) == 4_096_000
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("3000000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1000000\n")
    assert available_memory(proc=tmp_path, cgroup=tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("1500000\n")
    (tmp_path / "memory.current").write_text("500000\n")
    assert available_memory(proc=tmp_path, cgroup=tmp_path) == 1_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(proc=tmp_path, cgroup=tmp_path) == 2_000_000


def test_no_information_is_no_limit(tmp_path):
    assert available_memory(proc=tmp_path, cgroup=tmp_path) == math.inf


def test_area_follows_the_memory():
    assert largest_area(1000, 10e6) == 5000
    assert largest_area(1000, math.inf) == 512 * 2**20 // 1000
    assert largest_area(10**9, 10e6) > 0


def test_a_flat_machine_takes_the_largest_tile():
    assert fastest_tile(lambda side: 1e-9 * side**2, 12, 10**9) == _CANDIDATES[-1] - 24


def test_a_small_cache_takes_a_smaller_tile():
    def seconds(side):
        return side**2 * (1e-9 if side <= 256 else 3e-9)

    assert fastest_tile(seconds, 12, 10**9) == 256 - 24


def test_a_slow_network_is_probed_little():
    probed = []

    def seconds(side):
        probed.append(side)
        return 1e-4 * side**2

    def sleepless_clock():
        return sum(1e-4 * side**2 for side in probed)

    import sharpline.runtime.autotile as autotile

    original = autotile.time.perf_counter
    autotile.time.perf_counter = sleepless_clock
    try:
        assert fastest_tile(seconds, 12, 300_000) > 0
    finally:
        autotile.time.perf_counter = original
    assert probed == [128, 128]


def test_a_halo_larger_than_every_candidate_still_gives_a_tile():
    assert fastest_tile(lambda side: 1.0, 2000, 10**6) >= 16


def test_little_memory_gives_a_small_tile():
    assert fastest_tile(lambda side: 1e-9 * side**2, 12, 100 * 100) <= 100
