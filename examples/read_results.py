"""Prints the results of all workers, until Ctrl-C: `python examples/read_results.py`.

A queue of our own is bound to the exchange of the results: it gets a copy of each, takes none from the
tracker, and is gone when we are.
"""

import os

import kombu


def show(result, message):
    """Print a result: a checksum and a duration, or an error."""
    print(result["uuid"], result.get("checksum") or result["error"], flush=True)
    message.ack()


with kombu.Connection(os.environ["OAT_BROKER_URL"]) as connection:
    channel = connection.default_channel
    name = channel.queue_declare(exclusive=True, auto_delete=True).queue  # the broker makes up its name
    channel.queue_bind(name, exchange="results", routing_key="results")
    print("waiting for results", flush=True)
    with connection.Consumer(kombu.Queue(name, no_declare=True), callbacks=[show], accept=["json"]):
        try:
            while True:
                connection.drain_events()
        except KeyboardInterrupt:
            pass
