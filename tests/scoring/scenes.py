"""Hand-made scenes with known answers: roads, objects, lights, and rollouts that are not simulated."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.scene import Annotations, EgoStatus, Frame, Scene, SceneMetadata
from latentvla_agent.scoring.area_index import index_areas
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons, flatten_areas
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, STEP_S, ScoringConfig
from latentvla_agent.scoring.kernels import Areas, Lights, Objects, Rollout, SubScore, World
from latentvla_agent.scoring.lights import make_lights
from latentvla_agent.scoring.metric_cache import MetricCache, make_world
from latentvla_agent.scoring.metrics.area_cells import no_cells
from latentvla_agent.scoring.metrics.comfort import make_comfort
from latentvla_agent.scoring.metrics.ego_area import NUM_FLAGS, OFF_ROAD, OFF_ROUTE, flag_areas
from latentvla_agent.scoring.observation import ObjectType, Tracks, observe_tracks
from latentvla_agent.scoring.rollouts import make_numbers, roll_out
from latentvla_agent.scoring.scorer import Scores
from latentvla_agent.scoring.state import FloatArray, StateIndex, ego_centers, ego_corners
from latentvla_agent.scoring.versions import GENERATIONS, V1, Rules

VEHICLE = DEFAULT_CONFIG.vehicle
START_US = 1_640_995_200_123_456
NUM_LOG_FRAMES = 11  # 5 s at 2 Hz
AT_ORIGIN = ego_corners(np.zeros(3), VEHICLE)
STRAIGHT_LINE = np.array([[-50.0, 0.0], [0.0, 0.0], [200.0, 0.0]])


def drive_straight(speed: float, *, x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> FloatArray:
    """States (41, 11) at constant speed from the rear-axle pose."""
    states = np.zeros((NUM_STATES, len(StateIndex)))
    travelled = speed * STEP_S * np.arange(NUM_STATES)
    states[:, StateIndex.X] = x + travelled * np.cos(heading)
    states[:, StateIndex.Y] = y + travelled * np.sin(heading)
    states[:, StateIndex.HEADING] = heading
    states[:, StateIndex.VELOCITY_X] = speed
    return states


@dataclass(frozen=True)
class Thing:
    """An object that moves along its heading; `detected` are the 2 Hz frames in which the log holds it."""

    x: float
    y: float
    heading: float = 0.0
    speed: float = 0.0
    type: ObjectType = ObjectType.VEHICLE
    length: float = 4.0
    width: float = 2.0
    detected: Optional[Sequence[int]] = None


def make_tracks(*things: Thing) -> Tracks:
    """Tracks as a log of 5 s would hold them."""
    seconds = 0.5 * np.arange(NUM_LOG_FRAMES)
    poses = np.zeros((NUM_LOG_FRAMES, len(things), 3))
    detected = np.zeros((NUM_LOG_FRAMES, len(things)), dtype=bool)
    for k, thing in enumerate(things):
        poses[:, k, 0] = thing.x + thing.speed * np.cos(thing.heading) * seconds
        poses[:, k, 1] = thing.y + thing.speed * np.sin(thing.heading) * seconds
        poses[:, k, 2] = thing.heading
        detected[slice(None) if thing.detected is None else list(thing.detected), k] = True
    velocities = [(t.speed * np.cos(t.heading), t.speed * np.sin(t.heading)) for t in things]
    return Tracks(
        tokens=[f"track-{k}" for k in range(len(things))],
        types=np.array([int(t.type) for t in things], dtype=np.int64),
        sizes=np.array([(t.length, t.width) for t in things]).reshape(-1, 2),
        velocities=np.array(velocities).reshape(-1, 2),
        poses=poses,
        detected=detected,
    )


def observe(*things: Thing, rules: Rules = V1) -> Objects:
    """What the scorer sees of some objects; the ego starts at the origin."""
    return observe_tracks(make_tracks(*things), AT_ORIGIN, rules, DEFAULT_CONFIG.metrics)


def make_areas(*areas: Tuple[str, AreaKind, shapely.Geometry], route: Sequence[str] = ()) -> Areas:
    """Flat areas of (id, kind, polygon)."""
    ids, kinds, polygons = ([a[0] for a in areas], [a[1] for a in areas], [a[2] for a in areas])
    return flatten_areas(AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_)), set(route))


def straight_road(end: float = 200.0, *more: Tuple[str, AreaKind, shapely.Geometry]) -> Areas:
    """A lane of the route, 6 m wide, from x = -50 to `end`, and more areas."""
    box = shapely.box(-50.0, -3.0, end, 3.0)
    return make_areas(("1", AreaKind.LANE_GROUP, box), ("2", AreaKind.LANE, box), *more, route=["2"])


def no_lights() -> Lights:
    """Nothing is red."""
    return make_lights([], np.zeros((NUM_STATES, 0), dtype=np.bool_))


def build_world(
    *things: Thing,
    areas: Optional[Areas] = None,
    lights: Optional[Lights] = None,
    centerline: FloatArray = STRAIGHT_LINE,
    history: Optional[FloatArray] = None,
    rules: Rules = V1,
    config: ScoringConfig = DEFAULT_CONFIG,
) -> World:
    """A straight road with some objects, unless other areas are given; no lights and no history, unless given."""
    history = np.empty((0, len(StateIndex))) if history is None else history
    return World(
        areas=index_areas(straight_road() if areas is None else areas),
        objects=observe_tracks(make_tracks(*things), AT_ORIGIN, rules, config.metrics),
        lights=no_lights() if lights is None else lights,
        centerline=np.ascontiguousarray(centerline, dtype=np.float64),
        comfort=make_comfort(history, config.comfort, rules),
        numbers=make_numbers(config, rules),
    )


def place_rollout(states: FloatArray, world: World, **flags: Any) -> Rollout:
    """A rollout of states (41, 11) that has every area and object near; no broad phase. `off_road`, `off_route` are
    steps (a slice or list, True for all) at which the flag is set, and nowhere else."""
    corners = np.ascontiguousarray(ego_corners(states, VEHICLE))
    centers = np.ascontiguousarray(ego_centers(states, VEHICLE))
    found = np.empty((NUM_FLAGS, NUM_STATES), dtype=np.bool_)
    near_areas = np.arange(len(world.areas.kinds))
    flag_areas(corners, centers, world.areas, near_areas, no_cells(), found)
    for row, name in ((OFF_ROAD, "off_road"), (OFF_ROUTE, "off_route")):
        if name in flags:
            found[row] = False
            found[row, slice(None) if flags[name] is True else flags[name]] = True
    near_objects = np.arange(len(world.objects.reach))
    return Rollout(states, corners, centers, found, near_areas, near_objects, np.empty(len(near_objects), np.bool_))


def apply(kernel: Callable[..., Any], states: FloatArray, world: World, **flags: Any) -> Tuple[float, int]:
    """Value and first step that a metric gives one rollout."""
    value, step = kernel(place_rollout(states, world, **flags), world)[:2]  # a collision tells with whom
    return float(value), int(step)


def make_cache(
    *things: Thing,
    speed: float = 8.0,
    plan_speed: float = 8.0,
    areas: Optional[Areas] = None,
    lights: Optional[Lights] = None,
    centerline: FloatArray = STRAIGHT_LINE,
    history: Optional[FloatArray] = None,
    human_fails: Sequence[SubScore] = (),
) -> MetricCache:
    """Scene on a straight road; the reference plan keeps `plan_speed`."""
    fails = np.zeros(len(SubScore), dtype=np.bool_)
    fails[list(human_fails)] = True
    cache = MetricCache(
        token="token",
        log_name="log",
        map_name="sg-one-north",
        timestamp=START_US,
        start=drive_straight(speed)[0],
        history=np.empty((0, len(StateIndex))) if history is None else history,
        tracks=make_tracks(*things),
        areas=straight_road() if areas is None else areas,
        lights=no_lights() if lights is None else lights,
        centerline=np.ascontiguousarray(centerline, dtype=np.float64),
        references=np.stack([drive_straight(plan_speed)[:, :3]] * len(GENERATIONS)),
        reference_values=np.zeros((len(GENERATIONS), 2)),
        human_fails=fails,
    )
    for i, rules in enumerate(GENERATIONS):
        world = make_world(cache, rules, DEFAULT_CONFIG)
        reference = roll_out(cache.references[i : i + 1], cache.start, world, DEFAULT_CONFIG)
        cache.reference_values[i] = (reference.values[0, SubScore.PROGRESS], reference.multiplier(rules)[0])
    return cache


def straight_plan(speed: float, y: float = 0.0) -> FloatArray:
    """A plan (1, 8, 3) in the ego frame; `y` is reached at once."""
    poses = np.zeros((1, 8, 3))
    poses[0, :, 0] = speed * 0.5 * np.arange(1, 9)
    poses[0, :, 1] = y
    return poses


def arrays_of(scores: Scores) -> Dict[str, Any]:
    """Every array of some scores by name."""
    arrays = {field.name: getattr(scores, field.name) for field in fields(scores)}
    arrays.update(arrays.pop("sub_scores"))
    return arrays


def make_frame(
    *things: Thing,
    speed: float = 5.0,
    pose: Tuple[float, float, float] = (0.0, 0.0, 0.0),
    lights: Sequence[Tuple[str, bool]] = (),
    timestamp: int = START_US,
) -> Frame:
    """A frame whose objects are given in the ego's own frame."""
    boxes = [(t.x, t.y, 0.0, t.length, t.width, 1.5, t.heading) for t in things]
    velocities = [(t.speed * np.cos(t.heading), t.speed * np.sin(t.heading), 0.0) for t in things]
    tokens = [f"track-{k}" for k in range(len(things))]
    return Frame(
        token="token",
        timestamp=timestamp,
        roadblock_ids=["1"],
        traffic_lights=list(lights),
        annotations=Annotations(
            boxes=np.array(boxes, dtype=np.float32).reshape(-1, 7),
            names=[t.type.name.lower() for t in things],
            velocity_3d=np.array(velocities, dtype=np.float32).reshape(-1, 3),
            instance_tokens=tokens,
            track_tokens=tokens,
        ),
        ego_status=EgoStatus(
            np.array(pose),
            np.array([speed, 0.0], dtype=np.float32),
            np.zeros(2, dtype=np.float32),
            np.array([0, 1, 0, 0]),
            True,
        ),
    )


def make_scene(*frames: Frame, num_history: int = 4) -> Scene:
    """A scene of some frames, the last of `num_history` being the current one."""
    metadata = SceneMetadata("log", "scene", "sg-one-north", "token", num_history, len(frames) - num_history)
    return Scene(metadata, list(frames))
