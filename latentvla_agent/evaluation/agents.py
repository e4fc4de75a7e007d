"""Agents by name: the YAML files of `agents/`, and files of the user's own."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Protocol, Sequence, Tuple, Type

import yaml

from latentvla_agent.agent_files import agents_folder, list_agent_files
from latentvla_agent.data.scene import AgentInput, Trajectory
from latentvla_agent.errors import ConfigError

HYDRA_KEYS = ("_target_", "_convert_", "_recursive_")
WRAPPER = "latentvla_agent.navsim_bridge.NavsimAgent"  # for NAVSIM's scripts; here its planner is what counts


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


def list_agents() -> List[str]:
    """Names of all agents that are shipped."""
    return [path.stem for path in list_agent_files()]


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
    if isinstance(config, dict) and config.get("_target_") == WRAPPER:
        config = config.get("planner")
    if not isinstance(config, dict) or not isinstance(config.get("_target_"), str):
        raise ConfigError(f"{path}: expected a mapping with _target_: package.module.Class")
    if not all(isinstance(key, str) for key in config):
        raise ConfigError(f"{path}: expected texts as keys, got {', '.join(map(repr, config))}")
    return AgentSpec(path.stem, config)


def load_class(spec: AgentSpec) -> Type[Any]:
    """The class that `_target_` names; raises `ConfigError` where it can't be imported or is no agent."""
    target = _import_class(spec.name, spec.config)
    if not callable(getattr(target, "compute_trajectory", None)):
        raise ConfigError(f"agent {spec.name}: {spec.config['_target_']} is no agent class with compute_trajectory")
    return target


def list_classes(spec: AgentSpec) -> List[Type[Any]]:
    """Classes of the agent and of all that it is made of."""
    return [_import_class(spec.name, config) for config in _walk_configs(spec.config)]


def _walk_configs(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield config
    for value in config.values():
        if _is_nested(value):
            yield from _walk_configs(value)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def _import_class(name: str, config: Mapping[str, Any]) -> Type[Any]:
    path = str(config["_target_"])
    module_name, _, class_name = path.rpartition(".")
    try:
        target = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a module of the user's own may raise anything
        raise ConfigError(f"agent {name}: cannot import {path} ({type(error).__name__}: {error})") from error
    if not inspect.isclass(target):
        raise ConfigError(f"agent {name}: {path} is no class")
    return target


def build_agent(spec: AgentSpec) -> Agent:
    """Construct the agent, not yet initialised; raises `ConfigError` for an unknown entry or a class without plans."""
    load_class(spec)
    agent: Agent = _build(spec.name, spec.config)
    return agent


def _build(name: str, config: Mapping[str, Any]) -> Any:
    """What a config describes; entries with a `_target_` of their own are built first, as Hydra does."""
    target = _import_class(name, config)
    arguments = {key: value for key, value in config.items() if key not in HYDRA_KEYS}
    _check_arguments(name, target, arguments)
    built = {key: _build(name, value) if _is_nested(value) else value for key, value in arguments.items()}
    try:
        return target(**built)
    except Exception as error:  # so may a constructor
        raise ConfigError(f"agent {name}: cannot be built ({type(error).__name__}: {error})") from error


def find_agents(names: Sequence[str]) -> Tuple[AgentSpec, ...]:
    """All agents that are named, each once; raises `ConfigError` for two of one name, whose rows nobody could tell."""
    specs = tuple(find_agent(name) for name in dict.fromkeys(names))
    for spec in specs:
        if sum(other.name == spec.name for other in specs) > 1:
            raise ConfigError(f"two agents are called {spec.name!r}; rename one of the YAML files")
    return specs


def _check_arguments(name: str, target: Type[Any], arguments: Dict[str, Any]) -> None:
    known = inspect.signature(target).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for key in arguments:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), n=1)
            hint = f", did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            raise ConfigError(f"agent {name}: unknown entry {key!r}{hint}")
