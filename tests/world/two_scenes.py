"""Two scenes of minitown-val as a split of their own, whose sensors a test can render."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
import yaml

from latentvla_agent.data.calibration import camera_rig, describe_cameras
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.worlds import DEFAULT_WORLD, find_world
from latentvla_agent.errors import DataError

SPLIT = "minitown-two"
LOG_FRAMES = 14 + 1  # two scenes, 0.5 s apart: v2.2's one-stage script wants such a pair


def write_world(root: Path, size: Tuple[int, int]) -> List[str]:
    """A scene of minitown-val and the one after it, with pictures of this size; returns the tokens."""
    try:
        source = find_world(DEFAULT_WORLD)
    except DataError as error:
        pytest.skip(str(error))
    paths = sorted((source / "navsim_logs" / DEFAULT_WORLD).glob("*.pkl"))
    path, frames = next((path, frames[:LOG_FRAMES]) for path in paths if len(frames := read_log(path)) >= LOG_FRAMES)
    rig = camera_rig(*size)
    for frame in frames:
        frame["cams"] = describe_cameras(rig, str(frame["log_name"]), str(frame["token"]))
    write_log(root / "navsim_logs" / SPLIT / path.name, frames)
    (root / "maps").symlink_to(source / "maps")
    tokens = [str(frame["token"]) for frame in frames[3:5]]
    split = yaml.safe_load((source / "train_test_split" / f"{DEFAULT_WORLD}.yaml").read_text())
    split["data_split"] = SPLIT
    split["scene_filter"].update(log_names=[path.stem], tokens=tokens)
    (root / "train_test_split").mkdir()
    (root / "train_test_split" / f"{SPLIT}.yaml").write_text(yaml.safe_dump(split))
    return tokens
