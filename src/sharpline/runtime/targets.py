"""Which files to upscale and where each result goes, decided before any work is done."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sharpline.errors import UsageError
from sharpline.pixels.formats import INPUT_SUFFIXES, WRITTEN_FORMATS, format_of

_WRITABLE = {suffix for written in WRITTEN_FORMATS.values() for suffix in written.suffixes}


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    Attributes:
        source: the file to read.
        target: the file to write; its suffix is the format.
    """

    source: Path
    target: Path


def plan(
    inputs: Sequence[str],
    output: Path | None,
    scale: int,
    *,
    format: str | None = None,
    recursive: bool = False,
) -> list[Job]:
    """Turn what the user named into jobs.

    A folder stands for the pictures in it (with ``recursive`` also below it), without the results of
    an earlier run that lie beside their sources. A name that does not exist is tried as a glob
    pattern. Results go beside their sources as ``<stem>_x<scale>.<suffix>``, or into the folder
    ``output`` (same relative place below an input folder), or, for one file, into the file ``output``.

    Args:
        inputs: files, folders, glob patterns.
        output: file or folder, or None.
        scale: written into default names.
        format: suffix of the results without dot; default: as the source, png where that cannot be written.
        recursive: walk into folders.

    Returns:
        Jobs in order, each target once.

    Raises:
        UsageError: nothing there, no pictures in a folder, two results with one name, a result that would
            replace a source.

    Example:
        >>> plan(["examples/coffee.png"], None, 4)  # doctest: +SKIP
        [Job(source=Path('examples/coffee.png'), target=Path('examples/coffee_x4.png'))]
    """
    found = [pair for name in inputs for pair in _expand(name, scale, recursive)]
    single = len(found) == 1 and not Path(inputs[0]).is_dir()
    if output is not None and single and not output.is_dir() and output.suffix:
        if format and format_of(output) != format_of(output, format):
            raise UsageError(f"{output} and --format {format} contradict each other")
        format_of(output)
        jobs = [Job(found[0][0], output)]
    else:
        jobs = [Job(source, _target(source, base, output, scale, format)) for source, base in found]
    return _distinct(jobs)


def _expand(name: str, scale: int, recursive: bool) -> list[tuple[Path, Path]]:
    """Files for one input, each with the folder that its place in an output folder is relative to."""
    path = Path(name)
    if path.is_dir():
        return [(file, path) for file in _pictures(path, scale, recursive)]
    if path.exists() or path.is_symlink():
        return [(path, path.parent)]
    found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (Path.glob refuses absolute patterns)
    matches = [Path(match) for match in found]
    if not matches:
        raise UsageError(f"{name}: no such file or folder, and no file matches it as a pattern")
    return [pair for match in matches for pair in _expand(str(match), scale, recursive)]


def _pictures(folder: Path, scale: int, recursive: bool) -> list[Path]:
    try:
        entries = sorted(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed ({error.strerror})") from None
    hidden = {e for e in entries if any(part.startswith(".") for part in e.relative_to(folder).parts)}
    files = [e for e in entries if e.suffix.lower() in INPUT_SUFFIXES and e.is_file() and e not in hidden]
    sources = [f for f in files if not _is_earlier_result(f, files, scale)]
    if not sources:
        deeper = "" if recursive else "; -r looks into its folders too"
        raise UsageError(f"{folder}: holds no pictures ({', '.join(sorted(INPUT_SUFFIXES))}){deeper}")
    return sources


def _is_earlier_result(file: Path, files: Iterable[Path], scale: int) -> bool:
    match = re.fullmatch(rf"(.+)_x{scale}", file.stem)
    return match is not None and any(f.parent == file.parent and f.stem == match[1] for f in files)


def _target(source: Path, base: Path, output: Path | None, scale: int, format: str | None) -> Path:
    suffix = f".{format}" if format else source.suffix.lower()
    if suffix not in _WRITABLE:
        suffix = ".png"
    name = f"{source.stem}_x{scale}{suffix}"
    return source.with_name(name) if output is None else output / source.parent.relative_to(base) / name


def _distinct(jobs: list[Job]) -> list[Job]:
    sources = {os.path.realpath(job.source) for job in jobs}
    seen: dict[str, Path] = {}
    kept = []
    for job in jobs:
        target = os.path.realpath(job.target)
        if target in sources:
            raise UsageError(f"{job.target}: is an input; the input is never replaced, choose another output")
        if target not in seen:
            kept.append(job)
        elif os.path.realpath(seen[target]) != os.path.realpath(job.source):
            raise UsageError(f"{job.source} and {seen[target]} would both be {job.target}; name one or use --format")
        seen.setdefault(target, job.source)
    return kept
