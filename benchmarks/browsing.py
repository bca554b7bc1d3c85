"""What a browser does, in a process of its own: takes pictures, decodes them, says that they are drawn.

python benchmarks/browsing.py URL SOURCE WIDTH [SECONDS FOR A PICTURE]
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time


def browser(url: str, source: str, width: int, slow: float = 0.0) -> subprocess.Popen[bytes]:
    """Starts one.

    Args:
        url: Of the page.
        source: Of the line.
        width: Of the picture on the screen.
        slow: Seconds that it takes over each picture.
    """
    return subprocess.Popen([sys.executable, __file__, url, source, str(width), str(slow)], stderr=subprocess.DEVNULL)


def browse(url: str, source: str, width: int, slow: float) -> None:
    """Looks on until the page goes away."""
    import simplejpeg
    from websockets.sync.client import connect

    place = url.removeprefix("http").rstrip("/")
    with connect(f"ws{place}/socket", origin=url.rstrip("/"), max_size=1 << 26) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps({"type": "view", "sources": [source], "width": width, "camera": False}))
        for message in socket:
            if isinstance(message, str):
                continue
            (length,) = struct.unpack("<I", message[:4])
            head = json.loads(message[4 : 4 + length])
            at = 4 + length
            for part in head["parts"]:
                if part["mime"] == "image/jpeg":
                    simplejpeg.decode_jpeg(message[at : at + part["bytes"]])
                at += part["bytes"]
            time.sleep(slow)
            socket.send(json.dumps({"type": "ack", "n": head["n"]}))


if __name__ == "__main__":
    browse(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
