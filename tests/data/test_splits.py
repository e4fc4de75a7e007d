"""Which rule resolves a split, and that a mistyped or foreign key is not taken silently."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.splits import SceneFilter, Split, resolve_split
from latentvla_agent.data.stage_mapping import TwoStageGroup
from latentvla_agent.errors import DataError

NAVTEST = """\
_target_: navsim.common.dataclasses.SceneFilter
_convert_: 'all'
num_history_frames: 4
num_future_frames: 10
frame_interval: 1
has_route: true
max_scenes: null
log_names:
  - '2021.06.03_b'
  - '2021.06.03_a'
tokens: ['0001', '0002']
"""


@pytest.fixture
def roots(tmp_path: Path) -> DataRoots:
    for name in ("test", "mini"):
        (tmp_path / "navsim_logs" / name).mkdir(parents=True)
    return DataRoots(tmp_path / "navsim_logs", tmp_path / "maps", tmp_path / "sensor_blobs")


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    folder = tmp_path / "common"
    write(folder / "train_test_split" / "navtest.yaml", "defaults:\n  - scene_filter: navtest\n\ndata_split: test\n")
    write(folder / "train_test_split" / "scene_filter" / "navtest.yaml", NAVTEST)
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_filter_defaults_are_those_of_navsim() -> None:
    scene_filter = SceneFilter()
    assert (scene_filter.num_frames, scene_filter.interval, scene_filter.has_route) == (14, 14, True)
    assert SceneFilter(frame_interval=1).interval == 1


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_history_frames", 0),
        ("num_future_frames", -1),
        ("frame_interval", 0),
        ("frame_interval", 1.5),
        ("max_scenes", 0),
        ("max_scenes", True),
        ("has_route", "yes"),
        ("include_synthetic_scenes", 1),
        ("synthetic_scene_tokens", ["a"]),
        ("reactive_synthetic_initial_tokens", (7,)),
        ("tokens", "0001"),
        ("tokens", (1,)),
        ("log_names", ["a"]),
    ],
)
def test_filter_refuses_nonsense(name: str, value: Any) -> None:
    with pytest.raises(DataError, match=f"{name}: expected"):
        SceneFilter(**{name: value})


def test_folder_of_logs(roots: DataRoots) -> None:
    split = resolve_split("mini", roots)
    assert split == Split("mini", roots.logs / "mini", SceneFilter(frame_interval=1), split.source)
    assert split.source.startswith("folder of logs")


def test_navsim_name(roots: DataRoots, devkit: Path) -> None:
    split = resolve_split("navtest", roots, devkit_config_dirs=[roots.logs, devkit])
    assert split.log_folder == roots.logs / "test"
    assert split.scene_filter.log_names == ("2021.06.03_b", "2021.06.03_a")
    assert split.scene_filter.tokens == ("0001", "0002")
    assert split.source.startswith("NAVSIM train_test_split") and "navtest.yaml" in split.source


def test_yaml_path_comes_before_names(roots: DataRoots, devkit: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "navtest.yaml", "data_split: mini\nscene_filter:\n  num_future_frames: 8\n")
    split = resolve_split(str(path), roots, devkit_config_dirs=[devkit])
    assert (split.name, split.log_folder) == ("navtest", roots.logs / "mini")
    assert split.scene_filter == SceneFilter(num_future_frames=8)


def test_navsim_name_comes_before_a_folder(roots: DataRoots, devkit: Path) -> None:
    write(devkit / "train_test_split" / "mini.yaml", "data_split: test\n")
    assert resolve_split("mini", roots, devkit_config_dirs=[devkit]).log_folder == roots.logs / "test"
    assert resolve_split("mini", roots).log_folder == roots.logs / "mini"


def test_inline_filter_overrides_the_default_one(roots: DataRoots, devkit: Path, tmp_path: Path) -> None:
    text = "defaults: [{scene_filter: navtest}, _self_]\ndata_split: mini\nscene_filter: {tokens: null}\n"
    split = resolve_split(str(write(tmp_path / "my.yaml", text)), roots, devkit_config_dirs=[devkit])
    assert split.scene_filter.tokens is None and split.scene_filter.log_names is not None


def test_bare_filter_is_named_after_its_folder(roots: DataRoots, tmp_path: Path) -> None:
    assert resolve_split(str(write(tmp_path / "mini.yaml", NAVTEST)), roots).log_folder == roots.logs / "mini"
    other = str(write(tmp_path / "mine.yml", NAVTEST))
    with pytest.raises(DataError, match=r"mine\.yml: data_split: .*mini, test.*key data_split"):
        resolve_split(other, roots)
    write(tmp_path / "mine.yml", NAVTEST + "data_split: test\n")
    assert resolve_split(other, roots).log_folder == roots.logs / "test"


def test_overrides(roots: DataRoots) -> None:
    split = resolve_split("mini", roots, frame_interval=5, max_scenes=3)
    assert (split.scene_filter.interval, split.scene_filter.max_scenes) == (5, 3)
    with pytest.raises(DataError, match="frame_interval: expected"):
        resolve_split("mini", roots, frame_interval=0)


@pytest.mark.parametrize("folder", ["../test", "/etc", "..", "test/..", "a\\b", "''", "7"])
def test_no_path_of_a_file_leaves_its_root(roots: DataRoots, tmp_path: Path, folder: str) -> None:
    path = write(tmp_path / "my.yaml", f"data_split: {folder}\n")
    with pytest.raises(DataError, match=r"my\.yaml: data_split: expected the name of a folder"):
        resolve_split(str(path), roots)
    path = write(tmp_path / "my.yaml", f"data_split: mini\ndefaults:\n  - scene_filter: {folder}\n")
    with pytest.raises(DataError, match=r"my\.yaml: defaults: expected"):
        resolve_split(str(path), roots)


@pytest.mark.parametrize("name", ["../test", "/etc", "..", "", "."])
def test_a_split_name_is_no_path(roots: DataRoots, name: str) -> None:
    with pytest.raises(DataError, match="expected the name of a split"):
        resolve_split(name, roots)


def test_unknown_names_come_with_a_suggestion(roots: DataRoots, devkit: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known ones are: mini, navtest, test; did you mean 'navtest'?"):
        resolve_split("navtset", roots, devkit_config_dirs=[devkit])
    path = write(tmp_path / "my.yaml", "data_split: mini\nframe_intervall: 1\n")
    with pytest.raises(DataError, match="my.yaml: unknown key 'frame_intervall'; did you mean 'frame_interval'?"):
        resolve_split(str(path), roots)
    with pytest.raises(DataError, match="absent.yaml: expected a YAML file"):
        resolve_split("absent.yaml", roots)


TWO_STAGES = """\
data_split: mini
reactive_all_mapping: [['a', 'b', [['c', 'd']]]]
scene_filter:
  include_synthetic_scenes: true
  synthetic_scene_tokens: ['c', 'd', 'e']
"""


def test_two_stage_split(roots: DataRoots, tmp_path: Path) -> None:
    path = write(tmp_path / "my.yaml", TWO_STAGES)
    split = resolve_split(str(path), roots)
    assert split.mapping == (TwoStageGroup("a", "b", (("c", "d"),)),)
    assert split.synthetic_folder == tmp_path / "navhard_two_stage" / "synthetic_scene_pickles"
    assert split.scene_filter == SceneFilter(include_synthetic_scenes=True, synthetic_scene_tokens=("c", "d", "e"))
    assert split.second_stage_tokens == {"c", "d", "e"}
    write(path, TWO_STAGES + "  reactive_synthetic_initial_tokens: ['c', 'd']\n")
    assert resolve_split(str(path), roots).second_stage_tokens == {"c", "d"}


def test_synthetic_scenes_are_not_taken_where_the_filter_says_so(roots: DataRoots, tmp_path: Path) -> None:
    split = resolve_split(str(write(tmp_path / "my.yaml", TWO_STAGES.replace("true", "false"))), roots)
    assert split.synthetic_folder is None and split.second_stage_tokens == frozenset()


def test_description_tells_mappings_apart(roots: DataRoots, tmp_path: Path) -> None:
    texts = (TWO_STAGES, TWO_STAGES.replace("'c', 'd']]", "'d', 'c']]"), TWO_STAGES.replace("'e'", "'f'"))
    records = [resolve_split(str(write(tmp_path / "my.yaml", text)), roots).describe() for text in texts]
    assert len({json.dumps(record) for record in records}) == 3
    assert records[0]["mapping"]["count"] == 1 and records[0]["synthetic_folder"].endswith("synthetic_scene_pickles")


@pytest.mark.parametrize("key", ["two_stage_mapping", "all_mapping", "non_reactive_synthetic_initial_tokens"])
def test_mappings_that_no_script_reads_are_refused(roots: DataRoots, tmp_path: Path, key: str) -> None:
    with pytest.raises(DataError, match=f"my.yaml: {key}: expected null.*reactive_all_mapping"):
        resolve_split(str(write(tmp_path / "my.yaml", f"data_split: mini\n{key}: [a]\n")), roots)
    empty = f"data_split: mini\n{key}: null\nreactive_all_mapping: null\n"
    assert resolve_split(str(write(tmp_path / "my.yaml", empty)), roots).scene_filter == SceneFilter()


@pytest.mark.parametrize(
    "text",
    ["a: [1", "- a\n- b\n", "data_split: !!python/object/apply:os.system ['true']\n", "\x00", "scene_filter: 3\n"],
)
def test_broken_yaml_is_named(roots: DataRoots, tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"my\.yaml: ") as error:
        resolve_split(str(write(tmp_path / "my.yaml", text)), roots)
    assert "\n" not in str(error.value)


def test_unquoted_tokens_are_refused(roots: DataRoots, tmp_path: Path) -> None:
    path = write(tmp_path / "my.yaml", "data_split: mini\ntokens: [1234567890123456]\n")
    with pytest.raises(DataError, match="my.yaml: tokens: expected texts.*quote"):
        resolve_split(str(path), roots)


def test_description_names_folders_for_readers_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link keeps its name, which is that of the folder of sensor files."""
    (tmp_path / "logs" / "real").mkdir(parents=True)
    (tmp_path / "logs" / "test").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    split = Split("test", Path("logs/test"), SceneFilter(), "test", synthetic_folder=Path("synthetic"))
    described = split.describe()
    assert described["log_folder"] == str(tmp_path / "logs" / "test")
    assert described["synthetic_folder"] == str(tmp_path / "synthetic")


def test_description_is_short_and_independent_of_order(roots: DataRoots) -> None:
    one = Split("a", roots.logs, SceneFilter(tokens=("y", "x")), "test").describe()
    other = Split("a", roots.logs, SceneFilter(tokens=("x", "y")), "test").describe()
    assert one == other == json.loads(json.dumps(one))
    assert one["scene_filter"]["tokens"] == {"count": 2, "sha256": hashlib.sha256(b"x\ny").hexdigest()}
    assert one["scene_filter"]["log_names"] is None and one["scene_filter"]["frame_interval"] == 14
