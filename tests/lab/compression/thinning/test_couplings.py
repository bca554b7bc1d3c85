"""Which channels belong together, in networks that no family has; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sharpline.errors import ModelError, UsageError  # noqa: E402
from sharpline.lab.compression.thinning import ThinningConfig, cut, masked, plan  # noqa: E402
from sharpline.lab.networks.registry import Network, NetworkConfig, register  # noqa: E402


class TrialConfig(NetworkConfig):
    family: Literal["trial"] = "trial"
    form: str = "recursive"


class Trial(Network):
    """Four convolutions of eight channels, put together in the way that ``form`` says."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.one = nn.Conv2d(8, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.joined = nn.Conv2d(16, 8, 1)
        self.norm = nn.GroupNorm(2, 8)
        self.tail = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(FORMS[self.config.form](self, torch.relu(self.head(lr)))) + lr


register("trial", TrialConfig, derived=True)(Trial)


def recursive(net: Trial, x: Tensor) -> Tensor:
    for _ in range(3):
        x = F.relu(net.one(x))
    return x


def spatial_attention(net: Trial, x: Tensor) -> Tensor:
    return x * torch.sigmoid(net.one(x).amax(1, keepdim=True))


def shuffled(net: Trial, x: Tensor) -> Tensor:
    even, odd = net.one(x)[:, ::2], net.two(x)[:, 1::2]
    return torch.stack([even, odd], 2).flatten(1, 2) + x.roll(1, 1)


def fixed_split(net: Trial, x: Tensor) -> Tensor:
    first, rest = net.one(x).split([3, 5], 1)
    return torch.cat([rest, first], 1)


FORMS: dict[str, Callable[[Trial, Tensor], Tensor]] = {
    "recursive": recursive,
    "depthwise": lambda net, x: net.two(F.gelu(net.depthwise(net.one(x)))),
    "grouped": lambda net, x: net.grouped(net.one(x)),
    "spatial attention": spatial_attention,
    "squeeze": lambda net, x: x * F.adaptive_avg_pool2d(net.one(x), 1).sigmoid(),
    "up and down": lambda net, x: net.one(F.pixel_unshuffle(F.pixel_shuffle(net.one(x), 2), 2)),
    "shuffled": shuffled,
    "parameter": lambda net, x: net.two(net.one(x) * net.scale),
    "twice the same": lambda net, x: net.joined(torch.cat([x, F.avg_pool2d(x, 3, 1, 1)], 1)),
    "in place": lambda net, x: net.two(net.one(x).relu_().add_(1)),
    "constant": lambda net, x: net.two(torch.cat([net.one(x), torch.ones_like(x)], 1)[:, :8]),
    "channel mean": lambda net, x: net.one(x) - net.one(x).mean(1, keepdim=True),
    "norm": lambda net, x: net.norm(net.one(x)),
    "softmax": lambda net, x: net.one(x).softmax(1),
    "fixed split": fixed_split,
}


def trial(form: str) -> Trial:
    torch.manual_seed(0)
    return Trial(TrialConfig(form=form, scale=1)).eval()


def outputs(net: Trial) -> dict[str, int]:
    """What is left of the outputs of the layers that have a part, at half."""
    return {name: layer.after[1] for name, layer in plan(net, ThinningConfig(layers={"*": 0.5})).layers.items()}


@pytest.mark.parametrize(
    ("form", "left"),
    [
        ("recursive", {"head": 4, "one": 4, "tail": 3}),
        ("depthwise", {"head": 4, "one": 4, "depthwise": 4, "two": 4, "tail": 3}),
        ("grouped", {"head": 4, "one": 8}),  # all channels of a group are needed
        ("spatial attention", {"head": 4, "one": 8, "tail": 3}),  # a maximum over all channels
        ("squeeze", {"head": 4, "one": 4, "tail": 3}),
        ("up and down", {"head": 4, "one": 4, "tail": 3}),
        ("parameter", {"head": 4, "one": 8, "two": 4, "tail": 3}),  # channels that a bare parameter counts
        ("twice the same", {"head": 4, "joined": 4, "tail": 3}),
        ("in place", {"head": 4, "one": 4, "two": 4, "tail": 3}),
        ("channel mean", {"head": 4, "one": 8}),
    ],
)
@torch.no_grad()
def test_what_belongs_together_goes_together(form: str, left: dict[str, int]) -> None:
    net, lr = trial(form), torch.rand(1, 3, 8, 8)
    assert outputs(net) == left
    cuts = plan(net, ThinningConfig(layers={"*": 0.5}))
    torch.testing.assert_close(cut(net, cuts)(lr), masked(net, cuts)(lr), rtol=0, atol=1e-6)


@torch.no_grad()
def test_channels_that_are_reordered_are_followed() -> None:
    """one's even and two's odd channels are interleaved and added to head's, moved on by one."""
    net, lr = trial("shuffled"), torch.rand(1, 3, 8, 8)
    with pytest.raises(ModelError, match="numbers of channels"):  # [::2] of what is left are other channels
        cut(net, plan(net, ThinningConfig(layers={"*": 0.5})))
    zeroed = masked(net, plan(net, ThinningConfig(layers={"*": 0.5})))
    features = torch.relu(zeroed.head(lr))
    joined = shuffled(zeroed, features)
    assert int((joined.abs().amax((0, 2, 3)) == 0).sum()) == 4
    assert bool(((zeroed.tail.weight.abs().amax((0, 2, 3)) == 0) == (joined.abs().amax((0, 2, 3)) == 0)).all())


@pytest.mark.parametrize(("form", "operation"), [("norm", "group_norm"), ("softmax", "softmax")])
def test_an_unknown_operation_is_refused_by_its_name(form: str, operation: str) -> None:
    with pytest.raises(UsageError, match=f"^thinning does not know the operation '{operation}', .* family trial uses$"):
        plan(trial(form), ThinningConfig(layers={"*": 0.5}))


def test_a_family_that_counts_channels_by_itself_is_found_out() -> None:
    net = trial("fixed split")
    with pytest.raises(ModelError, match="numbers of channels from its layers") as refusal:
        cut(net, plan(net, ThinningConfig(layers={"*": 0.5})))
    assert "\n" not in str(refusal.value)


def test_looking_leaves_the_network_as_it_was() -> None:
    net = trial("depthwise").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    plan(net, ThinningConfig(layers={"*": 0.5}))
    assert net.training
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
