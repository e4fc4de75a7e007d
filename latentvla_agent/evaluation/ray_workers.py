"""The same pool on a Ray cluster (extra `[ray]`), for evaluations larger than one machine.

Ray is the engine that NAVSIM's own scripts use. Every node must see the data and the caches under the same paths. Its
address comes from `RAY_ADDRESS`; without it, Ray runs locally.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from typing import Any, Deque, Dict, Generator, Iterable, List, Optional

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.worker_process import START_LIMIT_S, HandlerFactory, Item, Job, describe_error
from latentvla_agent.evaluation.workers import MAX_ATTEMPTS, Outcome


class HandlerActor:
    """What runs in a Ray actor: one handler, one item at a time."""

    def __init__(self, factory: HandlerFactory):
        self._factory = factory

    def start(self) -> Any:
        """Make the handler: `("ready", None)`, or `("broken", text)`."""
        try:
            self._handler = self._factory()
        except Exception as error:  # reported to the driver, which stops the run with this message
            return "broken", describe_error(error)
        return "ready", None

    def handle(self, item: Any) -> Any:
        """`("result", value)` or `("error", text)`."""
        try:
            return "result", self._handler(item)
        except Exception as error:  # the one catch per item, as in a local worker
            return "error", describe_error(error)


def run_in_ray(
    chunks: Iterable[List[Item]], factory: HandlerFactory, num_workers: int, time_limit: float
) -> Generator[Outcome[Item], None, None]:
    """As `workers.run_in_workers`, with Ray actors for workers."""
    ray = start_ray()
    pool = _RayPool(ray, chunks, factory, num_workers, time_limit)
    try:
        while pool.has_work():
            pool.keep_busy()
            yield from pool.collect()
    finally:
        pool.stop()


def start_ray() -> Any:
    """Import Ray and connect; raises `ConfigError` naming the extra where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--executor ray needs Ray: pip install 'latentvla-agent[ray]'") from error
    if not ray.is_initialized():
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, logging_level=logging.ERROR)
    return ray


class _Worker:
    """An actor, the neighbouring jobs that wait for it, and the call in flight."""

    def __init__(self, actor: Any):
        self.actor = actor
        self.queue: Deque[Job[Any]] = deque()
        self.job: Optional[Job[Any]] = None
        self.has_started = False
        self.call = actor.start.remote()
        self.deadline = time.monotonic() + START_LIMIT_S


class _RayPool:
    """The actors, and the chunks that none of them has yet."""

    def __init__(self, ray: Any, chunks: Iterable[List[Any]], factory: HandlerFactory, limit: int, time_limit: float):
        self._ray, self._factory, self._limit, self._time_limit = ray, factory, limit, time_limit
        self._waiting: Deque[Deque[Job[Any]]] = deque(deque(map(Job, chunk)) for chunk in chunks if chunk)
        self._remote = ray.remote(num_cpus=1, max_restarts=0)(HandlerActor)
        self._workers: List[_Worker] = []

    def has_work(self) -> bool:
        """Whether an item has no outcome yet."""
        return bool(self._waiting) or any(worker.job or worker.queue for worker in self._workers)

    def keep_busy(self) -> None:
        """Start actors while there are chunks for them, and give idle ones the next item."""
        idle = sum(worker.job is None for worker in self._workers)
        while len(self._workers) < self._limit and idle < len(self._waiting):
            self._workers.append(_Worker(self._remote.remote(self._factory)))
            idle += 1
        for worker in self._workers:
            if worker.call is None and (worker.queue or self._waiting):
                if not worker.queue:
                    worker.queue = self._waiting.popleft()
                worker.job = worker.queue.popleft()
                worker.job.attempts += 1
                worker.call = worker.actor.handle.remote(worker.job.item)
                worker.deadline = time.monotonic() + self._time_limit

    def collect(self) -> Generator[Outcome[Any], None, None]:
        """Outcomes of the calls that end next, by themselves or by their time limit."""
        calls: Dict[Any, _Worker] = {worker.call: worker for worker in self._workers if worker.call is not None}
        patience = max(0.0, min(worker.deadline for worker in calls.values()) - time.monotonic())
        done, _ = self._ray.wait(list(calls), num_returns=1, timeout=patience)
        for call in done:
            yield from self._take(calls[call])
        now = time.monotonic()
        for worker in [worker for call, worker in calls.items() if call not in done and now >= worker.deadline]:
            yield from self._give_up(worker, f"timed out after {self._time_limit:g} s", retry=False)

    def _take(self, worker: _Worker) -> Generator[Outcome[Any], None, None]:
        try:
            kind, value = self._ray.get(worker.call)
        except self._ray.exceptions.RayActorError as error:
            if worker.job is None:
                raise ConfigError(f"a worker could not start: {describe_error(error)}") from error
            yield from self._give_up(worker, "the worker died twice", retry=True)
            return
        if kind == "broken":
            raise ConfigError(f"a worker could not start: {value}")
        worker.has_started = True
        job, worker.job, worker.call = worker.job, None, None
        if job is not None:
            yield Outcome(job.item, value) if kind == "result" else Outcome(job.item, error=value)

    def _give_up(self, worker: _Worker, reason: str, retry: bool) -> Generator[Outcome[Any], None, None]:
        """Drop an actor that died or hangs; what waited for it goes to another one."""
        self._ray.kill(worker.actor)
        self._workers.remove(worker)
        if worker.queue:
            self._waiting.appendleft(worker.queue)
        if worker.job is None:
            if not any(other.has_started for other in self._workers):
                raise ConfigError("a worker hung while it started")
            self._limit -= 1  # the cluster has no core for it: the others do its work
            return
        if retry and worker.job.attempts < MAX_ATTEMPTS:
            self._waiting.appendleft(deque([worker.job]))
        else:
            yield Outcome(worker.job.item, error=reason)

    def stop(self) -> None:
        """End all actors at once."""
        for worker in self._workers:
            self._ray.kill(worker.actor)
