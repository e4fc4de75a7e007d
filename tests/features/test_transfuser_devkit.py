"""Features and targets of TransFuser against those of the unmodified devkits: `pytest -m navsim`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.features.transfuser import TransfuserFeatures
from latentvla_agent.features.transfuser_targets import TransfuserTargets
from tests.data.log_factory import SHARED_DATA
from tests.features.sensor_scenes import SPLIT, TOKEN, open_scene, write_scene
from tests.real_devkits import find_real_devkits, run_in_devkit

pytestmark = pytest.mark.navsim
SCRIPT = Path(__file__).with_name("devkit_transfuser.py")
GOLDEN = SHARED_DATA / "golden" / "dev"
NUM_SCENES = 40
SHARE_OF_CELLS = 0.001  # where an edge crosses the border of the picture, see `features.drawing`


def run_script(devkit: Path, *arguments: Any) -> None:
    """The devkit's side of a test."""
    run_in_devkit(devkit, [SCRIPT, *map(str, arguments)])


def same(tensors: Dict[str, Any], found: Any, prefix: str = "") -> bool:
    """Whether our tensors made of NAVSIM's types are those made of ours."""
    return all(np.array_equal(tensor.numpy(), found[prefix + name]) for name, tensor in tensors.items())


def test_features_are_equal(tmp_path: Path) -> None:
    write_scene(tmp_path, ["cam_l0", "cam_f0", "cam_r0", "lidar_pc"])
    builder = TransfuserFeatures()
    ours = builder.compute_features(open_scene(tmp_path).get_agent_input(builder.sensor_config))
    for index, devkit in enumerate(find_real_devkits()):
        run_script(devkit, tmp_path, SPLIT, tmp_path / f"out{index}", "features", TOKEN)
        found = np.load(tmp_path / f"out{index}" / f"{TOKEN}.npz")
        assert np.array_equal(np.round(255 * found["camera_feature"]), ours["image"].numpy())
        assert np.array_equal(found["camera_feature"], (ours["image"].float() / 255).numpy())
        assert np.array_equal(found["lidar_feature"], (ours["lidar"].double() / 5).float().numpy())
        assert np.array_equal(np.roll(found["status_feature"], 4), ours["ego_status"].numpy())  # command first
        assert same(ours, found)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} is absent")
def test_targets_are_equal_but_for_a_few_cells(tmp_path: Path) -> None:
    split = Split("dev", GOLDEN / "navsim_logs" / "dev", SceneFilter(frame_interval=1), "golden")
    index = index_scenes(split)
    chosen = index.refs[:: len(index.refs) // NUM_SCENES]
    loader, builder = SceneLoader(index, MapStore(GOLDEN / "maps")), TransfuserTargets()
    targets = {scene.token: builder.compute_targets(scene) for scene in loader.load_scenes(chosen)}
    for number, devkit in enumerate(find_real_devkits()):
        run_script(devkit, GOLDEN, "dev", tmp_path / str(number), "targets", *targets)
        different = []
        for token, ours in targets.items():
            found = np.load(tmp_path / str(number) / f"{token}.npz")
            assert np.array_equal(found["agent_states"], ours["agent_boxes"].numpy())
            assert np.array_equal(found["agent_labels"], ours["agent_labels"].numpy())
            np.testing.assert_allclose(found["trajectory"], ours["trajectory"].numpy(), rtol=0, atol=4e-6)
            different.append(np.mean(found["bev_semantic_map"] != ours["bev_semantics"].numpy()))
            assert same(ours, found, "our_")
        assert np.mean(different) < SHARE_OF_CELLS and max(different) < 10 * SHARE_OF_CELLS
