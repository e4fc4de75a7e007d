"""What nuscenes-devkit reads in a nuScenes database, as JSON; run in the devkit's environment, without our package.

Usage: read_with_nuscenes_devkit.py QUESTIONS ANSWERS. Both are JSON files; the questions: `root`, `version`,
`location`, `points` [[x, y]] to look up in the map, and `resolution` [m] of centrelines.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from nuscenes.eval.common.utils import quaternion_yaw
from nuscenes.map_expansion.arcline_path_utils import length_of_lane
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import Box, LidarPointCloud
from nuscenes.utils.geometry_utils import BoxVisibility, view_points
from pyquaternion import Quaternion

LIDAR = "LIDAR_TOP"
EVERY = 23  # lidar point is told
Json = Dict[str, Any]


def read_samples(database: NuScenes, scene: Json) -> List[Json]:
    """Samples of a drive, from link to link."""
    samples, token = [], scene["first_sample_token"]
    while token:
        samples.append(database.get("sample", token))
        token = samples[-1]["next"]
    return samples


def describe_sample(database: NuScenes, sample: Json) -> Json:
    """Pose, boxes, points and pixels of a sample; the ego frame is that of the lidar's moment."""
    data = database.get("sample_data", sample["data"][LIDAR])
    mount = database.get("calibrated_sensor", data["calibrated_sensor_token"])
    pose = database.get("ego_pose", data["ego_pose_token"])
    turn = Quaternion(pose["rotation"])
    path, boxes, _ = database.get_sample_data(sample["data"][LIDAR])
    for box in boxes:  # the devkit gives them in the lidar's frame
        box.rotate(Quaternion(mount["rotation"]))
        box.translate(np.array(mount["translation"]))
    cloud = LidarPointCloud.from_file(path)
    cloud.rotate(Quaternion(mount["rotation"]).rotation_matrix)
    cloud.translate(np.array(mount["translation"]))
    return {
        "pose": [*pose["translation"][:2], quaternion_yaw(turn)],
        "boxes": {box.token: describe_box(database, box, turn) for box in boxes},
        "next": outline_next(database, sample, pose),
        "num_points": cloud.nbr_points(),
        "points": cloud.points[:, ::EVERY].T.tolist(),
        "pixels": {channel: project(database, token) for channel, token in sample["data"].items() if channel != LIDAR},
    }


def describe_box(database: NuScenes, box: Box, turn: Quaternion) -> Json:
    """A box of an ego frame, and its velocity, which the devkit measures in the global frame."""
    width, length, height = box.wlh
    return {
        "box": [*box.center, length, width, height, quaternion_yaw(box.orientation)],
        "velocity": turn.inverse.rotate(database.box_velocity(box.token)).tolist(),
    }


def outline_next(database: NuScenes, sample: Json, pose: Json) -> Json:
    """Corners (4, 2), from above, of the next sample's boxes in this one's ego frame, which is kept level here."""
    if not sample["next"]:
        return {}
    level = Quaternion(axis=[0, 0, 1], angle=quaternion_yaw(Quaternion(pose["rotation"])))
    corners = {}
    for token in database.get("sample", sample["next"])["anns"]:
        box = database.get_box(token)
        box.translate(-np.array(pose["translation"]))
        box.rotate(level.inverse)
        corners[token] = box.bottom_corners()[:2].T.tolist()
    return corners


def project(database: NuScenes, token: str) -> Json:
    """Pixel and depth of the centre of each box that is in front of a camera."""
    _, boxes, intrinsic = database.get_sample_data(token, box_vis_level=BoxVisibility.NONE)
    found = {}
    for box in boxes:
        if box.center[2] > 0:
            u, v, _ = view_points(box.center[:, None], intrinsic, normalize=True)[:, 0]
            found[box.token] = [u, v, box.center[2]]
    return found


def describe_map(questions: Json) -> Json:
    """What lies at the points, by layer, and the centrelines with their lengths and where they lead."""
    city = NuScenesMap(questions["root"], questions["location"])
    tokens = list(city.arcline_path_3)
    lines = city.discretize_lanes(tokens, questions["resolution"])
    return {
        "layers": [city.layers_on_point(x, y) for x, y in questions["points"]],
        "lines": {token: [pose[:2] for pose in poses] for token, poses in lines.items()},
        "lengths": {token: length_of_lane(city.get_arcline_path(token)) for token in tokens},
        "outgoing": {token: city.get_outgoing_lane_ids(token) for token in tokens},
    }


def main() -> None:
    questions = json.loads(Path(sys.argv[1]).read_text())
    database = NuScenes(questions["version"], questions["root"], verbose=False)
    samples = {scene["name"]: read_samples(database, scene) for scene in database.scene}
    answers = {
        "every": EVERY,
        "devkit": metadata.version("nuscenes-devkit"),
        "scenes": {name: [sample["token"] for sample in found] for name, found in samples.items()},
        "samples": {
            sample["token"]: describe_sample(database, sample) for found in samples.values() for sample in found
        },
        "map": describe_map(questions),
    }
    Path(sys.argv[2]).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
