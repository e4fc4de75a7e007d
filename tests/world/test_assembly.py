"""A split put together from towns: NAVSIM's layout, only what its scenes need, and a manifest that tells of changes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml

from latentvla_agent.data.digests import digest_map
from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.data.world_manifests import find_differences, read_published
from latentvla_agent.world.assembly import SPLIT_FOLDER, assemble
from latentvla_agent.world.selection import choose_scenes
from latentvla_agent.world.splits import SPLITS, WindowRules, find_split_config
from latentvla_agent.world.towns import Town, read_windows
from latentvla_agent.world.windows import FILTER, Window
from tests.world.small_world import SMALL, TOWNS

World = Tuple[Path, Dict[str, Any], List[Window]]


@pytest.fixture(scope="module")
def world(small_towns: Dict[Town, Path], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Root, manifest and scenes of the small split."""
    chosen = choose_scenes(SMALL, [read_windows(folder) for folder in small_towns.values()])
    assert chosen is not None
    root = tmp_path_factory.mktemp("small-world")
    return root, assemble(root, small_towns, SMALL, chosen), chosen


def test_our_readers_find_every_scene(world: World) -> None:
    root, manifest, chosen = world
    roots = find_roots(root, environ={})
    index = index_scenes(resolve_split(SMALL.name, roots))
    assert {ref.token for ref in index.refs} == {window.token for window in chosen}
    assert len(index.refs) == manifest["scenes"] == SMALL.scenes and not index.missing_tokens
    assert {ref.log_name[: len("minitown-small-000")] for ref in index.refs} == {town.name for town in TOWNS}
    for scene in SceneLoader(index, MapStore(roots.maps)).load_scenes():
        assert len(scene.get_future_trajectory(8).poses) == 8
        roadblocks = scene.map_api.layer("lane_groups_polygons").ids
        assert set(map(int, scene.current_frame.roadblock_ids)) & set(roadblocks.tolist())


@pytest.mark.parametrize("is_scored", [False, True])
def test_the_map_has_no_say_in_the_windows_of_an_unscored_split(is_scored: bool, tmp_path: Path) -> None:
    config = replace(SMALL, rules=WindowRules(is_scored=is_scored))
    assemble(tmp_path, {}, config, [])
    written = yaml.safe_load((tmp_path / SPLIT_FOLDER / f"{SMALL.name}.yaml").read_text())
    assert written["scene_filter"]["has_route"] == is_scored


def test_logs_hold_no_more_than_their_scenes_need(world: World) -> None:
    root, _, chosen = world
    paths = sorted((root / "navsim_logs" / SMALL.name).glob("*.pkl"))
    assert [path.stem for path in paths] == sorted({window.log for window in chosen})
    for path in paths:
        starts = [window.start for window in chosen if window.log == path.stem]
        assert len(read_log(path)) == max(starts) - min(starts) + FILTER.num_frames


def test_the_table_of_scenes_names_kinds_and_scores(world: World) -> None:
    root, _, chosen = world
    with (root / "scenes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["token"] for row in rows] == [window.token for window in chosen]
    assert [tuple(filter(None, row["kinds"].split("|"))) for row in rows] == [window.kinds for window in chosen]
    assert {row["human"] for row in rows} == {""}  # this split's windows are not scored


def test_the_manifest_tells_of_every_change(small_towns: Dict[Town, Path], world: World, tmp_path: Path) -> None:
    root, manifest, chosen = world
    assert json.loads((root / "manifest.json").read_text()) == manifest
    leftover = tmp_path / "navsim_logs" / SMALL.name / "earlier.pkl"
    write_atomically(leftover, b"of an earlier edition")
    fewer = assemble(tmp_path, small_towns, SMALL, chosen[:-1])
    differences = find_differences(fewer, manifest)
    assert f"train_test_split/{SMALL.name}.yaml" in differences and "scenes.csv" in differences
    assert not leftover.exists() and find_differences(manifest, manifest) == []
    maps = [path for path in manifest["files"] if path.endswith(".gpkg")]
    assert maps == ["maps/sg-one-north/9.17.1964/map.gpkg"]  # both towns in one; empty maps don't count
    assert manifest["files"][maps[0]] == digest_map(root / maps[0])


@pytest.mark.parametrize("name", sorted(SPLITS))
def test_published_manifests_are_those_of_the_splits(name: str) -> None:
    manifest = read_published(name)
    if manifest is None:
        pytest.skip(f"{name} is not published")
    config = find_split_config(name)
    assert (manifest["split"], manifest["seed"]) == (config.name, config.seed)
    assert manifest["scenes"] >= config.scenes and manifest["logs"] >= config.min_logs
    least = config.least_share * config.scenes / len(manifest["kinds"]) if config.balance else 0.0
    assert min(manifest["kinds"].values(), default=0) >= least or not config.balance
