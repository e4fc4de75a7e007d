"""Meshes join, move and check their shapes; the raster gives labels by place; shapes look outwards."""

from __future__ import annotations

import numpy as np
import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.mesh import Ground, GroundRaster, Material, Mesh, join_meshes, make_empty_mesh
from latentvla_agent.world.meshes.shapes import (
    build_blob,
    build_box,
    build_cylinder,
    build_disc,
    build_loft,
    build_panel,
    build_ring,
)

GREY = (90, 90, 90)


def measure_volume(mesh: Mesh) -> float:
    """Signed volume: positive where all faces of a closed mesh look outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)


@pytest.mark.parametrize(
    "mesh, volume",
    [
        (build_box((0, 0, 0), (1, 2, 3), GREY, Material.MATTE), 6.0),
        (build_cylinder((0, 0, 0), (0, 0, 2), (1, 1), 64, GREY, Material.MATTE), 2.0 * np.pi),
        (build_cylinder((0, 0, 0), (3, 0, 0), (1, 1), 64, GREY, Material.MATTE), 3.0 * np.pi),
        (build_cylinder((0, 1, 0), (0, -1, 0), (1, 0.5), 64, GREY, Material.MATTE), 2.0 * np.pi * 1.75 / 3.0),
        (build_blob((5, 5, 5), (1, 1, 1), 48, 32, GREY, Material.MATTE), 4.0 / 3.0 * np.pi),
        (build_ring((1, 2, 3), 1.0, 0.1, 64, GREY, Material.MATTE), 2.0 * np.pi * 0.95 * 0.015),
        (build_loft([[(x, 1, 0), (x, 0, 1), (x, -1, 0)] for x in (0, 1, 2)], GREY, Material.MATTE), 2.0),
    ],
)
def test_closed_shapes_look_outwards(mesh: Mesh, volume: float) -> None:
    assert measure_volume(mesh) == pytest.approx(volume, rel=0.03)


def test_panel_lies_before_its_wall() -> None:
    wall = [(0.0, 0.0, 0.0), (4.0, 0.0, 0.0), (4.0, 0.0, 2.0), (0.0, 0.0, 2.0)]  # looks along -y
    panel = build_panel(wall, (0.25, 0.5, 0.75, 1.0), 0.1, GREY, Material.GLASS)
    np.testing.assert_allclose(panel.vertices.min(axis=0), (1.0, -0.1, 1.0), atol=1e-6)
    np.testing.assert_allclose(panel.vertices.max(axis=0), (3.0, -0.1, 2.0), atol=1e-6)


def test_disc_looks_along_its_normal() -> None:
    disc = build_disc((1, 2, 3), (0, 1, 0), 0.5, 12, GREY, Material.LAMP)
    a, b, c = (disc.vertices[disc.faces[:, i]] for i in range(3))
    assert (np.cross(b - a, c - a)[:, 1] > 0.0).all()


def test_join_keeps_every_face() -> None:
    one = build_box((0, 0, 0), (1, 1, 1), GREY, Material.MATTE).of_object(3)
    two = build_box((5, 5, 5), (6, 6, 6), GREY, Material.GLASS)
    both = join_meshes([one, make_empty_mesh(), two])
    assert both.num_faces == 24
    np.testing.assert_array_equal(both.vertices[both.faces[12:]], two.vertices[two.faces])
    assert set(both.objects[:12]) == {3} and set(both.objects[12:]) == {-1}
    assert join_meshes([]).num_faces == 0


def test_move_turns_and_shifts() -> None:
    box = build_box((0, 0, 0), (1, 2, 3), GREY, Material.MATTE)
    turned = box.transformed(np.array([(0, -1, 0), (1, 0, 0), (0, 0, 1.0)]), np.array([10.0, 0.0, 0.0]))
    np.testing.assert_allclose(turned.vertices.min(axis=0), (8, 0, 0))
    np.testing.assert_allclose(turned.vertices.max(axis=0), (10, 1, 3))


def test_wrong_shape_is_named() -> None:
    box = build_box((0, 0, 0), (1, 1, 1), GREY, Material.MATTE)
    with pytest.raises(DataError, match=r"materials of shape \(12,\), got \(3,\)"):
        Mesh(box.vertices, box.faces, box.colours, box.materials[:3], box.objects, box.uv)


def test_raster_gives_labels_by_place() -> None:
    labels = np.full((4, 6), Ground.ASPHALT, np.uint8)
    labels[1, 2] = Ground.WHITE
    raster = GroundRaster(np.array([10.0, 20.0]), 0.5, labels)
    places = np.array([(11.25, 20.75), (11.01, 20.51), (10.1, 20.1), (9.9, 20.1), (13.1, 20.1)])
    found = raster.labels_at(places)
    expected = [Ground.WHITE, Ground.WHITE, Ground.ASPHALT, Ground.TERRAIN, Ground.TERRAIN]
    assert found.tolist() == expected
