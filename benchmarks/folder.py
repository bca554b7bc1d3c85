"""Times ``sharpline upscale`` on a folder of PNGs: do decoder, network and encoder overlap?

    python benchmarks/folder.py              writes benchmarks/results/folder.csv, prints its line

24 photographs of 480 x 270 pixels (crops of scikit-image's astronaut and cat, enlarged) become 1920 x 1080. The
stages' times are what each picture spent in them; if they overlap, they add up to more than the wall time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data

from common import RESULTS, commit, cores, machine, write_csv
from sharpline import imresize, write_image

PICTURES = 24
COLUMNS = (
    *("machine", "commit", "model", "pictures", "input", "wall_s", "cpu_s", "cores_busy", "pictures_per_s"),
    *("read_s", "upscale_s", "write_s"),
)


def main() -> int:
    """Make the folder, upscale it in a process of its own, write what it took."""
    model = "edge-m-x4"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        for number in range(PICTURES):
            source = (skimage.data.astronaut, skimage.data.chelsea)[number % 2]()[:270, : 400 + number]
            write_image(folder / f"{number}.png", imresize(np.ascontiguousarray(source), size=(270, 480)))
        command = [sys.executable, "-m", "sharpline", "upscale", str(folder), "-o", f"{scratch}/out", "--model", model]
        began = time.perf_counter()
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
        wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    stages = [file["seconds"] for file in json.loads(done.stdout)["files"]]
    row = {"machine": machine(), "commit": commit(), "model": model, "pictures": PICTURES, "input": "480x270"}
    row |= {"wall_s": f"{wall:.2f}", "cpu_s": f"{cpu:.2f}", "cores_busy": f"{cpu / wall:.2f} of {cores()}"}
    row |= {"pictures_per_s": f"{PICTURES / wall:.2f}"}
    row |= {f"{stage}_s": f"{sum(s[stage] for s in stages):.2f}" for stage in ("read", "upscale", "write")}
    write_csv(RESULTS / "folder.csv", COLUMNS, [row])
    print(json.dumps(row, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
