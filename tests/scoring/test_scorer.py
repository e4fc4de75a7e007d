"""The scorer: every trajectory as if it were scored alone, the human filter, and what it refuses."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List

import numpy as np
import pytest
import shapely

from latentvla_agent.data.scene import Trajectory, TrajectorySampling
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import SubScore
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.scorer import COLUMN_OF, PreviousPlan, Scorer, Scores
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.golden import Case
from tests.scoring.scenes import START_US, STRAIGHT_LINE, Thing, arrays_of, make_areas, make_cache, straight_plan

METRICS = ("pdms-v1.1", "epdms-v2.2", "epdms-v2.2-prefix")
BOTH = pytest.mark.parametrize("metric", METRICS[:2])
EC = "two_frame_extended_comfort"


def assert_same(scores: Scores, expected: Dict[str, Any]) -> None:
    """Bit for bit, NaN being equal to NaN."""
    found = arrays_of(scores)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype and np.array_equal(found[name], values, equal_nan=True), name


def golden_batch(cases: List[Case], count: int) -> FloatArray:
    """Trajectories of a scene, repeated with small changes until there are enough."""
    poses = np.array([case["poses"] for case in cases if case["sampling"]["num_poses"] == 8])
    batch = np.concatenate([poses] * (count // len(poses) + 1))[:count]
    return batch + np.random.default_rng(count).normal(0.0, 0.02, batch.shape)


@BOTH
@pytest.mark.parametrize("count", [1, 7, 64, 257])
def test_batch_equals_single_bit_for_bit_in_any_order(
    metric: str, count: int, golden_cases: Dict[str, List[Case]], embedded_caches: Dict[str, MetricCache]
) -> None:
    """With the plans of half a second ago, each its own."""
    scorer = Scorer(metric)
    for token in list(golden_cases)[:: 9 if count > 7 else 3]:
        cache, poses = embedded_caches[token], golden_batch(golden_cases[token], count)
        before = cache.timestamp - 500_000
        old = np.roll(scorer.simulate(cache, poses[::-1]).states, 1, axis=0)
        batch = scorer.score(cache, poses, previous=PreviousPlan(old, before))
        arrays = arrays_of(batch)
        assert {len(values) for values in arrays.values()} == {count}
        order = np.random.default_rng(0).permutation(count)
        shuffled = Scorer(metric).score(cache, poses[order], previous=PreviousPlan(old[order], before))
        assert_same(shuffled, {name: values[order] for name, values in arrays.items()})
        for n in range(count):
            single = scorer.score(cache, poses[n : n + 1], previous=PreviousPlan(old[n : n + 1], before))
            assert_same(single, {name: values[n : n + 1] for name, values in arrays.items()})


@BOTH
def test_all_embedded_scenes_in_one_batch_each(
    metric: str, golden_cases: Dict[str, List[Case]], embedded_caches: Dict[str, MetricCache]
) -> None:
    scorer = Scorer(metric)
    for token, cases in golden_cases.items():
        cache, poses = embedded_caches[token], golden_batch(cases, 20)
        arrays = arrays_of(scorer.score(cache, poses))
        for n in range(len(poses)):
            assert_same(
                scorer.score(cache, poses[n : n + 1]), {name: values[n : n + 1] for name, values in arrays.items()}
            )


@BOTH
def test_scoring_twice_gives_the_same(metric: str, embedded_caches: Dict[str, MetricCache]) -> None:
    cache = next(iter(embedded_caches.values()))
    poses, scorer = straight_plan(6.0), Scorer(metric)
    first = arrays_of(scorer.score(cache, poses))
    scorer.score(cache, straight_plan(0.0))
    assert_same(scorer.score(cache, poses), first)


@BOTH
def test_memory_layout_and_type_of_the_poses_do_not_matter(metric: str) -> None:
    cache, scorer = make_cache(Thing(25.0, 1.0)), Scorer(metric)
    poses = np.concatenate([straight_plan(v) for v in (4.0, 6.0, 8.0)])
    expected = arrays_of(scorer.score(cache, poses))
    strided = np.repeat(poses, 2, axis=0)[::2]
    assert not strided.flags.c_contiguous
    others: List[Any] = [np.asfortranarray(poses), strided, poses.tolist(), poses.astype(np.float32)]
    for same in others:
        assert_same(scorer.score(cache, same), expected)


def test_scoring_leaves_poses_and_cache_alone() -> None:
    cache = make_cache(Thing(25.0, 1.0), Thing(4.0, 0.0))
    poses = straight_plan(8.0)
    before = [a.copy() for a in (poses, cache.start, cache.references, cache.tracks.poses, cache.areas.vertices)]
    for metric in METRICS:
        Scorer(metric).score(cache, poses)
    after = (poses, cache.start, cache.references, cache.tracks.poses, cache.areas.vertices)
    assert all(np.array_equal(a, b) for a, b in zip(before, after))


@BOTH
def test_threads_that_share_a_scorer_give_what_one_thread_gives(
    metric: str, golden_cases: Dict[str, List[Case]], embedded_caches: Dict[str, MetricCache]
) -> None:
    """Two threads over the same scenes at once, in different orders, from a scorer that has seen none of them."""
    work = [(embedded_caches[token], golden_batch(cases, 33)) for token, cases in golden_cases.items()]
    expected = [arrays_of(Scorer(metric).score(*job)) for job in work]
    for _ in range(3):
        shared = Scorer(metric)
        with ThreadPoolExecutor(2) as pool:
            forth = pool.submit(lambda: [shared.score(*job) for job in work])
            back = pool.submit(lambda: [shared.score(*job) for job in work[::-1]])
            for found in (forth.result(), back.result()[::-1]):
                for scores, wanted in zip(found, expected):
                    assert_same(scores, wanted)


@pytest.mark.parametrize("metric", METRICS)
def test_a_plan_like_the_reference_on_an_empty_road_is_perfect(metric: str) -> None:
    scores = Scorer(metric).score(make_cache(), straight_plan(8.0))
    assert {name: values.tolist() for name, values in scores.sub_scores.items() if name != EC} == {
        name: [1.0] for name in scores.sub_scores if name != EC
    }
    assert scores.score.tolist() == [1.0]
    np.testing.assert_allclose(scores.progress_raw, [[32.0, 32.0]], atol=1e-3)
    steps = scores.collision_idx, scores.ttc_idx, scores.off_road_idx
    assert [step.tolist() for step in steps] == [[-1], [-1], [-1]]


def test_progress_is_relative_to_the_better_of_both() -> None:
    """The slower plan gets its share; driving further than the reference is worth no more than 1."""
    scores = Scorer().score(make_cache(), np.concatenate([straight_plan(6.0), straight_plan(9.0)]))
    share = scores.progress_raw[0, 1] / scores.progress_raw[0, 0]
    assert 0.7 < share < 0.9
    assert scores.sub_scores["ego_progress"].tolist() == pytest.approx([share, 1.0])
    assert scores.score.tolist() == pytest.approx([(5.0 * share + 5.0 + 2.0) / 12.0, 1.0])


@BOTH
def test_a_reference_that_collides_is_not_compared_with(metric: str) -> None:
    """Its progress is multiplied by 0; the other's own is the best."""
    scores = Scorer(metric).score(make_cache(Thing(34.0, 0.0)), straight_plan(5.0))
    assert scores.sub_scores["no_at_fault_collisions"].tolist() == [1.0]
    assert scores.progress_raw[0, 0] > scores.progress_raw[0, 1]
    assert scores.sub_scores["ego_progress"].tolist() == [1.0]


@BOTH
def test_collisions_multiply(metric: str) -> None:
    scores = Scorer(metric).score(make_cache(Thing(25.0, 0.0)), straight_plan(8.0))
    assert scores.sub_scores["no_at_fault_collisions"].tolist() == [0.0] and scores.score.tolist() == [0.0]
    assert 0 <= scores.ttc_idx[0] < scores.collision_idx[0]


def test_driving_direction_multiplies_in_v2_only() -> None:
    """On a lane that is not on the route."""
    road = shapely.box(-50.0, -3.0, 200.0, 3.0)
    cache = make_cache(speed=4.0, areas=make_areas(("1", AreaKind.LANE_GROUP, road), ("2", AreaKind.LANE, road)))
    found = [Scorer(metric).score(cache, straight_plan(4.0)) for metric in METRICS[:2]]
    assert [scores.sub_scores["driving_direction_compliance"].tolist() for scores in found] == [[0.5], [0.5]]
    assert found[0].score[0] == pytest.approx((5.0 * found[0].sub_scores["ego_progress"][0] + 7.0) / 12.0)
    assert found[1].score[0] == pytest.approx(0.5 * (5.0 * found[1].sub_scores["ego_progress"][0] + 9.0) / 14.0)


def test_the_total_is_that_of_the_columns(embedded_caches: Dict[str, MetricCache]) -> None:
    """On random drives: `pdms-v1.1` from its own columns, `epdms-v2.2` from the filtered, the other from the raw."""
    rng, zeros, filtered = np.random.default_rng(0), 0, 0
    for cache in [cache for cache in embedded_caches.values() if cache.human_fails.any()][::2]:
        poses = rng.normal(0.0, 0.05, (20, 8, 3)).cumsum(axis=1) + straight_plan(cache.start[3])
        for metric in METRICS:
            scores, raw = Scorer(metric).score(cache, poses), Scorer(metric, human_filter=False).score(cache, poses)
            used = raw.sub_scores if metric == "epdms-v2.2-prefix" else scores.sub_scores
            np.testing.assert_allclose(scores.score, total_of(used), rtol=0.0, atol=1e-12)
            np.testing.assert_allclose(raw.score, total_of(raw.sub_scores), rtol=0.0, atol=1e-12)
            zeros += int((scores.score == 0.0).sum())
            filtered += int((scores.score != raw.score).sum())
    assert zeros > 20 and filtered > 20


def total_of(columns: Dict[str, FloatArray]) -> FloatArray:
    """A published formula applied to the columns of a metric, without EC."""
    product = columns["no_at_fault_collisions"] * columns["drivable_area_compliance"]
    weighted = 5.0 * columns["ego_progress"] + 5.0 * columns["time_to_collision_within_bound"]
    if "comfort" in columns:
        result: FloatArray = product * (weighted + 2.0 * columns["comfort"]) / 12.0
        return result
    product = product * columns["driving_direction_compliance"] * columns["traffic_light_compliance"]
    result = product * (weighted + 2.0 * columns["lane_keeping"] + 2.0 * columns["history_comfort"]) / 14.0
    return result


HUMAN_FAILS = [SubScore.COLLISION, SubScore.TIME_TO_COLLISION]


def test_the_filter_lifts_what_the_human_fails_in_columns_and_total() -> None:
    cache = make_cache(Thing(25.0, 0.0), human_fails=HUMAN_FAILS)
    scores = Scorer("epdms-v2.2").score(cache, straight_plan(8.0))
    raw = Scorer("epdms-v2.2", human_filter=False).score(cache, straight_plan(8.0))
    for name in ("no_at_fault_collisions", "time_to_collision_within_bound"):
        assert (scores.sub_scores[name].tolist(), raw.sub_scores[name].tolist()) == ([1.0], [0.0])
    assert (scores.score.tolist(), raw.score.tolist()) == ([1.0], [0.0])
    assert scores.collision_idx[0] == raw.collision_idx[0] >= 0, "the collision is still told"


def test_before_its_mending_the_filter_changed_the_columns_only() -> None:
    cache = make_cache(Thing(25.0, 0.0), human_fails=HUMAN_FAILS)
    scores = Scorer("epdms-v2.2-prefix").score(cache, straight_plan(8.0))
    assert scores.sub_scores["no_at_fault_collisions"].tolist() == [1.0] and scores.score.tolist() == [0.0]
    raw = Scorer("epdms-v2.2-prefix", human_filter=False).score(cache, straight_plan(8.0))
    assert raw.sub_scores["no_at_fault_collisions"].tolist() == [0.0] and raw.score.tolist() == [0.0]


def test_v1_knows_no_filter() -> None:
    cache = make_cache(Thing(25.0, 0.0), human_fails=HUMAN_FAILS)
    assert Scorer("pdms-v1.1").score(cache, straight_plan(8.0)).score.tolist() == [0.0]


@pytest.mark.parametrize("column", [c for c in SubScore if c not in (SubScore.COMFORT, SubScore.PROGRESS)])
def test_the_filter_lifts_one_column_at_a_time(column: SubScore) -> None:
    """A plan that crashes off its road and its route, through everything, for each failure of the human."""
    areas = make_areas(("1", AreaKind.LANE_GROUP, shapely.box(-50.0, -3.0, 9.0, 3.0)))
    cache = make_cache(Thing(30.0, 0.0), areas=areas, centerline=STRAIGHT_LINE + [0.0, 4.0], human_fails=[column])
    scores, raw = (Scorer("epdms-v2.2", human_filter=f).score(cache, straight_plan(20.0)) for f in (True, False))
    changed = {n for n, v in scores.sub_scores.items() if n != EC and v[0] != raw.sub_scores[n][0]}
    lifted = {name for name, c in COLUMN_OF.items() if c == column and name in raw.sub_scores}
    assert changed == (lifted if column != SubScore.TRAFFIC_LIGHT else set()), "no light is red here"


def test_the_filter_does_not_change_progress() -> None:
    """EP comes from the plan's own multipliers: the reference counts as moving 32 m, the plan as not at all."""
    cache = make_cache(Thing(60.0, 0.0), human_fails=HUMAN_FAILS)
    plan = straight_plan(16.0)
    for f in (True, False):
        scores = Scorer("epdms-v2.2", human_filter=f).score(cache, plan)
        assert scores.sub_scores["ego_progress"].tolist() == [1.0] and scores.progress_raw[0, 1] > 40.0


def test_without_a_previous_plan_there_is_no_extended_comfort() -> None:
    scores = Scorer("epdms-v2.2").score(make_cache(), np.concatenate([straight_plan(5.0)] * 3))
    assert np.isnan(scores.sub_scores[EC]).all() and np.isfinite(scores.score).all()
    assert EC not in Scorer("pdms-v1.1").score(make_cache(), straight_plan(5.0)).sub_scores


def test_a_previous_plan_that_differs_costs_two_sixteenths() -> None:
    cache, scorer = make_cache(), Scorer("epdms-v2.2")
    steady = scorer.simulate(cache, straight_plan(8.0)).states
    found = [
        scorer.score(cache, straight_plan(8.0), previous=PreviousPlan(states, START_US - 500_000))
        for states in (steady, scorer.simulate(cache, straight_plan(2.0)).states)
    ]
    assert [scores.sub_scores[EC].tolist() for scores in found] == [[1.0], [0.0]]
    assert [scores.score.tolist() for scores in found] == [[1.0], [14.0 / 16.0]]


def test_one_previous_plan_may_stand_for_all() -> None:
    cache, scorer = make_cache(), Scorer("epdms-v2.2")
    poses = np.concatenate([straight_plan(8.0), straight_plan(2.0), straight_plan(7.9)])
    previous = PreviousPlan(scorer.simulate(cache, straight_plan(8.0)).states, START_US - 500_000)
    assert scorer.score(cache, poses, previous=previous).sub_scores[EC].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("metric", METRICS)
def test_no_trajectories_give_no_scores(metric: str) -> None:
    scores = arrays_of(Scorer(metric).score(make_cache(Thing(25.0, 0.0)), np.zeros((0, 8, 3))))
    assert {len(values) for values in scores.values()} == {0}
    assert scores["simulated"].shape == (0, 41, 11) and scores["progress_raw"].shape == (0, 2)


@BOTH
def test_one_trajectory_with_its_own_sampling(metric: str) -> None:
    poses = np.zeros((40, 3))
    poses[:, 0] = 0.8 * np.arange(1, 41)
    scores = Scorer(metric).score_trajectory(make_cache(), Trajectory(poses, TrajectorySampling(40, 0.1)))
    assert scores.score.tolist() == [1.0]


def test_scenes_that_are_gone_are_forgotten() -> None:
    scorer = Scorer()
    for _ in range(3):
        scorer.score(make_cache(), straight_plan(5.0))
    kept = make_cache()
    scorer.score(kept, straight_plan(5.0))
    assert len(scorer._worlds) == 1


def test_equal_scenes_are_not_mixed_up() -> None:
    """Two caches with one token, one of them with a car in the way."""
    free, blocked, scorer = make_cache(), make_cache(Thing(25.0, 0.0)), Scorer()
    assert [scorer.score(c, straight_plan(8.0)).score[0] for c in (free, blocked, free)] == [1.0, 0.0, 1.0]
    moved = dataclasses.replace(free, tracks=blocked.tracks)
    assert scorer.score(moved, straight_plan(8.0)).score.tolist() == [0.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (1, 3, 2), (2, 7, 1)])
def test_poses_that_are_not_finite_are_refused(value: float, place: tuple) -> None:
    poses = np.concatenate([straight_plan(5.0)] * 3)
    poses[place] = value
    for metric in METRICS:
        with pytest.raises(TrajectoryError, match="not finite"):
            Scorer(metric).score(make_cache(), poses)


@pytest.mark.parametrize("shape", [(8, 3), (1, 7, 3), (1, 9, 3), (1, 8, 2), (1, 40, 3), (8,), (1, 1, 8, 3), (0, 7, 3)])
def test_poses_of_a_wrong_shape_are_refused(shape: tuple) -> None:
    with pytest.raises(TrajectoryError, match=r"expected trajectories of shape \(N, 8, 3\), got"):
        Scorer().score(make_cache(), np.zeros(shape))
