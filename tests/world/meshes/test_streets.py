"""Streets of the embedded maps: nothing solid where cars and people go, markings where they belong, one seed one
street."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import numpy as np
import pytest
import shapely

import latentvla_agent
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.maps import CityMap, MapStore
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.actors import read_ego_pose
from latentvla_agent.world.meshes.mesh import Ground, Material, Street
from latentvla_agent.world.meshes.signals import build_signals
from latentvla_agent.world.meshes.street_area import StreetArea, read_area
from latentvla_agent.world.meshes.street_config import StreetConfig
from latentvla_agent.world.meshes.streets import build_street

EMBEDDED = Path(latentvla_agent.__file__).parent / "embedded"
CONFIG = StreetConfig()
CLEAR = 0.3  # metres between what is solid and the drivable area
HEAD_ROOM = 2.2  # metres above walkways
RADIUS = 90.0


def read_drive(path: Path) -> Tuple[CityMap, np.ndarray, Set[str], List[Dict[str, Any]]]:
    """Map, ego's path, signalised connectors and frames of a log."""
    frames = read_log(path)
    drive = np.array([frame["ego2global_translation"][:2] for frame in frames])
    lit = {str(id_) for frame in frames for id_, _ in frame["traffic_lights"]}
    return MapStore(EMBEDDED / "maps").load(frames[0]["map_location"]), drive, lit, frames


@pytest.fixture(
    scope="module", params=sorted((EMBEDDED / "navsim_logs" / "embedded").glob("*.pkl")), ids=lambda p: p.stem[:10]
)
def scene(request: Any) -> Tuple[Street, StreetArea, List[Dict[str, Any]]]:
    city_map, drive, lit, frames = read_drive(request.param)
    street = build_street(city_map, drive, RADIUS, 7, lit)
    return street, read_area(city_map, drive, RADIUS, lit), frames


def solid_vertices(street: Street) -> np.ndarray:
    """Vertices (V, 3) of the faces that rise above the kerbs."""
    corners = street.mesh.vertices[street.mesh.faces].astype(np.float64)
    return corners[corners[:, :, 2].max(axis=1) > 2.0 * CONFIG.ground.kerb_height].reshape(-1, 3)


def test_nothing_solid_near_the_drivable_area(scene: Any) -> None:
    street, area, _ = scene
    places = shapely.points(solid_vertices(street)[:, :2])
    assert len(places) > 1000
    assert float(shapely.distance(area.drivable, places).min()) >= CLEAR


def test_nothing_solid_where_people_walk(scene: Any) -> None:
    street, area, _ = scene
    vertices = solid_vertices(street)
    low = shapely.points(vertices[vertices[:, 2] < HEAD_ROOM][:, :2])
    ways = shapely.union_all([area.walkways, *area.crosswalks])
    assert not shapely.contains(shapely.buffer(ways, 0.05), low).any()


def test_nothing_is_raised_on_the_road(scene: Any) -> None:
    street, area, _ = scene
    raised = street.mesh.vertices[street.mesh.vertices[:, 2] > 0.05][:, :2].astype(np.float64)
    assert not shapely.contains(shapely.buffer(area.road, -0.05), shapely.points(raised)).any()


def test_there_are_buildings_trees_lamps_and_the_mesh_is_sound(scene: Any) -> None:
    street, _, _ = scene
    mesh = street.mesh
    counts = {material: int((mesh.materials == material).sum()) for material in Material}
    assert counts[Material.FACADE] >= 40 and counts[Material.FOLIAGE] >= 1000 and counts[Material.METAL] >= 200
    assert mesh.num_faces < 150_000
    assert np.isfinite(mesh.vertices).all() and (mesh.objects == -1).all()
    facade = mesh.materials == Material.FACADE
    assert mesh.uv[facade].max() > 3.0 and (mesh.uv[~facade] == 0.0).all()
    corners = mesh.vertices[mesh.faces[facade]].astype(np.float64)
    along, up = mesh.uv[facade, 1] - mesh.uv[facade, 0], mesh.uv[facade, 2] - mesh.uv[facade, 0]
    np.testing.assert_allclose(
        np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1), np.linalg.norm(along, axis=1), atol=0.01
    )
    np.testing.assert_allclose(
        np.linalg.norm(corners[:, 2] - corners[:, 0], axis=1), np.linalg.norm(up, axis=1), atol=0.01
    )


def test_the_ground_is_asphalt_under_cars_and_walkway_beside(scene: Any) -> None:
    street, area, frames = scene
    path = np.array([read_ego_pose(frame)[0] for frame in frames]) - street.origin
    on_road = {Ground.ASPHALT, Ground.JUNCTION, Ground.WHITE, Ground.YELLOW, Ground.PARKING}
    driven = shapely.points(path)
    inside = shapely.contains(area.road, driven)
    assert set(street.ground.labels_at(path[inside]).tolist()) <= on_road
    rng = np.random.Generator(np.random.PCG64(0))
    low, high = (
        street.ground.origin,
        street.ground.origin + np.array(street.ground.labels.shape[::-1]) * street.ground.resolution,
    )
    places = rng.uniform(low, high, (20000, 2))
    labels, points = street.ground.labels_at(places), shapely.points(places)
    road, walk = shapely.buffer(area.road, -0.2), shapely.buffer(shapely.difference(area.walkways, area.road), -0.3)
    assert set(labels[shapely.contains(road, points)].tolist()) <= on_road
    assert set(labels[shapely.contains(walk, points)].tolist()) <= {int(Ground.WALKWAY)}
    off = shapely.distance(shapely.union(area.road, area.walkways), points) > 0.5
    assert set(labels[off].tolist()) == {int(Ground.TERRAIN)}


def test_crosswalks_have_stripes_and_lanes_lines(scene: Any) -> None:
    street, area, _ = scene
    for crosswalk in area.crosswalks:
        on_road = shapely.buffer(shapely.intersection(crosswalk, area.road), -0.2)
        if not area.region.contains(crosswalk) or on_road.area < 4.0:
            continue
        low, high = np.array(on_road.bounds[:2]), np.array(on_road.bounds[2:])
        grid = np.stack(np.meshgrid(*(np.arange(a, b, 0.1) for a, b in zip(low, high))), axis=-1).reshape(-1, 2)
        labels = street.ground.labels_at(grid[shapely.contains(on_road, shapely.points(grid))])
        assert 0.3 < (labels == Ground.WHITE).mean() < 0.75
        assert set(labels.tolist()) <= {int(Ground.WHITE), int(Ground.ASPHALT)}
    assert (street.ground.labels == Ground.WHITE).sum() > 1000


def test_traffic_lights_face_their_lane_and_show_the_phase(scene: Any) -> None:
    street, area, frames = scene
    if not area.signalised:
        assert street.signals == ()
        return
    starts = {strip.id: strip for strip in area.signalised}
    assert street.signals
    for head in street.signals:
        line = starts[head.connector_id].line
        forward = (line[1] - line[0]) / np.linalg.norm(line[1] - line[0])
        assert np.cos(head.heading) * forward[0] + np.sin(head.heading) * forward[1] < -0.7
        assert np.linalg.norm(np.array(head.position[:2]) - line[0]) < 60.0
    known = [[head.connector_id, phase] for head, phase in zip(street.signals, "rgy" * len(street.signals))]
    phases = dict(known)
    lamps = build_signals({"world": {"phases": known}, "traffic_lights": []}, street, street.origin)
    assert len(lamps.faces) == 8 * len(street.signals) and (lamps.materials == Material.LAMP).all()
    heights = lamps.vertices.reshape(len(street.signals), -1, 3)[:, :, 2].mean(axis=1)
    for head, height in zip(street.signals, heights):
        expected = {"r": 1, "y": 0, "g": -1}[phases[head.connector_id]]
        assert np.sign(round(float(height) - head.position[2], 2)) == expected
    plain = build_signals(frames[0], street, street.origin)
    assert plain.num_faces <= lamps.num_faces
    with pytest.raises(DataError, match="blue"):
        build_signals({"world": {"phases": [[street.signals[0].connector_id, "blue"]]}}, street, street.origin)


def hash_street(street: Street) -> str:
    """A hash of all bytes of a street."""
    digest = hashlib.sha256()
    mesh = street.mesh
    for array in (mesh.vertices, mesh.faces, mesh.colours, mesh.materials, mesh.uv, street.ground.labels):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def test_one_seed_one_street() -> None:
    path = sorted((EMBEDDED / "navsim_logs" / "embedded").glob("*.pkl"))[0]
    city_map, drive, lit, _ = read_drive(path)
    fresh_map, *_ = read_drive(path)
    first = build_street(city_map, drive[:4], 50.0, 1, sorted(lit))
    assert hash_street(first) == hash_street(build_street(fresh_map, drive[:4], 50.0, 1, sorted(lit, reverse=True)))
    assert hash_street(first) != hash_street(build_street(city_map, drive[:4], 50.0, 2, lit))


def test_one_place_is_a_path() -> None:
    path = sorted((EMBEDDED / "navsim_logs" / "embedded").glob("*.pkl"))[0]
    city_map, drive, _, _ = read_drive(path)
    assert build_street(city_map, drive[:1], 30.0, 1).mesh.num_faces > 100


@pytest.mark.parametrize("path", [np.zeros((0, 2)), np.zeros((3, 3)), np.full((2, 2), np.nan)])
def test_broken_path_is_named(path: np.ndarray) -> None:
    log = sorted((EMBEDDED / "navsim_logs" / "embedded").glob("*.pkl"))[0]
    with pytest.raises(DataError, match="path of a street"):
        build_street(read_drive(log)[0], path, 30.0, 1)
