"""Pictures: where things appear, what they look like, and that the bytes hang on nothing but the input."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import List

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from latentvla_agent.data.calibration import camera_rig, project_points, rig_of_frame
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.config import WEATHERS, RenderConfig
from latentvla_agent.world.rendering.overlays import box_corners, project_box
from latentvla_agent.world.rendering.renderer import Renderer
from tests.world.rendering.small_street import SIZE, build_boxes, make_cuboid, make_frame, make_street

pytest.importorskip("embreex")

SCRIPT = """
import hashlib, numpy as np
from tests.world.rendering.small_street import build_boxes, make_frame, make_street
from latentvla_agent.world.rendering.renderer import Renderer
frame = make_frame([[12.0, 2.0, 0.8, 4.6, 1.9, 1.6, 0.1]], weather="{weather}", sun=[0.9, 0.7], seed=5)
renderer = Renderer(make_street(), build_actors=build_boxes)
digest = hashlib.sha256(renderer.render_cameras(frame, ["cam_f0"])["cam_f0"].tobytes())
digest.update(renderer.scan_lidar(frame).tobytes())
print(digest.hexdigest())
"""


def _renderer(config: RenderConfig = RenderConfig()) -> Renderer:
    return Renderer(make_street(), config, build_boxes)


def _silhouette_error(box: List[float], name: str) -> float:
    """Greatest difference in px between the bounds of the box's pixels and those of its outline within the picture."""
    frame = make_frame([box], size=(480, 270))
    camera = rig_of_frame(frame["cams"])[name]
    rows, columns = np.nonzero(_SILHOUETTES.find_objects(frame, camera) == 0)
    pixels, depth = project_points(box_corners(np.array(box)), camera)
    if depth.min() < 0.5 or len(rows) == 0:
        return 0.0
    picture = shapely.box(0.0, 0.0, camera.width, camera.height)
    outline = shapely.MultiPoint(pixels).convex_hull.intersection(picture)  # a corner beyond the edge shows nowhere
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return float(np.abs(found - outline.bounds).max())


_SILHOUETTES = _renderer()


@settings(max_examples=25, deadline=None)
@given(
    distance=st.floats(6.0, 16.0),
    bearing=st.floats(-0.25, 0.25),
    heading=st.floats(-3.1, 3.1),
    length=st.floats(0.8, 6.0),
    name=st.sampled_from(["cam_f0", "cam_b0"]),
)
@example(distance=9.0, bearing=-0.25, heading=1.0, length=4.0, name="cam_f0")  # its lowest corner is beyond the edge
def test_boxes_are_where_projection_says(
    distance: float, bearing: float, heading: float, length: float, name: str
) -> None:
    side = 1.0 if name == "cam_f0" else -1.0
    box = [side * distance * np.cos(bearing), distance * np.sin(bearing), 0.8, length, 1.0, 1.6, heading]
    token_box = [float(np.float32(value)) for value in box]
    _SILHOUETTES.forget_frame()
    assert _silhouette_error(token_box, name) <= 1.0


def test_wire_frame_is_cut_at_the_near_plane() -> None:
    camera = camera_rig(*SIZE)["cam_f0"]
    beside = np.array([2.0, 1.5, 0.8, 6.0, 2.0, 1.6, 0.0])  # from behind the camera to ahead of it
    segments = project_box(beside, camera, 0.2)
    assert segments and np.isfinite(segments).all()
    assert project_box(np.array([-20.0, 0.0, 0.8, 4.0, 2.0, 1.6, 0.0]), camera, 0.2) == []


def test_a_nearer_box_hides_the_farther() -> None:
    frame = make_frame([[20.0, 0.0, 0.8, 4.0, 1.8, 1.6, 0.0], [10.0, 0.0, 1.0, 4.0, 3.0, 2.0, 0.0]])
    renderer = _renderer()
    found = renderer.find_objects(frame, rig_of_frame(frame["cams"])["cam_f0"])
    assert (found == 1).any() and not (found == 0).any() and (found == -1).any() and (found == -2).any()


@pytest.mark.parametrize("weather", sorted(WEATHERS))
def test_weathers_paint_whole_pictures(weather: str) -> None:
    frame = make_frame([[12.0, 2.0, 0.8, 4.6, 1.9, 1.6, 0.1]], weather=weather, sun=[0.9, 0.7], seed=5)
    picture = _renderer().render_cameras(frame, ["cam_f0"])["cam_f0"]
    assert picture.shape == (SIZE[1], SIZE[0], 3) and picture.dtype == np.uint8
    assert picture.std() > 5.0 and (picture.mean() < 90.0) == (weather == "night")


def test_box_keeps_its_colour_in_the_sun_and_casts_a_shadow() -> None:
    box = [12.0, 0.0, 0.8, 2.0, 2.0, 1.6, 0.0]
    sunny, empty = (
        _renderer().render_cameras(make_frame(boxes, weather="clear", sun=[0.5, 0.7], seed=1), ["cam_f0"])["cam_f0"]
        for boxes in ([box], [])
    )
    camera = rig_of_frame(make_frame([])["cams"])["cam_f0"]
    (shaded, side), _ = project_points(np.array([[10.5, -0.5, 0.0], [10.99, 0.0, 0.9]]), camera)
    x, y = shaded.astype(int)
    assert sunny[y, x].mean() < 0.75 * empty[y, x].mean()
    red, green, _ = sunny[int(side[1]), int(side[0])].astype(float)
    assert red > 2.0 * green


def test_lamps_shine_at_night() -> None:
    lamp = make_cuboid((15.0, 0.0, 2.0, 0.5, 0.5, 0.5, 0.0), (255, 0, 0), Material.LAMP)
    frame = make_frame([], weather="night", sun=[0.0, 0.5], seed=0)
    picture = Renderer(make_street(lamp), build_actors=build_boxes).render_cameras(frame, ["cam_f0"])["cam_f0"]
    pixels, _ = project_points(np.array([[14.7, 0.0, 2.0]]), rig_of_frame(frame["cams"])["cam_f0"])
    x, y = pixels[0].astype(int)
    assert picture[y, x, 0] > 180 and picture[y, x, 1] < 110


def test_image_size_can_be_set() -> None:
    frame = make_frame([[12.0, 2.0, 0.8, 4.6, 1.9, 1.6, 0.1]], size=(1920, 1080))
    full = _renderer().render_cameras(frame, ["cam_f0"])["cam_f0"]
    small = _renderer(RenderConfig(image_size=(240, 135))).render_cameras(frame, ["cam_f0"])["cam_f0"]
    assert full.shape == (1080, 1920, 3) and small.shape == (135, 240, 3)
    shrunk = full.reshape(135, 8, 240, 8, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 8.0


def test_unknown_camera_and_weather_are_named() -> None:
    with pytest.raises(DataError, match="cam_x9"):
        _renderer().render_cameras(make_frame([]), ["cam_x9"])
    with pytest.raises(DataError, match="hail"):
        _renderer().render_cameras(make_frame([], weather="hail", sun=[0.0, 0.5], seed=0), ["cam_f0"])


@pytest.mark.slow
@pytest.mark.parametrize("weather", ["clear", "rain"])
def test_two_processes_paint_the_same_bytes(weather: str) -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(weather=weather)], capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout.strip()) == 2 * hashlib.sha256().digest_size


def test_importing_loads_neither_embreex_nor_pillow() -> None:
    code = (
        "import sys, latentvla_agent.world.rendering.cache, latentvla_agent.world.rendering.sheets\n"
        "assert not {'embreex', 'PIL', 'trimesh'} & {name.split('.')[0] for name in sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
