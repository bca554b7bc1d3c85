"""What is left to measurement: sensitivity, shares for each layer, a search for a budget."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data as pictures

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.compression.auto import bits_for, shares_for  # noqa: E402
from sharpline.lab.compression.pairs import Pair, middles  # noqa: E402
from sharpline.lab.compression.search import search  # noqa: E402
from sharpline.lab.compression.sensitivity import Point, sensitivity, write_csv, write_plot  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    Image.fromarray(pictures.astronaut()[100:164, 100:164]).save(tmp_path / "a.png")
    return middles(tmp_path, 2, 1, 24)


@pytest.fixture
def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return build({"family": "edge", "channels": 12, "depth": 2, "scale": 2})


def test_a_layer_that_does_nothing_loses_nothing(net: torch.nn.Module, pairs: list[Pair], tmp_path: Path) -> None:
    with torch.no_grad():
        net.tail.weight.zero_()  # then only the anchor is left, and nothing before the tail matters
    points = sensitivity(net, pairs, ["sparsity", "thinning"])
    assert {point.layer for point in points} == {"head", "body.0", "body.1", "tail"}
    assert all(point.drop == 0 for point in points)
    write_csv(tmp_path / "s.csv", points)
    write_plot(tmp_path / "s.png", points, "none")
    assert len(list(csv.DictReader((tmp_path / "s.csv").open()))) == len(points)
    assert Image.open(tmp_path / "s.png").width > 500


def test_points_say_what_is_saved(net: torch.nn.Module, pairs: list[Pair]) -> None:
    points = sensitivity(net, pairs)
    half = next(p for p in points if (p.layer, p.kind, p.amount) == ("body.0", "sparsity", 0.5))
    assert half.bits_saved == 12 * 12 * 9 * 32 // 2
    assert half.macs == net.macs_per_lr_pixel
    thinner = [p.macs for p in points if (p.layer, p.kind) == ("body.0", "thinning")]
    assert thinner == sorted(thinner, reverse=True)
    assert thinner[0] < net.macs_per_lr_pixel
    four = next(p for p in points if (p.layer, p.kind, p.amount) == ("body.1", "bits", 4))
    assert four.bits_saved == 12 * 12 * 9 * 4


def curve(layer: str, drops: list[float]) -> list[Point]:
    return [Point(layer, "sparsity", share, drop, 0, 0) for share, drop in zip((0.5, 0.9), drops, strict=True)]


@given(
    st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(10, 1000), st.floats(0, 3), st.floats(0, 3))),
    st.floats(0, 0.89),
)
def test_shares_add_up_to_the_total(layers: dict[str, tuple[int, float, float]], total: float) -> None:
    points = [p for name, (_, first, more) in layers.items() for p in curve(name, [first, first + more])]
    weights = {name: count for name, (count, _, _) in layers.items()}
    if not weights:
        return
    shares = shares_for(points, weights, total)
    zeros = sum(shares[name] * weights[name] for name in weights)
    assert zeros == pytest.approx(total * sum(weights.values()), abs=1)
    assert all(0 <= share <= 0.9 for share in shares.values())


def test_the_layer_that_minds_least_gives_most() -> None:
    points = [*curve("deaf", [0.01, 0.02]), *curve("tender", [1.0, 3.0])]
    shares = shares_for(points, {"deaf": 100, "tender": 100}, 0.5)
    assert shares == {"deaf": 0.9, "tender": 0.1}
    with pytest.raises(UsageError, match=r"more than the 0\.900"):
        shares_for(points, {"deaf": 100, "tender": 100}, 0.95)


def test_the_search_meets_the_budget(net: torch.nn.Module, pairs: list[Pair]) -> None:
    limit = 0.6 * net.macs_per_lr_pixel
    told = []
    thinned, shares = search(
        net, pairs, lambda n: n.macs_per_lr_pixel <= limit, multiple=4, tell=lambda widths, drop: told.append(widths)
    )
    assert thinned.macs_per_lr_pixel <= limit
    assert all(kernel.shape[0] % 4 == 0 for name, kernel in thinned.named_parameters() if name.endswith("weight"))
    assert told[-1]["head"] == round(12 * (1 - shares["head"]))
    assert shares["tail"] == 0


def test_a_budget_that_cannot_be_met(net: torch.nn.Module, pairs: list[Pair]) -> None:
    with pytest.raises(UsageError, match="cannot be met by thinning"):
        search(net, pairs, lambda n: False, multiple=4)


def bits(layer: str, four: float, two: float, saved: int = 100) -> list[Point]:
    return [Point(layer, "bits", 4, four, 0, 4 * saved), Point(layer, "bits", 2, two, 0, 6 * saved)]


def test_bits_go_where_they_cost_least() -> None:
    points = [*bits("deaf", 0.0, 0.01), *bits("tender", 0.04, 0.5), *bits("small", 0.04, 0.05, saved=1)]
    costs = {(p.layer, int(p.amount)): p.drop for p in points}
    chosen, lost = bits_for(points, 0.06, lambda given: sum(costs[item] for item in given.items()))
    assert chosen == {"deaf": 2, "tender": 4}
    assert lost == pytest.approx(0.05)
    assert bits_for(points, 0.0, lambda given: 0.0)[0] == {"deaf": 4}


@given(
    st.lists(st.tuples(st.floats(-0.05, 1), st.floats(-0.05, 1)), max_size=6),
    st.floats(0, 1),
    st.floats(0.5, 3),
)
def test_bits_lose_no_more_than_they_may(drops: list[tuple[float, float]], tolerance: float, worse: float) -> None:
    points = [point for number, pair in enumerate(drops) for point in bits(str(number), *pair)]
    costs = {(p.layer, int(p.amount)): p.drop for p in points}
    together = lambda given: worse * sum(costs[item] for item in given.items())  # noqa: E731  # not what adds up
    chosen, lost = bits_for(points, tolerance, together)
    assert lost <= tolerance
    assert lost == pytest.approx(together(chosen))


def test_networks_of_luma_mind_too(tmp_path: Path) -> None:
    Image.fromarray(pictures.astronaut()[100:164, 100:164]).save(tmp_path / "a.png")
    net = build({"family": "espcn", "scale": 2, "channels": 4, "inner": 4})
    assert len(sensitivity(net, middles(tmp_path, 2, 1, 24, "y"), ["sparsity"])) == 12
    assert {point.kind for point in sensitivity(net, middles(tmp_path, 2, 1, 24, "y"), ["bits"])} == {"bits"}
    other = build({"family": "srcnn", "scale": 2, "channels": 4, "inner": 4})
    with pytest.raises(UsageError, match="no plain stacks"):
        sensitivity(other, middles(tmp_path, 2, 1, 24, "y"), ["sparsity", "bits"])
