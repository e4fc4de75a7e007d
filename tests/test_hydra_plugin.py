"""`agent=<name>` in Hydra applications that know nothing of us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
import yaml

from latentvla_agent.agent_files import list_agent_files

ROOT = Path(__file__).resolve().parents[1]
NAVSIM_AGENTS = {"constant_velocity_agent", "ego_status_mlp_agent", "human_agent", "transfuser_agent"}
APPLICATION = """
import hydra, sys
from omegaconf import OmegaConf

@hydra.main(config_path="conf", config_name="main", version_base=None)
def main(cfg):
    print(OmegaConf.to_yaml(cfg.agent))
    print("loaded:", sorted({"torch", "navsim", "numpy"} & set(sys.modules)), file=sys.stderr)

main()
"""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hydra application with a group `agent` of its own."""
    folder = tmp_path_factory.mktemp("application")
    (folder / "conf" / "agent").mkdir(parents=True)
    (folder / "conf" / "agent" / "theirs.yaml").write_text("_target_: their.Agent\n")
    (folder / "conf" / "main.yaml").write_text("defaults:\n  - agent: theirs\n  - _self_\nhydra:\n  run:\n    dir: .\n")
    (folder / "main.py").write_text(APPLICATION)
    return folder


def compose(application: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it; nothing but an installed (or editable) package makes ours known."""
    command: List[str] = [sys.executable, "main.py", "hydra.output_subdir=null", *options]
    return subprocess.run(command, cwd=application, capture_output=True, text=True)


@pytest.mark.parametrize("path", list_agent_files(), ids=lambda path: path.stem)
def test_every_agent_is_known_by_name(application: Path, path: Path) -> None:
    run = compose(application, f"agent={path.stem}")
    assert run.returncode == 0, run.stderr
    assert yaml.safe_load(run.stdout) == yaml.safe_load(path.read_text())
    assert "loaded: []" in run.stderr


def test_a_search_path_of_the_user_changes_nothing(application: Path) -> None:
    assert compose(application, "agent=stop", "hydra.searchpath=[file:///tmp]").returncode == 0
    assert compose(application, "agent=stop", "--config-dir", str(application / "conf")).returncode == 0


def test_the_application_keeps_its_own(application: Path) -> None:
    run = compose(application)
    assert yaml.safe_load(run.stdout) == {"_target_": "their.Agent"}
    unknown = compose(application, "agent=nobody")
    assert unknown.returncode != 0 and "theirs" in unknown.stderr and "constant_velocity" in unknown.stderr


def test_entries_can_be_overridden(application: Path) -> None:
    run = compose(application, "agent=ego_status_mlp", "agent.planner.checkpoint_path=null")
    assert yaml.safe_load(run.stdout)["planner"]["checkpoint_path"] is None


def test_names_collide_with_none_of_navsim() -> None:
    assert not NAVSIM_AGENTS & {path.stem for path in list_agent_files()}
