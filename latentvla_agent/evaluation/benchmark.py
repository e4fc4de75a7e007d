"""The benchmark: caching, loading and scoring on one core, and the same by a devkit in turns with ours."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader
from latentvla_agent.data.splits import Split
from latentvla_agent.evaluation.benchmark_inputs import Proposals, choose_refs, crowd_scene, make_proposals
from latentvla_agent.evaluation.benchmark_plot import plot_benchmark
from latentvla_agent.evaluation.benchmark_sides import (
    DevkitSide,
    OurSide,
    measure_calls,
    open_devkit,
)
from latentvla_agent.evaluation.devkit_process import DevkitCommand, complete_maps
from latentvla_agent.evaluation.folders import make_folder, write_output
from latentvla_agent.evaluation.provenance import describe_machine, list_versions
from latentvla_agent.scoring.metric_cache import read_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.warm_up import compile_kernels

METRIC_NAMES = ("pdms-v1.1", "epdms-v2.2")
MAX_DEVKIT_BATCH = 256  # beyond, the devkit takes seconds a call and its cost grows linearly
MAX_CALLS, MIN_SAMPLES = 5, 7
CROWD_BATCH = 64
MEMORY_FILE = Path("/proc/self/status")

Row = Dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What is measured, and on what. Every measurement is taken `rounds` times in each of `num_scenes` scenes."""

    roots: DataRoots
    split: Split
    index: SceneIndex
    out: Path
    devkits: Mapping[str, DevkitCommand] = field(default_factory=dict)
    vocabulary: Optional[Path] = None
    batches: Tuple[int, ...] = (1, 16, 64, 256, 1024, 4096)
    objects: Tuple[int, ...] = (1, 3, 10, 30, 100, 300)
    num_scenes: int = 8
    rounds: int = 2

    def command_of(self, metric: str) -> Optional[DevkitCommand]:
        """The devkit that computes a metric, with or without the mended filter."""
        return next((command for name, command in self.devkits.items() if name.startswith(metric)), None)


def run_benchmark(bench: Bench) -> Dict[str, Any]:
    """Measure everything; writes `bench.json` and `bench.svg` into `bench.out` and returns what is in the former."""
    make_folder(bench.out)
    compile_kernels()
    maps = MapStore(bench.roots.maps)
    loader = SceneLoader(bench.index, maps)
    scenes = {ref.token: loader.build(ref) for ref in choose_refs(bench.index.refs, bench.num_scenes)}
    result: Dict[str, Any] = {"machine": {**describe_machine(), **list_versions()}, "split": bench.split.name}
    result.update(scenes=list(scenes), rows=[], objects=[], memory=[])
    with tempfile.TemporaryDirectory() as folder, pin_to_one_core():
        maps_root = complete_maps(bench.roots, Path(folder) / "maps") if bench.devkits else bench.roots.maps
        for metric in METRIC_NAMES:
            ours = OurSide(scenes, maps, Path(folder) / "caches", metric)
            for key, row in _measure_metric(bench, metric, ours, scenes, maps_root):
                result[key].append(row)
                print(f"bench: {metric} {row['work']} {row['n']}", file=sys.stderr)
    write_output(bench.out / "bench.json", (json.dumps(result, indent=1) + "\n").encode())
    write_output(bench.out / "bench.svg", plot_benchmark(result).encode())
    return result


def _measure_metric(
    bench: Bench, metric: str, ours: OurSide, scenes: Dict[str, Scene], maps_root: Path
) -> Iterator[Tuple[str, Row]]:
    """Rows of one metric, and the list that each belongs to."""
    with ExitStack() as stack:
        theirs, command = None, bench.command_of(metric)
        if command is not None:
            log = bench.out / f"devkit-{metric}.log"
            theirs = stack.enter_context(open_devkit(command, bench.split.log_folder, maps_root, log))
            theirs.open_scenes(list(scenes))
        plans = {token: make_proposals(scene, max(bench.batches), bench.vocabulary) for token, scene in scenes.items()}
        for work in ("cache_scene", "load_scene"):
            yield "rows", _compare(bench, work, metric, 1, ours, theirs, dict.fromkeys(scenes))
        for count in bench.batches:
            batch = {token: Proposals(plan.poses[:count], plan.sampling) for token, plan in plans.items()}
            side = theirs if count <= MAX_DEVKIT_BATCH else None
            yield "rows", _compare(bench, "score", metric, count, ours, side, batch)
    token = next(iter(scenes))
    yield "memory", _measure_memory(metric, ours.path_of(token), plans[token])
    for row in _sweep_objects(bench, metric, ours, scenes):
        yield "objects", row


def _compare(
    bench: Bench,
    work: str,
    metric: str,
    count: int,
    ours: OurSide,
    theirs: Optional[DevkitSide],
    batches: Mapping[str, Optional[Proposals]],
) -> Row:
    """One row: both sides in turns, scene by scene, after a call of each that doesn't count."""
    calls = max(1, MAX_CALLS // count)
    own: List[float] = []
    official: List[float] = []
    for turn in range(-1, bench.rounds):
        for token in list(batches)[: 1 if turn < 0 else None]:
            samples = ours.measure(work, token, calls, batches[token])
            own += samples if turn >= 0 else []
            samples = theirs.measure(work, token, calls, batches[token]) if theirs is not None else []
            official += samples if turn >= 0 else []
    row = {"work": work, "metric": metric, "n": count, **_summarise(own)}
    if official:
        row["devkit_ms_median"] = round(float(np.median(official)), 5)
        row["ratio"] = round(row["devkit_ms_median"] / row["ms_median"], 2)
    return row


def _summarise(samples: Sequence[float]) -> Row:
    return {"ms_median": round(float(np.median(samples)), 5), "ms_p95": round(float(np.percentile(samples, 95)), 5)}


def _sweep_objects(bench: Bench, metric: str, ours: OurSide, scenes: Dict[str, Scene]) -> Iterator[Row]:
    """Cost of a batch in the scene with most road users, against their number."""
    token = max(scenes, key=lambda name: len(scenes[name].current_frame.annotations.boxes))
    cache, scorer = ours.load_scene(token), Scorer(metric)
    plan = make_proposals(scenes[token], CROWD_BATCH, bench.vocabulary)
    for count in bench.objects if len(cache.tracks.types) else ():
        crowded = crowd_scene(cache, count)
        function = partial(scorer.score, crowded, plan.poses, plan.sampling)
        function()
        samples = measure_calls(function, max(MIN_SAMPLES, bench.num_scenes * bench.rounds))
        yield {"work": "score", "metric": metric, "n": CROWD_BATCH, "objects": count, **_summarise(samples)}


def _measure_memory(metric: str, path: Path, plan: Proposals) -> Row:
    """Peak memory of a fresh process that loads a scene and scores one batch."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(score_and_measure_peak, (metric, path, plan))
    return {"work": "score", "metric": metric, "n": len(plan.poses), "peak_mb": round(peak, 1)}


def score_and_measure_peak(metric: str, path: Path, plan: Proposals) -> float:
    """Score a batch; the peak resident memory of this process [MB]."""
    Scorer(metric).score(read_metric_cache(path), plan.poses, plan.sampling)
    if MEMORY_FILE.is_file():  # `ru_maxrss` begins with the memory of the process that started this one
        peak = next(line for line in MEMORY_FILE.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def pin_to_one_core() -> Iterator[None]:
    """Keep this process and those it starts on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def format_rows(result: Dict[str, Any]) -> str:
    """The table of `bench.json` for people."""
    lines = [f"{'work':<12} {'metric':<11} {'n':>5} {'ms':>10} {'p95':>10} {'devkit ms':>10} {'ratio':>7}"]
    for row in result["rows"]:
        official = f"{row['devkit_ms_median']:10.3f} {row['ratio']:7.1f}" if "ratio" in row else ""
        numbers = f"{row['n']:5d} {row['ms_median']:10.3f} {row['ms_p95']:10.3f} {official}"
        lines.append(f"{row['work']:<12} {row['metric']:<11} {numbers}".rstrip())
    lines += [f"peak memory {row['peak_mb']:.0f} MB, {row['n']} proposals, {row['metric']}" for row in result["memory"]]
    return "\n".join(lines)
