"""Tags of scenes, and which of them tell anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentvla_agent.data.scene_loader import SceneLoader
from latentvla_agent.errors import DataError
from latentvla_agent.viewer.tags import describe_situation, find_split_tags, merge_tags, read_tags
from tests.evaluation.comparison_runs import Runs


def test_kinds_of_a_world_are_tags(tmp_path: Path) -> None:
    (tmp_path / "scenes.csv").write_text("token,log,kind,kinds\na,l,fog,cut_in|fog\nb,l,,\nc,l,fog,fog\n")
    logs = tmp_path / "navsim_logs" / "minitown-x"
    assert find_split_tags(logs) == {"a": ["cut_in", "fog"], "b": [], "c": ["fog"]}
    assert find_split_tags(tmp_path / "elsewhere" / "navsim_logs" / "x") == {}


def test_tags_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("token,tags\na,night;rain\na,wet road\n")
    assert read_tags(tmp_path / "t.csv") == {"a": ["night", "rain", "road", "wet"]}
    (tmp_path / "t.csv").write_text("token,colour\na,red\n")
    with pytest.raises(DataError, match="expected one of the columns kinds, tags, kind, got token, colour"):
        read_tags(tmp_path / "t.csv")


def test_tags_that_all_scenes_have_are_left_out() -> None:
    groups = [{"a": ["x", "all"], "b": ["all"]}, {"a": ["y", "x"], "c": ["all", "y"], "gone": ["z"]}]
    assert merge_tags(groups, ["a", "b", "c"]) == {"x": [0], "y": [0, 2]}


def test_every_scene_has_command_speed_and_city(runs: Runs) -> None:
    scene = SceneLoader(runs.index).build(runs.index.refs[0])
    command, speed, city = describe_situation(scene)
    assert command in {f"command: {name}" for name in ("left", "straight", "right", "unknown")}
    assert speed.startswith("speed: ") and city == f"city: {scene.scene_metadata.map_name}"
