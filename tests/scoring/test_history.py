"""What the ego drove before the scene, at 10 Hz."""

from __future__ import annotations

import dataclasses
from typing import Dict, Sequence

import numpy as np
import pytest

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.history import collect_history
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.state import FloatArray, StateIndex
from tests.scoring.scenes import START_US, make_frame, make_scene

HALF_SECOND = 500_000


def make_drive(offsets_us: Sequence[int], speed: float = 6.0, headings: Sequence[float] = ()) -> Scene:
    """Frames along x at constant speed, those given last before the current one; and one frame of the future."""
    frames = []
    for i, offset in enumerate([*offsets_us, 0, HALF_SECOND]):
        heading = headings[i] if i < len(headings) else 0.0
        pose = (100.0 + speed * offset * 1e-6, 20.0, heading)
        frames.append(make_frame(speed=speed, pose=pose, timestamp=START_US + offset))
    return make_scene(*frames, num_history=len(frames) - 1)


def history_of(scene: Scene) -> FloatArray:
    states = collect_history(scene)
    assert np.isfinite(states).all() and states.shape[1] == len(StateIndex)
    return states


def test_14_states_up_to_a_fifth_of_a_second_before_the_start() -> None:
    states = history_of(make_drive([-3 * HALF_SECOND, -2 * HALF_SECOND, -HALF_SECOND]))
    assert len(states) == 14
    np.testing.assert_allclose(states[:, StateIndex.X], 100.0 + 6.0 * np.arange(-1.5, -0.15, 0.1), atol=1e-6)
    np.testing.assert_allclose(states[:, StateIndex.VELOCITY_X], 6.0)
    assert not states[:, StateIndex.STEERING_ANGLE :].any()


@pytest.mark.parametrize(("jitter_us", "length"), [(0, 14), (4_000, 15), (1, 15), (-1, 14), (-4_000, 14)])
def test_jittered_time_stamps_count_as_they_are(jitter_us: int, length: int) -> None:
    """The grid starts at the oldest frame; positions are those of the time stamps."""
    oldest = -3 * HALF_SECOND - jitter_us
    states = history_of(make_drive([oldest, -2 * HALF_SECOND + 3_000, -HALF_SECOND - 2_000]))
    assert len(states) == length
    times = oldest * 1e-6 + 0.1 * np.arange(length)
    np.testing.assert_allclose(states[:, StateIndex.X], 100.0 + 6.0 * times, atol=1e-5)


def test_headings_take_the_short_way_across_pi() -> None:
    scene = make_drive([-3 * HALF_SECOND, -2 * HALF_SECOND, -HALF_SECOND], headings=[3.0, -3.0, 3.1, -3.1])
    heading = history_of(scene)[:, StateIndex.HEADING]
    assert (heading >= -np.pi).all() and (heading < np.pi).all()
    assert np.abs(heading).min() > 2.99
    np.testing.assert_allclose(heading[[0, 5, 10]], [3.0, -3.0, 3.1], atol=1e-9)


def test_velocities_and_accelerations_are_interpolated() -> None:
    frames = []
    for i, offset in enumerate([-3 * HALF_SECOND, -2 * HALF_SECOND, -HALF_SECOND, 0]):
        frame = make_frame(speed=float(i), timestamp=START_US + offset)
        status = dataclasses.replace(frame.ego_status, ego_acceleration=np.array([2.0 * i, -i], dtype=np.float32))
        frames.append(dataclasses.replace(frame, ego_status=status))
    states = history_of(make_scene(*frames))
    ramp = np.arange(14) / 5.0
    np.testing.assert_allclose(states[:, StateIndex.VELOCITY_X], ramp, atol=1e-9)
    np.testing.assert_allclose(states[:, StateIndex.ACCELERATION_X], 2.0 * ramp, atol=1e-9)
    np.testing.assert_allclose(states[:, StateIndex.ACCELERATION_Y], -ramp, atol=1e-9)


def test_only_the_last_four_frames_count() -> None:
    offsets = [-i * HALF_SECOND for i in (6, 5, 4, 3, 2, 1)]
    assert np.array_equal(history_of(make_drive(offsets)), history_of(make_drive(offsets[3:])))


@pytest.mark.parametrize(
    ("offsets_us", "length"), [([], 0), ([-HALF_SECOND], 4), ([-2 * HALF_SECOND, -HALF_SECOND], 9)]
)
def test_a_shorter_history(offsets_us: Sequence[int], length: int) -> None:
    assert len(history_of(make_drive(offsets_us))) == length


def test_histories_of_the_embedded_scenes(embedded_caches: Dict[str, MetricCache]) -> None:
    """Two thirds of the logs have even time stamps; the others' are up to 4 ms off what the ego drove by."""
    lengths = [len(cache.history) for cache in embedded_caches.values()]
    assert set(lengths) <= {14, 15} and lengths.count(14) > len(lengths) // 2
    for cache in embedded_caches.values():
        left = np.hypot(*(cache.start[:2] - cache.history[-1, :2]))
        speed = (cache.start[StateIndex.VELOCITY_X] + cache.history[-1, StateIndex.VELOCITY_X]) / 2.0
        share = left / (0.1 * (16 - len(cache.history)))
        assert 0.5 * speed - 0.5 <= share <= 1.5 * speed + 1.0, "metres per second"
