"""A worker process and the parent's end of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Deque, Dict, Generic, Iterator, List, Optional, Tuple, TypeVar

Item = TypeVar("Item")
Handler = Callable[[Any], Any]
HandlerFactory = Callable[[], Handler]  # picklable; called once in every worker

START_LIMIT_S = 300.0  # imports, compilation and weights of a worker
THREADS_VARIABLE = "OMP_NUM_THREADS"  # torch, numba and BLAS go by it
EXIT_LIMIT_S = 5.0  # from the end of a worker's pipe to that of its process


@dataclass
class Job(Generic[Item]):
    """An item, and how often a worker got it."""

    item: Item
    attempts: int = 0


class Worker:
    """A process with a pipe; handles one job at a time, from a queue of neighbouring jobs."""

    def __init__(self, factory: HandlerFactory, num_threads: Optional[int] = None):
        context = multiprocessing.get_context("spawn")
        self.connection, child = context.Pipe()
        self.process = context.Process(target=_serve, args=(child, factory), daemon=True)
        with _interrupts_blocked(), _threads_limited(num_threads):
            self.process.start()
        child.close()
        self.ready = False
        self.queue: Deque[Job[Any]] = deque()
        self.job: Optional[Job[Any]] = None
        self.deadline = time.monotonic() + START_LIMIT_S

    def begin(self, time_limit: float) -> None:
        """Send the next queued job, if any."""
        self.job = self.queue.popleft() if self.queue else None
        if self.job is None:
            return
        self.deadline = time.monotonic() + time_limit
        try:
            self.connection.send(self.job.item)
            self.job.attempts += 1
        except OSError:  # it died while it had nothing to do; receiving from it will say so
            pass

    def wait_for_exit(self) -> Optional[int]:
        """Exit code of a process that closed its pipe."""
        self.process.join(EXIT_LIMIT_S)
        return self.process.exitcode

    def stop(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started meanwhile never see Ctrl-C: the parent ends them, and they print no tracebacks."""
    resource_tracker.ensure_running()  # else it starts with the first worker, and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads_limited(num_threads: Optional[int]) -> Iterator[None]:
    """Libraries in processes started meanwhile compute with so many threads, unless the user has set how many.

    By the environment, as they read it when they are loaded: before any code of ours could tell them.
    """
    if num_threads is None or THREADS_VARIABLE in os.environ:
        yield
        return
    os.environ[THREADS_VARIABLE] = str(num_threads)
    try:
        yield
    finally:
        del os.environ[THREADS_VARIABLE]


def _serve(connection: Connection, factory: HandlerFactory) -> None:
    """Body of a worker process."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        handler = factory()
    except Exception as error:  # reported to the parent, which stops the run with this message
        connection.send(("broken", describe_error(error)))
        return
    connection.send(("ready", None))
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            message = ("result", handler(item))
        except Exception as error:  # the one catch per item; the parent counts it
            message = ("error", describe_error(error))
        connection.send(message)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def describe_error(error: BaseException) -> str:
    """Type and first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def next_events(workers: List[Worker]) -> List[Tuple[Worker, Tuple[str, Any]]]:
    """Messages of workers, and deaths and expired time limits; waits for at least one of them."""
    busy = [worker for worker in workers if worker.job is not None or not worker.ready]
    patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    by_connection: Dict[Any, Worker] = {worker.connection: worker for worker in busy}
    events: List[Tuple[Worker, Tuple[str, Any]]] = []
    for connection in wait(list(by_connection), timeout=patience):
        try:
            message = by_connection[connection].connection.recv()
        except (EOFError, OSError):
            message = ("died", None)
        events.append((by_connection[connection], message))
    heard = {id(worker) for worker, _ in events}
    now = time.monotonic()
    events += [(w, ("timed_out", None)) for w in busy if id(w) not in heard and now >= w.deadline]
    return events
