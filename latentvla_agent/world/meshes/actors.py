"""All boxes of a log frame as one mesh: a model for each, in its colours, its brake lights lit when it brakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.heavy_models import build_bus, build_truck
from latentvla_agent.world.meshes.looks import LookConfig, hash_token, paint_slots, read_models
from latentvla_agent.world.meshes.mesh import FloatArray, Mesh, make_empty_mesh
from latentvla_agent.world.meshes.people_models import (
    ADULT,
    CHILD,
    STRIDE_PHASES,
    build_bicycle,
    build_motorcycle,
    build_walker,
)
from latentvla_agent.world.meshes.prop_models import build_barrier, build_bin, build_cone, build_zone_sign
from latentvla_agent.world.meshes.templates import Part, Slot, Template, build_template
from latentvla_agent.world.meshes.vehicle_models import HATCHBACK, SEDAN, SUV, VAN, build_car

STANDING = 1  # row of STRIDE_PHASES for who doesn't walk

_BUILDERS: Dict[str, Callable[[int], List[Part]]] = {
    "sedan": lambda _: build_car(SEDAN),
    "hatchback": lambda _: build_car(HATCHBACK),
    "suv": lambda _: build_car(SUV),
    "van": lambda _: build_car(VAN),
    "truck": lambda _: build_truck(),
    "bus": lambda _: build_bus(),
    "motorcycle": lambda _: build_motorcycle(),
    "bicycle": lambda _: build_bicycle(),
    "adult": lambda variant: build_walker(ADULT, STRIDE_PHASES[variant]),
    "child": lambda variant: build_walker(CHILD, STRIDE_PHASES[variant]),
    "cone": lambda _: build_cone(),
    "barrier": lambda variant: build_barrier(along_y=variant == 1),
    "sign": lambda _: build_zone_sign(),
    "generic": lambda _: build_bin(),
}
_WALKERS = ("adult", "child")


@dataclass(frozen=True)
class ActorConfig:
    """`walking_speed` m/s from which a person walks, `stride` metres of two steps, relative to the person's height."""

    looks: LookConfig = field(default_factory=LookConfig)
    walking_speed: float = 0.2
    stride: float = 0.85


@lru_cache(maxsize=None)
def make_template(model: str, variant: int = 0) -> Template:
    """The template of a model; `variant`: phase of the stride of walkers, 1 for a barrier that is long across."""
    return build_template(_BUILDERS[model](variant))


def read_ego_pose(frame: Dict[str, Any]) -> Tuple[FloatArray, float]:
    """The rear axle's place (2,) in the map frame and the heading of a log frame."""
    w, x, y, z = (float(value) for value in frame["ego2global_rotation"])
    heading = float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))
    return np.asarray(frame["ego2global_translation"], np.float64)[:2], heading


def build_actors(frame: Dict[str, Any], origin: FloatArray, config: ActorConfig = ActorConfig()) -> Mesh:
    """The boxes of a raw log `frame` as a mesh relative to `origin` (2,) in the map frame; objects are rows of boxes.

    Reads anns (gt_boxes, gt_names, gt_velocity_3d, track_tokens), the ego pose and, where there, world.models and
    world.braking. Raises `DataError` for a class or model without a look.
    """
    boxes = np.asarray(frame["anns"]["gt_boxes"], np.float64).reshape(-1, 7)
    tokens = [str(token) for token in frame["anns"]["track_tokens"]]
    models = read_models(frame, tokens, config.looks)
    braking = read_braking(frame, len(boxes))
    place, heading = read_ego_pose(frame)
    poses = _to_map(boxes, place, heading)
    speeds = np.linalg.norm(np.asarray(frame["anns"]["gt_velocity_3d"], np.float64).reshape(-1, 3)[:, :2], axis=1)
    rows = []
    for row, (model, box, pose) in enumerate(zip(models, boxes, poses)):
        variant = _choose_variant(model, box, pose, float(speeds[row]), config)
        rows.append(
            (make_template(model, variant), _paint(tokens[row], model, variant, bool(braking[row]), config.looks))
        )
    poses[:, :2] -= origin
    return _place(rows, boxes, poses)


def read_braking(frame: Dict[str, Any], count: int) -> Sequence[bool]:
    """Which of `count` boxes brake, by `frame["world"]["braking"]`; none where the log doesn't say."""
    braking: Sequence[bool] = frame.get("world", {}).get("braking", [False] * count)
    if len(braking) != count:
        raise DataError(f"world.braking: expected {count} entries as in gt_boxes, got {len(braking)}")
    return braking


def _to_map(boxes: FloatArray, place: FloatArray, heading: float) -> FloatArray:
    """Poses (N, 3) x, y, heading in the map frame of boxes (N, 7) in the ego frame."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([(cos, -sin), (sin, cos)])
    return np.column_stack([boxes[:, :2] @ turn.T + place, boxes[:, 6] + heading])


def _choose_variant(model: str, box: FloatArray, pose: FloatArray, speed: float, config: ActorConfig) -> int:
    if model == "barrier":
        return int(box[4] > box[3])
    if model not in _WALKERS:
        return 0
    if speed < config.walking_speed:
        return STANDING
    # The phase follows the way walked, so that feet don't slide and every camera sees the same pose.
    walked = pose[0] * np.cos(pose[2]) + pose[1] * np.sin(pose[2])
    strides = walked / (config.stride * float(box[5]))
    return int(np.floor(strides * len(STRIDE_PHASES))) % len(STRIDE_PHASES)


@lru_cache(maxsize=8192)
def _paint(token: str, model: str, variant: int, is_braking: bool, looks: LookConfig) -> npt.NDArray[np.uint8]:
    """Colours (F, 3) of the faces of a model's template for the actor of that track."""
    template = make_template(model, variant)
    colours = paint_slots(model, hash_token(token), is_braking, looks)
    return np.where((template.slots == Slot.FIXED)[:, None], template.mesh.colours, colours[template.slots])


def _place(rows: Sequence[Tuple[Template, npt.NDArray[np.uint8]]], boxes: FloatArray, poses: FloatArray) -> Mesh:
    """One mesh of a template and its colours for each box (N, 7), at poses (N, 3) x, y, heading."""
    if not rows:
        return make_empty_mesh()
    meshes = [template.mesh for template, _ in rows]
    num_vertices, num_faces = [len(mesh.vertices) for mesh in meshes], [mesh.num_faces for mesh in meshes]
    starts = np.cumsum([0, *num_vertices[:-1]])
    vertices = np.empty((sum(num_vertices), 3), np.float32)
    for (template, _), start, count, box, pose in zip(rows, starts, num_vertices, boxes, poses):
        fitted, target = template.fit(box[3:6]), vertices[start : start + count]
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        target[:, 0] = cos * fitted[:, 0] - sin * fitted[:, 1] + pose[0]
        target[:, 1] = sin * fitted[:, 0] + cos * fitted[:, 1] + pose[1]
        target[:, 2] = fitted[:, 2] + (box[2] - 0.5 * box[5])
    return Mesh(
        vertices,
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts)]),
        np.concatenate([colours for _, colours in rows]),
        np.concatenate([mesh.materials for mesh in meshes]),
        np.repeat(np.arange(len(rows), dtype=np.int32), num_faces),
        np.zeros((sum(num_faces), 3, 2), np.float32),
    )
