"""oat, the OpenStack application tutorial: a small distributed program that renders images of Julia sets.

A producer records tasks in the database and publishes them to the queue `tasks`. Workers consume them, render each
image, put it into the store and publish a result to the queue `results`. The tracker consumes the results and
updates the records.

- `services`: the producer, the worker and the tracker, the outbox they publish from, and the audit.
- `messages`, `messaging`: the content of tasks and results; the clients of RabbitMQ and of the embedded broker.
- `records`: the database: a record for each fractal, the outbox, queries and migrations.
- `rendering`, `storage`, `constant`: from a task to a PNG file; where the files go; the draw of the constant c.
- `web`, `commands`: the gallery with its HTTP API; the command line.
- `settings`, `process`: the environment variables `OAT_…`; logs, signals, readiness and atomic writes.
"""
