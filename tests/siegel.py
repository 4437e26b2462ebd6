"""Tasks that take as long as one likes: their orbits never leave, and never come back to a point."""

import cmath
from uuid import uuid4

from oat.messages import Task


def disc(iterations, side=500):
    """A view of the middle of a Siegel disc: orbits go round and round in it, and each step is taken."""
    turn = cmath.exp(2j * cmath.pi * (5**0.5 - 1) / 2)
    middle, c = turn / 2, turn / 2 - turn**2 / 4
    return Task(
        uuid=uuid4(), width=side, height=side, iterations=iterations, cx=c.real, cy=c.imag,
        xa=middle.real - 0.05, xb=middle.real + 0.05, ya=middle.imag - 0.05, yb=middle.imag + 0.05,
    )  # fmt: skip
