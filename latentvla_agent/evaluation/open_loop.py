"""Open-loop metrics of nuScenes from one file of plans: L2 and collision rate at 1, 2 and 3 s, by anybody's rules.

They tell how near a plan is to what the human did, not how well it drives: a planner that sees nothing but its own
speed does well. Never compared with a PDM score.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.nuscenes.database import FutureTruth
from latentvla_agent.data.scene import LOG_INTERVAL_S, FloatArray, PoseIndex, Trajectory
from latentvla_agent.errors import DataError, TrajectoryError
from latentvla_agent.evaluation.open_loop_collisions import find_collisions, reference_points
from latentvla_agent.evaluation.open_loop_rules import NUM_STEPS, RULES, Counting, OpenLoopRules
from latentvla_agent.evaluation.trajectory_file import read_trajectories

BoolArray = npt.NDArray[np.bool_]
L2, COLLISIONS = "l2_m", "collision_rate"


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


@dataclass(frozen=True, eq=False)
class MeasuredPlans:
    """Plans of N samples at T steps under one set of rules.

    `values`: by metric, (N, T): L2 [m], and 1 where a box hits something; 0 after the end of a drive. `counted` (N, T):
    which steps the rules count. `planned` (N,): which samples have a plan; without one the ego counts as standing.
    `human_hits` (N, T). `tokens` and `logs`: of the samples.
    """

    rules: OpenLoopRules
    values: Mapping[str, FloatArray]
    counted: BoolArray
    planned: BoolArray
    human_hits: BoolArray
    tokens: Sequence[str]
    logs: Sequence[str]


def measure_plans(
    truths: Sequence[FutureTruth],
    plans: Mapping[str, Trajectory],
    rules: Sequence[OpenLoopRules] = tuple(RULES.values()),
) -> Dict[str, MeasuredPlans]:
    """Every step of the plans by each of the rules, under the rules' names.

    Raises `DataError` for a plan of no sample, `TrajectoryError` for one that is not at half seconds up to 3 s.
    """
    tokens = [truth.token for truth in truths]
    unknown = sorted(set(plans) - set(tokens))
    if unknown or not tokens or len(set(tokens)) < len(tokens):
        got = f"plans of others, such as {unknown[0]}" if unknown else f"{len(tokens)} of {len(set(tokens))} tokens"
        raise DataError(f"expected samples, each once, and plans of them only, got {got}")
    _check_truths(truths)
    stand_still = np.zeros((NUM_STEPS, len(PoseIndex)))
    poses = np.array([sample_plan(token, plans[token]) if token in plans else stand_still for token in tokens])
    planned = np.array([token in plans for token in tokens])
    return {own.name: _apply_rules(truths, poses, planned, own) for own in rules}


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
) -> MeasuredPlans:
    valid = np.array([truth.valid for truth in truths])
    human = np.where(valid[..., None], np.array([truth.poses for truth in truths]), 0.0)
    errors = np.linalg.norm(reference_points(poses, rules) - reference_points(human, rules), axis=-1)
    human_hits = find_collisions(human, truths, rules) & valid
    hits = find_collisions(poses, truths, rules) & valid & ~human_hits
    return MeasuredPlans(
        rules=rules,
        values={L2: np.where(valid, errors, 0.0), COLLISIONS: hits.astype(np.float64)},
        counted=_choose_steps(valid, rules.counting),
        planned=planned,
        human_hits=human_hits,
        tokens=[truth.token for truth in truths],
        logs=[truth.log_name for truth in truths],
    )


def _choose_steps(valid: BoolArray, counting: Counting) -> BoolArray:
    """Which steps (N, T) of the samples count."""
    counted = valid.copy()
    if counting is Counting.ZEROS:
        counted[:] = True
    elif counting is Counting.COMPLETE:
        counted &= valid.all(axis=1, keepdims=True)
    return counted
