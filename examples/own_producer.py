"""A producer of one's own: ten pictures, c once around a circle: `python examples/own_producer.py`."""

import cmath
import os
from uuid import uuid4

import kombu
import sqlalchemy as sa

tasks = []
for n in range(10):
    c = 0.7885 * cmath.exp(2j * cmath.pi * n / 10)
    view = {"width": 320, "height": 240, "iterations": 256, "xa": -1.6, "xb": 1.6, "ya": -1.2, "yb": 1.2}
    tasks.append({"uuid": str(uuid4()), **view, "cx": c.real, "cy": c.imag})

metadata, engine = sa.MetaData(), sa.create_engine(os.environ["OAT_DATABASE_URL"])
metadata.reflect(engine, only=["fractals", "outbox"])
fractals, outbox = metadata.tables["fractals"], metadata.tables["outbox"]
state = {"status": "waiting", "attempts": 1}
clocks = {"sqlite": "datetime('now')", "postgresql": "timezone('utc', now())"}
clock = clocks.get(engine.dialect.name, "utc_timestamp(6)")  # UTC; the clock of this host does not matter

# The record and the note that it is still to be published are one transaction: if we are killed after it, the
# tracker publishes the tasks in our place when a minute (OAT_LEASE) has passed.
with engine.begin() as connection:
    now = connection.execute(sa.select(sa.literal_column(clock, sa.DateTime))).scalar_one()
    state |= {"created_at": now, "sent_at": now}
    connection.execute(fractals.insert(), [task | state for task in tasks])
    connection.execute(outbox.insert(), [{"uuid": task["uuid"], "created_at": now} for task in tasks])
with kombu.Connection(os.environ["OAT_BROKER_URL"], transport_options={"confirm_publish": True}) as broker:
    producer = broker.Producer(serializer="json")
    for task in tasks:
        producer.publish(task, exchange="tasks", routing_key="tasks")
with engine.begin() as connection:  # the broker has confirmed them all
    connection.execute(outbox.delete().where(outbox.c.uuid.in_([task["uuid"] for task in tasks])))
print(f"{len(tasks)} tasks recorded and published")
