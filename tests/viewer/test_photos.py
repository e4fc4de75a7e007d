"""The front camera's picture, and where the page will draw points in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.calibration import camera_rig, describe_cameras, project_points
from latentvla_agent.data.scene import Annotations
from latentvla_agent.data.scene_loader import SceneLoader
from latentvla_agent.data.sensor_files import write_image
from latentvla_agent.errors import DataError
from latentvla_agent.viewer.photos import PHOTO_WIDTH, describe_projection, estimate_ground, load_photo
from tests.evaluation.comparison_runs import Runs

POINTS = np.array([[12.0, 2.0, 0.0], [30.0, -4.0, 0.0]])


def project(projection: Dict[str, Any], points: Any) -> Any:
    """As `makeProjection` of `page/camera.js` does where there is no distortion; shares of the picture."""
    pose = np.array(projection["pose"]).reshape(3, 4)
    inside = points @ pose[:, :3].T + pose[:, 3]
    fx, fy, cx, cy = projection["lens"]
    return np.column_stack([fx * inside[:, 0] / inside[:, 2] + cx, fy * inside[:, 1] / inside[:, 2] + cy])


def test_points_fall_where_the_camera_sees_them() -> None:
    rig = camera_rig(480, 270)
    entry = describe_cameras(rig, "log", "token")["CAM_F0"]
    projection = describe_projection(entry, np.zeros((270, 480, 3), np.uint8), 0.0)
    assert projection is not None and projection["distortion"] == [0.0] * 5
    pixels, depth = project_points(POINTS, rig["cam_f0"])
    assert (depth > 0).all() and project(projection, POINTS) == pytest.approx(pixels / [480, 270], abs=1e-4)


def test_without_calibration_there_is_no_projection() -> None:
    entry = dict(describe_cameras(camera_rig(480, 270), "log", "token")["CAM_F0"])
    for wrong in (None, np.zeros(4), np.full(5, np.nan)):
        assert describe_projection({**entry, "distortion": wrong}, np.zeros((270, 480, 3), np.uint8), 0.0) is None


def test_the_ground_is_under_the_vehicles_around(runs: Runs) -> None:
    scene = SceneLoader(runs.index).build(runs.index.refs[0])
    boxes = np.array(
        [[5, 0, 0.5, 4, 2, 1.6, 0], [9, 3, 0.4, 4, 2, 1.4, 0], [300, 0, 9, 4, 2, 1, 0], [2, 2, 5, 1, 1, 1, 0]]
    )
    found = Annotations(
        boxes.astype(np.float32), ["vehicle"] * 3 + ["pedestrian"], np.zeros((4, 3), np.float32), [], []
    )
    frames = list(scene.frames)
    frames[scene.current_index] = replace(scene.current_frame, annotations=found)
    assert estimate_ground(replace(scene, frames=frames)) == pytest.approx(-0.3)
    nothing = replace(found, boxes=boxes[:0].astype(np.float32), names=[])
    frames[scene.current_index] = replace(scene.current_frame, annotations=nothing)
    assert estimate_ground(replace(scene, frames=frames)) == 0.0


def test_a_photo_is_small_and_stays_in_its_folder(runs: Runs) -> None:
    scene = SceneLoader(runs.index).build(runs.index.refs[0])
    assert load_photo(scene, runs.sensors) is None
    path = runs.sensors / scene.current_frame.sensors["cams"]["CAM_F0"]["data_path"]
    write_image(path, np.full((540, 960, 3), 200, np.uint8))
    photo = load_photo(scene, runs.sensors)
    assert photo is not None and photo.jpeg[:2] == b"\xff\xd8" and len(photo.jpeg) < 20_000
    assert PHOTO_WIDTH < 960
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="not a readable picture"):
        load_photo(scene, runs.sensors)
    camera = {**scene.current_frame.sensors["cams"]["CAM_F0"], "data_path": "../../etc/passwd"}
    frames = list(scene.frames)
    frames[scene.current_index] = replace(scene.current_frame, sensors={"cams": {"CAM_F0": camera}})
    with pytest.raises(DataError, match="stays in the folder"):
        load_photo(replace(scene, frames=frames), runs.sensors)
