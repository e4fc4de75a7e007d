"""Run by a process that has the devkit: features and targets of its TransFuser, and ours, of NAVSIM's own scenes.

    python devkit_transfuser.py ROOT SPLIT OUT features|targets [TOKEN …]

writes `<OUT>/<token>.npz` with the tensors of both builders, each under its own names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from latentvla_agent.data.sensors import SENSOR_NAMES as ALL
from latentvla_agent.features.transfuser import TransfuserFeatures
from latentvla_agent.features.transfuser_targets import TransfuserTargets
from latentvla_agent.navsim_bridge import TargetsOfOurScene

SENSORS = ("cam_l0", "cam_f0", "cam_r0", "lidar_pc")


class ToTensor:
    """What torchvision's class of this name does with a picture (H, W, 3) of uint8."""

    def __call__(self, image: Any) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float32).div(255)


def allow_missing_torchvision() -> None:
    """The devkit's module imports torchvision for one function only."""
    try:
        import torchvision  # noqa: F401
    except ImportError:
        package, transforms = ModuleType("torchvision"), ModuleType("torchvision.transforms")
        package.transforms = transforms  # type: ignore[attr-defined]
        transforms.ToTensor = ToTensor  # type: ignore[attr-defined]
        sys.modules.update({"torchvision": package, "torchvision.transforms": transforms})


def open_loader(root: Path, split: str, with_sensors: bool) -> Any:
    """The devkit's loader over every window of a split."""
    from navsim.common.dataclasses import SceneFilter, SensorConfig
    from navsim.common.dataloader import SceneLoader

    blobs = root / "sensor_blobs" / split
    newer = "original_sensor_path" in SceneLoader.__init__.__code__.co_varnames
    return SceneLoader(
        data_path=root / "navsim_logs" / split,
        scene_filter=SceneFilter(frame_interval=1),
        sensor_config=SensorConfig(**{name: [3] if name in SENSORS and with_sensors else False for name in ALL}),
        **{"original_sensor_path" if newer else "sensor_blobs_path": blobs},
    )


def make_builder(kind: str) -> Any:
    """The devkit's builder of features or targets, of either version."""
    allow_missing_torchvision()
    from navsim.agents.transfuser.transfuser_config import TransfuserConfig
    from navsim.agents.transfuser.transfuser_features import TransfuserFeatureBuilder, TransfuserTargetBuilder
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    if kind == "features":
        return TransfuserFeatureBuilder(TransfuserConfig())
    sampling = TrajectorySampling(time_horizon=4, interval_length=0.5)
    newer = "trajectory_sampling" in TransfuserTargetBuilder.__init__.__code__.co_varnames
    return TransfuserTargetBuilder(**{"trajectory_sampling": sampling} if newer else {}, config=TransfuserConfig())


def main(root: Path, split: str, out: Path, kind: str, *tokens: str) -> None:
    """See the module."""
    os.environ["NUPLAN_MAPS_ROOT"] = str(root / "maps")  # before the devkit is imported, which reads it then
    loader, builder = open_loader(root, split, kind == "features"), make_builder(kind)
    out.mkdir(parents=True, exist_ok=True)
    for token in tokens or loader.tokens:
        if kind == "features":
            agent_input = loader.get_agent_input_from_token(token)
            tensors = {**builder.compute_features(agent_input), **TransfuserFeatures().compute_features(agent_input)}
        else:
            scene = loader.get_scene_from_token(token)
            ours = TargetsOfOurScene(TransfuserTargets()).compute_targets(scene)
            tensors = {**builder.compute_targets(scene), **{f"our_{name}": ours[name] for name in ours}}
        np.savez_compressed(out / f"{token}.npz", **{name: tensor.numpy() for name, tensor in tensors.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
