"""A frame from above: areas of the map, boxes, lidar points, the ego and its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.scene import FloatArray, to_local_frame
from latentvla_agent.data.sensor_files import import_pillow
from latentvla_agent.world.rendering.overlays import Picture, box_corners

Rgb = Tuple[int, int, int]

CLASS_COLOURS: Mapping[str, Rgb] = {
    "vehicle": (255, 150, 30),
    "pedestrian": (80, 170, 255),
    "bicycle": (230, 70, 200),
    "traffic_cone": (255, 90, 60),
    "barrier": (250, 220, 60),
    "czone_sign": (250, 220, 60),
    "generic_object": (150, 230, 120),
}


@dataclass(frozen=True)
class BirdViewConfig:
    """`ahead_m` of the ego lies the upper rim, `behind_m` the lower one; colours are sRGB."""

    size: Tuple[int, int] = (960, 720)
    ahead_m: float = 50.0
    behind_m: float = 25.0
    background: Rgb = (28, 30, 34)
    layers: Mapping[str, Rgb] = field(
        default_factory=lambda: {
            "walkways": (52, 60, 52),
            "carpark_areas": (58, 58, 70),
            "lane_groups_polygons": (72, 74, 80),
            "intersections": (84, 86, 94),
            "crosswalks": (130, 130, 120),
        }
    )
    baseline: Rgb = (110, 112, 120)
    point: Rgb = (150, 165, 180)
    ego: Rgb = (60, 220, 90)
    future: Rgb = (60, 220, 90)
    ego_box: Tuple[float, float, float, float] = (4.049, -1.127, 1.1485, -1.1485)
    dot_px: int = 4
    point_px: int = 1


@dataclass(frozen=True, eq=False)
class _Canvas:
    draw: Any
    scale: float  # px per metre
    centre: Tuple[float, float]  # px of the rear axle

    def place(self, points: npt.NDArray[Any]) -> List[Tuple[float, float]]:
        """Pixels of points (N, 2) in the ego frame: forward is up."""
        return [
            (self.centre[0] - self.scale * y, self.centre[1] - self.scale * x) for x, y in np.asarray(points)[:, :2]
        ]


def draw_bird_view(
    boxes: FloatArray,
    names: Sequence[str],
    pose: FloatArray,
    cloud: Optional[npt.NDArray[np.float32]],
    city_map: Optional[CityMap],
    future: FloatArray,
    colours: Optional[Picture] = None,
    overlays: bool = True,
    config: BirdViewConfig = BirdViewConfig(),
) -> Picture:
    """Picture (H, W, 3). `boxes` (N, 7) and `future` (T, 2) in the ego frame, `pose` (3,) of the ego in the map frame,
    `colours` (M, 3) of the points of the `cloud` (6, M); without `overlays` no boxes and no way."""
    pillow = import_pillow()
    image = pillow.new("RGB", config.size, config.background)
    canvas = _make_canvas(image, config)
    if city_map is not None:
        _draw_map(canvas, city_map, pose, config)
    if cloud is not None:
        _draw_points(image, canvas, cloud, colours, config)
        canvas = _make_canvas(image, config)
    if overlays:
        _draw_boxes(canvas, boxes, names)
        for x, y in canvas.place(future):
            radius = config.dot_px / 2.0
            canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=config.future)
    front, rear, left, right = config.ego_box
    outline = np.array([(front, left), (front, right), (rear, right), (rear, left)])
    canvas.draw.polygon(canvas.place(outline), outline=config.ego)
    return np.asarray(image)


def _make_canvas(image: Any, config: BirdViewConfig) -> _Canvas:
    import PIL.ImageDraw

    scale = config.size[1] / (config.ahead_m + config.behind_m)
    return _Canvas(PIL.ImageDraw.Draw(image), scale, (config.size[0] / 2.0, config.ahead_m * scale))


def _draw_map(canvas: _Canvas, city_map: CityMap, pose: FloatArray, config: BirdViewConfig) -> None:
    radius = np.hypot(config.ahead_m, config.size[0] / canvas.scale / 2.0)
    area = shapely.box(pose[0] - radius, pose[1] - radius, pose[0] + radius, pose[1] + radius)
    for name, colour in config.layers.items():
        layer = city_map.layer(name)
        for row in layer.rows_in(area):
            for part in shapely.get_parts(layer.geometry[row]):
                if part.geom_type == "Polygon":
                    canvas.draw.polygon(
                        canvas.place(_to_ego(shapely.get_coordinates(part.exterior), pose)), fill=colour
                    )
    layer = city_map.layer("baseline_paths")
    for row in layer.rows_in(area):
        line = _to_ego(shapely.get_coordinates(layer.geometry[row]), pose)
        canvas.draw.line(canvas.place(line), fill=config.baseline)


def _to_ego(points: FloatArray, pose: FloatArray) -> FloatArray:
    return to_local_frame(np.column_stack([points, np.zeros(len(points))]), pose)[:, :2]


def _draw_points(
    image: Any, canvas: _Canvas, cloud: npt.NDArray[np.float32], colours: Optional[Picture], config: BirdViewConfig
) -> None:
    """Points as small squares, the lower ones first."""
    order = np.argsort(cloud[2], kind="stable")
    x = (canvas.centre[0] - canvas.scale * cloud[1][order]).astype(np.int64)
    y = (canvas.centre[1] - canvas.scale * cloud[0][order]).astype(np.int64)
    pixels = np.array(image)
    shades = np.broadcast_to(np.array(config.point, np.uint8), (len(x), 3)) if colours is None else colours[order]
    for part in range(config.point_px**2):
        column, row = x + part % config.point_px, y + part // config.point_px
        inside = (column >= 0) & (row >= 0) & (column < config.size[0]) & (row < config.size[1])
        pixels[row[inside], column[inside]] = shades[inside]
    image.paste(import_pillow().fromarray(pixels))


def _draw_boxes(canvas: _Canvas, boxes: FloatArray, names: Sequence[str]) -> None:
    for box, name in zip(boxes, names):
        corners = box_corners(box)
        outline = corners[[0, 1, 5, 4], :2]
        canvas.draw.polygon(canvas.place(outline), outline=CLASS_COLOURS[name])
        front = (corners[0, :2] + corners[1, :2]) / 2.0
        canvas.draw.line(canvas.place(np.array([np.asarray(box)[:2], front])), fill=CLASS_COLOURS[name])
