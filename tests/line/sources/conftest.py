"""The tests here share the cameras of ``camera_servers`` and the pictures of ``stamped``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
