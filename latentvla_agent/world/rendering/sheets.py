"""Picture sheets for people: eight cameras with boxes, the frame from above, and the cloud in the cameras' colours."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.calibration import CameraCalibration, rig_of_frame
from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.maps import CityMap, MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene import BoxIndex, to_local_frame, yaw_of_quaternion
from latentvla_agent.data.sensor_files import import_pillow, locate, read_image, read_lidar
from latentvla_agent.data.sensors import LIDAR_NAME
from latentvla_agent.errors import DataError
from latentvla_agent.world.rendering.bird_view import CLASS_COLOURS, BirdViewConfig, draw_bird_view
from latentvla_agent.world.rendering.cache import SensorRenderer, path_in_log
from latentvla_agent.world.rendering.overlays import Picture, boxes_with_points, colour_points, project_box
from latentvla_agent.world.rendering.views import resize_camera

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


@dataclass(frozen=True)
class SheetConfig:
    """`rows` of cameras, once around the car clockwise, each `camera_size` (width, height); below them two views from
    above: map, boxes and way, and the cloud in colour."""

    rows: Tuple[Tuple[str, ...], ...] = (
        ("cam_l1", "cam_l0", "cam_f0", "cam_r0"),
        ("cam_r1", "cam_r2", "cam_b0", "cam_l2"),
    )
    camera_size: Tuple[int, int] = (480, 270)
    near_m: float = 0.2
    box_margin_m: float = 0.05
    future_frames: int = 8
    unseen_point: Tuple[int, int, int] = (60, 60, 66)
    bird_view: BirdViewConfig = field(default_factory=BirdViewConfig)
    near_view: BirdViewConfig = field(default_factory=lambda: BirdViewConfig(ahead_m=26.0, behind_m=16.0, point_px=2))
    raised_m: float = 0.3
    jpeg_quality: int = 92


@dataclass(frozen=True, eq=False)
class FrameSensors:
    """All that a sheet shows of a frame: the raw frame, pictures (H, W, 3) by camera and the cloud (6, N)."""

    frame: Mapping[str, Any]
    pictures: Dict[str, Picture]
    cloud: npt.NDArray[np.float32]


def make_sheet(
    roots: DataRoots,
    log_path: Path,
    token: str,
    overlays: bool = True,
    source: Optional[SensorRenderer] = None,
    config: SheetConfig = SheetConfig(),
) -> Picture:
    """The sheet (H, W, 3) of one frame of a log; what is missing of its sensor files is rendered first."""
    source = source or SensorRenderer(roots.maps)
    folder = roots.sensors / log_path.parent.name
    names = tuple(name for row in config.rows for name in row)
    source.prepare(folder, log_path, token, (*names, LIDAR_NAME))
    log = source.open_log(log_path)
    frame = log.frame_of(token)
    pictures = {name: read_image(locate(folder, path_in_log(frame, name))) for name in names}
    cloud = read_lidar(locate(folder, path_in_log(frame, LIDAR_NAME)))
    city_map = MapStore(roots.maps).load(str(frame["map_location"]))
    return draw_sheet(FrameSensors(frame, pictures, cloud), log.frames, city_map, overlays, config)


def draw_sheet(
    sensors: FrameSensors,
    frames: Sequence[Mapping[str, Any]],
    city_map: Optional[CityMap] = None,
    overlays: bool = True,
    config: SheetConfig = SheetConfig(),
) -> Picture:
    """The sheet (H, W, 3) of a frame; `frames` of its log tell the human's way."""
    boxes = np.asarray(sensors.frame["anns"]["gt_boxes"], np.float64).reshape(-1, len(BoxIndex))
    names = [str(name) for name in sensors.frame["anns"]["gt_names"]]
    seen = boxes_with_points(boxes, sensors.cloud, config.box_margin_m)
    rig = rig_of_frame(sensors.frame["cams"])
    shown = boxes[seen] if overlays else boxes[:0]
    colours = [CLASS_COLOURS[name] for name, is_seen in zip(names, seen) if is_seen]
    rows = [
        np.concatenate([draw_camera(sensors.pictures[name], rig[name], shown, colours, config) for name in row], axis=1)
        for row in config.rows
    ]
    return np.concatenate([*rows, _draw_views(sensors, frames, city_map, boxes, names, overlays, config)])


def draw_camera(
    picture: Picture,
    camera: CameraCalibration,
    boxes: npt.NDArray[np.float64],
    colours: Sequence[Tuple[int, int, int]],
    config: SheetConfig = SheetConfig(),
) -> Picture:
    """A picture at the sheet's size with boxes (N, 7) as wire frames, the nearest on top."""
    import_pillow()
    import PIL.Image
    import PIL.ImageDraw

    image = PIL.Image.fromarray(picture)
    if image.size != config.camera_size:
        image = image.resize(config.camera_size, PIL.Image.Resampling.BOX)
    scaled = resize_camera(camera, config.camera_size)
    draw = PIL.ImageDraw.Draw(image)
    for row in np.argsort(-np.hypot(boxes[:, BoxIndex.X], boxes[:, BoxIndex.Y]), kind="stable"):
        for segment in project_box(boxes[row], scaled, config.near_m):
            # Pillow counts from the middles of pixels.
            draw.line([value - 0.5 for value in segment], fill=colours[row])
    return np.asarray(image)


def _draw_views(
    sensors: FrameSensors,
    frames: Sequence[Mapping[str, Any]],
    city_map: Optional[CityMap],
    boxes: npt.NDArray[np.float64],
    names: Sequence[str],
    overlays: bool,
    config: SheetConfig,
) -> Picture:
    """Map, boxes and way from above on the left, the cloud in the colours of the pictures on the right."""
    poses = np.array([pose_of(frame) for frame in frames])
    index = next(i for i, frame in enumerate(frames) if frame["token"] == sensors.frame["token"])
    future = _future_of(poses, index, config.future_frames)
    rig = rig_of_frame(sensors.frame["cams"])
    sized = {
        name: resize_camera(rig[name], (picture.shape[1], picture.shape[0]))
        for name, picture in sensors.pictures.items()
    }
    colours = colour_points(sensors.cloud[:3].T, sensors.pictures, sized, config.unseen_point)
    view, empty = config.bird_view, boxes[:0]
    raised = sensors.cloud[:, sensors.cloud[BoxIndex.Z] > config.raised_m]  # the ground would hide the map
    left = draw_bird_view(boxes, names, poses[index], raised, city_map, future, None, overlays, view)
    near = config.near_view
    right = draw_bird_view(empty, (), poses[index], sensors.cloud, None, future[:0], colours, False, near)
    return np.concatenate([left, right], axis=1)


def pose_of(frame: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Pose (x, y, heading) of the rear axle of a raw frame in the map frame."""
    x, y = frame["ego2global_translation"][:2]
    return np.array([x, y, yaw_of_quaternion(frame["ego2global_rotation"])], np.float64)


def _future_of(poses: npt.NDArray[np.float64], index: int, count: int) -> npt.NDArray[np.float64]:
    """The next places (T, 2) in the ego frame; fewer where the log ends."""
    return to_local_frame(poses[index + 1 : index + 1 + count], poses[index])[:, :2]


def save_sheet(path: Path, sheet: Picture, config: SheetConfig = SheetConfig()) -> None:
    """Write a sheet as PNG or JPEG, by the ending of `path`; raises `DataError` for another ending."""
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise DataError(f"{path}: expected a name that ends with {', '.join(FORMATS)}, got {path.suffix!r}")
    buffer = io.BytesIO()
    options: Dict[str, Any] = {"quality": config.jpeg_quality} if name == "JPEG" else {}
    import_pillow().fromarray(sheet).save(buffer, name, **options)
    write_atomically(path, buffer.getvalue())
