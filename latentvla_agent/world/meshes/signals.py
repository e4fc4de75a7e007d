"""Traffic lights: poles with heads near each signalised stop line and across the junction, and their lit lamps."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.furniture import turn_about_z
from latentvla_agent.world.meshes.markings import measure_turn
from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh, SignalHead, Street, join_meshes
from latentvla_agent.world.meshes.placement import FreeGround, make_square, turn_right
from latentvla_agent.world.meshes.shapes import build_box, build_cylinder, build_disc
from latentvla_agent.world.meshes.street_area import StreetArea, Strip
from latentvla_agent.world.meshes.street_config import FurnitureConfig

_LENS_GAP = 0.012  # metres of a lit lens in front of the dark one
_HALF_POST = 0.2  # metres of ground that a pole claims to each side
_POST_CLEARANCE = 0.2  # of that ground from walkways


def place_signals(area: StreetArea, ground: FreeGround, config: FurnitureConfig) -> Tuple[List[Mesh], List[SignalHead]]:
    """Poles and housings with dark lenses, and the heads, of all signalised approaches."""
    meshes: List[Mesh] = []
    heads: List[SignalHead] = []
    for strips in _list_approaches(area):
        shown = _choose_shown(strips, config)
        span = config.head_spacing * (len(shown) - 1) + 0.5 * config.head_width
        for place, forward, width, height in _list_places(strips, config):
            spot = _place_pole(place, forward, 0.5 * width, span, ground, config)
            if spot is not None:
                new_meshes, new_heads = _build_pole(spot, forward, height, shown, span, ground, config)
                meshes += new_meshes
                heads += new_heads
    return meshes, heads


def _list_places(strips: List[Strip], config: FurnitureConfig) -> List[Tuple[FloatArray, FloatArray, float, float]]:
    """Where an approach has poles beside its rightmost lane: its end, driving direction, width and the heads' height,
    before the junction and, where the way goes on straight, behind it."""
    start = min(strips, key=lambda strip: _left_of(strip, strips[0]))
    straight = [strip for strip in strips if abs(measure_turn(strip.line)) < config.turn_angle]
    step = strips[0].line[1] - strips[0].line[0]
    forward = step / np.linalg.norm(step)
    places = [(start.line[0], forward, start.width, config.signal_height)]
    if straight:
        last = min(straight, key=lambda strip: _left_of(strip, strips[0]))
        places.append((last.line[-1], forward, last.width, config.far_signal_height))
    return places


def _list_approaches(area: StreetArea) -> List[List[Strip]]:
    """Signalised connectors together that leave lanes of one group."""
    groups = {lane.id: lane.group for lane in area.lanes}
    approaches: Dict[str, List[Strip]] = {}
    for strip in area.signalised:
        approaches.setdefault(groups.get(strip.source_id, strip.source_id), []).append(strip)
    return list(approaches.values())


def _left_of(strip: Strip, other: Strip) -> float:
    """How far a connector starts to the left of another."""
    direction = other.line[1] - other.line[0]
    aside = strip.line[0] - other.line[0]
    return float(direction[0] * aside[1] - direction[1] * aside[0])


def _choose_shown(strips: List[Strip], config: FurnitureConfig) -> List[str]:
    """Connectors that get a head: one that turns left, one that goes straight; else any one."""
    turns = [(measure_turn(strip.line), strip.id) for strip in strips]
    left = [id_ for turn, id_ in turns if turn >= config.turn_angle]
    straight = [id_ for turn, id_ in turns if abs(turn) < config.turn_angle]
    return [*left[:1], *straight[:1]] or [turns[0][1]]


def _place_pole(
    place: FloatArray,
    forward: FloatArray,
    half_width: float,
    span: float,
    ground: FreeGround,
    config: FurnitureConfig,
) -> Optional[FloatArray]:
    """The first free place to the right of a lane's end, or a little before or behind it, from where heads `span`
    metres wide stay clear of the drivable area; None where there is none."""
    right = turn_right(forward)
    for aside in np.arange(half_width + config.clearance, half_width + config.signal_search, config.signal_step):
        for shift in config.signal_shifts:
            spot = place + aside * right + shift * forward
            has_room = ground.measure_room(spot) > config.clearance + _HALF_POST
            if not has_room or ground.measure_room(spot - span * right) < config.clearance + config.head_width:
                continue
            if ground.claim(make_square(spot, _HALF_POST), _POST_CLEARANCE):
                return spot
    return None


def _build_pole(
    spot: FloatArray,
    forward: FloatArray,
    height: float,
    shown: List[str],
    span: float,
    ground: FreeGround,
    config: FurnitureConfig,
) -> Tuple[List[Mesh], List[SignalHead]]:
    """A pole with an arm towards the road that carries the heads, which look against `forward`."""
    heading = float(np.arctan2(-forward[1], -forward[0]))
    left = -turn_right(forward)
    arm = _measure_arm(spot, left, span, ground, config)
    top = height + 0.5 * config.head_height
    post = build_cylinder((0, 0, 0), (0, 0, top), (0.1, 0.07), 7, config.pole_colour, Material.METAL)
    meshes = [post.transformed(np.eye(3), np.append(spot, 0.0)), _build_arm(spot, left, arm, top - 0.12, config)]
    heads: List[SignalHead] = []
    for index, connector in enumerate(shown):
        along = arm - 0.5 * config.head_width - index * config.head_spacing
        place = spot + along * left - forward * (0.1 + config.head_depth)
        meshes.append(turn_about_z(_build_housing(config), heading, np.append(place, height)))
        heads.append(SignalHead(connector, (float(place[0]), float(place[1]), height), heading))
    return meshes, heads


def _measure_arm(spot: FloatArray, left: FloatArray, span: float, ground: FreeGround, config: FurnitureConfig) -> float:
    """How far an arm may reach before it comes near the drivable area."""
    reach = span
    while reach < config.signal_arm + span:
        if ground.measure_room(spot + (reach + config.signal_step) * left) < config.clearance + config.head_width:
            break
        reach += config.signal_step
    return reach


def _build_arm(spot: FloatArray, left: FloatArray, arm: float, height: float, config: FurnitureConfig) -> Mesh:
    end = spot + arm * left
    start, stop = (float(spot[0]), float(spot[1]), height), (float(end[0]), float(end[1]), height)
    return build_cylinder(start, stop, (0.06, 0.045), 6, config.pole_colour, Material.METAL)


def _build_housing(config: FurnitureConfig) -> Mesh:
    """A housing with three dark lenses; the middle of its front at the origin, looking along x."""
    half, tall, back = 0.5 * config.head_width, 0.5 * config.head_height, 0.5 * config.head_depth
    parts = [
        build_box((-config.head_depth, -0.6 * half, -0.9 * tall), (0.0, 0.6 * half, 0.9 * tall), config.housing_colour,
                  Material.MATTE),
        build_box((-back, -half, -tall), (-0.8 * back, half, tall), config.housing_colour, Material.MATTE),
    ]  # fmt: skip
    for row in range(len(config.lamps)):
        parts.append(_build_lens(row, config.dark_lens, Material.MATTE, 0.5 * _LENS_GAP, config))
    return join_meshes(parts)


def _build_lens(
    row: int, colour: Tuple[int, int, int], material: Material, lift: float, config: FurnitureConfig
) -> Mesh:
    """The lens in a `row` from the top (red, yellow, green) of a head at the origin."""
    return build_disc((lift, 0.0, (1 - row) * config.lens_spacing), (1, 0, 0), config.lens_radius, 10, colour, material)


def read_phases(frame: Dict[str, Any]) -> Dict[str, str]:
    """r, y or g by connector id: the frame's `world.phases`, or red and green from its `traffic_lights`."""
    phases = frame.get("world", {}).get("phases")
    if phases is None:
        return {str(id_): "r" if is_red else "g" for id_, is_red in frame["traffic_lights"]}
    return {str(id_): str(phase) for id_, phase in phases}


def build_signals(
    frame: Dict[str, Any], street: Street, origin: FloatArray, config: FurnitureConfig = FurnitureConfig()
) -> Mesh:
    """The lit lamps of a street's traffic lights in a log `frame`, relative to `origin` (2,) in the map frame.

    A head of whose connector the frame says nothing stays dark; raises `DataError` for a phase other than r, y, g.
    """
    phases = read_phases(frame)
    rows = {phase: row for row, (phase, _) in enumerate(config.lamps)}
    shift = np.append(street.origin - np.asarray(origin, np.float64), 0.0)
    meshes: List[Mesh] = []
    for head in street.signals:
        phase = phases.get(head.connector_id)
        if phase is None:
            continue
        if phase not in rows:
            raise DataError(
                f"world.phases: connector {head.connector_id}: expected one of {', '.join(rows)}, got {phase!r}"
            )
        lens = _build_lens(rows[phase], config.lamps[rows[phase]][1], Material.LAMP, _LENS_GAP, config)
        meshes.append(turn_about_z(lens, head.heading, np.array(head.position) + shift))
    return join_meshes(meshes)
