"""A worker in plain Python, some hundred times slower than ours: `python examples/plain_worker.py`."""

import hashlib
import os
import time
from pathlib import Path

import kombu
from PIL import Image


def render(width, height, iterations, xa, xb, ya, yb, cx, cy, **_):
    """Colour each pixel by how many steps of z = z² + c its point z takes until it is farther than 2 from 0."""
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            z = complex(x * (xb - xa) / (width - 1) + xa, y * (yb - ya) / (height - 1) + ya)
            for n in range(iterations):  # noqa: B007 (n is the colour)
                if z.real * z.real + z.imag * z.imag > 4.0:
                    break
                z = z * z + complex(cx, cy)
            image.putpixel((x, y), (n % 8 * 32, n % 16 * 16, n % 32 * 8))
    return image


def work(task, message):
    """Save the image, publish the result, and only then acknowledge the task: a killed worker loses none."""
    started, path = time.perf_counter(), Path(os.environ["OAT_TARGET"], f"{task['uuid']}.png")
    render(**task).save(path)
    result = {"uuid": task["uuid"], "duration": time.perf_counter() - started, "size": path.stat().st_size}
    producer.publish(result | {"checksum": hashlib.sha256(path.read_bytes()).hexdigest()}, exchange="results")
    message.ack()


with kombu.Connection(os.environ["OAT_BROKER_URL"], transport_options={"confirm_publish": True}) as connection:
    producer = connection.Producer(serializer="json", routing_key="results")
    with connection.Consumer(kombu.Queue("tasks", no_declare=True), callbacks=[work], prefetch_count=1):
        while True:
            connection.drain_events()
