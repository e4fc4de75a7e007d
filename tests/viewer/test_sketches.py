"""Scenes as the page gets them: whole centimetres and milliradians of the ego frame."""

from __future__ import annotations

import json

import numpy as np
import pytest

from latentvla_agent.evaluation.drawing_map import trace_map
from latentvla_agent.scoring.observation import ObjectType
from latentvla_agent.scoring.versions import V1
from latentvla_agent.viewer.sketches import flatten_poses, sketch_details, sketch_scene, sketch_tracks
from tests.scoring.scenes import Thing, make_cache, make_tracks

ORIGIN = np.zeros(3)


def test_poses_are_whole_numbers() -> None:
    assert flatten_poses(np.array([[1.234, -0.5, 0.01], [0.0, 2.0, -1.0]])) == [123, -50, 10, 0, 200, -1000]


def test_what_stands_has_one_pose_and_what_moves_one_per_frame() -> None:
    standing, walking = sketch_tracks(
        make_tracks(Thing(9.0, 1.0), Thing(20.0, 3.0, speed=2.0, type=ObjectType.PEDESTRIAN)), ORIGIN
    )
    assert standing == {"style": "vehicle", "size": [400, 200], "poses": [900, 100, 0]}
    assert walking["style"] == "pedestrian" and walking["first"] == 0
    assert walking["poses"][:6] == [2000, 300, 0, 2100, 300, 0] and len(walking["poses"]) == 3 * 9


def test_gaps_are_null_and_what_comes_later_says_when() -> None:
    (track,) = sketch_tracks(make_tracks(Thing(9.0, 1.0, speed=2.0, detected=(2, 3, 5))), ORIGIN)
    assert track["first"] == 2 and track["poses"] == [1100, 100, 0, 1200, 100, 0, None, None, None, 1400, 100, 0]
    (track,) = sketch_tracks(make_tracks(Thing(9.0, 1.0, detected=(2, 3))), ORIGIN)
    assert track == {"style": "vehicle", "size": [400, 200], "first": 2, "poses": [900, 100, 0] * 2}
    (track,) = sketch_tracks(make_tracks(Thing(9.0, 1.0, detected=(4,))), ORIGIN)
    assert track["poses"] == [900, 100, 0] and "first" not in track, "the scorer leaves it there all the time"


def test_tracks_are_those_around_the_ego_turned_into_its_frame() -> None:
    tracks = make_tracks(Thing(10.0, 5.0, heading=1.0), Thing(900.0, 0.0))
    (track,) = sketch_tracks(tracks, np.array([10.0, 0.0, np.pi / 2]))
    assert track["poses"] == [500, 0, round(1000 * (1.0 - np.pi / 2))]


def test_a_scene_holds_map_paths_and_plans() -> None:
    cache = make_cache(Thing(30.0, 0.0))
    human = np.column_stack([np.arange(1.0, 9.0), np.zeros((8, 2))])
    details = {"proposals": [human.tolist()], "proposal_scores": [0.5]}
    plans = {
        "one": {"agent": "one", "poses": (2 * human).tolist(), "interval": 0.5, "details": details},
        "broken": {"agent": "broken", "error": "ValueError: no"},
    }
    sketch = sketch_scene(cache, human, plans, V1)
    assert json.loads(json.dumps(sketch)) is not None
    (plan,) = sketch["plans"]
    assert plan["agent"] == "one" and plan["poses"][:3] == [200, 0, 0] and len(plan["simulated"]) == 3 * 41
    assert plan["simulated"][:3] == [0, 0, 0] and plan["proposals"] == [flatten_poses(human)]
    assert sketch["human"] == flatten_poses(human) and len(sketch["tracks"]) == 1
    assert {style for style, _ in sketch["map"]} and all(data.startswith("M") for _, data in sketch["map"])


def test_codes_go_as_they_are() -> None:
    codes = {"codes": [1, 15], "code_shares": [0.5, 0.25], "transitions": 2}
    assert sketch_details(codes) == {"codes": [1, 15], "codeShares": [0.5, 0.25], "transitions": 2}
    assert sketch_details({}) == {}


def test_the_map_is_drawn_of_known_classes() -> None:
    from latentvla_agent.evaluation.drawing_canvas import Window

    cache = make_cache()
    styles = [style for style, _ in trace_map(cache, Window(cache.start[:3], 60.0))]
    assert styles and set(styles) <= {"carpark", "road", "crossing", "connector", "lane", "route", "center"}
    assert pytest.approx(0.0) == cache.start[0]
