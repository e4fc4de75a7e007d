"""Smooth lines for SUMO's networks: lanes as splines, connectors as curves from lane to lane, speeds that fit them.

The lines are written into the network itself, so that SUMO's vehicles drive exactly on the baselines of the map.
"""

from __future__ import annotations

import math
from typing import Dict, List
from xml.etree.ElementTree import Element

import numpy as np

from latentvla_agent.world.curves import (
    Line,
    cut,
    end_headings,
    join_poses,
    measure_arc,
    resample,
    resample_smoothly,
    smallest_radius,
)
from latentvla_agent.world.network_config import NetworkConfig
from latentvla_agent.world.roads import RoadConnector, Roads, find_lane_elements, find_roads


def smooth_network(root: Element, config: NetworkConfig) -> None:
    """Replace the lines of lanes and connectors of cars in a parsed network, with the lengths and speeds of the latter."""
    roads = find_roads(root)
    elements = find_lane_elements(root.iter("edge"))
    lines = {
        key: resample_smoothly(lane.line, config.smoothing.lane_step_m) for key, lane in roads.lanes.items()
    }
    for key, line in lines.items():
        elements[key].set("shape", _format(line, config.precision))
    for connector in roads.connectors.values():
        curve = _join(lines[connector.from_lane], lines[connector.to_lane], config)
        _set_parts(connector, curve, elements, config)
        _set_speed(connector, curve, roads, elements, config)
    _level_lengths(root, roads)


def _join(before: Line, after: Line, config: NetworkConfig) -> Line:
    headings = end_headings(before)[1], end_headings(after)[0]
    dense = join_poses(before[-1], headings[0], after[0], headings[1], config.smoothing.dense)
    return resample(dense, config.smoothing.connector_step_m)


def _set_parts(connector: RoadConnector, curve: Line, elements: Dict[str, Element], config: NetworkConfig) -> None:
    """Share the curve out among the lanes that SUMO splits a connector into, in proportion to their old lengths."""
    old = np.array([float(elements[part].attrib["length"]) for part in connector.parts])
    ends = np.concatenate([[0.0], np.cumsum(old / old.sum())]) * measure_arc(curve)[-1]
    for part, start, stop in zip(connector.parts, ends[:-1], ends[1:]):
        elements[part].set("shape", _format(cut(curve, float(start), float(stop)), config.precision))
        elements[part].set("length", f"{stop - start:.{config.precision}f}")


def _set_speed(
    connector: RoadConnector, curve: Line, roads: Roads, elements: Dict[str, Element], config: NetworkConfig
) -> None:
    """The lower limit of both lanes, less where the bend would make it uncomfortable."""
    lanes = roads.lanes[connector.from_lane], roads.lanes[connector.to_lane]
    bend = math.sqrt(config.junctions.turn_acceleration * smallest_radius(curve))
    speed = max(min(lanes[0].speed_limit, lanes[1].speed_limit, bend), config.smoothing.least_mps)
    for part in connector.parts:
        elements[part].set("speed", f"{speed:.2f}")


def _level_lengths(root: Element, roads: Roads) -> None:
    """Lanes of one internal edge have one length in SUMO: their mean."""
    for edge in root.iter("edge"):
        lanes: List[Element] = [lane for lane in edge.iter("lane") if lane.attrib["id"] in roads.connector_of_part]
        mean = sum(float(lane.attrib["length"]) for lane in lanes) / max(len(lanes), 1)
        for lane in lanes:
            lane.set("length", f"{mean:.2f}")


def _format(line: Line, digits: int) -> str:
    return " ".join(f"{x:.{digits}f},{y:.{digits}f}" for x, y in line.tolist())
