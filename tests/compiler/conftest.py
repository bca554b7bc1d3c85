from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from compiled_networks import MODELS, Library
from sharpline.compiler import compile_model
from sharpline.runtime.integer import IntegerModel, network_digest


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Callable[[str, str], tuple[IntegerModel, Path]]:
    """A network of ``MODELS`` and its library for a target."""
    pytest.importorskip("ziglang", reason="the compiler's package, ziglang, is not installed")

    @cache
    def compiled(name: str, target: str) -> tuple[IntegerModel, Path]:
        build, schedule = MODELS[name]
        model = build()
        path = tmp_path_factory.mktemp("library") / "library.so"
        compile_model(model, target, path, name=name, digest=network_digest(model), schedule=schedule)
        return model, path

    return compiled


@pytest.fixture(params=MODELS)
def network(request) -> str:
    return request.param


@pytest.fixture
def native(made, network) -> tuple[IntegerModel, Library]:
    """Every network for the processor that the tests can count on."""
    _needs_avx2()
    model, path = made(network, "x86-64-avx2")
    return model, Library(path)


@pytest.fixture
def small(made) -> tuple[IntegerModel, Library]:
    _needs_avx2()
    model, path = made("colour x2", "x86-64-avx2")
    return model, Library(path)


def _needs_avx2() -> None:
    from sharpline.runtime.processor import fitting_targets

    if "x86-64-avx2" not in fitting_targets():
        pytest.skip("this processor has no AVX2")
