"""Which files to upscale and where each result goes, decided before any work is done."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
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
    output: str | None,
    scale: int,
    *,
    format: str | None = None,
    recursive: bool = False,
) -> list[Job]:
    """Turn what the user named into jobs.

    A folder stands for the pictures in it (with ``recursive`` also below it), without the results of
    earlier runs that lie beside their sources. A name that does not exist is tried as a glob
    pattern. Results go beside their sources as ``<stem>_x<scale>.<suffix>``, or into the folder
    ``output`` (same relative place below an input folder), or, for one file, into the file ``output``.

    Args:
        inputs: files, folders, glob patterns.
        output: file, or folder (a name that ends in a slash, that exists, or that has no picture's suffix).
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
    try:
        found = [pair for name in inputs for pair in _expand(name, recursive)]
        if output is not None and _is_file_name(output):
            if len(found) > 1 or Path(inputs[0]).is_dir():
                raise UsageError(f"{output}: is the name of one file, but there are more inputs; give a folder")
            if format and format_of(output) != format_of(output, format):
                raise UsageError(f"{output} and --format {format} contradict each other")
            return _distinct([Job(found[0][0], Path(output))])
        folder = None if output is None else Path(output)
        return _distinct([Job(source, _target(source, base, folder, scale, format)) for source, base in found])
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be looked at ({error.strerror})") from None


def missing(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose result is not there yet: what is left of a batch that was stopped."""
    return [job for job in jobs if not job.target.exists()]


def _is_file_name(output: str) -> bool:
    path = Path(output)
    if output.endswith(os.sep) or path.is_dir():
        return False
    if path.suffix and path.suffix.lower() not in _WRITABLE:
        format_of(path)  # says which formats there are
    return bool(path.suffix)


def _expand(name: str, recursive: bool) -> list[tuple[Path, Path]]:
    """Files for one input, each with the folder that its place in an output folder is relative to."""
    path = Path(name)
    if path.is_dir():
        return [(file, path) for file in _pictures(path, recursive)]
    if path.exists() or path.is_symlink():
        return [(path, path.parent)]
    found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (Path.glob refuses absolute patterns)
    if not found:
        raise UsageError(f"{name}: no such file or folder, and no file matches it as a pattern")
    return [pair for match in found for pair in _expand(match, recursive)]


def _pictures(folder: Path, recursive: bool) -> list[Path]:
    files = []
    for place, below, names in os.walk(folder, onerror=_refuse):
        below[:] = sorted(name for name in below if recursive and not name.startswith("."))
        files += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    pictures = [file for file in files if file.suffix.lower() in INPUT_SUFFIXES]
    stems = {(file.parent, file.stem) for file in pictures}
    sources = [file for file in pictures if not _is_earlier_result(file, stems)]
    if not sources:
        deeper = "" if recursive else "; -r looks into its folders too"
        raise UsageError(f"{folder}: holds no pictures ({', '.join(sorted(INPUT_SUFFIXES))}){deeper}")
    return sources


def _refuse(error: OSError) -> None:
    raise error  # os.walk would pass over a folder that it may not enter


def _is_earlier_result(file: Path, stems: set[tuple[Path, str]]) -> bool:
    match = re.fullmatch(r"(.+?)(_x\d+)+", file.stem)
    return match is not None and (file.parent, match[1]) in stems


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
            raise UsageError(
                f"{job.source} and {seen[target]} would both become {job.target}; "
                "rename one, or upscale them into different folders"
            )
        seen.setdefault(target, job.source)
    return kept
