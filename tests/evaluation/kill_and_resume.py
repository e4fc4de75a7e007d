"""Kills evaluations at random moments, resumes them and compares what they leave with an uninterrupted run.

By hand: `python -m tests.evaluation.kill_and_resume --kills 20`. Every second kill hits a worker; the run must go on
by itself then. With `--scorer official` every third hits a process of the devkit, which NAVSIM_PYTHON,
NAVSIM_DEVKIT_ROOT and NUPLAN_DEVKIT_ROOT name.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from latentvla_agent.evaluation.costs import COSTS
from tests.evaluation.commands import start

OPTIONS = ("--split", "embedded", "--agent", "human", "--agent", "constant_velocity", "--workers", "2", "--max-scenes")
MAIN_KILLED, WORKER_KILLED, DEVKIT_KILLED = "main process killed", "worker killed", "devkit process killed"
TOO_LATE = "had finished"
VICTIMS = {"embedded": (MAIN_KILLED, WORKER_KILLED), "official": (MAIN_KILLED, WORKER_KILLED, DEVKIT_KILLED)}
OF_THE_RUN = ("finished", "command", "roots")  # what may differ in summary.json


@dataclass(frozen=True)
class Plan:
    """Which evaluation is killed; `cache` is the folder of metric caches, None for one of each run's own."""

    scenes: int
    scorer: str = "embedded"
    cache: Optional[Path] = None

    def begin(self, folder: Path) -> subprocess.Popen[str]:
        """Start, or resume, the evaluation in `folder`."""
        options = ("--scorer", self.scorer, "--out", folder / "out", "--cache", self.cache or folder / "cache")
        return start("eval", *OPTIONS, str(self.scenes), *options)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a run; what it printed to stderr. Raises `RuntimeError` if it did not end well."""
    _, messages = process.communicate(timeout=300)
    if process.returncode != 0:
        raise RuntimeError(f"exit status {process.returncode}: {messages}")
    return messages


def read_outputs(folder: Path) -> Dict[str, Any]:
    """`scores.csv` byte by byte, and `summary.json` without times."""
    summary = json.loads((folder / "out" / "summary.json").read_text())
    for agent in summary["agents"]:
        for name in COSTS:
            agent.pop(name, None)
    return {
        "scores.csv": (folder / "out" / "scores.csv").read_bytes(),
        **{key: value for key, value in summary.items() if key not in OF_THE_RUN},
    }


def list_children(pid: int, mark: bytes) -> List[int]:
    """Processes that a process has started and whose command line holds `mark`."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if mark in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def list_victims(pid: int, what: str) -> List[int]:
    """Worker processes of a running evaluation, or those of the devkit that they have started."""
    workers = list_children(pid, b"spawn_main")
    if what == WORKER_KILLED:
        return workers
    return [process for worker in workers for process in list_children(worker, b"navsim_worker")]


def kill_one(process: subprocess.Popen[str], what: str, chance: random.Random) -> str:
    """Kill a worker or a process of the devkit, as soon as there is one."""
    while process.poll() is None:
        victims = list_victims(process.pid, what)
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
            return what
        time.sleep(0.01)
    return TOO_LATE


def kill_main(process: subprocess.Popen[str]) -> str:
    """Kill the main process."""
    if process.poll() is not None:
        return TOO_LATE
    process.kill()
    process.communicate()
    return MAIN_KILLED


def interrupt_once(plan: Plan, folder: Path, delay: float, victim: str, chance: random.Random) -> str:
    """Start, kill after `delay` seconds, and resume until the run is complete; says in words what happened.

    A run that was faster than that is repeated in its folder with a shorter delay.
    """
    process = plan.begin(folder)
    time.sleep(delay)
    what = kill_main(process) if victim == MAIN_KILLED else kill_one(process, victim, chance)
    if what == TOO_LATE:
        finish(process)
        shutil.rmtree(folder)
        return interrupt_once(plan, folder, 0.8 * delay, victim, chance)
    messages = finish(plan.begin(folder) if what == MAIN_KILLED else process)
    stages = "; ".join(line for line in messages.splitlines() if line.startswith(("plan:", "score:")))
    return f"{what} after {delay:.2f} s; {stages}"


def main(arguments: Sequence[str] = ()) -> int:
    """Kill as often as asked, each time a run of its own; status 1 if one result differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scorer", choices=VICTIMS, default="embedded")
    parser.add_argument("--cache", type=Path, help="keep metric caches there")
    options = parser.parse_args(arguments or None)
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as base:
        plan, victims = Plan(options.scenes, options.scorer, options.cache), VICTIMS[options.scorer]
        begun = time.monotonic()
        finish(plan.begin(Path(base) / "whole"))
        duration = time.monotonic() - begun
        expected = read_outputs(Path(base) / "whole")
        print(f"uninterrupted: {duration:.1f} s", flush=True)
        different = 0
        for number in range(options.kills):
            folder = Path(base) / str(number)
            delay = chance.uniform(0.0, duration)
            what = interrupt_once(plan, folder, delay, victims[number % len(victims)], chance)
            equal = read_outputs(folder) == expected
            different += not equal
            print(f"{number + 1:2d} {'equal' if equal else 'DIFFERENT'}: {what}", flush=True)
    print(f"{options.kills - different} of {options.kills} results equal")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
