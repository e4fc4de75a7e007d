"""The vehicles around the ego, nearest first: a target that TransFuser learns beside the trajectory."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import AgentBoxIndex, BoxIndex

VEHICLE = "vehicle"
COLUMNS = [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING, BoxIndex.LENGTH, BoxIndex.WIDTH]  # of an annotation, in that order


def nearest_vehicles(
    annotations: Any, number: int, reach: float
) -> Tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Boxes (number, 5; `AgentBoxIndex`) of vehicles within `reach` [m] ahead, behind and aside, and which are real.

    Rows beyond the last vehicle are zeros and False. As NAVSIM's TransFuser (`transfuser_features.py`).
    """
    boxes, labels = np.zeros((number, len(AgentBoxIndex)), np.float32), np.zeros(number, bool)
    found = np.asarray(annotations.boxes, np.float32).reshape(-1, len(BoxIndex))[:, COLUMNS]
    centres = found[:, : AgentBoxIndex.HEADING]
    is_near = np.all(np.abs(centres) <= reach, axis=1)
    is_vehicle = np.array([name == VEHICLE for name in annotations.names], dtype=bool)
    found = found[is_near & is_vehicle]
    distances = np.linalg.norm(found[:, : AgentBoxIndex.HEADING], axis=1)
    nearest = found[np.argsort(distances, kind="stable")[:number]]
    boxes[: len(nearest)], labels[: len(nearest)] = nearest, True
    return boxes, labels
