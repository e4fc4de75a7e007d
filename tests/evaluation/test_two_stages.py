"""Planning in the scenes of a two-stage split; scoring its second stage is left to the official scorer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List

import numpy as np
import pytest

from latentvla_agent.evaluation.agents import find_agents
from latentvla_agent.evaluation.planning import PlanHandler, PlanItem
from latentvla_agent.evaluation.run import Run, plan_scenes
from latentvla_agent.evaluation.scene_source import SceneSource, SplitRequest, open_source
from latentvla_agent.scoring.versions import find_metric
from tests.data.two_stage_set import TwoStageSet
from tests.evaluation.commands import call

NAMES = ("human", "pdm_closed", "constant_velocity", "stop")


@pytest.fixture(scope="module")
def source(two_stage_set: TwoStageSet, tmp_path_factory: pytest.TempPathFactory) -> SceneSource:
    cache = tmp_path_factory.mktemp("caches")
    request = SplitRequest(two_stage_set.root, split=str(two_stage_set.split_file), cache=cache)
    return open_source(request, two_stages=True)


def make_run(source: SceneSource, out: Path) -> Run:
    return Run(
        agents=find_agents(NAMES),
        split=source.split,
        index=source.index,
        roots=source.roots,
        out=out,
        cache_folder=source.cache_folder,
        metric=find_metric("epdms-v2.2"),
        workers=2,
        time_limit=120.0,
    )


def test_agents_plan_in_synthetic_scenes(source: SceneSource, tmp_path: Path) -> None:
    handler = PlanHandler(make_run(source, tmp_path).setup())
    ref = source.index.synthetic_refs[0]
    plans = {name: np.array(handler(PlanItem(ref, name))["poses"]) for name in NAMES[1:]}
    assert plans["constant_velocity"].shape == (8, 3) and (plans["stop"] == 0.0).all()
    assert plans["pdm_closed"].shape == (40, 3) and np.isfinite(plans["pdm_closed"]).all()


@pytest.mark.slow
def test_all_plans_of_both_stages_are_kept(source: SceneSource, tmp_path: Path) -> None:
    run = make_run(source, tmp_path)
    predictions = plan_scenes(run, run.identity())
    assert len(predictions) == len(NAMES) * (6 + 14)
    failed = {key: prediction["error"] for key, prediction in predictions.items() if "error" in prediction}
    assert set(failed) == {("human", ref.token) for ref in source.index.synthetic_refs}
    assert all("expected 8 future frames of the human, got 0" in error for error in failed.values())
    assert plan_scenes(run, run.identity()) == predictions  # from the journal


def test_the_scenes_of_both_stages_are_part_of_a_runs_identity(source: SceneSource, tmp_path: Path) -> None:
    run = make_run(source, tmp_path)
    fewer = replace(run, index=replace(source.index, synthetic_refs=source.index.synthetic_refs[1:]))
    assert run.identity()["scenes"] != fewer.identity()["scenes"]
    assert run.identity()["split"]["mapping"]["count"] == 3


@pytest.mark.parametrize("command", ["eval", "score", "cache"])
def test_the_embedded_scorer_says_whose_the_second_stage_is(
    two_stage_set: TwoStageSet, tmp_path: Path, command: str
) -> None:
    options: List[object] = ["--data", two_stage_set.root, "--split", two_stage_set.split_file]
    if command == "score":
        (tmp_path / "plans.json").write_text(
            '[{"token": "a", "name": "b", "poses": ' + str([[i, 0, 0] for i in range(8)]) + "}]"
        )
        options += ["--trajectories", tmp_path / "plans.json"]
    answer = call(command, *options, "--cache", tmp_path / "cache")
    assert "split tiny_two_stage: the second stage (synthetic scenes) is the official scorer's" in answer.error
    assert not (tmp_path / "cache").exists()


def test_the_doctor_looks_at_both_stages(two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    options = ["--data", two_stage_set.root, "--split", two_stage_set.split_file, "--cache", tmp_path]
    lines = [line for line in call("doctor", *options).out.splitlines() if "tiny_two_stage: 6 scenes in 3 logs" in line]
    assert len(lines) == 1 and f"14 synthetic scenes in {two_stage_set.scenes}" in lines[0]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{empty}: expected pickles of synthetic scenes" in call("doctor", *options, "--synthetic-scenes", empty).out
