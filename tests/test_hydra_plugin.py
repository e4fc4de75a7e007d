"""`agent=<name>` in Hydra applications that know nothing of us, which lose nothing by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml

from latentvla_agent.agent_files import agents_folder
from latentvla_agent.evaluation.agents import list_agents

APPLICATION = """
import sys
import hydra
from omegaconf import OmegaConf

@hydra.main(config_path="conf", config_name="app"{version_base})
def main(config):
    print(OmegaConf.to_yaml(config))
    print("loaded:", sorted({{"torch", "numpy", "navsim"}} & set(sys.modules)))
    print("---")

main()
"""
NAVSIM_AGENTS = {"constant_velocity_agent", "ego_status_mlp_agent", "human_agent", "transfuser_agent"}  # v1.1 and v2.2


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """An application whose group `agent` has one config, and that has more of them elsewhere."""
    write(
        tmp_path / "conf/app.yaml", "defaults: [{agent: theirs}, _self_]\nhydra: {run: {dir: run}, output_subdir: null}"
    )
    write(tmp_path / "conf/agent/theirs.yaml", "whose: theirs")
    write(tmp_path / "app.py", APPLICATION.format(version_base=", version_base=None"))
    return tmp_path


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def run_application(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


def start(folder: Path, *arguments: str) -> Dict[str, Any]:
    """The `agent` of the application's config."""
    (agent,) = start_all(folder, *arguments)
    return agent


def start_all(folder: Path, *arguments: str) -> List[Dict[str, Any]]:
    """The `agent` of every job of the application."""
    run = run_application(folder, *arguments)
    assert run.returncode == 0, run.stderr
    jobs = [yaml.safe_load(output) for output in run.stdout.split("---\n")[:-1]]
    assert all(job["loaded"] == [] for job in jobs), "the plug-in must load nothing heavy"
    return [job["agent"] for job in jobs]


def test_every_agent_by_name(application: Path) -> None:
    quiet = ["hydra/hydra_logging=disabled", "hydra/job_logging=disabled", "hydra.sweep.dir=run"]
    found = start_all(application, "--multirun", *quiet, f"agent={','.join(list_agents())}")
    assert found == [yaml.safe_load((agents_folder() / f"{name}.yaml").read_text()) for name in list_agents()]


@pytest.mark.parametrize("version_base", ["", ", version_base='1.1'", ", version_base='1.3'"])
def test_whatever_hydra_it_was_written_for(application: Path, version_base: str) -> None:
    write(application / "app.py", APPLICATION.format(version_base=version_base))
    assert start(application) == {"whose": "theirs"}
    agent = start(application, "agent=ego_status_mlp", "agent.planner.checkpoint_path=null")
    assert agent["planner"]["checkpoint_path"] is None


def test_with_more_places_to_search(application: Path) -> None:
    write(application / "more/agent/another.yaml", "whose: another's")
    for option in (["--config-dir", "more"], [f"hydra.searchpath=[file://{application}/more]"]):
        assert start(application, *option, "agent=another") == {"whose": "another's"}
        assert "planner" in start(application, *option, "agent=stop")


def test_an_applications_own_agent_of_the_same_name_wins(application: Path) -> None:
    write(application / "more/agent/stop.yaml", "whose: another's")
    assert start(application, "--config-dir", "more", "agent=stop") == {"whose": "another's"}
    write(application / "conf/agent/stop.yaml", "whose: theirs")
    assert start(application, "--config-dir", "more", "agent=stop") == {"whose": "theirs"}
    assert start(application, "agent=stop") == {"whose": "theirs"}


def test_an_application_without_agents(application: Path) -> None:
    write(application / "conf/app.yaml", "lr: 1\nagent: {}\nhydra: {run: {dir: run}, output_subdir: null}")
    assert start(application) == {}
    (application / "conf/agent/theirs.yaml").unlink()
    assert "planner" in start(application, "+agent=stop")


def test_a_wrong_name_is_answered_with_all_names(application: Path) -> None:
    run = run_application(application, "agent=stpo")
    assert run.returncode != 0
    assert {"theirs", *list_agents()} <= set(run.stderr.split())
    assert "stop" in run_application(application, "--help").stdout + run_application(application, "--info").stdout


def test_no_name_is_one_of_navsims() -> None:
    assert not NAVSIM_AGENTS & set(list_agents())
