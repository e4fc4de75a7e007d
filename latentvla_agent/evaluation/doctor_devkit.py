"""Which NAVSIM devkit is there, by its files: nothing of it is imported."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence

from latentvla_agent.evaluation.doctor import Finding, Status

DEVKIT_VARIABLE = "NAVSIM_DEVKIT_ROOT"
CONFIG_FOLDER = "navsim/planning/script/config/common"
GUIDE = "https://github.com/autonomousvision/navsim/blob/main/docs/install.md"
FILTER_FIX = "modified_any"  # v2.2 since navsim pull 151 computes the total again after the human filter


@dataclass(frozen=True)
class Devkit:
    """A NAVSIM devkit: the folder of its package `navsim`, what it scores, and its version in words."""

    package: Path
    metric: str
    version: str


def inspect_package(package: Path) -> Optional[Devkit]:
    """The devkit in a folder `navsim`; None for any other package of that name."""
    script = package / "evaluate" / "pdm_score.py"
    if not script.is_file():
        return None
    stated = re.search(r'version="([^"]+)"', _read(package.parent / "setup.py"))
    suffix = f" (its setup.py says {stated[1]})" if stated else ""
    if not (package / "traffic_agents_policies").is_dir():
        return Devkit(package, "pdms-v1.1", f"v1{suffix}")
    metric = "epdms-v2.2" if FILTER_FIX in _read(script) else "epdms-v2.2-prefix"
    return Devkit(package, metric, f"v2{suffix}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def find_config_folders(environ: Mapping[str, str] = os.environ) -> List[Path]:
    """Folders that hold the devkit's `train_test_split/`."""
    root = environ.get(DEVKIT_VARIABLE, "")
    return [Path(root) / CONFIG_FOLDER] if root else []


def check_devkit(environ: Mapping[str, str] = os.environ) -> Sequence[Finding]:
    """What `import navsim` would find, and what the variable names."""
    package, root = find_package("navsim"), environ.get(DEVKIT_VARIABLE, "")
    findings = [_judge_package(package)]
    if root:
        findings.append(_judge_root(Path(root), package))
    if package is not None and inspect_package(package) is not None and find_package("nuplan") is None:
        text = "the package nuplan can't be found, and NAVSIM needs it"
        findings.append(Finding(Status.WARNING, "devkit", text, f"install nuplan-devkit, see {GUIDE}"))
    return findings


def find_package(name: str) -> Optional[Path]:
    """Folder of a top-level package that could be imported; it is not."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    return Path(places[0]) if places else None


def _judge_package(package: Optional[Path]) -> Finding:
    if package is None:
        return Finding(Status.OK, "devkit", "no NAVSIM in this interpreter; the embedded scorer needs none")
    devkit = inspect_package(package)
    if devkit is not None:
        return Finding(Status.OK, "devkit", f"NAVSIM {devkit.version} in {package}, scores {devkit.metric}")
    text = f"{package} is not the NAVSIM devkit; the `navsim` on PyPI is another project, a simulator for navigation"
    return Finding(Status.FAULT, "devkit", text, f"pip uninstall navsim; then install the devkit, see {GUIDE}")


def _judge_root(root: Path, package: Optional[Path]) -> Finding:
    devkit = inspect_package(root / "navsim")
    if devkit is None:
        mend = f"let {DEVKIT_VARIABLE} name the folder that holds the devkit's navsim/, or unset it"
        return Finding(Status.FAULT, "devkit", f"{DEVKIT_VARIABLE}={root} holds no NAVSIM devkit", mend)
    if package is not None and package.resolve() != devkit.package.resolve():
        text = f"{DEVKIT_VARIABLE} is NAVSIM {devkit.version} in {root}, but `import navsim` finds {package}"
        return Finding(Status.WARNING, "devkit", text, "install the one that you mean, and let the variable name it")
    if not (root / CONFIG_FOLDER / "train_test_split").is_dir():
        text = f"{root / CONFIG_FOLDER} holds no train_test_split: its splits can't be named"
        return Finding(Status.WARNING, "devkit", text, "check out the devkit completely")
    return Finding(Status.OK, "devkit", f"{DEVKIT_VARIABLE}: NAVSIM {devkit.version}, its splits can be named")
