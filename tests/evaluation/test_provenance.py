"""Whatever can move a number changes the identity of a run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.errors import CheckpointError
from latentvla_agent.evaluation.agents import AgentSpec, find_agent
from latentvla_agent.evaluation.devkit_process import DevkitCommand
from latentvla_agent.evaluation.devkits import Devkit
from latentvla_agent.evaluation.provenance import (
    count_cores,
    describe_agent,
    describe_machine,
    hash_list,
    hash_mapping,
    list_versions,
)
from latentvla_agent.evaluation.run import Run
from latentvla_agent.scoring.versions import METRICS

STOP = "latentvla_agent.baselines.StopAgent"


def test_versions_name_everything_that_computes() -> None:
    versions = list_versions()
    assert {"python", "latentvla_agent", "numpy", "shapely", "pyproj", "pyogrio", "numba"} < set(versions)
    assert len(versions["scoring_config"]) == 16
    json.dumps(versions)


def test_machine() -> None:
    machine = describe_machine()
    assert machine["cores"] == count_cores() >= 1 and machine["processor"] and machine["system"]


def test_hashes_keep_the_order_of_lists_only() -> None:
    assert hash_list(["a", "b"]) != hash_list(["b", "a"])
    assert hash_mapping({"a": 1, "b": 2}) == hash_mapping({"b": 2, "a": 1}) != hash_mapping({"a": 1, "b": 3})


def test_weights_are_part_of_an_agent(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"first")
    spec = AgentSpec("mine", {"_target_": STOP, "checkpoint": str(weights), "prompt": "x" * 100_000, "zero": "\0"})
    before = describe_agent(spec)
    assert set(before) == {"agent", "config", "code", "checkpoint"} and len(before["code"]) == 16
    weights.write_bytes(b"second")
    after = describe_agent(spec)
    assert {key for key in before if before[key] != after[key]} == {"checkpoint"}


def test_weights_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "v1.0"
    folder.mkdir()
    for place in (tmp_path / "missing.safetensors", folder):
        spec = AgentSpec("mine", {"_target_": STOP, "checkpoint_path": str(place)})
        with pytest.raises(CheckpointError, match=f"{place}: expected a file of weights, got none"):
            describe_agent(spec)


def test_learned_agents_say_what_they_run_on() -> None:
    described = describe_agent(find_agent("ego_status_mlp"))
    assert described["runs_on"]["torch"] and described["runs_on"]["device"]
    assert "runs_on" not in describe_agent(find_agent("stop"))


def test_a_class_without_source() -> None:
    class_without_source = AgentSpec("mine", {"_target_": STOP})
    assert describe_agent(class_without_source)["code"] != ""


@pytest.fixture(scope="module")
def run() -> Run:
    roots = find_roots(environ={}, split="embedded")
    split = resolve_split("embedded", roots, max_scenes=2)
    return Run(
        agents=(find_agent("stop"),),
        split=split,
        index=index_scenes(split),
        roots=roots,
        out=Path("out"),
        cache_folder=Path("cache"),
        metric=METRICS["pdms-v1.1"],
        workers=1,
        time_limit=1.0,
    )


@pytest.mark.parametrize(
    "change, keys",
    [
        ({"metric": METRICS["epdms-v2.2"]}, {"metric"}),
        ({"devkit": Devkit(DevkitCommand(Path("python")), "pdms-v1.1", {"source": "1"})}, {"scorer", "devkit"}),
        ({"agents": (find_agent("human"),)}, {"agents"}),
        ({"agents": (find_agent("stop"), find_agent("human"))}, {"agents"}),
        ({"workers": 64, "time_limit": 9.0, "out": Path("other"), "cache_folder": Path("other")}, set()),
        ({"executor": "ray", "shadow_scenes": 9, "keep_details": True, "retry_failed": True}, set()),
    ],
)
def test_identity_changes_with_what_moves_a_row(run: Run, change: Dict[str, Any], keys: set[str]) -> None:
    before, after = run.identity(), replace(run, **change).identity()
    assert {key for key in before if before[key] != after[key]} == keys
    assert json.loads(json.dumps(before)) == before, "the journal must give it back as it was"


def test_identity_knows_the_content_of_logs_and_maps(run: Run, tmp_path: Path) -> None:
    """Same names in the same places, and the same tokens."""
    logs, maps = tmp_path / "logs", tmp_path / "maps"
    shutil.copytree(run.split.log_folder, logs)
    shutil.copytree(run.roots.maps, maps)
    refs = tuple(replace(ref, log_path=logs / ref.log_path.name) for ref in run.index.refs)
    run = replace(run, index=replace(run.index, refs=refs), roots=replace(run.roots, maps=maps))
    before = run.identity()
    changed = [(refs[0].log_path, "logs"), (MapStore(maps).path_of(refs[0].map_name), "maps")]
    for path, key in changed:
        path.write_bytes(path.read_bytes() + b" ")
        after = run.identity()
        assert {name for name in before if before[name] != after[name]} == {key}
        before = after
    for path in set(logs.iterdir()) - {refs[0].log_path}:
        path.write_bytes(b"a log of which no scene is taken")
    assert run.identity() == before


def test_identity_knows_where_sensor_files_lie(run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "link")]
    folders[0].mkdir()
    folders[2].symlink_to(folders[0])
    one, two, link = (replace(run, roots=replace(run.roots, sensors=own)).identity() for own in folders)
    assert one == link and {key for key in one if one[key] != two[key]} == {"sensors"}


def test_identity_knows_the_scenes(run: Run) -> None:
    fewer = replace(run.index, refs=run.index.refs[:1])
    assert replace(run, index=fewer).identity()["scenes"] != run.identity()["scenes"]
