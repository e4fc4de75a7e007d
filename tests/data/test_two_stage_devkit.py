"""The miniature set and our reading of it, against the unmodified devkit v2.2: `pytest -m navsim` with it importable.

The stock scripts run too: metric caching, and the two-stage score of the devkit's own constant-velocity agent.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.data.synthetic_scenes import read_synthetic_scene
from latentvla_agent.navsim_bridge import find_devkit
from tests.data.two_stage_pickles import names_of, save_with_devkit
from tests.data.two_stage_set import SPLIT, TwoStageSet, write_two_stage_set

pytestmark = pytest.mark.navsim
STATUS = ("ego_pose", "ego_velocity", "ego_acceleration", "driving_command")
AGENT_INPUTS = 6 + 14


def find_scripts() -> Path:
    """Folder of the devkit's scripts; skips without a devkit of v2.2."""
    try:
        generation = find_devkit()[1]
    except ImportError as error:
        pytest.skip(str(error))
    if generation != 2:
        pytest.skip("two-stage splits are those of NAVSIM v2.2")
    spec = importlib.util.find_spec("navsim")
    assert spec is not None and spec.submodule_search_locations
    return Path(list(spec.submodule_search_locations)[0]) / "planning" / "script"


@pytest.fixture(scope="module")
def scripts(two_stage_set: TwoStageSet) -> Path:
    """As `find_scripts`, with the maps of the set."""
    folder = find_scripts()
    importlib.import_module("navsim.common.dataclasses").NUPLAN_MAPS_ROOT = str(two_stage_set.root / "maps")
    return folder


def test_the_devkit_writes_the_same_bytes(scripts: Path, two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    theirs = write_two_stage_set(tmp_path / "set", save_with_devkit)
    for path in sorted(theirs.scenes.iterdir()):
        one, other = path.read_bytes(), (two_stage_set.scenes / path.name).read_bytes()
        assert names_of(one) == names_of(other)
        assert one == other


def test_agent_inputs_are_equal_bit_for_bit(scripts: Path, two_stage_set: TwoStageSet) -> None:
    dataclasses: Any = importlib.import_module("navsim.common.dataclasses")
    for path in sorted(two_stage_set.scenes.iterdir()):
        scene = dataclasses.Scene.load_from_disk(path, None)
        ours = read_synthetic_scene(path)
        assert vars(ours.scene_metadata) == vars(scene.scene_metadata)
        assert_equal(ours.get_agent_input(), scene.get_agent_input())


def test_both_stages_are_those_of_the_devkits_loader(scripts: Path, two_stage_set: TwoStageSet) -> None:
    split = resolve_split(str(two_stage_set.split_file), find_roots(two_stage_set.root, environ={}))
    index = index_scenes(split)
    loader = open_official_loader(two_stage_set)
    assert {ref.token for ref in index.refs} == set(loader.tokens_stage_one)
    assert {ref.token for ref in index.synthetic_refs} == set(loader.reactive_tokens_stage_two)
    ours = SceneLoader(index)
    for ref in index.all_refs:
        assert_equal(ours.build(ref).get_agent_input(), loader.get_agent_input_from_token(ref.token))
    assert len(index.all_refs) == AGENT_INPUTS


def open_official_loader(two_stage_set: TwoStageSet) -> Any:
    yaml: Any = importlib.import_module("yaml")
    path = two_stage_set.split_file.parent / "scene_filter" / two_stage_set.split_file.name
    values = {key: value for key, value in yaml.safe_load(path.read_text()).items() if not key.startswith("_")}
    scene_filter = importlib.import_module("navsim.common.dataclasses").SceneFilter(**values)
    return importlib.import_module("navsim.common.dataloader").SceneLoader(
        data_path=two_stage_set.root / "navsim_logs" / "tiny",
        original_sensor_path=None,
        scene_filter=scene_filter,
        synthetic_scenes_path=two_stage_set.scenes,
    )


def assert_equal(ours: Any, theirs: Any) -> None:
    assert len(ours.ego_statuses) == len(theirs.ego_statuses) == 4
    for one, other in zip(ours.ego_statuses, theirs.ego_statuses):
        for name in STATUS:
            value, expected = np.asarray(getattr(one, name)), np.asarray(getattr(other, name))
            assert value.dtype == expected.dtype and value.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("name, first, second", [("navhard_two_stage", 450, 5462), ("warmup_two_stage", 16, 204)])
def test_navsims_own_two_stage_splits(scripts: Path, tmp_path: Path, name: str, first: int, second: int) -> None:
    (tmp_path / "navsim_logs" / "test").mkdir(parents=True)
    roots = find_roots(tmp_path, environ={})
    split = resolve_split(name, roots, devkit_config_dirs=[scripts / "config" / "common"])
    tokens = {token for group in split.mapping for token in (group.token, group.previous)}
    assert tokens == set(split.scene_filter.tokens or ()) and len(tokens) == first
    assert len(split.second_stage_tokens) == len(split.scene_filter.reactive_synthetic_initial_tokens or ()) == second
    assert all(len(token) == 17 for token in split.second_stage_tokens)


@pytest.mark.slow
def test_the_stock_two_stage_script_scores_the_set(scripts: Path, two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    run_script(scripts / "run_metric_caching.py", two_stage_set, tmp_path, [])
    run_script(
        scripts / "run_pdm_score.py", two_stage_set, tmp_path, ["agent=constant_velocity_agent", "experiment_name=cv"]
    )
    (file,) = tmp_path.glob("exp/cv/*/*.csv")
    rows: List[Dict[str, str]] = list(csv.DictReader(file.open()))
    scores = {row["token"]: float(row["score"]) for row in rows}
    assert all(row["valid"] == "True" for row in rows) and len(scores) == AGENT_INPUTS + 3
    assert all(math.isfinite(score) for score in scores.values())
    assert 0.0 < scores["extended_pdm_score_combined"] < scores["extended_pdm_score_stage_one"] < 1.0


def run_script(script: Path, two_stage_set: TwoStageSet, folder: Path, overrides: List[str]) -> None:
    environ = {
        **os.environ,
        "OPENSCENE_DATA_ROOT": str(two_stage_set.root),
        "NUPLAN_MAPS_ROOT": str(two_stage_set.root / "maps"),
        "NAVSIM_EXP_ROOT": str(folder / "exp"),
    }
    command = [sys.executable, script, f"--config-dir={two_stage_set.config}", f"train_test_split={SPLIT}"]
    done = subprocess.run([*command, "worker=sequential", *overrides], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
