"""Smooth lines for SUMO's networks: lanes as splines, connectors as curves from lane to lane, speeds that fit them.

The lines are written into the network itself, so that SUMO's vehicles drive exactly on the baselines of the map.
"""

from __future__ import annotations

import math
from typing import Dict, List, Tuple
from xml.etree.ElementTree import Element

import numpy as np

from latentvla_agent.world.roads.config import NetworkConfig
from latentvla_agent.world.roads.curves import (
    Line,
    cut,
    end_headings,
    join_straights,
    measure_arc,
    resample_smoothly,
    smallest_radius,
)
from latentvla_agent.world.roads.lanes import RoadConnector, Roads, find_lane_elements, find_roads

NO_ROOM = 0.0  # radius that stands for a connector whose lanes all but touch


def smooth_network(root: Element, config: NetworkConfig) -> None:
    """Replace the lines, lengths and turning speeds of all lanes for cars in a parsed network."""
    roads = find_roads(root)
    elements = find_lane_elements(root.iter("edge"))
    lines = {key: resample_smoothly(lane.line, config.smoothing.lane_step_m) for key, lane in roads.lanes.items()}
    curves: Dict[str, Line] = {}
    radii: Dict[str, float] = {}
    waiting = list(roads.connectors.values())
    for _ in range(config.smoothing.trim_rounds + 1):
        for connector in waiting:
            curves[connector.key] = _join(lines[connector.from_lane], lines[connector.to_lane], config)
            is_long = measure_arc(curves[connector.key])[-1] >= config.smoothing.least_connector_m
            radii[connector.key] = smallest_radius(curves[connector.key]) if is_long else NO_ROOM
        trimmed = _trim_edges(roads, lines, radii, config)
        waiting = [
            connector
            for connector in roads.connectors.values()
            if connector.from_lane in trimmed or connector.to_lane in trimmed
        ]
    for connector in waiting:
        curves[connector.key] = _join(lines[connector.from_lane], lines[connector.to_lane], config)
    _set_lanes(root, roads, lines, elements, config)
    for connector in roads.connectors.values():
        _set_parts(connector, curves[connector.key], elements, config)
        _set_speed(connector, curves[connector.key], elements, config)
    _level_lengths(root, roads)


def _join(before: Line, after: Line, config: NetworkConfig) -> Line:
    headings = end_headings(before)[1], end_headings(after)[0]
    return join_straights(before[-1], headings[0], after[0], headings[1], config.smoothing.connector_step_m)


def _trim_edges(
    roads: Roads, lines: Dict[str, Line], radii: Dict[str, float], config: NetworkConfig
) -> Dict[str, None]:
    """Shorten the lanes next to tight turns a little, all of an edge alike: longer turns are wider. Returns which."""
    smoothing = config.smoothing
    tight = [c for c in roads.connectors.values() if radii[c.key] < smoothing.turn_radius_m]
    ends: Dict[Tuple[str, bool], float] = {}  # with the length that the lanes keep
    for connector in tight:
        kept = smoothing.least_lane_m if radii[connector.key] > NO_ROOM else smoothing.trim_m
        for end in ((roads.lanes[connector.from_lane].edge, True), (roads.lanes[connector.to_lane].edge, False)):
            ends[end] = min(ends.get(end, kept), kept)
    edges = roads.edges()
    trimmed: Dict[str, None] = {}
    for (edge, at_end), kept in ends.items():
        keys = [lane.key for lane in edges[edge]]
        if min(measure_arc(lines[key])[-1] for key in keys) < kept + smoothing.trim_m:
            continue
        for key in keys:
            lines[key] = _trim(lines[key], at_end, config)
            trimmed[key] = None
    return trimmed


def _trim(line: Line, at_end: bool, config: NetworkConfig) -> Line:
    length = float(measure_arc(line)[-1])
    start, stop = (0.0, length - config.smoothing.trim_m) if at_end else (config.smoothing.trim_m, length)
    return resample_smoothly(cut(line, start, stop), config.smoothing.lane_step_m)


def _set_lanes(
    root: Element, roads: Roads, lines: Dict[str, Line], elements: Dict[str, Element], config: NetworkConfig
) -> None:
    """Write the lines of lanes, and lower speeds where a line bends more than was planned, as in roundabouts.

    The length of an edge, one for all its lanes, shrinks as its lines have.
    """
    for edge in root.iter("edge"):
        lanes = [lane.attrib["id"] for lane in edge.iter("lane") if lane.attrib["id"] in roads.lanes]
        if lanes:
            lengths = [float(measure_arc(lines[key])[-1]) for key in lanes]
            for lane in edge.iter("lane"):
                lane.set("length", f"{sum(lengths) / len(lengths):.2f}")
        for key in lanes:
            bend = math.sqrt(config.junctions.turn_acceleration * smallest_radius(lines[key]))
            elements[key].set("shape", _format(lines[key], config.precision))
            elements[key].set("speed", f"{min(float(elements[key].attrib['speed']), bend):.2f}")


def _set_parts(connector: RoadConnector, curve: Line, elements: Dict[str, Element], config: NetworkConfig) -> None:
    """Share the curve out among the lanes that SUMO splits a connector into, in proportion to their old lengths."""
    old = np.array([float(elements[part].attrib["length"]) for part in connector.parts])
    shares = np.concatenate([[0.0], np.cumsum(old / old.sum())])
    # At vertices, so that no part begins or ends with a step of a few millimetres; each part gets at least one step.
    rows = np.clip(np.round(shares * (len(curve) - 1)).astype(int), np.arange(len(shares)), None).tolist()
    for part, start, stop in zip(connector.parts, rows[:-1], rows[1:]):
        piece = curve[start : stop + 1]
        elements[part].set("shape", _format(piece, config.precision))
        elements[part].set("length", f"{measure_arc(piece)[-1]:.{config.precision}f}")


def _set_speed(connector: RoadConnector, curve: Line, elements: Dict[str, Element], config: NetworkConfig) -> None:
    """The lower limit of both lanes, less where the bend would make it uncomfortable."""
    limits = [float(elements[key].attrib["speed"]) for key in (connector.from_lane, connector.to_lane)]
    bend = math.sqrt(config.junctions.turn_acceleration * smallest_radius(curve))
    speed = max(min(*limits, bend), config.smoothing.least_mps)
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
