"""``sharpline line``: a production line, from the camera to the operator and the fault detector."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sharpline.cli.output import print_json, results, say, screen
from sharpline.errors import UsageError

if TYPE_CHECKING:
    from sharpline.line.config import LineConfig, ViewConfig
    from sharpline.line.running import Line
    from sharpline.line.trying import Trial

EXAMPLE = "Example: sharpline line demo"

app = typer.Typer(
    help="Run a production line: cameras in, enlarged frames to the operator's page and the fault detector.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(metavar="LINE.yaml", help="Configuration of the line.", show_default=False)]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Tell more on standard error.")]
_PACKAGES = ("av", "fastapi", "paho", "prometheus_client", "uvicorn", "websockets")


def need_line(verb: str) -> None:
    """Raise a one-line error when the line's packages are not installed."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise UsageError(f"sharpline {verb} needs {', '.join(missing)}: pip install 'sharpline[line]'")


@app.command("run", epilog="Example: sharpline line run LINE.yaml")
def run(file: File, verbose: Verbose = False) -> None:
    """Run a line until Ctrl-C or SIGTERM; a replay ends with its sources.

    Exit code 0: stopped, or done. 1: a source ended with a trouble. 2: usage.
    """
    need_line("line run")
    from sharpline.line import memory

    memory.settle()  # importing the rest begins threads
    from sharpline.line.config import load_line
    from sharpline.line.running import Line

    config = load_line(file)
    _log(verbose)
    _run(Line(config), config.view)


@app.command("check", epilog="Example: sharpline line check LINE.yaml --connect")
def check(
    file: File,
    connect: Annotated[bool, typer.Option("--connect", help="Try every camera and receiver once.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the findings for machines.")] = False,
) -> None:
    """Check a configuration and print it with every default. Opens the models; touches no outbox.

    Exit code 0: good. 1: a part did not answer. 2: usage.
    """
    need_line("line check")
    from sharpline.console.server import checked
    from sharpline.line.assembly import make_rungs
    from sharpline.line.config import load_line
    from sharpline.line.writing import written

    config = load_line(file)
    if config.view is not None:
        checked(config.view)
    rungs = make_rungs(config)
    trials = _trials(config, connect)
    if json:
        ways = [
            {"name": rung.name, "scale": rung.scale, "sha256": rung.model_hash, "computed": rung.computed}
            for rung in rungs
        ]
        parts = [vars(trial) for trial in trials]
        print_json({"config": config.model_dump(mode="json"), "ladder": ways, "parts": parts})
    else:
        results.print(written(config), markup=False, end="")
        ways_told = (f"{rung.name} ({rung.computed})" if rung.computed else rung.name for rung in rungs)
        results.print(f"# ladder: {' -> '.join(ways_told)}", markup=False)
        for name in _quiet(config):
            results.print(
                f"# {name}: hears of alarms and detections only; every: 1s makes it hear of more", markup=False
            )
        for trial in trials:
            results.print(f"# {trial.part}: {'' if trial.works else 'FAILED: '}{trial.words}", markup=False)
    if not all(trial.works for trial in trials):
        raise typer.Exit(1)


@app.command("init", epilog="Example: sharpline line init LINE.yaml")
def init(
    file: Annotated[Path, typer.Argument(metavar="LINE.yaml", help="File to write.")] = Path("LINE.yaml"),
) -> None:
    """Write a commented configuration to start from. Never replaces a file."""
    need_line("line init")
    from sharpline.line.writing import write_template

    write_template(file)
    say(f"{file} written; name your camera in it, then: sharpline line check {file} --connect")


@app.command("outbox", epilog="Example: sharpline line outbox outbox.sqlite --retry")
def outbox(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The line's outbox.", show_default=False)],
    retry: Annotated[bool, typer.Option("--retry", help="Let the dead letters wait to be sent again.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Delete the dead letters.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what it holds for machines.")] = False,
) -> None:
    """Show what waits in an outbox and what its receivers refused; send that again, or delete it.

    Looking works while the line runs; --retry and --drop need it stopped.
    """
    if retry and drop:
        raise UsageError("--retry and --drop: use one of the two")
    need_line("line outbox")
    from sharpline.line.sinks import letters

    changed = letters.revive(file) if retry else letters.discard(file) if drop else 0
    held = letters.look(file)
    if json:
        dead = [vars(letter) for letter in held.dead]
        print_json({"waiting": held.waiting, "dead": dead, "retried": changed * retry, "dropped": changed * drop})
        return
    if retry or drop:
        say(f"{changed} {'will be sent again when the line runs' if retry else 'deleted'}")
    for name, count in held.waiting.items():
        refused = [letter for letter in held.dead if letter.destination == name]
        results.print(f"{name}: {count} wait, {len(refused)} refused", markup=False)
        for letter in refused:
            made = datetime.fromtimestamp(letter.made, UTC).isoformat(" ", "seconds")
            results.print(f"  {made}  {letter.id}  {letter.reason}", markup=False, soft_wrap=True)
    if not held.waiting:
        results.print("nothing waits, nothing was refused", markup=False)


@app.command("demo", epilog="Example: sharpline line demo --port 8090")
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 8080,
    model: Annotated[str, typer.Option(help="Name (see sharpline models) or .onnx file.")] = "edge-s-x4",
    seed: Annotated[int, typer.Option(help="Of the parts on the belt.")] = 0,
    fps: Annotated[float, typer.Option(min=1, max=100, help="Frames a second of the camera.")] = 15.0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    verbose: Verbose = False,
) -> None:
    """Show a line without a camera: parts on a belt, some with small faults, seen by a cheap camera."""
    need_line("line demo")
    from sharpline.line.config import LineConfig, ViewConfig
    from sharpline.line.conveyor import conveyor
    from sharpline.line.running import Line

    _log(verbose)
    config = LineConfig(model=model, view=ViewConfig(port=port))
    _run(Line(config, sources=[conveyor("belt", fps=fps, seed=seed)]), config.view, browser=browser)


def _quiet(config: LineConfig) -> list[str]:
    """Receivers that hear nothing as long as all is well."""
    receivers = [kind for sink in config.sinks for kind in (sink.webhook, sink.mqtt) if kind is not None]
    return [kind.url for kind in receivers if kind.every is None and "each" not in kind.on]


def _trials(config: LineConfig, connect: bool) -> list[Trial]:
    """Makes all parts, with an outbox of their own, so that secrets and packages that are missing show; tries them."""
    from sharpline.line.assembly import make_parts
    from sharpline.line.sinks.config import OutboxConfig
    from sharpline.line.trying import try_receivers, try_source

    with tempfile.TemporaryDirectory() as folder:
        aside = OutboxConfig(path=Path(folder) / "outbox.sqlite")
        parts = make_parts(config.model_copy(update={"outbox": aside}))
        try:
            if not connect:
                return []
            live, regions = config.flow.mode == "live", config.flow.regions
            cameras = [
                try_source(source, regions.get(source.name, ()), watched=live and hasattr(of, "folder"))
                for source, of in zip(parts.sources, config.sources, strict=True)
            ]
            return [*cameras, *try_receivers(config)]
        finally:
            parts.close()


def _run(line: Line, view: ViewConfig | None, *, browser: bool = False) -> None:
    from contextlib import nullcontext

    from sharpline.console.server import Server
    from sharpline.line.service import Service

    service = Service()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with nullcontext() if view is None else Server(line, view) as server, line:
        if server is not None:
            say(f"the page is at {server.url}")
        if browser and server is not None and sys.stderr.isatty():
            typer.launch(server.url)
        service.ready()
        while not ended.is_set() and not line.wait(0.2):
            service.beat(line.watch)
        service.stopping()
        troubles = {} if ended.is_set() else {name: line.trouble(name) for name in line.names if line.trouble(name)}
    for name in line.names:
        say(_summary(name, line.counters(name)))
    for name, trouble in troubles.items():
        say(f"{name} ended: {trouble}")
    if troubles:
        raise typer.Exit(1)


def _summary(name: str, numbers: Mapping[str, float]) -> str:
    """What became of a camera's frames, in one line."""
    made = [
        f"{n:.0f} by {key.removeprefix('results_by_')}" for key, n in numbers.items() if key.startswith("results_by_")
    ]
    lost = [f"{n:.0f} {key.removeprefix('dropped_')}" for key, n in numbers.items() if key.startswith("dropped_") and n]
    words = f"{name}: {numbers['frames']:.0f} frames: {', '.join(made) or 'none enlarged'}"
    return words + (f"; dropped: {', '.join(lost)}" if lost else "")


def _log(verbose: bool) -> None:
    from rich.logging import RichHandler

    terminal = screen.is_terminal
    handler: logging.Handler = RichHandler(console=screen, show_path=False) if terminal else logging.StreamHandler()
    form = "%(message)s" if terminal else "%(levelname)s %(name)s: %(message)s"  # a journal has its own clock
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format=form, handlers=[handler])
    logging.getLogger("sharpline").setLevel(level)
