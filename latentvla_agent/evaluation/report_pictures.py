"""What a report shows of single scenes: pictures of the worst ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import LOG_INTERVAL_S, FloatArray, PoseIndex
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.evaluation.drawing import DrawnPlan, Moment, draw_scene
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.stages import CacheHandler, Prediction, StageSetup, read_prediction
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STEPS, STEP_S
from latentvla_agent.scoring.interpolation import sample_trajectories
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.simulation import simulate
from latentvla_agent.scoring.versions import METRICS

Predictions = Mapping[Tuple[str, str], Prediction]  # by (agent, token)

HUMAN = "human"  # the agent whose predictions are the human's path
PICTURES_PER_AGENT = 6


@dataclass(frozen=True)
class Picture:
    """One of the worst scenes of an agent: an `<svg>`, or the reason why there is none."""

    row: ResultRow
    svg: str = ""
    problem: str = ""


class ScenePainter:
    """Draws scored plans. Whatever goes wrong with one scene is kept as its `problem`: the report still appears."""

    def __init__(self, setup: StageSetup, refs: Iterable[SceneRef], predictions: Predictions):
        self._handler = CacheHandler(setup)
        self._rules = METRICS[setup.metric].rules
        self._loader = SceneLoader(SceneIndex((), setup.scene_filter))
        self._refs = {ref.token: ref for ref in refs}
        self._predictions = predictions

    def paint(self, row: ResultRow) -> Picture:
        """The picture of one scored row."""
        if row.token not in self._refs:
            return Picture(row, problem="synthetic scenes are not drawn")
        try:
            cache = self._handler.load_cache(self._refs[row.token])
            poses, simulated = self._simulate(cache, row)
            interval = self._predictions[(row.agent, row.token)]["interval"]
            moment = choose_moment(row)
            plan = DrawnPlan(poses, simulated, self._human_poses(row.token), moment, interval, self._rules)
            return Picture(row, draw_scene(cache, plan, f"{row.agent} in scene {row.token}"))
        except Exception as error:  # a picture is worth less than the run
            return Picture(row, problem=f"{type(error).__name__}: {error}")

    def _simulate(self, cache: MetricCache, row: ResultRow) -> Tuple[FloatArray, npt.NDArray[np.float64]]:
        """The poses (T, 3) of the plan and its simulated states (41, 11), as the scorer has them."""
        poses, sampling = read_prediction(self._predictions[(row.agent, row.token)])
        trajectory = sample_trajectories(poses[None], sampling, cache.start[: len(PoseIndex)], cache.timestamp)
        return poses, simulate(trajectory, cache.start, DEFAULT_CONFIG)[0]

    def _human_poses(self, token: str) -> FloatArray:
        """The human's poses over the scored horizon: as the human agent has them, else read from the log."""
        prediction = self._predictions.get((HUMAN, token))
        if prediction is not None and "poses" in prediction:
            return read_prediction(prediction)[0]
        num_poses = int(round(NUM_STEPS * STEP_S / LOG_INTERVAL_S))
        return self._loader.build(self._refs[token]).get_future_trajectory(num_poses).poses


def choose_moment(row: ResultRow) -> Optional[Moment]:
    """The infraction to draw: the collision if there is one, else the TTC infraction, else leaving the road."""
    steps = (("collision", row.collision_idx), ("TTC", row.ttc_idx), ("off road", row.off_road_idx))
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
