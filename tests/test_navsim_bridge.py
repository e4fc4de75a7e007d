"""The agent that NAVSIM's scripts get, around planners of ours, with a stand-in of the devkit and with a real one.

Everything that imports a devkit runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from latentvla_agent import navsim_bridge
from latentvla_agent.agent_files import list_agent_files
from latentvla_agent.data.roots import find_roots
from latentvla_agent.evaluation.devkit_process import complete_maps
from tests.devkit_stand_in import write_stand_in
from tests.real_devkits import find_real_devkits, run_in_devkit

ROOT = Path(__file__).resolve().parents[1]
PRELUDE = """
import pickle, sys
from types import SimpleNamespace
import numpy as np
import torch
from latentvla_agent import navsim_bridge
from latentvla_agent.baselines import ConstantVelocityAgent, HumanAgent
assert not {"navsim", "nuplan"} & set(sys.modules), "the bridge imports nothing before it must"
NavsimAgent = navsim_bridge.NavsimAgent
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import SensorConfig, Trajectory
status = SimpleNamespace(
    ego_pose=np.zeros(3), ego_velocity=np.array([3.0, 4.0], np.float32),
    ego_acceleration=np.zeros(2, np.float32), driving_command=np.array([0, 1, 0, 0]),
)
agent_input = SimpleNamespace(ego_statuses=[status], cameras=[], lidars=[])
"""


def run_python(devkit: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with a devkit on the path."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(devkit), str(ROOT)]), "NUPLAN_MAPS_ROOT": "/maps"}
    return subprocess.run([sys.executable, "-c", PRELUDE + code], env=environ, capture_output=True, text=True)


def check(devkit: Path, code: str) -> List[str]:
    """Lines that the code prints; fails with what it raises."""
    run = run_python(devkit, code)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture(scope="module", params=(1, 2))
def devkit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in of either version."""
    return write_stand_in(tmp_path_factory.mktemp("devkit"), request.param)


def test_one_class_serves_both_versions(devkit: Path) -> None:
    code = """
agent = NavsimAgent(planner=ConstantVelocityAgent())
assert isinstance(agent, AbstractAgent) and navsim_bridge.NavsimAgent is NavsimAgent
agent.initialize()
assert not agent.requires_scene and NavsimAgent(planner=HumanAgent()).requires_scene
config = agent.get_sensor_config()
assert type(config) is SensorConfig and config.get_sensors_at_iteration(3) == []
plan = agent.compute_trajectory(agent_input)
assert type(plan) is Trajectory and plan.poses.dtype == np.float32
print(agent.name(), plan.poses[-1].tolist(), plan.trajectory_sampling.num_poses)
again = pickle.loads(pickle.dumps(agent))
assert type(again) is NavsimAgent and again.planner.trajectory_sampling == agent.planner.trajectory_sampling
"""
    assert check(devkit, code) == ["ConstantVelocityAgent [20.0, 0.0, 0.0] 8"]


@pytest.mark.slow
def test_a_planner_that_does_not_learn_says_so(devkit: Path) -> None:
    run = run_python(devkit, "NavsimAgent(planner=ConstantVelocityAgent()).get_feature_builders()")
    assert run.stderr.strip().splitlines()[-1].startswith("NotImplementedError: ConstantVelocityAgent does not learn")


@pytest.mark.slow
def test_a_learned_planner_trains_as_navsim_trains(devkit: Path, tmp_path: Path) -> None:
    code = f"""
from latentvla_agent.agent import LatentVLAAgent
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.models.ego_status_mlp import EgoStatusMLP

def make(path=None):
    torch.manual_seed(0)
    return NavsimAgent(planner=LatentVLAAgent(EgoStatusFeatures(), EgoStatusMLP(hidden_size=16), path, 1e-2))

agent = make()
features = {{}}
for builder in agent.get_feature_builders():
    features.update(builder.compute_features(agent_input))
features = {{key: value[None] for key, value in features.items()}}
targets = {{"trajectory": torch.ones(1, 8, 3)}}
optimizer = agent.get_optimizers()
losses = []
for _ in range(50):
    loss = agent.compute_loss(features, targets, agent.forward(features))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < 0.5 * losses[0], losses
assert agent.get_training_callbacks() == []
state = {{f"agent.{{name}}": tensor for name, tensor in agent.state_dict().items()}}
torch.save({{"state_dict": state, "epoch": 3}}, "{tmp_path}/last.ckpt")
other = make("{tmp_path}/last.ckpt")
other.initialize()
mine, theirs = (one.compute_trajectory(agent_input).poses for one in (agent, other))
assert np.array_equal(mine, theirs)
print(sorted(state)[0])
"""
    assert check(devkit, code) == ["agent.planner.model.layers.0.bias"]


def test_a_privileged_planner_gets_a_scene_of_ours(devkit: Path) -> None:
    code = """
class Looks:
    trajectory_sampling, requires_scene = HumanAgent().trajectory_sampling, True
    def name(self): return "Looks"
    def compute_trajectory(self, agent_input, scene):
        frame = scene.current_frame
        print(frame.token, frame.roadblock_ids, frame.traffic_lights, frame.annotations.boxes.shape, frame.timestamp)
        print(scene.token, scene.map_source is not None)
        return scene.get_future_trajectory(8)

def make_frame(i):
    status = SimpleNamespace(
        ego_pose=np.array([5.0 * i, 0.0, 0.0]), ego_velocity=np.zeros(2), ego_acceleration=np.zeros(2),
        driving_command=np.zeros(4),
    )
    seen = SimpleNamespace(
        boxes=np.zeros((0, 7), np.float32), names=[], velocity_3d=np.zeros((0, 3)), instance_tokens=[], track_tokens=[]
    )
    return SimpleNamespace(
        token=f"token-{i}", timestamp=np.int64(i), roadblock_ids=[12, "7"], traffic_lights=[(3, 1)], annotations=seen,
        ego_status=status,
    )

metadata = SimpleNamespace(
    log_name="log", scene_token="scene", map_name="sg-one-north", initial_token="token-3", num_history_frames=4,
    num_future_frames=10,
)
scene = SimpleNamespace(scene_metadata=metadata, frames=[make_frame(i) for i in range(14)])
plan = NavsimAgent(planner=Looks()).compute_trajectory(agent_input, scene)
print(plan.poses[:, 0].tolist(), plan.trajectory_sampling.interval_length)
"""
    assert check(devkit, code) == [
        "token-3 ['12', '7'] [('3', True)] (0, 7) 3",
        "token-3 True",
        "[5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0] 0.5",
    ]


@pytest.mark.slow
def test_targets_are_made_of_scenes_of_ours(devkit: Path) -> None:
    code = """
from latentvla_agent.data.scene import Scene, SensorConfig as OurConfig

class Targets:
    def get_unique_name(self): return "targets"
    def compute_targets(self, scene):
        assert isinstance(scene, Scene)
        return {"scene": scene.token, "maps": scene.map_source}

class Learner:
    trajectory_sampling, requires_scene, compute_loss = HumanAgent().trajectory_sampling, False, None
    def get_target_builders(self): return [Targets()]
    def get_sensor_config(self): return OurConfig(cam_f0=[3], picture_size=(480, 270))

agent = NavsimAgent(planner=Learner())
assert agent.get_sensor_config().get_sensors_at_iteration(3) == ["cam_f0"]
(builder,) = agent.get_target_builders()
metadata = SimpleNamespace(
    log_name="log", scene_token="scene", map_name="sg-one-north", initial_token="token-3", num_history_frames=4,
    num_future_frames=10,
)
one, other = (builder.compute_targets(SimpleNamespace(scene_metadata=metadata, frames=[])) for _ in range(2))
assert one["maps"] is other["maps"], "maps are read once"
print(builder.get_unique_name(), one["scene"], type(pickle.loads(pickle.dumps(builder))).__name__)
"""
    assert check(devkit, code) == ["targets token-3 TargetsOfOurScene"]


def test_the_unrelated_package_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "navsim").mkdir()
    (tmp_path / "navsim" / "__init__.py").write_text("")
    run = run_python(tmp_path, "")
    assert "ImportError: expected the NAVSIM devkit" in run.stderr and "PyPI" in run.stderr


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        navsim_bridge.Nothing


@pytest.mark.navsim
def test_every_agent_in_a_real_devkit() -> None:
    """Each of `agents/` is instantiated by Hydra as the stock scripts do, initialised and asked for its sensors."""
    code = """
import sys
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from navsim.agents.abstract_agent import AbstractAgent
with initialize_config_module("navsim.planning.script.config.common", version_base=None):
    for name in sys.argv[1:]:
        agent = instantiate(compose(overrides=[f"+agent={name}"]).agent)
        assert isinstance(agent, AbstractAgent)
        agent.initialize()
        wanted = agent.get_sensor_config().get_sensors_at_iteration(3)
        assert wanted == agent.planner.get_sensor_config().get_sensors_at_iteration(3)
        assert bool(wanted) == (name.startswith(("ipad", "transfuser", "latentvla")) and not name.endswith("_blind"))
        print(name, agent.name())
"""
    # NAVSIM's environment has no open_clip.
    names = [path.stem for path in list_agent_files() if "open_clip_teacher" not in path.read_text()]
    for devkit in find_real_devkits():
        printed = run_in_devkit(devkit, ["-c", code, *names])
        assert [line.split()[0] for line in printed.splitlines()] == names


@pytest.mark.navsim
def test_plans_of_several_scenes_are_simulated_together_to_the_last_bit(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from latentvla_agent.data.logs import read_log
from latentvla_agent.navsim_bridge import OfficialScorer, make_trajectory
maps, log = map(Path, sys.argv[1:])
official, frames, rng = OfficialScorer(maps), read_log(log), np.random.default_rng(0)
plans = []
for start in (0, 3, 6):
    cache = official.build_cache(frames[start : start + 14], 4, 10)
    steps = rng.uniform([0.0, -0.3, -0.1], [6.0, 0.3, 0.1], (2, 8, 3))
    plans.append((cache, [(np.cumsum(own, axis=0), 0.5) for own in steps] + [(np.zeros((8, 3)), 0.5)]))
official.simulate_ahead(plans)
ready = dict(official.simulator._ready)
count = 0
for cache, trajectories in plans:
    reference = official._sample(cache.trajectory, cache.ego_state)
    for poses, interval in trajectories:
        states = np.stack([reference, official._sample(make_trajectory(poses, interval), cache.ego_state)])
        assert official.simulator._key(states, cache.ego_state) in ready
        alone = official.simulator._simulator.simulate_proposals(states, cache.ego_state)
        together = official.simulator.simulate_proposals(states, cache.ego_state)
        assert alone.tobytes() == together.tobytes()
        count += 1
print(count)
"""
    roots = find_roots(environ={}, split="embedded")
    maps = complete_maps(roots, tmp_path / "maps")
    log = sorted(roots.logs.rglob("*.pkl"))[0]
    for devkit in find_real_devkits():
        assert run_in_devkit(devkit, ["-c", code, maps, log], {"NUPLAN_MAPS_ROOT": str(maps)}).split() == ["9"]
