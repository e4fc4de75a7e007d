"""A street can be built around every drive of the shipped world, however close its areas come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.data.logs import read_log
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.worlds import DEFAULT_WORLD, find_world
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.street_area import read_area
from latentvla_agent.world.meshes.streets import build_street
from latentvla_agent.world.rendering.cache import list_signals
from latentvla_agent.world.rendering.config import RenderConfig

# Where overlays without a grid fail, where they leave lines, and where a roadside has an empty piece.
HARD_LOGS = ("minitown-val-005-ego_2-0", "minitown-val-004-ego_3-1", "minitown-val-004-ego_7-0")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return find_world(DEFAULT_WORLD, {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))})


def build(world: Path, maps: MapStore, log: Path) -> None:
    frames = read_log(log)
    path = np.array([frame["ego2global_translation"][:2] for frame in frames])
    city = maps.load(frames[0]["map_location"])
    area = read_area(city, path, RenderConfig().street_radius_m, ())
    assert area.road.area > 1_000.0 and area.road.is_valid and area.walkways.is_valid
    assert area.road.intersection(area.walkways).area < 0.2 * area.walkways.area
    assert build_street(city, path, RenderConfig().street_radius_m, 0, list_signals(frames)).mesh.num_faces > 10_000


@pytest.mark.parametrize("name", HARD_LOGS)
def test_a_drive_whose_areas_all_but_touch(world: Path, name: str) -> None:
    build(world, MapStore(world / "maps"), world / "navsim_logs" / DEFAULT_WORLD / f"{name}.pkl")


@pytest.mark.slow
def test_every_drive_of_the_shipped_world(world: Path) -> None:
    maps = MapStore(world / "maps")
    logs = sorted((world / "navsim_logs" / DEFAULT_WORLD).glob("*.pkl"))
    assert len(logs) > 75
    for log in logs:
        build(world, maps, log)


@pytest.mark.parametrize("path", [np.zeros((0, 2)), np.zeros((3, 3)), np.full((2, 2), np.nan)])
def test_a_path_that_is_none_is_refused(world: Path, path: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected finite points"):
        read_area(MapStore(world / "maps").load("us-ma-boston"), path, 50.0, ())
