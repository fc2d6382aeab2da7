"""Modules of benchmark/ are imported by their names, as its programs do."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "benchmark"))
