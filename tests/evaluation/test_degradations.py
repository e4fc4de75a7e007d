"""What sensors lose: repeatably, as much as it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from latentvla_agent.data.scene import AgentInput
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.data.sensors import CAMERA_NAMES, Camera, Cameras, Lidar
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.degradations import (
    OTHER_SCENE,
    borrow_sensors,
    check_degradation,
    degrade,
    find_partners,
    list_degradations,
    measure_ground,
)

HEIGHT = 1.5  # m, of the camera
LOOK_AHEAD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # a camera's axes in the ego frame


def make_camera(value: int = 90) -> Camera:
    """Looks straight ahead; 60 x 80 pixels of one colour."""
    return Camera(
        image=np.full((60, 80, 3), value, np.uint8),
        sensor2lidar_rotation=LOOK_AHEAD,
        sensor2lidar_translation=np.array([1.0, 0.0, HEIGHT]),
        intrinsics=np.array([[50.0, 0.0, 40.0], [0.0, 50.0, 30.0], [0.0, 0.0, 1.0]]),
        distortion=np.zeros(5),
    )


def make_input(value: int = 90) -> AgentInput:
    points = np.zeros((6, 2000), np.float32)
    points[0] = np.linspace(0.0, 100.0, 2000)
    return AgentInput([], [Cameras(**{name: make_camera(value) for name in CAMERA_NAMES})], [Lidar(points)])


def images_of(agent_input: AgentInput) -> List[Any]:
    return [getattr(agent_input.cameras[0], name).image for name in CAMERA_NAMES]


@pytest.mark.parametrize("name", [name for name in list_degradations() if name != OTHER_SCENE])
def test_a_scene_always_loses_the_same_and_keeps_its_own_arrays(name: str) -> None:
    original = make_input()
    first, second, other = (degrade(original, name, token) for token in ("a", "a", "b"))
    for one, two in zip(images_of(first), images_of(second)):
        assert (one is None) == (two is None) and np.array_equal(one, two)
    assert np.array_equal(first.lidars[0].lidar_pc, second.lidars[0].lidar_pc)
    assert all(np.all(image == 90) for image in images_of(original))
    assert original.lidars[0].lidar_pc is not None and original.lidars[0].lidar_pc[0, -1] == 100.0
    assert other.ego_statuses is original.ego_statuses


def test_some_cameras_are_gone() -> None:
    lost = [
        image is None for token in range(50) for image in images_of(degrade(make_input(), "camera-dropout", f"{token}"))
    ]
    assert 0.4 < np.mean(lost) < 0.6


def test_the_lidar_is_gone() -> None:
    found = degrade(make_input(), "lidar-dropout", "a")
    assert found.lidars[0].lidar_pc is None and all(image is not None for image in images_of(found))


def test_noise_is_as_strong_as_it_says() -> None:
    found = degrade(make_input(), "noise", "a")
    error = np.concatenate([np.asarray(image, float).ravel() - 90.0 for image in images_of(found)])
    assert abs(error.std() - 20.0) < 0.5 and abs(error.mean()) < 1.0
    points = found.lidars[0].lidar_pc
    assert points is not None and abs(points[1].std() - 0.1) < 0.01 and not points[3:].any()


def test_fog_hides_what_is_far() -> None:
    found = degrade(make_input(), "fog", "a")
    image, *_ = images_of(found)
    rows = np.asarray(image)[:, 40, 0].astype(int)
    assert rows[0] > 195 and rows[-1] < 110 and (np.diff(rows) <= 0).all()
    points = found.lidars[0].lidar_pc
    assert points is not None
    near, far = (int(((points[0] >= start) & (points[0] < start + 20.0)).sum()) for start in (0.0, 60.0))
    assert near > 150 and far < 20


def test_a_patch_covers_its_share_of_each_picture_and_nothing_else() -> None:
    images = images_of(degrade(make_input(), "patch-attack", "a"))
    places = set()
    for image in images:
        rows, columns = np.nonzero((np.asarray(image) != 90).any(axis=2))
        places.add((rows.min(), columns.min()))
        assert np.ptp(rows) == np.ptp(columns) == 23 and len(rows) == 24 * 24  # 0.3 of 60, in cells of two pixels
        assert set(np.asarray(image)[rows, columns].ravel()) == {0, 255}
    assert len(places) > 1


def test_the_ground_is_where_the_camera_sees_it() -> None:
    distance = measure_ground(make_camera(), horizon=200.0)
    assert distance[45, 39] == pytest.approx(HEIGHT * np.hypot(50.0, 15.5) / 15.5, rel=1e-3)
    assert (distance[:30] == 200.0).all()


def test_a_lost_camera_stays_lost() -> None:
    original = make_input()
    blind = replace(original, cameras=[Cameras()], lidars=[Lidar()])
    for name in ("noise", "fog", "patch-attack"):
        found = degrade(blind, name, "a")
        assert found.cameras == blind.cameras and found.lidars == blind.lidars


def test_a_scene_gets_the_sensors_of_another_log() -> None:
    refs = [make_ref(log, index) for log in ("a", "b", "c") for index in range(4)]
    partners = find_partners(refs)
    for ref in refs:
        other = partners[ref.token]
        assert other.log_path != ref.log_path
    assert len({other.token for other in partners.values()}) >= 8
    mixed = borrow_sensors(make_input(1), make_input(2))
    assert all(np.all(image == 2) for image in images_of(mixed))


def test_scenes_of_one_log_have_no_other_to_borrow_from() -> None:
    with pytest.raises(ConfigError, match="--degrade other-scene: expected scenes of at least two logs, got 4 of one"):
        find_partners([make_ref("a", index) for index in range(4)])


def make_ref(log: str, index: int) -> SceneRef:
    return SceneRef(Path(f"{log}.pkl"), log, index, f"{log}{index}", "sg-one-north", None)


def test_an_unknown_name_is_answered_with_a_known_one() -> None:
    check_degradation("fog")
    with pytest.raises(ConfigError, match="did you mean 'noise'"):
        check_degradation("nois")
