"""Speed limits for curves: SUMO's drivers know the limit of a lane, but not how it bends."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from latentvla_agent.world.traffic.config import TrafficConfig
from latentvla_agent.world.traffic.recording import FloatArray

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import Roads

SPACING_M = 1.0
BEND_WINDOW = 5  # spacings over which a bend is measured: single vertices of a polyline are no bends


def limit_curve_speeds(sumo: ModuleType, roads: Roads, config: TrafficConfig) -> None:
    """Lower the limit of each lane to what its tightest bend allows at the configured lateral acceleration."""
    for lane in roads.lanes.values():
        speed = min(lane.speed_limit, curve_speed(lane.line, config.curve_acceleration, config))
        sumo.lane.setMaxSpeed(lane.key, speed)
    for connector in roads.connectors.values():
        speed = min(connector.speed_limit, curve_speed(connector.line, config.turn_acceleration, config))
        for part in connector.parts:
            sumo.lane.setMaxSpeed(part, speed)


def curve_speed(line: FloatArray, acceleration: float, config: TrafficConfig) -> float:
    """Speed [m/s] at which the tightest bend of a line (M, 2) is comfortable; infinite for a straight line."""
    bend = tightest_bend(line)
    if bend < MIN_BEND:
        return float("inf")
    return max(float(np.sqrt(acceleration / bend)), config.min_curve_speed)


MIN_BEND = 1e-6


def tightest_bend(line: FloatArray) -> float:
    """Largest curvature [1/m] of a line (M, 2), measured over some metres."""
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0.0, arc[-1], max(int(arc[-1] / SPACING_M), 2) + 1)
    points = np.column_stack([np.interp(at, arc, line[:, 0]), np.interp(at, arc, line[:, 1])])
    steps = np.diff(points, axis=0)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    window = min(BEND_WINDOW, len(headings) - 1)
    bends = np.abs(headings[window:] - headings[:-window]) / (window * (at[1] - at[0]))
    return float(bends.max())
