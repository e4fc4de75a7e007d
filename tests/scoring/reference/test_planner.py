"""The whole reference planner on the embedded scenes, against the official reference plans."""

from __future__ import annotations

import gzip
import json
from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.interpolation import sample_reference
from latentvla_agent.scoring.reference.planner import ReferencePlan, RouteContext, plan_reference, prepare_route
from tests.scoring.scenes import GOLDEN, SHARED

Plans = Dict[str, Any]


@pytest.fixture(scope="module")
def plans(embedded_scenes: Dict[str, Scene]) -> Plans:
    """(context, plan) of the scenes with an official reference plan, by token."""
    with np.load(GOLDEN / "reference_v1.npz") as official:
        tokens = official.files
    result = {}
    for token in tokens:
        scene = embedded_scenes[token]
        context = prepare_route(scene.current_frame, scene.map_api, DEFAULT_CONFIG)
        result[token] = (context, plan_reference(scene.current_frame, context, DEFAULT_CONFIG))
    return result


@pytest.fixture(scope="module")
def facts() -> Dict[str, Any]:
    """What the official planner did, by token."""
    path = SHARED / "golden" / "dev" / "scenes.json.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there: the full golden sets are not shipped with the repository")
    with gzip.open(path, "rt") as file:
        scenes: Dict[str, Any] = json.load(file)
    return scenes


def test_the_chosen_proposal_is_the_official_reference(plans: Plans, embedded_scenes: Dict[str, Scene]) -> None:
    with np.load(GOLDEN / "reference_v1.npz") as official:
        for token, (_, plan) in plans.items():
            ours = sample_reference(plan.poses, embedded_scenes[token].current_frame.timestamp)
            np.testing.assert_allclose(ours, official[token], rtol=0.0, atol=1e-6, err_msg=token)


def test_the_first_of_the_best_proposals_is_chosen(plans: Plans) -> None:
    ties = 0
    for token, (_, plan) in plans.items():
        assert plan.scores.shape == (15,) and plan.poses.shape == (51, 3)
        best = plan.scores.max()
        assert plan.scores[plan.proposal] == best and (plan.scores[: plan.proposal] < best).all(), token
        ties += int((plan.scores == best).sum() > 1)
    assert ties > 0
    assert len({plan.proposal for _, plan in plans.values()}) >= 4


def test_proposals_and_their_scores_are_the_official_ones(plans: Plans, facts: Dict[str, Any]) -> None:
    for token, (_, plan) in plans.items():
        expected = facts[token]["v1"]
        assert plan.proposal == expected["pdm_proposal"], token
        np.testing.assert_allclose(plan.scores, expected["pdm_proposal_scores"], rtol=0.0, atol=1e-6, err_msg=token)


def test_routes_and_centerlines_are_the_official_ones(plans: Plans, facts: Dict[str, Any]) -> None:
    corrected = 0
    for token, (context, _) in plans.items():
        expected = facts[token]["v1"]
        assert [block.id for block in context.route] == expected["route_used"], token
        assert context.centerline.length == pytest.approx(expected["centerline_length"], abs=1e-6), token
        corrected += expected["route_used"] != facts[token]["route_in"]
    assert corrected >= 10


def test_what_overlaps_at_the_start_is_what_the_official_planner_ignores(plans: Plans, facts: Dict[str, Any]) -> None:
    ignored_any = 0
    for token, (context, _) in plans.items():
        forecast = context.forecast
        columns = np.flatnonzero(forecast.is_ignored)
        tracks = [forecast.observation.tokens[c] for c in columns if not forecast.is_red_light[c]]
        expected = facts[token]["v1"]["overlapped_at_start"]
        assert sorted(tracks) == sorted(t for t in expected if not t.startswith("red_light_")), token
        num_lights = len(columns) - len(tracks)
        assert num_lights == sum(t.startswith("red_light_") for t in expected), token
        ignored_any += bool(expected)
    assert ignored_any >= 3


def test_lanes_of_the_route_are_marked(plans: Plans) -> None:
    for context, plan in plans.values():
        assert isinstance(context, RouteContext) and isinstance(plan, ReferencePlan)
        lanes = {lane.id for block in context.route for lane in block.lanes}
        assert context.lane_ids == lanes and 0 < context.areas.on_route.sum() <= len(lanes)
