"""The tests here share the cameras of ``camera_servers`` and the pictures of ``stamped``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["mjpeg_server.py", "rtsp_server.py"]  # programs, one of them for the system's Python
