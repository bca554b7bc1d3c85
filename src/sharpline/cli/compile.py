"""``sharpline compile``: an INT8 model as machine code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from sharpline.cli.output import print_json, say, screen
from sharpline.compiler import compile_model
from sharpline.compiler.schedule import read_schedules, schedules_of, write_schedule
from sharpline.compiler.tuning import tune as tuned
from sharpline.errors import ModelError, UsageError
from sharpline.runtime.catalog import Model, open_model
from sharpline.runtime.integer import IntegerModel, network_digest
from sharpline.runtime.integer_graph import integer_model
from sharpline.runtime.libraries import library_of, list_of, write_libraries
from sharpline.runtime.processor import FEATURES, fitting_targets, known_target

EXAMPLE = "Example: sharpline compile runs/small/small.onnx --target native"


def compile_(
    model: Annotated[str, typer.Argument(help="INT8 model: name or .onnx file.", show_default=False)],
    target: Annotated[
        list[str] | None,
        typer.Option(help=f"native, all, or one of {', '.join(FEATURES)} (repeatable); default: native."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="The library (.so), or a folder; default: beside the model's file."
        ),
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Measure first how this processor does it fastest; kept beside the model.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was made for machines.")] = False,
) -> None:
    """Make the compiled variants of an INT8 network, which the engine 'compiled' runs.

    They are found where they lie beside the model's file with the list of libraries that is written with them.
    """
    found = open_model(model)
    targets = chosen(target or ["native"])
    if tune and not set(targets) <= set(fitting_targets()):
        raise UsageError("--tune measures, and only what this processor runs; leave it or --target out")
    integers = integers_of(found)
    file = Path(found.source)
    paths = places(file, targets, output)
    listed = list_of(paths[0].with_name(file.name))
    digest, made = network_digest(integers), []
    with Progress(
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=json or not screen.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)
        for name, path in zip(targets, paths, strict=True):
            begin = time.perf_counter()
            if tune:
                bar.update(task, description=f"measuring {found.card.name} for {name}")
                write_schedule(schedules_of(file), name, tuned(integers, name))
            bar.update(task, description=f"compiling {found.card.name} for {name}")
            schedule = read_schedules(schedules_of(file)).get(name)
            compile_model(integers, name, path, name=found.card.name, digest=digest, schedule=schedule)
            write_libraries(listed, digest, [(name, path)])
            made.append(Made(name, str(path), path.stat().st_size, round(time.perf_counter() - begin, 1)))
    if json:
        print_json(
            {"model": found.card.name, "network": digest, "list": str(listed), "libraries": [asdict(m) for m in made]}
        )
        return
    for library in made:
        say(f"{library.file}: {library.bytes / 1e3:.0f} KB in {library.seconds} s")
    say(f"{listed}: they are found by it, beside {file.name}")


@dataclass(frozen=True)
class Made:
    """A library that was made."""

    target: str
    file: str
    bytes: int
    seconds: float


def chosen(names: Sequence[str]) -> list[str]:
    """Targets by name, each once: ``native`` is the best for this processor.

    Raises:
        UsageError: an unknown one, or ``native`` where there is none.
    """
    targets: dict[str, None] = {}
    for name in names:
        if name == "native":
            fitting = fitting_targets()
            if not fitting:
                raise UsageError(f"no target is for this processor; name one of {', '.join(FEATURES)}")
            targets[fitting[0]] = None
        elif name == "all":
            targets.update(dict.fromkeys(FEATURES))
        else:
            targets[known_target(name)] = None
    return list(targets)


def integers_of(model: Model) -> IntegerModel:
    """The integer network of a model.

    Raises:
        ModelError: it is not an INT8 network of a form that can be compiled.
    """
    if model.graph is None:
        raise ModelError(f"{model.source} is no network: there is nothing to compile")
    if model.card.precision != "int8":
        raise ModelError(
            f"{model.source}: is {model.card.precision}, and only INT8 networks are compiled; "
            "sharpline compress makes one of its checkpoint (recipes/compress/)"
        )
    return integer_model(model.graph, model.source)


def places(model: Path, targets: Sequence[str], output: Path | None) -> list[Path]:
    """Where the library of each target goes.

    Raises:
        UsageError: one file for several targets.
    """
    if output is None:
        return [library_of(model, target) for target in targets]
    if output.suffix != ".so":
        output.mkdir(parents=True, exist_ok=True)
        return [library_of(output / model.name, target) for target in targets]
    if len(targets) > 1:
        raise UsageError(f"{output}: is one file, and there are {len(targets)} targets; name a folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    return [output]
