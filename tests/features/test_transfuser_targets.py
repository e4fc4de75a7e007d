"""The targets of TransFuser, for scenes of the embedded logs."""

from __future__ import annotations

import torch

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import EMBEDDED_FOLDER, EMBEDDED_SPLIT
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.features.bev_semantics import BevClass, BevConfig
from latentvla_agent.features.transfuser_targets import TransfuserTargets, TransfuserTargetsConfig


def test_shapes_and_content() -> None:
    index = index_scenes(
        Split(EMBEDDED_SPLIT, EMBEDDED_FOLDER / "navsim_logs" / EMBEDDED_SPLIT, SceneFilter(), "embedded")
    )
    scene = SceneLoader(index, MapStore(EMBEDDED_FOLDER / "maps")).build(index.refs[0])
    found = TransfuserTargets().compute_targets(scene)
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in found.items()} == {
        "trajectory": ((8, 3), torch.float32),
        "agent_boxes": ((30, 5), torch.float32),
        "agent_labels": ((30,), torch.bool),
        "bev_semantics": ((128, 256), torch.uint8),
    }
    assert found["bev_semantics"].max() < len(BevClass)
    assert (found["bev_semantics"] == BevClass.ROAD).float().mean() > 0.02  # the ego is on a road
    distances = found["agent_boxes"][found["agent_labels"], :2].norm(dim=1)
    assert len(distances) > 0 and torch.equal(distances, distances.sort().values)


def test_the_name_tells_configurations_apart() -> None:
    other = TransfuserTargets(TransfuserTargetsConfig(bev=BevConfig(rows=64)))
    assert TransfuserTargets().get_unique_name() != other.get_unique_name()
