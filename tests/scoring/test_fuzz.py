"""Whatever the trajectory and the scene: the scorer neither fails nor hangs, and its numbers are in their ranges."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES
from latentvla_agent.scoring.kernels import SubScore
from latentvla_agent.scoring.lights import make_lights
from latentvla_agent.scoring.metric_cache import MetricCache, make_world
from latentvla_agent.scoring.metrics.driving_direction_compliance import score_driving_direction
from latentvla_agent.scoring.metrics.lane_keeping import score_lane_keeping
from latentvla_agent.scoring.metrics.no_at_fault_collisions import score_collisions
from latentvla_agent.scoring.metrics.time_to_collision import score_time_to_collision
from latentvla_agent.scoring.observation import ObjectType
from latentvla_agent.scoring.scorer import Scorer, Scores
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import GENERATIONS
from tests.scoring.scenes import Thing, apply, arrays_of, make_areas, make_cache, straight_plan

SCORERS = [Scorer("pdms-v1.1"), Scorer("epdms-v2.2"), Scorer("epdms-v2.2", human_filter=False)]
HALVES = {"no_at_fault_collisions", "driving_direction_compliance"}  # may be 0.5

SCALES = (0.0, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0, 30.0, 1e3, 1e6)


@st.composite
def trajectories(draw: Any) -> FloatArray:
    """A few plans: smooth, reversing, jumping about, huge or tiny, with headings of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    plans = []
    for _ in range(draw(st.integers(1, 4))):
        steps = rng.normal(0.0, draw(st.sampled_from(SCALES)), (8, 3))
        poses = steps.cumsum(axis=0) if draw(st.booleans()) else steps
        poses[:, 2] = rng.normal(0.0, draw(st.sampled_from((0.0, 1e-9, 0.1, 3.0, 1e4))), 8)
        poses += straight_plan(draw(st.sampled_from((-30.0, -5.0, 0.0, 0.1, 8.0, 60.0))))[0]
        plans.append(poses)
    return np.stack(plans)


places = st.floats(-40.0, 60.0)
far_places = st.one_of(places, st.sampled_from([-1e6, 1e6, 0.0]))
things = st.builds(
    Thing,
    x=far_places,
    y=st.one_of(st.floats(-8.0, 8.0), far_places),
    heading=st.floats(-10.0, 10.0),
    speed=st.sampled_from([0.0, 1e-9, 0.05, 3.0, 20.0, 1e5]),
    type=st.sampled_from(list(ObjectType)),
    length=st.sampled_from([0.0, 1e-9, 0.5, 4.0, 300.0]),
    width=st.sampled_from([0.0, 0.3, 2.0, 100.0]),
    detected=st.lists(st.integers(0, 10), min_size=1, max_size=11, unique=True),
)
points = st.tuples(st.integers(-20, 60), st.integers(-6, 6))
rings = st.lists(points, min_size=3, max_size=7)  # self-crossing, repeated vertices, without area: all allowed
polygons = st.one_of(
    rings.map(shapely.Polygon),
    st.lists(rings.map(shapely.Polygon), max_size=3).map(shapely.MultiPolygon),
    st.tuples(rings, rings).map(lambda pair: shapely.Polygon(pair[0], [pair[1]])),
    st.just(shapely.box(-50.0, -4.0, 200.0, 4.0)),
    st.just(shapely.Polygon()),
)
areas = st.lists(st.tuples(st.sampled_from("123"), st.sampled_from(list(AreaKind)), polygons), max_size=6)
lights = st.lists(st.tuples(rings, st.integers(0, 2**41 - 1)), max_size=3)
centerlines = st.lists(points, min_size=2, max_size=6)


@st.composite
def scenes(draw: Any) -> MetricCache:
    """A random scene around a random ego."""
    red: List[Tuple[list, int]] = draw(lights)
    is_red = np.array([[bits >> step & 1 for _, bits in red] for step in range(NUM_STATES)], dtype=np.bool_)
    cache = make_cache(
        *draw(st.lists(things, max_size=8)),
        speed=draw(st.sampled_from([-3.0, 0.0, 1e-4, 0.01, 5.0, 40.0])),
        areas=make_areas(*draw(areas), route=["1", "2"]),
        lights=make_lights([shapely.Polygon(ring) for ring, _ in red], is_red.reshape(NUM_STATES, len(red))),
        centerline=np.array(draw(centerlines), dtype=np.float64),
        history=np.random.default_rng(draw(st.integers(0, 99))).normal(
            size=(draw(st.sampled_from([0, 1, 14, 15])), 11)
        ),
        human_fails=draw(st.sets(st.sampled_from([c for c in SubScore if c < SubScore.COMFORT]))),
    )
    return cache


def check_ranges(scores: Scores, count: int) -> None:
    arrays: Dict[str, Any] = arrays_of(scores)
    assert {len(values) for values in arrays.values()} == {count}
    for name, values in arrays.items():
        if name == "two_frame_extended_comfort":
            assert np.isnan(values).all()
            continue
        assert np.isfinite(values).all(), name
    for name, values in [*scores.sub_scores.items(), ("score", scores.score)]:
        if name in ("ego_progress", "score"):
            assert (values >= 0.0).all() and (values <= 1.0).all(), name
        elif name != "two_frame_extended_comfort":
            assert np.isin(values, [0.0, 0.5, 1.0] if name in HALVES else [0.0, 1.0]).all(), name
    assert (scores.progress_raw >= 0.0).all()
    for steps in (scores.collision_idx, scores.ttc_idx, scores.off_road_idx):
        assert (steps >= -1).all() and (steps < NUM_STATES).all()


def check_scene(cache: MetricCache, poses: FloatArray) -> None:
    """Ranges; what is told twice agrees; and the broad phase leaves out nothing."""
    for scorer in SCORERS:
        scores = scorer.score(cache, poses)
        check_ranges(scores, len(poses))
        single = scorer.score(cache, poses[-1:])
        assert np.array_equal(single.score, scores.score[-1:])
    raw = SCORERS[0].score(cache, poses).sub_scores
    for rules, scorer in zip(GENERATIONS, SCORERS):
        world, rollouts = make_world(cache, rules, DEFAULT_CONFIG), scorer.simulate(cache, poses)
        for n, states in enumerate(rollouts.states):
            for column, kernel in KERNELS.items():
                if column == SubScore.LANE_KEEPING and not rules.has_lane_keeping:
                    continue
                expected = apply(kernel, states, world)
                assert (rollouts.values[n, column], rollouts.first_steps[n, column]) == expected, column
    assert set(raw) >= HALVES


KERNELS = {
    SubScore.COLLISION: score_collisions,
    SubScore.TIME_TO_COLLISION: score_time_to_collision,
    SubScore.DRIVING_DIRECTION: score_driving_direction,
    SubScore.LANE_KEEPING: score_lane_keeping,
}

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@given(trajectories())
@QUICK
def test_random_trajectories_on_a_road_with_traffic(poses: FloatArray) -> None:
    check_scene(TRAFFIC, poses)


TRAFFIC = make_cache(
    Thing(20.0, 2.0), Thing(-15.0, 0.0, speed=12.0), Thing(30.0, -2.0, speed=-3.0, type=ObjectType.BICYCLE)
)


@given(scenes(), trajectories())
@QUICK
def test_random_scenes(cache: MetricCache, poses: FloatArray) -> None:
    check_scene(cache, poses)


@pytest.mark.slow
@given(scenes(), trajectories())
@settings(max_examples=2500, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_random_scenes(cache: MetricCache, poses: FloatArray) -> None:
    check_scene(cache, poses)


@pytest.mark.parametrize("scale", [1e9, 1e100, 1e160, 1.7e308])
@pytest.mark.parametrize("scorer", SCORERS, ids=["v1", "v2", "v2 unfiltered"])
def test_plans_that_overflow_the_simulation_still_have_scores(scorer: Scorer, scale: float) -> None:
    """Their simulated states are not finite, all else is."""
    poses = np.random.default_rng(0).uniform(-1.0, 1.0, (40, 8, 3)) * scale
    scores = scorer.score(TRAFFIC, poses)
    check_ranges(dataclasses.replace(scores, simulated=np.zeros((40, 41, 11))), 40)
    assert scores.score.tolist() == [0.0] * 40


@pytest.mark.parametrize("scorer", SCORERS, ids=["v1", "v2", "v2 unfiltered"])
def test_a_scene_with_nothing_at_all(scorer: Scorer) -> None:
    cache = make_cache(areas=make_areas(), centerline=np.zeros((2, 2)))
    scores = scorer.score(cache, np.concatenate([straight_plan(v) for v in (0.0, 8.0, -3.0)]))
    check_ranges(scores, 3)
    assert scores.sub_scores["drivable_area_compliance"].tolist() == [0.0] * 3 and scores.score.tolist() == [0.0] * 3
    assert scores.progress_raw.tolist() == [[0.0, 0.0]] * 3


@pytest.mark.parametrize("scorer", SCORERS, ids=["v1", "v2", "v2 unfiltered"])
def test_hundreds_of_objects_on_one_spot(scorer: Scorer) -> None:
    crowd = [Thing(20.0, 0.0, heading=0.01 * n, type=list(ObjectType)[n % 7]) for n in range(300)]
    scores = scorer.score(make_cache(*crowd), straight_plan(8.0))
    check_ranges(scores, 1)
    assert scores.sub_scores["no_at_fault_collisions"].tolist() == [0.0]


@pytest.mark.parametrize("scorer", SCORERS, ids=["v1", "v2", "v2 unfiltered"])
def test_a_scene_far_from_the_origin_scores_the_same(scorer: Scorer) -> None:
    """UTM coordinates: a plan, road, objects and lights moved together by whole metres."""
    here, offset = TRAFFIC, np.array([587_000.0, 4_480_000.0])
    poses = here.tracks.poses.copy()
    poses[..., :2] += offset
    start, references, areas = here.start.copy(), here.references.copy(), here.areas
    start[:2] += offset
    references[..., :2] += offset
    there = dataclasses.replace(
        here,
        start=start,
        references=references,
        tracks=dataclasses.replace(here.tracks, poses=poses),
        areas=areas._replace(vertices=areas.vertices + offset, bounds=areas.bounds + np.tile(offset, 2)),
        centerline=here.centerline + offset,
    )
    plans = np.concatenate([straight_plan(v, y) for v in (3.0, 7.0, 11.0) for y in (-1.0, 0.0, 0.7)])
    first, second = scorer.score(here, plans), scorer.score(there, plans)
    np.testing.assert_allclose(first.score, second.score, atol=1e-6)
    assert np.array_equal(first.collision_idx, second.collision_idx) and np.array_equal(first.ttc_idx, second.ttc_idx)
