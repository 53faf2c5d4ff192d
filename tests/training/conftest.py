"""Tests here share the toy stage of test_loop.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tests are imported by path; this finds the module beside them
