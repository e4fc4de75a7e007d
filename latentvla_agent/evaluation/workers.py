"""A pool of worker processes that survives its workers: they may raise, hang or die, every item still gets an outcome.

`concurrent.futures` gives up the whole pool when a worker dies and can't stop one that hangs; hence our own. A worker
that outlives its parent ends itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Deque, Generator, Generic, Iterable, List, Optional, Tuple

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.worker_process import HandlerFactory, Item, Job, Worker, next_events

MAX_ATTEMPTS = 2  # an item whose worker died is tried once more
MAX_FAILED_STARTS = 3  # in a row: one worker may be killed while it starts, but not every one


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """The result of an item, or why there is none: the worker `died`, `timed_out`, or raised (`error`)."""

    item: Item
    result: Any = None
    error: str = ""


def run_in_workers(
    chunks: Iterable[List[Item]], factory: HandlerFactory, num_workers: int, time_limit: float
) -> Generator[Outcome[Item], None, None]:
    """Handle all items; outcomes come in the order of completion. Items of a chunk go to one worker, in order.

    Raises `ConfigError` if workers can't start. Closing the iterator ends the workers.
    """
    pool: _Pool[Item] = _Pool(chunks, factory, num_workers, time_limit)
    try:
        while pool.has_work():
            pool.keep_busy()
            for worker, event in next_events(pool.workers):
                outcome = pool.handle(worker, event)
                if outcome is not None:
                    yield outcome
    finally:
        pool.stop()


def share_cores(num_workers: int) -> Optional[int]:
    """Threads of each of several workers, so that they do not fight for cores; one alone has what it takes (None)."""
    return max(1, count_cores() // num_workers) if num_workers > 1 else None


class _Pool(Generic[Item]):
    """The workers, and the chunks that none of them has yet."""

    def __init__(self, chunks: Iterable[List[Item]], factory: HandlerFactory, limit: int, time_limit: float):
        self.workers: List[Worker] = []
        self._waiting: Deque[Deque[Job[Item]]] = deque(deque(map(Job, chunk)) for chunk in chunks if chunk)
        self._factory, self._limit, self._time_limit = factory, limit, time_limit
        self._failed_starts = 0
        self._num_threads = share_cores(min(limit, len(self._waiting)))

    def has_work(self) -> bool:
        """Whether an item has no outcome yet."""
        return bool(self._waiting) or any(worker.job or worker.queue for worker in self.workers)

    def keep_busy(self) -> None:
        """Start workers while there are chunks for them, and give idle ones the next item."""
        for worker in self.workers:
            if worker.ready and worker.job is None:
                if not worker.queue and self._waiting:
                    worker.queue = self._waiting.popleft()
                worker.begin(self._time_limit)
        starting = sum(not worker.ready for worker in self.workers)
        while len(self.workers) < self._limit and starting < len(self._waiting):
            self.workers.append(Worker(self._factory, self._num_threads))
            starting += 1

    def handle(self, worker: Worker, event: Tuple[str, Any]) -> Optional[Outcome[Item]]:
        """Take note of what happened to a worker; the outcome of its item, if that is decided."""
        kind, value = event
        if kind == "ready":
            worker.ready, self._failed_starts = True, 0
            return None
        if kind == "broken":
            raise ConfigError(f"a worker could not start: {value}")
        if kind in ("died", "timed_out"):
            return self._replace(worker, kind)
        job, worker.job = worker.job, None
        assert job is not None, "a worker answers only to what it was sent"
        return Outcome(job.item, result=value) if kind == "result" else Outcome(job.item, error=value)

    def _replace(self, worker: Worker, kind: str) -> Optional[Outcome[Item]]:
        """Drop a worker that died or hangs; what waited for it goes to another one."""
        exit_code = worker.wait_for_exit() if kind == "died" else None
        worker.stop()
        self.workers.remove(worker)
        if worker.queue:
            self._waiting.appendleft(worker.queue)
        if not worker.ready:
            self._count_failed_start("died" if kind == "died" else "hung", exit_code)
        job = worker.job
        if job is None:
            return None
        if kind == "timed_out":
            return Outcome(job.item, error=f"timed out after {self._time_limit:g} s")
        if job.attempts >= MAX_ATTEMPTS:
            return Outcome(job.item, error=f"the worker died twice (exit code {exit_code})")
        self._waiting.appendleft(deque([job]))
        return None

    def _count_failed_start(self, what: str, exit_code: Optional[int]) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            code = "" if exit_code is None else f" (exit code {exit_code})"
            raise ConfigError(f"workers {what} while they started, {self._failed_starts} in a row{code}")

    def stop(self) -> None:
        """End all workers at once."""
        for worker in self.workers:
            worker.stop()
