"""A miniature nuScenes database of an embedded log, without sensors, for tests of whatever evaluates on one."""

from __future__ import annotations

from pathlib import Path
from typing import List

from latentvla_agent.data.logs import list_logs
from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.world.nuscenes import MiniatureConfig, write_miniature
from tests.evaluation.commands import EMBEDDED_LOGS

NUM_FRAMES = 18
MAPS = EMBEDDED_FOLDER / "maps"


def embedded_logs() -> List[Path]:
    """The logs that come with the package."""
    return list_logs(EMBEDDED_LOGS)


def write_mini(root: Path, left_hand: bool = False, num_logs: int = 1, num_frames: int = NUM_FRAMES) -> Path:
    """Write the first frames of the first logs; returns the root."""
    config = MiniatureConfig(left_hand, picture_size=None, max_frames=num_frames)
    write_miniature(root, MAPS, embedded_logs()[:num_logs], config)
    return root
