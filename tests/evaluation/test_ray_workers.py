"""The pool on Ray, in local mode: the same outcomes as the local pool. Skipped where the extra [ray] is missing."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation import ray_workers
from latentvla_agent.evaluation.ray_workers import run_in_ray
from tests.evaluation import handlers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
    root = str(Path(__file__).resolve().parents[2])
    ray.init(num_cpus=2, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": {"PYTHONPATH": root}})
    yield
    ray.shutdown()


def test_every_item_has_its_outcome(local_ray: None) -> None:
    chunks = [[1, 2], ["raise", 3], ["hang", 4], [5, 6]]
    outcomes = {outcome.item: outcome for outcome in run_in_ray(chunks, handlers.EchoHandler, 2, 5.0)}
    assert {item: outcome.result for item, outcome in outcomes.items() if not outcome.error} == {
        1: 2,
        2: 4,
        3: 6,
        4: 8,
        5: 10,
        6: 12,
    }
    assert outcomes["raise"].error == "DataError: first line"
    assert outcomes["hang"].error == "timed out after 5 s"


def test_an_item_is_tried_again_when_its_worker_died(local_ray: None, tmp_path: Path) -> None:
    outcomes = list(run_in_ray([["a", "b"]], handlers.DieOnceFactory(tmp_path / "died"), 1, 30.0))
    assert sorted(outcome.result[0] for outcome in outcomes) == ["a", "b"]


def test_an_item_that_always_kills_its_worker_fails(local_ray: None) -> None:
    outcomes = {outcome.item: outcome for outcome in run_in_ray([["kill", 1]], handlers.EchoHandler, 1, 30.0)}
    assert outcomes["kill"].error == "the worker died twice"
    assert outcomes[1].result == 2


def test_a_worker_that_cannot_start_says_why(local_ray: None) -> None:
    with pytest.raises(ConfigError, match="weights.safetensors is missing"):
        list(run_in_ray([[1]], handlers.broken_factory, 1, 30.0))


class FullCluster:
    """Stands in for Ray with so many free cores: actors beyond them never start, and their calls never end."""

    exceptions = SimpleNamespace(RayActorError=RuntimeError)

    def __init__(self, cores: int) -> None:
        self.cores, self.actors, self.killed = cores, 0, 0

    def remote(self, **_: Any) -> Any:
        """What makes an actor of a class."""
        return lambda kind: SimpleNamespace(remote=self._make_actor)

    def _make_actor(self, factory: Any) -> Any:
        self.actors += 1
        number = self.actors
        return SimpleNamespace(
            start=SimpleNamespace(remote=lambda: (number, "ready", None)),
            handle=SimpleNamespace(remote=lambda item: (number, "result", 2 * item)),
        )

    def wait(self, calls: List[Any], num_returns: int, timeout: float) -> Any:
        """One call of an actor that runs, after a while; none if there is none."""
        done = [call for call in calls if call[0] <= self.cores][:num_returns]
        time.sleep(0.02 if done else timeout)
        return done, []

    def get(self, call: Any) -> Any:
        """What the actor answers."""
        return call[1:]

    def kill(self, actor: Any) -> None:
        """Count it."""
        self.killed += 1


def test_an_actor_that_finds_no_core_is_dropped_where_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "START_LIMIT_S", 0.1)
    cluster = FullCluster(cores=2)
    monkeypatch.setattr(ray_workers, "start_ray", lambda: cluster)
    outcomes = list(run_in_ray([[number] for number in range(40)], handlers.EchoHandler, 4, 60.0))
    assert sorted(outcome.result for outcome in outcomes) == list(range(0, 80, 2))
    assert (cluster.actors, cluster.killed) == (4, 4), "none is started in the place of one that found no core"


def test_without_any_core_nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "START_LIMIT_S", 0.1)
    monkeypatch.setattr(ray_workers, "start_ray", lambda: FullCluster(cores=0))
    with pytest.raises(ConfigError, match="hung while it started"):
        list(run_in_ray([[1], [2]], handlers.EchoHandler, 2, 60.0))


def test_a_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"latentvla-agent\[ray\]"):
        ray_workers.start_ray()
