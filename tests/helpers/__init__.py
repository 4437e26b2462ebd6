"""What tests share: servers, processes, tasks, and how to wait. README.md says how to write a test."""

from pathlib import Path

import pytest

HELPERS = Path(__file__).parent

pytest.register_assert_rewrite(*(f"helpers.{name}" for name in ("gallery", "pixels", "processes", "system")))
