"""Agents are found by name or file; whatever is wrong with one is said before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import AgentSpec, build_agent, find_agent, find_agents, list_agents

MODULE = "tests.evaluation.failing_agents"


def write(folder: Path, content: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return str(path)


def test_all_shipped_agents_can_be_built() -> None:
    assert {"human", "pdm_closed", "constant_velocity", "stop"} <= set(list_agents())
    for name in ("human", "pdm_closed", "constant_velocity", "stop"):
        agent = build_agent(find_agent(name))
        assert callable(agent.compute_trajectory) and isinstance(agent.requires_scene, bool)


def test_an_agent_of_a_file_is_named_after_it(tmp_path: Path) -> None:
    path = write(tmp_path, "_target_: latentvla_agent.baselines.StopAgent\n_convert_: all\nnum_poses: 4\n")
    spec = find_agent(path)
    assert spec.name == "mine" and spec.config["num_poses"] == 4
    build_agent(spec)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("constant_velocty", "unknown agent 'constant_velocty', did you mean constant_velocity"),
        ("zebra", "unknown agent 'zebra'; there are: constant_velocity, ego_status_mlp, human"),
        ("missing.yaml", "unknown agent 'missing.yaml'"),
        ("../agents/human", "unknown agent"),
    ],
)
def test_unknown_agents(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        find_agent(name)


@pytest.mark.parametrize(
    "content, reason",
    [
        ("a: [", "mine.yaml: not a readable YAML file"),
        ("\x00", "mine.yaml: not a readable YAML file"),
        ("- a", "mine.yaml: expected a mapping with _target_"),
        ("name: x", "mine.yaml: expected a mapping with _target_"),
        ("_target_: a.B\n1: 2", "mine.yaml: expected texts as keys"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        find_agent(write(tmp_path, content))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="mine.yaml: not a readable YAML file"):
        find_agent(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    "config, reason",
    [
        ({"_target_": "no.such.module.Agent"}, "agent mine: cannot import no.such.module.Agent"),
        ({"_target_": f"{MODULE}.Missing"}, "cannot import .*Missing"),
        ({"_target_": "Agent"}, "cannot import Agent"),
        ({"_target_": f"{MODULE}.NoAgent"}, "is no agent class with compute_trajectory"),
        ({"_target_": "os.system"}, "os.system is no class"),
        ({"_target_": f"{MODULE}.CannotBeBuilt"}, "cannot be built .KeyError: 'missing entry'"),
        ({"_target_": f"{MODULE}.Raises", "num_pose": 8}, "unknown entry 'num_pose', did you mean num_poses"),
        ({"_target_": f"{MODULE}.Raises", "zebra": 8}, "unknown entry 'zebra'; known: num_poses, interval_length"),
    ],
)
def test_agents_that_cannot_be_built(config: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_agent(AgentSpec("mine", config))


def test_a_module_that_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module_of_a_user.py").write_text("def broken(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="cannot import .*SyntaxError"):
        build_agent(AgentSpec("mine", {"_target_": "broken_module_of_a_user.Agent"}))


def test_two_agents_of_one_name_are_refused(tmp_path: Path) -> None:
    content = "_target_: latentvla_agent.baselines.StopAgent\n"
    paths = [write(tmp_path, content, name) for name in ("a/mine.yaml", "b/mine.yaml")]
    with pytest.raises(ConfigError, match="two agents are called 'mine'"):
        find_agents(paths)
    assert [spec.name for spec in find_agents(["stop", paths[0], "stop"])] == ["stop", "mine"]


def test_digest_tells_configs_apart() -> None:
    specs = [AgentSpec("a", {"_target_": "a.B", "x": value}) for value in (1, 2)]
    assert specs[0].digest() != specs[1].digest()
    assert specs[0].digest() == AgentSpec("b", {"x": 1, "_target_": "a.B"}).digest()
