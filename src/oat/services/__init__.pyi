from .audit import ADVICE, Report, Step, checksum, compare, run_audit
from .cancellation import remove_cancelled
from .dead_letters import (
    DeadLetter,
    drop_dead_letters,
    list_dead_letters,
    requeue_dead_letters,
)
from .metrics import serve_metrics
from .outbox import publish_overdue, publish_tasks
from .producer import Producer
from .progress import SHOWN, Progress, ProgressView
from .random_tasks import Ranges, random_task
from .recording_service import RecordingService
from .request import MAX_COUNT, FractalRequest, InvalidRequestError
from .service import Service
from .statistics import SAMPLE, WINDOW, Statistics, summarise
from .tracker import Tracker
from .worker import Worker

__all__ = [
    "ADVICE",
    "MAX_COUNT",
    "SAMPLE",
    "SHOWN",
    "WINDOW",
    "DeadLetter",
    "FractalRequest",
    "InvalidRequestError",
    "Producer",
    "Progress",
    "ProgressView",
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
