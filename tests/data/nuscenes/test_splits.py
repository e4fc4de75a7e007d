"""Which scenes a split has, and which version a folder holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentvla_agent.data.nuscenes.splits import SPLITS, VAL, choose_scenes, find_version
from latentvla_agent.errors import ConfigError, DataError
from tests.data.nuscenes.drives import VERSION, make_drive, write_drives

MINI = sorted(SPLITS["mini_val"] | SPLITS["mini_train"])


def test_published_sizes() -> None:
    assert len(VAL) == 150 and {"scene-0003", "scene-0103", "scene-1073"} <= VAL and "scene-0001" not in VAL
    assert (len(SPLITS["mini_val"]), len(SPLITS["mini_train"])) == (2, 8)


def test_scenes_keep_the_order_of_the_database(tmp_path: Path) -> None:
    assert choose_scenes("mini_val", MINI[::-1]) == ["scene-0916", "scene-0103"]
    assert choose_scenes("all", ["b", "a"]) == ["b", "a"]
    assert choose_scenes("train", ["scene-0001", "scene-0003"]) == ["scene-0001"]
    path = tmp_path / "names.json"
    path.write_text(json.dumps(["b"]))
    assert choose_scenes(str(path), ["a", "b"]) == ["b"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'mini_val'"):
        choose_scenes("mini-val", MINI)
    with pytest.raises(DataError, match="lacks 150 of them, e.g. scene-0003"):
        choose_scenes("val", ["scene-0001"])
    (tmp_path / "names.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="expected a JSON list of names"):
        choose_scenes(str(tmp_path / "names.json"), MINI)


def test_the_only_version_is_found(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are: none"):
        find_version(tmp_path)
    write_drives(tmp_path, make_drive(num_frames=2))
    assert find_version(tmp_path) == find_version(tmp_path, VERSION) == VERSION
    with pytest.raises(DataError, match="expected the tables of v1.0-trainval"):
        find_version(tmp_path, "v1.0-trainval")
    (tmp_path / "v1.0-trainval").mkdir()
    (tmp_path / "v1.0-trainval" / "attribute.json").write_text("[]")
    with pytest.raises(DataError, match="name one with --version"):
        find_version(tmp_path)
