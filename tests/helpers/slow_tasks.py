"""Tasks that take as long as one likes: their orbits never leave, and never come back to a point."""

import cmath
import time
from uuid import uuid4

from oat.messages import Task
from oat.rendering.png import render_png


def disc(iterations, side=500):
    """A view of the middle of a Siegel disc: orbits go round and round in it, and each step is taken."""
    turn = cmath.exp(2j * cmath.pi * (5**0.5 - 1) / 2)
    middle, c = turn / 2, turn / 2 - turn**2 / 4
    return Task(
        uuid=uuid4(), width=side, height=side, iterations=iterations, cx=c.real, cy=c.imag,
        xa=middle.real - 0.05, xb=middle.real + 0.05, ya=middle.imag - 0.05, yb=middle.imag + 0.05,
    )  # fmt: skip


def slow(seconds, side=500):
    """A task that takes this machine `seconds` of processor time."""
    render_png(disc(10, side))
    started = time.thread_time()
    render_png(disc(1000, side))
    pace = (time.thread_time() - started) / 1000
    return disc(round(seconds / pace), side)
