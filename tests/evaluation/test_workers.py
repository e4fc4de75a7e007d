"""Every item gets an outcome, whatever its worker does; no worker outlives its run."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation import worker_process, workers
from latentvla_agent.evaluation.workers import Outcome, run_in_workers
from tests.evaluation.handlers import (
    DieAfterAnswerFactory,
    DieAtStartFactory,
    DieOnceFactory,
    EchoHandler,
    broken_factory,
)

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_S = 1.5  # of an item that hangs; the others take no time


def by_item(outcomes: List[Outcome[Any]]) -> Dict[Any, Outcome[Any]]:
    found = {outcome.item: outcome for outcome in outcomes}
    assert len(found) == len(outcomes), "an item has two outcomes"
    return found


@pytest.fixture(scope="module")
def misbehaving() -> Dict[Any, Outcome[Any]]:
    """Outcomes of one pool whose handlers fail in every way, in the middle of chunks of good items."""
    chunks: List[List[Any]] = [[1, "raise", 2], [3, "hang", 4], [5, "exit", 6], [7, "kill", 8], []]
    return by_item(list(run_in_workers(chunks, EchoHandler, 2, TIME_LIMIT_S)))


@pytest.mark.parametrize("num_workers", [1, 3])
def test_all_items_are_handled(num_workers: int) -> None:
    chunks = [list(range(start, start + 10)) for start in range(0, 50, 10)]
    outcomes = by_item(list(run_in_workers(chunks, EchoHandler, num_workers, 60.0)))
    assert {item: outcome.result for item, outcome in outcomes.items()} == {item: 2 * item for item in range(50)}
    assert not any(outcome.error for outcome in outcomes.values())


def test_no_items_start_no_workers() -> None:
    assert list(run_in_workers([[], []], broken_factory, 2, 1.0)) == []


def test_the_others_finish(misbehaving: Dict[Any, Outcome[Any]]) -> None:
    assert len(misbehaving) == 12
    assert {item: misbehaving[item].result for item in range(1, 9)} == {item: 2 * item for item in range(1, 9)}


@pytest.mark.parametrize(
    "item, error",
    [
        ("raise", "DataError: first line"),
        ("hang", "timed out after 1.5 s"),
        ("exit", "the worker died twice (exit code 7)"),
        ("kill", "the worker died twice (exit code -9)"),
    ],
)
def test_failures_have_a_reason(misbehaving: Dict[Any, Outcome[Any]], item: str, error: str) -> None:
    assert misbehaving[item] == Outcome(item, None, error)


def test_an_item_is_tried_again_when_its_worker_died(tmp_path: Path) -> None:
    outcomes = by_item(list(run_in_workers([["a", "b"]], DieOnceFactory(tmp_path / "died"), 1, 60.0)))
    assert [outcomes[item].error for item in "ab"] == ["", ""]
    assert outcomes["a"].result[0] == "a" and outcomes["a"].result[1] == outcomes["b"].result[1]


def test_a_death_between_two_items_loses_none(tmp_path: Path) -> None:
    outcomes = []
    for outcome in run_in_workers([["a", "b", "c"]], DieAfterAnswerFactory(tmp_path / "died"), 1, 60.0):
        outcomes.append(outcome)
        time.sleep(0.3)  # the worker is dead before it is given the next item
    assert {item: outcome.result for item, outcome in by_item(outcomes).items()} == {"a": "a", "b": "b", "c": "c"}


def test_a_death_at_the_start_is_survived(tmp_path: Path) -> None:
    outcomes = list(run_in_workers([[1]], DieAtStartFactory(tmp_path, times=1), 1, 60.0))
    assert outcomes == [Outcome(1, 2)]


def test_deaths_at_every_start_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"workers died while they started, 3 in a row \(exit code 9\)"):
        list(run_in_workers([[1]], DieAtStartFactory(tmp_path, times=99), 1, 60.0))


def test_a_hanging_start_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "START_LIMIT_S", 0.01)
    with pytest.raises(ConfigError, match="workers hung while they started"):
        list(run_in_workers([[1]], EchoHandler, 1, 60.0))


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(ConfigError, match="could not start: FileNotFoundError: weights.safetensors is missing"):
        list(run_in_workers([[1], [2]], broken_factory, 2, 60.0))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("num_workers", "set_by_user", "expected"), [(2, "", "3"), (9, "", "2"), (1, "", "-"), (2, "5", "5")]
)
def test_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, num_workers: int, set_by_user: str, expected: str
) -> None:
    """Of three chunks, which is what limits nine workers; one worker is left alone, and so is what the user says."""
    monkeypatch.setattr(workers, "count_cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if set_by_user:
        monkeypatch.setenv("OMP_NUM_THREADS", set_by_user)
    before = dict(os.environ)
    outcomes = run_in_workers([["threads"], ["threads"], ["threads"]], EchoHandler, num_workers, 60.0)
    assert [outcome.result for outcome in outcomes] == [expected] * 3
    assert dict(os.environ) == before


def test_closing_early_leaves_no_worker() -> None:
    outcomes = run_in_workers([["slow"] * 100, ["slow"] * 100], EchoHandler, 2, 60.0)
    assert next(outcomes).result == "slow"
    assert len(multiprocessing.active_children()) >= 1
    outcomes.close()
    assert multiprocessing.active_children() == []


def test_workers_leave_with_their_parent() -> None:
    """The parent is killed while one worker handles an item and the other hangs."""
    program = (
        "import multiprocessing\n"
        "from latentvla_agent.evaluation.workers import run_in_workers\n"
        "from tests.evaluation.handlers import EchoHandler\n"
        "if __name__ == '__main__':\n"
        "    for outcome in run_in_workers([['slow'] * 1000, ['slow', 'hang']], EchoHandler, 2, 600.0):\n"
        "        print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers: List[str] = []
    while len(workers) < 2:
        workers = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10.0
    while any(is_alive(int(pid)) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(int(pid)) for pid in workers)
    parent.stdout.close()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for does not count."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
