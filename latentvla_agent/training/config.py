"""What a training is made of: one YAML file, every entry a field, an unknown one an error."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Type, TypeVar

import yaml

from latentvla_agent.errors import ConfigError, suggest
from latentvla_agent.training.ipad_loss import IPadLossConfig
from latentvla_agent.training.transfuser_loss import TransfuserLossConfig

CONFIGS_FOLDER = Path(__file__).resolve().parent / "configs"

Config = TypeVar("Config")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with a warm-up and a cosine to zero."""

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05  # of all steps
    gradient_clip: float = 1.0


@dataclass(frozen=True)
class TrainingConfig:
    """What every training has."""

    train_split: str = "minitown-train"
    dev_split: str = "minitown-dev"
    epochs: int = 10
    batch_size: int = 16
    accumulate: int = 1  # batches per step of the optimizer
    max_scenes: int = 0  # 0: all
    check_every: int = 1  # epochs between two looks at the dev split, by which the checkpoint is chosen
    precision: str = "32-true"  # Lightning's
    devices: int = 1
    accelerator: str = "auto"
    threads: int = 0  # of this process's arithmetic and of the scorer; 0: one per core
    workers: int = 2  # processes that build features
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass(frozen=True)
class PlannerTraining(TrainingConfig):
    """How a planner is trained: `agent` names features and model, as in `agents/`; an entry that must be there."""

    agent: str = ""
    metric: str = "pdms-v1.1"
    start: str = ""  # weights that the planner begins with: a file, or a folder of `checkpoints/` by name
    tokens: str = ""  # weights of what makes a fused planner's tokens: a student's, or those of a trained teacher
    average: float = 0.0  # decay of the running mean of weights that is judged and kept; 0: the weights themselves
    ipad_loss: IPadLossConfig = field(default_factory=IPadLossConfig)
    transfuser_loss: TransfuserLossConfig = field(default_factory=TransfuserLossConfig)


def list_configs() -> List[str]:
    """Names of the shipped configs."""
    return sorted(path.stem for path in CONFIGS_FOLDER.glob("*.yaml"))


def read_training(name: str, kind: Type[Config], overrides: Mapping[str, Any] = {}) -> Config:
    """A training of this kind: a shipped config by name, or a YAML file by path, with single entries replaced
    ("optimizer.learning_rate": 1e-4).

    Raises `ConfigError` for an unknown name, an unknown entry or a value of another type.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else CONFIGS_FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"unknown training config {name!r}{suggest(name, list_configs())}")
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(content).__name__}")
    for key, value in overrides.items():
        _replace(content, key.split("."), value)
    if "agent" in {item.name for item in fields(kind)} and "agent" not in content:  # type: ignore[arg-type]
        raise ConfigError(f"{path}: expected the entry agent")
    return change_config(kind(), content, str(path))


def _replace(content: Dict[str, Any], keys: List[str], value: Any) -> None:
    for key in keys[:-1]:
        content = content.setdefault(key, {})
    content[keys[-1]] = value


def change_config(config: Config, content: Mapping[str, Any], place: str) -> Config:
    """A dataclass with the entries of a mapping replaced; nested ones too."""
    known = {item.name: item for item in fields(config)}  # type: ignore[arg-type]
    values: Dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"{place}: unknown entry {key!r}{suggest(str(key), list(known))}")
        values[key] = _convert(known[key].type, getattr(config, key), value, f"{place}: {key}")
    return replace(config, **values)  # type: ignore[type-var]


def _convert(kind: Any, before: Any, value: Any, place: str) -> Any:
    """A value as its field has it: nested configs are changed, lists become tuples, whole numbers serve as others."""
    if is_dataclass(before) and isinstance(value, dict):
        return change_config(before, value, place)
    if isinstance(before, tuple) and isinstance(value, list):
        return tuple(value)
    known = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
    wanted: Tuple[type, ...] = known.get(str(kind), (object,))
    is_number = isinstance(value, bool) and str(kind) in ("int", "float")  # to Python alone
    if is_dataclass(before) or not isinstance(value, wanted) or is_number:
        raise ConfigError(f"{place}: expected {kind}, got {value!r}")
    return float(str(value)) if kind == "float" else value
