"""Models fill their boxes and never leave them; a frame's boxes become objects with the right place and lamps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import latentvla_agent
from latentvla_agent.data.logs import read_log
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.actors import build_actors, make_template
from latentvla_agent.world.meshes.looks import MODELS, MODELS_OF_CLASS, LookConfig, choose_model, hash_token
from latentvla_agent.world.meshes.mesh import Material

TOLERANCE = 0.02  # metres by which a model may leave its box
LOGS = Path(latentvla_agent.__file__).parent / "embedded" / "navsim_logs" / "embedded"
CLASS_OF_MODEL = {model: name for name, models in MODELS_OF_CLASS.items() for model in models}

Row = Tuple[str, List[float]]  # a model and its box


def make_frame(rows: List[Row], speed: float = 0.0, **world: Any) -> Dict[str, Any]:
    """A log frame with these boxes; the ego stands off the origin and is turned."""
    heading = 0.7
    return {
        "ego2global_translation": np.array([331000.5, 4690000.25, 0.0]),
        "ego2global_rotation": [np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)],
        "traffic_lights": [],
        "world": {"models": [model for model, _ in rows], "braking": [False] * len(rows), **world},
        "anns": {
            "gt_boxes": np.array([box for _, box in rows], np.float32).reshape(-1, 7),
            "gt_names": np.array([CLASS_OF_MODEL[model] for model, _ in rows]),
            "gt_velocity_3d": np.full((len(rows), 3), speed, np.float32),
            "track_tokens": [f"track-{row}" for row in range(len(rows))],
        },
    }


def to_box_frame(frame: Dict[str, Any], row: int, vertices: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Vertices relative to a box' middle, x to its front."""
    x, y, z, *_, yaw = frame["anns"]["gt_boxes"][row].astype(np.float64)
    heading = 2.0 * np.arctan2(frame["ego2global_rotation"][3], frame["ego2global_rotation"][0])
    ego = np.array([(np.cos(heading), -np.sin(heading)), (np.sin(heading), np.cos(heading))])
    middle = frame["ego2global_translation"][:2] + ego @ (x, y) - origin
    total = heading + yaw
    turn = np.array([(np.cos(total), np.sin(total)), (-np.sin(total), np.cos(total))])
    return np.column_stack([(vertices[:, :2] - middle) @ turn.T, vertices[:, 2] - z])


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=12, deadline=None)
@given(
    scale=st.tuples(*[st.floats(0.6, 1.7)] * 3), yaw=st.floats(-3.2, 3.2), place=st.tuples(*[st.floats(-90, 90)] * 2),
    speed=st.floats(0.0, 2.0),
)  # fmt: skip
def test_model_fills_its_box(model: str, scale: Any, yaw: float, place: Any, speed: float) -> None:
    size = make_template(model).size * np.array(scale)
    frame = make_frame([(model, [*place, 0.5 * size[2], *size, yaw])], speed)
    origin = np.array([331000.0, 4690000.0])
    local = to_box_frame(frame, 0, build_actors(frame, origin).vertices, origin)
    assert (np.abs(local) <= 0.5 * size + TOLERANCE).all()
    np.testing.assert_allclose(local.max(axis=0), 0.5 * size, atol=TOLERANCE)
    np.testing.assert_allclose(local.min(axis=0), -0.5 * size, atol=TOLERANCE)


@pytest.mark.parametrize("model", ["sedan", "hatchback", "suv", "van", "truck", "bus", "motorcycle"])
def test_brake_lights_are_lit_at_the_rear(model: str) -> None:
    size = make_template(model).size
    rows: List[Row] = [(model, [10.0, 3.0, 0.5 * size[2], *size, 0.4])] * 2
    frame = make_frame(rows, braking=[True, False])
    origin = np.array([331000.0, 4690000.0])
    mesh = build_actors(frame, origin)
    red = (mesh.materials == Material.LAMP) & (mesh.colours[:, 0] > 200) & (mesh.colours[:, 1] < 60)
    assert set(mesh.objects[red]) == {0}
    lit = to_box_frame(frame, 0, mesh.vertices[mesh.faces[red]].reshape(-1, 3), origin)
    assert lit[:, 0].max() < 0.0


@pytest.mark.parametrize("model", ["sedan", "hatchback", "suv", "van", "truck", "bus"])
def test_cars_have_glass_wheels_and_head_lights_in_front(model: str) -> None:
    mesh = make_template(model).mesh
    middles = mesh.vertices[mesh.faces].mean(axis=1)
    assert (mesh.materials == Material.GLASS).sum() >= 6
    white = (mesh.materials == Material.LAMP) & (mesh.colours[:, 2] > 200)
    assert middles[white, 0].min() > 0.0
    dark_below = (mesh.colours.max(axis=1) < 40) & (middles[:, 2] < 0.6)
    assert {-1.0, 1.0} <= set(np.sign(middles[dark_below, 1]))


@pytest.mark.parametrize("model", MODELS)
def test_template_has_no_empty_triangles(model: str) -> None:
    template = make_template(model)
    a, b, c = (template.mesh.vertices[template.mesh.faces[:, i]].astype(np.float64) for i in range(3))
    assert (np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-7).all()
    assert template.mesh.num_faces <= 1200


def test_walkers_step_with_the_way_they_go() -> None:
    size = [0.65, 0.6, 1.75]
    poses = []
    for x in np.arange(0.0, 1.5, 0.1):
        frame = make_frame([("adult", [x, 0.0, 0.875, *size, 0.0])], speed=1.2)
        local = to_box_frame(frame, 0, build_actors(frame, np.zeros(2)).vertices.astype(np.float64), np.zeros(2))
        poses.append(np.round(local[:, 2], 3).tobytes())
    assert len(set(poses)) >= 4


def test_same_track_looks_the_same_and_others_differ() -> None:
    size = [4.6, 1.9, 1.5]
    rows: List[Row] = [("sedan", [5.0 * row, 0.0, 0.75, *size, 0.0]) for row in range(12)]
    frame = make_frame(rows)
    mesh, again = build_actors(frame, np.zeros(2)), build_actors(frame, np.zeros(2))
    assert mesh.colours.tobytes() == again.colours.tobytes()
    first = [tuple(mesh.colours[mesh.objects == row][0]) for row in range(12)]
    assert len(set(first)) > 3


@pytest.mark.parametrize(
    "name, size, models",
    [
        ("vehicle", (2.2, 0.8, 1.5), {"motorcycle"}),
        ("vehicle", (12.0, 2.5, 3.2), {"bus"}),
        ("vehicle", (8.5, 2.5, 3.2), {"bus", "truck"}),
        ("vehicle", (5.6, 2.1, 2.3), {"van"}),
        ("vehicle", (4.7, 1.9, 1.8), {"suv"}),
        ("vehicle", (4.6, 1.9, 1.5), {"sedan", "hatchback", "suv"}),
        ("pedestrian", (0.65, 0.6, 1.75), {"adult"}),
        ("pedestrian", (0.4, 0.4, 1.1), {"child"}),
        ("traffic_cone", (0.4, 0.4, 0.8), {"cone"}),
    ],
)
def test_model_follows_class_and_size(name: str, size: Any, models: Any) -> None:
    assert {choose_model(name, size, hash_token(str(i)), LookConfig()) for i in range(80)} == models


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.pkl")), ids=lambda path: path.stem[:10])
def test_any_log_has_a_mesh_for_every_box(path: Path) -> None:
    for frame in read_log(path)[::10]:
        mesh = build_actors(frame, np.asarray(frame["ego2global_translation"])[:2])
        assert set(mesh.objects.tolist()) == set(range(len(frame["anns"]["gt_boxes"])))
        assert np.isfinite(mesh.vertices).all() and (mesh.vertices[:, 2] > -TOLERANCE).all()


def test_no_boxes_no_mesh() -> None:
    assert build_actors(make_frame([]), np.zeros(2)).num_faces == 0


@pytest.mark.parametrize(
    "world, message",
    [
        ({"models": ["hovercraft"]}, "hovercraft"),
        ({"models": []}, "expected 1 entries as in gt_boxes, got 0"),
        ({"braking": []}, "world.braking: expected 1 entries"),
    ],
)
def test_broken_world_is_named(world: Dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_actors(make_frame([("sedan", [0, 0, 0.75, 4.6, 1.9, 1.5, 0])], **world), np.zeros(2))


def test_unknown_class_is_named() -> None:
    with pytest.raises(DataError, match="zeppelin"):
        choose_model("zeppelin", (1.0, 1.0, 1.0), hash_token("a"), LookConfig())
