"""Our readers of nuScenes see what nuscenes-devkit sees in the same database.

The devkit lives in an environment of its own; NUSCENES_PYTHON names its interpreter. The tilted database has what the
writer never writes: an ego and sensors that lean, and a pose of its own for each sensor.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
import shapely

from latentvla_agent.data.calibration import CameraCalibration, project_points
from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.expansion import Expansion, read_expansion
from latentvla_agent.data.nuscenes.map import EXPANSION_FOLDER, NuScenesMaps
from latentvla_agent.data.nuscenes.paths import STEP_M
from latentvla_agent.data.nuscenes.sensors import CAMERA_OF_CHANNEL
from latentvla_agent.data.rotations import matrix_of_quaternion, quaternion_of_matrix
from latentvla_agent.data.scene import BoxIndex, wrap_angle
from latentvla_agent.data.sensor_files import LidarIndex
from latentvla_agent.data.sensors import SensorConfig
from latentvla_agent.evaluation.open_loop_collisions import find_corners
from latentvla_agent.world.nuscenes import MiniatureConfig, write_miniature
from tests.data.nuscenes.drives import VERSION, edit_table
from tests.evaluation.nuscenes_databases import MAPS, embedded_logs

PYTHON = os.environ.get("NUSCENES_PYTHON", "")
READER = Path(__file__).parent / "read_with_nuscenes_devkit.py"
SHAPES = ("LSR", "RSL", "LSL", "RSR", "LRL", "RLR")
RADIUS_M = 8.0
RESOLUTION_M = 0.1  # of the devkit's centrelines: a chord of 0.1 m on a radius of 8 m is off by 0.16 mm
FOCAL_PX = 1266.0 * 80 / 1600
SEAM_M = 0.02  # points this near to an edge are not asked for: tiles of our maps overlap by 1 cm
SINGLE_M = 1e-4  # frames hold boxes, and clouds points, in single precision
LAYERS = {"drivable_area": "drivable_areas", "walkway": "walkways", "ped_crossing": "crosswalks"}


def has_devkit() -> bool:
    """Whether there is an interpreter, and the devkit in it."""
    command = [PYTHON, "-c", "from importlib import metadata; metadata.version('nuscenes-devkit')"]
    return bool(shutil.which(PYTHON)) and subprocess.run(command, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_devkit(), reason="NUSCENES_PYTHON names no interpreter that has nuscenes-devkit"),
]


@dataclass(frozen=True)
class Pair:
    """A database, what the devkit says of it, and the points that it was asked for."""

    database: NuScenesDatabase
    expansion: Expansion
    maps: NuScenesMaps
    points: np.ndarray
    answers: Dict[str, Any]
    tilted: bool

    @property
    def tokens(self) -> List[str]:
        """All samples."""
        return self.database.sample_tokens()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as we write it, but for bends in its map."""
    root = tmp_path_factory.mktemp("written")
    write_miniature(root, MAPS, embedded_logs()[:1], MiniatureConfig(picture_size=(80, 45), max_frames=5))
    bend_lanes(next((root / EXPANSION_FOLDER).iterdir()))
    return root


@pytest.fixture(scope="module", params=["level", "tilted"])
def pair(request: pytest.FixtureRequest, written: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root, tilted = tmp_path_factory.mktemp("devkit"), request.param == "tilted"
    shutil.copytree(written, root, dirs_exist_ok=True)
    if tilted:
        random = np.random.default_rng(7)
        edit_table(root, "ego_pose", lambda rows: [tilt(row, random, 0.4, 2.0) for row in rows])
        edit_table(root, "calibrated_sensor", lambda rows: [tilt(row, random, 0.1, 1.0) for row in rows])
    location = json.loads((root / VERSION / "log.json").read_text())[0]["location"]
    maps = NuScenesMaps(root)
    database, expansion = NuScenesDatabase(root, VERSION, NuScenesConfig(1)), read_expansion(maps.path_of(location))
    points = scatter(database, expansion)
    questions, answers = root / "questions.json", root / "answers.json"
    asked = {"root": str(root), "version": VERSION, "location": location, "resolution": RESOLUTION_M}
    questions.write_text(json.dumps({**asked, "points": points.tolist()}))
    command = [PYTHON, str(READER), str(questions), str(answers)]
    run = subprocess.run(command, env={**os.environ, "MPLBACKEND": "agg"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return Pair(database, expansion, maps, points, json.loads(answers.read_text()), tilted)


def tilt(row: Dict[str, Any], random: np.random.Generator, metres: float, degrees: float) -> Dict[str, Any]:
    """A row of a pose or a mount elsewhere, by so much at most, and with roll and pitch."""
    roll, pitch = np.deg2rad(random.uniform(-degrees, degrees, 2))
    across = [[1.0, 0.0, 0.0], [0.0, np.cos(roll), -np.sin(roll)], [0.0, np.sin(roll), np.cos(roll)]]
    along = [[np.cos(pitch), 0.0, np.sin(pitch)], [0.0, 1.0, 0.0], [-np.sin(pitch), 0.0, np.cos(pitch)]]
    turn = matrix_of_quaternion(row["rotation"]) @ np.array(along) @ np.array(across)
    place = np.add(row["translation"], random.uniform(-metres, metres, 3))
    return {**row, "rotation": quaternion_of_matrix(turn).tolist(), "translation": place.tolist()}


def bend_lanes(path: Path) -> None:
    """Put a curve of each shape where the map's first lanes were: our writer knows only straight pieces."""
    content = json.loads(path.read_text())
    for shape, pieces in zip(SHAPES, content["arcline_path_3"].values()):
        pieces[:] = [{**pieces[0], "shape": shape, "radius": RADIUS_M, "segment_length": [5.0, 4.3, 7.7]}]
    path.write_text(json.dumps(content))


def scatter(database: NuScenesDatabase, expansion: Expansion) -> np.ndarray:
    """Points (N, 2) around the ego and in and beside every area, none on the edge of anything."""
    random = np.random.default_rng(3)
    ego = database.load(database.sample_tokens()[0]).current_frame.ego_status.ego_pose[:2]
    areas = [polygon for name in LAYERS.values() for polygon in getattr(expansion, name)]
    areas += [lane.polygon for lane in expansion.lanes.values()]
    beside = [random.uniform(area.bounds[:2], area.bounds[2:], (5, 2)) for area in areas]
    points = shapely.points(np.concatenate([ego + random.normal(0.0, 15.0, (100, 2)), *beside]))
    edges = shapely.union_all([area.boundary for area in areas])
    kept: np.ndarray = shapely.get_coordinates(points[shapely.distance(points, edges) > SEAM_M])
    return kept


def test_samples_come_in_the_same_order(pair: Pair) -> None:
    scenes = {name: pair.database.sample_tokens([name]) for name in pair.database.scene_names()}
    assert scenes == pair.answers["scenes"] and len(pair.tokens) == 5


def test_the_ego_is_in_the_same_place(pair: Pair) -> None:
    ours = [pair.database.load(token).current_frame.ego_status.ego_pose for token in pair.tokens]
    np.testing.assert_allclose(ours, [pair.answers["samples"][token]["pose"] for token in pair.tokens], atol=1e-9)


def test_boxes_are_the_same_in_the_ego_frame(pair: Pair) -> None:
    for token in pair.tokens:
        found, theirs = pair.database.load(token).current_frame.annotations, pair.answers["samples"][token]["boxes"]
        assert sorted(found.instance_tokens) == sorted(theirs) and len(theirs) > 5
        boxes = np.array([theirs[box]["box"] for box in found.instance_tokens])
        np.testing.assert_allclose(found.boxes[:, : BoxIndex.HEADING], boxes[:, : BoxIndex.HEADING], atol=SINGLE_M)
        # Ours is the difference of two headings seen from above, theirs is seen along the axis of an ego that leans:
        # by 2 degrees of roll and of pitch, that is a second-order difference.
        heading = wrap_angle(found.boxes[:, BoxIndex.HEADING] - boxes[:, BoxIndex.HEADING])
        np.testing.assert_allclose(heading, 0.0, atol=2e-3 if pair.tilted else 1e-6)


def test_boxes_move_at_the_same_velocity(pair: Pair) -> None:
    """Where the devkit knows none (NaN), ours is zero."""
    for token in pair.tokens:
        found, theirs = pair.database.load(token).current_frame.annotations, pair.answers["samples"][token]["boxes"]
        velocities = np.array([theirs[box]["velocity"] for box in found.instance_tokens])
        np.testing.assert_allclose(found.velocity_3d, np.nan_to_num(velocities), atol=SINGLE_M)


def test_corners_of_what_comes_are_the_same_from_above(pair: Pair) -> None:
    for token, following in zip(pair.tokens[:-1], pair.tokens[1:]):
        boxes = pair.database.load(following).current_frame.annotations.instance_tokens
        theirs = np.array([pair.answers["samples"][token]["next"][box] for box in boxes])
        ours = find_corners(pair.database.load_truth(token).boxes[0])  # from the front left on, not the front right
        np.testing.assert_allclose(ours, theirs[:, [1, 2, 3, 0]], atol=1e-9)


def test_points_of_the_lidar_are_the_same(pair: Pair) -> None:
    every = pair.answers["every"]
    for token in pair.tokens:
        cloud = pair.database.load(token).get_agent_input(SensorConfig(lidar_pc=True)).lidars[0].lidar_pc
        theirs = pair.answers["samples"][token]
        assert cloud.shape[1] == theirs["num_points"] > 1000
        ours = cloud[: LidarIndex.INTENSITY + 1, ::every].T
        np.testing.assert_allclose(ours, theirs["points"], atol=SINGLE_M)


def test_centres_of_boxes_are_at_the_same_pixels(pair: Pair) -> None:
    for token in pair.tokens:
        scene = pair.database.load(token)
        found = scene.get_agent_input(SensorConfig.build_all_sensors()).cameras[0]
        annotations, theirs = scene.current_frame.annotations, pair.answers["samples"][token]["pixels"]
        assert sorted(theirs) == sorted(CAMERA_OF_CHANNEL)
        for channel, name in CAMERA_OF_CHANNEL.items():
            one = getattr(found, name)
            place = (one.sensor2lidar_rotation, one.sensor2lidar_translation, one.intrinsics, one.distortion)
            pixels, depth = project_points(annotations.boxes[:, :3], CameraCalibration(name, *place, 80, 45))
            ours = dict(zip(annotations.instance_tokens, np.column_stack([pixels, depth])))
            assert {box for box, row in ours.items() if row[2] > 0} == set(theirs[channel])
            for box, row in theirs[channel].items():
                np.testing.assert_allclose(ours[box][2], row[2], atol=SINGLE_M)
                allowed = SINGLE_M * (FOCAL_PX + np.abs(row[:2])) / row[2]  # of metres sideways, and along the axis
                assert np.all(np.abs(ours[box][:2] - row[:2]) < allowed), (channel, box)


def test_points_lie_on_the_same_areas(pair: Pair) -> None:
    """Of the drivable area also the tiles that our map, and so the scorer, has of it."""
    points, theirs, lanes = shapely.points(pair.points), pair.answers["map"]["layers"], pair.expansion.lanes
    ours = [(layer, getattr(pair.expansion, name)) for layer, name in LAYERS.items()]
    ours.append(("lane", [lane.polygon for lane in lanes.values() if not lane.is_connector]))
    ours.append(("drivable_area", pair.maps.load(pair.expansion.path.stem).layer("carpark_areas").geometry))
    for layer, areas in ours:
        found = [bool(there[layer]) for there in theirs]
        assert shapely.contains(shapely.union_all(areas), points).tolist() == found, layer
        assert 0 < sum(found) < len(found), layer
    assert all(lanes[there["lane"]].polygon.contains(point) for point, there in zip(points, theirs) if there["lane"])


def test_centrelines_run_in_the_same_place(pair: Pair) -> None:
    city = pair.answers["map"]
    assert set(pair.expansion.lanes) == set(city["lines"])
    for number, (token, line) in enumerate(city["lines"].items()):
        ours, theirs = shapely.LineString(pair.expansion.lanes[token].path), shapely.LineString(line)
        assert max(shapely.distance(shapely.points(pair.expansion.lanes[token].path), theirs)) < 1e-3
        bend = STEP_M**2 / (8.0 * RADIUS_M) if number < len(SHAPES) else 0.0  # a chord of ours is off by as much
        assert max(shapely.distance(shapely.points(line), ours)) < bend + 1e-3
        assert ours.length == pytest.approx(city["lengths"][token], rel=1e-3)
        assert sorted(pair.expansion.lanes[token].outgoing) == sorted(city["outgoing"][token])
