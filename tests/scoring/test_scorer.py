"""The scorer: every trajectory as if it were scored alone, and the formula of the total."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.data.scene import Trajectory, TrajectorySampling
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.scorer import SUB_SCORES, Scorer, Scores
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.scenes import Thing, make_cache

FIELDS = [field.name for field in dataclasses.fields(Scores)]


def straight_plan(speed: float) -> FloatArray:
    poses = np.zeros((1, 8, 3))
    poses[0, :, 0] = speed * 0.5 * np.arange(1, 9)
    return poses


def golden_batch(cases: List[Dict[str, Any]], count: int) -> FloatArray:
    """Trajectories of a scene, repeated with small changes until there are enough."""
    poses = np.array([case["poses"] for case in cases if case["sampling"]["num_poses"] == 8])
    batch = np.concatenate([poses] * (count // len(poses) + 1))[:count]
    return batch + np.random.default_rng(count).normal(0.0, 0.02, batch.shape)


@pytest.mark.parametrize("count", [1, 7, 64])
def test_batch_equals_single_bit_for_bit_in_any_order(
    count: int, golden_cases: Dict[str, List[Dict[str, Any]]], embedded_caches: Dict[str, MetricCache]
) -> None:
    scorer = Scorer()
    for token in list(golden_cases)[::9]:
        cache, poses = embedded_caches[token], golden_batch(golden_cases[token], count)
        batch = scorer.score(cache, poses)
        order = np.random.default_rng(0).permutation(count)
        shuffled = Scorer().score(cache, poses[order])
        singles = [scorer.score(cache, poses[n : n + 1]) for n in range(count)]
        for name in FIELDS:
            values = getattr(batch, name)
            assert len(values) == count
            assert np.array_equal(getattr(shuffled, name), values[order]), name
            assert np.array_equal(np.concatenate([getattr(single, name) for single in singles]), values), name


def test_scoring_twice_gives_the_same(embedded_caches: Dict[str, MetricCache]) -> None:
    cache = next(iter(embedded_caches.values()))
    poses, scorer = straight_plan(6.0), Scorer()
    first = scorer.score(cache, poses)
    scorer.score(cache, straight_plan(0.0))
    second = scorer.score(cache, poses)
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in FIELDS)


def test_a_plan_like_the_reference_on_an_empty_road_is_perfect() -> None:
    scores = Scorer().score(make_cache(), straight_plan(8.0))
    assert all(getattr(scores, name).tolist() == [1.0] for name in (*SUB_SCORES, "score"))
    np.testing.assert_allclose(scores.progress_raw, [[32.0, 32.0]], atol=1e-3)
    assert (scores.collision_idx.tolist(), scores.ttc_idx.tolist()) == ([-1], [-1])


def test_progress_is_relative_to_the_better_of_both() -> None:
    """The slower plan gets its share; driving further than the reference is worth no more than 1."""
    scores = Scorer().score(make_cache(), np.concatenate([straight_plan(6.0), straight_plan(9.0)]))
    share = scores.progress_raw[0, 1] / scores.progress_raw[0, 0]
    assert 0.7 < share < 0.9
    assert scores.ego_progress.tolist() == pytest.approx([share, 1.0])
    assert scores.score.tolist() == pytest.approx([(5.0 * share + 5.0 + 2.0) / 12.0, 1.0])


def test_a_reference_that_collides_is_not_compared_with() -> None:
    """Its progress is multiplied by 0; the other's own is the best."""
    scores = Scorer().score(make_cache(Thing(34.0, 0.0)), straight_plan(5.0))
    assert scores.no_at_fault_collisions.tolist() == [1.0]
    assert scores.progress_raw[0, 0] > scores.progress_raw[0, 1] and scores.ego_progress.tolist() == [1.0]


def test_collisions_multiply() -> None:
    scores = Scorer().score(make_cache(Thing(25.0, 0.0)), straight_plan(8.0))
    assert scores.no_at_fault_collisions.tolist() == [0.0] and scores.score.tolist() == [0.0]
    assert 0 <= scores.ttc_idx[0] < scores.collision_idx[0]


def test_driving_direction_has_no_weight(embedded_caches: Dict[str, MetricCache]) -> None:
    """PDMS v1.1 = NC DAC (5 EP + 5 TTC + 2 C) / 12."""
    rng = np.random.default_rng(0)
    against = 0
    for cache in list(embedded_caches.values())[::8]:
        s = Scorer().score(cache, rng.normal(0.0, 0.5, (20, 8, 3)).cumsum(axis=1) + straight_plan(4.0))
        weighted = 5.0 * s.ego_progress + 5.0 * s.time_to_collision_within_bound + 2.0 * s.comfort
        product = s.no_at_fault_collisions * s.drivable_area_compliance
        np.testing.assert_allclose(s.score, product * weighted / 12.0, rtol=0.0, atol=1e-12)
        against += int(((s.driving_direction_compliance < 1.0) & (s.score > 0.0)).sum())
    assert against > 0


def test_no_trajectories_give_no_scores() -> None:
    scores = Scorer().score(make_cache(Thing(25.0, 0.0)), np.zeros((0, 8, 3)))
    assert all(len(getattr(scores, name)) == 0 for name in FIELDS)


def test_one_trajectory_with_its_own_sampling() -> None:
    poses = np.zeros((40, 3))
    poses[:, 0] = 0.8 * np.arange(1, 41)
    scores = Scorer().score_trajectory(make_cache(), Trajectory(poses, TrajectorySampling(40, 0.1)))
    assert scores.score.tolist() == [1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_poses_that_are_not_finite_are_refused(value: float) -> None:
    poses = np.concatenate([straight_plan(5.0)] * 3)
    poses[1, 3, 2] = value
    with pytest.raises(TrajectoryError, match="not finite"):
        Scorer().score(make_cache(), poses)


@pytest.mark.parametrize("shape", [(8, 3), (1, 7, 3), (1, 9, 3), (1, 8, 2), (1, 40, 3), (8,), (1, 1, 8, 3)])
def test_poses_of_a_wrong_shape_are_refused(shape: tuple) -> None:
    with pytest.raises(TrajectoryError, match=r"expected trajectories of shape \(N, 8, 3\), got"):
        Scorer().score(make_cache(), np.zeros(shape))
