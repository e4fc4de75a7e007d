"""Where data is looked for: options, then environment, then the embedded data."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentvla_agent.data import roots as roots_module
from latentvla_agent.data.roots import DataRoots, default_split, find_roots, find_synthetic_scenes, list_splits
from latentvla_agent.errors import DataError


def make_root(folder: Path, *splits: str, maps: bool = True) -> Path:
    (folder / "navsim_logs").mkdir(parents=True)
    for split in splits:
        (folder / "navsim_logs" / split).mkdir()
    if maps:
        (folder / "maps").mkdir()
    return folder


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_root(tmp_path / "package" / "embedded", "embedded")
    monkeypatch.setattr(roots_module, "EMBEDDED_FOLDER", folder)
    return folder


def test_the_embedded_data_lies_in_the_package() -> None:
    assert roots_module.EMBEDDED_FOLDER.parent == Path(roots_module.__file__).resolve().parents[1]


def test_data_option_wins_over_the_environment(tmp_path: Path) -> None:
    data, other = make_root(tmp_path / "data"), make_root(tmp_path / "other")
    environ = {"OPENSCENE_DATA_ROOT": str(other), "NUPLAN_MAPS_ROOT": str(other / "maps")}
    expected = DataRoots(data / "navsim_logs", data / "maps", data / "sensor_blobs")
    assert find_roots(data, None, environ) == expected


def test_maps_option_wins(tmp_path: Path) -> None:
    data, maps = make_root(tmp_path / "data"), make_root(tmp_path / "other") / "maps"
    environ = {"OPENSCENE_DATA_ROOT": str(data), "NUPLAN_MAPS_ROOT": "/nowhere"}
    assert find_roots(data, maps, {}).maps == maps
    assert find_roots(None, maps, environ).maps == maps


def test_data_without_maps_takes_those_of_the_environment(tmp_path: Path) -> None:
    data, maps = make_root(tmp_path / "data", maps=False), make_root(tmp_path / "other") / "maps"
    assert find_roots(data, None, {"NUPLAN_MAPS_ROOT": str(maps)}).maps == maps
    assert find_roots(data, None, {}).maps == data / "maps"


def test_environment(tmp_path: Path) -> None:
    data, maps = make_root(tmp_path / "data"), make_root(tmp_path / "other") / "maps"
    found = find_roots(None, None, {"OPENSCENE_DATA_ROOT": str(data), "NUPLAN_MAPS_ROOT": str(maps)})
    assert found == DataRoots(data / "navsim_logs", maps, data / "sensor_blobs")
    assert find_roots(None, None, {"OPENSCENE_DATA_ROOT": str(data)}).maps == data / "maps"


@pytest.mark.parametrize("environ", [{}, {"OPENSCENE_DATA_ROOT": ""}, {"NUPLAN_MAPS_ROOT": "/maps/of/real/cities"}])
def test_the_embedded_world_where_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: "dict[str, str]"
) -> None:
    worlds = {name: make_root(tmp_path / name, name) for name in ("minitown-val", "minitown-train")}
    monkeypatch.setattr(roots_module, "find_world", lambda split, environ: worlds[split])
    found = find_roots(None, None, environ)
    root = worlds["minitown-val"]
    assert found == DataRoots(root / "navsim_logs", root / "maps", root / "sensor_blobs", is_embedded=True)
    assert default_split(found) == "minitown-val" and found.config_folder == root
    assert find_roots(split="my/split.yaml", environ=environ) == found


def test_a_split_of_the_embedded_world_means_its_root_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, world = make_root(tmp_path / "data"), make_root(tmp_path / "world", "minitown-train")
    monkeypatch.setattr(roots_module, "find_world", lambda split, environ: {"minitown-train": world}[split])
    environ = {"OPENSCENE_DATA_ROOT": str(data)}
    assert find_roots(environ=environ, split="minitown-train").logs == world / "navsim_logs"
    assert find_roots(data, environ=environ, split="minitown-train").logs == data / "navsim_logs"
    assert not find_roots(environ=environ, split="navtest").is_embedded


def test_the_embedded_logs_are_asked_for_by_name(embedded: Path) -> None:
    found = find_roots(environ={}, split="embedded")
    assert found == DataRoots(embedded / "navsim_logs", embedded / "maps", embedded / "sensor_blobs", is_embedded=True)
    assert default_split(found) == "embedded"


def test_folders_that_do_not_exist_are_named(tmp_path: Path) -> None:
    data = make_root(tmp_path / "data")
    with pytest.raises(DataError, match=r"absent: expected a folder \(--data\), got nothing"):
        find_roots(tmp_path / "absent", None, {})
    with pytest.raises(DataError, match=r"absent: expected a folder \(--maps\), got nothing"):
        find_roots(data, tmp_path / "absent", {})
    with pytest.raises(DataError, match="/nowhere: .*OPENSCENE_DATA_ROOT"):
        find_roots(None, None, {"OPENSCENE_DATA_ROOT": "/nowhere"})
    with pytest.raises(DataError, match="/nowhere: .*NUPLAN_MAPS_ROOT"):
        find_roots(None, None, {"OPENSCENE_DATA_ROOT": str(data), "NUPLAN_MAPS_ROOT": "/nowhere"})
    with pytest.raises(DataError, match="navsim_logs: expected a folder"):
        find_roots(tmp_path, None, {})


def test_default_split_is_the_only_folder(tmp_path: Path) -> None:
    one = find_roots(make_root(tmp_path / "one", "dev"), None, {})
    two = find_roots(make_root(tmp_path / "two", "test", "mini", ".hidden"), None, {})
    assert default_split(one) == "dev"
    assert list_splits(two) == ["mini", "test"]
    with pytest.raises(DataError, match="mini, test"):
        default_split(two)


def test_synthetic_scenes_lie_where_navsim_looks_for_them(tmp_path: Path) -> None:
    data = make_root(tmp_path / "data", "test")
    roots = find_roots(data, None, {})
    navhard = data / "navhard_two_stage" / "synthetic_scene_pickles"
    warm_up = data / "warmup_two_stage" / "synthetic_scene_pickles"
    assert find_synthetic_scenes(roots, "warmup_two_stage") == find_synthetic_scenes(roots, "mine") == navhard
    warm_up.mkdir(parents=True)
    assert find_synthetic_scenes(roots, "warmup_two_stage") == warm_up
    assert find_synthetic_scenes(roots, "navhard_two_stage") == navhard


def test_synthetic_scenes_option_wins(tmp_path: Path) -> None:
    data, other = make_root(tmp_path / "data", "test"), make_root(tmp_path / "other")
    roots = find_roots(data, None, {}, synthetic_scenes=other)
    assert find_synthetic_scenes(roots, "navhard_two_stage") == other
    with pytest.raises(DataError, match=r"absent: expected a folder \(--synthetic-scenes\), got nothing"):
        find_roots(data, None, {}, synthetic_scenes=tmp_path / "absent")
