"""Open-loop metrics of nuScenes from one file of plans: L2 and collision rate at 1, 2 and 3 s, by anybody's rules.

They tell how near a plan is to what the human did, not how well it drives: a planner that sees nothing but its own
speed does well. Never compared with a PDM score.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.nuscenes import FutureTruth
from latentvla_agent.data.scene import LOG_INTERVAL_S, FloatArray, PoseIndex, Trajectory
from latentvla_agent.errors import DataError, TrajectoryError
from latentvla_agent.evaluation.open_loop_collisions import find_collisions, reference_points
from latentvla_agent.evaluation.open_loop_rules import RULES, Counting, OpenLoopRules, Summary
from latentvla_agent.evaluation.statistics import bootstrap_mean
from latentvla_agent.evaluation.trajectory_file import read_trajectories

HORIZONS_S = (1, 2, 3)
STEPS = tuple(int(round(horizon / LOG_INTERVAL_S)) for horizon in HORIZONS_S)  # up to and with each horizon
NUM_STEPS = STEPS[-1]
BoolArray = npt.NDArray[np.bool_]


def read_plans(path: Path, name: Optional[str] = None) -> Dict[str, Trajectory]:
    """Plans by sample token of a file as `trajectory_file` reads it; of those called `name`, if the file has several.

    Raises `DataError` for plans of several names where none is asked for, for none of that name, and for two of a
    sample.
    """
    entries = read_trajectories(path)
    names = sorted({entry.name for entry in entries})
    if name is None and len(names) > 1:
        raise DataError(f"{path}: expected plans of one name, or to be told which, got {', '.join(names)}")
    plans: Dict[str, Trajectory] = {}
    for entry in entries:
        if name not in (None, entry.name):
            continue
        if entry.token in plans:
            raise DataError(f"{path}: expected one plan of each sample, got two of {entry.token}")
        plans[entry.token] = entry.trajectory
    if not plans:
        raise DataError(f"{path}: expected plans called {name}, got {', '.join(names)}")
    return plans


def evaluate_open_loop(
    truths: Sequence[FutureTruth],
    plans: Mapping[str, Trajectory],
    rules: Sequence[OpenLoopRules] = tuple(RULES.values()),
) -> Dict[str, Any]:
    """Metrics of the plans by each of the rules, under the rules' names; plain values, as JSON takes them.

    A sample without a plan counts as if the ego had stood still, and is listed in `failed`; `planned_only` leaves it
    out. Raises `DataError` for a plan of no sample, `TrajectoryError` for one that is not at half seconds up to 3 s.
    """
    tokens = [truth.token for truth in truths]
    unknown = sorted(set(plans) - set(tokens))
    if unknown or not tokens or len(set(tokens)) < len(tokens):
        got = f"plans of others, such as {unknown[0]}" if unknown else f"{len(tokens)} of {len(set(tokens))} tokens"
        raise DataError(f"expected samples, each once, and plans of them only, got {got}")
    _check_truths(truths)
    stand_still = np.zeros((NUM_STEPS, len(PoseIndex)))
    poses = np.array([sample_plan(token, plans[token]) if token in plans else stand_still for token in tokens])
    failed = [token for token in tokens if token not in plans]
    result: Dict[str, Any] = {"num_samples": len(tokens), "num_failed": len(failed), "failed": failed}
    planned = np.array([token in plans for token in tokens])
    for own in rules:
        result[own.name] = _apply_rules(truths, poses, planned, own)
    return result


def _check_truths(truths: Sequence[FutureTruth]) -> None:
    for truth in truths:
        shapes = truth.poses.shape, len(truth.boxes), len(truth.categories)
        if shapes != ((NUM_STEPS, len(PoseIndex)), truth.valid.sum(), truth.valid.sum()):
            raise DataError(f"sample {truth.token}: expected {NUM_STEPS} steps, boxes of the valid ones, got {shapes}")


def sample_plan(token: str, plan: Trajectory) -> FloatArray:
    """Poses (6, 3) of a plan at half seconds up to 3 s; what is later is not looked at."""
    sampling = plan.trajectory_sampling
    stride = int(round(LOG_INTERVAL_S / sampling.interval_length))
    if abs(stride * sampling.interval_length - LOG_INTERVAL_S) > 1e-6 or sampling.num_poses < stride * NUM_STEPS:
        got = f"{sampling.num_poses} poses {sampling.interval_length:g} s apart"
        raise TrajectoryError(f"plan of {token}: expected one that has every half second up to 3 s, got {got}")
    return np.asarray(plan.poses, np.float64)[stride - 1 : stride * NUM_STEPS : stride]


def _apply_rules(
    truths: Sequence[FutureTruth], poses: FloatArray, planned: BoolArray, rules: OpenLoopRules
) -> Dict[str, Any]:
    valid = np.array([truth.valid for truth in truths])
    human = np.where(valid[..., None], np.array([truth.poses for truth in truths]), 0.0)
    errors = np.linalg.norm(reference_points(poses, rules) - reference_points(human, rules), axis=-1)
    human_hits = find_collisions(human, truths, rules) & valid
    hits = find_collisions(poses, truths, rules) & valid & ~human_hits
    values = {"l2_m": np.where(valid, errors, 0.0), "collision_rate": hits.astype(np.float64)}
    counted = _choose_steps(valid, rules.counting)
    result: Dict[str, Any] = {
        "rules": {key: item.value if isinstance(item, Enum) else item for key, item in asdict(rules).items()},
        "num_counted": _name_horizons([int(counted[:, step - 1].sum()) for step in STEPS]),
        "num_human_collisions": int((human_hits & counted).sum()),
    }
    logs = [truth.log_name for truth in truths]
    for metric, table in values.items():
        result[metric] = _summarise(table, counted)
        result[f"{metric}_interval"] = _find_interval(table, counted, logs, rules.headline)
    only = counted & planned[:, None]
    result["planned_only"] = {metric: _summarise(table, only) for metric, table in values.items()}
    result["planned_only"]["num_counted"] = _name_horizons([int(only[:, step - 1].sum()) for step in STEPS])
    return result


def _choose_steps(valid: BoolArray, counting: Counting) -> BoolArray:
    """Which steps (N, T) of the samples count."""
    counted = valid.copy()
    if counting is Counting.ZEROS:
        counted[:] = True
    elif counting is Counting.COMPLETE:
        counted &= valid.all(axis=1, keepdims=True)
    return counted


def _summarise(values: FloatArray, counted: BoolArray) -> Dict[str, Dict[str, Optional[float]]]:
    """Both summaries of values (N, T): each horizon's, and their mean `avg`; None where no sample counts."""
    counts = counted.sum(axis=0)
    if not np.all(counts):
        return {summary.value: _name_horizons([None] * (len(STEPS) + 1)) for summary in Summary}
    means = np.where(counted, values, 0.0).sum(axis=0) / counts
    found = {Summary.AT: [means[step - 1] for step in STEPS], Summary.UP_TO: [means[:step].mean() for step in STEPS]}
    return {
        summary.value: _name_horizons([*map(float, numbers), float(np.mean(numbers))])
        for summary, numbers in found.items()
    }


def _name_horizons(values: List[Any]) -> Dict[str, Any]:
    names = [*(f"{horizon}s" for horizon in HORIZONS_S), "avg"]
    return dict(zip(names, values))


def _find_interval(
    values: FloatArray, counted: BoolArray, logs: Sequence[str], summary: Summary
) -> Optional[List[float]]:
    """95 % interval of the headline's `avg`, over logs, then samples; of samples all of whose steps count."""
    weights = np.zeros(values.shape[1])
    for step in STEPS:
        if summary is Summary.AT:
            weights[step - 1] += 1.0 / len(STEPS)
        else:
            weights[:step] += 1.0 / (len(STEPS) * step)
    by_log: Dict[str, List[float]] = {}
    for log, value, complete in zip(logs, values @ weights, list(np.all(counted, axis=1))):
        if complete:
            by_log.setdefault(log, []).append(float(value))
    return list(bootstrap_mean(by_log)) if by_log else None
