"""Services: how a task flows.

The `producer` draws and records it, the `outbox` publishes it, a `worker` renders it, the `tracker` applies its
result; the `audit` compares what is left, the `statistics` say how all of it is doing; `cancellation` and
`dead_letters` remove and requeue messages.
"""

from oat.services.audit import ADVICE, Report, Step, checksum, compare, run_audit
from oat.services.cancellation import remove_cancelled
from oat.services.dead_letters import (
    DeadLetter,
    drop_dead_letters,
    list_dead_letters,
    requeue_dead_letters,
)
from oat.services.metrics import serve_metrics
from oat.services.outbox import publish_overdue, publish_tasks
from oat.services.producer import Producer, Ranges, random_task
from oat.services.request import MAX_COUNT, FractalRequest, InvalidRequestError
from oat.services.service import RecordingService, Service
from oat.services.statistics import SAMPLE, WINDOW, Statistics, summarise
from oat.services.tracker import Tracker
from oat.services.worker import Worker

__all__ = [
    "ADVICE",
    "MAX_COUNT",
    "SAMPLE",
    "WINDOW",
    "DeadLetter",
    "FractalRequest",
    "InvalidRequestError",
    "Producer",
    "Ranges",
    "RecordingService",
    "Report",
    "Service",
    "Statistics",
    "Step",
    "Tracker",
    "Worker",
    "checksum",
    "compare",
    "drop_dead_letters",
    "list_dead_letters",
    "publish_overdue",
    "publish_tasks",
    "random_task",
    "remove_cancelled",
    "requeue_dead_letters",
    "run_audit",
    "serve_metrics",
    "summarise",
]
