"""Rendering: from a task to the bytes of its PNG file.

Pure computation without I/O, but for the file that caches the compiled kernel. The same task gives the same
image, bit for bit, on every machine.
"""

from oat.rendering.png import render_png, warm_up

__all__ = ["render_png", "warm_up"]
