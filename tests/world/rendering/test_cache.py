"""Rendering on first use: what is asked for, whole files, nothing outside of the folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.data.calibration import CameraCalibration
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.sensor_files import read_image, read_lidar
from latentvla_agent.data.sensors import CAMERA_NAMES, LIDAR_NAME
from latentvla_agent.errors import DataError
from latentvla_agent.world.rendering import cache, views
from latentvla_agent.world.rendering.cache import LEFTOVER_AGE_S, SensorRenderer, list_signals
from latentvla_agent.world.rendering.views import CameraView, make_view
from tests.world.rendering.small_street import SIZE, make_frame, make_street

pytest.importorskip("embreex")

TOKENS = ("0000000000000001", "0000000000000002")
BOXES = [[12.0, 2.0, 0.8, 4.6, 1.9, 1.6, 0.1]]


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hand-made street in place of a map."""
    monkeypatch.setattr(cache, "build_street", lambda *_: make_street())
    monkeypatch.setattr(cache.MapStore, "load", lambda *_: None)


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """A log of two frames."""
    return _write_log(tmp_path, [make_frame(BOXES, token) for token in TOKENS])


def _write_log(folder: Path, frames: List[Dict[str, Any]]) -> Path:
    path = folder / "navsim_logs" / "split" / "log.pkl"
    write_log(path, frames)
    return path


def _files(folder: Path) -> List[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_renders_what_is_asked_for_and_no_more(tmp_path: Path, log_path: Path) -> None:
    folder = tmp_path / "sensor_blobs" / "split"
    source = SensorRenderer(tmp_path)
    source.prepare(folder, log_path, TOKENS[0], ["cam_f0", LIDAR_NAME])
    assert _files(folder) == [f"log/CAM_F0/{TOKENS[0]}.jpg", f"log/MergedPointCloud/{TOKENS[0]}.pcd"]
    assert read_image(folder / f"log/CAM_F0/{TOKENS[0]}.jpg").shape == (SIZE[1], SIZE[0], 3)
    cloud = source.open_log(log_path).renderer.scan_lidar(source.open_log(log_path).frame_of(TOKENS[0]))
    assert np.array_equal(read_lidar(folder / f"log/MergedPointCloud/{TOKENS[0]}.pcd"), cloud)


def test_what_is_there_is_left_alone(tmp_path: Path, log_path: Path) -> None:
    folder = tmp_path / "blobs"
    kept = folder / f"log/CAM_F0/{TOKENS[0]}.jpg"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"mine")
    SensorRenderer(tmp_path).prepare(folder, log_path, TOKENS[0], ["cam_f0", "cam_b0"])
    assert kept.read_bytes() == b"mine" and (folder / f"log/CAM_B0/{TOKENS[0]}.jpg").is_file()


def test_logs_of_one_rig_share_its_rays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aimed: List[str] = []

    def record(camera: CameraCalibration) -> CameraView:
        aimed.append(camera.name)
        return make_view(camera)

    monkeypatch.setattr(views, "make_view", record)
    source = SensorRenderer(tmp_path)
    for town in ("a", "b"):
        log_path = _write_log(tmp_path / town, [make_frame(BOXES, TOKENS[0])])
        source.prepare(tmp_path / "blobs" / town, log_path, TOKENS[0], ["cam_f0", "cam_l0"])
    assert aimed == ["cam_f0", "cam_l0"]


def test_bytes_do_not_hang_on_the_order_of_asking(tmp_path: Path, log_path: Path) -> None:
    first, second = SensorRenderer(tmp_path), SensorRenderer(tmp_path)
    for token in TOKENS:
        first.prepare(tmp_path / "a", log_path, token, ["cam_l0", LIDAR_NAME, "cam_r2"])
    for token in reversed(TOKENS):
        second.prepare(tmp_path / "b", log_path, token, ["cam_r2"])
        second.prepare(tmp_path / "b", log_path, token, ["cam_l0", LIDAR_NAME])
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    for name in _files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("path", ["../outside.jpg", "/etc/outside.jpg", "log/../../outside.jpg"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    frame = make_frame(BOXES, TOKENS[0])
    frame["cams"]["CAM_F0"] = {**frame["cams"]["CAM_F0"], "data_path": path}
    log = _write_log(tmp_path, [frame])
    before = _files(tmp_path)
    with pytest.raises(DataError, match="stays in the folder"):
        SensorRenderer(tmp_path).prepare(tmp_path / "blobs" / "split", log, TOKENS[0], ["cam_l0", "cam_f0"])
    assert _files(tmp_path) == before


def test_unknown_names_and_tokens_are_named(tmp_path: Path, log_path: Path) -> None:
    with pytest.raises(DataError, match="cam_x"):
        SensorRenderer(tmp_path).prepare(tmp_path / "blobs", log_path, TOKENS[0], ["cam_x"])
    with pytest.raises(DataError, match="ffff"):
        SensorRenderer(tmp_path).prepare(tmp_path / "blobs", log_path, "ffff", ["cam_f0"])


def test_a_full_disk_leaves_nothing_and_the_same_call_goes_on(
    tmp_path: Path, log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = SensorRenderer(tmp_path), tmp_path / "blobs"
    source.prepare(folder, log_path, TOKENS[0], ["cam_f0"])

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(DataError, match="No space left"):
            source.prepare(folder, log_path, TOKENS[0], ["cam_f0", "cam_b0"])
    assert _files(folder) == [f"log/CAM_F0/{TOKENS[0]}.jpg"]
    source.prepare(folder, log_path, TOKENS[0], ["cam_f0", "cam_b0"])
    assert len(_files(folder)) == 2


def test_old_leftovers_are_removed_and_fresh_ones_are_not(tmp_path: Path, log_path: Path) -> None:
    folder = tmp_path / "blobs" / "log" / "CAM_F0"
    folder.mkdir(parents=True)
    old, fresh, foreign = (folder / name for name in (".a.jpg.x1", ".b.jpg.x2", ".notes"))
    for path in (old, fresh, foreign):
        path.write_bytes(b"half")
    past = time.time() - 2.0 * LEFTOVER_AGE_S
    os.utime(old, (past, past))
    os.utime(foreign, (past, past))
    SensorRenderer(tmp_path).prepare(tmp_path / "blobs", log_path, TOKENS[0], ["cam_f0"])
    assert not old.exists() and fresh.exists() and foreign.exists()


def test_signals_are_listed_from_lights_and_phases() -> None:
    frames = [{"traffic_lights": [("7", True)], "world": {"phases": [["12", "g"]]}}, {"traffic_lights": [(7, False)]}]
    assert list_signals(frames) == ["12", "7"]


def test_missing_embreex_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['embreex'] = None\n"
        "from latentvla_agent.errors import DataError\n"
        "from latentvla_agent.world.rendering.embree import load_embree\n"
        "try:\n    load_embree()\n"
        "except DataError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert 'pip install "latentvla-agent[world]"' in run.stdout


def test_names_are_those_of_the_data_room() -> None:
    assert len(CAMERA_NAMES) == 8 and LIDAR_NAME == "lidar_pc"
