"""The last step of a chain: integers, of a plain stack by its own form, of every other family by its traced graph."""

from __future__ import annotations

from pathlib import Path

import onnx

from sharpline.errors import UsageError
from sharpline.lab.boards.onnx_file import write_model
from sharpline.lab.compression.auto import bits_for
from sharpline.lab.compression.bench import Bench, Outcome, pairs, saved, trained
from sharpline.lab.compression.quantization import (
    QuantizationConfig,
    bits_of,
    calibrate,
    calibration_pictures,
    quantize,
    quantize_traced,
)
from sharpline.lab.compression.quantization.calibration import Calibration, Pixels
from sharpline.lab.compression.quantization.stack import is_plain_stack, plain_stack_of
from sharpline.lab.compression.quantization.traced import check_traced
from sharpline.lab.compression.recipe import Chain, Quantize
from sharpline.lab.compression.sensitivity import bits_points, score
from sharpline.lab.networks import Network
from sharpline.lab.networks.fake_quant import Bits
from sharpline.lab.training.checkpoint import load_network


def check_quantize(chain: Chain, step: Quantize, net: Network, data: Path) -> None:
    """Find what cannot work, as :func:`~sharpline.lab.compression.steps.check`."""
    if is_plain_stack(net):
        bits_of(plain_stack_of(net).names, step.quantization)
    else:
        check_traced(step.quantization)
        if step.steps or step.bits:
            raise UsageError(
                f"quantize: networks of the family {net.config.family} have 8 bits and learn none of them: "
                "leave 'steps' and 'bits' out; the step before may train"
            )
    calibration_pictures(_folder(chain, step, data), net.config.scale, net.config.colour, count=1)


def take_quantize(chain: Chain, step: Quantize, before: Path, bench: Bench) -> Outcome:
    """Do the step, as :func:`~sharpline.lab.compression.steps.take`."""
    net = load_network(before)[0]
    bench.tell("calibrating", None)
    pictures = calibration_pictures(_folder(chain, step, bench.data), net.config.scale, net.config.colour)
    if is_plain_stack(net):
        return _integers(chain, step, net, pictures, bench)
    model, _, agreement = quantize_traced(bench.model, pictures, step.quantization, chain.name)
    write_model(model, bench.folder / "network.onnx")
    count = sum(
        tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4 for tensor in model.graph.initializer
    )
    note = (
        f"{count} convolutions in integers, W7A8, all else in floats; {agreement:.2f} dB against the floats on "
        f"{len(pictures)} calibration pictures"
    )
    return Outcome(saved(net, bench), [note], bench.folder / "network.onnx")


def _integers(chain: Chain, step: Quantize, net: Network, pictures: list[Pixels], bench: Bench) -> Outcome:
    """The integer form of a plain stack, trained on if the step says so."""
    names, seen = plain_stack_of(net).names, calibrate(net, pictures)
    config, notes = _chosen_bits(chain, step, net, seen, bench) if step.bits else (step.quantization, [])
    simulation = quantize(net, config, seen)
    checkpoint = saved(simulation, bench, "start" if step.steps else "network")
    if step.steps:
        checkpoint = saved(load_network(trained(chain, step, checkpoint, bench))[0], bench)
    bits = ", ".join(f"{name} W{w}A{a}" for name, (w, a) in zip(names, bits_of(names, config), strict=True))
    return Outcome(checkpoint, [bits, *notes])


def _chosen_bits(
    chain: Chain, step: Quantize, net: Network, seen: Calibration, bench: Bench
) -> tuple[QuantizationConfig, list[str]]:
    """Fewer bits where that costs least; the first and the last layer keep 8."""
    bench.tell("measuring what each layer minds", None)
    measured_on = pairs(chain, net, bench)
    inner = plain_stack_of(net).names[1:-1]
    assert step.candidates is not None  # the recipe has checked it
    assert step.tolerance is not None
    points = list(bits_points(net, measured_on, seen, step.quantization, inner, step.candidates))
    eight = score(quantize(net, step.quantization, seen), measured_on)

    def loses(bits: dict[str, Bits]) -> float:
        return eight - score(quantize(net, step.quantization.with_weights(bits), seen), measured_on)

    bits, lost = bits_for(points, step.tolerance, loses)
    note = (
        f"bits chosen by what {len(inner)} layers mind: {lost:.3f} dB less than with 8 bits everywhere, on "
        f"{len(measured_on)} pieces of the validation pictures, before training; {step.tolerance:g} dB were allowed"
    )
    return step.quantization.with_weights(bits), [note]


def _folder(chain: Chain, step: Quantize, data: Path) -> Path:
    train_folder = chain.data.train if isinstance(chain.data.train, str) else chain.data.train[0]
    return data / (step.calibration or train_folder)
