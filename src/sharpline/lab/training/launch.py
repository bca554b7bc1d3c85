"""Several processes on this machine, through torchrun."""

from __future__ import annotations

import os
import subprocess
import sys

import torch

from sharpline.errors import UsageError


def launched() -> bool:
    """Whether this process was started by a launcher (torchrun, accelerate launch)."""
    return "RANK" in os.environ


def is_chief() -> bool:
    """Whether this process is the one that prints and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def run_in_processes(count: int, arguments: list[str]) -> int:
    """Run ``sharpline`` with the same arguments in several processes that train one network.

    Each takes one GPU, or an equal share of the cores where there is no GPU.

    Args:
        count: number of processes.
        arguments: of the command line.

    Returns:
        The exit code.

    Raises:
        UsageError: more processes than GPUs, or than cores.
    """
    gpus, cores = torch.cuda.device_count(), os.cpu_count() or 1
    have = gpus or cores
    if not 1 <= count <= have:
        raise UsageError(f"--devices {count}: there are {have} {'GPUs' if gpus else 'cores'} here")
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, cores // count))}
    if not gpus:
        environment["ACCELERATE_USE_CPU"] = "true"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    return subprocess.run([*launcher, "-m", "sharpline", *arguments], env=environment, check=False).returncode
