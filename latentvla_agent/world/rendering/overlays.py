"""What is drawn over pictures: boxes as wire frames, and the colours that points take from the pictures."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.calibration import CameraCalibration, is_in_picture, project_points
from latentvla_agent.data.scene import BoxIndex, FloatArray

Picture = npt.NDArray[np.uint8]
Segment = Tuple[float, float, float, float]  # x0, y0, x1, y1 [px]
# Corners of a box, in units of its sides from the centre: the four in front first.
CORNERS = np.array([[x, y, z] for x in (0.5, -0.5) for y, z in ((0.5, -0.5), (-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))])
EDGES = np.array(
    [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7), (0, 2), (1, 3)]
)  # the last two cross the front


def box_corners(box: npt.NDArray[Any]) -> FloatArray:
    """Corners (8, 3) of a box (7,, see `BoxIndex`) in the frame of the box; the front ones first."""
    numbers = np.asarray(box, np.float64)
    cos, sin = np.cos(numbers[BoxIndex.HEADING]), np.sin(numbers[BoxIndex.HEADING])
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    corners: FloatArray = (CORNERS * numbers[BoxIndex.LENGTH : BoxIndex.HEADING]) @ turn.T
    return corners + numbers[: BoxIndex.LENGTH]


def project_box(box: npt.NDArray[Any], camera: CameraCalibration, near: float) -> List[Segment]:
    """Edges of a box (7,) in the ego frame as lines in the picture, cut `near` metres in front of the camera."""
    inside = (box_corners(box) - camera.sensor2lidar_translation) @ camera.sensor2lidar_rotation
    segments = []
    for first, second in EDGES:
        start, end = inside[first], inside[second]
        if start[2] < near and end[2] < near:
            continue
        if start[2] < near:
            start = start + (near - start[2]) / (end[2] - start[2]) * (end - start)
        elif end[2] < near:
            end = end + (near - end[2]) / (start[2] - end[2]) * (start - end)
        pixels = np.array([start, end]) @ camera.intrinsic.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        if _crosses(pixels, camera):
            segments.append((float(pixels[0, 0]), float(pixels[0, 1]), float(pixels[1, 0]), float(pixels[1, 1])))
    return segments


def _crosses(pixels: FloatArray, camera: CameraCalibration) -> bool:
    """Whether the rectangle around two pixels meets the picture."""
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return bool(high[0] >= 0.0 and high[1] >= 0.0 and low[0] <= camera.width and low[1] <= camera.height)


def boxes_with_points(boxes: npt.NDArray[Any], cloud: npt.NDArray[np.float32], margin: float) -> npt.NDArray[np.bool_]:
    """Which boxes (N, 7) hold points of a cloud (6, M), sides `margin` metres farther out."""
    points = cloud[:3].T
    found = np.zeros(len(boxes), bool)
    for row, box in enumerate(np.asarray(boxes, np.float64)):
        offset = points - box[: BoxIndex.LENGTH]
        cos, sin = np.cos(box[BoxIndex.HEADING]), np.sin(box[BoxIndex.HEADING])
        local = np.column_stack(
            [cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0], offset[:, 2]]
        )
        found[row] = bool(
            np.any(np.all(np.abs(local) <= box[BoxIndex.LENGTH : BoxIndex.HEADING] / 2.0 + margin, axis=1))
        )
    return found


def colour_points(
    points: npt.NDArray[Any],
    pictures: Mapping[str, Picture],
    rig: Mapping[str, CameraCalibration],
    otherwise: Tuple[int, int, int],
) -> Picture:
    """Colours (N, 3) that points (N, 3) in the ego frame have in the first picture that shows their place."""
    colours = np.tile(np.array(otherwise, np.uint8), (len(points), 1))
    open_ = np.ones(len(points), bool)
    for name, picture in pictures.items():
        pixels, depth = project_points(points, rig[name])
        seen = open_ & (depth > 0.0) & is_in_picture(pixels, rig[name])
        columns, rows = pixels[seen].astype(np.int64).T
        colours[seen] = picture[rows, columns]
        open_ &= ~seen
    return colours
