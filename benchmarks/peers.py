"""The same job as a task of Celery and of dramatiq, configured for speed and safety as their documentation says.

One message per task; the task renders, stores the image and updates the record itself, in a transaction each: the
shortest way with these libraries. Messages are persistent, confirmed, and acknowledged when the task is done.
"""

import hashlib
import os
import time
from datetime import datetime

import dramatiq
import sqlalchemy as sa
from celery import Celery
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from oat.messages import parse_task
from oat.records import Status
from oat.records.schema import fractals
from oat.rendering import warm_up
from oat.rendering.png import render_png
from oat.settings import Settings
from oat.storage.store import Store

settings = Settings()

celery = Celery("peers", broker=settings.broker_url)
celery.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    broker_transport_options={"confirm_publish": True},
    worker_prefetch_multiplier=16,
)
dramatiq.set_broker(RabbitmqBroker(url=settings.broker_url, confirm_delivery=True))

_store = Store(settings.target)
_store.prepare()
warm_up()
_engine = sa.create_engine(settings.database_url, isolation_level="READ COMMITTED")


def process(body: str) -> None:
    """Render one task, store its image and update its record."""
    task = parse_task(body, settings.limits)
    started = time.perf_counter()
    image = render_png(task)
    duration = time.perf_counter() - started
    _store.put(task.uuid, image)
    change = fractals.update().where(fractals.c.uuid == str(task.uuid)).values(
        status=Status.DONE, duration=duration, checksum=hashlib.sha256(image).hexdigest(), size=len(image),
        worker=str(os.getpid()), finished_at=datetime.now(),
    )  # fmt: skip
    with _engine.begin() as connection:
        connection.execute(change)


celery_task = celery.task(name="process")(process)
dramatiq_actor = dramatiq.actor(process)
