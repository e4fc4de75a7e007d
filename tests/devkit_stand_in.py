"""A stand-in of the NAVSIM devkit, written by us: the names, signatures and results that our bridge relies on.

It scores nothing real. Its metric cache remembers the window it was built of, and a score says what arrived: progress
is the last x of the plan over 100, comfort falls to 0 for a plan that jumps, and x above 1e6 is an exception.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict

SHARED = {
    "navsim/__init__.py": "",
    "navsim/common/dataclasses.py": """
from dataclasses import asdict, dataclass, fields
from typing import Any
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

@dataclass
class SensorConfig:
    cam_f0: Any
    cam_l0: Any
    cam_l1: Any
    cam_l2: Any
    cam_r0: Any
    cam_r1: Any
    cam_r2: Any
    cam_b0: Any
    lidar_pc: Any

    def get_sensors_at_iteration(self, iteration):
        chosen = asdict(self).items()
        return [name for name, value in chosen if value is True or isinstance(value, list) and iteration in value]

    @classmethod
    def build_no_sensors(cls):
        return cls(*[False] * 9)

@dataclass
class Trajectory:
    poses: Any
    trajectory_sampling: TrajectorySampling

    def __post_init__(self):
        assert self.poses.shape == (self.trajectory_sampling.num_poses, 3)

@dataclass
class Scene:
    frames: Any

    @classmethod
    def from_scene_dict_list(cls, frames, sensor_blobs_path, num_history_frames, num_future_frames, sensor_config):
        assert len(frames) == num_history_frames + num_future_frames
        return cls(frames[num_history_frames - 1])

    @classmethod
    def load_from_disk(cls, file_path, sensor_blobs_path, sensor_config):
        return cls({"token": file_path.stem, "log_name": "synthetic", "timestamp": 0})

@dataclass
class PDMResults:
    no_at_fault_collisions: float
    drivable_area_compliance: float
    ego_progress: float
    time_to_collision_within_bound: float
    comfort: float
    driving_direction_compliance: float
    score: float
""",
    "navsim/common/enums.py": """
from enum import IntEnum

class SceneFrameType(IntEnum):
    ORIGINAL = 0
    SYNTHETIC = 1
""",
    "navsim/planning/scenario_builder/navsim_scenario.py": """
class NavSimScenario:
    def __init__(self, scene, map_root, map_version):
        self.frame = scene.frames
""",
    "navsim/planning/simulation/planner/pdm_planner/simulation/pdm_simulator.py": """
class PDMSimulator:
    def __init__(self, proposal_sampling):
        self.proposal_sampling = proposal_sampling
""",
    "navsim/planning/simulation/planner/pdm_planner/scoring/pdm_scorer.py": """
class PDMScorerConfig:
    def __init__(self, human_penalty_filter=False):
        self.human_penalty_filter = human_penalty_filter

class PDMScorer:
    def __init__(self, proposal_sampling, config):
        self.config = config
""",
    "navsim/planning/metric_caching/metric_cache.py": """
from types import SimpleNamespace
from navsim.common.enums import SceneFrameType

class MetricCache:
    def __init__(self, frame):
        self.token, self.log_name = frame["token"], frame["log_name"]
        self.timepoint = SimpleNamespace(time_s=frame["timestamp"] * 1e-6)
        self.ego_state = SimpleNamespace(rear_axle=SimpleNamespace(x=1.0, y=2.0))
        self.scene_type = SceneFrameType(len(self.token) - 16)
""",
    "nuplan/planning/simulation/trajectory/trajectory_sampling.py": """
from dataclasses import dataclass
from typing import Optional

@dataclass(frozen=True)
class TrajectorySampling:
    num_poses: Optional[int] = None
    time_horizon: Optional[float] = None
    interval_length: Optional[float] = None
""",
    "nuplan/common/actor_state/state_representation.py": """
from dataclasses import dataclass

@dataclass
class StateSE2:
    x: float
    y: float
    heading: float
""",
    "nuplan/common/geometry/convert.py": """
def relative_to_absolute_poses(origin, poses):
    return poses
""",
}

AGENT = """
import torch

class AbstractAgent(torch.nn.Module):
    def __init__(self, {arguments}requires_scene=False):
        super().__init__()
        self.requires_scene = requires_scene
"""

ROW = """
import numpy as np

def make_row(metric_cache, trajectory):
    x = float(trajectory.poses[-1, 0])
    if x > 1e6:
        raise ValueError("too far")
    jumps = bool((np.abs(np.diff(trajectory.poses[:, 0])) > 20.0).any())
    return 1.0, 1.0, min(max(x / 100.0, 0.0), 1.0), 1.0, float(not jumps)
"""

V1 = {
    "navsim/agents/abstract_agent.py": AGENT.format(arguments=""),
    "navsim/planning/metric_caching/metric_cache_processor.py": """
import lzma, pickle
from pathlib import Path
from types import SimpleNamespace
from navsim.planning.metric_caching.metric_cache import MetricCache

class MetricCacheProcessor:
    def __init__(self, cache_path, force_feature_computation):
        self.path = Path(cache_path) / "metric_cache.pkl"

    def compute_metric_cache(self, scenario):
        self.path.write_bytes(lzma.compress(pickle.dumps(MetricCache(scenario.frame))))
        return SimpleNamespace(file_name=self.path)
""",
    "navsim/evaluate/pdm_score.py": ROW
    + """
from navsim.common.dataclasses import PDMResults

def pdm_score(metric_cache, model_trajectory, future_sampling, simulator, scorer):
    nc, dac, ep, ttc, comfort = make_row(metric_cache, model_trajectory)
    return PDMResults(nc, dac, ep, ttc, comfort, 1.0, nc * dac * (5 * ep + 5 * ttc + 2 * comfort) / 12)
""",
}

V2 = {
    "navsim/agents/abstract_agent.py": AGENT.format(arguments="trajectory_sampling, "),
    "navsim/traffic_agents_policies/log_replay_traffic_agents.py": """
class LogReplayTrafficAgents:
    def __init__(self, sampling):
        self.sampling = sampling

class ReactiveTrafficAgents(LogReplayTrafficAgents):
    pass
""",
    "navsim/planning/script/config/common/traffic_agents_policy/navsim_IDM_traffic_agents.yaml": """
reactive:
  _target_: navsim.traffic_agents_policies.log_replay_traffic_agents.ReactiveTrafficAgents
""",
    "navsim/planning/script/run_pdm_score.py": """
from navsim.planning.script.run_pdm_score_one_stage import compute_final_scores

def create_scene_aggregators(all_mappings, full_score_df, proposal_sampling):
    rows = full_score_df.copy()
    assert all(states.shape == (41, 11) for states in rows.pop("ego_simulated_states"))
    assert sorted(set(rows["frame_type"])) == [0, 1]
    rows["two_frame_extended_comfort"], rows["weight"] = 1.0, 0.5
    return rows

def calculate_individual_mapping_scores(pdm_score_df, all_mappings):
    scores = pdm_score_df.set_index("token").drop(columns="weight")
    first = scores.loc[[token for pair in all_mappings for token in pair]].mean()
    second = scores.loc[[token for pairs in all_mappings.values() for pair in pairs for token in pair]].mean()
    return first * second, first, second
""",
    "navsim/planning/metric_caching/metric_cache_processor.py": """
from navsim.planning.metric_caching.metric_cache import MetricCache

class MetricCacheProcessor:
    def __init__(self, cache_path, force_feature_computation, proposal_sampling):
        pass

    def compute_metric_cache(self, scenario):
        return MetricCache(scenario.frame)
""",
    "navsim/evaluate/pdm_score.py": ROW
    + """
import pandas

# modified_any: by this name the mended filter is told
def pdm_score(metric_cache, model_trajectory, future_sampling, simulator, scorer, traffic_agents_policy):
    assert scorer.config.human_penalty_filter
    nc, dac, ep, ttc, comfort = make_row(metric_cache, model_trajectory)
    row = {
        "no_at_fault_collisions": nc,
        "drivable_area_compliance": dac,
        "driving_direction_compliance": 1.0,
        "traffic_light_compliance": 1.0,
        "ego_progress": ep,
        "time_to_collision_within_bound": ttc,
        "lane_keeping": 1.0,
        "history_comfort": comfort,
    }
    return pandas.DataFrame([row]), np.zeros((41, 11))
""",
    "navsim/planning/script/run_pdm_score_one_stage.py": """
import numpy as np

def create_scene_aggregators(all_mappings, full_score_df, proposal_sampling):
    (now, before), = all_mappings.items()
    rows = full_score_df.set_index("token")
    interval = rows.loc[now, "start_time"] - rows.loc[before, "start_time"]
    assert 0 < interval < 0.55, interval
    rows["two_frame_extended_comfort"] = np.nan
    rows.loc[now, "two_frame_extended_comfort"] = 1.0
    return rows.reset_index().drop(columns=["ego_simulated_states"])

def compute_final_scores(pdm_score_df):
    rows = pdm_score_df.copy()
    comfort = rows["two_frame_extended_comfort"].fillna(0.0)
    rows["score"] = (rows["ego_progress"] + comfort) / 2
    return rows
""",
}


def write_stand_in(folder: Path, generation: int) -> Path:
    """Write the stand-in of v1.1 or v2.2 below `folder`, with every package's `__init__.py`; returns the folder."""
    files: Dict[str, str] = {**SHARED, **(V1 if generation == 1 else V2)}
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        for parent in list(path.relative_to(folder).parents)[:-1]:
            (folder / parent / "__init__.py").touch()
    return folder
