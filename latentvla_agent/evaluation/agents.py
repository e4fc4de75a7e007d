"""Agents by name: the YAML files of `agents/`, and files of the user's own."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Protocol, Sequence, Tuple, Type

import yaml

from latentvla_agent.data.scene import AgentInput, Trajectory
from latentvla_agent.errors import ConfigError

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
HYDRA_KEYS = ("_target_", "_convert_", "_recursive_")


class Agent(Protocol):
    """What the evaluation needs of an agent; NAVSIM's `AbstractAgent` has it too."""

    requires_scene: bool

    def initialize(self) -> None:
        """Load weights, once per process."""

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """Plan; an agent that requires the scene takes it as a second argument."""


@dataclass(frozen=True)
class AgentSpec:
    """An agent that can be built in any process: its short name and the content of its YAML."""

    name: str
    config: Mapping[str, Any]

    def digest(self) -> str:
        """Hash of the config: another config is another agent."""
        return hashlib.sha256(json.dumps(dict(self.config), sort_keys=True, default=str).encode()).hexdigest()[:16]


def agents_folder() -> Path:
    """`agents/` of the installed package, or of the checkout."""
    installed = PACKAGE_FOLDER / "agents"
    return installed if installed.is_dir() else PACKAGE_FOLDER.parent / "agents"


def list_agents() -> List[str]:
    """Names of all agents that are shipped."""
    return sorted(path.stem for path in agents_folder().glob("*.yaml"))


def find_agent(name: str) -> AgentSpec:
    """The agent of that name, or of that YAML file; raises `ConfigError` with a suggestion for an unknown one."""
    is_path = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_path else agents_folder() / f"{name}.yaml"
    if not (path.is_file() if is_path else name in list_agents()):
        close = difflib.get_close_matches(name, list_agents(), n=1)
        hint = f", did you mean {close[0]}?" if close else f"; there are: {', '.join(list_agents())}"
        raise ConfigError(f"unknown agent {name!r}{hint}")
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable YAML file ({str(error).splitlines()[0]})") from error
    if not isinstance(config, dict) or not isinstance(config.get("_target_"), str):
        raise ConfigError(f"{path}: expected a mapping with _target_: package.module.Class")
    if not all(isinstance(key, str) for key in config):
        raise ConfigError(f"{path}: expected texts as keys, got {', '.join(map(repr, config))}")
    return AgentSpec(path.stem, config)


def load_class(spec: AgentSpec) -> Type[Any]:
    """The class that `_target_` names; raises `ConfigError` where it can't be imported or is no agent."""
    name = str(spec.config["_target_"])
    module_name, _, class_name = name.rpartition(".")
    try:
        target = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a module of the user's own may raise anything
        raise ConfigError(f"agent {spec.name}: cannot import {name} ({type(error).__name__}: {error})") from error
    if not inspect.isclass(target) or not callable(getattr(target, "compute_trajectory", None)):
        raise ConfigError(f"agent {spec.name}: {name} is no agent class with compute_trajectory")
    return target


def build_agent(spec: AgentSpec) -> Agent:
    """Construct the agent, not yet initialised; raises `ConfigError` for an unknown entry or a class without plans."""
    target = load_class(spec)
    arguments = {key: value for key, value in spec.config.items() if key not in HYDRA_KEYS}
    _check_arguments(spec, target, arguments)
    try:
        agent: Agent = target(**arguments)
    except Exception as error:  # so may a constructor
        raise ConfigError(f"agent {spec.name}: cannot be built ({type(error).__name__}: {error})") from error
    return agent


def find_agents(names: Sequence[str]) -> Tuple[AgentSpec, ...]:
    """All agents that are named, each once; raises `ConfigError` for two of one name, whose rows nobody could tell."""
    specs = tuple(find_agent(name) for name in dict.fromkeys(names))
    for spec in specs:
        if sum(other.name == spec.name for other in specs) > 1:
            raise ConfigError(f"two agents are called {spec.name!r}; rename one of the YAML files")
    return specs


def _check_arguments(spec: AgentSpec, target: Type[Any], arguments: Dict[str, Any]) -> None:
    known = inspect.signature(target).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for key in arguments:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), n=1)
            hint = f", did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            raise ConfigError(f"agent {spec.name}: unknown entry {key!r}{hint}")
