"""Rendering: from a task to the bytes of its PNG file.

Pure computation: the escape-time picture of a Julia set, bit for bit the same on every machine.
"""

from oat.rendering.escape_time import warm_up
from oat.rendering.png import render_png

__all__ = ["render_png", "warm_up"]
