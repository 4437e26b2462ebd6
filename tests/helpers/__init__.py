"""What tests share: servers, processes, tasks, and how to wait. README.md says how to write a test."""

import sys
from pathlib import Path

HELPERS = Path(__file__).parent

if pytest := sys.modules.get("pytest"):  # the tutorial's servers do without it
    rewritten = ("gallery", "pixels", "processes", "system")
    pytest.register_assert_rewrite(*(f"helpers.{name}" for name in rewritten))
