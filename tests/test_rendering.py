import io
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from oat.julia import palette_indices
from oat.messages import Task
from oat.producer import Ranges, make_up
from oat.rendering import render_png
from reference import colour, escape_counts


def a_task(width=40, height=30, iterations=60, view=(-2.0, 2.0, -1.5, 1.5), c=(-0.8, 0.156)):
    xa, xb, ya, yb = view
    return Task(uuid=UUID(int=1), width=width, height=height, iterations=iterations, xa=xa, xb=xb, ya=ya, yb=yb,
                cx=c[0], cy=c[1])  # fmt: skip


coordinates = st.floats(-4, 4) | st.floats(allow_nan=False, allow_infinity=False)
views = st.tuples(*4 * [coordinates]).filter(lambda v: v[0] != v[1] and v[2] != v[3])
constants = st.tuples(*2 * [st.floats(-3, 3) | st.sampled_from([0.0, -1.0, 1e300, -1e-300])])
tasks = st.builds(a_task, st.integers(2, 100), st.integers(2, 12), st.integers(1, 200), views, constants)


@settings(max_examples=300, deadline=None)
@given(tasks)
@example(a_task(2, 2, 1))
@example(a_task(c=(0.0, 0.0), iterations=500))
@example(a_task(c=(-1.0, 0.0), iterations=500))
@example(a_task(view=(3.0, 9.0, 3.0, 9.0)))
@example(a_task(view=(2.0, -2.0, 1.0, -1.0)))
@example(a_task(view=(-1e308, 1e308, -1e308, 1e308)))
def test_each_pixel_is_that_of_the_reference(task):
    assert (palette_indices(task) == np.array(escape_counts(task)) % 32).all()


def test_the_file_is_a_palette_png_with_the_colours_of_the_reference():
    task = a_task()
    with Image.open(io.BytesIO(render_png(task))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (task.width, task.height))
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == np.array([[colour(n) for n in row] for row in escape_counts(task)])).all()


def test_the_same_task_gives_the_same_file():
    assert render_png(a_task()) == render_png(a_task().model_copy(update={"uuid": uuid4()}))


@pytest.mark.parametrize("seed", range(6))
def test_the_file_is_no_larger_than_an_rgb_one_at_pillows_defaults(seed):
    import random  # noqa: PLC0415 (only here)

    task = make_up(Ranges(), random.Random(seed))
    file = render_png(task)
    rgb = io.BytesIO()
    Image.open(io.BytesIO(file)).convert("RGB").save(rgb, "PNG")
    assert len(file) <= rgb.tell()
