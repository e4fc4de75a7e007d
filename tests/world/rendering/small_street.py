"""A hand-made street: a straight road to the east with a house, a pole and plain boxes as actors."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from latentvla_agent.data.calibration import camera_rig, describe_cameras, lidar_path
from latentvla_agent.world.meshes.mesh import Ground, GroundRaster, Material, Mesh, Street, join_meshes

ORIGIN = np.array([331_000.0, 4_690_000.0])
HALF_M = 80.0
CELL_M = 0.1
SIZE = (240, 135)
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
SIDES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def make_cuboid(box: Sequence[float], colour: Tuple[int, int, int], material: Material, index: int = -1) -> Mesh:
    """A box x, y, z (centre), length, width, height, heading as a mesh."""
    x, y, z, length, width, height, heading = (float(value) for value in box)
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    vertices = (CORNERS * [length, width, height]) @ turn.T + [x, y, z]
    count = len(SIDES)
    uv = np.zeros((count, 3, 2), np.float32)
    if material == Material.FACADE:
        flat = vertices[SIDES]
        uv = np.stack([flat[..., 0] + flat[..., 1], flat[..., 2]], axis=-1).astype(np.float32)
    return Mesh(
        vertices.astype(np.float32),
        SIDES.astype(np.int32),
        np.tile(np.array(colour, np.uint8), (count, 1)),
        np.full(count, material, np.uint8),
        np.full(count, index, np.int32),
        uv,
    )


def make_floor() -> Mesh:
    """The ground as two triangles."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * HALF_M
    vertices = np.column_stack([corners, np.zeros(4)]).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    grey = np.full((2, 3), 90, np.uint8)
    materials = np.full(2, Material.GROUND, np.uint8)
    return Mesh(vertices, faces, grey, materials, np.full(2, -1, np.int32), np.zeros((2, 3, 2), np.float32))


def make_raster() -> GroundRaster:
    """A road of 8 m with a broken line, walkways beside it, land beyond."""
    cells = int(2 * HALF_M / CELL_M)
    labels = np.full((cells, cells), Ground.TERRAIN, np.uint8)
    y = (np.arange(cells) + 0.5) * CELL_M - HALF_M
    x = y
    labels[np.abs(y) < 6.0] = Ground.WALKWAY
    labels[np.abs(y) < 4.0] = Ground.ASPHALT
    labels[np.ix_(np.abs(y) < 0.1, x % 9.0 < 3.0)] = Ground.WHITE
    return GroundRaster(np.array([-HALF_M, -HALF_M]), CELL_M, labels)


def make_street(*more: Mesh) -> Street:
    """The road with a house at (20, 14) and a pole at (10, -5)."""
    house = make_cuboid((20.0, 14.0, 4.0, 12.0, 8.0, 8.0, 0.0), (190, 160, 130), Material.FACADE)
    pole = make_cuboid((10.0, -5.0, 2.5, 0.15, 0.15, 5.0, 0.0), (90, 90, 90), Material.METAL)
    return Street(join_meshes([make_floor(), house, pole, *more]), make_raster(), ORIGIN, ())


def build_boxes(frame: Mapping[str, Any], street: Street) -> Mesh:
    """Every annotated box as a red cuboid."""
    x, y, *_ = np.asarray(frame["ego2global_translation"]) - [*street.origin, 0.0]
    cuboids = []
    for index, box in enumerate(np.asarray(frame["anns"]["gt_boxes"], np.float64)):
        placed = [box[0] + x, box[1] + y, *box[2:]]
        cuboids.append(make_cuboid(placed, (180, 30, 30), Material.MATTE, index))
    return join_meshes(cuboids)


def make_frame(
    boxes: List[List[float]], token: str = "0123456789abcdef", size: Tuple[int, int] = SIZE, **world: Any
) -> Dict[str, Any]:
    """A raw log frame: the ego at the street's origin, heading east, `boxes` around it."""
    count = len(boxes)
    return {
        "token": token,
        "timestamp": 0,
        "log_name": "log",
        "scene_token": "scene",
        "map_location": "us-ma-boston",
        "roadblock_ids": [],
        "ego2global_translation": np.array([*ORIGIN, 0.0]),
        "ego2global_rotation": [1.0, 0.0, 0.0, 0.0],
        "ego_dynamic_state": np.zeros(4),
        "driving_command": np.array([0, 1, 0, 0]),
        "traffic_lights": [],
        "lidar_path": lidar_path("log", token),
        "cams": describe_cameras(camera_rig(*size), "log", token),
        "anns": {
            "gt_boxes": np.array(boxes, np.float32).reshape(-1, 7),
            "gt_names": ["vehicle"] * count,
            "gt_velocity_3d": np.zeros((count, 3), np.float32),
            "instance_tokens": [f"i{index}" for index in range(count)],
            "track_tokens": [f"t{index}" for index in range(count)],
        },
        **({"world": world} if world else {}),
    }
