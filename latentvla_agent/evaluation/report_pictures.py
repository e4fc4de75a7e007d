"""What a report shows of single scenes: pictures of the worst ones, and when plans first left the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import LOG_INTERVAL_S, FloatArray, PoseIndex, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.evaluation.drawing import DrawnPlan, Moment, draw_scene
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.stages import CacheHandler, Prediction, StageSetup
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STEPS, STEP_S
from latentvla_agent.scoring.interpolation import sample_trajectories
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.metrics.ego_area import locate_ego
from latentvla_agent.scoring.metrics.metric import find_first_step, make_rollouts
from latentvla_agent.scoring.simulation import simulate

Predictions = Mapping[Tuple[str, str], Prediction]  # by (agent, token)

HUMAN = "human"  # the agent whose predictions are the human's path
PICTURES_PER_AGENT = 6
MAX_TIMED = 2000  # plans that left the road are simulated again to time them: some milliseconds each


@dataclass(frozen=True)
class Picture:
    """One of the worst scenes of an agent: an `<svg>`, or the reason why there is none."""

    row: ResultRow
    svg: str = ""
    off_road_idx: Optional[int] = None
    problem: str = ""


@dataclass(frozen=True)
class OffRoad:
    """First off-road steps (10 Hz) of `len(steps)` plans out of the `total` that left the road."""

    steps: Tuple[int, ...] = ()
    total: int = 0
    problems: Tuple[str, ...] = ()


class ScenePainter:
    """Draws scored plans. Whatever goes wrong with one scene is kept as its `problem`: the report still appears."""

    def __init__(self, setup: StageSetup, refs: Iterable[SceneRef], predictions: Predictions):
        self._handler = CacheHandler(setup)
        self._loader = SceneLoader(SceneIndex((), setup.scene_filter))
        self._refs = {ref.token: ref for ref in refs}
        self._predictions = predictions

    def paint(self, row: ResultRow) -> Picture:
        """The picture of one scored row."""
        try:
            cache = self._handler.load_cache(self._refs[row.token])
            poses, simulated = self._simulate(cache, row)
            off_road = find_off_road(cache, simulated)
            interval = self._predictions[(row.agent, row.token)]["interval"]
            moment = choose_moment(row, off_road)
            plan = DrawnPlan(poses, simulated, self._human_poses(row.token), moment, interval)
            return Picture(row, draw_scene(cache, plan, f"{row.agent} in scene {row.token}"), off_road)
        except Exception as error:  # a picture is worth less than the run
            return Picture(row, problem=f"{type(error).__name__}: {error}")

    def time_off_road(self, rows: Sequence[ResultRow], limit: int = MAX_TIMED) -> OffRoad:
        """When the plans of these rows first left the road; of more than `limit` an even selection."""
        left = [row for row in rows if row.valid and row.sub_scores.get("drivable_area_compliance", 1.0) < 1.0]
        chosen = [left[i] for i in np.unique(np.linspace(0, len(left) - 1, min(limit, len(left))).astype(int))]
        steps: List[int] = []
        problems: List[str] = []
        for row in chosen:
            try:
                cache = self._handler.load_cache(self._refs[row.token])
                step = find_off_road(cache, self._simulate(cache, row)[1])
                steps += [] if step is None else [step]
            except Exception as error:  # as in `paint`
                problems.append(f"{row.token}: {type(error).__name__}: {error}")
        return OffRoad(tuple(steps), len(left), tuple(problems))

    def _simulate(self, cache: MetricCache, row: ResultRow) -> Tuple[FloatArray, npt.NDArray[np.float64]]:
        """The poses (T, 3) of the plan and its simulated states (41, 11), as the scorer has them."""
        prediction = self._predictions[(row.agent, row.token)]
        poses = _poses_of(prediction)
        sampling = TrajectorySampling(len(poses), prediction["interval"])
        trajectory = sample_trajectories(poses[None], sampling, cache.start[: len(PoseIndex)], cache.timestamp)
        return poses, simulate(trajectory, cache.start, DEFAULT_CONFIG)[0]

    def _human_poses(self, token: str) -> FloatArray:
        """The human's poses over the scored horizon: as the human agent has them, else read from the log."""
        prediction = self._predictions.get((HUMAN, token))
        if prediction is not None and "poses" in prediction:
            return _poses_of(prediction)
        num_poses = int(round(NUM_STEPS * STEP_S / LOG_INTERVAL_S))
        return self._loader.build(self._refs[token]).get_future_trajectory(num_poses).poses


def _poses_of(prediction: Mapping[str, Any]) -> FloatArray:
    return np.array(prediction["poses"], dtype=np.float64).reshape(-1, len(PoseIndex))


def find_off_road(cache: MetricCache, simulated: FloatArray) -> Optional[int]:
    """The first step at which a corner of the ego box is off the road, None for never."""
    located = locate_ego(make_rollouts(simulated[None], DEFAULT_CONFIG.vehicle), cache.areas)
    step = int(find_first_step(located.off_road)[0])
    return None if step < 0 else step


def choose_moment(row: ResultRow, off_road_idx: Optional[int]) -> Optional[Moment]:
    """The infraction to draw: the collision if there is one, else the TTC infraction, else leaving the road."""
    steps = (("collision", row.collision_idx), ("TTC", row.ttc_idx), ("off road", off_road_idx))
    return next((Moment(kind, step) for kind, step in steps if step is not None), None)


def choose_worst(rows: Sequence[ResultRow], count: int = PICTURES_PER_AGENT) -> List[ResultRow]:
    """The `count` scored rows with the lowest scores; equal scores in the order of their tokens."""
    return sorted((row for row in rows if row.valid), key=lambda row: (row.score, row.token))[:count]


def paint_worst(
    painter: ScenePainter, rows_by_agent: Mapping[str, Sequence[ResultRow]], count: int = PICTURES_PER_AGENT
) -> Dict[str, List[Picture]]:
    """Pictures of the worst scenes of every agent, worst first. They are drawn log by log: a log is read once."""
    worst = {agent: choose_worst(rows, count) for agent, rows in rows_by_agent.items()}
    everything = sorted((row for rows in worst.values() for row in rows), key=lambda row: (row.log, row.token))
    painted = {(row.agent, row.token): painter.paint(row) for row in everything}
    return {agent: [painted[(agent, row.token)] for row in rows] for agent, rows in worst.items()}
