"""Vehicles around the ego."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from latentvla_agent.data.scene import AgentBoxIndex
from latentvla_agent.features.agent_boxes import nearest_vehicles


def test_vehicles_nearby_nearest_first() -> None:
    boxes = np.zeros((6, 7), np.float32)
    boxes[:, 0] = [20, 5, 33, -32, 1, 8]
    boxes[:, 3:] = [[4.5, 2.0, 1.6, 0.25]]
    names = ["vehicle", "vehicle", "vehicle", "vehicle", "pedestrian", "bicycle"]
    annotations = SimpleNamespace(boxes=boxes, names=names)
    found, labels = nearest_vehicles(annotations, 5, 32.0)
    assert found.shape == (5, len(AgentBoxIndex)) and found.dtype == np.float32
    assert labels.tolist() == [True, True, True, False, False]
    assert found[:, AgentBoxIndex.X].tolist() == [5, 20, -32, 0, 0]
    assert found[0].tolist() == [5.0, 0.0, 0.25, 4.5, 2.0] and not found[3:].any()
    few, labels = nearest_vehicles(annotations, 2, 32.0)
    assert few[:, 0].tolist() == [5, 20] and labels.all()


def test_nobody() -> None:
    found, labels = nearest_vehicles(SimpleNamespace(boxes=np.empty((0, 7)), names=[]), 3, 32.0)
    assert not found.any() and not labels.any()
