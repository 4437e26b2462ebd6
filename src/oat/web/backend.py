"""The backend: what the API and the pages stand on, together."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from itertools import chain
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from oat.records import Catalog, Fractal, NotFoundError, Status
from oat.services import FractalRequest, Step, checksum, compare
from oat.settings import Settings
from oat.storage import Store
from oat.web.events import Events
from oat.web.problems import ProblemError
from oat.web.publisher import Publisher
from oat.web.thumbnails import Thumbnails


class Backend:
    """The records, the images, and the way to the broker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalog = Catalog(settings.database_url)
        self.store = Store(settings.target)
        self.thumbnails = Thumbnails(self.store)
        self.publisher = Publisher(settings)
        self.events = Events(self.catalog, self.publisher, settings.lease)
        self._auditing = threading.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Publish and watch as long as this context is open."""
        self.publisher.start()
        watching = asyncio.create_task(self.events.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await asyncio.to_thread(self.publisher.stop)
            self.catalog.close()

    def create(self, request_: FractalRequest) -> list[Fractal]:
        """Record the tasks of a request, and have them published, as the producer does.

        Raises:
            InvalidRequestError: they are beyond the limits.
        """
        tasks = request_.tasks(self.settings.limits, random.Random())  # noqa: S311 (pictures, not secrets)
        self.catalog.record(tasks)
        self.publisher.publish(tasks)
        return self.catalog.find([task.uuid for task in tasks])

    def retry(self, uuid: UUID) -> Fractal:
        """Send a task again that has failed, or whose image is missing or damaged."""
        fractal = self.catalog.get(uuid)
        damaged = fractal.status == Status.DONE and checksum(self.store, uuid) != fractal.checksum
        self.publisher.publish([self.catalog.retry(uuid, damaged)])
        return self.catalog.get(uuid)

    def audit(self) -> Iterator[Step]:
        """Compare records, images and queues; the first step is made before this returns.

        Raises:
            ProblemError: another audit is under way, or the broker is not at hand.
        """
        steps = self._steps()
        return chain([next(steps)], steps)

    def _steps(self) -> Iterator[Step]:
        queues = self.publisher.queues
        if queues is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the broker is not at hand")
        if not self._auditing.acquire(blocking=False):
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "another audit is under way")
        try:
            yield from compare(self.settings, self.catalog, self.store, queues)
        finally:
            self._auditing.release()

    def delete(self, uuid: UUID) -> None:
        """Delete a record and its image."""
        self.catalog.delete(uuid)
        self.thumbnails.delete(uuid)
        self.store.delete(uuid)

    def without_image(self, uuid: UUID, error: OSError) -> Exception:
        """Say why there is no image of `uuid` to show."""
        fractal = self.catalog.get(uuid)
        if fractal.status != Status.DONE:
            return NotFoundError(f"fractal {uuid} is {fractal.status}: it has no image")
        if isinstance(error, FileNotFoundError):
            return NotFoundError(f"the image of fractal {uuid} is not in the store")
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"the image of fractal {uuid} cannot be read")


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


Access = Annotated[Backend, Depends(_backend)]
"""How a request reaches the backend."""
