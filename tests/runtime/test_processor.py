"""Which variants a processor gets."""

import pytest

from sharpline.errors import UsageError
from sharpline.runtime.processor import FEATURES, fitting_targets, known_target, processor_features, targets_of

HASWELL = set(FEATURES["x86-64-avx2"])
CASCADE_LAKE = set(FEATURES["x86-64-avx512vnni"])
ALDER_LAKE = HASWELL | {"avx_vnni"}


@pytest.mark.parametrize(
    ("features", "machine", "expected"),
    [
        (HASWELL, "x86_64", ["x86-64-avx2"]),
        (ALDER_LAKE, "x86_64", ["x86-64-avxvnni", "x86-64-avx2"]),
        (CASCADE_LAKE, "AMD64", ["x86-64-avx512vnni", "x86-64-avx2"]),
        (CASCADE_LAKE - {"avx512vl"}, "x86_64", ["x86-64-avx2"]),
        (HASWELL - {"avx2"}, "x86_64", []),
        ({"fp", "asimd", "asimddp"}, "aarch64", ["arm64-dotprod", "arm64-neon"]),
        ({"fp", "asimd"}, "aarch64", ["arm64-neon"]),
        (CASCADE_LAKE, "aarch64", []),
        ({"rv64"}, "riscv64", []),
    ],
)
def test_targets_by_features(features, machine, expected, monkeypatch):
    monkeypatch.delenv("SHARPLINE_TARGET", raising=False)
    assert fitting_targets(features, machine) == expected


def test_one_target_may_be_asked_for_and_is_taken_only_where_it_runs(monkeypatch):
    monkeypatch.setenv("SHARPLINE_TARGET", "x86-64-avx2")
    assert fitting_targets(CASCADE_LAKE, "x86_64") == ["x86-64-avx2"]
    monkeypatch.setenv("SHARPLINE_TARGET", "x86-64-avx512vnni")
    assert fitting_targets(HASWELL, "x86_64") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx2\nflags\t: no\n", {"fpu", "avx2"}),
        ("Features\t: fp asimd\n", {"fp", "asimd"}),
        ("bogus", set()),
    ],
)
def test_features_as_the_kernel_tells_them(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_features(tmp_path / "cpuinfo") == expected
    assert processor_features(tmp_path / "none") == frozenset()


def test_unknown_targets_name_the_nearest():
    assert known_target("arm64-neon") == "arm64-neon"
    with pytest.raises(UsageError, match=r"did you mean x86-64-avx512vnni\?"):
        known_target("x86-64-avx512")
    with pytest.raises(UsageError, match="use x86-64-avx512vnni, "):
        known_target("zzz")


def test_an_unknown_architecture_has_no_targets():
    assert targets_of("") == []
