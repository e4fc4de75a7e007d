"""Red lights of a log at 10 Hz, and their areas as flat arrays."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.config import NUM_STATES
from latentvla_agent.scoring.kernels import Lights
from latentvla_agent.scoring.lights import make_lights, observe_lights, red_lanes
from latentvla_agent.scoring.metric_cache import MetricCache
from tests.scoring.scenes import make_frame, make_scene

Facts = Sequence[Tuple[str, bool]]


def make_lanes(*ids: str) -> Dict[str, Lane]:
    """Connectors of 10 m by 4 m in a row along x."""
    lanes: Dict[str, Lane] = {}
    for i, id_ in enumerate(ids):
        line = shapely.LineString([(10.0 * i, 0.0), (10.0 * i + 10.0, 0.0)])
        box = shapely.box(10.0 * i, -2.0, 10.0 * i + 10.0, 2.0)
        lanes[id_] = Lane(id_, "9", True, box, lambda line=line: line, None, ())
    return lanes


def observe(lanes: Dict[str, Any], *frames: Facts) -> Lights:
    """Four frames of history without lights (the last is replaced), then the frames given."""
    history = [make_frame(lights=[("7", True), ("8", True)])] * 3
    return observe_lights(make_scene(*history, *[make_frame(lights=lights) for lights in frames]), lanes)


def test_a_frame_s_state_is_held_until_the_next() -> None:
    frames = [[("7", True)], [("7", False)], [("7", True)]] + [[]] * 5 + [[("7", True)], [("7", True)]]
    lights = observe(make_lanes("7"), *frames)
    expected = [*range(0, 5), *range(10, 15), 40]
    assert lights.is_red.shape == (NUM_STATES, 1) and np.flatnonzero(lights.is_red[:, 0]).tolist() == expected


def test_history_and_what_comes_after_four_seconds_do_not_count() -> None:
    lights = observe(make_lanes("7", "8"), *([[]] * 9), [("7", True), ("8", True)])
    assert lights.is_red.shape == (NUM_STATES, 0) and lights.starts.tolist() == [0]


def test_the_last_state_is_held_where_the_log_ends() -> None:
    lights = observe(make_lanes("7"), [("7", False)], [("7", True)])
    assert np.flatnonzero(lights.is_red[:, 0]).tolist() == list(range(5, NUM_STATES))


def test_only_red_lights_on_the_route_are_kept() -> None:
    lights = observe(make_lanes("7", "8"), *[[("8", True), ("99", True), ("7", False)]] * 9)
    assert lights.is_red.all() and lights.is_red.shape == (NUM_STATES, 1)
    assert lights.vertices[:, 0].min() == 10.0 and lights.vertices[:, 0].max() == 20.0


def test_lights_are_the_same_in_whatever_order_a_frame_names_them() -> None:
    lanes, facts = make_lanes("7", "8", "10"), [("8", True), ("10", True), ("7", True)]
    first, second = observe(lanes, *[facts] * 9), observe(lanes, *[facts[::-1]] * 9)
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert first.starts.tolist() == [0, 5, 10, 15]


def test_red_lanes_keep_the_order_of_the_frame() -> None:
    lanes = make_lanes("7", "8")
    assert [lane.id for lane in red_lanes([("8", True), ("9", True), ("7", True)], lanes)] == ["8", "7"]
    assert red_lanes([("8", False)], lanes) == []


def test_areas_are_outer_rings() -> None:
    frame = shapely.Polygon(shapely.box(0, 0, 9, 9).exterior, [shapely.box(2, 2, 4, 4).exterior])
    triangle = shapely.Polygon([(20, 0), (24, 0), (20, 4)])
    lights = make_lights([frame, triangle], np.ones((NUM_STATES, 2), dtype=np.bool_))
    assert lights.starts.tolist() == [0, 5, 9] and lights.vertices.shape == (9, 2)
    assert np.array_equal(lights.vertices[0], lights.vertices[4]) and np.array_equal(
        lights.vertices[5], lights.vertices[8]
    )


def test_lights_of_the_embedded_scenes(
    embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache]
) -> None:
    """Steps 0, 5 ... are those of the frames; some scenes have red lights on their route, most have none."""
    num_lit = 0
    for token, scene in embedded_scenes.items():
        is_red = embedded_caches[token].lights.is_red
        for d in range(8):
            assert (is_red[5 * d : 5 * d + 5] == is_red[5 * d]).all(), token
        named = {connector for frame in scene.frames for connector, red in frame.traffic_lights if red}
        assert is_red.shape[1] <= len(named)
        assert is_red.any(axis=0).all(), token
        num_lit += is_red.shape[1] > 0
    assert 5 < num_lit < len(embedded_scenes)
