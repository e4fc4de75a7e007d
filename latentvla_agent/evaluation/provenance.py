"""Where numbers come from: versions, machine, and the identity of a run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Type

from latentvla_agent import __version__
from latentvla_agent.data.files import hash_file
from latentvla_agent.errors import CheckpointError
from latentvla_agent.evaluation.agents import AgentSpec, list_classes
from latentvla_agent.models.checkpoint_files import find_checkpoint
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metric_cache import hash_config

CHECKPOINT_ENTRY = "checkpoint_path"
NUMERIC_PACKAGES = ("numpy", "shapely", "pyproj", "pyogrio", "numba")


def list_versions() -> Dict[str, str]:
    """Versions of everything that can move a number."""
    versions = {"latentvla_agent": __version__, "python": platform.python_version()}
    versions.update({name: importlib.metadata.version(name) for name in NUMERIC_PACKAGES})
    versions["scoring_config"] = hash_config(DEFAULT_CONFIG)
    return versions


def describe_machine() -> Dict[str, Any]:
    """Processor, number of usable cores and system."""
    return {
        "processor": _processor_name(),
        "cores": count_cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def describe_agent(spec: AgentSpec) -> Dict[str, str]:
    """Hashes of the agent's config, of the source files of its classes, and of every file that its config names.

    Raises `CheckpointError` for a `checkpoint_path` that can't be read.
    """
    sources = sorted({source for source in map(_source_file, list_classes(spec)) if source})
    code = hash_list([hash_file(Path(source)) for source in sources]) if sources else ""
    return {"agent": spec.name, "config": spec.digest(), "code": code, **_hash_files(spec.config)}


def _hash_files(config: Mapping[str, Any]) -> Dict[str, str]:
    hashes: Dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            hashes.update(_hash_files(value))
        elif isinstance(value, str) and key == CHECKPOINT_ENTRY:
            hashes[key] = _hash_checkpoint(find_checkpoint(value))
        elif isinstance(value, str) and key != "_target_" and os.path.isfile(value):
            hashes[key] = hash_file(Path(value))[:16]
    return hashes


def _hash_checkpoint(path: Path) -> str:
    try:
        return hash_file(path)[:16]
    except OSError as error:
        raise CheckpointError(f"{path}: expected a file of weights, got none ({error.strerror})") from error


def _source_file(target: Type[Any]) -> Optional[str]:
    try:
        return inspect.getsourcefile(target)
    except TypeError:  # a class without Python source
        return None


def hash_list(values: Sequence[str]) -> str:
    """Hash of a list of names, in their order."""
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:16]


def hash_mapping(values: Mapping[str, Any]) -> str:
    """Hash of a JSON-able mapping."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def command_line() -> str:
    """The command as it was typed."""
    return " ".join([Path(sys.argv[0]).name] + sys.argv[1:])
