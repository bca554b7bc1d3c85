"""How many channels go and which, the table, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.compression.thinning import CutList, ThinningConfig, plan  # noqa: E402
from sharpline.lab.compression.thinning.planning import kept  # noqa: E402
from sharpline.lab.networks import Network, build  # noqa: E402


def espcn(**changes: int) -> Network:
    torch.manual_seed(0)
    return build({"family": "espcn", "channels": 8, "inner": 4, "scale": 2, **changes})


@given(channels=st.integers(1, 200), share=st.floats(0, 0.999), multiple=st.integers(1, 200))
def test_counts_are_the_nearest_multiple(channels: int, share: float, multiple: int) -> None:
    count = kept(channels, share, multiple)
    assert 1 <= count <= channels
    assert count % multiple == 0 or count == channels
    wanted = channels * (1 - share)
    nearest = list(range(multiple, channels + 1, multiple))
    assert all(abs(count - wanted) <= abs(n - wanted) + 1e-6 for n in nearest) or count == channels


def test_l1_takes_the_smallest_filters() -> None:
    net = espcn()
    with torch.no_grad():
        for channel, size in enumerate((3, 1, 4, 1.5, 9, 2, 6, 5)):
            net.layers[0].weight[channel] = size
    cuts = plan(net, ThinningConfig(layers={"layers.0": 0.5}))
    assert cuts.layers["layers.0"].outputs == cuts.layers["layers.1"].inputs == [2, 4, 6, 7]
    assert cuts.layers["layers.1"].outputs == [0, 1, 2, 3]


def test_geometric_median_takes_what_others_can_stand_for() -> None:
    net = espcn()
    with torch.no_grad():
        places = (5, 15, 25, 35, 45, 55, 65, 75)  # the median lies between 35 and 45, neither of which is small
        for channel, place in enumerate(places):
            net.layers[0].weight[channel] = place
    assert plan(net, ThinningConfig(layers={"layers.0": 0.25}, criterion="geometric-median")).layers[
        "layers.0"
    ].outputs == [0, 1, 2, 5, 6, 7]


def test_taylor_takes_what_the_loss_does_not_feel_however_large_it_is() -> None:
    net = espcn()
    with torch.no_grad():
        net.layers[0].weight[3:5] *= 10
        net.layers[1].weight[:, 3:5] = 0  # nobody listens
    batches = [(torch.rand(2, 1, 8, 8), torch.rand(2, 1, 16, 16)) for _ in range(2)]
    cuts = plan(net, ThinningConfig(layers={"layers.0": 0.25}, criterion="taylor"), batches)
    assert cuts.layers["layers.0"].outputs == [0, 1, 2, 5, 6, 7]
    assert all(p.grad is None for p in net.parameters())


def test_taylor_is_the_change_of_the_loss_to_first_order() -> None:
    from sharpline.lab.compression.thinning.couplings import couplings
    from sharpline.lab.compression.thinning.groups import bundles
    from sharpline.lab.compression.thinning.scores import average_contribution

    net = espcn().double()
    lr, hr = torch.rand(1, 1, 8, 8, dtype=torch.double), torch.rand(1, 1, 16, 16, dtype=torch.double)

    def loss() -> float:
        with torch.no_grad():
            return float((net(lr) - hr).abs().mean())

    bundle = bundles(couplings(net))[0]
    scores = average_contribution(net, [bundle], [(lr, hr)])[0]
    whole, little = loss(), 1e-5
    for channel in range(8):
        kernel, bias = net.layers[0].weight[channel].clone(), net.layers[0].bias[channel].clone()
        with torch.no_grad():
            net.layers[0].weight[channel] *= 1 - little
            net.layers[0].bias[channel] *= 1 - little
        slope = (loss() - whole) / little
        with torch.no_grad():
            net.layers[0].weight[channel], net.layers[0].bias[channel] = kernel, bias
        assert float(scores[channel]) == pytest.approx(slope**2, rel=1e-2, abs=1e-9)


@pytest.mark.parametrize("criterion", ["l1", "geometric-median"])
def test_channels_that_are_zero_go_first(criterion: str) -> None:
    net = espcn()
    with torch.no_grad():
        net.layers[0].weight += 10
        net.layers[0].weight[5] = 0  # as far from the others as can be
    cuts = plan(net, ThinningConfig(layers={"layers.0": 0.1}, criterion=criterion))
    assert cuts.layers["layers.0"].outputs == [0, 1, 2, 3, 4, 6, 7]


def test_coupled_layers_lose_as_much_as_the_most_careful_of_them() -> None:
    net = build({"family": "edsr", "channels": 8, "blocks": 2, "scale": 2})
    inner = plan(net, ThinningConfig(layers={"body.*": 0.5}))
    assert inner.widths == {f"body.{i}.{n}": w for i in (0, 1) for n, w in (("first", [8, 4]), ("second", [4, 8]))}
    trunk = plan(net, ThinningConfig(layers={"*.first": 0, "enlarge.*": 0, "head": 0.75, "*": 0.25}))
    assert trunk.widths["head"] == [3, 6]
    assert trunk.layers["head"].coupled == ["body.0.second", "body.1.second", "after"]


def test_a_pixel_shuffle_loses_whole_blocks() -> None:
    net = build({"family": "edsr", "channels": 8, "blocks": 1, "scale": 3})
    kept_rows = plan(net, ThinningConfig(layers={"enlarge.*": 0.5})).layers["enlarge.0"].outputs
    assert len(kept_rows) == 36
    assert all(set(range(9 * (row // 9), 9 * (row // 9) + 9)) <= set(kept_rows) for row in kept_rows)


def test_nothing_to_cut_is_said() -> None:
    cuts = plan(espcn(), ThinningConfig(layers={"*": 0}))
    assert not cuts
    assert str(cuts) == "nothing to cut"
    assert cuts == CutList({})


def test_the_table_says_what_goes_with_what() -> None:
    net = build({"family": "edsr", "channels": 8, "blocks": 4, "scale": 2})
    lines = str(plan(net, ThinningConfig(layers={"*": 0.5}))).splitlines()
    assert lines[0].split() == ["layer", "inputs", "outputs", "coupled", "with"]
    assert lines[1] == "head           3       8 -> 4    body.0.second, body.1.second, body.2.second and 2 more"
    assert lines[2].split() == ["body.0.first", "8", "->", "4", "8", "->", "4"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": {"layer.0": 0.5}}, r"thinning\.layers: 'layer\.0' is no layer of the network; .*'layers\.0'"),
        ({"layers": {"layers.0": 0.5, "layers.2": 0.5}}, r"'layers\.2' has only channels of the picture"),
        ({"layers": {"*": 0.5}, "multiple": 8}, r"multiple: 8 is larger than the 4 channels of layers\.1"),
        ({"layers": {"*": 0.5}, "criterion": "taylor"}, "taylor needs some batches"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        plan(espcn(), ThinningConfig(**settings))
    assert "\n" not in str(refusal.value)


def test_a_layer_may_be_left_out_of_the_rounding() -> None:
    cuts = plan(espcn(channels=20), ThinningConfig(layers={"layers.1": 0, "*": 0.5}, multiple=8))
    assert cuts.widths == {"layers.0": [1, 8], "layers.1": [8, 4]}


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_shares_are_below_one(share: float) -> None:
    with pytest.raises(ValidationError, match="not in 0 <= share < 1"):
        ThinningConfig(layers={"*": share})


def test_branches_are_refused() -> None:
    net = build({"family": "edge", "channels": 8, "depth": 1})
    with pytest.raises(UsageError, match="plain: true"):
        plan(net, ThinningConfig(layers={"*": 0.5}))
    assert plan(net.plain(), ThinningConfig(layers={"*": 0.5}))


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ({"layer.0": [1, 4]}, r"no layer 'layer\.0' .*'layers\.0'"),
        ({"layers.0": [1, 9]}, "1 -> 8 channels, which cannot become 1 -> 9"),
        ({"layers.0": [0, 4]}, "cannot become 0 -> 4"),
        ({"layers.0": [1]}, r"widths\.layers\.0"),
    ],
)
def test_widths_that_a_family_cannot_have(widths: dict[str, list[int]], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build({"family": "espcn", "channels": 8, "inner": 4, "widths": widths})
