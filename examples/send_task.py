"""Sends one task, as any AMQP client can, to be rendered by a running worker: `python examples/send_task.py`.

The tracker makes a dead letter of the result, since nobody has recorded the task; own_producer.py does.
"""

import os
from uuid import uuid4

import kombu

task = {
    "uuid": str(uuid4()),
    "width": 320,  # pixels
    "height": 240,
    "iterations": 256,  # after so many, a point counts as one that never escapes
    "xa": -1.6, "xb": 1.6, "ya": -1.2, "yb": 1.2,  # the part of the complex plane that is shown
    "cx": -0.8, "cy": 0.156,  # the constant c of z² + c; a task without it gets one from its UUID
}  # fmt: skip

with kombu.Connection(os.environ["OAT_BROKER_URL"], transport_options={"confirm_publish": True}) as connection:
    # kombu makes JSON of the dictionary. The publisher confirm says that the broker has the message.
    connection.Producer().publish(task, exchange="tasks", routing_key="tasks", serializer="json", mandatory=True)
print(task["uuid"])
