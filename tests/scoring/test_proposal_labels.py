"""Labels of proposals agree with the scores they explain."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import numpy as np
import numpy.typing as npt
import pytest

from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.proposal_labels import ProposalLabels, label_rollouts
from latentvla_agent.scoring.scorer import Scorer, Scores
from latentvla_agent.scoring.warm_up import make_parking_lot
from tests.scoring.scenes import Thing, make_cache, straight_plan

STEPS = np.arange(1, 9)


def straight(speed: float) -> npt.NDArray[np.float64]:
    """Poses (8, 3) of a constant speed straight ahead."""
    return np.stack([0.5 * speed * STEPS, np.zeros(8), np.zeros(8)], axis=-1)


def label(cache: MetricCache, *trajectories: npt.NDArray[np.float64]) -> Tuple[Scores, ProposalLabels]:
    """Scores and labels."""
    scorer = Scorer()
    scores = scorer.score(cache, np.stack(trajectories))
    labels = label_rollouts(scores, scorer.world_of(cache))
    return scores, labels


@pytest.fixture
def lot() -> MetricCache:
    """A square of 100 m around the ego, which drives at 10 m/s; a parked car of 4 m x 2 m at (10, 10)."""
    cache = make_parking_lot()
    cache.start[3] = 10.0
    return cache


def test_leaving_the_lot(lot: MetricCache) -> None:
    scores, labels = label(lot, straight(10.0), straight(16.0))
    assert scores.sub_scores["drivable_area_compliance"].tolist() == [1.0, 0.0]
    assert not labels.off_road[0].any() and not labels.off_route[0].any()
    assert labels.off_road[1, -1] and not labels.off_road[1, 0]
    first = int(np.argmax(labels.off_road[1]))
    assert 5 * first < scores.off_road_idx[1] <= 5 * (first + 1), "pose t is step 5 (t + 1)"
    assert (labels.off_route <= labels.off_road).all(), "the centre leaves after the front corners"


def test_who_hits_nothing_has_no_box(lot: MetricCache) -> None:
    scores, labels = label(lot, straight(10.0), straight(3.0))
    assert (scores.collision_idx == -1).all()
    assert not labels.hits.any() and (labels.hit_boxes == 0.0).all()


def test_boxes_are_in_the_frame_of_the_start(lot: MetricCache) -> None:
    """A car right ahead, in the ego's way, seen from an ego that is turned and moved in the map."""
    ahead = replace(lot.tracks, poses=np.full_like(lot.tracks.poses, 0.0))
    ahead.poses[:] = [0.0, 20.0, np.pi / 2 + 0.1]
    lot.start[:3] = 0.0, 0.0, np.pi / 2
    scores, labels = label(replace(lot, tracks=ahead), straight(10.0))
    assert scores.sub_scores["no_at_fault_collisions"][0] == 0.0 and labels.hits[0]
    np.testing.assert_allclose(labels.hit_boxes[0], [20.0, 0.0, 0.1, 4.0, 2.0], atol=1e-6)


AHEAD, BEHIND = Thing(20.0, 0.0), Thing(-2.0, 0.0, speed=8.0)


@pytest.mark.parametrize("things", [(AHEAD,), (AHEAD, BEHIND), (BEHIND, AHEAD)])
def test_the_box_is_of_the_collision_that_was_charged(things: Tuple[Thing, ...]) -> None:
    """The car behind touches the ego from the start on, and is nearer when the ego runs into the one ahead."""
    scores, labels = label(make_cache(*things), straight_plan(8.0)[0])
    assert scores.sub_scores["no_at_fault_collisions"][0] == 0.0 and scores.collision_idx[0] > 0
    assert things[scores.collision_object[0]] is AHEAD
    np.testing.assert_allclose(labels.hit_boxes[0], [20.0, 0.0, 0.0, 4.0, 2.0], atol=1e-6)
