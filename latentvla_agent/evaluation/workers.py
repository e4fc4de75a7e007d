"""A pool of worker processes that survives its workers: they may raise, hang or die, every item still gets an outcome.

`concurrent.futures` gives up the whole pool when a worker dies and can't stop one that hangs; hence our own. A worker
that outlives its parent ends itself.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Deque, Dict, Generic, Iterable, Iterator, List, Optional, Tuple, TypeVar

from latentvla_agent.errors import ConfigError

Item = TypeVar("Item")
Handler = Callable[[Any], Any]
HandlerFactory = Callable[[], Handler]  # picklable; called once in every worker

MAX_ATTEMPTS = 2  # an item whose worker died is tried once more
START_LIMIT_S = 300.0  # imports, compilation and weights of a worker
PARENT_CHECK_S = 1.0


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """The result of an item, or why there is none: the worker `died`, `timed_out`, or raised (`error`)."""

    item: Item
    result: Any = None
    error: str = ""


@dataclass
class _Job(Generic[Item]):
    item: Item
    attempts: int = 0


class _Worker:
    """A process with a pipe; handles one job at a time, from a queue of neighbouring jobs."""

    def __init__(self, factory: HandlerFactory):
        context = multiprocessing.get_context("spawn")
        self.connection, child = context.Pipe()
        self.process = context.Process(target=_serve, args=(child, factory), daemon=True)
        self.process.start()
        child.close()
        self.ready = False
        self.queue: Deque[_Job[Any]] = deque()
        self.job: Optional[_Job[Any]] = None
        self.deadline = time.monotonic() + START_LIMIT_S

    def begin(self, time_limit: float) -> None:
        """Send the next queued job, if any."""
        self.job = self.queue.popleft() if self.queue else None
        if self.job is not None:
            self.job.attempts += 1
            self.deadline = time.monotonic() + time_limit
            self.connection.send(self.job.item)

    def stop(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, factory: HandlerFactory) -> None:
    """Body of a worker process."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        handler = factory()
    except Exception as error:  # reported to the parent, which stops the run with this message
        connection.send(("broken", _describe(error)))
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
            message = ("error", _describe(error))
        connection.send(message)


def _leave_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def _describe(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def run_in_workers(
    chunks: Iterable[List[Item]], factory: HandlerFactory, num_workers: int, time_limit: float
) -> Iterator[Outcome[Item]]:
    """Handle all items; outcomes come in the order of completion. Items of a chunk go to one worker, in order.

    Raises `ConfigError` if a worker can't start. Closing the iterator ends the workers.
    """
    waiting: Deque[Deque[_Job[Item]]] = deque(deque(_Job(item) for item in chunk) for chunk in chunks if chunk)
    workers: List[_Worker] = []
    try:
        while waiting or any(worker.job or worker.queue for worker in workers):
            _keep_busy(workers, waiting, factory, num_workers, time_limit)
            for worker, event in _next_events(workers):
                outcome = _handle_event(worker, event, waiting, time_limit)
                if worker.process.exitcode is not None or event[0] in ("died", "timed_out"):
                    worker.stop()
                    workers.remove(worker)
                if outcome is not None:
                    yield outcome
    finally:
        for worker in workers:
            worker.stop()


def _keep_busy(
    workers: List[_Worker], waiting: Deque[Deque[_Job[Any]]], factory: HandlerFactory, limit: int, time_limit: float
) -> None:
    """Start workers while there are chunks for them, and give idle ones the next chunk."""
    idle = [worker for worker in workers if worker.ready and worker.job is None]
    for worker in idle:
        if not worker.queue and waiting:
            worker.queue = waiting.popleft()
        worker.begin(time_limit)
    starting = sum(not worker.ready for worker in workers)
    while len(workers) < limit and starting < len(waiting):
        workers.append(_Worker(factory))
        starting += 1


def _next_events(workers: List[_Worker]) -> List[Tuple[_Worker, Tuple[str, Any]]]:
    """Messages of workers, and deaths and expired time limits; waits for at least one of them."""
    busy = [worker for worker in workers if worker.job is not None or not worker.ready]
    patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    by_connection: Dict[Any, _Worker] = {worker.connection: worker for worker in busy}
    events: List[Tuple[_Worker, Tuple[str, Any]]] = []
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


def _handle_event(
    worker: _Worker, event: Tuple[str, Any], waiting: Deque[Deque[_Job[Any]]], time_limit: float
) -> Optional[Outcome[Any]]:
    kind, value = event
    if kind == "ready":
        worker.ready = True
        return None
    if kind == "broken":
        raise ConfigError(f"a worker could not start: {value}")
    job, worker.job = worker.job, None
    if job is None:
        raise ConfigError(f"a worker {kind.replace('_', ' ')} while it started")
    if kind == "result":
        return Outcome(job.item, result=value)
    if kind == "error":
        return Outcome(job.item, error=value)
    if worker.queue:
        waiting.appendleft(worker.queue)
        worker.queue = deque()
    if kind == "timed_out":
        return Outcome(job.item, error=f"timed out after {time_limit:g} s")
    if job.attempts < MAX_ATTEMPTS:
        waiting.appendleft(deque([job]))
        return None
    worker.process.join()
    return Outcome(job.item, error=f"the worker died twice (exit code {worker.process.exitcode})")
