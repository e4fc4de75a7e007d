"""Picture sheets: all panels, overlays that can be left out, points in the colours of the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.data.calibration import project_points, rig_of_frame
from latentvla_agent.data.sensor_files import read_image
from latentvla_agent.errors import DataError
from latentvla_agent.world.rendering.bird_view import CLASS_COLOURS
from latentvla_agent.world.rendering.config import RenderConfig
from latentvla_agent.world.rendering.overlays import boxes_with_points, colour_points
from latentvla_agent.world.rendering.renderer import Renderer
from latentvla_agent.world.rendering.sheets import FrameSensors, SheetConfig, draw_sheet, save_sheet
from tests.world.rendering.small_street import build_boxes, make_frame, make_street

pytest.importorskip("embreex")

BOXES = [[12.0, 2.0, 0.8, 4.6, 1.9, 1.6, 0.1], [-15.0, -2.0, 0.8, 4.6, 1.9, 1.6, 0.0], [60.0, 60.0, 0.8, 4, 2, 1.6, 0]]


@pytest.fixture(scope="module")
def sensors() -> FrameSensors:
    """All sensors of a frame with two boxes in view and one behind the house."""
    frame = make_frame(BOXES, size=(480, 270))
    renderer = Renderer(make_street(), RenderConfig(), build_boxes)
    names = [name for row in SheetConfig().rows for name in row]
    return FrameSensors(frame, renderer.render_cameras(frame, names), renderer.scan_lidar(frame))


def test_sheet_has_all_panels_and_overlays_can_be_left_out(sensors: FrameSensors) -> None:
    frames = [sensors.frame]
    drawn, plain = draw_sheet(sensors, frames), draw_sheet(sensors, frames, overlays=False)
    assert drawn.shape == plain.shape == (2 * 270 + 720, 1920, 3)
    colour = np.array(CLASS_COLOURS["vehicle"], np.uint8)
    count = [int((sheet == colour).all(axis=2).sum()) for sheet in (drawn, plain)]
    assert count[0] > 500 and count[1] < 20
    front = plain[:270, 2 * 480 : 3 * 480]
    assert np.array_equal(front, sensors.pictures["cam_f0"])


def test_only_boxes_with_points_are_drawn_on_pictures(sensors: FrameSensors) -> None:
    assert boxes_with_points(np.array(BOXES), sensors.cloud, 0.05).tolist() == [True, True, False]


def test_points_take_the_colour_of_their_pixel(sensors: FrameSensors) -> None:
    rig = rig_of_frame(sensors.frame["cams"])
    side = np.array([[9.72, 1.9, 0.8], [12.0, 0.0, 60.0]])  # on the red box; overhead, where no camera looks
    colours = colour_points(side, sensors.pictures, rig, (1, 2, 3))
    pixel = project_points(side[:1], rig["cam_f0"])[0][0].astype(int)
    assert np.array_equal(colours[0], sensors.pictures["cam_f0"][pixel[1], pixel[0]])
    assert colours[0, 0] > 2 * int(colours[0, 1]) and colours[1].tolist() == [1, 2, 3]


def test_sheets_are_saved_by_their_ending(tmp_path: Path) -> None:
    sheet = np.zeros((20, 30, 3), np.uint8)
    for name in ("a.png", "b.jpg"):
        save_sheet(tmp_path / name, sheet)
        assert read_image(tmp_path / name).shape == sheet.shape
    with pytest.raises(DataError, match=".gif"):
        save_sheet(tmp_path / "c.gif", sheet)
