"""The render threads of a worker: they take tasks from the thread of its connection, and hand it the results.

A thread first renders, which takes a processor core, and then stores, which waits for a disk or a server. So there
are more threads than may render at a time: a thread that stores lets another one render, where that is worth it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from oat.messages import Result
from oat.services.in_flight import Work

STORING_THREADS = 16
"""Threads that may store, beyond those that render: a disk syncs the files of many threads in nearly the time of
one, and 16 threads that wait 5 milliseconds each store 3,200 images a second. Each has its image in memory."""

WORTH_A_SWITCH = 0.0002
"""Seconds that storing has to wait for another thread to render meanwhile: the threads then take Python's lock
from each other at every system call, which costs as much. Source: `benchmarks/switches.py`."""

SHORTEST_OF = 9
"""Waits of which the shortest counts: whatever else delays a thread, such as other processes, only adds to it."""


class RenderThreads:
    """Threads that process tasks, of which up to `active` render at a time, and the others store.

    Args:
        count: how many may render at a time, at most.
        process: returns the result of a task, None if the worker stops before there is one.
        on_finished: called, in a render thread, when a result has been appended to `finished`.
    """

    def __init__(
        self, count: int, process: Callable[[Work], Result | None], on_finished: Callable[[], None]
    ) -> None:
        self.count = count
        self.active = count
        """How many threads may render at a time."""
        self.finished: deque[tuple[Work, Result | None]] = deque()
        """What the threads have processed, in the order they finished."""
        self._process = process
        self._on_finished = on_finished
        self._slots = threading.Condition()
        self._slots_taken: set[int] = set()
        """The threads that render or wait for a task, and those that store and do not let others render."""
        self._waits: deque[float] = deque(maxlen=SHORTEST_OF)
        """Seconds for which threads waited when they stored lately, beside their processor time."""
        self._waiting: SimpleQueue[Work | None] = SimpleQueue()
        self._processing: set[Work] = set()
        self._threads = [
            threading.Thread(target=self._run, name=f"render-{n}") for n in range(count + STORING_THREADS)
        ]

    def start(self) -> None:
        """Start the threads.

        Raises:
            RuntimeError: the system does not allow as many; none is left, which the process would wait for.
        """
        for number, thread in enumerate(self._threads):
            try:
                thread.start()
            except BaseException:
                del self._threads[number:]
                self.stop()
                raise

    def stop(self) -> None:
        """End the threads, each after the task it has begun, and wait for that."""
        self.activate(self.count)
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def activate(self, count: int) -> None:
        """Have up to `count` threads render at a time from now on, but not more than there were at first."""
        with self._slots:
            self.active = min(count, self.count)
            self._slots.notify_all()

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Let another thread render while this one stores, if storing waits for long lately, or fails now."""
        is_long = len(self._waits) == SHORTEST_OF and min(self._waits) > WORTH_A_SWITCH
        is_alone = len(self._processing) == 1 and self._waiting.empty()
        if is_long:
            self._free_slot()
        before = time.perf_counter() - time.thread_time()
        try:
            yield
        except BaseException:
            self._free_slot()
            raise
        if is_alone or not is_long:  # else others have begun meanwhile, and they all wait for Python's lock
            self._waits.append(time.perf_counter() - time.thread_time() - before)

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
        return bool(self._processing)

    def _run(self) -> None:
        while work := self._next():
            self._processing.add(work)
            self.finished.append((work, self._process(work)))
            self._processing.remove(work)
            self._on_finished()
        self._free_slot()

    def _free_slot(self) -> None:
        with self._slots:
            self._slots_taken.discard(threading.get_ident())
            self._slots.notify()

    def _next(self) -> Work | None:
        this = threading.get_ident()
        with self._slots:
            self._slots_taken.discard(this)
            self._slots.wait_for(lambda: len(self._slots_taken) < self.active)
            self._slots_taken.add(this)
        return self._waiting.get()
