"""Parts of a scene as entities of Rerun: map, boxes over time, paths, egos, pictures, lidar.

Everything is in metres in the ego frame of the moment when the agents plan; the timeline `time` counts seconds from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Tuple

import numpy as np

from latentvla_agent.data.scene import LOG_INTERVAL_S, BoxIndex, FloatArray, PoseIndex, Scene, to_local_frame
from latentvla_agent.data.sensor_files import LidarIndex, locate, read_image, read_lidar
from latentvla_agent.evaluation.stages import Prediction, read_prediction
from latentvla_agent.scoring.config import DEFAULT_CONFIG, STEP_S
from latentvla_agent.scoring.interpolation import sample_trajectories
from latentvla_agent.scoring.kernels import Areas
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.simulation import simulate
from latentvla_agent.viewer.photos import estimate_ground

EGO_HEIGHT = 1.777  # of NAVSIM's Pacifica
MAP_RADIUS = 80.0
COLORS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (184, 87, 143), (201, 138, 0))  # of agents, as in reports
CLASSES = {"vehicle": (102, 112, 122), "pedestrian": (164, 80, 139), "bicycle": (63, 143, 91)}
OTHER_CLASS, MAP_COLOR, HUMAN_COLOR = (180, 154, 106), (120, 140, 160), (30, 30, 30)

Color = Tuple[int, int, int]


class SceneLog:
    """Writes parts of a scene to a stream of Rerun."""

    def __init__(self, rerun: Any, stream: Any, scene: Scene, cache: MetricCache):
        self._rerun, self._stream, self._scene, self._cache = rerun, stream, scene, cache
        self._ground = estimate_ground(scene)
        stream.log("world", rerun.ViewCoordinates.FLU, static=True)

    def write_map(self) -> None:
        """Outlines of lanes, intersections and car parks, and the centreline of the route."""
        lines = [self._lift(self._place(ring)) for ring in list_rings(self._cache.areas, self._cache.start[:2])]
        self._log("map/areas", self._rerun.LineStrips3D(lines, colors=[MAP_COLOR], radii=0.04), static=True)
        center = [self._lift(self._place(self._cache.centerline))]
        self._log("map/centerline", self._rerun.LineStrips3D(center, colors=[COLORS[0]], radii=0.08), static=True)

    def write_boxes(self) -> None:
        """Annotated boxes of every frame, and where the human's car is then."""
        poses = self._scene.global_ego_poses()
        local = to_local_frame(poses, poses[self._scene.current_index])
        for index, frame in enumerate(self._scene.frames):
            self._set_time((index - self._scene.current_index) * LOG_INTERVAL_S)
            boxes = move_boxes(np.asarray(frame.annotations.boxes, np.float64), local[index])
            colors = [CLASSES.get(name, OTHER_CLASS) for name in frame.annotations.names]
            self._log("boxes", self._make_boxes(boxes, colors, list(frame.annotations.names)))
            self._log(
                "human/ego", self._make_boxes(self._ego_boxes(local[index : index + 1]), [HUMAN_COLOR], ["human"])
            )

    def write_line(self, name: str, poses: FloatArray, color: Color) -> None:
        """A path (T, 3) on the road from the ego's place on."""
        line = self._lift(np.vstack([np.zeros((1, 2)), poses[:, :2]]))
        self._log(f"{name}/path", self._rerun.LineStrips3D([line], colors=[color], radii=0.08), static=True)

    def write_plan(self, name: str, prediction: Prediction, color: Color) -> None:
        """A plan, its proposals where they are known, and the ego's box over the simulated time."""
        poses, sampling = read_prediction(prediction)
        place = f"agents/{name}"
        self.write_line(place, poses, color)
        proposals = prediction.get("details", {}).get("proposals", [])
        if proposals:
            lines = [self._lift(np.vstack([np.zeros((1, 2)), np.array(one)[:, :2]])) for one in proposals]
            self._log(
                f"{place}/proposals", self._rerun.LineStrips3D(lines, colors=[(*color, 60)], radii=0.02), static=True
            )
        start = self._cache.start[: len(PoseIndex)]
        trajectory = sample_trajectories(poses[None], sampling, start, self._cache.timestamp)
        states = simulate(trajectory, self._cache.start, DEFAULT_CONFIG)[0]
        for step, pose in enumerate(to_local_frame(states[:, : len(PoseIndex)], start)):
            self._set_time(step * STEP_S)
            self._log(f"{place}/ego", self._make_boxes(self._ego_boxes(pose[None]), [color], [name]))

    def write_sensors(self, folder: Path) -> None:
        """Pictures and lidar of the current frame, as far as they are on the disk."""
        self._set_time(0.0)
        sensors = self._scene.current_frame.sensors
        for name, camera in sensors["cams"].items():
            if camera.get("data_path") is not None and (path := locate(folder, camera["data_path"])).is_file():
                self._write_camera(f"cameras/{name}", camera, path)
        if sensors.get("lidar_path") is not None and (path := locate(folder, sensors["lidar_path"])).is_file():
            cloud = read_lidar(path)
            heights = cloud[LidarIndex.Z]
            shade = np.clip(60 + 50 * (heights - self._ground), 40, 230).astype(np.uint8)
            colors = np.stack([shade, shade, 255 - shade // 3], axis=1)
            self._log("lidar", self._rerun.Points3D(cloud[: LidarIndex.INTENSITY].T, colors=colors, radii=0.03))

    def _write_camera(self, place: str, camera: Mapping[str, Any], path: Path) -> None:
        image = read_image(path)
        rotation, translation = (
            np.asarray(camera[f"sensor2lidar_{part}"], np.float64) for part in ("rotation", "translation")
        )
        self._log(place, self._rerun.Transform3D(translation=translation, mat3x3=rotation), static=True)
        lens = np.asarray(camera["cam_intrinsic"], np.float64)
        resolution = [image.shape[1], image.shape[0]]
        pinhole = self._rerun.Pinhole(image_from_camera=lens, resolution=resolution, image_plane_distance=2.0)
        self._log(place, pinhole, static=True)
        self._log(place, self._rerun.Image(image).compress(80))

    def _place(self, points: FloatArray) -> FloatArray:
        """Points (M, 2) of the map in the ego frame."""
        poses = np.column_stack([points[:, :2], np.zeros(len(points))])
        local: FloatArray = to_local_frame(poses, self._cache.start[: len(PoseIndex)])[:, :2]
        return local

    def _lift(self, points: FloatArray) -> FloatArray:
        """Points (M, 2) on the road (M, 3)."""
        return np.column_stack([points, np.full(len(points), self._ground + 0.02)])

    def _ego_boxes(self, poses: FloatArray) -> FloatArray:
        """Boxes (T, 7) of the ego at rear-axle poses (T, 3)."""
        vehicle = DEFAULT_CONFIG.vehicle
        ahead = vehicle.rear_axle_to_center
        x = poses[:, 0] + ahead * np.cos(poses[:, 2])
        y = poses[:, 1] + ahead * np.sin(poses[:, 2])
        sizes = np.tile([2.0 * vehicle.half_length, vehicle.width, EGO_HEIGHT], (len(poses), 1))
        return np.column_stack([x, y, np.full(len(poses), self._ground + EGO_HEIGHT / 2.0), sizes, poses[:, 2]])

    def _make_boxes(self, boxes: FloatArray, colors: List[Color], labels: List[str]) -> Any:
        half = boxes[:, BoxIndex.HEADING] / 2.0
        turns = np.column_stack([np.zeros_like(half), np.zeros_like(half), np.sin(half), np.cos(half)])
        return self._rerun.Boxes3D(
            centers=boxes[:, : BoxIndex.LENGTH],
            half_sizes=boxes[:, BoxIndex.LENGTH : BoxIndex.HEADING] / 2.0,
            quaternions=turns,
            colors=colors,
            labels=labels,
            show_labels=False,
        )

    def _set_time(self, seconds: float) -> None:
        self._stream.set_time("time", duration=seconds)

    def _log(self, place: str, what: Any, static: bool = False) -> None:
        self._stream.log(f"world/{place}", what, static=static)


def list_rings(areas: Areas, center: FloatArray) -> List[FloatArray]:
    """Closed outlines (M, 2) of the areas that come within `MAP_RADIUS` of a point of the map."""
    low, high = areas.bounds[:, :2] - MAP_RADIUS, areas.bounds[:, 2:] + MAP_RADIUS
    near = np.flatnonzero(((low < center) & (high > center)).all(axis=1))
    rings = [ring for area in near for ring in range(areas.polygon_starts[area], areas.polygon_starts[area + 1])]
    outlines = [areas.vertices[areas.ring_starts[ring] : areas.ring_starts[ring + 1]] for ring in rings]
    return [np.vstack([outline, outline[:1]]) for outline in outlines]


def move_boxes(boxes: FloatArray, pose: FloatArray) -> FloatArray:
    """Boxes (N, 7) of the frame that lies at `pose` (3,), in the frame of that pose."""
    cos, sin = np.cos(pose[PoseIndex.HEADING]), np.sin(pose[PoseIndex.HEADING])
    moved: FloatArray = boxes.reshape(-1, len(BoxIndex)).copy()
    x, y = moved[:, BoxIndex.X].copy(), moved[:, BoxIndex.Y].copy()
    moved[:, BoxIndex.X] = cos * x - sin * y + pose[PoseIndex.X]
    moved[:, BoxIndex.Y] = sin * x + cos * y + pose[PoseIndex.Y]
    moved[:, BoxIndex.HEADING] += pose[PoseIndex.HEADING]
    return moved
