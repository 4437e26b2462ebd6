"""The render threads of a worker: they take tasks from the thread of its connection, and hand it the results."""

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from oat.messages import Result
from oat.services.in_flight import Work


class RenderThreads:
    """Threads that process tasks, of which only the first ones take tasks while that is faster.

    Args:
        count: how many threads.
        process: returns the result of a task, None if the worker stops before there is one.
        on_finished: called, in a render thread, when a result has been appended to `finished`.
    """

    def __init__(
        self, count: int, process: Callable[[Work], Result | None], on_finished: Callable[[], None]
    ) -> None:
        self.count = count
        self.active = count
        """How many of the threads take tasks."""
        self.finished: deque[tuple[Work, Result | None]] = deque()
        """What the threads have processed, in the order they finished."""
        self._process = process
        self._on_finished = on_finished
        self._activated = threading.Condition()
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        self._rendering: set[Work] = set()
        self._threads = [threading.Thread(target=self._run, args=(n,), name=f"render-{n}") for n in range(count)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, each after the task it has begun, and wait for that."""
        self.activate(self.count)
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def activate(self, count: int) -> None:
        """Have the first `count` threads take tasks from now on, all of them if they are fewer."""
        with self._activated:
            self.active = min(count, self.count)
            self._activated.notify_all()

    def submit(self, work: Work) -> None:
        """Have a thread process `work`."""
        self._waiting.put(work)

    def waiting(self) -> int:
        """Return how many tasks no thread has begun."""
        return self._waiting.qsize()

    def drop_waiting(self) -> list[Work]:
        """Drop the tasks that no thread has begun, and return them."""
        dropped = []
        try:
            while work := self._waiting.get_nowait():
                dropped.append(work)
        except Empty:
            pass
        return dropped

    def is_busy(self) -> bool:
        """Tell whether a thread is processing a task; may be called from any thread."""
        return bool(self._rendering)

    def _run(self, number: int) -> None:
        while work := self._next(number):
            self._rendering.add(work)
            self.finished.append((work, self._process(work)))
            self._rendering.remove(work)
            self._on_finished()

    def _next(self, number: int) -> Work | None:
        with self._activated:
            self._activated.wait_for(lambda: number < self.active)
        return self._waiting.get()
