"""From raw samples of a simulation to the smooth tracks of a recording."""

from __future__ import annotations

import math
from typing import Dict, List, Sequence, Tuple

import numpy as np

from latentvla_agent.world.traffic.capture import Capture, Prop, Trace
from latentvla_agent.world.traffic.config import STEP_S
from latentvla_agent.world.traffic.recording import EGO_TYPE, FloatArray, StateIndex, Track
from latentvla_agent.world.traffic.smoothing import (
    SmoothingConfig,
    find_braking,
    measure_arc,
    smooth_drive,
    smooth_walk,
)

WALKER, RIDER = "pedestrian", "bicycle"
EGO_MODEL = "suv"  # what one ego looks like to another
POSITION_DECIMALS, ANGLE_DECIMALS = 3, 6  # 1 mm, 1e-6 rad


def make_tracks(
    capture: Capture, props: Sequence[Prop], config: SmoothingConfig
) -> Tuple[List[Track], Dict[str, List[str]]]:
    """Tracks of road users, then of props, cut to the recording, and for egos the lane under the rear axle."""
    tracks: List[Track] = []
    lane_of: Dict[str, List[str]] = {}
    for trace in capture.traces.values():
        skipped = max(-trace.first_step, 0)  # the warm-up helps to smooth, and goes
        if len(trace.points) <= skipped:
            continue
        states, lanes = _smooth(trace, config)
        tracks.append(_make_track(trace, states[skipped:], trace.first_step + skipped, config))
        if trace.kind.model == EGO_TYPE:
            lane_of[trace.key] = lanes[skipped:]
    tracks += [_make_prop_track(prop) for prop in props if prop.states]
    return tracks, lane_of


def _smooth(trace: Trace, config: SmoothingConfig) -> Tuple[FloatArray, List[str]]:
    points = np.array(trace.points)
    heading = math.radians(90.0 - trace.start_angle)  # SUMO counts clockwise from north
    if trace.kind.name == WALKER:
        return smooth_walk(points, heading, STEP_S, config), []
    is_ego = trace.kind.model == EGO_TYPE
    states, rear_arc = smooth_drive(points, heading, trace.kind.length, STEP_S, config, is_ego)
    if not is_ego:
        return states, []
    rows = np.searchsorted(measure_arc(points), rear_arc)  # when the front bumper was where the rear axle is
    return states, [trace.lanes[min(row, len(trace.lanes) - 1)] for row in rows.tolist()]


def _make_track(trace: Trace, states: FloatArray, first_step: int, config: SmoothingConfig) -> Track:
    kind, lit = trace.kind, np.zeros(len(states), dtype=np.bool_)
    if kind.name not in (WALKER, RIDER):
        lit = find_braking(states[:, StateIndex.SPEED], STEP_S, config)
    model = EGO_MODEL if kind.model == EGO_TYPE else kind.model
    return Track(trace.key, kind.name, model, kind.length, kind.width, kind.height, first_step, _round(states), lit)


def _make_prop_track(prop: Prop) -> Track:
    states = np.array(prop.states)
    states[:, StateIndex.HEADING] = np.unwrap(states[:, StateIndex.HEADING])
    lit = np.zeros(len(states), dtype=np.bool_)
    return Track(prop.key, prop.name, prop.model, *prop.size, prop.first_step, _round(states), lit)


def _round(states: FloatArray) -> FloatArray:
    rounded = np.round(states, POSITION_DECIMALS)
    rounded[:, StateIndex.HEADING] = np.round(states[:, StateIndex.HEADING], ANGLE_DECIMALS)
    return rounded
