"""Tracks of the log at 10 Hz: where and when the scorer sees an object."""

from __future__ import annotations

import dataclasses
import platform
from typing import Dict

import numpy as np
import pytest
import shapely

from latentvla_agent.data.scene import Scene
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.kernels import Objects
from latentvla_agent.scoring.observation import ObjectType, Tracks, collect_tracks, detect_objects, observe_tracks
from latentvla_agent.scoring.versions import V1, V2
from tests.scoring.scenes import AT_ORIGIN, Thing, make_frame, make_tracks, observe


def see(tracks: Tracks) -> Objects:
    return observe_tracks(tracks, AT_ORIGIN, V1, DEFAULT_CONFIG.metrics)


def test_a_moving_track_is_interpolated_to_10_hz() -> None:
    seen = observe(Thing(10.0, 1.0, heading=0.0, speed=5.0))
    assert seen.centers.shape == (51, 1, 2) and seen.corners.shape == (51, 1, 4, 2)
    np.testing.assert_allclose(seen.centers[:, 0, 0], 10.0 + 0.5 * np.arange(51), atol=1e-9)
    assert seen.present.all() and not seen.is_stopped[0] and seen.is_agent[0]
    np.testing.assert_allclose(seen.corners[0, 0], [[12, 2], [8, 2], [8, 0], [12, 0]], atol=1e-9)
    assert seen.reach[0] == pytest.approx(np.hypot(2.0, 1.0))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere compilers fuse GEOS's sums")
def test_centers_are_the_centroids_that_the_devkit_takes() -> None:
    rng = np.random.default_rng(0)
    tracks = make_tracks(*(Thing(0.0, 0.0, speed=s) for s in rng.uniform(0.0, 10.0, 50)))
    tracks.poses[..., :2] += rng.uniform([0.0, 3e6], [1e6, 5e6], (50, 2))
    tracks.poses[..., 2] += rng.uniform(-3.0, 3.0, 50)
    seen = see(tracks)
    centroids = shapely.get_coordinates(shapely.centroid(shapely.polygons(seen.corners.reshape(-1, 4, 2))))
    assert np.array_equal(seen.centers.reshape(-1, 2), centroids)


def test_a_box_without_width_keeps_its_center() -> None:
    tracks = make_tracks(Thing(5.0, 6.0))
    tracks.sizes[:, 1] = 0.0
    np.testing.assert_allclose(see(tracks).centers[:, 0], np.tile([5.0, 6.0], (51, 1)), rtol=0.0, atol=1e-12)


def test_gaps_are_bridged() -> None:
    seen = observe(Thing(0.0, 0.0, speed=4.0, detected=[1, 2, 7]))
    assert np.flatnonzero(seen.present[:, 0]).tolist() == list(range(5, 36))
    np.testing.assert_allclose(seen.centers[5:36, 0, 0], 0.4 * np.arange(5, 36), atol=1e-9)


def test_first_and_last_detection_bound_a_track() -> None:
    seen = observe(Thing(0.0, 0.0, speed=4.0, detected=[3, 4, 5]), Thing(0.0, 9.0, detected=range(11)))
    assert np.flatnonzero(seen.present[:, 0]).tolist() == list(range(15, 26))
    assert seen.present[:, 1].all()


@pytest.mark.parametrize("frame", [0, 4, 10])
def test_a_track_detected_once_stands_there_all_the_time(frame: int) -> None:
    seen = observe(Thing(0.0, 0.0, speed=4.0, detected=[frame]))
    assert seen.present.all()
    np.testing.assert_allclose(seen.centers[:, 0, 0], 2.0 * frame, atol=1e-9)


def test_headings_take_the_short_way_across_pi() -> None:
    tracks = make_tracks(Thing(0.0, 0.0))
    tracks.poses[:, 0, 2] = np.where(np.arange(11) % 2 == 0, 3.0, -3.0)
    corners = see(tracks).corners[:, 0]
    direction = corners[:, 0] - corners[:, 1]  # front left minus rear left
    assert (direction[:, 0] < 0.0).all()


def test_stopped_is_judged_by_the_first_detection() -> None:
    tracks = make_tracks(Thing(0.0, 0.0, speed=4.0), Thing(0.0, 0.0, speed=0.05), Thing(0.0, 0.0, speed=0.051))
    tracks.velocities[0] = 0.0
    assert see(tracks).is_stopped.tolist() == [True, True, False]


def test_things_are_stopped_whatever_their_velocity() -> None:
    seen = observe(*[Thing(0.0, 0.0, speed=3.0, type=kind) for kind in ObjectType])
    assert seen.is_agent.tolist() == [True] * 3 + [False] * 4
    assert seen.is_stopped.tolist() == [False] * 3 + [True] * 4


def test_bounds_hold_the_boxes_of_all_frames_with_the_object() -> None:
    seen = observe(Thing(10.0, 1.0, speed=4.0), Thing(0.0, 0.0, heading=np.pi / 2, speed=4.0, detected=[2, 3]))
    np.testing.assert_allclose(seen.bounds, [[8.0, 0.0, 32.0, 2.0], [-1.0, 2.0, 1.0, 8.0]], atol=1e-9)


def test_v2_sees_four_seconds() -> None:
    late, gap, early = (
        Thing(0.0, 9.0, detected=[9, 10]),
        Thing(0.0, 20.0, speed=4.0, detected=[7, 10]),
        Thing(0.0, 30.0),
    )
    seen = observe(late, gap, early, rules=V2)
    assert seen.centers.shape == (41, 2, 2), "the first is never seen"
    assert seen.present.all(), "of the second only one detection is left: it stands there"
    np.testing.assert_allclose(seen.centers[:, 0], np.tile([14.0, 20.0], (41, 1)), atol=1e-9)
    assert observe(late, gap, early).centers.shape == (51, 3, 2)


@pytest.mark.parametrize(("x", "touches"), [(6.0, True), (6.04, True), (6.06, False), (-3.1, True), (-3.2, False)])
def test_v2_removes_what_touches_the_ego_at_the_start(x: float, touches: bool) -> None:
    """The ego's box reaches from -1.127 m to 4.049 m."""
    assert observe(Thing(x, 0.0), rules=V2).ignored.tolist() == [touches]
    assert observe(Thing(x, 0.0)).ignored.tolist() == [False]


def test_v2_keeps_what_comes_to_the_ego_s_place_later() -> None:
    seen = observe(Thing(-5.0, 0.0, speed=8.0), Thing(2.0, 0.0, speed=1.0, detected=[1, 2]), rules=V2)
    assert seen.ignored.tolist() == [False, False]


def test_a_track_detected_once_later_on_the_ego_s_place_is_removed() -> None:
    """It stands there all the time, at the start too."""
    assert observe(Thing(2.0, 0.0, detected=[5]), rules=V2).ignored.tolist() == [True]


def test_no_objects() -> None:
    seen = observe()
    assert seen.centers.shape == (51, 0, 2) and seen.present.shape == (51, 0)


def test_detections_are_in_the_map_frame() -> None:
    frame = make_frame(Thing(10.0, 2.0, heading=0.5, speed=3.0), pose=(100.0, 200.0, np.pi / 2))
    found = detect_objects(frame)
    np.testing.assert_allclose(found.poses, [[98.0, 210.0, 0.5 + np.pi / 2]], atol=1e-6)
    speed = 3.0 * np.array([np.cos(0.5 + np.pi / 2), np.sin(0.5 + np.pi / 2)])
    np.testing.assert_allclose(found.velocities, [speed], atol=1e-6)
    assert found.types.tolist() == [int(ObjectType.VEHICLE)] and found.sizes.tolist() == [[4.0, 2.0]]


def test_tracks_are_those_of_the_current_and_ten_future_frames(embedded_scenes: Dict[str, Scene]) -> None:
    scene = next(iter(embedded_scenes.values()))
    tracks = collect_tracks(scene)
    window = scene.frames[scene.current_index : scene.current_index + 11]
    assert len(window) == 11 == len(tracks.detected)
    for d, frame in enumerate(window):
        seen = {token for token, detected in zip(tracks.tokens, tracks.detected[d]) if detected}
        assert seen == set(frame.annotations.track_tokens)
    assert list(tracks.tokens)[: len(window[0].annotations.track_tokens)] == list(window[0].annotations.track_tokens)


@pytest.mark.parametrize("future", [8, 9])
def test_a_shorter_window_has_the_tracks_that_v2_sees(embedded_scenes: Dict[str, Scene], future: int) -> None:
    scene = next(iter(embedded_scenes.values()))
    short = collect_tracks(dataclasses.replace(scene, frames=scene.frames[: scene.current_index + 1 + future]))
    assert len(short.detected) == 1 + future
    seen, whole = (
        observe_tracks(tracks, AT_ORIGIN, V2, DEFAULT_CONFIG.metrics) for tracks in (short, collect_tracks(scene))
    )
    assert all(np.array_equal(a, b) for a, b in zip(seen, whole))


def test_a_window_without_eight_future_frames_is_refused(embedded_scenes: Dict[str, Scene]) -> None:
    scene = next(iter(embedded_scenes.values()))
    with pytest.raises(DataError, match=r"expected 8 future frames to score \(10 for v1.1\), got 7"):
        collect_tracks(dataclasses.replace(scene, frames=scene.frames[: scene.current_index + 8]))
