"""What a worker does with one nuScenes sample: plan, and score plans as PDMS does.

The score is v1.1's, with nuScenes' car in place of nuPlan's and with what the map expansion holds; no light is ever
red, since nuScenes says nothing of them. Key frames count as half a second apart, and what is between them is
interpolated, as everywhere. Its name is `pdms-nuscenes`: it is no score of NAVSIM's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Tuple

from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.agents import AgentSpec
from latentvla_agent.evaluation.open_loop_rules import UNIAD
from latentvla_agent.evaluation.planning import ScenePlanner
from latentvla_agent.evaluation.stages import Grader
from latentvla_agent.scoring.config import DEFAULT_CONFIG, ScoringConfig, VehicleConfig
from latentvla_agent.scoring.metric_cache import MetricCache, build_metric_cache
from latentvla_agent.scoring.versions import NUSCENES_METRIC

SCORED_FRAMES = NUSCENES_METRIC.rules.future_frames  # that must follow a sample for its plans to be scored
# nuScenes' car, a Renault Zoe: the box of the open-loop metrics.
VEHICLE = VehicleConfig(
    width=UNIAD.ego_width,
    front_length=UNIAD.ego_center + UNIAD.ego_length / 2.0,
    rear_length=UNIAD.ego_length / 2.0 - UNIAD.ego_center,
    wheel_base=2.588,
)
SCORING: ScoringConfig = replace(DEFAULT_CONFIG, vehicle=VEHICLE)


@dataclass(frozen=True)
class NuScenesSetup:
    """What a worker process needs to know of the run; small and picklable. `needs_maps`: of the agents, any."""

    root: Path
    version: str
    use_can_bus: bool = True
    agents: Tuple[AgentSpec, ...] = ()
    needs_maps: bool = False

    def open(self, with_maps: bool) -> NuScenesDatabase:
        """The database, its scenes long enough to be scored."""
        config = NuScenesConfig(num_future_frames=SCORED_FRAMES, use_can_bus=self.use_can_bus)
        return NuScenesDatabase(self.root, self.version, config, NuScenesMaps(self.root) if with_maps else None)


class NuScenesScenes:
    """A `planning.SceneBuilder` of a database."""

    def __init__(self, database: NuScenesDatabase) -> None:
        self._database = database

    def build(self, ref: SceneRef) -> Scene:
        """The scene of a sample."""
        return self._database.load(ref.token)


def open_planner(setup: NuScenesSetup) -> ScenePlanner:
    """What runs the agents in a worker."""
    return ScenePlanner(setup.agents, NuScenesScenes(setup.open(with_maps=setup.needs_maps)))


class NuScenesGrader(Grader):
    """Scores the plans of a sample; one instance per worker process."""

    def __init__(self, setup: NuScenesSetup) -> None:
        super().__init__(NUSCENES_METRIC.name, human_filter=False, config=SCORING)
        self._database = setup.open(with_maps=True)

    def load_cache(self, ref: SceneRef) -> MetricCache:
        """Built anew: every sample is scored once."""
        scene = self._database.load(ref.token)
        return build_metric_cache(scene, scene.map_api, SCORING)
