"""The real key frame: its lidar in its six pictures lands on what is seen there.

The picture is an artefact to be looked at: it goes to the folder that LATENTVLA_ARTEFACTS names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from latentvla_agent.data.calibration import CameraCalibration, is_in_picture, project_points
from latentvla_agent.data.nuscenes.database import NuScenesDatabase
from latentvla_agent.data.sensors import SensorConfig
from tests.data.nuscenes.drives import VERSION
from tests.data.nuscenes.keyframe import INFO, write_keyframe

pytestmark = pytest.mark.skipif(not INFO.exists(), reason=f"no real key frame at {INFO}")
ARTEFACTS = "LATENTVLA_ARTEFACTS"
JUMP_M = 3.0  # from one beam to the next: the edge of an object
MAX_DEPTH_M = 40.0
SHIFTS = (-40, -20, 0, 20, 40)  # px
LAYOUT = ("cam_l0", "cam_f0", "cam_r0", "cam_l1", "cam_b0", "cam_r1")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Any, Any]:
    """The scene, and what an agent sees of its current frame."""
    root = tmp_path_factory.mktemp("keyframe")
    write_keyframe(root)
    database = NuScenesDatabase(root, VERSION)
    scene = database.load(database.sample_tokens()[0])
    return scene, scene.get_agent_input(SensorConfig.build_all_sensors([3]))


def as_calibration(name: str, camera: Any) -> CameraCalibration:
    height, width, _ = camera.image.shape
    place = (camera.sensor2lidar_rotation, camera.sensor2lidar_translation, camera.intrinsics, camera.distortion)
    return CameraCalibration(name, *place, width, height)


def find_edges(points: np.ndarray) -> np.ndarray:
    """Points (N, 3) at which something ends and, one beam on, what is behind it begins."""
    ranges = np.linalg.norm(points[:3], axis=0)
    order = np.lexsort((np.arctan2(points[1], points[0]), points[4]))
    ordered, rings = ranges[order], points[4][order]
    same = rings[1:] == rings[:-1]
    rows = np.concatenate(
        [np.flatnonzero(same & (np.diff(ordered) > JUMP_M)), 1 + np.flatnonzero(same & (np.diff(ordered) < -JUMP_M))]
    )
    found: np.ndarray = points[:3, order[rows]].T
    return found


def steepness(image: np.ndarray, pixels: np.ndarray) -> float:
    """Mean of the steepest horizontal change of grey within 2 px of the pixels (N, 2)."""
    grey = image.astype(np.float64).mean(axis=2)
    slope = np.abs(np.gradient(grey, axis=1))
    rows, columns = pixels[:, 1].astype(int), pixels[:, 0].astype(int)
    near = [slope[rows, np.clip(columns + offset, 0, slope.shape[1] - 1)] for offset in range(-2, 3)]
    return float(np.max(near, axis=0).mean())


def test_edges_of_objects_lie_on_edges_in_the_pictures(loaded: Tuple[Any, Any]) -> None:
    """In no picture are there as many edges beside the projected ones as on them."""
    _, found = loaded
    edges = find_edges(found.lidars[3].lidar_pc)
    sums: Dict[int, List[float]] = {shift: [] for shift in SHIFTS}
    for name in LAYOUT:
        camera = as_calibration(name, getattr(found.cameras[3], name))
        pixels, depth = project_points(edges, camera)
        inside = is_in_picture(pixels, camera) & (depth < MAX_DEPTH_M)
        pixels = pixels[inside]
        assert len(pixels) > 50, name
        for shift in SHIFTS:
            sums[shift].append(steepness(getattr(found.cameras[3], name).image, pixels + [shift, 0]))
    means = {shift: float(np.mean(values)) for shift, values in sums.items()}
    assert all(means[0] > 1.15 * means[shift] for shift in SHIFTS if shift), means


def test_the_picture_is_drawn(loaded: Tuple[Any, Any], tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    from PIL import Image

    scene, found = loaded
    cloud = found.lidars[3].lidar_pc
    sheets = [draw(found.cameras[3], name, cloud, scene.current_frame.annotations.boxes) for name in LAYOUT]
    sheet = np.vstack([np.hstack(sheets[:3]), np.hstack(sheets[3:])])
    folder = Path(os.environ.get(ARTEFACTS) or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(folder / "nuscenes_projection.png")
    assert sheet.shape == (2 * 450, 3 * 800, 3)


def draw(cameras: Any, name: str, cloud: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A picture at half size with the points in the colours of their distance, and the boxes."""
    from PIL import Image, ImageDraw

    from latentvla_agent.world.rendering.overlays import project_box

    camera = as_calibration(name, getattr(cameras, name))
    picture = Image.fromarray(getattr(cameras, name).image)
    pen = ImageDraw.Draw(picture)
    pixels, depth = project_points(cloud[:3].T, camera)
    for (x, y), metres in zip(pixels[is_in_picture(pixels, camera)], depth[is_in_picture(pixels, camera)]):
        share = min(float(metres) / MAX_DEPTH_M, 1.0)
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(int(255 * (1 - share)), int(255 * share), 80))
    for box in boxes:
        for line in project_box(box, camera, near=0.5):
            pen.line(line, fill=(255, 255, 0), width=3)
    return np.asarray(picture.resize((800, 450)))
