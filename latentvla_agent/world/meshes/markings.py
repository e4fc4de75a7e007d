"""What is painted on a road: edge lines, lines between lanes, centre lines, stop lines, arrows, crosswalks, bays."""

from __future__ import annotations

from enum import IntEnum
from typing import Dict, List, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.world.meshes.areas import intersect
from latentvla_agent.world.meshes.lines import cut_dashes, cut_line, measure_line, offset_line, sample_line
from latentvla_agent.world.meshes.mesh import FloatArray, Ground
from latentvla_agent.world.meshes.street_area import StreetArea, Strip, list_polygons
from latentvla_agent.world.meshes.street_config import MarkingConfig

Paint = Tuple[shapely.Geometry, int]  # an area and its label


# An arrow in metres from its tip: forward, to the left.
_ARROW_SHAFT = [(-4.6, -0.10), (-1.2, -0.10), (-1.2, 0.10), (-4.6, 0.10)]
_ARROW_HEAD = [(-1.4, -0.40), (0.0, 0.0), (-1.4, 0.40)]
_ARROW_ARM = [(-0.9, -0.05), (-0.55, -0.10), (0.12, 0.60), (-0.12, 0.75)]
_ARROW_SIDE_HEAD = [(-0.60, 0.60), (0.60, 0.60), (0.0, 1.40)]
_ARROW_BEND, _ARROW_FORK = -1.2, -2.6  # where an arrow turns, alone and beside one that goes straight


class Beside(IntEnum):
    """What lies beside a lane."""

    NOTHING = 0
    SAME_WAY = 1
    OTHER_WAY = 2


def list_markings(area: StreetArea, config: MarkingConfig) -> List[Paint]:
    """All road markings, in the order in which they are painted."""
    spans = find_lane_spans(area, config)
    return [
        *_paint_lanes(area, spans, config),
        *_paint_stop_lines(area, spans, config),
        *_paint_bays(area, config),
        *_paint_crosswalks(area, config),
    ]


def find_lane_spans(area: StreetArea, config: MarkingConfig) -> Dict[str, Tuple[float, float]]:
    """From where to where along each lane, by id, its lines go: all of it but for crosswalks across its ends."""
    tree = shapely.STRtree(list(area.crosswalks)) if area.crosswalks else None
    spans: Dict[str, Tuple[float, float]] = {}
    for lane in area.lanes:
        total, line = measure_line(lane.line), shapely.LineString(lane.line)
        start, end = 0.0, total
        for row in [] if tree is None else sorted(tree.query(line, predicate="intersects").tolist()):
            crossed = shapely.points(shapely.get_coordinates(shapely.intersection(line, area.crosswalks[row])))
            along = shapely.line_locate_point(line, crossed)
            if along.max() > total - config.stop_search:
                end = min(end, max(float(along.min()) - config.stop_setback, 0.0))
            elif along.min() < config.stop_search:
                start = max(start, float(along.max()))
        spans[lane.id] = (min(start, end), end)
    return spans


def _paint_lanes(area: StreetArea, spans: Dict[str, Tuple[float, float]], config: MarkingConfig) -> List[Paint]:
    tree = shapely.STRtree([shapely.LineString(lane.line) for lane in area.lanes])
    solid: List[FloatArray] = []
    centre: List[FloatArray] = []
    broken: List[FloatArray] = []
    for row, lane in enumerate(area.lanes):
        start, end = spans[lane.id]
        if end - start < config.min_lane:
            continue
        line = cut_line(lane.line, start, end)
        for side in (1.0, -1.0):
            beside = look_beside(area.lanes, tree, row, side, config)
            edge = side * 0.5 * lane.width
            if beside == Beside.NOTHING:
                solid.append(offset_line(line, edge - side * config.edge_inset))
            elif beside == Beside.OTHER_WAY:
                centre.append(offset_line(line, edge - side * config.centre_inset))
            elif side > 0.0:  # the lane on the left of two paints the line between them
                broken += cut_dashes(offset_line(line, edge), config.dash, config.dash_gap)
    return [
        *_paint_lines(solid, config.line_width, Ground.WHITE),
        *_paint_lines(broken, config.line_width, Ground.WHITE),
        *_paint_lines(centre, config.line_width, Ground.YELLOW),
    ]


def look_beside(lanes: Sequence[Strip], tree: shapely.STRtree, row: int, side: float, config: MarkingConfig) -> Beside:
    """What most of the lane in `row` has on its left (`side` 1) or right (-1)."""
    lane = lanes[row]
    distances = measure_line(lane.line) * (np.arange(config.samples) + 0.5) / config.samples
    points, tangents = sample_line(lane.line, distances)
    normals = side * np.column_stack([-tangents[:, 1], tangents[:, 0]])
    places = points + normals * (0.5 * lane.width + config.look_aside)
    votes = [_look_at(lanes, tree, row, place, tangent) for place, tangent in zip(places, tangents)]
    return max(Beside, key=lambda kind: (votes.count(kind), -kind))


def _look_at(lanes: Sequence[Strip], tree: shapely.STRtree, own: int, place: FloatArray, tangent: FloatArray) -> Beside:
    point = shapely.Point(place)
    kinds = set()
    for row in tree.query(point.buffer(0.5 * max(lanes[own].width, 3.0) + 0.5)).tolist():
        line = shapely.LineString(lanes[row].line)
        if row == own or line.distance(point) > 0.5 * lanes[row].width:
            continue
        along = float(line.line_locate_point(point))
        _, direction = sample_line(lanes[row].line, np.array([along]))
        kinds.add(Beside.SAME_WAY if float(direction[0] @ tangent) > 0.0 else Beside.OTHER_WAY)
    return max(kinds) if kinds else Beside.NOTHING


def _paint_lines(lines: Sequence[FloatArray], width: float, label: Ground) -> List[Paint]:
    if not lines:
        return []
    drawn = shapely.linestrings(
        np.concatenate(lines), indices=np.repeat(np.arange(len(lines)), [len(a) for a in lines])
    )
    return [
        (polygon, int(label)) for polygon in shapely.buffer(drawn, 0.5 * width, cap_style="flat", join_style="bevel")
    ]


def _paint_stop_lines(area: StreetArea, spans: Dict[str, Tuple[float, float]], config: MarkingConfig) -> List[Paint]:
    """Bars across the lanes that end at a traffic light or at a stop polygon, and arrows before them."""
    turns = _list_turns(area)
    must_stop = {strip.source_id for strip in area.signalised}
    stops = shapely.STRtree(list(area.stops)) if area.stops else None
    bars: List[FloatArray] = []
    arrows: List[Paint] = []
    for lane in area.lanes:
        end = spans[lane.id][1] - 0.5 * config.stop_width
        if end < config.min_lane:
            continue
        points, tangents = sample_line(lane.line, np.array([end]))
        across = np.array([-tangents[0, 1], tangents[0, 0]]) * (0.5 * lane.width - config.edge_inset)
        if lane.id not in must_stop and not (
            stops is not None and len(stops.query(shapely.Point(points[0]).buffer(lane.width), predicate="intersects"))
        ):
            continue
        bars.append(np.array([points[0] - across, points[0] + across]))
        if end > config.arrow_min_lane:
            arrows += paint_arrow(lane.line, end - config.arrow_before_stop, turns.get(lane.id, ()), config)
    return [*_paint_lines(bars, config.stop_width, Ground.WHITE), *arrows]


def _list_turns(area: StreetArea) -> Dict[str, Tuple[float, ...]]:
    """By lane, the angles in radians by which its connectors turn, to the left positive."""
    turns: Dict[str, Tuple[float, ...]] = {}
    for strip in area.connectors:
        turns[strip.source_id] = (*turns.get(strip.source_id, ()), measure_turn(strip.line))
    return turns


def measure_turn(line: FloatArray) -> float:
    """Radians from a line's first to its last direction, in -π…π, to the left positive."""
    first, last = line[1] - line[0], line[-1] - line[-2]
    return float(np.arctan2(first[0] * last[1] - first[1] * last[0], first @ last))


def paint_arrow(line: FloatArray, at: float, turns: Sequence[float], config: MarkingConfig) -> List[Paint]:
    """An arrow whose heads show the ways that a lane goes on; `at` is its tip's distance from the lane's start."""
    points, tangents = sample_line(line, np.array([at]))
    forward, left = tangents[0], np.array([-tangents[0, 1], tangents[0, 0]])
    goes_on = any(abs(turn) < config.turn_angle for turn in turns)
    bend = _ARROW_FORK if goes_on else _ARROW_BEND
    shapes: List[List[Tuple[float, float]]] = []
    if goes_on:
        shapes += [_ARROW_SHAFT, _ARROW_HEAD]
    elif turns:
        shapes.append([(x if x < bend else bend, y) for x, y in _ARROW_SHAFT])
    for sign in (1.0, -1.0):
        if any(sign * turn >= config.turn_angle for turn in turns):
            shapes += [[(bend + x, sign * y) for x, y in shape] for shape in (_ARROW_ARM, _ARROW_SIDE_HEAD)]
    return [
        (shapely.Polygon([points[0] + x * forward + y * left for x, y in shape]), int(Ground.WHITE)) for shape in shapes
    ]


def _paint_crosswalks(area: StreetArea, config: MarkingConfig) -> List[Paint]:
    """Stripes along the traffic, side by side from kerb to kerb."""
    painted: List[Paint] = []
    for crosswalk in area.crosswalks:
        on_road = intersect(shapely.buffer(crosswalk, -config.crosswalk_inset), area.road)
        if on_road.area < config.stripe:
            continue
        painted.append((on_road, int(Ground.ASPHALT)))  # no lane line goes through a crosswalk
        painted += [(intersect(stripe, on_road), int(Ground.WHITE)) for stripe in _cut_stripes(crosswalk, config)]
    return painted


def _cut_stripes(crosswalk: shapely.Geometry, config: MarkingConfig) -> List[shapely.Polygon]:
    """Rectangles across the long axis of a crosswalk's smallest rectangle."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(crosswalk))
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    if np.linalg.norm(first) < np.linalg.norm(second):
        corners, first, second = corners[1:], second, corners[0] - corners[1]
    length = float(np.linalg.norm(first))
    unit, across = first / length, second
    pitch = config.stripe + config.stripe_gap
    starts = np.arange(0.5 * config.stripe_gap, length - 0.5 * config.stripe, pitch)
    base = corners[0]
    return [
        shapely.Polygon([base + s * unit, base + (s + config.stripe) * unit,
                         base + (s + config.stripe) * unit + across, base + s * unit + across])
        for s in starts
    ]  # fmt: skip


def _paint_bays(area: StreetArea, config: MarkingConfig) -> List[Paint]:
    """Lines between parking bays along both long sides of each car park."""
    painted: List[Paint] = []
    for polygon in list_polygons(area.carparks):
        corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))[:4]
        order = np.linalg.norm(corners[1] - corners[0]) >= np.linalg.norm(corners[2] - corners[1])
        corners = corners if order else np.roll(corners, -1, axis=0)
        for a, b, inner in ((corners[0], corners[1], corners[3]), (corners[2], corners[3], corners[1])):
            along, inward = b - a, inner - a
            depth = min(config.bay_depth, 0.5 * float(np.linalg.norm(inward)))
            reach = inward / max(float(np.linalg.norm(inward)), 1e-6) * depth
            count = int(np.linalg.norm(along) // config.bay_width)
            starts = [a + along * (i / max(count, 1)) for i in range(count + 1)]
            lines = [np.array([start, start + reach]) for start in starts]
            drawn = _paint_lines(lines, config.line_width, Ground.WHITE)
            painted += [(shapely.intersection(line, polygon), label) for line, label in drawn]
    return painted
