"""The backend: what the routes do, on the records, the image store and the broker."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from itertools import chain
from uuid import UUID

from pydantic import BaseModel, Field

from oat.records import Catalog, Fractal, NotFoundError, Status
from oat.services import FractalRequest, Step, checksum, compare
from oat.settings import Settings
from oat.storage import Store
from oat.web.events import Events
from oat.web.problems import ProblemError
from oat.web.progress import ProgressEvents
from oat.web.publisher import Publisher
from oat.web.statistics import CurrentStatistics
from oat.web.thumbnails import Thumbnails


class Cancelled(BaseModel):
    """What cancelling all waiting fractals has done."""

    cancelled: int = Field(description="Fractals that were waiting, and are cancelled now.")
    removed: int | None = Field(
        description="Messages of cancelled tasks removed from their queue; null if the broker is unreachable, or "
        "it takes longer: until they are removed, workers may still render them."
    )


class Backend:
    """The state of one web process: its connections and caches, and the operations of the API on them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalog = Catalog(settings.database_url)
        self.store = Store(settings.target, settings.limits.pixels)
        self.thumbnails = Thumbnails(self.store, settings.limits.pixels)
        self.publisher = Publisher(settings)
        self.statistics = CurrentStatistics(self.catalog, self.publisher, settings.lease)
        self.events = Events(self.catalog, self.statistics)
        self.progress = ProgressEvents(self.catalog, self.publisher, self.statistics)
        self._audit_lock = threading.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Publish tasks and events as long as this context is open."""
        self.publisher.start()
        polling = [asyncio.create_task(each.poll()) for each in (self.events, self.progress)]
        try:
            yield
        finally:
            for each in polling:
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each
            await asyncio.to_thread(self.publisher.stop)
            self.catalog.close()

    def create(self, request_: FractalRequest) -> list[Fractal]:
        """Record the tasks of a request and have them published, as the producer does.

        Raises:
            InvalidRequestError: they exceed the limits.
        """
        tasks = request_.tasks(self.settings.limits, random.Random())  # noqa: S311 (pictures, not secrets)
        self.catalog.record(tasks)
        self.publisher.publish(tasks)
        return self.catalog.find([task.uuid for task in tasks])

    def retry(self, uuid: UUID) -> Fractal:
        """Have a task published again that failed, was cancelled, or whose image is missing or damaged."""
        fractal = self.catalog.get(uuid)
        damaged = fractal.status == Status.DONE and checksum(self.store, uuid) != fractal.checksum
        self.publisher.publish([self.catalog.retry(uuid, damaged)])
        return self.catalog.get(uuid)

    def cancel(self, uuid: UUID) -> Fractal:
        """Cancel a waiting fractal, and remove its message."""
        self.catalog.cancel(uuid)
        self.publisher.remove_cancelled()
        return self.catalog.get(uuid)

    def cancel_all(self) -> Cancelled:
        """Cancel all waiting fractals, and remove their messages."""
        cancelled = self.catalog.cancel_all()
        return Cancelled(cancelled=cancelled, removed=self.publisher.remove_cancelled())

    def damage(self, fractal: Fractal) -> str | None:
        """Return what is wrong with the image of a fractal, as far as its size tells; None if nothing is."""
        if fractal.status != Status.DONE:
            return None
        try:
            size = self.store.size(fractal.uuid)
        except FileNotFoundError:
            return "the image is not in the store"
        except OSError:
            return None
        if fractal.size in (None, size):
            return None
        return f"the image is damaged: it has {size} bytes, not {fractal.size}"

    def audit(self) -> Iterator[Step]:
        """Compare records, images and queues; the first step is made before this returns.

        Raises:
            ProblemError: another audit is under way, or the broker cannot be reached.
        """
        steps = self._audit_steps()
        return chain([next(steps)], steps)

    def _audit_steps(self) -> Iterator[Step]:
        queues = self.publisher.queues
        if queues is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the broker cannot be reached")
        if not self._audit_lock.acquire(blocking=False):
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "another audit is under way")
        try:
            yield from compare(self.settings, self.catalog, self.store, queues)
        finally:
            self._audit_lock.release()

    def delete(self, uuid: UUID) -> None:
        """Delete an image, its thumbnail and its record; in this order, so that it can be repeated if it fails."""
        if self.catalog.get(uuid).status != Status.WAITING:
            self.store.delete(uuid)
            self.thumbnails.delete(uuid)
        self.catalog.delete(uuid)

    def image_error(self, uuid: UUID, error: OSError) -> Exception:
        """Return the exception that says why the image of `uuid` could not be read.

        Args:
            uuid: of a record.
            error: what the store or the thumbnails raised.
        """
        fractal = self.catalog.get(uuid)
        if fractal.status != Status.DONE:
            return NotFoundError(f"fractal {uuid} is {fractal.status}: it has no image")
        if isinstance(error, FileNotFoundError):
            return NotFoundError(f"the image of fractal {uuid} is not in the store")
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the image of fractal {uuid} cannot be read: {error.strerror or error}",
        )
