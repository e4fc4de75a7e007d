"""Where numbers come from: versions, machine, and the identity of a run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from latentvla_agent import __version__
from latentvla_agent.data.file_hashes import HashStore
from latentvla_agent.data.files import hash_file
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneIndex
from latentvla_agent.errors import CheckpointError
from latentvla_agent.evaluation.agent_code import describe_torch, list_sources
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


def describe_agent(spec: AgentSpec) -> Dict[str, Any]:
    """Hashes of the agent's config, of its source files, and of every file that its config names; where it runs torch,
    versions and device.

    Raises `CheckpointError` for a `checkpoint_path` that can't be read.
    """
    sources, runs_torch = list_sources(list_classes(spec))
    code = hash_list([hash_file(source) for source in sources]) if sources else ""
    described: Dict[str, Any] = {"agent": spec.name, "config": spec.digest(), "code": code}
    if runs_torch:
        described["runs_on"] = describe_torch()
    return {**described, **_hash_files(spec.config)}


def describe_data(index: SceneIndex, roots: DataRoots, hashes: HashStore) -> Dict[str, Any]:
    """Hashes of the logs (and synthetic scenes) and maps that scenes are made of, and where their sensor files lie, of
    which there are too many to be read. Raises `DataError` for a file that can't be read."""
    logs = sorted({ref.log_path for ref in index.all_refs})
    maps = MapStore(roots.maps)
    places = {name: maps.path_of(name) for name in sorted({ref.map_name for ref in index.all_refs})}
    found = hashes.hash_all([*logs, *places.values()])
    return {
        "logs": hash_list([f"{path.name} {found[path]}" for path in logs]),
        "maps": {name: found[path][:16] for name, path in places.items()},
        "sensors": str(roots.sensors.resolve()),
    }


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


def hash_list(values: Sequence[str]) -> str:
    """Hash of a list of names, in their order."""
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:16]


def hash_mapping(values: Mapping[str, Any]) -> str:
    """Hash of a JSON-able mapping."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def command_line() -> str:
    """The command as it was typed."""
    return " ".join([Path(sys.argv[0]).name] + sys.argv[1:])
