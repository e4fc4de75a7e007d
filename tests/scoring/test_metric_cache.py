"""The metric cache file: lossless, refused when it is not ours, safe names, atomic writes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Dict, Sequence

import numpy as np
import pytest
import shapely
from safetensors import safe_open
from safetensors.numpy import save_file

from latentvla_agent.data import files
from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.scene import Scene
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import DEFAULT_CONFIG, MetricConfig
from latentvla_agent.scoring.kernels import SubScore
from latentvla_agent.scoring.lights import make_lights
from latentvla_agent.scoring.metric_cache import (
    SUFFIX,
    MetricCache,
    build_metric_cache,
    cache_path,
    hash_config,
    read_metric_cache,
    write_metric_cache,
)
from latentvla_agent.scoring.reference.planner import prepare_route
from latentvla_agent.scoring.reference.route import find_roadblocks
from latentvla_agent.scoring.scorer import COLUMN_OF, Scorer
from tests.scoring.scenes import Thing, arrays_of, drive_straight, make_areas, make_cache


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write_metric_cache(make_cache(Thing(30.0, 0.0), Thing(20.0, 5.0, speed=3.0)), tmp_path / "cache")


def rewrite(path: Path, change: Callable[[Dict[str, str], Dict[str, Any]], None]) -> None:
    """Write the file again after a change of its metadata and arrays."""
    with safe_open(str(path), framework="numpy") as file:
        metadata, arrays = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}
    change(metadata, arrays)
    save_file(arrays, str(path), metadata)


def parts_of(value: Any) -> Dict[str, Any]:
    return dict(value._asdict()) if hasattr(value, "_asdict") else dict(vars(value))


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    for name, left in parts_of(a).items():
        right = parts_of(b)[name]
        if dataclasses.is_dataclass(left) or hasattr(left, "_asdict"):
            assert_same(left, right)
        elif isinstance(left, np.ndarray):
            assert left.dtype == right.dtype and np.array_equal(left, right), name
        else:
            assert left == right, name


def test_round_trip_keeps_every_bit(tmp_path: Path, embedded_caches: Dict[str, MetricCache]) -> None:
    poses = np.random.default_rng(0).normal(0.0, 1.0, (3, 8, 3)).cumsum(axis=1)
    scorers = [Scorer(metric) for metric in ("pdms-v1.1", "epdms-v2.2")]
    for cache in list(embedded_caches.values())[::16]:
        again = read_metric_cache(write_metric_cache(cache, tmp_path))
        assert_same(again, cache)
        for scorer in scorers:
            scores, expected = (arrays_of(scorer.score(c, poses)) for c in (again, cache))
            assert all(np.array_equal(scores[name], expected[name], equal_nan=True) for name in expected)


def test_a_scene_without_objects_and_areas_survives(tmp_path: Path) -> None:
    for cache in (make_cache(), make_cache(areas=make_areas())):
        assert_same(read_metric_cache(write_metric_cache(cache, tmp_path)), cache)


def test_lights_history_and_human_failures_survive(tmp_path: Path) -> None:
    lights = make_lights([shapely.box(20.0, -2.0, 30.0, 2.0)], np.arange(41)[:, None] % 2 == 0)
    cache = make_cache(lights=lights, history=drive_straight(5.0)[:14], human_fails=[SubScore.COLLISION])
    assert_same(read_metric_cache(write_metric_cache(cache, tmp_path)), cache)


def test_place_of_the_file(tmp_path: Path, written: Path) -> None:
    assert written == tmp_path / "cache" / "log" / f"token{SUFFIX}" == cache_path(tmp_path / "cache", "log", "token")


def test_the_file_holds_no_pickle_and_no_path(written: Path) -> None:
    """All that precedes the raw numbers is a JSON header."""
    content = written.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    numbers = {key: value for key, value in header.items() if key != "__metadata__"}
    assert {value["dtype"] for value in numbers.values()} <= {"F64", "I64", "BOOL"}
    assert max(value["data_offsets"][1] for value in numbers.values()) == len(content) - 8 - size
    assert str(written.parents[2]) not in content.decode("latin-1")
    assert "/" not in json.dumps(header["__metadata__"])


@pytest.mark.parametrize("key", ["format", "version", "config"])
def test_a_cache_of_another_kind_is_refused(written: Path, key: str) -> None:
    rewrite(written, lambda metadata, _: metadata.update({key: "other"}))
    with pytest.raises(DataError, match=f"{written.name}: expected a metric cache with {key} .*got other"):
        read_metric_cache(written)


def test_a_cache_of_another_config_is_refused(written: Path) -> None:
    other = dataclasses.replace(DEFAULT_CONFIG, metrics=MetricConfig(min_progress=4.0))
    assert hash_config(other) != hash_config(DEFAULT_CONFIG)
    with pytest.raises(DataError, match="expected a metric cache with config"):
        read_metric_cache(written, other)


def test_a_cache_made_of_another_source_is_refused_where_one_is_asked_for(tmp_path: Path) -> None:
    path = write_metric_cache(make_cache(), tmp_path, source="these logs")
    assert read_metric_cache(path).token == read_metric_cache(path, source="these logs").token == "token"
    with pytest.raises(DataError, match="expected a metric cache with source other logs, got these logs"):
        read_metric_cache(path, source="other logs")


ARRAYS = ["start", "history", "centerline", "references", "reference_values", "human_fails"]


@pytest.mark.parametrize("array", ARRAYS + ["tracks.poses", "areas.vertices", "lights.is_red"])
def test_a_missing_array_is_told(written: Path, array: str) -> None:
    rewrite(written, lambda _, arrays: arrays.pop(array))
    with pytest.raises(DataError, match=f"{written.name}: metric cache is incomplete"):
        read_metric_cache(written)


@pytest.mark.parametrize(("key", "value"), [("scene", "{"), ("scene", "[]"), ("scene", '{"token": "a"}')])
def test_broken_facts_are_told(written: Path, key: str, value: str) -> None:
    rewrite(written, lambda metadata, _: metadata.update({key: value}))
    with pytest.raises(DataError, match=f"{written.name}: metric cache is incomplete"):
        read_metric_cache(written)


@pytest.mark.parametrize("size", [0, 4, 100, -1, -1000])
def test_a_truncated_file_is_refused(written: Path, size: int) -> None:
    written.write_bytes(written.read_bytes()[:size])
    with pytest.raises(DataError, match=f"{written.name}: not a readable metric cache"):
        read_metric_cache(written)


@pytest.mark.parametrize("content", [b"\x80\x04]\x94.", b"\xff" * 64, b"hello, world, this is text"])
def test_a_file_of_another_format_is_refused(written: Path, content: bytes) -> None:
    written.write_bytes(content)
    with pytest.raises(DataError, match=f"{written.name}: not a readable metric cache"):
        read_metric_cache(written)


def test_a_safetensors_file_without_metadata_is_refused(written: Path) -> None:
    save_file({"start": np.zeros(11)}, str(written))
    with pytest.raises(DataError, match="expected a metric cache with format .*got None"):
        read_metric_cache(written)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing.safetensors: metric cache not found"):
        read_metric_cache(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../a", "/etc", "a/../../b", "a\0b"])
def test_hostile_log_names_are_refused(tmp_path: Path, name: str) -> None:
    cache = dataclasses.replace(make_cache(), log_name=name)
    with pytest.raises(DataError, match="no plain file name"):
        write_metric_cache(cache, tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["a/b", "../a", "/etc/a", "../../a", "a\0b"])
def test_hostile_tokens_are_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(DataError, match="no plain file name"):
        write_metric_cache(dataclasses.replace(make_cache(), token=token), tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_metric_cache(make_cache(speed=3.0), written.parents[1])
    assert written.read_bytes() == before and os.listdir(written.parent) == [written.name]


def test_human_failures_are_the_zeros_of_the_human_s_own_drive(
    embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache]
) -> None:
    scorer, found = Scorer("epdms-v2.2", human_filter=False), set()
    for token, cache in embedded_caches.items():
        values = scorer.score_trajectory(cache, embedded_scenes[token].get_future_trajectory(8)).sub_scores
        fails = {SubScore(int(i)) for i in np.flatnonzero(cache.human_fails)}
        zeros = {column for name, column in COLUMN_OF.items() if name in values and values[name][0] == 0.0}
        assert fails == zeros - {SubScore.COMFORT}, token
        found |= fails
    assert len(found) >= 4, "a varied sample"


def test_a_scene_without_eight_future_frames_is_refused(embedded_scenes: Dict[str, Scene]) -> None:
    scene = next(iter(embedded_scenes.values()))
    short = dataclasses.replace(scene, frames=scene.frames[: scene.current_index + 8])
    with pytest.raises(DataError, match=f"scene {scene.token}: expected .* future frames"):
        build_metric_cache(short, scene.map_api)


@pytest.mark.parametrize("future", [8, 9])
def test_a_scene_of_eight_future_frames_is_for_v2_alone(
    embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache], tmp_path: Path, future: int
) -> None:
    """What the devkit's splits of two stages hold; v2.2 observes no more of a longer window."""
    scene = next(iter(embedded_scenes.values()))
    short = dataclasses.replace(scene, frames=scene.frames[: scene.current_index + 1 + future])
    cache = read_metric_cache(write_metric_cache(build_metric_cache(short, scene.map_api), tmp_path))
    poses = np.random.default_rng(0).normal(0.0, 1.0, (3, 8, 3)).cumsum(axis=1)
    scores, expected = (arrays_of(Scorer("epdms-v2.2").score(c, poses)) for c in (cache, embedded_caches[scene.token]))
    assert all(np.array_equal(scores[name], expected[name], equal_nan=True) for name in expected)
    wanted = f"v2.2 only, that of v1.1 is needed, which takes 10 future frames, and it is of {future}"
    with pytest.raises(DataError, match=f"scene {scene.token}: .* {wanted}"):
        Scorer("pdms-v1.1").score(cache, poses)


def drop_baselines(city_map: CityMap, folder: Path, keep: Sequence[str]) -> CityMap:
    """A copy of the map without the baselines of all lanes (connectors) but those in `keep`."""
    path = folder / "map.gpkg"
    shutil.copyfile(city_map.path, path)
    with closing(sqlite3.connect(path)) as connection:
        for (trigger,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f'drop trigger "{trigger}"')
        connection.execute("delete from gpkg_ogr_contents")
        names = ", ".join(keep)
        connection.execute(f"delete from baseline_paths where coalesce(lane_fid, lane_connector_fid) not in ({names})")
        connection.commit()
    return CityMap(path)


def test_a_lane_without_baseline_costs_only_the_scenes_that_follow_it(
    embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache], tmp_path: Path
) -> None:
    """The lanes of the route and those that the ego may be in need one; the others around count as areas alone."""
    scene = next(iter(embedded_scenes.values()))
    city_map, frame = scene.map_api, scene.current_frame
    x, y, _ = frame.ego_status.ego_pose
    route = [*prepare_route(frame, city_map, DEFAULT_CONFIG).route, *find_roadblocks(city_map, frame.roadblock_ids)]
    used = {lane.id for block in [*route, *city_map.roadblocks_near(x, y, 1.0)] for lane in block.lanes}
    around = [lane.id for block in city_map.roadblocks_near(x, y, 100.0) for lane in block.lanes]
    lacking = drop_baselines(city_map, tmp_path, sorted(used))
    assert set(around) - used, "some are beside the route"
    assert_same(build_metric_cache(scene, lacking), embedded_caches[scene.token])
    with pytest.raises(DataError, match="map.gpkg: expected one baseline"):
        build_metric_cache(scene, drop_baselines(city_map, tmp_path, ["-1"]))
