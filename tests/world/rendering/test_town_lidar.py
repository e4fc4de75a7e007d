"""Point clouds of a whole town's traffic, real models and all: whatever a beam could reach has points."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import numpy as np
import numpy.typing as npt
import pytest

from latentvla_agent.data.scene import BoxIndex
from latentvla_agent.world.rendering.cache import SensorRenderer
from latentvla_agent.world.rendering.frame_scene import FrameScene
from latentvla_agent.world.rendering.renderer import Renderer
from latentvla_agent.world.towns import LOGS_FOLDER, MAPS_FOLDER, Town

pytest.importorskip("embreex")

RANGE_M = 40.0
MARGIN_M = 0.06  # noise, and what sticks out of a box
SAMPLES = 2000  # places on an object: one of them is in view where a thousandth of it is


@pytest.fixture(scope="module")
def scans(small_towns: Dict[Town, Path]) -> Tuple[Tuple[Renderer, Any, npt.NDArray[np.float64]], ...]:
    """Renderer, frame and points (N, 3) of some frames, those with the most objects near the ego."""
    folder = next(iter(small_towns.values()))
    source = SensorRenderer(folder / MAPS_FOLDER)
    found = []
    for path in sorted((folder / LOGS_FOLDER).glob("*.pkl"))[:2]:
        log = source.open_log(path)
        frames = sorted(log.frames, key=lambda frame: -len(list(_near(frame))))[:3]
        found += [(log.renderer, frame, log.renderer.scan_lidar(frame)[:3].T.astype(np.float64)) for frame in frames]
    return tuple(found)


@pytest.mark.slow
def test_every_object_in_view_has_points(
    scans: Tuple[Tuple[Renderer, Any, npt.NDArray[np.float64]], ...],
) -> None:
    seen = 0
    for renderer, frame, points in scans:
        for row, box in _near(frame):
            if _is_hit(points, box):
                seen += 1
            else:
                assert not _is_in_view(renderer, renderer.scene_of(frame), row), (frame["token"], row)
    assert seen > 5


def _near(frame: Any) -> Iterator[Tuple[int, npt.NDArray[np.float64]]]:
    boxes = np.asarray(frame["anns"]["gt_boxes"], np.float64).reshape(-1, len(BoxIndex))
    for row in np.flatnonzero(np.hypot(boxes[:, BoxIndex.X], boxes[:, BoxIndex.Y]) < RANGE_M):
        yield int(row), boxes[row]


def _is_hit(points: npt.NDArray[np.float64], box: npt.NDArray[np.float64]) -> bool:
    offset = points - box[:3]
    cos, sin = np.cos(box[BoxIndex.HEADING]), np.sin(box[BoxIndex.HEADING])
    local = [cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0], offset[:, 2]]
    half = box[[BoxIndex.LENGTH, BoxIndex.WIDTH, BoxIndex.HEIGHT]] / 2.0 + MARGIN_M
    return bool((np.abs(np.column_stack(local)) <= half).all(axis=1).any())


def _is_in_view(renderer: Renderer, scene: FrameScene, row: int) -> bool:
    """Whether rays from a lidar to random places on the object end on it."""
    mesh, rng = scene.actors.mesh, np.random.default_rng(row)
    corners = mesh.vertices[mesh.faces[mesh.objects == row]].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = corners[rng.choice(len(corners), SAMPLES, p=areas / areas.sum())]
    places = np.einsum("sc,scx->sx", rng.dirichlet(np.ones(3), SAMPLES), chosen)
    cos, sin = np.cos(scene.pose[2]), np.sin(scene.pose[2])
    for head in renderer.config.lidar.heads:
        x, y, z = head.position
        origin = np.array([scene.pose[0] + cos * x - sin * y, scene.pose[1] + sin * x + cos * y, z])
        ways = places - origin
        directions = (ways / np.linalg.norm(ways, axis=1, keepdims=True)).astype(np.float32)
        hits = scene.cast_from(np.broadcast_to(origin, ways.shape).astype(np.float32), directions)
        objects = scene.surfaces.objects[np.maximum(hits.faces, 0)]
        if ((hits.faces >= 0) & (objects == row)).any():
            return True
    return False
